"""Labelled objects within a short reach of places: far fewer pixels are looked at than a distance to anything needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["BLOCK_PX", "filled_blocks", "label_within"]

#: Edge of the blocks of which it is known whether they hold any label, pixels.
BLOCK_PX = 16


def label_within(
    labels: NDArray[Any], y_px: NDArray[Any], x_px: NDArray[Any], reach_px: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance to the nearest labelled pixel and its label, where one lies within reach.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 is background.
    y_px, x_px : ndarray, shape (N,)
        Places; those outside are moved to the edge, all to the nearest pixel.
    reach_px : float
        Largest distance that is told.

    Returns
    -------
    distance_px : ndarray, shape (N,)
        0 on a label; inf where there is none within reach.
    label : ndarray of int, shape (N,)
        0 where there is none within reach.

    See Also
    --------
    migradetect.filters.nearest_label : at any distance.
    """
    rows = np.clip(np.rint(y_px), 0, labels.shape[0] - 1).astype(np.int64)
    columns = np.clip(np.rint(x_px), 0, labels.shape[1] - 1).astype(np.int64)
    return _within(labels, filled_blocks(labels), rows, columns, float(reach_px))


@njit(cache=True, nogil=True)
def filled_blocks(labels: NDArray[Any]) -> NDArray[np.bool_]:  # pragma: no cover (numba)
    """Square blocks of :data:`BLOCK_PX` that hold any label; the last ones may be cut off.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 is background.

    Returns
    -------
    ndarray of bool
        One value for each block.
    """
    height, width = labels.shape
    out = np.zeros(((height - 1) // BLOCK_PX + 1, (width - 1) // BLOCK_PX + 1), np.bool_)
    # all rows of a block at once: this way the processor takes many pixels in one step
    column = np.zeros(width, labels.dtype)
    for y in range(height):
        for x in range(width):
            column[x] |= labels[y, x]
        if y % BLOCK_PX == BLOCK_PX - 1 or y == height - 1:
            for x in range(width):
                out[y // BLOCK_PX, x // BLOCK_PX] |= column[x] != 0
            column[:] = 0
    return out


@njit(cache=True, nogil=True)
def _within(
    labels: NDArray[Any],
    is_filled: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    reach: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # pragma: no cover (numba)
    height, width = labels.shape
    distance, label = np.full(rows.size, np.inf), np.zeros(rows.size, np.int64)
    far = int(reach)
    for i in range(rows.size):
        y, x = rows[i], columns[i]
        best = int(reach * reach) + 1
        if labels[y, x]:
            distance[i], label[i] = 0.0, labels[y, x]
            continue
        top, bottom, left, right = max(y - far, 0), min(y + far, height - 1), max(x - far, 0), min(x + far, width - 1)
        for by in range(top // BLOCK_PX, bottom // BLOCK_PX + 1):
            for bx in range(left // BLOCK_PX, right // BLOCK_PX + 1):
                if not is_filled[by, bx]:
                    continue
                for yy in range(max(top, by * BLOCK_PX), min(bottom + 1, (by + 1) * BLOCK_PX)):
                    square = (yy - y) ** 2
                    for xx in range(max(left, bx * BLOCK_PX), min(right + 1, (bx + 1) * BLOCK_PX)):
                        if labels[yy, xx] and square + (xx - x) ** 2 < best:
                            best = square + (xx - x) ** 2
                            label[i] = labels[yy, xx]
        if label[i]:
            distance[i] = np.sqrt(best)
    return distance, label
