"""Touching cells parted by where they are apart later: from the last frame of a movie to the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.cells._drawn import spread
from migradetect.cells._grid import Grid, areas
from migradetect.cells._part import part_as
from migradetect.cells._segment import COARSE_UM, coarse_signal
from migradetect.params import CellParams

__all__ = ["PartBackwards"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Counts = NDArray[np.int64]

#: A cell is known once it was a body of its own for this many frames: what is cut off for less is a lobe.
_KNOWN_FRAMES = 5
#: Share of a cell that lies in the body of the frame before, and of that body that lies in the cell.
_LEAST_INSIDE, _LEAST_SHARE = 0.5, 0.1
#: Area of the body over that of the cells that it is parted into.
_SAME_AREA = (0.6, 1.4)
#: A body of this many usual cells is no mother before her division.
_LARGE = 1.5
#: Largest share of the larger daughter of a division.
_HALVES = 0.75
#: Area over that of the convex hull: a mother is round, cells that touch have notches where they meet.
_ROUND = 0.9
#: Daughters grow: of a mother they had less than this share of the area that they have later.
_GROWN = 0.85
#: Part of the smallest body that counts that a piece has at least.
_LEAST_PIECE = 1 / 3
#: Cells with a gap of this much between them are apart, um.
_APART_UM = 1.2
#: Later frames over which the area of a cell is looked at.
_LATER_FRAMES = 30


@dataclass(frozen=True)
class _Later:
    """A cell as the later frames show it."""

    areas_um2: tuple[float, ...]
    """In the frames for which it was a body of its own, the earliest last."""

    @property
    def frames(self) -> int:
        return len(self.areas_um2)

    @property
    def usual_um2(self) -> float:
        return float(np.median(self.areas_um2))


class PartBackwards:
    """Parts each body that holds two or more cells of the next frame.

    Going through a movie forwards, cells that touch from the first frame on stay one body until they come apart, or
    until a neck or edge shows between them. What is apart in a later frame was so before: the frames are gone through
    once more from the last to the first, each body parted by the cells of the frame after it. A cell before it divides
    stays one: it is no larger than a cell, round, and its daughters grow.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of a plane.
    usual_um2 : float
        Area of a usual cell of the movie; NaN if not known.
    params : CellParams
        As for :func:`segment_cells`.
    calibration : Calibration
        Pixel size.
    """

    def __init__(self, shape: tuple[int, int], usual_um2: float, params: CellParams, calibration: Calibration) -> None:
        self._grid = Grid.of(shape, calibration.pixel_size_um, COARSE_UM)
        self._step = self._grid.shape[0] / shape[0]
        self._usual_um2, self._params, self._calibration = usual_um2, params, calibration
        self._after: Labels | None = None
        self._drift_px = (0.0, 0.0)
        self._later: dict[int, _Later] = {}
        self._together: set[tuple[int, int]] = set()

    def before(self, labels: NDArray[Any], drift_px: tuple[float, float], signal: Callable[[], Image]) -> Labels | None:
        """Labels of the frame before the one given last.

        Parameters
        ----------
        labels : ndarray of int, shape (Y, X)
            Labels of the frame, from 1.
        drift_px : tuple of float
            Stage drift of the frame, y and x.
        signal : callable
            Gives the signal of the frame, as for :func:`segment_cells`; asked for only where something may be parted.

        Returns
        -------
        ndarray of int32, shape (Y, X), or None
            New labels, those of unchanged bodies as they were; None where nothing is parted.
        """
        now = self._coarse(labels)
        after, new = self._after, None
        shared = np.zeros((0, 0), np.int64)
        if after is not None:
            by = tuple(round((b - a) * self._step) for a, b in zip(self._drift_px, drift_px, strict=True))
            after = _moved(after, (by[0], by[1]))
            shared = _shared(now, after, int(now.max()) + 1, int(after.max()) + 1)
            wanted = self._held_together(now, shared)
            if wanted:
                new = self._parted(labels, now, after, wanted, signal())
            if new is not None:
                now = self._coarse(new)
                shared = _shared(now, after, int(now.max()) + 1, int(after.max()) + 1)
        self._follow(now, shared)
        self._after, self._drift_px = now, drift_px
        return new

    def _coarse(self, labels: NDArray[Any]) -> Labels:
        rows, columns = self._grid.shape
        y = np.minimum(((np.arange(rows) + 0.5) / self._step).astype(np.int64), labels.shape[0] - 1)
        x = np.minimum(((np.arange(columns) + 0.5) * labels.shape[1] / columns).astype(np.int64), labels.shape[1] - 1)
        return np.ascontiguousarray(labels[y[:, None], x[None, :]], dtype=np.int32)

    def _held_together(self, now: Labels, shared: Counts) -> dict[int, list[int]]:
        """Bodies of this frame, and the cells of the next that each holds."""
        out: dict[int, list[int]] = {}
        area_now, area_after = shared.sum(axis=1), shared.sum(axis=0)
        for body in (np.flatnonzero((shared[1:, 1:] > 0).sum(axis=1) > 1) + 1).tolist():
            cells = [
                cell
                for cell in (np.flatnonzero(shared[body, 1:]) + 1).tolist()
                if shared[body, cell] > max(_LEAST_INSIDE * area_after[cell], _LEAST_SHARE * area_now[body])
                and self._is_known(cell)
            ]
            cells = [cell for cell in cells if not self._is_lobe(cell, cells, area_after)]
            if len(cells) > 1 and not self._may_be_mother(now == body, area_now[body], area_after[cells], cells):
                out[body] = cells
        return out

    def _is_known(self, cell: int) -> bool:
        later = self._later.get(cell)
        return later is not None and later.frames >= _KNOWN_FRAMES and max(later.areas_um2) >= self._params.min_area_um2

    def _is_lobe(self, cell: int, cells: list[int], area_px: Counts) -> bool:
        """Whether a cell was never seen apart from a larger one: one of both may be a lobe of the other."""
        return any(
            (min(cell, other), max(cell, other)) in self._together
            for other in cells
            if (area_px[other], other) > (area_px[cell], cell)
        )

    def _may_be_mother(self, body: NDArray[np.bool_], area_px: int, parts_px: Counts, cells: list[int]) -> bool:
        """Whether a body is one cell that divides into those of the next frame, or has nothing to do with them."""
        together = float(parts_px.sum())
        if not _SAME_AREA[0] < area_px / together < _SAME_AREA[1]:
            return True
        area_um2 = area_px * self._grid.pixel_um**2
        if area_um2 > _LARGE * self._usual_um2:
            return False
        later = sum(self._later[cell].usual_um2 for cell in cells)
        if parts_px.max() < _HALVES * together and area_um2 < _GROWN * later:
            return True
        return _solidity(body) > _ROUND

    def _parted(
        self, labels: NDArray[Any], now: Labels, after: Labels, wanted: dict[int, list[int]], signal: Image
    ) -> Labels | None:
        image = coarse_signal(signal, self._params, self._calibration)
        out: Labels = labels.astype(np.int32)
        changed = False
        for body, cells in wanted.items():
            named: Labels = np.where(np.isin(after, cells), after, 0).astype(np.int32)
            pieces = part_as(now == body, named, image, self._grid)
            size_um2 = areas(pieces, int(pieces.max()) + 1)[cells] * self._grid.pixel_um**2
            if size_um2.min() < _LEAST_PIECE * self._params.min_area_um2:
                continue
            whole = out == body
            fine = spread(pieces, whole, COARSE_UM / self._calibration.pixel_size_um)
            # the largest piece keeps the label, and what no piece reaches
            lut = np.full(int(pieces.max()) + 1, body, np.int32)
            others = [cell for k, cell in enumerate(cells) if k != int(np.argmax(size_um2))]
            lut[others] = int(out.max()) + 1 + np.arange(len(others))
            out[whole] = lut[fine[whole]]
            changed = True
        return out if changed else None

    def _follow(self, now: Labels, shared: Counts) -> None:
        """Cells of this frame, each with what is known of it later."""
        area = areas(now, int(now.max()) + 1) * self._grid.pixel_um**2
        found: dict[int, _Later] = {}
        known_as: dict[int, int] = {}
        for cell in (np.flatnonzero(area[1:]) + 1).tolist():
            one = int(np.argmax(shared[cell, 1:])) + 1 if shared.shape[1] > 1 else 0
            is_same = one > 0 and shared[cell, one] > 0 and int(np.argmax(shared[1:, one])) + 1 == cell
            if is_same:
                known_as[cell] = one
            past = self._later[one].areas_um2 if is_same and one in self._later else ()
            found[cell] = _Later((*past, float(area[cell]))[-_LATER_FRAMES:])
        self._later = found
        together = set()
        for pair in _touching(now, max(1, round(self._grid.px(_APART_UM))), area.size).tolist():
            a, b = (known_as.get(one, 0) for one in pair)
            if not (a and b) or (min(a, b), max(a, b)) in self._together:
                together.add((pair[0], pair[1]))
        self._together = together


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Area over that of the convex hull."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(found, key=cv2.contourArea)
    return float(cv2.contourArea(largest) / max(cv2.contourArea(cv2.convexHull(largest)), 1e-6))


@njit(cache=True, nogil=True)
def _shared(one: Any, other: Any, n: int, m: int) -> Any:  # pragma: no cover (numba)
    """Pixels that each label of one plane shares with each of another."""
    out = np.zeros((n, m), np.int64)
    for y in range(one.shape[0]):
        for x in range(one.shape[1]):
            out[one[y, x], other[y, x]] += 1
    return out


@njit(cache=True, nogil=True)
def _touching(labels: Any, reach: int, n: int) -> Any:  # pragma: no cover (numba)
    """Pairs of labels, the smaller first, that come as near as `reach` pixels along a row or column."""
    met = np.zeros((n, n), np.bool_)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            one = labels[y, x]
            if one == 0:
                continue
            for k in range(1, reach + 1):
                if y + k < height and labels[y + k, x] > 0:
                    met[one, labels[y + k, x]] = True
                if x + k < width and labels[y, x + k] > 0:
                    met[one, labels[y, x + k]] = True
    pairs = [(0, 0)]
    for a in range(n):
        for b in range(a + 1, n):
            if met[a, b] or met[b, a]:
                pairs.append((a, b))
    return np.array(pairs[1:], np.int64) if len(pairs) > 1 else np.zeros((0, 2), np.int64)


def _moved(labels: Labels, by_px: tuple[int, int]) -> Labels:
    """Labels moved by whole pixels; 0 comes in at the border."""
    out = np.zeros_like(labels)
    (height, width), (dy, dx) = labels.shape, by_px
    if abs(dy) < height and abs(dx) < width:
        source = labels[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
        out[max(dy, 0) : max(dy, 0) + source.shape[0], max(dx, 0) : max(dx, 0) + source.shape[1]] = source
    return out
