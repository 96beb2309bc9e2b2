"""Gaussian smoothing, other resolutions, and shifts by whole pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["add_shifted", "doubled", "gaussian", "halved", "resize"]

Image = NDArray[np.float32]

#: Above this sigma a Gaussian is computed at reduced resolution: 24 times faster, and equal to 2 % of the maximum.
_MAX_SIGMA_PX = 6.0


def gaussian(image: Image, sigma_px: float) -> Image:
    """Gaussian smoothing with reflected edges.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Float image.
    sigma_px : float
        Standard deviation in pixels; 0 copies.

    Returns
    -------
    ndarray, shape (Y, X)
    """
    if sigma_px <= 0.05:
        return image.copy()
    factor = int(sigma_px / (_MAX_SIGMA_PX / 2))
    if sigma_px > _MAX_SIGMA_PX and min(image.shape) > 8 * factor:
        small = resize(image, (max(1, image.shape[0] // factor), max(1, image.shape[1] // factor)))
        scale = image.shape[0] / small.shape[0]
        # shrinking by areas is itself a box blur of variance (scale^2 - 1) / 12
        rest = np.sqrt(max(sigma_px**2 - (scale**2 - 1) / 12, 0.01)) / scale
        return resize(gaussian(small, float(rest)), image.shape)
    size = 2 * int(np.ceil(4 * sigma_px)) + 1
    return np.asarray(cv2.GaussianBlur(image, (size, size), sigma_px, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def resize(image: Image, shape_yx: tuple[int, ...]) -> Image:
    """Resample to another shape: by areas when shrinking, linearly when growing."""
    mode = cv2.INTER_AREA if shape_yx[0] < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (shape_yx[1], shape_yx[0]), interpolation=mode), dtype=np.float32)


def halved(image: Image) -> Image:
    """Image at half its resolution, by areas; shape ((Y + 1) // 2, (X + 1) // 2)."""
    height, width = image.shape
    if height % 2 or width % 2:
        # a half pixel at the edge would shift the whole grid
        wider = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        image = np.asarray(wider, dtype=np.float32)
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.float32)


def doubled(half: Image, shape_yx: tuple[int, ...]) -> Image:
    """Image at twice its resolution, linearly; the inverse of :func:`halved` but for the detail that it lost.

    Parameters
    ----------
    half : ndarray, shape ((Y + 1) // 2, (X + 1) // 2)
        From :func:`halved`.
    shape_yx : tuple of int
        Y, X.

    Returns
    -------
    ndarray, shape (Y, X)
    """
    whole = cv2.resize(half, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(whole[: shape_yx[0], : shape_yx[1]], dtype=np.float32)


def add_shifted(total: Image, image: NDArray[Any], dy: int, dx: int) -> None:
    """Add an image, moved by whole pixels, to another of its shape; what leaves the frame is lost.

    Parameters
    ----------
    total : ndarray, shape (Y, X)
        What is added to, in place.
    image : ndarray, shape (Y, X)
        Any image.
    dy, dx : int
        What stands at (y, x) in the image is added at (y + dy, x + dx).
    """
    height, width = image.shape
    if abs(dy) < height and abs(dx) < width:
        total[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] += image[
            max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
        ]
