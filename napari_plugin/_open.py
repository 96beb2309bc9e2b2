"""What a path holds, and the layers that show it; no Qt."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from migradetect.errors import NoMoviesError
from migradetect_napari import _convert as convert

if TYPE_CHECKING:
    from migradetect.io import InputOptions, MovieEntry
    from migradetect.movie import Movie
    from migradetect.review import ReviewSession

__all__ = [
    "HIDDEN",
    "Place",
    "find_results",
    "hidden_layer",
    "lock_of",
    "mark_of",
    "movie_entries",
    "movie_layers",
    "points_of",
    "result_layers",
    "session_of",
    "shown_candidates",
    "token_of",
]


@dataclass(frozen=True)
class Place:
    """Where results lie.

    Parameters
    ----------
    out_dir : Path
        Output folder.
    movie_ids : tuple of str
        Complete movies in it.
    movie_id : str or None
        The one that was asked for, if any.
    """

    out_dir: Path
    movie_ids: tuple[str, ...]
    movie_id: str | None = None


def find_results(path: str | Path) -> Place | None:
    """Results at a path: an output folder, the folder of one movie, or their json file; None if there are none."""
    from migradetect.io import load

    path = Path(path)
    if path.name in ("run.json", "movie.json"):
        path = path.parent
    if (path / "movie.json").is_file():
        return Place(path.parent, (path.name,), path.name)
    if not (path / "run.json").is_file() and not any(path.glob("[!.]*/movie.json")):
        return None
    try:
        return Place(path, load(path).movie_ids)
    except NoMoviesError:
        return None


def movie_entries(paths: Sequence[str | Path], options: InputOptions | None = None) -> list[MovieEntry]:
    """Movies in files and folders, as ``migradetect scan`` finds them."""
    from migradetect.io import find_movies

    return find_movies([Path(path) for path in paths], options)


def movie_layers(movie: Movie, on_error: Callable[[str], None] | None = None) -> list[convert.LayerTuple]:
    """Image layers of a movie that has not been analysed; they remember the movie, to tune and run it."""
    mark = {"movie_id": movie.movie_id, "movie": movie, "path": movie.provenance.get("path")}
    return convert.image_layers(movie, mark, on_error)


def result_layers(
    session: ReviewSession,
    *,
    name: str | None = None,
    colour_by: str = "status",
    candidates: pd.DataFrame | None = None,
    on_error: Callable[[str], None] | None = None,
    is_lazy: bool = False,
    without: Collection[str] = (),
) -> list[convert.LayerTuple]:
    """All layers of one movie in its reviewed state, bottom first.

    Parameters
    ----------
    session : ReviewSession
        Reviewed state.
    name : str, optional
        Shown instead of the movie's name, for a blind review.
    colour_by : str
        What migrasomes are coloured by.
    candidates : pandas.DataFrame, optional
        Candidates that are shown; by default those of :func:`shown_candidates`.
    on_error : callable, optional
        Takes a line for each plane that can't be read.
    is_lazy : bool
        Layers that are hidden at first are next to empty; they are filled by a :class:`Scene` once they are shown.
    without : collection of str
        Roles that are there already.

    Returns
    -------
    list of layer data tuples
    """
    tables = session.tables
    calibration = session.base.calibration
    mark = mark_of(session, name)
    movie = session.movie
    layers: list[convert.LayerTuple] = []
    # where the recording is gone, results alone are shown
    if movie is not None and not set(movie.roles) <= set(without):
        layers += convert.image_layers(movie, mark | {"movie": movie}, on_error)
    for role in ("cells", "fibers"):
        # read through the session each time, so that a plane is the reviewed one
        reader = _Planes(session, role)
        layers.append(
            convert.label_layer(reader, session.base.n_frames, session.base.shape_yx, calibration, role, mark)
        )
    makers: dict[str, Callable[[], convert.LayerTuple | None]] = {
        "cell_tracks": lambda: convert.cell_tracks(tables["cells"], calibration, mark),
        "migrasome_tracks": lambda: hidden_layer(session, "migrasome_tracks", mark, candidates, is_lazy=is_lazy),
        "candidates": lambda: hidden_layer(session, "candidates", mark, candidates, is_lazy=is_lazy),
        "migrasomes": lambda: points_of(session, mark, colour_by),
    }
    layers += [made for role, make in makers.items() if role not in without and (made := make()) is not None]
    return [layer for layer in layers if layer[1]["metadata"][convert.KEY]["role"] not in without]


def mark_of(session: ReviewSession, name: str | None = None) -> dict[str, Any]:
    """What the layers of a session remember."""
    return {
        "movie_id": session.movie_id,
        "out_dir": str(session.base.folder.parent),
        "label": name or session.movie_id,
        "session": token_of(session),
    }


#: Layers that are hidden until the user wants them.
HIDDEN = ("migrasome_tracks", "candidates")


def hidden_layer(
    session: ReviewSession, role: str, mark: Mapping[str, Any], candidates: pd.DataFrame | None, *, is_lazy: bool
) -> convert.LayerTuple | None:
    """One of the layers that are hidden at first; next to empty where `is_lazy`."""
    tables, calibration = session.tables, session.base.calibration
    if role == "migrasome_tracks":
        rows = tables["migrasomes"]
        # napari refuses a layer without tracks
        return convert.migrasome_tracks(rows.iloc[:1] if is_lazy else rows, calibration, mark)
    shown = shown_candidates(tables["candidates"]) if candidates is None else candidates
    return convert.candidate_points(shown.iloc[:0] if is_lazy else shown, tables["frames"], calibration, mark)


#: How the reason of a candidate begins that a person rejected.
_BY_HAND = "rejected in review"


def shown_candidates(candidates: pd.DataFrame, min_score: float = 0.05) -> pd.DataFrame:
    """Candidates worth a look: those with some score, and those that a person rejected."""
    by_hand = candidates["reason"].str.startswith(_BY_HAND, na=False)
    return candidates[(candidates["score"] >= min_score) | by_hand]


def points_of(session: ReviewSession, mark: Any, colour_by: str) -> convert.LayerTuple:
    """Points of the migrasomes in the reviewed state."""
    tracks = session.tables["tracks"]
    ids = [int(one) for one in tracks["migrasome_id"]]
    status = {one: session.status(one) for one in ids}
    fates = dict(zip(ids, tracks["fate"], strict=True))
    table = session.tables["migrasomes"]
    return convert.migrasome_points(table, status, session.base.calibration, mark, colour_by, fates)


_sessions: weakref.WeakValueDictionary[str, ReviewSession] = weakref.WeakValueDictionary()


def token_of(session: ReviewSession) -> str:
    """What layers remember of a session: a name, because layers are copied with all that they remember."""
    token = f"{session.path}#{id(session)}"
    _sessions[token] = session
    return token


def session_of(mark: Mapping[str, Any]) -> ReviewSession | None:
    """Session that a layer shows; None where it is gone."""
    return _sessions.get(str(mark.get("session")))


_locks: weakref.WeakKeyDictionary[Any, threading.RLock] = weakref.WeakKeyDictionary()


def lock_of(session: ReviewSession) -> Any:
    """Held while a correction is made, which may happen in another thread."""
    return _locks.setdefault(session, threading.RLock())


class _Planes:
    """Label planes of a session in its present state."""

    def __init__(self, session: ReviewSession, role: str) -> None:
        self.session, self.role = session, role

    def __getitem__(self, frame: int) -> Any:
        lock = lock_of(self.session)
        if lock.acquire(blocking=False):
            try:
                return self.session.labels[self.role][frame]
            finally:
                lock.release()
        # a correction is being measured: the automatic plane meanwhile, and the layer is read anew after it
        stored = self.session.base.results.labels.get(self.role)
        return np.zeros(self.session.base.shape_yx, np.uint32) if stored is None else stored[frame]
