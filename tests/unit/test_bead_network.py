from __future__ import annotations

import numpy as np
import pytest

from migradetect.bead_network import PATCH_PX, PATCH_STEP_UM, bead_log_odds, bead_patches, load_network
from migradetect.calibration import Calibration

RNG = np.random.default_rng(5)
SHAPE = (120, 120)


def drawn(pixel_um: float, diameter_um: float, height: float, line: float) -> np.ndarray:
    """A blurred disc at (8, 8) um on a straight line; PSF of 0.12 um."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] * pixel_um - 8.0
    blur = 0.12
    disc = height / (1 + np.exp((np.hypot(y, x) - diameter_um / 2) / (0.5 * blur))) if diameter_um else 0.0
    return (disc + line * np.exp(-((y - 0.3 * x) ** 2) / (2 * blur**2))).astype(np.float32)


def patches_of(image: np.ndarray, pixel_um: float) -> np.ndarray:
    at = np.array([8.0 / pixel_um])
    return bead_patches(image, np.ones(SHAPE, np.float32), at, at, Calibration(pixel_um, 60.0))


def test_patch_is_the_same_thing_at_any_pixel_size() -> None:
    fine, coarse = (patches_of(drawn(px, 1.2, 60.0, 40.0) * px / 0.15, px)[0] for px in (0.14, 0.2))
    assert fine.shape == (3, PATCH_PX, PATCH_PX)
    assert np.abs(fine[0] - coarse[0]).mean() < 0.03
    assert np.abs(fine[0] - np.rot90(fine[0])).mean() > 0.04, "test invalid: nothing to tell apart"


def test_patch_tells_what_is_hidden_and_leaves_the_image_alone() -> None:
    image, weight = drawn(0.15, 1.2, 60.0, 0.0), np.ones(SHAPE, np.float32)
    weight[:, 60:] = 0
    before = image.copy()
    patch = bead_patches(image, weight, np.array([53.0]), np.array([53.0]), Calibration(0.15, 60.0))[0]
    np.testing.assert_array_equal(image, before)
    assert patch[2, :, : PATCH_PX // 2].all()
    assert not patch[2, :, -5:].any()
    assert not patch[0, :, -5:].any()


def test_patches_beyond_the_border_and_of_nothing() -> None:
    edge = bead_patches(np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32), np.zeros(1), np.zeros(1),
                        Calibration(0.15, 60.0))  # fmt: skip
    assert np.isfinite(edge).all()
    assert edge[0, 2, 0, 0] == 0
    none = bead_patches(np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32), np.zeros(0), np.zeros(0),
                        Calibration(0.15, 60.0))  # fmt: skip
    assert bead_log_odds(none, load_network()).shape == (0,)


def literal(patch: np.ndarray, weights: dict[str, np.ndarray]) -> float:
    """The same layers written out as loops."""

    def convolved(x: np.ndarray, k: int) -> np.ndarray:
        kernel, bias = weights[f"conv{k}"], weights[f"conv{k}_bias"]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        out = np.zeros((len(kernel), *x.shape[1:]))
        for o in range(len(kernel)):
            for dy in range(3):
                for dx in range(3):
                    window = padded[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]
                    out[o] += (kernel[o, :, dy, dx, None, None] * window).sum(0)
            out[o] += bias[o]
        return np.maximum(out, 0)

    def halved(x: np.ndarray) -> np.ndarray:
        return np.max([x[:, a::2, b::2] for a in (0, 1) for b in (0, 1)], axis=0)

    x = halved(convolved(patch, 1))
    x = halved(convolved(convolved(x, 2), 3))
    x = convolved(x, 4)
    middle = x.shape[1] // 2
    x = np.concatenate([x.mean(axis=(1, 2)), x[:, middle, middle]])
    x = np.maximum(weights["dense1"] @ x + weights["dense1_bias"], 0)
    return float((weights["dense2"] @ x + weights["dense2_bias"])[0])


def test_layers_are_the_convolutions_written_out() -> None:
    weights = {name: RNG.normal(0, 0.1, value.shape).astype(np.float32) for name, value in load_network().items()}
    patches = RNG.normal(0, 1, (3, 3, PATCH_PX, PATCH_PX)).astype(np.float32)
    expect = [literal(patch.astype(float), weights) for patch in patches]
    assert np.ptp(expect) > 1e-3, "test invalid: all the same"
    np.testing.assert_allclose(bead_log_odds(patches, weights), np.clip(expect, -8, 8), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pixel_um", [0.08, 0.15, 0.22])
def test_bead_on_a_line_looks_more_like_one_than_the_bare_line(pixel_um: float) -> None:
    noise = RNG.normal(0, 1, SHAPE).astype(np.float32)
    bead, line, dish = (
        float(bead_log_odds(patches_of(image + noise, pixel_um), load_network())[0])
        for image in (drawn(pixel_um, 0.9, 30.0, 10.0), drawn(pixel_um, 0.0, 0.0, 10.0), np.zeros(SHAPE, np.float32))
    )
    assert line < 0
    assert bead > line + 2
    assert bead > dish + 2


def test_step_in_um_covers_a_large_migrasome() -> None:
    assert PATCH_PX * PATCH_STEP_UM > 3.5
