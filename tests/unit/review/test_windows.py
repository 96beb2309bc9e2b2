"""Parts of compressed planes that are kept for the next correction nearby."""

import numpy as np
import pytest
import tifffile

from migradetect.calibration import Calibration
from migradetect.io import InputOptions, find_movies, open_movie
from migradetect.movie import Movie
from migradetect.review._windows import WindowCache

DATA = np.random.default_rng(3).integers(0, 4000, (3, 2, 120, 150)).astype(np.uint16)


class Counted:
    """Planes that can only be read whole, and how often that was."""

    def __init__(self, data=DATA):
        self.data, self.n = data, 0

    def read(self, frame, channel):
        self.n += 1
        return self.data[frame, channel]


def counted(data=DATA, room=120 * 150 * 2 * 12):
    from dataclasses import replace

    source = Counted(data)
    movie = replace(Movie.from_array(data, Calibration(0.2, 60.0), ["tspan4", "wga"]), source=source)
    return WindowCache(movie, room), source


def ask(windows, y, x, half=8):
    rows, columns = (slice(max(0, c - half), min(n, c + half)) for c, n in ((y, 120), (x, 150)))
    for frame in range(3):
        for channel in range(2):
            found = windows.read(frame, channel, rows, columns)
            np.testing.assert_array_equal(found, DATA[frame, channel, rows, columns])


def test_a_second_place_nearby_is_not_decoded_again():
    windows, source = counted(room=60 * 60 * 2 * 6 * 2)
    assert windows.side_px == 60
    ask(windows, 50, 70)
    assert source.n == 6
    ask(windows, 60, 60)
    assert source.n == 6, "it lies in what was kept"
    ask(windows, 100, 70)
    assert source.n == 12, "it does not"
    ask(windows, 50, 70)
    assert source.n == 12, "there is room for two places"


@pytest.mark.parametrize("place", [(0, 0), (119, 149), (0, 149), (60, 0)])
def test_at_the_edge(place):
    windows, source = counted()
    ask(windows, *place)
    ask(windows, *place)
    assert source.n == 6


def test_memory_is_bounded():
    windows, _ = counted(room=60 * 60 * 2 * 6 * 2)
    for y in range(10, 110, 10):
        for x in range(10, 140, 10):
            ask(windows, y, x)
    assert sum(part.nbytes for _, _, part in windows._kept.values()) == windows._bytes <= 60 * 60 * 2 * 6 * 2


def test_what_is_asked_for_is_given_where_there_is_no_room():
    windows, source = counted(room=10)
    ask(windows, 60, 70)
    ask(windows, 60, 70)
    assert source.n == 12, "nothing was kept"
    assert windows._bytes <= 10


def test_holes_are_filled_as_in_the_analysis():
    data = DATA.astype(np.float32)
    data[1, 0, 50, 60] = np.nan
    windows, _ = counted(data)
    assert np.isfinite(windows.read(1, 0, slice(40, 60), slice(50, 70))).all()


@pytest.mark.parametrize(
    ("options", "is_by_rows"),
    [
        ({}, True),
        ({"compression": "zlib", "rowsperstrip": 120}, False),
        ({"compression": "zlib", "rowsperstrip": 8}, True),
        ({"compression": "zstd", "tile": (16, 16)}, True),
    ],
)
def test_only_planes_in_one_piece_are_kept(tmp_path, options, is_by_rows):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for plane in DATA[:, 0]:
            writer.write(plane, metadata=None, contiguous=False, **options)
    options = InputOptions(axes="TYX", channels=("tspan4",), pixel_size_um=0.2, frame_interval_s=60.0)
    windows = WindowCache(open_movie(find_movies([path], options)[0]))
    for frame in (0, 2):
        found = windows.read(frame, 0, slice(30, 50), slice(40, 70))
        np.testing.assert_array_equal(found, DATA[frame, 0, 30:50, 40:70])
    assert (len(windows._kept) == 0) == is_by_rows
