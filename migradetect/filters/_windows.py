"""Surroundings of places, resampled to a fixed step."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["smoothed_for", "windows"]

Image = NDArray[np.float32]

#: Samples wider than this many pixels stand for the pixels around them.
_WIDE_SAMPLE_PX = 1.3
#: OpenCV takes at most 32767 rows at once.
_ROWS = 8192


def smoothed_for(image: Image, step_px: float) -> Image:
    """What samples of this step, px, stand for: the image itself where they are no wider than pixels; shape (Y, X)."""
    if step_px <= _WIDE_SAMPLE_PX:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 * step_px), np.float32)


def windows(
    image: Image,
    y_px: NDArray[np.float64],
    x_px: NDArray[np.float64],
    n: int,
    step_px: float,
    how: int = cv2.INTER_LINEAR,
) -> Image:
    """Samples of an image around each place.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        What is sampled.
    y_px, x_px : ndarray, shape (N,)
        Centres.
    n : int
        Samples along the edge of a window.
    step_px : float
        Their distance.
    how : int
        Interpolation, as OpenCV numbers it.

    Returns
    -------
    ndarray, shape (N, n * n)
        Row by row; 0 beyond the image.
    """
    offset = (np.arange(n) - (n - 1) / 2) * step_px
    rows, columns = np.repeat(offset, n), np.tile(offset, n)
    out = np.empty((len(y_px), n * n), np.float32)
    for start in range(0, len(y_px), _ROWS):
        part = slice(start, start + _ROWS)
        y, x = np.asarray(y_px[part, None] + rows, np.float32), np.asarray(x_px[part, None] + columns, np.float32)
        out[part] = cv2.remap(image, x, y, how, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return out
