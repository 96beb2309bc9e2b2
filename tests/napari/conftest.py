"""Results to review: one small simulated movie, analysed once for all tests of this folder."""

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("napari", reason="needs migradetect[gui]")

# settings of the person who runs the tests stay as they are, and take no part
os.environ.setdefault("NAPARI_CONFIG", "")

SIZE = {"height_px": 208, "width_px": 208, "pixel_size_um": 0.2, "frame_interval_s": 120.0, "n_frames": 10}


@pytest.fixture(scope="session")
def movie_file(tmp_path_factory):
    from migradetect.io import write_movie
    from migradetect.synthetic import simulate

    folder = tmp_path_factory.mktemp("movies")
    made = simulate("clean", 7, warmup_min=150.0, migrasomes_per_100um=10.0, n_tails=4.0, **SIZE)
    write_movie(folder / "dish.ome.tif", made.data, made.axes, made.calibration, made.roles)
    return folder / "dish.ome.tif"


@pytest.fixture(scope="session")
def analysed(movie_file):
    """Automatic results; not to be written to."""
    from migradetect.batch import run_batch
    from migradetect.io import find_movies
    from migradetect.params import Params

    out = movie_file.parent.parent / "analysed"
    summary = run_batch(find_movies([movie_file]), out, Params(), workers=0)
    assert [one.status for one in summary.outcomes] == ["done"], summary.outcomes
    assert len(summary.movies) == 1
    return out


@pytest.fixture
def out(analysed, tmp_path):
    """A copy of the results that may be written to."""
    return Path(shutil.copytree(analysed, tmp_path / "out"))


@pytest.fixture
def session(out):
    from migradetect.review import ReviewSession

    return ReviewSession.open(out, "dish")


@pytest.fixture
def movie(movie_file):
    from migradetect.io import open_movie

    return open_movie(movie_file)


@pytest.fixture
def scene(session):
    """A review in a viewer without a window."""
    from napari.components import ViewerModel

    from migradetect_napari._scene import Scene

    return Scene(ViewerModel(), session)
