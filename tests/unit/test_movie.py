import pickle

import numpy as np
import pytest

from migradetect import Calibration, Movie
from migradetect.errors import AxesError

CALIBRATION = Calibration(0.1, 60.0)


@pytest.fixture
def data():
    return np.arange(3 * 2 * 4 * 5, dtype=np.uint16).reshape(3, 2, 4, 5)


@pytest.fixture
def movie(data):
    return Movie.from_array(data, CALIBRATION, ["tspan4", "wga"], "dish")


def test_axes_are_named(movie, data):
    assert (movie.n_frames, movie.height, movie.width, movie.shape_yx) == (3, 4, 5, (4, 5))
    assert movie.roles == ("tspan4", "wga")
    assert movie.dtype == "uint16"
    plane = movie.frame(2, "wga")
    assert plane.dtype == np.float32
    np.testing.assert_array_equal(plane, data[2, 1])
    assert set(movie.frame_stack(0)) == {"tspan4", "wga"}


def test_a_frame_is_a_copy(movie, data):
    before = data.copy()
    movie.frame(0, "tspan4")[:] = 0
    np.testing.assert_array_equal(data, before)


def test_float_frames_are_copies_too():
    data = np.ones((1, 1, 2, 2), dtype=np.float32)
    movie = Movie.from_array(data, Calibration(0.1), ["wga"])
    movie.frame(0, "wga")[:] = 0
    assert data.all()


def test_single_frame_needs_no_interval(data):
    movie = Movie.from_array(data[0], Calibration(0.1), ["tspan4", "wga"])
    assert movie.n_frames == 1


@pytest.mark.parametrize(
    ("roles", "calibration", "word"),
    [
        (["tspan4"], CALIBRATION, "shape"),
        (["tspan4", "tspan4"], CALIBRATION, "one channel per role"),
        (["dapi", "dic"], CALIBRATION, "--channels"),
        (["tspan4", "wga"], Calibration(0.1), "--frame-interval-s"),
    ],
)
def test_what_is_ambiguous_is_refused(data, roles, calibration, word):
    with pytest.raises(AxesError, match=word):
        Movie.from_array(data, calibration, roles)


def test_further_channels_are_welcome(data):
    assert Movie.from_array(data, CALIBRATION, ["dapi", "wga"]).roles == ("dapi", "wga")


def test_frames_of_another_size_are_an_error(movie):
    class Cut:
        def read(self, frame, channel):
            return np.zeros((2, 2))

    fields = {name: getattr(movie, name) for name in Movie.__slots__} | {"source": Cut()}
    with pytest.raises(AxesError, match="frame 1"):
        Movie(**fields).frame(1, "wga")


def test_a_movie_can_be_sent_to_a_worker(movie):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(movie)).frame(1, "wga"), movie.frame(1, "wga"))
