"""Drift, bleaching and focus of a movie, with the frames that were flagged."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from migradetect.plots._style import GREY, fail_without, legend, nothing, tidy

__all__ = ["bleaching", "drift", "focus"]


def drift(frames: pd.DataFrame, axes: Axes) -> Axes:
    """Drift of the stage since the first frame; flagged frames are grey bands.

    Parameters
    ----------
    frames : pandas.DataFrame
        One row per frame, of one movie.
    axes : matplotlib.axes.Axes
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
    """
    lines = (("drift_y_um", "y", "#0072B2", "-"), ("drift_x_um", "x", "#D55E00", "--"))
    return _course(frames, axes, "drift (µm)", lines)


def bleaching(frames: pd.DataFrame, axes: Axes) -> Axes:
    """Brightness of the cells relative to the first frame; see :func:`drift`."""
    lines = (("bleaching_tspan4", "TSPAN4", "#009E73", "-"), ("bleaching_wga", "WGA", "#CC79A7", "--"))
    _course(frames, axes, "brightness of cells", lines)
    if axes.lines:
        axes.set_ylim(0, max(1.1, axes.get_ylim()[1]))
    return axes


def focus(frames: pd.DataFrame, axes: Axes) -> Axes:
    """Fine detail relative to the movie's median, with the level below which a frame is blurred; see :func:`drift`."""
    _course(frames, axes, "fine detail (focus)", (("focus", "", "#0072B2", "-"),))
    if axes.lines:
        axes.axhline(0.5, color=GREY, lw=0.7, ls=":")
        axes.set_ylim(0, max(1.2, axes.get_ylim()[1]))
    return axes


def _course(frames: pd.DataFrame, axes: Axes, label: str, lines: tuple[tuple[str, str, str, str], ...]) -> Axes:
    fail_without(frames, "frame", "time_min", "qc_flags", *(name for name, *_ in lines))
    timed = bool(frames["time_min"].notna().all()) and len(frames) > 1
    x = frames["time_min" if timed else "frame"].to_numpy(float)
    tidy(axes, "time (min)" if timed else "frame", label)
    known = [line for line in lines if frames[line[0]].notna().any()]
    if not known:
        return nothing(axes, "not measured")
    single = len(frames) == 1
    for name, text, colour, style in known:
        axes.plot(
            x, frames[name].to_numpy(float), "o" if single else style, color=colour, lw=1.2, ms=4, label=text or None
        )
    half = 0.5 * float(np.median(np.diff(x))) if len(x) > 1 else 0.5
    for place in x[frames["qc_flags"].fillna("").ne("").to_numpy(bool)]:
        axes.axvspan(place - half, place + half, color="black", alpha=0.15, lw=0)
    axes.set_xlim(x.min() - half, x.max() + half)
    legend(axes, loc="best")
    return axes
