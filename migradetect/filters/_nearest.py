"""Distance to the nearest labelled pixel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest_label"]


def nearest_label(
    labels: NDArray[Any], y_px: NDArray[Any], x_px: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance to the nearest labelled pixel and its label.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 is background.
    y_px, x_px : ndarray, shape (N,)
        Places; those outside are moved to the edge.

    Returns
    -------
    distance_px : ndarray, shape (N,)
        0 on a label; inf where there is none at all.
    label : ndarray of int, shape (N,)
        0 where there is none at all.
    """
    n = np.asarray(y_px).size
    if not labels.any():
        return np.full(n, np.inf), np.zeros(n, np.int64)
    empty = (labels == 0).astype(np.uint8)
    distance, index = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_index = np.zeros(int(index.max()) + 1, np.int64)
    of_index[index[empty == 0]] = labels[empty == 0]
    rows = np.clip(np.rint(y_px), 0, labels.shape[0] - 1).astype(int)
    columns = np.clip(np.rint(x_px), 0, labels.shape[1] - 1).astype(int)
    return distance[rows, columns].astype(float), of_index[index[rows, columns]]
