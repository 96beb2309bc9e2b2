"""Lines that move while frames are averaged: a fiber that is taut between the dish and its cell swings with the cell.

The mean of registered frames shows such a line as a smear, or not at all. Where the present frame differs from the mean
by more than noise, the present frame is the better picture, and elsewhere the mean is: it has less noise.
"""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import gaussian, resize
from migradetect.spots import SpotImage

__all__ = ["present_where_changed"]

Image = NDArray[np.float32]

#: Differences that begin to count, and that count in full, units of their noise after a blur by the PSF.
_BEGINS, _COUNTS = np.float32(2.0), np.float32(3.0)
#: A line that has moved leaves two marks with little between them: marks are widened by this many sigma of the PSF.
_REACH = 6.0
#: Side of the squares in which changes are marked, px.
_SQUARE = 4


def present_where_changed(mean: SpotImage, present: SpotImage, psf_px: float) -> SpotImage:
    """The mean of registered frames, and the present frame where something has changed.

    Parameters
    ----------
    mean : SpotImage
        Average of registered frames around the present one, in its coordinates.
    present : SpotImage
        The present frame alone.
    psf_px : float
        Gaussian sigma of the PSF, px.

    Returns
    -------
    SpotImage
        Images of shape (Y, X) as those given, with the variance of what was taken at each pixel.
    """
    shape = mean.signal.shape
    variance = present.variance
    change = np.empty(shape, np.float32)
    _changes(mean.signal, mean.variance, mean.weight, present.signal, variance, change)
    sigma = max(psf_px, 0.8)
    # white noise of 1 per pixel has 1 / (2 sqrt(pi) sigma) after the blur
    blurred = gaussian(change, sigma)
    marks = _marks(blurred, np.float32(2 * np.sqrt(np.pi) * sigma))
    reach = max(1, round(_REACH * sigma / _SQUARE))
    marks = np.asarray(cv2.dilate(marks, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))))
    share = resize(gaussian(marks, max(sigma / _SQUARE, 0.5)), (marks.shape[0] * _SQUARE, marks.shape[1] * _SQUARE))
    signal = np.empty(shape, np.float32)
    _mix(mean.signal, mean.variance, present.signal, variance, share, signal, change)
    return SpotImage(signal, change, mean.weight)


@njit(cache=True, nogil=True)
def _changes(
    mean: Image, mean_variance: Image, weight: Image, now: Image, variance: Image, out: Image
) -> None:  # pragma: no cover (numba)
    """Present frame less the mean, over its noise; 0 where nothing counts."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            spread = np.sqrt(mean_variance[y, x] + variance[y, x])
            out[y, x] = weight[y, x] * (now[y, x] - mean[y, x]) / max(spread, np.float32(1e-6))


@njit(cache=True, nogil=True)
def _marks(image: Image, scale: np.float32) -> Image:  # pragma: no cover (numba)
    """How far the largest difference of each square counts, 0 to 1; `scale` takes the image to units of its noise."""
    height, width = image.shape
    out = np.zeros(((height + _SQUARE - 1) // _SQUARE, (width + _SQUARE - 1) // _SQUARE), np.float32)
    for y in range(height):
        row = out[y // _SQUARE]
        for square in range(row.size):
            largest = row[square]
            for x in range(square * _SQUARE, min((square + 1) * _SQUARE, width)):
                largest = max(largest, abs(image[y, x]))
            row[square] = largest
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            share = (out[y, x] * scale - _BEGINS) / (_COUNTS - _BEGINS)
            out[y, x] = min(max(share, np.float32(0)), np.float32(1))
    return out


@njit(cache=True, nogil=True)
def _mix(
    mean: Image, mean_variance: Image, now: Image, variance: Image, share: Image, signal: Image, spread: Image
) -> None:  # pragma: no cover (numba)
    """Mean and present frame by the share of the latter; the mean holds the present frame, so their noise is shared."""
    for y in range(signal.shape[0]):
        for x in range(signal.shape[1]):
            new = share[y, x]
            old = np.float32(1) - new
            signal[y, x] = old * mean[y, x] + new * now[y, x]
            spread[y, x] = old * (old + 2 * new) * mean_variance[y, x] + new * new * variance[y, x]
