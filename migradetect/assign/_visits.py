"""Who was at each place before the birth of a migrasome, and when a fiber ran there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

__all__ = ["CellPaths", "visit_evidence"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: A body this close has been at the place, um: outlines err by this much. And this close it covers it.
_VISIT_UM, _COVER_UM = 0.8, 0.3
#: Shorter absences are errors of the outline, min.
_ABSENCE_MIN = 5.0
#: A fiber this close runs through the place, um; it can be seen where a body is at least that far.
_FIBER_UM, _CLEAR_UM = 0.8, 0.5
#: Time after a visit in which a fiber shows, min.
_FIBER_SHOWS_MIN = 12.0
#: What a visit tells, in the order of the columns below; see :data:`migradetect.assign.FEATURES`.
_HISTORY = (
    "visited",
    "covered_min",
    "visitors_before",
    "visitors_after",
    "covered_after_min",
    "fiber_before",
    "fiber_after",
    "since_visit_min",
    "rear_cos_visit",
    "lateral_visit",
    "n_visitors",
    "fiber_before_any",
)


@dataclass(frozen=True)
class CellPaths:
    """C cells over time, one after the other, in R rows.

    Parameters
    ----------
    cell_id : ndarray of int, shape (C,)
        Rising.
    start : ndarray of int, shape (C + 1,)
        First row of each cell, and the end.
    frame : ndarray of int, shape (R,)
        Rising for each cell.
    place_um, rear : ndarray, shape (R, 2)
        Centroid, drift-corrected, and unit vector out of the rear (NaN: not known).
    radius_um : ndarray, shape (R,)
        Of a disc of the same area.
    """

    cell_id: Index
    start: Index
    frame: Index
    place_um: Array
    radius_um: Array
    rear: Array

    @classmethod
    def from_table(cls, cells: pd.DataFrame) -> CellPaths:
        """Cells with their rears, see :func:`migradetect.assign.rear_directions`."""
        identity, frame = cells["cell_id"].to_numpy(np.int64), cells["frame"].to_numpy(np.int64)
        order = np.lexsort((frame, identity))
        cell_id, start = np.unique(identity[order], return_index=True)
        rows = cells.iloc[order]
        return cls(
            cell_id,
            np.append(start, order.size),
            frame[order],
            np.ascontiguousarray(rows[["y_stage_um", "x_stage_um"]].to_numpy(float)),
            np.sqrt(rows["area_um2"].to_numpy(float) / np.pi),
            np.ascontiguousarray(rows[["rear_y", "rear_x"]].to_numpy(float)),
        )

    def index_of(self, cell_id: Index) -> Index:
        """Position of each identity; -1 for one that is not among them."""
        return np.asarray(pd.Index(self.cell_id).get_indexer(pd.Index(cell_id)), dtype=np.int64)

    @property
    def views(self) -> Index:
        """Frame times C plus position of the cell of each row: names a cell in a frame by one number."""
        return self.frame * self.cell_id.size + np.repeat(np.arange(self.cell_id.size), np.diff(self.start))


def visit_evidence(
    place_um: Array,
    migrasome_id: Index,
    birth: Index,
    pairs: tuple[Index, Index],
    surroundings: pd.DataFrame,
    paths: CellPaths,
    interval_min: float,
) -> dict[str, Array]:
    """Evidence that visits give for each pair of a place and a cell.

    Parameters
    ----------
    place_um : ndarray, shape (N, 2)
        Places, drift-corrected.
    migrasome_id, birth : ndarray of int, shape (N,)
        Their identity and the first frame of each migrasome.
    pairs : (ndarray of int, ndarray of int), shape (P,)
        Position of the place, rising, and of the cell of each pair.
    surroundings : pandas.DataFrame
        As for :func:`migradetect.assign.pair_features`.
    paths : CellPaths
        C cells.
    interval_min : float
        Minutes between frames; 0 for a single frame.

    Returns
    -------
    dict of str to ndarray, shape (P,)
        NaN where there was no visit or nothing can be told.
    """
    site = np.asarray(pd.Index(migrasome_id).get_indexer(pd.Index(surroundings["migrasome_id"])), dtype=np.int64)
    frame = surroundings["frame"].to_numpy(np.int64)
    order = np.lexsort((frame, site))
    order = order[site[order] >= 0]
    around = (
        np.searchsorted(site[order], np.arange(len(place_um) + 1)),
        frame[order],
        surroundings["cell_um"].to_numpy(float)[order],
        surroundings["nearest_cell"].to_numpy(np.int64)[order],
        surroundings["fiber_um"].to_numpy(float)[order],
    )
    # an absence of one frame is none
    per_min = 1 / interval_min if interval_min > 0 else 0.0
    limits = max(2.0, _ABSENCE_MIN * per_min), _FIBER_SHOWS_MIN * per_min
    values, left = _of_pairs(*pairs, birth, paths.cell_id, *around, *limits)
    values[:, [1, 4, 7]] *= interval_min
    values[:, 8:10] = _when_left(place_um[pairs[0]], pairs[1], left, paths)
    return {name: values[:, k] for k, name in enumerate(_HISTORY)}


def _when_left(place_um: Array, cell: Index, left: Index, paths: CellPaths) -> Array:
    """Cosine from the rear and offset from the axis of each cell when it left, shape (P, 2); NaN without a visit."""
    out = np.full((cell.size, 2), np.nan)
    for k in np.flatnonzero(left >= 0):
        rows = slice(paths.start[cell[k]], paths.start[cell[k] + 1])
        j = int(paths.start[cell[k]]) + int(np.argmin(np.abs(paths.frame[rows] - left[k])))
        (y, x), (rear_y, rear_x) = place_um[k] - paths.place_um[j], paths.rear[j]
        out[k, 0] = (y * rear_y + x * rear_x) / max(float(np.hypot(y, x)), 1e-6)
        out[k, 1] = abs(y * rear_x - x * rear_y) / paths.radius_um[j]
    return out


@njit(cache=True, nogil=True)
def _of_pairs(
    site: Index,
    cell: Index,
    birth: Index,
    cell_id: Index,
    start: Index,
    frame: Index,
    cell_um: Array,
    nearest: Index,
    fiber_um: Array,
    absence: float,
    shows: float,
) -> tuple[Array, Index]:  # pragma: no cover (numba)
    """Columns of the history of each pair, times in frames, and the last frame of its last visit (-1: none)."""
    out, left_at = np.full((site.size, 12), np.nan), np.full(site.size, -1)
    visitor, first, last = np.empty((3, frame.size), np.int64)
    of_site, n = -1, 0
    for k in range(site.size):
        i, born = site[k], birth[site[k]]
        near = slice(start[i], start[i + 1])
        t, gap, body, fiber = frame[near], cell_um[near], nearest[near], fiber_um[near]
        if i != of_site:
            of_site, n = i, _visits(t, gap, body, born + 1, absence, visitor, first, last)
            n_visitors = _distinct(visitor, 0, n)
            before_any = _fiber_share(t, gap, fiber, -1, first[0], 2) if n else np.nan
        own = cell_id[cell[k]]
        out[k, 0], out[k, 10], out[k, 11] = 0.0, n_visitors, before_any
        mine = np.flatnonzero(visitor[:n] == own)
        if not mine.size:
            continue
        a, b = mine[0], mine[-1]
        left = min(last[b], born)
        left_at[k] = left
        until = first[b + 1] if b + 1 < n else born + shows
        later = b + 1
        while later < n and first[later] <= born:
            later += 1
        out[k, 0] = 1.0
        out[k, 2], out[k, 3] = _distinct(visitor, 0, a), _distinct(visitor, b + 1, later)
        out[k, 5] = _fiber_share(t, gap, fiber, -1, first[a], 2)
        out[k, 6] = _fiber_share(t, gap, fiber, left, max(until, left + 1), 1)
        out[k, 7] = born - left
        covered = after = 0
        for j in range(t.size):
            if gap[j] <= _COVER_UM and t[j] <= born:
                covered += body[j] == own
                is_other = body[j] != own and (visitor[:n] == body[j]).any()
                after += is_other and t[j] > left
        out[k, 1], out[k, 4] = covered, after
    return out, left_at


@njit(cache=True, nogil=True)
def _visits(
    frame: Index, cell_um: Array, nearest: Index, until: int, absence: float, visitor: Index, first: Index, last: Index
) -> int:  # pragma: no cover (numba)
    """Write the visits to a place, in order of time; their number."""
    n = 0
    for k in range(frame.size):
        if not (cell_um[k] <= _VISIT_UM and nearest[k] > 0 and frame[k] <= until):
            continue
        if n and visitor[n - 1] == nearest[k] and frame[k] - last[n - 1] <= absence:
            last[n - 1] = frame[k]
        else:
            visitor[n], first[n], last[n] = nearest[k], frame[k], frame[k]
            n += 1
    return n


@njit(cache=True, nogil=True)
def _distinct(values: Index, low: int, high: int) -> int:  # pragma: no cover (numba)
    """Number of different values between two positions."""
    n = 0
    for k in range(low, high):
        n += not (values[low:k] == values[k]).any()
    return n


@njit(cache=True, nogil=True)
def _fiber_share(
    frame: Index, cell_um: Array, fiber_um: Array, after: float, before: float, least: int
) -> float:  # pragma: no cover (numba)
    """Share of the clear frames between two in which a fiber ran here; NaN where there are fewer than `least`."""
    clear = on_fiber = 0
    for k in range(frame.size):
        if frame[k] > after and frame[k] < before and cell_um[k] > _CLEAR_UM:
            clear += 1
            on_fiber += fiber_um[k] < _FIBER_UM
    return on_fiber / clear if clear >= least else np.nan
