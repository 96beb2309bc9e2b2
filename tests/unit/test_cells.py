from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_disc, draw_line, draw_round
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.measure import regionprops_table

from migradetect.calibration import Calibration
from migradetect.cells import _segment, measure_cells, segment_cells
from migradetect.params import CellParams

PIXEL_UM = 0.25
CALIBRATION = Calibration(PIXEL_UM, 60.0)
PARAMS = CellParams()
RULES = CellParams(method="rules")
METHODS = pytest.mark.parametrize("params", [PARAMS, RULES], ids=["learned", "rules"])
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


@METHODS
def test_two_touching_discs_are_parted(params: CellParams) -> None:
    left, right = draw_disc(SHAPE, 140, 95, 52), draw_disc(SHAPE, 140, 195, 52)
    assert (left & right).any(), "test invalid"
    labels, _ = segment_cells(photograph(left | right, 40.0), params, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels == labels[140, 90], left) > 0.9
    assert iou(labels == labels[140, 200], right) > 0.9


@METHODS
def test_one_long_cell_is_not_cut(params: CellParams) -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ellipse = ((yy - 140) / 40) ** 2 + ((xx - 150) / 100) ** 2 <= 1
    labels, _ = segment_cells(photograph(ellipse, 40.0), params, CALIBRATION)
    assert labels.max() == 1
    assert iou(labels > 0, ellipse) > 0.93


def test_frame_before_parts_cells_without_a_neck() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    together = (np.abs(yy - 140) <= 45) & (np.abs(xx - 150) <= 100)
    image = photograph(together, 40.0)
    before = np.zeros(SHAPE, np.int32)
    before[together & (xx < 145)] = 1
    before[together & (xx > 155)] = 2
    assert segment_cells(image, RULES, CALIBRATION)[0].max() == 1, "test invalid"
    labels, _ = segment_cells(image, RULES, CALIBRATION, before)
    assert labels.max() == 2
    assert iou(labels == labels[140, 80], together & (xx < 150)) > 0.85


def test_cell_that_was_cut_by_mistake_heals() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ellipse = ((yy - 140) / 40) ** 2 + ((xx - 150) / 100) ** 2 <= 1
    before = np.where(ellipse, 1 + (xx > 150), 0).astype(np.int32)
    image = photograph(ellipse, 40.0)
    assert segment_cells(image, RULES, CALIBRATION, before)[0].max() == 2, "test invalid"
    assert segment_cells(image, PARAMS, CALIBRATION, before)[0].max() == 1


def test_faint_border_keeps_apart_what_was_two() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    together = (np.abs(yy - 140) <= 60) & (np.abs(xx - 150) <= 100)
    image = photograph(together * np.where(xx < 150, 1.0, 0.8), 40.0)
    before = np.where(together, 1 + (xx > 150), 0).astype(np.int32)
    alone, _ = segment_cells(image, PARAMS, CALIBRATION)
    kept, _ = segment_cells(image, PARAMS, CALIBRATION, before)
    assert (alone.max(), kept.max()) == (1, 2)


def test_frame_before_holds_one_cell_together() -> None:
    left, right = draw_disc(SHAPE, 140, 110, 52), draw_disc(SHAPE, 140, 190, 52)
    image = photograph(left | right, 40.0)
    assert segment_cells(image, RULES, CALIBRATION)[0].max() == 2, "test invalid"
    before = (left | right).astype(np.int32)
    labels, _ = segment_cells(image, RULES, CALIBRATION, before)
    assert labels.max() == 1


def test_border_that_is_seen_parts_what_was_one_cell() -> None:
    # two discs with a notch between them are two cells to any eye, whatever was found before
    left, right = draw_disc(SHAPE, 140, 110, 52), draw_disc(SHAPE, 140, 190, 52)
    before = (left | right).astype(np.int32)
    labels, _ = segment_cells(photograph(left | right, 40.0), PARAMS, CALIBRATION, before)
    assert labels.max() == 2


def test_step_of_brightness_parts_cells_without_a_neck() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    together = (np.abs(yy - 140) <= 60) & (np.abs(xx - 150) <= 100)
    step = np.where(xx < 150, 1.0, 0.5)
    labels, _ = segment_cells(photograph(together * step, 60.0), PARAMS, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels == labels[140, 80], together & (xx < 150)) > 0.85
    assert segment_cells(photograph(together, 60.0), PARAMS, CALIBRATION)[0].max() == 1


@METHODS
def test_deep_neck_parts_what_was_one_cell(params: CellParams) -> None:
    left, right = draw_disc(SHAPE, 140, 95, 52), draw_disc(SHAPE, 140, 195, 52)
    labels, _ = segment_cells(photograph(left | right, 40.0), params, CALIBRATION, (left | right).astype(np.int32))
    assert labels.max() == 2


@METHODS
def test_lobe_too_small_for_a_cell_stays_with_its_body(params: CellParams) -> None:
    body, lobe = draw_disc(SHAPE, 140, 110, 60), draw_disc(SHAPE, 140, 184, 20)  # 707 and 79 um2
    before = np.where(body, 1, np.where(lobe, 2, 0)).astype(np.int32)
    labels, _ = segment_cells(photograph(body | lobe, 40.0), params, CALIBRATION, before)
    assert labels.max() == 1
    assert iou(labels == 1, body | lobe) > 0.93


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


@pytest.mark.parametrize(("level", "is_body"), [(0.4, True), (0.0, False)])
def test_hole_is_body_unless_it_is_as_dark_as_the_dish(level: float, is_body: bool) -> None:
    hole = draw_disc(SHAPE, 140, 150, 22)
    ring = draw_disc(SHAPE, 140, 150, 60) & ~hole
    labels, thick = segment_cells(photograph(ring + level * hole, 40.0), PARAMS, CALIBRATION)
    assert labels[140, 105] > 0
    assert (labels[140, 150] > 0) == thick[140, 150] == is_body


@pytest.mark.parametrize("height", [6.0, 12.0, 40.0, 200.0])
def test_outline_lies_at_the_half_height_of_the_edge(height: float) -> None:
    disc = draw_disc(SHAPE, 138, 151, 14 / PIXEL_UM)
    labels, _ = segment_cells(photograph(disc, height), PARAMS, CALIBRATION)
    offset_um = (np.sqrt((labels > 0).sum() / np.pi) - np.sqrt(disc.sum() / np.pi)) * PIXEL_UM
    assert abs(offset_um) < 0.1


def test_outline_holds_on_the_dim_and_the_bright_side_of_one_cell() -> None:
    disc = draw_disc(SHAPE, 140, 150, 60)
    ramp = np.where(np.arange(SHAPE[1]) < 150, 1.0, 0.25)
    labels, _ = segment_cells(photograph(disc * ndi.gaussian_filter1d(ramp, 12.0), 60.0), PARAMS, CALIBRATION)
    assert labels.max() == 1
    for half in (np.s_[:, :150], np.s_[:, 150:]):
        found, true = (np.sqrt(2 * (mask[half] > 0).sum() / np.pi) for mask in (labels, disc))
        assert abs(found - true) * PIXEL_UM < 0.15


@pytest.mark.parametrize("diameter_um", [0.8, 1.5, 2.4])
@pytest.mark.parametrize("gap_um", [0.0, 0.3])
def test_bead_that_touches_a_body_stays_outside(diameter_um: float, gap_um: float) -> None:
    pixel_um = 0.15
    shape = (240, 260)
    disc = draw_disc(shape, 120, 110, 70)
    x = 110 + 70 + (diameter_um / 2 + gap_um) / pixel_um
    bead = draw_round(shape, 120, x, diameter_um / pixel_um, 1.0)
    image = photograph(disc, 40.0) + 30 * bead / bead.max()
    _, thick = segment_cells(image.astype(np.float32), PARAMS, Calibration(pixel_um, 60.0))
    assert thick[120, 170]
    assert not thick[120, round(x) :].any()
    assert iou(thick, disc) > 0.98


def rim_of(mask: Mask) -> Mask:
    """The outermost two pixels of a mask."""
    return mask & ~ndi.binary_erosion(mask, iterations=2)


def test_endosome_at_the_rim_of_a_body_stays_inside() -> None:
    pixel_um = 0.15
    shape = (240, 260)
    disc = draw_disc(shape, 120, 110, 70)
    image = photograph(disc, 40.0)
    for x, diameter_um in ((170.0, 1.0), (110.0, 2.0)):
        endosome = draw_round(shape, 120, x, diameter_um / pixel_um, 1.0)
        image += (60 * endosome / endosome.max()).astype(np.float32)
    _, thick = segment_cells(image, PARAMS, Calibration(pixel_um, 60.0))
    assert thick[disc & ~rim_of(disc)].all()


def test_dark_gap_between_a_cell_and_a_fiber_is_not_filled() -> None:
    disc = draw_disc(SHAPE, 140, 110, 56)
    image = photograph(disc, 40.0)
    # a fiber leaves the body, runs along it 3 um away and comes back
    for start, end in (((100, 150), (100, 180)), ((100, 180), (180, 180)), ((180, 180), (180, 150))):
        image += 15 * draw_line(SHAPE, start, end, 0.8)
    labels, thick = segment_cells(image, PARAMS, CALIBRATION)
    gap = ~disc & (ndi.distance_transform_edt(~disc) > 3)
    assert (gap[100:181, 150:180]).any(), "test invalid"
    assert not (thick & gap).any()
    assert iou(labels > 0, disc) > 0.97


@METHODS
def test_touching_cells_are_parted_at_the_edge_of_the_brighter_one(params: CellParams) -> None:
    # the bright one lies upon the other: its edge is an arc that bulges past the neck
    upper, lower = draw_disc(SHAPE, 140, 107, 52), draw_disc(SHAPE, 140, 193, 52)
    lower &= ~upper
    labels, _ = segment_cells(photograph(upper + 0.4 * lower, 80.0), params, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels == labels[140, 80], upper) > 0.97
    assert iou(labels == labels[140, 220], lower) > 0.97


def test_dim_cell_beside_a_five_times_brighter_one() -> None:
    bright, dim = draw_disc(SHAPE, 140, 90, 55), draw_disc(SHAPE, 140, 205, 55)
    gap = 205 - 90 - 2 * 55
    assert 0 < gap * PIXEL_UM < 2, "test invalid"
    labels, _ = segment_cells(photograph(bright + 0.2 * dim, 100.0), PARAMS, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels == labels[140, 90], bright) > 0.97
    assert iou(labels == labels[140, 205], dim) > 0.97


def test_large_body_with_a_soft_edge_is_found() -> None:
    # it thins out over 12 um: a wide lamella, or a body slightly out of focus
    mask = draw_disc((400, 400), 200, 200, 20.0 / PIXEL_UM)
    away = ndi.distance_transform_edt(mask) * PIXEL_UM
    noise = np.random.default_rng(3).standard_normal(mask.shape)
    image = (6.0 * np.clip(away / 12.0, 0, 1) + noise).astype(np.float32)
    labels, _ = segment_cells(image, PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert iou(labels > 0, mask) > 0.6


def test_body_with_a_soft_outline_above_a_textured_dish() -> None:
    # five noise units above a dish whose own light varies, and outlines 3 um wide: the eye sees it without trouble
    mask = draw_disc((400, 400), 200, 200, 14.0 / PIXEL_UM)
    rng = np.random.default_rng(5)
    texture = ndi.gaussian_filter(rng.standard_normal(mask.shape), 4.0 / PIXEL_UM)
    soft = ndi.gaussian_filter(mask.astype(float), 1.3 / PIXEL_UM)
    image = 5.5 * soft + 0.8 * texture / texture.std() + rng.standard_normal(mask.shape)
    labels, _ = segment_cells(image.astype(np.float32), PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert iou(labels > 0, mask) > 0.8


@pytest.mark.parametrize("sigma_um", [4.0, 8.0, 12.0])
def test_smooth_patch_of_haze_is_no_body(sigma_um: float) -> None:
    yy, xx = np.mgrid[:400, :400]
    patch = 8 * np.exp(-((yy - 200) ** 2 + (xx - 200) ** 2) / (2 * (sigma_um / PIXEL_UM) ** 2))
    image = (patch + np.random.default_rng(6).standard_normal(patch.shape)).astype(np.float32)
    assert segment_cells(image, PARAMS, CALIBRATION)[0].max() == 0


def test_clump_of_beads_and_haze_are_no_bodies() -> None:
    image = photograph(draw_disc(SHAPE, 140, 70, 56), 40.0)
    for y, x in ((60, 230), (68, 236), (60, 244), (76, 230)):
        bead = draw_round(SHAPE, y, x, 2.0 / PIXEL_UM, 0.8)
        image += (40 * bead / bead.max()).astype(np.float32)
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image += (8 * np.exp(-((yy - 220) ** 2 + (xx - 230) ** 2) / (2 * 30**2))).astype(np.float32)
    labels, thick = segment_cells(image, PARAMS, CALIBRATION)
    assert labels.max() == 1
    assert not thick[:, 150:].any()


def test_cells_that_fill_most_of_the_field_are_outlined() -> None:
    cells = np.ones(SHAPE, bool)
    cells[:, 140:160] = False
    labels, _ = segment_cells(photograph(cells, 30.0), PARAMS, CALIBRATION)
    assert labels.max() == 2
    assert iou(labels > 0, cells) > 0.98


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (1, 300), (33, 900)])
@pytest.mark.parametrize("pixel_um", [0.03, 0.16, 0.5, 2.0])
def test_any_shape_and_pixel_size(shape: tuple[int, int], pixel_um: float) -> None:
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    image[:, : shape[1] // 2] += 20
    labels, thick = segment_cells(image, PARAMS, Calibration(pixel_um, 60.0))
    again, _ = segment_cells(image, PARAMS, Calibration(pixel_um, 60.0), labels)
    assert labels.shape == thick.shape == again.shape == shape
    assert not ((labels > 0) & ~thick).any()


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


def test_measures_are_those_of_scikit_image() -> None:
    rng = np.random.default_rng(4)
    # ragged bodies that touch each other and the border, single pixels, a ring, a square, and a label left out
    smooth = ndi.gaussian_filter(rng.standard_normal(SHAPE), 6.0)
    labels = np.where(np.abs(smooth) > 0.02, 1 + np.digitize(smooth, [-0.06, 0.0, 0.06]), 0).astype(np.int32)
    labels[rng.random(SHAPE) < 0.003] = 9
    labels[30:61, 30:61] = 6
    labels[draw_disc(SHAPE, 150, 100, 30) & ~draw_disc(SHAPE, 150, 100, 20)] = 7
    image = rng.standard_normal(SHAPE).astype(np.float32)
    table = measure_cells(labels, {"wga": image}, Calibration(1.0, 60.0))
    names = ("label", "centroid", "area", "perimeter", "eccentricity", "orientation", "intensity_mean", "bbox")
    expected = regionprops_table(labels, image, properties=names)
    assert len(table) >= 6, "test invalid"
    pairs = {
        "label": "label",
        "y_um": "centroid-0",
        "x_um": "centroid-1",
        "area_um2": "area",
        "perimeter_um": "perimeter",
        "eccentricity": "eccentricity",
        "mean_wga": "intensity_mean",
    }
    for ours, theirs in pairs.items():
        np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-6, atol=1e-6, err_msg=ours)
    # an axis has no sign
    np.testing.assert_allclose(np.cos(2 * (table["orientation_rad"] - expected["orientation"])), 1, atol=1e-9)
    inner = [expected[f"bbox-{k}"] for k in range(4)]
    touches = (inner[0] == 0) | (inner[1] == 0) | (inner[2] == SHAPE[0]) | (inner[3] == SHAPE[1])
    assert table["touches_border"].tolist() == touches.tolist()
    assert 0 < touches.sum() < touches.size, "test invalid"


def test_outlines_drawn_on_a_smaller_grid_agree_with_those_drawn_on_the_recorded_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape, fine = (500, 540), Calibration(0.11, 60.0)
    bodies = draw_disc(shape, 150, 150, 100) | draw_disc(shape, 340, 380, 110) | draw_disc(shape, 180, 400, 75)
    texture = 1 + 0.3 * ndi.gaussian_filter(np.random.default_rng(5).standard_normal(shape), 15.0) * 50
    image = (ndi.gaussian_filter(bodies * 40.0 * texture, 1.3)).astype(np.float32)
    image += np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    labels, thick = segment_cells(image, PARAMS, fine)
    assert _segment.Grid.shrunk(shape, fine.pixel_size_um, _segment._FINE_UM).shape == (250, 270), "test invalid"
    monkeypatch.setattr(_segment, "_FINE_UM", 0.11)
    full, whole = segment_cells(image, PARAMS, fine)
    assert labels.shape == full.shape == shape
    assert full.max() == labels.max() >= 2
    for label in range(1, int(full.max()) + 1):
        assert iou(labels == label, full == label) > 0.99
    assert iou(thick, whole) > 0.99
    # the outline passes between the pixels of the smaller grid: no staircase of two pixels
    assert iou(labels > 0, np.repeat(np.repeat(labels[::2, ::2], 2, 0), 2, 1) > 0) < 0.9999


@pytest.mark.parametrize("shape", [(281, 303), (300, 301)])
def test_frames_that_are_no_multiple_of_the_smaller_grid_keep_their_shape_and_place(shape: tuple[int, int]) -> None:
    body = draw_disc(shape, 150, 160, 90)
    image = ndi.gaussian_filter(body * 40.0, 1.3) + np.random.default_rng(1).standard_normal(shape)
    labels, thick = segment_cells(image.astype(np.float32), PARAMS, Calibration(0.09, 60.0))
    assert labels.shape == thick.shape == shape
    assert iou(labels == 1, body) > 0.97
    y, x = (np.mean(axis) for axis in np.nonzero(labels == 1))
    assert (y, x) == (pytest.approx(150, abs=0.5), pytest.approx(160, abs=0.5))
