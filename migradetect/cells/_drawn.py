"""One pass over all pixels: sums over regions, and labels brought from one grid to another."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.cells._edge import bilinear_at

__all__ = ["drawn", "regional", "spread"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

#: Height of a pixel over the level of the outline, relative to it, where something else than this level put it inside
#: or outside: about half a pixel from an edge that is as steep as optics allow.
_PUT = np.float32(0.25)


@njit(cache=True, nogil=True)
def regional(regions: Any, deep: Any, inner: Any, outer: Any, step: float, n: int) -> Any:  # pragma: no cover (numba)
    """Area in pixels of each region, whether it has any deep pixel, and the mean contrast of the edge at its rim.

    The contrast is the height of the edge relative to the level inside of it, 0 to 1.
    """
    height, width = regions.shape
    area, is_deep = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    total, number = np.zeros(n), np.zeros(n, np.int64)
    for y in range(height):
        for x in range(width):
            one = regions[y, x]
            if one == 0:
                continue
            area[one] += 1
            if deep[y, x]:
                is_deep[one] = True
                continue
            is_rim = False
            for i in range(max(y - 1, 0), min(y + 2, height)):
                for j in range(max(x - 1, 0), min(x + 2, width)):
                    is_rim |= regions[i, j] == 0
            if is_rim:
                body = bilinear_at(inner, (y + 0.5) * step - 0.5, (x + 0.5) * step - 0.5)
                dish = bilinear_at(outer, (y + 0.5) * step - 0.5, (x + 0.5) * step - 0.5)
                total[one] += min(max(1 - dish / max(body, 1e-3), 0.0), 1.0)
                number[one] += 1
    return area, is_deep, total / np.maximum(number, 1)


@njit(cache=True, nogil=True)
def spread(parts: Any, mask: Any, reach_px: float) -> Any:  # pragma: no cover (numba)
    """Labels of a coarse grid on that of the mask, within it.

    The mask reaches past them by less than a coarse pixel, `reach_px`: there the largest label within reach is taken.
    """
    height, width = mask.shape
    out = np.zeros((height, width), np.int32)
    down, across = parts.shape[0] / height, parts.shape[1] / width
    r = int(np.ceil(reach_px))
    for y in range(height):
        for x in range(width):
            if not mask[y, x]:
                continue
            label = parts[int(y * down), int(x * across)]
            if label == 0:
                for i in range(max(y - r, 0), min(y + r + 1, height)):
                    for j in range(max(x - r, 0), min(x + r + 1, width)):
                        if (i - y) ** 2 + (j - x) ** 2 <= reach_px**2 + 0.25:
                            label = max(label, parts[int(i * down), int(j * across)])
            out[y, x] = label
    return out


def drawn(labels: Labels, mask: Mask, height: Image, shape: tuple[int, ...]) -> tuple[Labels, Mask]:
    """Labels and mask on the recorded grid, the outline between the pixels of the smaller one.

    Parameters
    ----------
    labels : ndarray of int32, shape (Y, X)
    mask : ndarray of bool, shape (Y, X)
        All labels, and more.
    height : ndarray, shape (Y, X)
        Height over the level of the outline, relative to it, -1 to 1.
    shape : tuple of int
        Shape of the recorded frame.

    Returns
    -------
    labels : ndarray of int32
    mask : ndarray of bool
    """
    square = np.ones((3, 3), np.uint8)
    near, whole = (change(mask.view(np.uint8), square) for change in (cv2.dilate, cv2.erode))
    # numpy leaves pages of zeros alone until they are written to; most of a frame has no body
    out, thick = np.zeros(shape, np.int32), np.zeros(shape, np.bool_)
    _draw(labels, near, whole, _signed(mask, height), out, thick)
    return out, thick


@njit(cache=True, nogil=True)
def _signed(mask: Any, height: Any) -> Any:  # pragma: no cover (numba)
    """Height, above 0 within the mask and below 0 outside of it."""
    out = np.empty(mask.shape, np.float32)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            h = height[y, x]
            if mask[y, x]:
                out[y, x] = h if h > 0 else _PUT
            else:
                out[y, x] = h if h <= 0 else -_PUT
    return out


@njit(cache=True, nogil=True)
def _draw(labels: Any, near: Any, whole: Any, signed: Any, out: Any, thick: Any) -> None:  # pragma: no cover (numba)
    """Write labels and mask where the interpolated height is above 0; it is wherever all around is of the mask."""
    height, width = signed.shape
    rows, columns = out.shape
    down, across = height / rows, width / columns
    left = np.ceil(np.arange(width + 1) / across - 1e-6).astype(np.int64)
    for i in range(height):
        top, bottom = int(np.ceil(i / down - 1e-6)), min(int(np.ceil((i + 1) / down - 1e-6)), rows)
        for j in range(width):
            if not near[i, j]:
                continue
            label = labels[i, j]
            if whole[i, j]:
                for y in range(top, bottom):
                    for x in range(left[j], left[j + 1]):
                        out[y, x], thick[y, x] = label, True
                continue
            if label == 0 and signed[i, j] <= 0:
                for y in range(max(i - 1, 0), min(i + 2, height)):
                    for x in range(max(j - 1, 0), min(j + 2, width)):
                        label = max(label, labels[y, x])
            for y in range(top, bottom):
                for x in range(left[j], left[j + 1]):
                    if bilinear_at(signed, (y + 0.5) * down - 0.5, (x + 0.5) * across - 0.5) > 0:
                        out[y, x], thick[y, x] = label, True
