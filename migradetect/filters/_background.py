"""Hot pixels and the local background."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import gaussian, resize
from migradetect.filters._quantile import quantile

__all__ = ["local_background", "remove_hot_pixels"]

Image = NDArray[np.float32]

#: Share of a coarse pixel that must be open for its mean to count, and of a kernel for there to be a background.
_LEAST_OPEN, _LEAST_SUPPORT = np.float32(0.05), np.float32(0.01)


def remove_hot_pixels(image: Image, half_variance: Image) -> Image:
    """Replace pixels that stand alone by the median of their neighbours.

    A point source spreads over the PSF, two pixels or more wide: its neighbours hold at least 40 % of its peak. What
    stands out further than that is the camera's.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Recorded counts.
    half_variance : ndarray, shape ((Y + 1) // 2, (X + 1) // 2)
        Noise variance, from :meth:`~migradetect.filters.NoiseModel.half_variance`.

    Returns
    -------
    ndarray, shape (Y, X)
        A new image.
    """
    out = image.copy()
    _replace(image, half_variance, out)
    return out


@njit(cache=True, nogil=True)
def _replace(image: Image, half_variance: Image, out: Image) -> None:  # pragma: no cover (numba)
    """Write what is hot or dead to `out`; all other pixels are left as they are."""
    height, width = image.shape
    column, spread = np.empty(width, np.float32), np.empty(width + 1, np.float32)
    suspect = np.empty(width, np.bool_)
    for y in range(height):
        if y % 2 == 0:
            for x in range(half_variance.shape[1]):
                spread[2 * x] = spread[2 * x + 1] = np.sqrt(half_variance[y >> 1, x])
        n = _suspects(image[max(y - 1, 0)], image[y], image[min(y + 1, height - 1)], spread, column, suspect)
        # the ends of a row lack a neighbour: they are looked at in any case
        for x in (0, width - 1):
            out[y, x] = _mended(image, y, x, spread[x])
        if n:
            for x in range(1, width - 1):
                if suspect[x]:
                    out[y, x] = _mended(image, y, x, spread[x])


@njit(cache=True, nogil=True)
def _suspects(
    up: Image, row: Image, down: Image, spread: Image, column: Image, suspect: NDArray[np.bool_]
) -> int:  # pragma: no cover (numba)
    """Pixels of a row that may be hot or dead, and how many: cheap comparisons that many pixels go through at once.

    The median lies at or below the highest neighbour: no pixel near that can be either.
    """
    width = row.size
    for x in range(width):
        column[x] = up[x] if up[x] > down[x] else down[x]
    n = 0
    for x in range(1, width - 1):
        a = column[x - 1] if column[x - 1] > column[x + 1] else column[x + 1]
        b = row[x - 1] if row[x - 1] > row[x + 1] else row[x + 1]
        a = a if a > b else b
        highest = a if a > column[x] else column[x]
        far, half = highest - np.float32(8) * spread[x], np.float32(0.5) * highest
        low = far if far < half else half
        suspect[x] = (row[x] > highest + np.float32(5) * spread[x]) | (row[x] < low)
        n += suspect[x]
    return n


@njit(cache=True, nogil=True)
def _mended(image: Image, y: int, x: int, spread: float) -> float:  # pragma: no cover (numba)
    """Value of a pixel, or the median of the 3 x 3 around it where it stands alone."""
    height, width = image.shape
    around = np.empty(9, np.float32)
    highest = -np.float32(np.inf)
    k = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            v = image[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
            around[k] = v
            k += 1
            if (dy != 0 or dx != 0) and v > highest:
                highest = v
    median = np.sort(around)[4]
    over = image[y, x] - median
    is_hot = over > 2.5 * max(highest - median, np.float32(0)) + 5 * spread
    is_dead = -over > 8 * spread + 0.5 * abs(median)
    return median if is_hot or is_dead else image[y, x]


def local_background(image: Image, weight: Image, half_variance: Image, scale_px: float) -> Image:
    """Background around thin and small structures, with cell bodies left out.

    A weighted mean at a scale of several um would be raised by the fibers and migrasomes themselves, so values more
    than 2 sigma above the last estimate are clipped and the mean is taken again.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Recorded counts.
    weight : ndarray, shape (Y, X)
        1 outside cell bodies, 0 inside.
    half_variance : ndarray, shape ((Y + 1) // 2, (X + 1) // 2)
        Noise variance, from :meth:`~migradetect.filters.NoiseModel.half_variance`.
    scale_px : float
        Gaussian sigma of the background.

    Returns
    -------
    ndarray, shape (Y, X)
    """
    # blocks of a third of sigma lose nothing of so smooth a surface
    factor = max(1, int(scale_px / 3))
    values, weights = _blocks(image * weight, factor), _blocks(weight, factor)
    values = np.where(weights > _LEAST_OPEN, values / np.maximum(weights, _LEAST_OPEN), 0).astype(np.float32)
    weights = np.where(weights > _LEAST_OPEN, weights, 0).astype(np.float32)
    spread = np.sqrt(resize(half_variance, values.shape)) / np.float32(factor)
    sigma = scale_px / factor
    support = gaussian(weights, sigma)
    scale = 1 / np.maximum(support, np.float32(1e-3))
    background = gaussian(values * weights, sigma) * scale
    for _ in range(3):
        background = gaussian(np.minimum(values, background + 2 * spread) * weights, sigma) * scale
    inside = values[weights > 0]
    start = quantile(inside) if inside.size else 0.0
    background = np.where(support > _LEAST_SUPPORT, background, start)
    return _grown(np.asarray(background, np.float32), factor, image.shape)


def _blocks(image: Image, factor: int) -> Image:
    """Means over squares of pixels; beyond the far edges everything is 0."""
    if factor == 1:
        return image
    rows, columns = (-n % factor for n in image.shape)
    if rows or columns:
        image = np.asarray(cv2.copyMakeBorder(image, 0, rows, 0, columns, cv2.BORDER_CONSTANT, value=0), np.float32)
    return resize(image, (image.shape[0] // factor, image.shape[1] // factor))


def _grown(coarse: Image, factor: int, shape: tuple[int, ...]) -> Image:
    """Blocks back to pixels, linearly between their middles."""
    whole = resize(coarse, (coarse.shape[0] * factor, coarse.shape[1] * factor))
    return np.ascontiguousarray(whole[: shape[0], : shape[1]])
