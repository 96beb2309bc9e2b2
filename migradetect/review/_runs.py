"""Label planes as runs of equal labels in each row: exact, small enough to keep for all frames, and quick to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Runs"]


@dataclass(frozen=True)
class Runs:
    """A label plane; R runs.

    Parameters
    ----------
    shape_yx : tuple of int
        Rows and columns.
    row_start : ndarray of int64, shape (Y + 1,)
        First run of each row, and their number.
    first, stop : ndarray of int32, shape (R,)
        Columns of each run.
    label : ndarray of uint32, shape (R,)
        Label of each run; background is left out.
    """

    shape_yx: tuple[int, int]
    row_start: NDArray[np.int64]
    first: NDArray[np.int32]
    stop: NDArray[np.int32]
    label: NDArray[np.uint32]

    @classmethod
    def of(cls, plane: NDArray[Any]) -> Self:
        """Runs of a plane of labels, shape (Y, X); 0 is background."""
        height, width = plane.shape
        flat = plane.ravel()
        # a run ends where the label changes, and at the end of each row
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        start = np.union1d(changes, np.arange(height) * width)
        stop = np.append(start[1:], flat.size)
        is_label = flat[start] != 0
        start, stop = start[is_label], stop[is_label]
        row = start // width
        row_start = np.searchsorted(row, np.arange(height + 1)).astype(np.int64)
        first, last = (start - row * width).astype(np.int32), (stop - row * width).astype(np.int32)
        return cls((height, width), row_start, first, last, flat[start].astype(np.uint32))

    @classmethod
    def empty(cls, shape_yx: tuple[int, int]) -> Self:
        """A plane without labels."""
        none = np.zeros(0, np.int32)
        return cls(shape_yx, np.zeros(shape_yx[0] + 1, np.int64), none, none, np.zeros(0, np.uint32))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.row_start.nbytes + self.first.nbytes + self.stop.nbytes + self.label.nbytes

    def plane(self) -> NDArray[np.uint32]:
        """The whole plane, shape (Y, X)."""
        return self.window(slice(0, self.shape_yx[0]), slice(0, self.shape_yx[1]))

    def window(self, rows: slice, columns: slice) -> NDArray[np.uint32]:
        """A part of the plane; the slices have bounds within it and the step 1."""
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint32)
        _fill(out, self.row_start, self.first, self.stop, self.label, rows.start, columns.start)
        return out

    def renamed(self, ids: Mapping[int, int]) -> Self:
        """Labels replaced by others, all at once; none may become background."""
        label = self.label.copy()
        for old, new in ids.items():
            label[self.label == old] = new
        return replace(self, label=label)

    def nearest(self, y_px: NDArray[Any], x_px: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance to the nearest labelled pixel and its label, as :func:`migradetect.filters.nearest_label`.

        Parameters
        ----------
        y_px, x_px : ndarray, shape (N,)
            Places; those outside are moved to the edge, all to the nearest pixel.

        Returns
        -------
        distance_px : ndarray, shape (N,)
            0 on a label; inf where there is none at all.
        label : ndarray of int, shape (N,)
            0 where there is none at all.
        """
        rows = np.clip(np.rint(y_px), 0, self.shape_yx[0] - 1).astype(np.int64)
        columns = np.clip(np.rint(x_px), 0, self.shape_yx[1] - 1).astype(np.int64)
        return _nearest(self.row_start, self.first, self.stop, self.label, rows, columns)


@njit(cache=True, nogil=True)
def _fill(
    out: NDArray[np.uint32],
    row_start: NDArray[np.int64],
    first: NDArray[np.int32],
    stop: NDArray[np.int32],
    label: NDArray[np.uint32],
    top: int,
    left: int,
) -> None:  # pragma: no cover (numba)
    height, width = out.shape
    for y in range(height):
        for k in range(row_start[top + y], row_start[top + y + 1]):
            for x in range(max(first[k] - left, 0), min(stop[k] - left, width)):
                out[y, x] = label[k]


@njit(cache=True, nogil=True)
def _nearest(
    row_start: NDArray[np.int64],
    first: NDArray[np.int32],
    stop: NDArray[np.int32],
    label: NDArray[np.uint32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # pragma: no cover (numba)
    height = len(row_start) - 1
    distance, found = np.full(rows.size, np.inf), np.zeros(rows.size, np.int64)
    if not len(first):
        return distance, found
    for i in range(rows.size):
        y, x = rows[i], columns[i]
        best = np.int64(2) ** 62
        # row by row away from the place, until rows are further than the nearest run
        for away in range(max(y, height - 1 - y) + 1):
            if away * away >= best:
                break
            for side in range(1 if away == 0 else 2):
                row = y + away if side == 0 else y - away
                if row < 0 or row >= height:
                    continue
                for k in range(row_start[row], row_start[row + 1]):
                    gap = max(first[k] - x, x - stop[k] + 1, 0)
                    square = away * away + gap * gap
                    if square < best:
                        best = square
                        found[i] = label[k]
        distance[i] = np.sqrt(best)
    return distance, found
