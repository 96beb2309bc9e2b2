"""Noise that neighbouring pixels share, as in images that were denoised, deconvolved, resampled or compressed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.filters._linear import gaussian

__all__ = ["RESIDUAL", "correlation_excess", "trimmed_variance"]

Image = NDArray[np.float32]

#: Takes out planes and keeps the noise: Immerkaer 1996, doi:10.1006/cviu.1996.0060. The squares of the mask add to 36.
RESIDUAL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32) / 6.0
#: The same over every second pixel: white noise leaves as much in both.
_WIDE_RESIDUAL = np.zeros((5, 5), np.float32)
_WIDE_RESIDUAL[::2, ::2] = RESIDUAL
#: From this ratio of the two variances on noise is not white. That of recorded images is 0.9 to 1.0; a median of 3 x 3
#: pixels makes it 2.8, a deconvolution 1.8, a blur of 0.8 px 16.
_NOT_WHITE = 1.4
#: Mean square of the lower 90 % of absolute values of unit normal noise.
_TRIMMED = 0.6229
#: Edge of the tiles, and of the middle part that is looked at, pixels.
_TILE_PX, _PART_PX = 32, 512
#: What is wider than this is no noise, pixels.
_SMOOTH_PX = 6.0
#: Structure only adds to both: the share of tiles with least is free of it, and that much below the mean by chance.
_FREE, _BY_CHANCE = 0.1, 0.9
#: Tiles with less than this share of the noise, at either scale, were clipped to one value.
_EMPTY = 0.05


def trimmed_variance(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Variance of zero-mean normal noise by the lower 90 % of its absolute values.

    Rounding to whole counts empties the median of noise below one count; a trimmed mean square it does not.

    Parameters
    ----------
    values : ndarray, shape (..., N)
        Noise in any unit.

    Returns
    -------
    ndarray, shape (...)
        In the square of that unit.
    """
    n_kept = max(1, int(0.9 * values.shape[-1]))
    lower = np.partition(np.abs(values), n_kept - 1)[..., :n_kept]
    return np.asarray(np.mean(lower.astype(float) ** 2, axis=-1) / _TRIMMED)


def correlation_excess(image: Image, sigma: Image, scale_px: float) -> float:
    """How much more noise a filter of the width of the PSF lets through than it would if pixels were independent.

    Parameters
    ----------
    image, sigma : ndarray, shape (Y, X)
        Recorded counts, and the noise of a pixel by its finest detail, counts.
    scale_px : float
        Sigma of the PSF, pixels.

    Returns
    -------
    float
        Factor of the variance, 1 or more; 1 where noise is white, or the image too small to tell.
    """
    middle = tuple(slice(max(0, (n - _PART_PX) // 2), max(0, (n - _PART_PX) // 2) + _PART_PX) for n in image.shape)
    image, sigma = image[middle], sigma[middle]
    if min(image.shape) < 2 * _TILE_PX:
        return 1.0
    noise = (image - gaussian(image, _SMOOTH_PX)) / sigma
    fine, wide = (
        _by_tiles(np.asarray(cv2.filter2D(noise, cv2.CV_32F, mask), np.float32)) for mask in (RESIDUAL, _WIDE_RESIDUAL)
    )
    band = _by_tiles(gaussian(noise, scale_px) - gaussian(noise, 1.6 * scale_px)) / _band_power(scale_px)
    filled = np.maximum(fine, band) > _EMPTY
    if not filled.any():
        return 1.0
    if np.quantile(wide[filled] / np.maximum(fine[filled], 1e-6), _FREE) < _NOT_WHITE:
        return 1.0
    return max(1.0, float(np.quantile(band[filled], _FREE)) / _BY_CHANCE)


def _by_tiles(image: Image) -> NDArray[np.float64]:
    """Variance in each whole tile of an image of shape (Y, X), row by row."""
    rows, columns = (n // _TILE_PX for n in image.shape)
    cut = image[: rows * _TILE_PX, : columns * _TILE_PX].reshape(rows, _TILE_PX, columns, _TILE_PX)
    return trimmed_variance(cut.transpose(0, 2, 1, 3).reshape(rows * columns, -1))


def _band_power(scale_px: float) -> float:
    """Variance that the difference of two Gaussians leaves of white noise of variance 1."""
    a, b = scale_px**2, (1.6 * scale_px) ** 2
    return float((1 / (2 * a) + 1 / (2 * b) - 2 / (a + b)) / (2 * np.pi))
