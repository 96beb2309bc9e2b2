"""What speaks for and against each cell as the parent of each migrasome."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.assign._visits import CellPaths, visit_evidence

__all__ = ["FEATURES", "TRAIL_WINDOW_MIN", "pair_features"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Evidence of a pair of migrasome and cell, in the order that the learned model takes it. NaN: not known, or does not
#: apply. A *visit* is a time in which the body of the cell lies on the place or within 0.8 um of it, up to the birth.
#:
#: ===================  ================================================================================================
#: visited              1 if the cell visited the place
#: covered_min          minutes in which its body covered the place
#: visitors_before      other cells that visited before it
#: visitors_after       other cells that visited after it
#: covered_after_min    minutes in which others covered the place after it
#: fiber_before         share of the clear frames before its visit in which a fiber ran through the place
#: fiber_after          the same, after its visit and before the next
#: since_visit_min      minutes from its last visit to the birth
#: rear_cos_visit       cosine of the angle of the place from its rear when it left; 1: straight behind it
#: lateral_visit        offset of the place from the axis of the cell when it left, in cell radii
#: trail_um             cost of the way along fibers from its rear, median over the frames in which there is one
#: trail_share          share of the frames in which there is one
#: trail_margin_um      how much less that costs than the way from any other cell
#: gap_um               distance from its outline at the birth, the body taken as a disc
#: rear_cos_birth       cosine of the angle of the place from its rear at the birth
#: path_radii           smallest distance of its centroid from the place, up to the birth, in cell radii
#: ray_lateral          offset of the place from the ray behind the cell when first seen, over the distance back
#: gap_rank             1 for the cell with the smallest gap_um
#: path_rank            1 for the cell with the smallest path_radii
#: at_start             1 if the migrasome is there in the first frame
#: n_visitors           cells that visited in all
#: fiber_before_any     share of the clear frames before any visit in which a fiber ran through the place
#: ===================  ================================================================================================
FEATURES = (
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
    "trail_um",
    "trail_share",
    "trail_margin_um",
    "gap_um",
    "rear_cos_birth",
    "path_radii",
    "ray_lateral",
    "gap_rank",
    "path_rank",
    "at_start",
    "n_visitors",
    "fiber_before_any",
)

#: Ways along fibers count up to this time after the birth, min: later the fiber tears, or the cell turns over it.
TRAIL_WINDOW_MIN = 16.0
#: A cell that is first seen later than this after the birth is no candidate, min.
_LATE_MIN = 6.0
#: Cost that stands for no way at all, where costs are compared, um.
_NO_TRAIL_UM = 100.0
#: Largest ratio of offset to distance back that is told apart: the place lies in front of the cell.
_RAY_LIMIT = 5.0


def pair_features(
    sites: pd.DataFrame,
    surroundings: pd.DataFrame,
    trails: pd.DataFrame,
    traced_frames: Index,
    cells: pd.DataFrame,
    frame_interval_min: float,
) -> pd.DataFrame:
    """Evidence of each pair of a migrasome and a cell that may have left it.

    Candidates are the cells that were first seen before the birth, or up to 6 min after it.

    Parameters
    ----------
    sites : pandas.DataFrame
        migrasome_id, y_stage_um, x_stage_um, birth_frame (the first in which it exists).
    surroundings : pandas.DataFrame
        One row per site and frame: migrasome_id, frame, cell_um and nearest_cell (nearest body, 0 um on it), fiber_um
        (distance to the nearest fiber).
    trails : pandas.DataFrame
        frame, migrasome_id, cell_id, cost_um: ways along fibers, see :func:`migradetect.trails.trail_costs`.
    traced_frames : ndarray of int
        Frames in which ways were looked for.
    cells : pandas.DataFrame
        cell_id, frame, y_stage_um, x_stage_um, area_um2, rear_y, rear_x.
    frame_interval_min : float
        Minutes between frames; NaN for a single frame.

    Returns
    -------
    pandas.DataFrame
        migrasome_id, cell_id and :data:`FEATURES`; one row per pair.
    """
    interval = frame_interval_min if np.isfinite(frame_interval_min) else 0.0
    paths = CellPaths.from_table(cells)
    place = sites[["y_stage_um", "x_stage_um"]].to_numpy(float)
    number, birth = (sites[name].to_numpy(np.int64) for name in ("migrasome_id", "birth_frame"))
    is_known = (paths.frame[paths.start[:-1]] - birth[:, None]) * interval <= _LATE_MIN
    site, cell = np.nonzero(is_known)
    if not site.size:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in ("migrasome_id", "cell_id", *FEATURES)})
    table = pd.DataFrame({"migrasome_id": number[site], "cell_id": paths.cell_id[cell]})
    geometry = _geometry(
        place, birth, site, cell, paths.start, paths.frame, paths.place_um, paths.radius_um, paths.rear
    )
    for k, name in enumerate(("gap_um", "rear_cos_birth", "path_radii", "ray_lateral")):
        table[name] = geometry[:, k]
    table["gap_rank"] = table.groupby("migrasome_id")["gap_um"].rank()
    table["path_rank"] = table.groupby("migrasome_id")["path_radii"].rank()
    history = visit_evidence(place, number, birth, (site, cell), surroundings, paths, interval)
    limit = birth + (TRAIL_WINDOW_MIN / interval if interval > 0 else 0.0)
    ways = _ways(trails, number, limit, is_known, traced_frames, paths)
    table = table.assign(**history, **ways, at_start=(birth[site] == 0).astype(float))
    return table[["migrasome_id", "cell_id", *FEATURES]]


@njit(cache=True, nogil=True)
def _geometry(
    place: Array,
    birth: Index,
    site: Index,
    cell: Index,
    start: Index,
    frame: Index,
    cell_place: Array,
    radius: Array,
    rear: Array,
) -> Array:  # pragma: no cover (numba)
    """Gap and rear_cos at the birth, path_radii and ray_lateral of each pair, shape (pairs, 4)."""
    out = np.empty((site.size, 4))
    usual = np.array([np.median(radius[start[c] : start[c + 1]]) for c in range(start.size - 1)])
    for k in range(site.size):
        y, x = place[site[k]]
        low, high, born = start[cell[k]], start[cell[k] + 1], birth[site[k]]
        at, nearest = low, np.inf
        for j in range(low, high):
            if abs(frame[j] - born) < abs(frame[at] - born):
                at = j
            if j == low or frame[j] <= born:
                nearest = min(nearest, np.hypot(cell_place[j, 0] - y, cell_place[j, 1] - x))
        dy, dx = y - cell_place[at, 0], x - cell_place[at, 1]
        distance = max(np.hypot(dy, dx), 1e-6)
        out[k, 0] = distance - radius[at]
        out[k, 1] = (dy * rear[at, 0] + dx * rear[at, 1]) / distance
        out[k, 2] = nearest / usual[cell[k]]
        back_y, back_x = y - cell_place[low, 0], x - cell_place[low, 1]
        behind = back_y * rear[low, 0] + back_x * rear[low, 1]
        beside = abs(back_y * rear[low, 1] - back_x * rear[low, 0])
        out[k, 3] = behind if np.isnan(behind) else beside / max(behind, 1.0) if behind > 0 else _RAY_LIMIT
    return out


def _ways(
    trails: pd.DataFrame, number: Index, limit: Array, is_known: NDArray[np.bool_], traced: Index, paths: CellPaths
) -> dict[str, Array]:
    """How cheaply each place is reached along fibers from the rear of each cell; by pairs."""
    row, column = (
        pd.Index(number).get_indexer(pd.Index(trails["migrasome_id"])),
        paths.index_of(trails["cell_id"].to_numpy()),
    )
    in_time = (row >= 0) & (column >= 0)
    in_time &= trails["frame"].to_numpy() <= limit[row]
    key = row[in_time] * paths.cell_id.size + column[in_time]
    by = pd.Series(trails["cost_um"].to_numpy(float)[in_time]).groupby(key)
    median, count = np.full(is_known.shape, np.nan), np.zeros(is_known.shape)
    table = by.agg(["median", "count"])
    median.flat[table.index], count.flat[table.index] = table["median"], table["count"]
    cost = np.where(is_known, np.where(np.isnan(median), _NO_TRAIL_UM, median), np.inf)
    traced = np.sort(traced)
    # frames in which a cell was in view and ways were looked for, up to each of them
    in_view = np.isin(traced[:, None] * paths.cell_id.size + np.arange(paths.cell_id.size), paths.views)
    so_far = np.concatenate([np.zeros((1, paths.cell_id.size)), np.cumsum(in_view, axis=0)])
    looked = so_far[np.searchsorted(traced, limit, side="right")]
    return {
        "trail_um": median[is_known],
        "trail_share": (count / np.maximum(looked, 1))[is_known],
        "trail_margin_um": (_least_of_others(cost) - cost)[is_known],
    }


def _least_of_others(cost: Array) -> Array:
    """Smallest of all other entries of each row; a cell that is alone has nothing cheaper."""
    if cost.shape[1] < 2:
        return np.full(cost.shape, _NO_TRAIL_UM)
    first, second = np.moveaxis(np.partition(cost, 1, axis=1)[:, :2], 1, 0)
    is_least = np.arange(cost.shape[1]) == np.argmin(cost, axis=1)[:, None]
    least = np.where(is_least, second[:, None], first[:, None])
    return np.asarray(np.where(np.isfinite(least), least, _NO_TRAIL_UM))
