"""One row per cell: how many migrasomes it left, how far it went, how much fiber it drew."""

from __future__ import annotations

import numpy as np
import pandas as pd

from migradetect.calibration import Calibration

__all__ = ["summarize_cells"]

#: A body at the border is a sliver where less than this share of the largest area of its cell is in view.
_SLIVER_SHARE = 0.2
#: Of a cell that the border always cuts this much is in view at some time, um2, or it has left a migrasome: else it was
#: not observed, and does not count.
_OBSERVED_UM2 = 120.0


def summarize_cells(
    cells: pd.DataFrame, fibers: pd.DataFrame, tracks: pd.DataFrame, calibration: Calibration
) -> pd.DataFrame:
    """Counts and rates per cell.

    Parameters
    ----------
    cells, fibers, tracks : pandas.DataFrame
        Tables of the movie, as in :mod:`migradetect.tables`.
    calibration : Calibration
        Frame interval.

    Returns
    -------
    pandas.DataFrame
        Columns of the table ``cell_summary`` but movie_id; a cell without migrasomes has count 0. Frames in which
        only a sliver at the border is in view don't count as seen: neither in time nor in path. A cell of which there
        never is more than a small part (less than 120 um2, always cut by the border) and no migrasome has no row.
    """
    interval = calibration.frame_interval_min
    single = not np.isfinite(interval)
    counts = tracks["cell_id"].dropna().value_counts()
    # the largest total in one frame: fibers break and fade, so a sum over time would count them again and again
    length = (
        fibers.dropna(subset=["cell_id"]).groupby(["cell_id", "frame"])["length_um"].sum().groupby(level=0).max()
        if len(fibers)
        else pd.Series(dtype=float)
    )
    rows = []
    for cell_id, all_rows in cells.sort_values("frame").groupby("cell_id"):
        area, is_cut = all_rows["area_um2"], all_rows["touches_border"].astype(bool)
        n = int(counts.get(cell_id, 0))
        if n == 0 and is_cut.all() and area.max() < _OBSERVED_UM2:
            continue
        one = all_rows[~(is_cut & (area < _SLIVER_SHARE * area.max()))]
        place = one[["y_stage_um", "x_stage_um"]].to_numpy(float)
        moves = len(one) > 1
        path = float(np.hypot(*np.diff(place, axis=0).T).sum()) if moves else np.nan
        net = float(np.hypot(*(place[-1] - place[0]))) if moves else np.nan
        duration = float((one["frame"].iloc[-1] - one["frame"].iloc[0]) * interval)
        fiber = float(length.get(cell_id, 0.0))
        rows.append(
            {
                "cell_id": int(str(cell_id)),
                "n_frames": len(one),
                "observed_min": np.nan if single else duration,
                "n_migrasomes": n,
                "n_migrasomes_per_100um_fiber": 100 * n / fiber if fiber > 0 else np.nan,
                "n_migrasomes_per_100um_path": 100 * n / path if path > 0 else np.nan,
                "path_um": np.nan if single else path,
                "net_um": np.nan if single else net,
                "mean_speed_um_per_min": path / duration if duration > 0 else np.nan,
                "persistence": net / path if path > 0 else np.nan,
                "fiber_length_um": fiber,
                "touches_border": bool(all_rows["touches_border"].any()),
            }
        )
    return pd.DataFrame(rows)
