"""The background under the cells: a smooth bowl, as vignetting makes it."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import halved, quantile, typical

__all__ = ["above_bowl", "empty_level"]

Image = NDArray[np.float32]


def empty_level(image: Image) -> float:
    """Level of an empty pixel: the mode of a field that cells and fibers fill partly is below the median."""
    small = halved(halved(image)) if min(image.shape) >= 16 else image
    low, high = quantile(small, 0.005), quantile(small, 0.7)
    if high <= low:
        return low
    counts, edges = np.histogram(small, bins=64, range=(low, high))
    smooth = np.convolve(counts, [1, 2, 3, 2, 1], mode="same")
    k = int(np.argmax(smooth))
    return float(0.5 * (edges[k] + edges[k + 1]))


def above_bowl(image: Image, half_variance: Image, scale_px: float) -> Image:
    """Image without the background under the cells: a smooth bowl through the lower part of the field."""
    factor = max(1, round(scale_px / 8))
    shape = (max(1, image.shape[0] // factor), max(1, image.shape[1] // factor))
    quarter = halved(halved(image)) if factor >= 4 else image
    small = cv2.resize(quarter, shape[::-1], interpolation=cv2.INTER_AREA)
    # vignetting has no detail: a part of the field tells all
    step = max(1, min(shape) // 96)
    small = small[::step, ::step]
    level = empty_level(image)
    spread = float(np.sqrt(typical(half_variance))) / max(factor / 2, 1)
    surface = np.full(small.shape, level, np.float32)
    rows, columns = ((np.arange(n) + 0.5) / n * 2 - 1 for n in shape)
    yy, xx = np.meshgrid(rows[::step], columns[::step], indexing="ij")
    design = np.stack([np.ones_like(yy), yy, xx, yy * xx, yy**2, xx**2]).reshape(6, -1)
    solution = np.array([level, 0, 0, 0, 0, 0], np.float64)
    for _ in range(6):
        # vignetting is a smooth bowl: a quadratic surface through what is not above it
        residual = small - surface
        keep = np.abs(residual) < 3 * spread + 0.08 * abs(level)
        if np.count_nonzero(keep) < 50:
            break
        weight = keep / (1 + (np.maximum(residual, 0) / (1.5 * spread)) ** 2)
        weighted = design * weight.ravel()
        # six terms on -1 to 1 are far from degenerate, unless few pixels in a corner are left
        solution = np.linalg.lstsq(weighted @ design.T, weighted @ small.ravel(), rcond=None)[0]
        surface = (solution @ design).reshape(small.shape)
    return _less_bowl(image, solution)


@njit(cache=True, nogil=True)
def _less_bowl(image: Image, terms: NDArray[np.float64]) -> Image:  # pragma: no cover (numba)
    """Image less a quadratic surface of (1, y, x, yx, yy, xx) over coordinates from -1 to 1."""
    height, width = image.shape
    out = np.empty(image.shape, np.float32)
    across = (np.arange(width) + 0.5) / width * 2 - 1
    for row in range(height):
        y = (row + 0.5) / height * 2 - 1
        first, slope = np.float32(terms[0] + terms[1] * y + terms[4] * y * y), np.float32(terms[2] + terms[3] * y)
        bend = np.float32(terms[5])
        for column in range(width):
            x = np.float32(across[column])
            out[row, column] = image[row, column] - (first + x * (slope + x * bend))
    return out
