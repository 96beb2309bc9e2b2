"""Distance to the nearest labelled pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._runs import RUN_PX, holds_any

__all__ = ["nearest_label"]


def nearest_label(
    labels: NDArray[Any], y_px: NDArray[Any], x_px: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance to the nearest labelled pixel and its label.

    Objects are few and places are few: a search tree of their outlines is many times faster than a distance map of the
    whole plane, and exact.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 is background.
    y_px, x_px : ndarray, shape (N,)
        Places; those outside are moved to the edge, all to the nearest pixel.

    Returns
    -------
    distance_px : ndarray, shape (N,)
        0 on a label; inf where there is none at all.
    label : ndarray of int, shape (N,)
        0 where there is none at all.
    """
    rows = np.clip(np.rint(y_px), 0, labels.shape[0] - 1).astype(np.int64)
    columns = np.clip(np.rint(x_px), 0, labels.shape[1] - 1).astype(np.int64)
    label = labels[rows, columns].astype(np.int64)
    distance = np.zeros(label.size)
    far = np.flatnonzero(label == 0)
    if not far.size:
        return distance, label
    outline = _outline(labels)
    if not len(outline):
        distance[far] = np.inf
        return distance, label
    from scipy.spatial import cKDTree

    # a tree that need not be balanced is built in half the time
    tree = cKDTree(outline, balanced_tree=False, compact_nodes=False)
    distance[far], nearest = tree.query(np.stack([rows[far], columns[far]], axis=1))
    label[far] = labels[outline[nearest, 0], outline[nearest, 1]]
    return distance, label


@njit(cache=True, nogil=True)
def _outline(labels: NDArray[Any]) -> NDArray[np.int32]:  # pragma: no cover (numba)
    """Labelled pixels that touch an unlabelled one by an edge; shape (N, 2)."""
    height, width = labels.shape
    out = np.empty((4096, 2), np.int32)
    n = 0
    for y in range(height):
        for start in range(0, width, RUN_PX):
            run = labels[y, start : start + RUN_PX]
            if not holds_any(run):
                continue
            if n + RUN_PX > len(out):
                longer = np.empty((2 * len(out), 2), np.int32)
                longer[:n] = out[:n]
                out = longer
            for x in range(start, start + run.size):
                if labels[y, x] == 0:
                    continue
                inside = (
                    (y == 0 or labels[y - 1, x] != 0)
                    and (y == height - 1 or labels[y + 1, x] != 0)
                    and (x == 0 or labels[y, x - 1] != 0)
                    and (x == width - 1 or labels[y, x + 1] != 0)
                )
                if not inside:
                    out[n, 0], out[n, 1] = y, x
                    n += 1
    return out[:n]
