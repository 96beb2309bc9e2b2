import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from migradetect.calibration import Calibration
from migradetect.drawing import FrameStyle, draw_frame, output_shape
from migradetect.errors import CancelledError, OutputError
from migradetect.film import export_film
from migradetect.io import write_film, write_picture
from migradetect.movie import Movie

CAL = Calibration(0.25, 60.0)
STYLE = FrameStyle({"tspan4": (0.0, 100.0), "wga": (0.0, 100.0)}, CAL, show_scale_bar=False, show_time=False)


def images(tspan4=0.0, wga=0.0, size=64):
    return {"tspan4": np.full((size, size), tspan4), "wga": np.full((size, size), wga)}


@pytest.fixture
def movie():
    data = np.random.default_rng(0).integers(0, 200, (4, 2, 50, 70)).astype(np.uint16)
    return Movie.from_array(data, CAL, ["tspan4", "wga"])


def test_channels_add_up_to_white():
    assert (draw_frame(images(tspan4=100.0), STYLE)[5, 5] == (255, 0, 255)).all()
    assert (draw_frame(images(wga=100.0), STYLE)[5, 5] == (0, 255, 0)).all()
    assert (draw_frame(images(tspan4=100.0, wga=100.0), STYLE)[5, 5] == 255).all()
    assert (draw_frame(images(), STYLE) == 0).all()


@pytest.mark.parametrize(("shape", "zoom"), [((64, 64), 10), ((512, 512), 1), ((2048, 2048), 1920 / 2048)])
def test_pictures_are_large_enough_and_even(shape, zoom):
    height, width, found = output_shape(shape)
    assert found == pytest.approx(zoom)
    assert height % 2 == width % 2 == 0
    assert (height, width) == pytest.approx((shape[0] * zoom, shape[1] * zoom), abs=2)


def test_rings_lie_around_migrasomes():
    found = pd.DataFrame({"y_um": [8.0], "x_um": [4.0], "diameter_um": [2.0]})
    picture = draw_frame(images(), STYLE, migrasomes=found)
    zoom = output_shape((64, 64))[2]
    yy, xx = np.nonzero(picture.any(axis=2))
    centre = ((8.0 / 0.25 + 0.5) * zoom - 0.5, (4.0 / 0.25 + 0.5) * zoom - 0.5)
    np.testing.assert_allclose(((yy.min() + yy.max()) / 2, (xx.min() + xx.max()) / 2), centre, atol=1)
    assert np.ptp(yy) == pytest.approx((2.0 + 0.5) / 0.25 * zoom, abs=3)


def test_outlines_fibers_bar_and_time_are_drawn():
    cells, fibers = np.zeros((64, 64), int), np.zeros((64, 64), int)
    cells[10:30, 10:30], fibers[50, 5:60] = 1, 2
    outlined = draw_frame(images(), STYLE, cells=cells)
    assert outlined.any()
    assert not outlined[200, 200].any()  # the inside stays free
    assert draw_frame(images(), STYLE, fibers=fibers)[505, 300].any()
    marked = draw_frame(images(), FrameStyle(STYLE.limits, CAL, False, True, True), time_min=75.0)
    assert marked[:80, :200].any()
    assert marked[-80:, -200:].any()
    plain = draw_frame(images(), FrameStyle(STYLE.limits, CAL, False, True, True), time_min=float("nan"))
    assert not plain[:80, :200].any()


def test_images_are_not_changed():
    given = images(tspan4=50.0)
    before = {name: image.copy() for name, image in given.items()}
    draw_frame(given, STYLE)
    assert all((given[name] == before[name]).all() for name in given)


def test_tiff_and_gif(movie, tmp_path):
    told = []
    path = export_film(movie, tmp_path / "a.tif", progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    height, width, _ = output_shape(movie.shape_yx)
    assert tifffile.imread(path).shape == (4, height, width, 3)
    path = export_film(movie, tmp_path / "a.gif", frames=range(1, 3), frames_per_s=5)
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (2, (width, height), 200)


def test_mp4(movie, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = export_film(movie, tmp_path / "a.mp4", frames_per_s=8)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert ffmpeg.count_frames_and_secs(str(path)) == (4, pytest.approx(0.5))


def test_what_is_not_complete_is_not_there(movie, tmp_path):
    for name in ("a.tif", "a.gif"):
        seen = []

        def cancel(seen=seen):
            seen.append(1)
            return len(seen) > 2

        with pytest.raises(CancelledError, match="frame 2"):
            export_film(movie, tmp_path / name, cancel=cancel)
    with pytest.raises(OutputError, match=r"ends in .mp4"):
        export_film(movie, tmp_path / "a.avi")
    with pytest.raises(OutputError, match="choose another folder"):
        export_film(movie, tmp_path / "no" / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_another_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected pictures"):
        write_film(tmp_path / "a.gif", [np.zeros((4, 4, 3), np.uint8)], 1, (6, 6))


def test_picture(tmp_path):
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    with Image.open(write_picture(tmp_path / "a.png", picture)) as image:
        assert (np.asarray(image) == picture).all()
