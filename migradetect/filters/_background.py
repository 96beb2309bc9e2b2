"""Hot pixels and the local background."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import masked_gaussian, resize
from migradetect.filters._quantile import quantile

__all__ = ["local_background", "remove_hot_pixels"]

Image = NDArray[np.float32]

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=np.uint8)


def remove_hot_pixels(image: Image, sigma: Image) -> Image:
    """Replace pixels that stand alone by the median of their neighbours.

    A point source spreads over the PSF, two pixels or more wide: its neighbours hold at least 40 % of its peak. What
    stands out further than that is the camera's.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Recorded counts.
    sigma : ndarray, shape (Y, X)
        Noise standard deviation.

    Returns
    -------
    ndarray, shape (Y, X)
        A new image.
    """
    median = cv2.medianBlur(image, 3)
    neighbours = cv2.dilate(image, _RING)
    return _replaced(image, np.asarray(median, np.float32), np.asarray(neighbours, np.float32), sigma)


@njit(cache=True, nogil=True)
def _replaced(image: Image, median: Image, neighbours: Image, sigma: Image) -> Image:  # pragma: no cover (numba)
    out = np.empty(image.shape, np.float32)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            m, s = median[y, x], sigma[y, x]
            over = image[y, x] - m
            is_hot = over > 2.5 * max(neighbours[y, x] - m, 0) + 5 * s
            is_dead = -over > 8 * s + 0.5 * abs(m)
            out[y, x] = m if is_hot or is_dead else image[y, x]
    return out


def local_background(image: Image, weight: Image, sigma: Image, scale_px: float) -> Image:
    """Background around thin and small structures, with cell bodies left out.

    A weighted mean at a scale of several um would be raised by the fibers and migrasomes themselves, so values more
    than 2 sigma above the last estimate are clipped and the mean is taken again.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Recorded counts.
    weight : ndarray, shape (Y, X)
        1 outside cell bodies, 0 inside.
    sigma : ndarray, shape (Y, X)
        Noise standard deviation.
    scale_px : float
        Gaussian sigma of the background.

    Returns
    -------
    ndarray, shape (Y, X)
    """
    factor = max(1, int(scale_px / 6))
    shape = (max(1, image.shape[0] // factor), max(1, image.shape[1] // factor))
    values, weights, spread = resize(image * weight, shape), resize(weight, shape), resize(sigma, shape) / factor
    values = np.where(weights > 0.05, values / np.maximum(weights, 0.05), 0).astype(np.float32)
    weights = np.where(weights > 0.05, weights, 0).astype(np.float32)
    inside = values[weights > 0]
    start = quantile(inside) if inside.size else 0.0
    background, support = masked_gaussian(values, weights, scale_px / factor)
    for _ in range(3):
        clipped = np.minimum(values, background + 2 * spread)
        background, support = masked_gaussian(clipped, weights, scale_px / factor)
    background = np.where(support > 0.01, background, start).astype(np.float32)
    return resize(background, image.shape)
