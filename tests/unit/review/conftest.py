import shutil
from pathlib import Path

import numpy as np
import pytest

from migradetect.batch import run_batch
from migradetect.io import find_movies, write_movie
from migradetect.params import load_params
from migradetect.review import ReviewSession
from migradetect.review._base import Base
from migradetect.review._images import Recording
from migradetect.review._log import EditLog
from migradetect.synthetic import simulate

SIZE = {"height_px": 208, "width_px": 208, "pixel_size_um": 0.2, "frame_interval_s": 120.0, "n_frames": 10}
#: A frame that can't be used: numbers of usable frames and of frames as recorded differ after it.
LOST = 4


@pytest.fixture(scope="session")
def movies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review") / "movies"
    folder.mkdir()
    simulated = simulate("clean", 7, warmup_min=150.0, migrasomes_per_100um=10.0, n_tails=4.0, **SIZE)
    movie = simulated.movie()
    data = np.stack([[movie.source.read(t, c) for c in range(len(movie.roles))] for t in range(movie.n_frames)])
    data[LOST] = 0
    write_movie(folder / "dish.ome.tif", data, "TCYX", movie.calibration, list(movie.roles))
    (folder / "plate.csv").write_text("file,condition,time_offset_min\ndish.ome.tif,control,30\n")
    return folder


def analyse(movies, out, **sections):
    overrides = {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}
    summary = run_batch(find_movies([movies]), out, load_params(environ={}, overrides=overrides), workers=0)
    assert [o.status for o in summary.outcomes] == ["done"], summary.outcomes
    return summary


@pytest.fixture(scope="session")
def analysed(movies):
    """Automatic results; not to be written to."""
    out = movies.parent / "out"
    analyse(movies, out)
    return out


@pytest.fixture(scope="session")
def base(analysed):
    return Base.load(analysed / "dish")


@pytest.fixture(scope="session")
def recording(base):
    return Recording(base)


@pytest.fixture
def out(analysed, tmp_path):
    """A copy of the results that may be written to."""
    return Path(shutil.copytree(analysed, tmp_path / "out"))


@pytest.fixture
def session(out):
    return ReviewSession.open(out, "dish")


@pytest.fixture
def fresh(base, recording, tmp_path):
    """Opens the log of this test on the shared results; the log alone is written."""
    path = tmp_path / "edits.jsonl"

    def fresh():
        return ReviewSession(base, EditLog.read(path), recording, None)

    return fresh
