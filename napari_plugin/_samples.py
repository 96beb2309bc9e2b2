"""Sample data: a simulated movie, as recorded and analysed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from migradetect._version import __version__
from migradetect_napari._convert import LayerTuple
from migradetect_napari._open import movie_layers, result_layers

if TYPE_CHECKING:
    from migradetect.io import MovieEntry

__all__ = ["analysed_movie", "sample_folder", "simulated_movie"]

_SEED = 11
_SIZE = {"n_frames": 24, "height_px": 320, "width_px": 320}


def sample_folder() -> Path:
    """Where samples are kept between sessions; its name has the version, which decides the numbers."""
    from platformdirs import user_cache_path

    return user_cache_path("migradetect", appauthor=False) / f"samples-{__version__}"


def _movie_file(folder: Path) -> Path:
    from migradetect.io import write_movie
    from migradetect.synthetic import simulate

    path = folder / "simulated.ome.tif"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = simulate("typical", _SEED, **_SIZE)
        write_movie(path, made.data, made.axes, made.calibration, made.roles)
    return path


def _entry(folder: Path) -> MovieEntry:
    from migradetect.io import find_movies

    return find_movies([_movie_file(folder)])[0]


def simulated_movie() -> list[LayerTuple]:
    """Layers of a small simulated movie; made when it is first asked for, in some seconds."""
    from migradetect.io import open_movie

    return movie_layers(open_movie(_entry(sample_folder())))


def analysed_movie() -> list[LayerTuple]:
    """Layers of the same movie with its results; analysed when it is first asked for, in some seconds."""
    from migradetect.batch import run_batch
    from migradetect.params import Params
    from migradetect.review import ReviewSession

    folder = sample_folder()
    entry = _entry(folder)
    # in this process: it is small, and an application that is no script can't start others everywhere
    run_batch([entry], folder / "results", Params(), workers=0)
    return result_layers(ReviewSession.open(folder / "results", entry.movie_id))
