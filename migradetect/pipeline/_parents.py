"""Parent cell of each migrasome: fibers traced to the cells in the frames that tell, then the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.assign import TRAIL_WINDOW_MIN, choose_parents, pair_features, rear_directions
from migradetect.calibration import Calibration
from migradetect.fibers import branch_paths
from migradetect.params import AssignParams
from migradetect.results import LabelStack
from migradetect.trails import FiberBranches, trail_costs

__all__ = ["find_parents", "parent_pairs", "trace_branches", "traced_frames"]

#: Traced fibers of a frame.
Branches = Callable[[int], FiberBranches]


class Planes(Protocol):
    """Label planes by frame, such as a :class:`~migradetect.results.LabelStack`."""

    def __len__(self) -> int:
        """Number of frames."""

    def __getitem__(self, frame: int, /) -> NDArray[Any]:
        """Plane of a frame, shape (Y, X)."""


#: The first frames tell most about fibers that were laid before the movie: all of them are traced for this long, min.
_FIRST_MIN = 16.0
#: After that fibers are traced this often, min: they change little in between.
_EVERY_MIN = 6.0
#: A fiber this close to the rim of a migrasome carries it, um.
_REACH_UM = 0.8


def find_parents(
    sites: pd.DataFrame,
    traces: pd.DataFrame,
    cells: pd.DataFrame,
    planes: tuple[Planes, Planes],
    drift_um: NDArray[np.float64],
    calibration: Calibration,
    params: AssignParams,
    branches: Branches | None = None,
) -> pd.DataFrame:
    """Parent cell of each site.

    Parameters
    ----------
    sites, traces, cells, planes, drift_um, calibration, branches
        As in :func:`parent_pairs`.
    params : AssignParams
        Method and limits.

    Returns
    -------
    pandas.DataFrame
        Indexed by migrasome_id: cell_id, confidence; without those whose parent can't be told.
    """
    return choose_parents(parent_pairs(sites, traces, cells, planes, drift_um, calibration, branches), params)


def parent_pairs(
    sites: pd.DataFrame,
    traces: pd.DataFrame,
    cells: pd.DataFrame,
    planes: tuple[Planes, Planes],
    drift_um: NDArray[np.float64],
    calibration: Calibration,
    branches: Branches | None = None,
) -> pd.DataFrame:
    """Evidence of each pair of a site and a cell.

    Parameters
    ----------
    sites : pandas.DataFrame
        migrasome_id, y_stage_um, x_stage_um, birth_frame, diameter_um (full-grown).
    traces : pandas.DataFrame
        One row per site and frame: migrasome_id, frame, cell_um, nearest_cell, fiber_um.
    cells : pandas.DataFrame
        One row per cell and frame: cell_id, frame, y_um, x_um, y_stage_um, x_stage_um, area_um2.
    planes : (LabelStack, LabelStack)
        Cells (label value = cell_id) and fibers.
    drift_um : ndarray, shape (T, 2)
        Stage drift, y and x.
    calibration : Calibration
        Pixel size and interval.
    branches : callable, optional
        Gives the traced fibers of a frame where they are known already; by default they are traced in `planes`.

    Returns
    -------
    pandas.DataFrame
        See :func:`migradetect.assign.pair_features`.
    """
    interval = calibration.frame_interval_min
    branches = branches or (lambda frame: trace_branches(planes, frame, calibration))
    cells = rear_directions(cells, interval)
    traced, trails = [], []
    window = TRAIL_WINDOW_MIN / interval if np.isfinite(interval) else 0.0
    for frame in traced_frames(len(planes[0]), interval):
        here = sites[sites["birth_frame"] + window >= frame].reset_index(drop=True)
        if here.empty:
            continue
        traced.append(frame)
        found = trail_costs(
            branches(frame),
            cells.loc[cells["frame"] == frame, ["cell_id", "y_um", "x_um", "rear_y", "rear_x"]],
            here["y_stage_um"].to_numpy(float) + drift_um[frame, 0],
            here["x_stage_um"].to_numpy(float) + drift_um[frame, 1],
            _REACH_UM + here["diameter_um"].to_numpy(float) / 2,
        )
        found["migrasome_id"] = here["migrasome_id"].to_numpy()[found.pop("place").to_numpy()]
        trails.append(found.assign(frame=frame))
    columns = {"migrasome_id": np.int64, "cell_id": np.int64, "cost_um": np.float64, "frame": np.int64}
    table = pd.concat(trails) if trails else pd.DataFrame(columns=list(columns))
    return pair_features(sites, traces, table.astype(columns), np.array(traced, np.int64), cells, interval)


def trace_branches(planes: tuple[Planes, Planes], frame: int, calibration: Calibration) -> FiberBranches:
    """Fibers of a frame as branches that lead on to each other."""
    cells, fibers = (
        (stack.compact(frame) if isinstance(stack, LabelStack) else stack[frame]).astype(np.int32) for stack in planes
    )
    return FiberBranches.from_paths(branch_paths(fibers, calibration), cells, calibration)


def traced_frames(n_frames: int, interval_min: float) -> Iterator[int]:
    """All frames of the first minutes, and some of the others."""
    if not np.isfinite(interval_min):
        yield from range(n_frames)
        return
    every = max(1, round(_EVERY_MIN / interval_min))
    for frame in range(n_frames):
        if frame * interval_min <= _FIRST_MIN or frame % every == 0:
            yield frame
