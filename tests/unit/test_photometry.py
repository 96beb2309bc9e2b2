from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest
from drawn_shapes import draw_line, draw_round
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.photometry import Sites, measure_covered, measure_sites, settle_shape
from migradetect.profiles import ProfileLibrary

CALIBRATION = Calibration(0.14, 60.0)
PSF_UM = 0.115
LIBRARY = ProfileLibrary.build(0.14, PSF_UM)
SHAPE = (160, 180)
STILL = (0.0, 0.0)

Image = NDArray[np.float32]


def noise(seed: int = 0) -> Image:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def vesicle(y: float, x: float, diameter_um: float, total: float) -> Image:
    """Ball whose pixels add up to `total`."""
    return total * draw_round(SHAPE, y, x, diameter_um / 0.14, PSF_UM / 0.14)


def sites(*places_px: tuple[float, float], diameter_um: float = 1.4) -> Sites:
    n = len(places_px)
    place = np.array(places_px, float).reshape(n, 2) * 0.14
    return Sites(np.arange(1, n + 1), place[:, 0], place[:, 1], np.full(n, diameter_um), np.zeros(n, np.int64))


def measure(
    image: Image,
    where: Sites,
    drift_um: tuple[float, float] = STILL,
    weight: Image | None = None,
    channels: dict[str, tuple[Image, Image]] | None = None,
) -> pd.DataFrame:
    ones = np.ones(SHAPE, np.float32)
    channels = {"wga": (image + 100, ones)} if channels is None else channels
    weight = ones if weight is None else weight
    return measure_sites(where, image, ones, weight, channels, drift_um, CALIBRATION, LIBRARY)


def test_signal_and_size_of_a_vesicle_and_nothing_beside_it() -> None:
    image = vesicle(80.2, 90.4, 1.4, 2000.0) + noise()
    table = settle_shape(measure(image, sites((80.2, 90.4), (40.0, 40.0))))
    full, empty = table.iloc[0], table.iloc[1]
    assert full["diameter_um"] == pytest.approx(1.4, rel=0.06)
    assert full["wga_signal"] == pytest.approx(2000 * 0.14**2, rel=0.06)
    assert full["amplitude"] == pytest.approx(2000 * 0.14**2, rel=0.06)
    assert abs(empty["amplitude"]) < 4 * empty["amplitude_err"]
    assert abs(empty["wga_signal"]) < 4 * empty["wga_err"]
    assert full["snr"] > 20 > 6 > empty["snr"]


def test_size_does_not_suffer_from_a_place_that_is_off_or_a_fiber() -> None:
    line = draw_line(SHAPE, (10, 20), (150.4, 160.8), PSF_UM / 0.14)
    image = vesicle(80.2, 90.4, 1.4, 2000.0) + 8 * line + noise()
    off = sites((80.2 + 0.6, 90.4 - 0.5))
    table = settle_shape(measure(image, off))
    assert table["diameter_um"][0] == pytest.approx(1.4, rel=0.06)
    # what is reported is the site, not the place in one noisy frame
    assert table["y_um"][0] == off.y_stage_um[0]


def test_empty_sites_give_signals_around_zero() -> None:
    grid = [(y, x) for y in range(20, 150, 13) for x in range(20, 170, 13)]
    table = measure(noise(1), sites(*grid))
    pull = table["amplitude"] / table["amplitude_err"]
    assert abs(pull.mean()) < 0.4
    assert (pull < 0).mean() > 0.25


def test_local_background_of_a_channel_plays_no_part() -> None:
    image = vesicle(80.0, 90.0, 1.4, 2000.0)
    ones = np.ones(SHAPE, np.float32)
    found = [measure(image, sites((80.0, 90.0)), channels={"wga": (image + b, ones)}) for b in (0, 1000)]
    assert found[0]["wga_signal"][0] == pytest.approx(found[1]["wga_signal"][0], rel=1e-3)


def test_channels_are_measured_each_for_itself() -> None:
    ones = np.ones(SHAPE, np.float32)
    image = vesicle(80.0, 90.0, 1.4, 2000.0)
    table = measure(image, sites((80.0, 90.0)), channels={"wga": (image, ones), "tspan4": (3 * image, ones)})
    assert table["tspan4_signal"][0] == pytest.approx(3 * table["wga_signal"][0], rel=1e-4)


def test_sites_move_with_the_stage() -> None:
    image = vesicle(80.0, 90.0, 1.4, 2000.0) + noise()
    on_dish = sites((80.0 - 10, 90.0 + 20))
    moved = measure(image, on_dish, (10 * 0.14, -20 * 0.14))
    assert moved["amplitude"][0] == pytest.approx(measure(image, sites((80.0, 90.0)))["amplitude"][0], rel=1e-6)
    assert (moved["y_um"][0], moved["x_um"][0]) == (pytest.approx(80 * 0.14), pytest.approx(90 * 0.14))
    assert abs(measure(image, on_dish)["amplitude"][0]) < 0.3 * moved["amplitude"][0]


def test_covered_and_outside_are_null_not_zero() -> None:
    weight = np.ones(SHAPE, np.float32)
    weight[60:100, 70:110] = 0
    table = measure(noise(), sites((80.0, 90.0), (-30.0, 20.0), (30.0, 30.0)), weight=weight)
    assert table["amplitude"].isna().tolist() == [True, True, False]
    assert table["snr"].isna().tolist() == [True, True, False]
    assert table["is_in_field"].tolist() == [True, False, True]
    assert table["wga_signal"].isna().tolist() == [True, True, False]


def under_a_body(total: float, seed: int = 0, body_pixels: slice = slice(None)) -> tuple[float, float]:
    """Signal seen through a textured body at (80, 90), and its error."""
    bodies = np.zeros(SHAPE, np.int32)
    bodies[body_pixels] = 1
    texture = 6 * cv2.GaussianBlur(noise(seed + 50), (0, 0), 6) * 6
    image = noise(seed) * 2 + np.where(bodies > 0, 120 + texture, 0).astype(np.float32) + vesicle(80, 90, 1.4, total)
    where = sites((20.0, 20.0), (80.0, 90.0))
    variance = np.full(SHAPE, 4.0, np.float32)
    found = measure_covered(where, np.array([1]), image, variance, bodies, STILL, CALIBRATION, LIBRARY)
    return float(found[0][0]), float(found[1][0])


@pytest.mark.parametrize("seed", range(3))
def test_migrasome_is_seen_through_a_body(seed: int) -> None:
    image = vesicle(80.0, 90.0, 1.4, 6000.0)
    alone = measure(image, sites((80.0, 90.0)))["amplitude"][0]
    amplitude, error = under_a_body(6000.0, seed)
    assert amplitude == pytest.approx(alone, rel=0.2)
    assert 0 < error < 0.2 * amplitude
    nothing, error = under_a_body(0.0, seed)
    assert abs(nothing) < 4 * error
    assert abs(nothing) < 0.1 * amplitude


def test_through_a_sliver_of_a_body_nothing_is_known() -> None:
    assert np.isnan(under_a_body(6000.0, 0, slice(78, 83))).all()


def test_no_sites_give_no_rows() -> None:
    assert measure(noise(), sites()).empty


def test_one_shape_is_settled_for_a_life() -> None:
    frames = []
    for frame in range(6):
        image = vesicle(80.0, 90.0, 1.2, 800.0) + noise(frame)
        frames.append(measure(image, sites((80.0, 90.0))).assign(frame=frame))
    traces = pd.concat(frames, ignore_index=True)
    before = traces.copy()
    settled = settle_shape(traces)
    pd.testing.assert_frame_equal(traces, before)
    assert len(settled) == 6
    assert settled["diameter_um"].median() == pytest.approx(1.2, rel=0.08)
    assert settled["diameter_um"].std() < 0.1
    assert settled["diameter_err_um"].gt(0).all()
    assert not [name for name in settled.columns if name[-2:] in ("_0", "_1", "_2")]


def test_photometry_leaves_its_inputs_alone() -> None:
    image = vesicle(80.0, 90.0, 1.4, 2000.0)
    before = image.copy()
    where = sites((80.0, 90.0))
    measure(image, where)
    assert np.array_equal(image, before)
    assert where.y_stage_um.tolist() == [80 * 0.14]
