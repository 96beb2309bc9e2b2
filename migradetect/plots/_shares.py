"""Shares of locations and fates."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from migradetect.errors import ParamsError
from migradetect.plots._cells import fold
from migradetect.plots._style import fail_without, nothing, one_group, tidy
from migradetect.tables import FATES, LOCATIONS

__all__ = ["shares"]

_VALUES = {"location": LOCATIONS, "fate": FATES}
#: Fill, hatch and colour of the text on it; light and dark alternate, so that borders show in grey too.
_LOOKS = (
    ("#0072B2", "", "white"),
    ("#F0E442", "//", "black"),
    ("#CC79A7", "", "black"),
    ("#E69F00", "..", "black"),
    ("#009E73", "\\\\", "white"),
)
_UNKNOWN = ("#FFFFFF", "xx", "black")
_WORDS = {"left_field": "left the field"}


def shares(tracks: pd.DataFrame, axes: Axes, *, column: str = "location", by: str | None = None) -> Axes:
    """Shares of where migrasomes formed, or of how they ended, as one bar per group.

    Parameters
    ----------
    tracks : pandas.DataFrame
        One row per migrasome.
    axes : matplotlib.axes.Axes
        Where to draw.
    column : {"location", "fate"}
        What to count. What is null is shown as unknown.
    by : str, optional
        Column of groups.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if column not in _VALUES:
        raise ParamsError(f"column: expected location or fate, got '{column}'")
    fail_without(tracks, column)
    tidy(axes, "% of migrasomes", "", column)
    if tracks.empty:
        return nothing(axes, "no migrasomes")
    names = [*_VALUES[column], "unknown"]
    groups = list(one_group(tracks, by))
    for row, (_, part) in enumerate(groups):
        counts = part[column].astype("string").fillna("unknown").value_counts()
        left = 0.0
        for name, (fill, hatch, ink) in zip(names, (*_LOOKS[: len(names) - 1], _UNKNOWN), strict=True):
            share = 100 * int(counts.get(name, 0)) / len(part)
            label = _WORDS.get(name, name) if row == 0 else None
            axes.barh(
                row, share, left=left, height=0.66, color=fill, hatch=hatch, edgecolor="black", lw=0.6, label=label
            )
            if share >= 9:
                box = {"facecolor": fill, "edgecolor": "none", "pad": 0.6} if hatch else None
                axes.text(
                    left + share / 2, row, f"{share:.0f} %", ha="center", va="center", fontsize=7, color=ink, bbox=box
                )
            left += share
    labels = [f"{fold(name)}\nn = {len(part)}" if name else f"n = {len(part)}" for name, part in groups]
    axes.set_yticks(range(len(groups)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.figure.legend(  # outside, or it would lie on the bars
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=7,
        handlelength=1.4,
        handleheight=1.2,
        columnspacing=1.2,
    )
    return axes
