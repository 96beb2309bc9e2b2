"""What speaks for and against each cell as the parent of each migrasome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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

#: Those of them that tell of visits.
_HISTORY = (*FEATURES[:10], "n_visitors", "fiber_before_any")

#: Ways along fibers count up to this time after the birth, min: later the fiber tears, or the cell turns over it.
TRAIL_WINDOW_MIN = 16.0
#: A body this close has been at the place, um: outlines err by this much. And this close it covers it.
_VISIT_UM, _COVER_UM = 0.8, 0.3
#: Shorter absences are errors of the outline, min.
_ABSENCE_MIN = 5.0
#: A fiber this close runs through the place, um; it can be seen where a body is at least that far.
_FIBER_UM, _CLEAR_UM = 0.8, 0.5
#: Time after a visit in which a fiber shows, min.
_FIBER_SHOWS_MIN = 12.0
#: A cell that is first seen later than this after the birth is no candidate, min.
_LATE_MIN = 6.0
#: Cost that stands for no way at all, where costs are compared, um.
_NO_TRAIL_UM = 100.0
#: Largest ratio of offset to distance back that is told apart: the place lies in front of the cell.
_RAY_LIMIT = 5.0


@dataclass(frozen=True)
class _Path:
    """One cell over time: frame, centroid, radius and rear, shapes (n,), (n, 2), (n,), (n, 2)."""

    frame: Index
    place_um: Array
    radius_um: Array
    rear: Array

    def at(self, frame: float) -> int:
        return int(np.argmin(np.abs(self.frame - frame)))


@dataclass
class _Visit:
    cell: int
    first: int
    last: int


@dataclass(frozen=True)
class _Surroundings:
    """What was around one place in each frame; arrays of shape (n,)."""

    frame: Index
    cell_um: Array
    cell: Index
    fiber_um: Array

    def visits(self, until: int, absence_frames: float) -> list[_Visit]:
        out: list[_Visit] = []
        for k in np.flatnonzero((self.cell_um <= _VISIT_UM) & (self.cell > 0) & (self.frame <= until)):
            t, cell = int(self.frame[k]), int(self.cell[k])
            if out and out[-1].cell == cell and t - out[-1].last <= absence_frames:
                out[-1].last = t
            else:
                out.append(_Visit(cell, t, t))
        return out

    def fiber_share(self, after: float, before: float, least: int) -> float:
        """Share of the clear frames between two in which a fiber ran here; NaN where there are fewer than `least`."""
        clear = (self.frame > after) & (self.frame < before) & (self.cell_um > _CLEAR_UM)
        return float((self.fiber_um[clear] < _FIBER_UM).mean()) if clear.sum() >= least else np.nan

    def covered(self, cell: Index, after: float, until: float) -> int:
        """Frames in which a body covers the place: one of `cell`."""
        here = (self.cell_um <= _COVER_UM) & (self.frame > after) & (self.frame <= until)
        return int((here & np.isin(self.cell, cell)).sum())


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
    paths = dict(_paths(cells))
    around = {int(str(key)): rows for key, rows in surroundings.groupby("migrasome_id")}
    ways = {int(str(key)): rows for key, rows in trails.groupby("migrasome_id")}
    parts = []
    for site in sites.itertuples():
        number, birth = int(site.migrasome_id), int(site.birth_frame)  # type: ignore[arg-type]
        place = np.array([site.y_stage_um, site.x_stage_um], float)
        known = {cell: path for cell, path in paths.items() if (int(path.frame[0]) - birth) * interval <= _LATE_MIN}
        if not known:
            continue
        table = pd.DataFrame({"migrasome_id": number, "cell_id": np.fromiter(known, np.int64)})
        table = table.join(_geometry(place, birth, list(known.values())))
        near = around[number].sort_values("frame")
        seen = _Surroundings(
            near["frame"].to_numpy(np.int64),
            near["cell_um"].to_numpy(float),
            near["nearest_cell"].to_numpy(np.int64),
            near["fiber_um"].to_numpy(float),
        )
        table = table.join(_history(place, birth, known, seen, interval))
        table = table.join(_ways(ways.get(number), birth, known, traced_frames, interval))
        table["at_start"] = float(birth == 0)
        parts.append(table)
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in ("migrasome_id", "cell_id", *FEATURES)})
    return pd.concat(parts, ignore_index=True)[["migrasome_id", "cell_id", *FEATURES]]


def _paths(cells: pd.DataFrame) -> Iterator[tuple[int, _Path]]:
    for cell, rows in cells.sort_values("frame").groupby("cell_id"):
        yield (
            int(str(cell)),
            _Path(
                rows["frame"].to_numpy(np.int64),
                rows[["y_stage_um", "x_stage_um"]].to_numpy(float),
                np.sqrt(rows["area_um2"].to_numpy(float) / np.pi),
                rows[["rear_y", "rear_x"]].to_numpy(float),
            ),
        )


def _geometry(place: Array, birth: int, paths: list[_Path]) -> pd.DataFrame:
    """Where the place lies from each cell at the birth, along its path, and when it was first seen."""
    rows = []
    for path in paths:
        j = path.at(birth)
        offset = place - path.place_um[j]
        distance = max(float(np.hypot(*offset)), 1e-6)
        so_far = path.place_um[path.frame <= birth] if path.frame[0] <= birth else path.place_um[:1]
        back = place - path.place_um[0]
        behind = float(back @ path.rear[0])
        beside = float(abs(back[0] * path.rear[0, 1] - back[1] * path.rear[0, 0]))
        rows.append(
            {
                "gap_um": distance - path.radius_um[j],
                "rear_cos_birth": float(offset @ path.rear[j]) / distance,
                "path_radii": float(np.hypot(*(so_far - place).T).min() / np.median(path.radius_um)),
                "ray_lateral": np.nan if np.isnan(behind) else beside / max(behind, 1.0) if behind > 0 else _RAY_LIMIT,
            }
        )
    out = pd.DataFrame(rows)
    out["gap_rank"] = out["gap_um"].rank()
    out["path_rank"] = out["path_radii"].rank()
    return out


def _history(
    place: Array, birth: int, paths: dict[int, _Path], seen: _Surroundings, interval_min: float
) -> pd.DataFrame:
    """Who was at the place before the birth, and when a fiber was there."""
    frames = (lambda minutes: minutes / interval_min) if interval_min > 0 else (lambda minutes: 0.0)
    # an absence of one frame is none
    visits = seen.visits(birth + 1, max(2.0, frames(_ABSENCE_MIN)))
    start = seen.fiber_share(-1, visits[0].first, 2) if visits else np.nan
    n_visitors = len({visit.cell for visit in visits})
    rows = []
    for cell, path in paths.items():
        row: dict[str, float] = {"visited": 0.0, "n_visitors": n_visitors, "fiber_before_any": start}
        mine = [k for k, visit in enumerate(visits) if visit.cell == cell]
        if mine:
            first, last = mine[0], mine[-1]
            left = min(visits[last].last, birth)
            others = np.array([visit.cell for visit in visits if visit.cell != cell], np.int64)
            after = visits[last + 1].first if last + 1 < len(visits) else birth + frames(_FIBER_SHOWS_MIN)
            row |= {
                "visited": 1.0,
                "covered_min": seen.covered(np.array([cell]), -1, birth) * interval_min,
                "visitors_before": len({visit.cell for visit in visits[:first]}),
                "visitors_after": len({visit.cell for visit in visits[last + 1 :] if visit.first <= birth}),
                "covered_after_min": seen.covered(others, left, birth) * interval_min,
                "fiber_before": seen.fiber_share(-1, visits[first].first, 2),
                "fiber_after": seen.fiber_share(left, max(after, left + 1), 1),
                "since_visit_min": (birth - left) * interval_min,
            }
            j = path.at(left)
            offset, rear = place - path.place_um[j], path.rear[j]
            row["rear_cos_visit"] = float(offset @ rear) / max(float(np.hypot(*offset)), 1e-6)
            row["lateral_visit"] = float(abs(offset[0] * rear[1] - offset[1] * rear[0]) / path.radius_um[j])
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=_HISTORY)


def _ways(
    ways: pd.DataFrame | None, birth: int, paths: dict[int, _Path], traced: Index, interval_min: float
) -> pd.DataFrame:
    """How cheaply the place is reached along fibers from the rear of each cell."""
    limit = birth + (TRAIL_WINDOW_MIN / interval_min if interval_min > 0 else 0.0)
    traced = traced[traced <= limit]
    ids = list(paths)
    median = pd.Series(np.nan, index=ids)
    count = pd.Series(0.0, index=ids)
    if ways is not None:
        by = ways[ways["frame"] <= limit].groupby("cell_id")["cost_um"]
        median, count = by.median().reindex(ids), by.count().reindex(ids).fillna(0.0).astype(float)
    in_view = np.array([np.isin(traced, path.frame).sum() for path in paths.values()])
    cost: Array = np.asarray(median.fillna(_NO_TRAIL_UM), dtype=np.float64)
    return pd.DataFrame(
        {
            "trail_um": median.to_numpy(float),
            "trail_share": count.to_numpy(float) / np.maximum(in_view, 1),
            "trail_margin_um": _least_of_others(cost) - cost,
        }
    )


def _least_of_others(cost: Array) -> Array:
    """Smallest of all other entries."""
    if cost.size < 2:
        return np.full(cost.size, _NO_TRAIL_UM, dtype=np.float64)
    first, second = np.partition(cost, 1)[:2]
    is_least = np.arange(cost.size) == int(np.argmin(cost))
    return np.asarray(np.where(is_least, second, first), dtype=np.float64)
