from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skan
from drawn_shapes import draw_disc, draw_line, draw_round
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.draw import circle_perimeter, line

from migradetect.calibration import Calibration
from migradetect.fibers import ATTACH_UM, Beads, branch_paths, line_strength, measure_fibers, trace_fibers
from migradetect.params import FiberParams

CALIBRATION = Calibration(0.14, 60.0)
PARAMS = FiberParams()
PSF_UM = 0.115
SIGMA_PX = 0.9
SHAPE = (260, 280)
NO_BEADS = Beads(np.empty(0), np.empty(0), np.empty(0))
NO_CELLS = np.zeros(SHAPE, np.int32)

Image = NDArray[np.float32]
Labels = NDArray[np.int32]


def noise(seed: int = 0) -> Image:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def trace(image: Image, beads: Beads = NO_BEADS, weight: Image | None = None) -> tuple[Labels, Image]:
    weight = np.ones(SHAPE, np.float32) if weight is None else weight
    return trace_fibers((image * weight).astype(np.float32), weight, beads, PARAMS, CALIBRATION, PSF_UM)


def measured(image: Image, cells: Labels = NO_CELLS) -> pd.DataFrame:
    labels, response = trace(image)
    return measure_fibers(labels, response, cells, CALIBRATION)


def centreline(*pieces: tuple[int, int, int, int]) -> Labels:
    """One-pixel lines of (y0, x0, y1, x1), all of one fiber."""
    labels = np.zeros(SHAPE, np.int32)
    for piece in pieces:
        labels[line(*piece)] = 1
    return labels


def table_of(labels: Labels, cells: Labels = NO_CELLS) -> pd.DataFrame:
    return measure_fibers(labels, np.full(SHAPE, 7.0, np.float32), cells, CALIBRATION)


# --- measuring drawn centrelines


@pytest.mark.parametrize("end", [(40, 240), (100, 240), (200, 200), (240, 40)])
def test_length_of_a_straight_line_agrees_with_skan_and_geometry(end: tuple[int, int]) -> None:
    labels = centreline((40, 40, *end))
    row = table_of(labels).iloc[0]
    straight = CALIBRATION.um(float(np.hypot(end[0] - 40, end[1] - 40)))
    reference = skan.summarize(skan.Skeleton(labels > 0, spacing=0.14), separator="_")
    assert row["length_um"] == pytest.approx(reference["branch_distance"].sum(), rel=1e-6)
    # steps of 1 and sqrt(2) make a line at 22 degrees 8 % too long
    assert row["length_um"] == pytest.approx(straight, rel=0.085)
    assert row["euclidean_um"] == pytest.approx(straight, rel=0.01)
    assert (row["n_branches"], row["n_tips"]) == (1, 2)
    assert row["mean_snr"] == pytest.approx(7.0)


def test_length_of_a_drawn_circle_agrees_with_geometry() -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[circle_perimeter(130, 140, 80)] = 1
    row = table_of(labels).iloc[0]
    assert row["length_um"] == pytest.approx(2 * np.pi * 80 * 0.14, rel=0.06)
    assert row["euclidean_um"] == pytest.approx(160 * 0.14, rel=0.02)
    assert row["n_tips"] == 0


def test_branch_paths_run_from_crossing_to_tip() -> None:
    labels = centreline((40, 40, 100, 100), (100, 100, 100, 200), (100, 100, 200, 100))
    before = labels.copy()
    paths = branch_paths(labels, CALIBRATION)
    assert len(paths) == 3
    ends = np.array([[path[0], path[-1]] for path in paths]).reshape(-1, 2) / CALIBRATION.pixel_size_um
    tips = [(40, 40), (100, 200), (200, 100)]
    assert [min(np.hypot(*(ends - tip).T)) for tip in tips] == pytest.approx([0, 0, 0], abs=1e-6)
    # the other three meet at the crossing
    assert sorted(np.hypot(*(ends - (100, 100)).T))[2] <= 2
    length = sum(np.hypot(*np.diff(path, axis=0).T).sum() for path in paths)
    assert length == pytest.approx(CALIBRATION.um(60 * np.sqrt(2) + 200), rel=0.03)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("pixels", [[], [(50, 50)], [(50, 50), (60, 51), (90, 90)]])
def test_single_pixels_have_no_course(pixels: list[tuple[int, int]]) -> None:
    labels = np.zeros(SHAPE, np.int32)
    for pixel in pixels:
        labels[pixel] = 1
    assert branch_paths(labels, CALIBRATION) == []


def test_fork_has_three_branches_and_three_tips() -> None:
    labels = centreline((130, 40, 130, 140), (130, 140, 60, 210), (130, 140, 200, 210))
    row = table_of(labels).iloc[0]
    assert (row["n_branches"], row["n_tips"]) == (3, 3)
    assert row["length_um"] == pytest.approx((100 + 2 * 70 * np.sqrt(2)) * 0.14, rel=0.02)


def test_each_fiber_has_its_own_row() -> None:
    labels = centreline((40, 40, 40, 140)) + 2 * centreline((100, 40, 100, 90))
    table = table_of(labels)
    assert table["label"].tolist() == [1, 2]
    np.testing.assert_allclose(table["length_um"], [100 * 0.14, 50 * 0.14])


def test_fiber_near_a_body_is_attached_to_it() -> None:
    cells = np.where(draw_disc(SHAPE, 130, 60, 30), 7, 0).astype(np.int32)
    near, far = 90 + round(ATTACH_UM / 0.14) - 3, 90 + round(ATTACH_UM / 0.14) + 4
    for start, attached in ((near, True), (far, False)):
        row = table_of(centreline((130, start, 130, 240)), cells).iloc[0]
        assert bool(row["is_attached"]) is attached
        assert row["cell_label"] == (7 if attached else 0)
    assert not table_of(centreline((130, near, 130, 240)))["is_attached"].any()


def test_no_fibers_give_an_empty_table_with_every_column() -> None:
    table = table_of(NO_CELLS)
    assert table.empty
    assert {"label", "length_um", "is_attached", "cell_label", "n_tips", "mean_snr"} <= set(table.columns)


# --- tracing


@pytest.mark.parametrize("height", [3.5, 6.0])
@pytest.mark.parametrize("ends", [((60, 30), (60, 250)), ((40, 30), (200, 240)), ((220, 120), (30, 150))])
def test_straight_fiber_is_traced_along_its_length(
    ends: tuple[tuple[int, int], tuple[int, int]], height: float
) -> None:
    truth = draw_line(SHAPE, *ends, 0.3) > 0.2
    image = (height * draw_line(SHAPE, *ends, SIGMA_PX) + noise()).astype(np.float32)
    labels, _ = trace(image)
    off = ndi.distance_transform_edt(~truth)[labels > 0]
    missed = ndi.distance_transform_edt(labels == 0)[truth]
    assert np.quantile(off, 0.95) <= 2
    assert np.quantile(missed, 0.95) <= 2
    length = CALIBRATION.um(float(np.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1])))
    # steps of 1 and sqrt(2) add up to 8 %; the average along the line runs over each end a little
    assert 0.94 * length < measured(image)["length_um"].sum() < 1.08 * length + 1.0


def test_curved_fiber_is_traced_around() -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ring = np.exp(-((np.hypot(yy - 130, xx - 140) - 80) ** 2) / (2 * SIGMA_PX**2))
    table = measured((6 * ring + noise()).astype(np.float32))
    assert len(table) == 1
    assert table["length_um"][0] == pytest.approx(2 * np.pi * 80 * 0.14, rel=0.08)


def test_noise_has_no_fibers() -> None:
    assert [int(trace(noise(seed))[0].max()) for seed in range(4)] == [0, 0, 0, 0]


def test_shorter_than_the_least_length_is_no_fiber() -> None:
    short = draw_line(SHAPE, (100, 100), (100, 100 + 1.2 / 0.14), SIGMA_PX)
    assert trace(10 * short + noise())[0].max() == 0


@pytest.mark.parametrize("radius_um", [0.4, 0.8])
def test_bare_bead_has_no_fiber(radius_um: float) -> None:
    bead = draw_round(SHAPE, 120, 140, 2 * radius_um / 0.14, SIGMA_PX)
    image = (40 * bead / bead.max() + noise()).astype(np.float32)
    known = Beads(np.array([120.0]), np.array([140.0]), np.array([radius_um / 0.14]))
    assert trace(image, known)[0].max() == 0


def test_fiber_with_a_bead_at_its_end_leads_to_the_bead() -> None:
    bead = draw_round(SHAPE, 120, 220, 1.2 / 0.14, SIGMA_PX)
    image = (8 * draw_line(SHAPE, (120, 60), (120, 220), SIGMA_PX) + 40 * bead / bead.max() + noise()).astype(
        np.float32
    )
    known = Beads(np.array([120.0]), np.array([220.0]), np.array([0.6 / 0.14]))
    labels, _ = trace(image, known)
    assert labels.max() == 1
    assert labels[119:122, 219:222].any()
    assert np.nonzero(labels)[1].max() <= 225


def test_gap_is_bridged_and_a_long_one_is_not() -> None:
    whole = draw_line(SHAPE, (120, 30), (120, 250), SIGMA_PX)
    for gap_um, pieces in ((0.4, 1), (6.0, 2)):
        image = 8 * whole
        image[:, 140 : 140 + round(gap_um / 0.14)] = 0
        assert trace(image + noise())[0].max() == pieces


def test_masked_body_has_no_fiber_along_its_edge() -> None:
    body = draw_disc(SHAPE, 130, 140, 60)
    weight = 1 - body.astype(np.float32)
    assert trace(noise() + 300 * body.astype(np.float32), weight=weight)[0].max() == 0


def test_labels_are_thin_and_their_response_is_high() -> None:
    labels, response = trace(5 * draw_line(SHAPE, (40, 30), (200, 240), SIGMA_PX) + noise())
    full = (labels[:-1, :-1] > 0) & (labels[1:, :-1] > 0) & (labels[:-1, 1:] > 0) & (labels[1:, 1:] > 0)
    assert not full.any()
    assert np.median(response[labels > 0]) > PARAMS.high_snr


def test_tracing_leaves_its_inputs_alone() -> None:
    image = 5 * draw_line(SHAPE, (40, 30), (200, 240), SIGMA_PX) + noise()
    weight = 1 - draw_disc(SHAPE, 40, 200, 20).astype(np.float32)
    before = image.copy(), weight.copy()
    labels, response = trace_fibers(image, weight, NO_BEADS, PARAMS, CALIBRATION, PSF_UM)
    kept = labels.copy()
    measure_fibers(labels, response, NO_CELLS, CALIBRATION)
    assert np.array_equal(image, before[0])
    assert np.array_equal(weight, before[1])
    assert np.array_equal(labels, kept)


def test_strength_is_the_mean_over_the_lines_around() -> None:
    labels = centreline((40, 40, 100, 100), (90, 0, 90, 279)) + 2 * centreline((255, 200, 259, 279))
    response = np.abs(noise(3)) + 5 * (labels > 0)
    reach = round(CALIBRATION.px(2.0))
    found = line_strength(labels, response, CALIBRATION)
    line_pixels = np.argwhere(labels > 0)
    for y, x in [(0, 0), (90, 279), (70, 60), (70, 75), (259, 250), (100, 114), (100, 115), (30, 10)]:
        near = (np.abs(line_pixels - (y, x)) <= reach).all(axis=1)
        expect = response[tuple(line_pixels[near].T)].mean() if near.any() else 0
        assert found[y, x] == pytest.approx(expect, rel=1e-5)
    assert (found > 0).sum() == ndi.maximum_filter(labels > 0, 2 * reach + 1).sum()
