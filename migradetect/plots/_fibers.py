"""Length of retraction fibers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from migradetect.plots._style import fail_without, legend, looks, mean_course, note, nothing, one_group, tidy

__all__ = ["fiber_length"]


def fiber_length(fibers: pd.DataFrame, frames: pd.DataFrame, axes: Axes, *, by: str | None = None) -> Axes:
    """Length of all retraction fibers in view over time, one line per movie; with several also their mean.

    For fiber length per cell by condition, draw a :func:`superplot` of ``fiber_length_um``.

    Parameters
    ----------
    fibers : pandas.DataFrame
        One row per fiber and frame.
    frames : pandas.DataFrame
        One row per frame; those that were not used, with ``n_cells`` null, are gaps.
    axes : matplotlib.axes.Axes
        Where to draw.
    by : str, optional
        Column of groups.

    Returns
    -------
    matplotlib.axes.Axes
    """
    fail_without(fibers, "movie_id", "frame", "length_um")
    fail_without(frames, "movie_id", "frame", "time_min", "n_cells")
    tidy(axes, "time (min)", "fiber length in view (mm)")
    length = fibers.groupby(["movie_id", "frame"], as_index=False)["length_um"].sum()
    rows = frames[frames["time_min"].notna()].merge(length, on=["movie_id", "frame"], how="left")
    if rows.empty:
        return nothing(axes, "single frames: no course in time")
    # observed none is 0; a frame that was not used is unknown
    rows["mm"] = np.where(rows["n_cells"].isna(), np.nan, rows["length_um"].fillna(0).to_numpy(float) / 1000)
    groups = list(one_group(rows, by))
    for (name, part), look in zip(groups, looks([name for name, _ in groups]).values(), strict=True):
        several = part["movie_id"].nunique() > 1
        for _, one in part.groupby("movie_id"):
            axes.plot(
                one["time_min"], one["mm"], color=look.colour, lw=0.6 if several else 1.4, alpha=0.5 if several else 1
            )
        if several:
            axes.plot(*mean_course(part, "mm"), color=look.colour, linestyle=look.line, lw=1.8, label=name or "mean")
    axes.set_ylim(bottom=0)
    axes.set_xlim(float(rows["time_min"].min()), float(rows["time_min"].max()))
    note(axes, f"n = {rows['movie_id'].nunique()} movies")
    legend(axes, loc="upper left")
    return axes
