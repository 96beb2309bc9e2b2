from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_shapes import draw_disc, draw_line, draw_round
from numpy.typing import NDArray

from migradetect import registration
from migradetect.calibration import Calibration
from migradetect.params import RegistrationParams
from migradetect.registration import anchored_detail, estimate_shift

CALIBRATION = Calibration(0.14, 60.0)
PARAMS = RegistrationParams()
SHAPE = (224, 256)

Image = NDArray[np.float32]


def noise(seed: int, shape: tuple[int, int] = SHAPE) -> Image:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def beads(dy: float, dx: float, seed: int) -> Image:
    """Small round things that stand on the dish, seen after a shift; further ones come in at the edges."""
    places = np.random.default_rng(7).uniform(-60, 320, (40, 2))
    image = noise(seed)
    spot = draw_round((41, 41), 20, 20, 4.0, 0.9) * 400
    for y, x in places:
        top, left = int(np.floor(y + dy)) - 20, int(np.floor(x + dx)) - 20
        if top < 0 or left < 0 or top + 41 > SHAPE[0] or left + 41 > SHAPE[1]:
            continue
        fy, fx = (y + dy) % 1, (x + dx) % 1
        if fy or fx:
            spot = draw_round((41, 41), 20 + fy, 20 + fx, 4.0, 0.9) * 400
        image[top : top + 41, left : left + 41] += spot
    return image


def fibers(dy: float, dx: float, seed: int) -> Image:
    rng = np.random.default_rng(3)
    image = noise(seed)
    for _ in range(12):
        y0, x0, y1, x1 = rng.uniform(-40, 300, 4)
        image += 10 * draw_line(SHAPE, (y0 + dy, x0 + dx), (y1 + dy, x1 + dx), 0.9)
    return image


def shift_of(before: Image, after: Image, params: RegistrationParams = PARAMS) -> tuple[float, float, float]:
    weight = np.ones(SHAPE, np.float32)
    details = (anchored_detail(image, weight, CALIBRATION) for image in (before, after))
    return estimate_shift(*details, params, CALIBRATION)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.4), (-7.7, 11.2)])
def test_sub_pixel_shift_of_round_things_is_recovered(shift: tuple[float, float]) -> None:
    dy, dx, confidence = shift_of(beads(0.0, 0.0, 1), beads(*shift, 2))
    assert (dy, dx) == (pytest.approx(shift[0], abs=0.1), pytest.approx(shift[1], abs=0.1))
    assert confidence > 10


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.5, 2.25), (40.3, -30.5)])
def test_shift_and_jump_of_fibers_are_recovered_to_half_a_pixel(shift: tuple[float, float]) -> None:
    dy, dx, confidence = shift_of(fibers(0.0, 0.0, 1), fibers(*shift, 2))
    assert (dy, dx) == (pytest.approx(shift[0], abs=0.5), pytest.approx(shift[1], abs=0.5))
    assert confidence > 10


def test_shift_back_is_the_shift_with_the_other_sign() -> None:
    one, other = fibers(0.0, 0.0, 1), fibers(3.4, -2.7, 2)
    there, back = shift_of(one, other), shift_of(other, one)
    assert there[0] == pytest.approx(-back[0], abs=0.02)
    assert there[1] == pytest.approx(-back[1], abs=0.02)


def test_jump_beyond_the_limit_is_not_believed() -> None:
    limited = RegistrationParams(max_jump_um=2.0)
    dy, dx, _ = shift_of(fibers(0.0, 0.0, 1), fibers(40.3, -30.5, 2), limited)
    assert np.hypot(dy, dx) <= CALIBRATION.px(2.0) + 1


def test_noise_alone_gives_no_shift_and_no_confidence() -> None:
    for seed in range(3):
        dy, dx, confidence = shift_of(noise(seed), noise(seed + 100))
        assert (dy, dx) == (0.0, 0.0)
        assert confidence < 6


def test_empty_images_give_no_shift() -> None:
    empty = np.zeros(SHAPE, np.float32)
    assert estimate_shift(empty, empty, PARAMS, CALIBRATION) == (0.0, 0.0, 0.0)


def test_cell_that_moves_does_not_carry_the_stage_along() -> None:
    def scene(left: int, seed: int) -> tuple[Image, Image]:
        body = draw_disc(SHAPE, 110, left, 45)
        image = fibers(0.0, 0.0, seed) + 200 * body
        return image.astype(np.float32), 1 - body.astype(np.float32)

    details = [anchored_detail(*scene(left, seed), CALIBRATION) for left, seed in ((90, 1), (98, 2))]
    dy, dx, _ = estimate_shift(*details, PARAMS, CALIBRATION)
    assert (dy, dx) == (pytest.approx(0, abs=0.2), pytest.approx(0, abs=0.2))


def test_detail_is_bounded_empty_near_cells_and_flat_on_a_plane() -> None:
    body = draw_disc(SHAPE, 110, 120, 40)
    weight = 1 - body.astype(np.float32)
    detail = anchored_detail((fibers(0, 0, 1) + 1000 * body).astype(np.float32), weight, CALIBRATION)
    assert np.abs(detail).max() <= 1
    assert np.abs(detail[draw_disc(SHAPE, 110, 120, 45)]).max() < 1e-3
    assert np.abs(detail).max() > 0.5, "test invalid"
    plane = np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])).astype(np.float32)
    flat = anchored_detail(plane, np.ones(SHAPE, np.float32), CALIBRATION)
    np.testing.assert_allclose(flat[30:-30, 30:-30], 0, atol=1e-3)


def test_registration_leaves_its_inputs_alone() -> None:
    image, weight = fibers(0, 0, 1), np.ones(SHAPE, np.float32)
    before = image.copy()
    detail = anchored_detail(image, weight, CALIBRATION)
    kept = detail.copy()
    estimate_shift(detail, detail, PARAMS, CALIBRATION)
    assert np.array_equal(image, before)
    assert np.array_equal(detail, kept)
    assert (weight == 1).all()


def spectacle(dy: float, dx: float, seed: int, shape: tuple[int, int]) -> Image:
    """Many small round things through a PSF of 1.3 pixels, at a shift, with noise."""
    places = np.random.default_rng(11).uniform(-300, 1000, (700, 2)) + np.array([dy, dx])
    image = noise(seed, shape)
    yy, xx = np.mgrid[-8:9, -8:9]
    for y, x in places:
        i, j = round(float(y)), round(float(x))
        if 8 <= i < shape[0] - 8 and 8 <= j < shape[1] - 8:
            spot = 30 * np.exp(-((yy + i - y) ** 2 + (xx + j - x) ** 2) / (2 * 1.6**2))
            image[i - 8 : i + 9, j - 8 : j + 9] += spot.astype(np.float32)
    return image


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.25), (1.3, 2.7), (-120.6, 110.2)])
def test_detail_of_small_pixels_is_kept_on_a_smaller_grid_and_tells_the_same_shift(
    shift: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration, shape = Calibration(0.11, 60.0), (501, 541)
    images = spectacle(0.0, 0.0, 1, shape), spectacle(*shift, 2, shape)
    weight = np.ones(shape, np.float32)

    def found() -> tuple[tuple[int, ...], tuple[float, float, float]]:
        details = [anchored_detail(image, weight, calibration) for image in images]
        return details[0].shape, estimate_shift(details[0], details[1], PARAMS, calibration)

    small, (dy, dx, confidence) = found()
    monkeypatch.setattr(registration, "_LEAST_SIGMA_PX", 10.0)
    full, (dy_full, dx_full, confidence_full) = found()
    assert (small, full) == ((250, 270), shape)
    assert (dy, dx) == (pytest.approx(dy_full, abs=0.05), pytest.approx(dx_full, abs=0.05))
    assert (dy, dx) == (pytest.approx(shift[0], abs=0.05), pytest.approx(shift[1], abs=0.05))
    assert confidence == pytest.approx(confidence_full, rel=0.1)


def test_a_kept_spectrum_gives_the_same_shift() -> None:
    first, second, third = (
        anchored_detail(beads(*place, seed), np.ones(SHAPE, np.float32), CALIBRATION)
        for seed, place in enumerate([(0.0, 0.0), (3.4, -2.2), (1.0, 5.0)])
    )
    spectra = [registration.DetailSpectrum.of(one, PARAMS, CALIBRATION) for one in (first, second, third)]
    for one, other, details in ((0, 1, (first, second)), (1, 2, (second, third))):
        found = registration.shift_between(spectra[one], spectra[other], PARAMS, CALIBRATION)
        assert found == estimate_shift(*details, PARAMS, CALIBRATION)
        assert found[2] > 6, "test invalid"


def test_pixels_as_large_as_the_grid_need_no_shrinking() -> None:
    weight = (noise(3) > -1).astype(np.float32)
    image = noise(1)
    total, support, whole = registration._on_grid(image, weight, 1)
    expect = registration._shrunk(image, weight, np.ones(1, np.float32), 1, *SHAPE)
    for found, wanted in zip((total, support, whole), expect, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("radius", [1, 4, 11])
def test_erosion_by_runs_is_that_of_opencv(radius: int) -> None:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    for share in (0.0, 0.002, 0.2, 1.0):
        mask = (np.random.default_rng(3).random((90, 121)) >= share).astype(np.uint8)
        mask[30:50, 60:90] = share == 0
        found = registration._eroded(mask, kernel.sum(axis=1) // 2)
        np.testing.assert_array_equal(found, cv2.erode(mask, kernel))
