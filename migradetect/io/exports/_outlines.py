"""Outlines of label images as points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["outlines"]

#: A point of an outline may lie this far from the line that replaces it, px.
_TOLERANCE_PX = 0.25


def outlines(plane: NDArray[Any]) -> list[tuple[int, NDArray[np.float64]]]:
    """Outer outline of the largest part of each label.

    Parameters
    ----------
    plane : ndarray of int, shape (Y, X)
        Label image.

    Returns
    -------
    list of (int, ndarray of shape (N, 2))
        Label, and y, x in pixels; 0 is the centre of pixel 0. The first point is not repeated at the end.
    """
    from skimage.measure import approximate_polygon, find_contours, regionprops

    found = []
    for region in regionprops(np.asarray(plane, dtype=np.int64)):
        corner = np.array(region.bbox[:2]) - 1
        lines = find_contours(np.pad(region.image, 1).astype(np.float32), 0.5)
        # the longest closed line is the outer one of the largest part; holes and islands are inside or smaller
        line = approximate_polygon(max(lines, key=len), _TOLERANCE_PX)[:-1] + corner
        if len(line) >= 3:
            found.append((int(region.label), line))
    return found
