from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_disc, draw_line, draw_round
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.calibration import Calibration
from migradetect.cells import measure_cells, segment_cells
from migradetect.params import CellParams

PIXEL_UM = 0.25
CALIBRATION = Calibration(PIXEL_UM, 60.0)
PARAMS = CellParams()
SHAPE = (280, 300)

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]


def photograph(mask: Mask, height: float, seed: int = 0) -> Image:
    """Bodies of one brightness through a PSF, with unit noise."""
    blurred = ndi.gaussian_filter(mask * height, 0.6)
    return (blurred + np.random.default_rng(seed).standard_normal(mask.shape)).astype(np.float32)


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("height", [8.0, 30.0, 150.0])
@pytest.mark.parametrize("radius_um", [13.0, 16.0])
def test_outline_of_a_disc_is_found_at_any_brightness(radius_um: float, height: float) -> None:
    disc = draw_disc(SHAPE, 138, 151, radius_um / PIXEL_UM)
    labels, thick = segment_cells(photograph(disc, height), PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert iou(labels > 0, disc) > 0.93
    assert not (labels > 0)[~thick].any()
    table = measure_cells(labels, {"wga": np.ones(SHAPE, np.float32)}, CALIBRATION)
    assert table["area_um2"][0] == pytest.approx(np.pi * radius_um**2, rel=0.08)


def test_bright_and_dim_cell_in_one_field() -> None:
    bright, dim = draw_disc(SHAPE, 75, 75, 55), draw_disc(SHAPE, 195, 220, 58)
    image = photograph(bright, 120.0) + photograph(dim, 25.0, 1)
    labels, _ = segment_cells(image, PARAMS, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels == labels[75, 75], bright) > 0.93
    assert iou(labels == labels[195, 220], dim) > 0.93


def test_two_touching_discs_are_parted() -> None:
    left, right = draw_disc(SHAPE, 140, 95, 52), draw_disc(SHAPE, 140, 195, 52)
    assert (left & right).any(), "test invalid"
    labels, _ = segment_cells(photograph(left | right, 40.0), PARAMS, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels == labels[140, 90], left) > 0.9
    assert iou(labels == labels[140, 200], right) > 0.9


def test_one_long_cell_is_not_cut() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ellipse = ((yy - 140) / 40) ** 2 + ((xx - 150) / 100) ** 2 <= 1
    labels, _ = segment_cells(photograph(ellipse, 40.0), PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert iou(labels > 0, ellipse) > 0.93


def test_frame_before_parts_cells_without_a_neck() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    together = (np.abs(yy - 140) <= 45) & (np.abs(xx - 150) <= 100)
    image = photograph(together, 40.0)
    before = np.zeros(SHAPE, np.int32)
    before[together & (xx < 145)] = 1
    before[together & (xx > 155)] = 2
    assert segment_cells(image, PARAMS, CALIBRATION)[0].max() == 1, "test invalid"
    labels, _ = segment_cells(image, PARAMS, CALIBRATION, before)
    assert labels.max() == 2
    assert iou(labels == labels[140, 80], together & (xx < 150)) > 0.85


def test_frame_before_holds_one_cell_together() -> None:
    left, right = draw_disc(SHAPE, 140, 95, 52), draw_disc(SHAPE, 140, 195, 52)
    before = (left | right).astype(np.int32)
    labels, _ = segment_cells(photograph(left | right, 40.0), PARAMS, CALIBRATION, before)
    assert labels.max() == 1


def test_fiber_and_migrasome_are_not_body() -> None:
    disc = draw_disc(SHAPE, 140, 100, 48)
    image = photograph(disc, 40.0) + 15 * draw_line(SHAPE, (140, 140), (150, 290), 0.8)
    migrasome = draw_round(SHAPE, 150, 270, 2.0 / PIXEL_UM, 0.8)
    image += (60 * migrasome / migrasome.max()).astype(np.float32)
    labels, thick = segment_cells(image, PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert iou(labels > 0, disc) > 0.93
    assert not thick[:, 175:].any()


def test_too_small_is_no_cell_unless_it_is_cut_by_the_border() -> None:
    small = draw_disc(SHAPE, 140, 150, 20)  # 79 um2
    at_border = draw_disc(SHAPE, 0, 150, 26)  # half of 133 um2
    assert segment_cells(photograph(small, 40.0), PARAMS, CALIBRATION)[0].max() == 0
    assert segment_cells(photograph(small, 40.0), CellParams(min_area_um2=50.0), CALIBRATION)[0].max() == 1
    labels, _ = segment_cells(photograph(at_border, 40.0), PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert measure_cells(labels, {}, CALIBRATION)["touches_border"].tolist() == [True]


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_noise_or_nothing_has_no_cells(level: float) -> None:
    noise = (level + np.random.default_rng(2).standard_normal(SHAPE)).astype(np.float32)
    for image in (noise, np.full(SHAPE, level, np.float32)):
        labels, thick = segment_cells(image, PARAMS, CALIBRATION)
        assert labels.shape == thick.shape == SHAPE
        assert labels.max() == 0


def test_hole_of_a_body_is_body() -> None:
    ring = draw_disc(SHAPE, 140, 150, 60) & ~draw_disc(SHAPE, 140, 150, 22)
    labels, _ = segment_cells(photograph(ring, 40.0), PARAMS, CALIBRATION)
    assert labels[140, 150] == labels[140, 105] > 0


def test_segmentation_leaves_its_inputs_alone() -> None:
    image = photograph(draw_disc(SHAPE, 140, 150, 50), 40.0)
    before, labels = image.copy(), draw_disc(SHAPE, 140, 150, 48).astype(np.int32)
    kept = labels.copy()
    segment_cells(image, PARAMS, CALIBRATION, labels)
    assert np.array_equal(image, before)
    assert np.array_equal(labels, kept)


def test_measures_of_a_disc_by_hand() -> None:
    labels = 3 * draw_disc(SHAPE, 120, 90, 40).astype(np.int32)
    labels[200:241, 0:21] = 5
    ramp = np.tile(np.arange(SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    table = measure_cells(labels, {"wga": ramp, "tspan4": np.full(SHAPE, 7.0, np.float32)}, CALIBRATION)
    disc, box = table.set_index("label").loc[3], table.set_index("label").loc[5]
    assert (disc["y_um"], disc["x_um"]) == (pytest.approx(30.0), pytest.approx(22.5))
    assert disc["area_um2"] == pytest.approx(np.pi * 10**2, rel=0.01)
    assert disc["perimeter_um"] == pytest.approx(2 * np.pi * 10, rel=0.06)
    assert disc["eccentricity"] < 0.1
    assert disc["mean_wga"] == pytest.approx(90)
    assert disc["mean_tspan4"] == pytest.approx(7)
    assert not disc["touches_border"]
    assert box["touches_border"]
    assert box["area_um2"] == pytest.approx(41 * 21 * PIXEL_UM**2)
    # the long axis runs along y: orientation 0 in scikit-image's convention
    assert abs(np.cos(box["orientation_rad"])) == pytest.approx(1.0)


def test_no_cells_give_an_empty_table_with_every_column() -> None:
    table = measure_cells(np.zeros(SHAPE, np.int32), {"wga": np.ones(SHAPE, np.float32)}, CALIBRATION)
    assert table.empty
    assert {"label", "area_um2", "mean_wga", "touches_border"} <= set(table.columns)
