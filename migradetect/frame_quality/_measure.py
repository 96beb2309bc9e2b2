"""Few numbers of a plane, by which frames are compared."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.filters import estimate_noise, halved, typical
from migradetect.frame_quality._margins import LARGEST, fill_gaps, fill_margin, find_margin, is_count

__all__ = ["THUMB_PX", "FrameFacts", "measure_frame"]

Image = NDArray[np.float32]

#: Edge of the small picture by which frames are compared.
THUMB_PX = 48
#: Edge of the blocks whose means tell texture from noise.
_BLOCK_PX = 8


@dataclass(frozen=True)
class FrameFacts:
    """What is measured on one plane."""

    n_not_finite: int
    low: float
    high: float
    """Smallest and largest count."""
    share_at_top: float
    """Share of pixels that hold the largest count."""
    level: float
    """Median count."""
    contrast: float
    """Upper half per cent above the median, counts."""
    detail: float
    """Mean of what fine detail rises above the noise, in units of the noise."""
    sharpness: float
    """The same over the contrast: bodies that leave take both along."""
    unevenness: float
    """Depth of the darkest 16 x 16 pixels below the typical ones, in units of the noise."""
    texture: float
    """Typical deviation of 8 x 8 pixels from a smooth bowl, in units of what noise makes of it: 1 in an empty field."""
    thumb: Image
    """Small picture, shape (48, 48)."""
    margin: float = 0.0
    """Share of the pixels that lie in a margin that was not recorded."""

    @property
    def is_empty(self) -> bool:
        """All pixels are alike, or none has a number."""
        return not self.high > self.low


def measure_frame(image: Image) -> FrameFacts:
    """Numbers that tell whether a plane can be used.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Camera counts, as recorded.

    Returns
    -------
    FrameFacts
    """
    margin = find_margin(image)
    # the sum of the magnitudes is small only if all are; it costs a tenth of looking at each
    is_clean = cv2.norm(image, cv2.NORM_L1) < LARGEST
    n_bad = 0 if is_clean else int(np.count_nonzero(~is_count(image if margin is None else image[~margin])))
    if n_bad == image.size:
        return FrameFacts(
            n_bad, np.nan, np.nan, 0.0, np.nan, 0.0, 0.0, 0.0, 0.0, 0.0, np.zeros((THUMB_PX, THUMB_PX), np.float32)
        )
    if margin is not None:
        image = fill_margin(image, margin)
    elif n_bad:
        image = fill_gaps(image)
    low, high, _, _ = cv2.minMaxLoc(image)
    level = typical(image)
    # detail at half the resolution: cheaper, and what is blurred beyond use is blurred there too
    half = halved(image) if min(image.shape) >= 16 else image
    band = cv2.absdiff(cv2.GaussianBlur(half, (0, 0), 0.7), cv2.GaussianBlur(half, (0, 0), 1.6))
    noise = typical(band) / 0.6745
    over = np.maximum(band - 4 * noise, 0)
    contrast = typical(image, 0.995) - level
    # small pictures of the whole are made from one of moderate size
    small = half
    while min(small.shape) > 4 * THUMB_PX:
        small = halved(small)
    thumb = np.asarray(cv2.resize(small, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA), dtype=np.float32)
    # averages over 16 x 16 pixels hold hardly any noise; nothing is darker than an empty field, so where much is, it is
    # not empty
    coarse = cv2.resize(half, tuple(max(1, n // 16) for n in image.shape[::-1]), interpolation=cv2.INTER_AREA)
    spread = float(np.median(coarse) - coarse.min())
    return FrameFacts(
        n_bad,
        low,
        high,
        float(np.count_nonzero(image == high)) / image.size,
        level,
        contrast,
        float(np.mean(over)) / noise if noise > 0 else 0.0,
        float(np.mean(over)) / contrast if contrast > 0 else 0.0,
        spread / noise if noise > 0 else 0.0,
        _texture(image),
        thumb,
        0.0 if margin is None else float(margin.mean()),
    )


def _texture(image: Image) -> float:
    rows, columns = (size // _BLOCK_PX for size in image.shape)
    if rows < 6 or columns < 6:
        return 0.0
    whole = image[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    step = max(1, min(rows, columns) // 64)
    blocks = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)[::step, ::step].astype(np.float64)
    y, x = np.meshgrid(np.linspace(-1, 1, blocks.shape[0]), np.linspace(-1, 1, blocks.shape[1]), indexing="ij")
    bowl = np.stack([np.ones_like(y), y, x, y * x, y**2, x**2], axis=-1).reshape(-1, 6)
    rest = blocks.ravel() - bowl @ np.linalg.lstsq(bowl, blocks.ravel(), rcond=None)[0]
    # a part is enough for the noise, and the whole would cost more than all the rest
    middle = tuple(slice(max(0, size // 2 - 80), size // 2 + 80) for size in image.shape)
    typical = float(np.median(estimate_noise([image[middle]]).sigma(image[middle]))) / _BLOCK_PX
    return float(1.4826 * np.median(np.abs(rest - np.median(rest)))) / typical if typical > 0 else 0.0
