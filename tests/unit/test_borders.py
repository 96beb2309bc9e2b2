from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_disc
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.cells._borders import border_inputs, border_probability
from migradetect.convolution import load_weights

PIXEL_UM = 0.4
SHAPE = (120, 150)

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def two_discs(brightness: float) -> tuple[Image, Mask, Mask]:
    """Two discs of 12 um that overlap by 2 um, the second of another brightness; image, mask, and where they meet."""
    left, right = draw_disc(SHAPE, 60, 47, 30), draw_disc(SHAPE, 60, 102, 30)
    image = np.maximum(left * 1.0, right * brightness)
    meet = np.zeros(SHAPE, bool)
    meet[:, 73:77] = (left | right)[:, 73:77]
    return ndi.gaussian_filter(20 * image, 1.0).astype(np.float32), left | right, meet


@pytest.mark.parametrize("brightness", [1.0, 0.5])
def test_border_is_seen_where_discs_meet_and_nowhere_else(brightness: float) -> None:
    image, mask, meet = two_discs(brightness)
    border = border_probability(image, mask, PIXEL_UM)
    assert np.quantile(border[meet], 0.3) > 0.6
    assert border[:, :60].max() < 0.3
    assert border[:, 90:].max() < 0.3
    assert not border[~mask].any()


def test_one_body_has_no_border() -> None:
    mask = draw_disc(SHAPE, 60, 75, 40)
    image = ndi.gaussian_filter(20.0 * mask, 1.0).astype(np.float32)
    assert border_probability(image, mask, PIXEL_UM).max() < 0.3


@pytest.mark.parametrize("gain", [0.05, 30.0])
def test_brightness_as_such_does_not_matter(gain: float) -> None:
    image, mask, _ = two_discs(0.6)
    np.testing.assert_allclose(
        border_probability(np.float32(gain) * image, mask, PIXEL_UM), border_probability(image, mask, PIXEL_UM),
        atol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (5, 200), (33, 47)])
def test_any_shape_with_bodies_or_without(shape: tuple[int, int]) -> None:
    full = np.ones(shape, bool)
    image = np.full(shape, 5, np.float32)
    assert border_probability(image, full, PIXEL_UM).shape == shape
    assert not border_probability(image, ~full, PIXEL_UM).any()


def test_bodies_see_the_same_wherever_they_lie() -> None:
    image, mask, _ = two_discs(1.0)
    wide_image, wide_mask = (np.pad(one, ((64, 16), (48, 80))) for one in (image, mask))
    moved = border_probability(wide_image, wide_mask, PIXEL_UM)[64:-16, 48:-80]
    here, there = border_probability(image, mask, PIXEL_UM) > 0.5, moved > 0.5
    assert (here & there).sum() > 0.6 * (here | there).sum()


def test_inputs_are_relative_to_the_typical_body_and_leave_the_image_alone() -> None:
    image, mask, _ = two_discs(1.0)
    before = image.copy()
    light, depth = border_inputs(image, mask, PIXEL_UM, 20.0)
    assert light[60, 47] == pytest.approx(0, abs=0.01)
    assert light[0, 0] == pytest.approx(np.log(0.1))
    assert depth[0, 0] == 0
    assert depth[60, 47] == pytest.approx(np.tanh(30 * PIXEL_UM / 4), abs=0.02)
    np.testing.assert_array_equal(image, before)


def test_weights_are_plain_numbers() -> None:
    weights = load_weights("borders.npz")
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in weights.values())
