"""Along which fibers a place on the dish is reached from the rear of each cell.

A cell pays out fibers at its rear and nowhere else, so the way from a place to its cell runs along a fiber, straight on
where fibers cross, and ends at a rear. Each way has a cost in um: its length, and more for what a fiber does not do,
such as turning at a crossing, breaking off, or meeting a body at its front. The cheapest way from each cell is found
with Dijkstra's algorithm (1959, doi:10.1007/BF01386390).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from migradetect.calibration import Calibration
from migradetect.filters import nearest_label
from migradetect.nearby import label_within

__all__ = ["MAX_COST_UM", "FiberBranches", "trail_costs"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Longer ways tell nothing: by then they have met many crossings, um.
MAX_COST_UM = 150.0
#: A turn by the angle a at a crossing or gap costs this times 1 - cos a: one of 90 degrees as much as 10 um of fiber.
_TURN_UM = 10.0
#: A fiber that meets its cell at the angle a from the rear costs this times 1 - cos a: at the front 30 um.
_REAR_UM = 15.0
#: 1 - cos a where the cell stands still and its rear is not known.
_UNKNOWN_REAR = 0.7
#: Gaps of this length are jumped straight on, um: pieces of a dim fiber, or of one that a migrasome hides.
_GAP_UM = 2.5
#: Largest 1 - cos a over a gap (60 degrees), and at a crossing (120 degrees): no fiber runs back on itself.
_GAP_TURN, _CROSSING_TURN = 0.5, 1.5
#: Length over which a fiber shows its direction at its end, um.
_DIRECTION_UM = 1.2
#: A fiber that comes this close to the outline of a body may end there, um: outlines are drawn inside the dim edge.
_CONTACT_UM = 1.6
#: A body hides the fibers that it crosses. A way beneath it costs this much beside its length, um; it is this long at
#: most, um, and bends by 45 degrees at most at either edge, as 1 - cos a.
_BENEATH_UM, _BENEATH_REACH_UM, _BENEATH_TURN = 10.0, 40.0, 0.3
#: The rear of a body is drawn out to tails where its fibers begin: parts narrower than twice the first length, um. A
#: fiber that meets no tail costs the second length, um, and at a tail less, by a factor e for each third length, um.
_TAIL_RADIUS_UM, _NO_TAIL_UM, _TAIL_UM = 4.0, 10.0, 1.5
#: Grid on which bodies are taken apart into core and tails, um.
_COARSE_UM = 0.5
#: Ends of branches this close meet in one crossing, um, and pixels: the skeleton draws a crossing some pixels wide.
_JOINT_UM, _JOINT_PX = 0.2, 1.6


@dataclass(frozen=True)
class FiberBranches:
    """Centrelines of one frame, cut at crossings, and how one leads on to another; B branches of M points.

    A branch has two ends, 2 b and 2 b + 1 for branch b.

    Parameters
    ----------
    points_um : ndarray, shape (M, 2)
        y, x along each branch.
    branch : ndarray of int, shape (M,)
        Branch of each point.
    along_um : ndarray, shape (M,)
        Length of the branch up to each point.
    length_um : ndarray, shape (B,)
        Length of each branch.
    gap_um, cell_id : ndarray, shape (M,)
        Distance of each point from the nearest body, and which it is; inf and 0 where none is in contact.
    tail_um : ndarray, shape (M,)
        Distance from the nearest core, which is a body without its tails; inf where no body is in contact.
    left_by, entered_at : ndarray of int, shape (K,)
        Ends that lead on to each other.
    step_um : ndarray, shape (K,)
        Cost of leaving by one and entering at the other.
    """

    points_um: Array
    branch: Index
    along_um: Array
    length_um: Array
    gap_um: Array
    cell_id: Index
    tail_um: Array
    left_by: Index
    entered_at: Index
    step_um: Array

    @classmethod
    def from_paths(cls, paths: Sequence[Array], cells: NDArray[Any], calibration: Calibration) -> FiberBranches:
        """Join branches at crossings, over gaps, and beneath bodies.

        Parameters
        ----------
        paths : sequence of ndarray, shape (points, 2)
            y, x in um along each branch, from one end to the other.
        cells : ndarray of int, shape (Y, X)
            Bodies; label value = cell_id.
        calibration : Calibration
            Pixel size.

        Returns
        -------
        FiberBranches
        """
        sizes = np.array([len(path) for path in paths], np.int64)
        points = np.concatenate(paths) if len(paths) else np.empty((0, 2))
        along, inward = _courses(points, sizes)
        end = np.column_stack([np.cumsum(sizes) - sizes, np.cumsum(sizes) - 1]).ravel()
        gap_px, cell = label_within(
            cells, calibration.px(points[:, 0]), calibration.px(points[:, 1]), calibration.px(_CONTACT_UM)
        )
        gap = np.asarray(calibration.um(gap_px))
        touched = np.where(gap[end] <= _CONTACT_UM, cell[end], 0)
        joint_um = _JOINT_UM + calibration.um(_JOINT_PX)
        steps = _steps(points[end], inward, along[end[1::2]], touched, joint_um)
        tail = np.full(len(points), np.inf)
        near = gap <= _CONTACT_UM
        tail[near] = _distance_to_core(cells, points[near], calibration)
        return cls(points, np.repeat(np.arange(len(paths)), sizes), along, along[end[1::2]], gap, cell, tail, *steps)


def _distance_to_core(cells: NDArray[Any], points_um: Array, calibration: Calibration) -> Array:
    """Distance of each point from the nearest body without its tails, um."""
    size = tuple(max(1, round(calibration.um(float(n)) / _COARSE_UM)) for n in cells.shape[::-1])
    known = cells if cells.dtype in (np.uint8, np.uint16) else cells.astype(np.float32)
    body = (cv2.resize(known, size, interpolation=cv2.INTER_NEAREST) > 0).astype(np.uint8)
    radius = round(_TAIL_RADIUS_UM / _COARSE_UM)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    core = cv2.morphologyEx(body, cv2.MORPH_OPEN, disc)
    # a body that is all tail has none of its own
    core = np.where(core.any(), core, body)
    distance, _ = nearest_label(core, points_um[:, 0] / _COARSE_UM, points_um[:, 1] / _COARSE_UM)
    return np.asarray(distance * _COARSE_UM)


@njit(cache=True, nogil=True)
def _courses(points: Array, sizes: Index) -> tuple[Array, Array]:  # pragma: no cover (numba)
    """Length up to each point, and the unit vector into each branch from either end, shape (2 B, 2).

    The vector is zero for a single point.
    """
    along, inward = np.zeros(len(points)), np.zeros((2 * sizes.size, 2))
    low = 0
    for b in range(sizes.size):
        high = low + sizes[b] - 1
        for k in range(low + 1, high + 1):
            step = np.hypot(points[k, 0] - points[k - 1, 0], points[k, 1] - points[k - 1, 1])
            along[k] = along[k - 1] + step
        for side in range(2):
            end, way = (low, 1) if side == 0 else (high, -1)
            # two steps at least: one step of a skeleton has one of eight directions
            n = 2
            while n < high - low and abs(along[end + way * n] - along[end]) < _DIRECTION_UM:
                n += 1
            last = end + way * min(n, high - low)
            dy, dx = points[last, 0] - points[end, 0], points[last, 1] - points[end, 1]
            size = np.hypot(dy, dx)
            if size > 0:
                inward[2 * b + side] = (dy / size, dx / size)
        low = high + 1
    return along, inward


def _steps(ends: Array, inward: Array, length_um: Array, touched: Index, joint_um: float) -> tuple[Index, Index, Array]:
    """Ends that lead on to each other, both ways, and what it costs."""
    near = _pairs_within(ends, _GAP_UM)
    # a short loop closes upon itself at every crossing
    near = near[(near[:, 0] // 2 != near[:, 1] // 2) | (length_um[near[:, 0] // 2] >= 0.5)]
    distance, turn, bend = _bends(ends, inward, near)
    is_joint = distance <= joint_um
    is_free = np.bincount(near[is_joint].ravel(), minlength=len(ends)) == 0
    turn = np.where(is_joint, turn, np.maximum(turn, bend))
    beneath = [_pairs_within(ends, _BENEATH_REACH_UM, np.flatnonzero(touched == cell)) for cell in set(touched) - {0}]
    under = np.concatenate([np.empty((0, 2), np.int64), *beneath])
    under_um, _, under_bend = _bends(ends, inward, under)
    passes = under_bend <= _BENEATH_TURN
    left, entered, step = [under[passes].ravel()], [under[passes][:, ::-1].ravel()], []
    step.append(np.repeat(under_um[passes] + _BENEATH_UM + _TURN_UM * under_bend[passes], 2))
    for one, other in (near.T, near.T[::-1]):
        # only a free end is the edge of a gap
        is_open = np.where(is_joint, turn <= _CROSSING_TURN, is_free[one] & (turn <= _GAP_TURN))
        left.append(one[is_open])
        entered.append(other[is_open])
        step.append((distance + _TURN_UM * turn)[is_open])
    return np.concatenate(left), np.concatenate(entered), np.concatenate(step)


def _pairs_within(ends: Array, reach_um: float, among: Index | None = None) -> Index:
    """Pairs of ends at most so far apart, shape (pairs, 2); of those in `among`, if given."""
    chosen = np.arange(len(ends)) if among is None else among
    if chosen.size < 2:
        return np.empty((0, 2), np.int64)
    return np.asarray(chosen[cKDTree(ends[chosen]).query_pairs(reach_um, output_type="ndarray")], dtype=np.int64)


def _bends(ends: Array, inward: Array, pairs: Index) -> tuple[Array, Array, Array]:
    """Distance of two ends, 1 - cos of the angle between their fibers, and the largest of a fiber with the straight."""
    a, b = pairs.T
    offset = ends[b] - ends[a]
    distance = np.hypot(*offset.T)
    onward = offset / np.maximum(distance, 1e-9)[:, None]
    bend = np.maximum(1 + (inward[a] * onward).sum(1), 1 - (inward[b] * onward).sum(1))
    return distance, 1 + (inward[a] * inward[b]).sum(1), bend


def trail_costs(
    branches: FiberBranches, bodies: pd.DataFrame, y_um: Array, x_um: Array, reach_um: Array
) -> pd.DataFrame:
    """Cheapest way along fibers from each cell to each place in one frame.

    Parameters
    ----------
    branches : FiberBranches
        Fibers of the frame.
    bodies : pandas.DataFrame
        One row per cell of the frame: cell_id, y_um, x_um (centroid), rear_y, rear_x (unit vector out of the rear;
        NaN where it is not known).
    y_um, x_um, reach_um : ndarray, shape (N,)
        Places, and how far from each a fiber may run.

    Returns
    -------
    pandas.DataFrame
        place (0 to N - 1), cell_id, cost_um; one row where a cell reaches a place within :data:`MAX_COST_UM`.
    """
    contacts = _contacts(branches, bodies)
    near = _points_near(branches, y_um, x_um, reach_um) if contacts.cell_id.size else []
    place = np.repeat(np.arange(len(near)), [len(points) for points in near]).astype(np.int64)
    if not place.size:
        return pd.DataFrame({"place": place, "cell_id": place, "cost_um": place.astype(np.float64)})
    point = np.concatenate([np.asarray(points, np.int64) for points in near])
    ids, source = np.unique(contacts.cell_id, return_inverse=True)
    entry = _entry_costs(branches, contacts, source, len(ids))
    b, along = branches.branch[point], branches.along_um[point]
    cost = np.minimum(entry[:, 2 * b] + along, entry[:, 2 * b + 1] + branches.length_um[b] - along)
    by_branch = np.argsort(b, kind="stable")
    bounds = np.searchsorted(b[by_branch], np.arange(len(branches.length_um) + 1))
    for k, row in enumerate(source):
        same = by_branch[bounds[contacts.branch[k]] : bounds[contacts.branch[k] + 1]]
        direct = contacts.cost_um[k] + np.abs(along[same] - contacts.along_um[k])
        cost[row, same] = np.minimum(cost[row, same], direct)
    # points come place by place
    places, first = np.unique(place, return_index=True)
    least = np.minimum.reduceat(cost, first, axis=1).T
    at, cell = np.nonzero(least <= MAX_COST_UM)
    return pd.DataFrame({"place": places[at], "cell_id": ids[cell], "cost_um": least[at, cell]})


def _points_near(branches: FiberBranches, y_um: Array, x_um: Array, reach_um: Array) -> list[list[int]]:
    """Points of branches within reach of each place."""
    if not len(y_um):
        return []
    # a tree that need not be balanced is built in half the time
    tree = cKDTree(branches.points_um, balanced_tree=False, compact_nodes=False)
    return list(tree.query_ball_point(np.column_stack([y_um, x_um]), reach_um))


@dataclass(frozen=True)
class _Contacts:
    """Where branches meet bodies; arrays of shape (contacts,)."""

    branch: Index
    along_um: Array
    cell_id: Index
    cost_um: Array


def _contacts(branches: FiberBranches, bodies: pd.DataFrame) -> _Contacts:
    """Where each branch comes nearest to each body that it touches, and what it costs to set out there."""
    cell_id = bodies["cell_id"].to_numpy(np.int64)
    row = pd.Index(cell_id).get_indexer(pd.Index(branches.cell_id))
    point = np.flatnonzero((branches.gap_um <= _CONTACT_UM) & (row >= 0))
    order = np.lexsort((point, branches.gap_um[point], branches.cell_id[point], branches.branch[point]))
    point = point[order]
    # of each branch and body the nearest point, which comes first
    is_first = np.ones(point.size, bool)
    is_first[1:] = (np.diff(branches.branch[point]) != 0) | (np.diff(branches.cell_id[point]) != 0)
    at = point[is_first]
    body = row[at]
    outward = branches.points_um[at] - bodies[["y_um", "x_um"]].to_numpy(float)[body]
    outward /= np.maximum(np.hypot(*outward.T), 1e-9)[:, None]
    away = 1 - (outward * bodies[["rear_y", "rear_x"]].to_numpy(float)[body]).sum(1)
    away = np.where(np.isfinite(away), away, _UNKNOWN_REAR)
    return _Contacts(
        branches.branch[at],
        branches.along_um[at],
        branches.cell_id[at],
        _REAR_UM * away + branches.gap_um[at] + _NO_TAIL_UM * np.exp(-branches.tail_um[at] / _TAIL_UM),
    )


def _entry_costs(branches: FiberBranches, contacts: _Contacts, source: Index, n_cells: int) -> Array:
    """Cost from each cell to entering each branch at each of its ends, shape (cells, 2 B); inf beyond reach."""
    n_ends = 2 * len(branches.length_um)
    # entering at one end is leaving by the other, a branch further
    start, stop = [branches.left_by ^ 1], [branches.entered_at]
    cost = [branches.length_um[branches.left_by // 2] + branches.step_um]
    by_end = np.argsort(branches.left_by, kind="stable")
    first = np.searchsorted(branches.left_by[by_end], np.arange(n_ends + 1))
    for k, b in enumerate(contacts.branch):
        along = contacts.along_um[k]
        for end, way in ((2 * b, along), (2 * b + 1, branches.length_um[b] - along)):
            steps = by_end[first[end] : first[end + 1]]
            start.append(np.full(steps.size, n_ends + source[k]))
            stop.append(branches.entered_at[steps])
            cost.append(contacts.cost_um[k] + way + branches.step_um[steps])
    rows, columns, weights = np.concatenate(start), np.concatenate(stop), np.concatenate(cost)
    # a sparse array adds up what is given twice, and takes 0 for no way at all
    order = np.lexsort((weights, columns, rows))
    rows, columns, weights = rows[order], columns[order], np.maximum(weights[order], 1e-9)
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
    size = n_ends + n_cells
    graph = csr_array((weights[fresh], (rows[fresh], columns[fresh])), shape=(size, size))
    reached = dijkstra(graph, indices=np.arange(n_ends, size), limit=MAX_COST_UM)
    return np.asarray(reached[:, :n_ends], dtype=np.float64)
