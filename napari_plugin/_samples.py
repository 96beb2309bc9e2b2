"""Sample data: a simulated movie, as recorded and analysed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from migradetect._version import __version__
from migradetect_napari._convert import LayerTuple
from migradetect_napari._open import movie_layers, result_layers

if TYPE_CHECKING:
    from migradetect.io import MovieEntry
    from migradetect.review import ReviewSession

__all__ = ["analysed_movie", "sample_folder", "simulated_movie"]

_Made = TypeVar("_Made")
#: Takes what is being done, how much of it is done, and how much there is.
Told = Callable[[str, int, int], None]

_SEED = 11
_SIZE: dict[str, Any] = {"n_frames": 24, "height_px": 320, "width_px": 320}


def sample_folder() -> Path:
    """Where samples are kept between sessions; its name has the version, which decides the numbers."""
    from platformdirs import user_cache_path

    return user_cache_path("migradetect", appauthor=False) / f"samples-{__version__}"


def _movie_file(folder: Path, told: Told) -> Path:
    from migradetect.io import write_movie
    from migradetect.synthetic import simulate

    path = folder / "simulated.ome.tif"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = simulate("typical", _SEED, progress=lambda done, total: told("simulating", done, total), **_SIZE)
        write_movie(path, made.data, made.axes, made.calibration, made.roles)
    return path


def _entry(folder: Path, told: Told) -> MovieEntry:
    from migradetect.io import find_movies

    return find_movies([_movie_file(folder, told)])[0]


def simulated_movie() -> list[LayerTuple]:
    """Layers of a small simulated movie; made when it is first asked for, in some seconds."""
    from migradetect.io import open_movie

    return _in_background(lambda told: movie_layers(open_movie(_entry(sample_folder(), told))))


def analysed_movie() -> list[LayerTuple]:
    """Layers of the same movie with its results; analysed when it is first asked for, in some seconds."""
    from migradetect_napari._reader import open_panels

    session = _in_background(_analysed)
    return result_layers(session, is_lazy=open_panels(session))


def _analysed(told: Told) -> ReviewSession:
    from migradetect.batch import run_batch
    from migradetect.params import Params
    from migradetect.review import ReviewSession

    folder = sample_folder()
    entry = _entry(folder, told)
    # in this process: it is small, and an application that is no script can't start others everywhere
    run_batch(
        [entry],
        folder / "results",
        Params(),
        workers=0,
        progress=lambda event: told(event.stage or "analysing", event.done, event.total),
    )
    return ReviewSession.open(folder / "results", entry.movie_id)


def _in_background(work: Callable[[Told], _Made]) -> _Made:
    """What `work` gives, made while the window lives and shows how far it is; at once where there is no window."""
    import napari

    if napari.current_viewer() is None:
        return work(lambda what, done, total: None)
    from migradetect_napari._worker import work_with_dialog

    made: _Made = work_with_dialog("Preparing the sample", work)
    return made
