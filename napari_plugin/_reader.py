"""Drag and drop, and File > Open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migradetect.errors import MigradetectError
from migradetect_napari._convert import KEY, LayerTuple
from migradetect_napari._open import find_results, movie_entries, movie_layers, result_layers, token_of

if TYPE_CHECKING:
    from migradetect.review import ReviewSession

__all__ = ["get_reader", "open_panels", "read"]

_SUFFIXES = (".tif", ".tiff", ".btf", ".stk", ".nd", ".ome", ".nd2", ".czi", ".lif", ".zarr")
#: How often, and after which pause (ms), it is looked for the layers.
_MOST_TRIES, _PAUSE_MS = 100, 50
_RECORDS = ("run.json", "movie.json")


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerTuple]] | None:
    """Reader for a movie or results; None for what is neither, so that other plugins may try."""
    paths = [path] if isinstance(path, str) else list(path)
    for one in map(Path, paths):
        if one.name in _RECORDS or one.suffix.casefold() in _SUFFIXES:
            continue
        if not (one.is_dir() and (find_results(one) or _has_movie(one))):
            return None
    return read


def _has_movie(folder: Path) -> bool:
    try:
        return bool(movie_entries([folder]))
    except MigradetectError:
        return False


def read(path: str | list[str]) -> list[LayerTuple]:
    """Layers of the movie or results at a path; of several movies the first, and a note that says so.

    Raises
    ------
    MigradetectError
        One line that napari shows: what is wrong with the file, and the remedy.
    """
    from napari.utils.notifications import show_info, show_warning

    paths = [path] if isinstance(path, str) else list(path)
    place = find_results(paths[0]) if len(paths) == 1 else None
    if place is not None:
        return _read_results(place, show_info, show_warning)
    from migradetect.io import open_movie

    entries = movie_entries(paths)
    if len(entries) > 1:
        show_info(f"{len(entries)} movies found; this is the first, {entries[0].movie_id}")
    movie = open_movie(entries[0])
    for line in movie.provenance.get("warnings", ()):
        show_warning(f"{movie.movie_id}: {line}")
    return movie_layers(movie, show_warning)


def _read_results(place: Any, tell: Callable[[str], None], warn: Callable[[str], None]) -> list[LayerTuple]:
    from migradetect.errors import NoMoviesError
    from migradetect.review import ReviewSession

    if not place.movie_ids:
        raise NoMoviesError(f"{place.out_dir}: expected complete results, got none; `migradetect status` says why")
    session = ReviewSession.open(place.out_dir, place.movie_id or place.movie_ids[0])
    others = len(place.movie_ids) - 1
    if others:
        tell(f"{session.movie_id} is shown; the folder has {others} more")
    # what is hidden at first is filled by the panels, which there are in a window only
    layers = result_layers(session, on_error=warn, is_lazy=open_panels(session))
    for line in session.notes:
        warn(line)
    return layers


def open_panels(session: ReviewSession) -> bool:
    """Show the panels of the review once the layers of a session are in the window; False without a window."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        return False
    _show_later(viewer, token_of(session), _MOST_TRIES)
    return True


def _show_later(viewer: Any, token: str, tries: int) -> None:
    """Napari adds the layers when the reader has returned, and may draw in between."""
    from qtpy.QtCore import QTimer

    def show() -> None:
        if any((layer.metadata.get(KEY) or {}).get("session") == token for layer in viewer.layers):
            from migradetect_napari._review import show_panels

            show_panels(viewer)
        elif tries:
            _show_later(viewer, token, tries - 1)

    QTimer.singleShot(0 if tries == _MOST_TRIES else _PAUSE_MS, show)
