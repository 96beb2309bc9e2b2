import numpy as np
import pytest
import tifffile

from migradetect.errors import ReadError
from migradetect.io import open_movie
from migradetect.io.options import InputOptions

OPTIONS = InputOptions(pixel_size_um=0.2, frame_interval_s=60.0, axes="TYX", channels=("tspan4",))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib", "rowsperstrip": 16},
        {"compression": "zlib", "rowsperstrip": 203},
        {"compression": "lzw", "rowsperstrip": 7, "predictor": True},
        {"compression": "zstd", "tile": (32, 48)},
        {"tile": (64, 64)},
    ],
)
def test_rows_are_those_of_the_plane(tmp_path, how):
    data = np.random.default_rng(0).integers(0, 60000, (3, 203, 157)).astype(np.uint16)
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, data, photometric="minisblack", metadata=None, **how)
    movie = open_movie(path, OPTIONS)
    for start, stop in ((0, 203), (0, 1), (15, 17), (200, 203), (30, 70)):
        np.testing.assert_array_equal(movie.source.read_rows(1, 0, start, stop), data[1, start:stop])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_that_was_cut_is_an_error(tmp_path, compression):
    data = np.random.default_rng(0).integers(0, 60000, (2, 64, 50)).astype(np.uint16)
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, data, photometric="minisblack", metadata=None, compression=compression, rowsperstrip=8)
    movie = open_movie(path, OPTIONS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 4])
    with pytest.raises(ReadError, match="copy it again"):
        movie.source.read_rows(1, 0, 40, 64)
