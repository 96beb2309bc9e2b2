from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_shapes import draw_disc, draw_line, draw_round
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.params import SpotParams
from migradetect.profiles import ProfileLibrary
from migradetect.spots import SPOT_COLUMNS, SpotImage, _strongest, find_spots

CALIBRATION = Calibration(0.14, 60.0)
PARAMS = SpotParams()
PSF_UM = 0.115
LIBRARY = ProfileLibrary.build(0.14, PSF_UM)
SHAPE = (160, 180)

Image = NDArray[np.float32]


def noise(seed: int = 0) -> Image:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def vesicle(y: float, x: float, diameter_um: float, height: float = 25.0, is_shell: bool = False) -> Image:
    shape = draw_round((61, 61), 30 + y % 1, 30 + x % 1, diameter_um / 0.14, PSF_UM / 0.14, is_shell)
    out = np.zeros(SHAPE, np.float32)
    top, left = int(y) - 30, int(x) - 30
    out[max(top, 0) : top + 61, max(left, 0) : left + 61] = (shape / shape.max() * height)[
        max(-top, 0) : SHAPE[0] - top, max(-left, 0) : SHAPE[1] - left
    ]
    return out


def find(image: Image, weight: Image | None = None, params: SpotParams = PARAMS) -> pd.DataFrame:
    weight = np.ones(SHAPE, np.float32) if weight is None else weight
    return find_spots(SpotImage(image, np.ones(SHAPE, np.float32), weight), params, CALIBRATION, LIBRARY, PSF_UM)


def near(table: pd.DataFrame, y: float, x: float, reach: float = 3.0) -> pd.DataFrame:
    return table[np.hypot(table["y_px"] - y, table["x_px"] - x) < reach]


@pytest.mark.parametrize("diameter_um", [0.8, 1.4, 2.2])
def test_vesicle_is_found_once_at_its_place_with_its_size(diameter_um: float) -> None:
    table = find(vesicle(80.3, 90.7, diameter_um) + noise())
    found = near(table, 80.3, 90.7, 5.0)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["y_px"], row["x_px"]) == (pytest.approx(80.3, abs=0.3), pytest.approx(90.7, abs=0.3))
    assert row["diameter_um"] == pytest.approx(diameter_um, rel=0.12)
    assert row["roundness"] > 0.7
    assert row["blob_snr"] > 10


def test_bright_shell_is_one_spot_not_a_ring_of_them() -> None:
    table = find(vesicle(80.0, 90.0, 2.4, 60.0, is_shell=True) + noise())
    assert len(near(table, 80, 90, 8.0)) == 1


def test_two_vesicles_side_by_side_are_two() -> None:
    image = vesicle(80.0, 82.0, 1.2) + vesicle(80.0, 96.0, 1.2) + noise()
    assert len(near(find(image), 80, 82)) == 1
    assert len(near(find(image), 80, 96)) == 1


@pytest.mark.parametrize("height", [12.0, 40.0])
def test_bead_on_a_bright_fiber_keeps_its_size_and_roundness(height: float) -> None:
    fiber = 0.5 * height * draw_line(SHAPE, (85, -5), (85, 185), 0.9)
    row = near(find(vesicle(85.0, 90.0, 1.2, height) + fiber + noise()), 85, 90).iloc[0]
    assert row["scale_um"] == pytest.approx(1.2, rel=0.3)
    assert row["roundness"] > 0.4
    assert 0.2 < row["line_ratio"] < 0.5
    assert row["valley_ratio"] < 0.25


def test_kink_of_a_fiber_is_no_brighter_than_the_fiber() -> None:
    kink = 30 * np.maximum(draw_line(SHAPE, (40, 40), (85, 90), 0.9), draw_line(SHAPE, (85, 90), (40, 140), 0.9))
    row = near(find((kink + noise()).astype(np.float32)), 85, 90, 4.0).iloc[0]
    assert row["line_ratio"] > 0.7


def test_clump_of_bright_beads_does_not_swallow_them() -> None:
    places = [(80.0, 82.0), (80.0, 91.0), (88.0, 86.0)]
    image = noise()
    for y, x in places:
        image = image + vesicle(y, x, 1.0, 40.0)
    table = find(image)
    for y, x in places:
        found = near(table, y, x, 2.0)
        assert len(found) == 1
        assert found["diameter_um"].iloc[0] == pytest.approx(1.0, rel=0.3)
    wide = table[(table["scale_um"] > 2) & (table["snr"] > 30)]
    assert (wide["contains"] > 0).all()


def test_vesicle_cut_by_the_border_is_found() -> None:
    assert len(near(find(vesicle(1.0, 90.0, 1.2, 40.0) + noise()), 1, 90)) == 1


def test_line_is_not_round() -> None:
    table = find(8 * draw_line(SHAPE, (20, -5), (150, 185), 0.9) + noise())
    strong = table[table["snr"] > 8]
    assert len(strong) > 0, "test invalid"
    assert strong["roundness"].median() < 0.25
    on_line = near(find(vesicle(85.0, 90.0, 1.2) + 4 * draw_line(SHAPE, (85, -5), (85, 185), 0.9) + noise()), 85, 90)
    assert on_line["roundness"].iloc[0] > 0.5


def test_noise_gives_few_weak_candidates() -> None:
    table = find(noise(1))
    assert len(table) < 15
    assert (table["snr"] < 7).all()


def test_masked_body_gives_nothing_at_its_edge() -> None:
    body = draw_disc(SHAPE, 80, 60, 35)
    weight = 1 - body.astype(np.float32)
    table = find((noise(2) + 500 * body).astype(np.float32), weight)
    assert (table["snr"] < 7).all()
    assert len(find((noise(2) + 500 * body).astype(np.float32)).query("snr > 50")) > 0, "test invalid"
    beside = near(find((vesicle(80.0, 105.0, 1.2) + noise(2) + 500 * body).astype(np.float32), weight), 80, 105)
    assert len(beside) == 1


def test_empty_image_gives_an_empty_table_with_every_column() -> None:
    table = find(np.zeros(SHAPE, np.float32))
    assert table.empty
    assert tuple(table.columns) == SPOT_COLUMNS
    assert tuple(find(vesicle(80, 90, 1.2) + noise()).columns) == SPOT_COLUMNS


def test_no_more_than_the_most_per_frame_and_the_strongest_stay() -> None:
    image = noise(3)
    for k, x in enumerate(range(35, 160, 30)):
        image = image + vesicle(80.0, float(x), 1.0, 15.0 + 8 * k)
    few = find(image, params=SpotParams(max_per_frame=2))
    assert len(few) <= 2
    assert len(near(few, 80, 155)) == 1
    assert len(find(image)) > 4


def test_signal_doubles_with_brightness() -> None:
    one = near(find(vesicle(80.0, 90.0, 1.4, 40.0)), 80, 90)["signal"].iloc[0]
    two = near(find(vesicle(80.0, 90.0, 1.4, 80.0)), 80, 90)["signal"].iloc[0]
    assert two == pytest.approx(2 * one, rel=0.02)


def test_snr_image_divides_by_the_noise_and_masks() -> None:
    weight = np.ones(SHAPE, np.float32)
    weight[:10] = 0
    image = SpotImage(np.full(SHAPE, 6.0, np.float32), np.full(SHAPE, 4.0, np.float32), weight)
    assert image.snr[5, 5] == 0
    assert image.snr[50, 50] == 3


def test_search_leaves_its_inputs_alone() -> None:
    image = vesicle(80.0, 90.0, 1.2) + noise()
    before = image.copy()
    find(image)
    assert np.array_equal(image, before)


def test_what_lies_on_a_stronger_maximum_is_dropped_as_one_by_one() -> None:
    rng = np.random.default_rng(2)
    found = np.column_stack([np.zeros(400), rng.uniform(0, 90, (400, 2)), rng.uniform(1, 50, 400), np.ones(400)])
    sigma = rng.uniform(0.8, 9, 400)
    order = np.argsort(-found[:, 3], kind="stable")[:300]
    left: list[int] = []
    gone: set[int] = set()
    for rank, i in enumerate(order):
        if int(i) in gone:
            continue
        left.append(int(i))
        for j in order[rank + 1 :]:
            is_near = np.hypot(*(found[j, 1:3] - found[i, 1:3])) <= 1.2 * sigma[i]
            if is_near and sigma[j] < 1.5 * sigma[i]:
                gone.add(int(j))
    assert 20 < len(left) < 280, "test invalid"
    np.testing.assert_array_equal(_strongest(found, sigma, 300), np.sort(left))
