import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure

from migradetect import Calibration
from migradetect.plots import COLOURS, display_range, overlay, preview_png
from migradetect.plots._overlay import _outlines, _segments

CALIBRATION = Calibration(0.1, 60.0)


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(100, 3, (60, 80)).astype(np.float32)


@pytest.fixture
def axes():
    return Figure().subplots()


def test_display_range(image):
    image[10:20, 10:20] = 2000
    shown = display_range(image)
    assert shown.dtype == np.float32
    assert shown.min() == 0
    assert shown.max() == 1
    faint = image.copy()
    faint[40, :] += 100  # a fiber: 5 % of the body
    assert display_range(faint)[40].mean() > shown[40].mean() + 0.1


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_display_range_of_a_flat_image(value):
    assert np.isfinite(display_range(np.full((5, 5), value))).all()


def test_touching_cells_keep_a_line_between_them():
    labels = np.zeros((20, 20), dtype=int)
    labels[5:15, 5:10] = 1
    labels[5:15, 10:15] = 2
    lines = _outlines(labels)
    assert len(lines) == 2
    for line in lines:
        assert line.min() >= 4.4
        assert line.max() <= 14.6


def test_segments_of_a_line_and_a_diagonal():
    skeleton = np.zeros((10, 12), dtype=int)
    skeleton[2, 3:7] = 1
    ends = _segments(skeleton)
    assert len(ends) == 3
    assert ends[:, :, 0].min() == 3
    assert ends[:, :, 0].max() == 6
    assert (ends[:, :, 1] == 2).all()
    for diagonal in (np.eye(6, dtype=int), np.eye(6, dtype=int)[:, ::-1]):
        ends = _segments(diagonal)
        assert len(ends) == 5
        assert all(diagonal[int(y), int(x)] for x, y in ends.reshape(-1, 2))
    assert len(_segments(np.zeros((4, 4)))) == 0


def test_overlay_places_things_in_pixels(axes, image):
    cells = np.zeros(image.shape, dtype=int)
    cells[10:20, 10:20] = 4
    fibers = np.zeros(image.shape, dtype=int)
    fibers[30, 10:40] = 1
    spots = pd.DataFrame({"y_um": [3.0, 1.0], "x_um": [5.0, 2.0], "diameter_um": [1.0, np.nan]})
    before = image.copy()
    overlay(axes, image, CALIBRATION, cells=cells, fibers=fibers, spots=spots)
    np.testing.assert_array_equal(image, before)
    circles = next(item for item in axes.collections if isinstance(item, EllipseCollection))
    np.testing.assert_allclose(circles.get_offsets(), [[50, 30], [20, 10]])
    assert len([item for item in axes.collections if isinstance(item, LineCollection)]) == 2
    assert all(text.get_text() == "1 um" for text in axes.texts)
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "row 0 is at the top"


NOTHING = pd.DataFrame({"y_um": [], "x_um": [], "diameter_um": []})


def _picture(image, cells, fibers, spots):
    png = preview_png(
        image,
        CALIBRATION,
        title="dish",
        cells=cells,
        fibers=fibers,
        spots=spots,
        counts={"cells": "0 cells", "fibers": "0 fibers", "migrasomes": "0 migrasomes"},
    )
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


def test_nothing_found_is_drawn_too(image):
    empty = np.zeros(image.shape, dtype=int)
    picture = _picture(image, empty, empty, NOTHING)
    rows, columns = round(image.shape[0] * 630 / 80), 630
    left, right = picture[44 : 44 + rows, :columns], picture[44 : 44 + rows, -columns:]
    np.testing.assert_array_equal(left, right)
    # each pixel of the image where it belongs, above the scale bar
    middle = (np.arange(40) + 0.5) * rows / image.shape[0]
    shown = left[middle.astype(int)][:, ((np.arange(80) + 0.5) * columns / 80).astype(int), 0]
    np.testing.assert_allclose(shown, 255 * display_range(image)[:40], atol=0.51)


def test_text_of_a_large_picture_can_be_read_on_the_screen():
    def label_height(width):
        empty = np.zeros((width // 4, width), int)
        picture = _picture(empty, empty, empty, NOTHING)
        margin = round(44 * max(1, width / 800))
        # nothing is white in an empty image but the scale bar and its length
        on = np.flatnonzero((picture[margin : margin + width // 4, :width] > 128).all(axis=2).any(axis=1))
        return np.ptp(on)

    small, large = label_height(800), label_height(2000)
    assert large / small == pytest.approx(2.5, rel=0.12)


def test_what_was_found_is_drawn_where_it_is(image):
    cells, fibers = np.zeros(image.shape, dtype=int), np.zeros(image.shape, dtype=int)
    cells[10:20, 10:20] = 4
    fibers[30, 40:60] = 1
    spots = pd.DataFrame({"y_um": [2.0], "x_um": [6.0], "diameter_um": [0.5]})
    picture = _picture(image, cells, fibers, spots)
    colourful = np.ptp(picture[44:516, -630:], axis=2) > 60
    assert not (np.ptp(picture[44:516, :630], axis=2) > 60).any()
    zoom = 630 / 80
    y, x = (np.array(place) / zoom - 0.5 for place in np.nonzero(colourful))
    on_outline = (np.abs(np.maximum(abs(y - 14.5), abs(x - 14.5)) - 5) < 0.5) & (y < 22)
    on_fiber = (abs(y - 30) < 0.5) & (x > 39) & (x < 60)
    on_ring = abs(np.hypot(y - 20, x - 60) - 7) < 0.5
    assert (on_outline | on_fiber | on_ring).all()
    assert min(on_outline.sum(), on_fiber.sum(), on_ring.sum()) > 50


def test_no_global_state(image):
    from matplotlib import _pylab_helpers

    figure = Figure()
    overlay(figure.subplots(), image, CALIBRATION)
    assert not _pylab_helpers.Gcf.get_all_fig_managers()


def test_colours_differ_in_brightness_too():
    def brightness(colour):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    levels = sorted(brightness(colour) for colour in COLOURS.values())
    assert min(np.diff(levels)) > 20
