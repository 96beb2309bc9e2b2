"""Direction of the rear of a moving cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["rear_directions"]

#: Half the time over which a direction of motion is taken, min: outlines are rough, and cells turn within an hour.
_HALF_WINDOW_MIN = 12.0
#: A cell that moved less in this time has no direction, um.
_LEAST_MOVE_UM = 2.0


def rear_directions(cells: pd.DataFrame, frame_interval_min: float) -> pd.DataFrame:
    """Rear of each cell in each frame: against the direction in which it moves.

    Parameters
    ----------
    cells : pandas.DataFrame
        cell_id, frame, y_stage_um, x_stage_um.
    frame_interval_min : float
        Minutes between frames; NaN for a single frame.

    Returns
    -------
    pandas.DataFrame
        A copy with `rear_y` and `rear_x`, a unit vector; NaN where the cell stands still or is seen in fewer than three
        frames around.
    """
    place = cells[["y_stage_um", "x_stage_um"]].to_numpy(float)
    minutes = cells["frame"].to_numpy(float) * frame_interval_min
    rear = np.full((len(cells), 2), np.nan)
    by_cell = cells.groupby("cell_id").indices if np.isfinite(frame_interval_min) else {}
    for rows in by_cell.values():
        rear[rows] = _rear(minutes[rows], place[rows])
    return cells.assign(rear_y=rear[:, 0], rear_x=rear[:, 1])


def _rear(minutes: NDArray[np.float64], place_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slope of a straight line through the places in a window around each time, turned round and of unit length."""
    inside = (np.abs(minutes[:, None] - minutes) <= _HALF_WINDOW_MIN).astype(float)
    count = inside.sum(1)
    mean_time = inside @ minutes / count
    off = inside * (minutes - mean_time[:, None])
    spread = (off**2).sum(1)
    enough = (count >= 3) & (spread > 0)
    speed = (off @ place_um) / np.where(enough, spread, 1.0)[:, None]
    size = np.hypot(*speed.T)
    span = np.where(inside > 0, minutes, -np.inf).max(1) - np.where(inside > 0, minutes, np.inf).min(1)
    enough &= size * span >= _LEAST_MOVE_UM
    return np.asarray(np.where(enough[:, None], -speed / np.where(enough, size, 1.0)[:, None], np.nan))
