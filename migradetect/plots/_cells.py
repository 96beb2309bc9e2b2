"""Readouts of cells by condition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used
from matplotlib.axes import Axes
from numpy.typing import NDArray

from migradetect.plots._style import GREY, fail_without, legend, looks, nothing, one_group, plain, tidy
from migradetect.stats import READOUTS, compare, group_order, group_values

__all__ = ["count_against", "superplot"]

Array = NDArray[np.float64]
#: Half the width that the cells of a group take.
_HALF = 0.36


def superplot(
    table: pd.DataFrame,
    value: str,
    axes: Axes,
    *,
    by: str = "condition",
    replicate: str | None = None,
    unit: str = "cells",
    test: bool = True,
) -> Axes:
    """Every cell as a small dot, the mean of every replicate on top, mean and standard deviation of replicates.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per cell, with the columns of ``plate.csv``.
    value : str
        Column to draw.
    axes : matplotlib.axes.Axes
        Where to draw.
    by, replicate : str
        Columns of groups and replicates, as for :func:`migradetect.stats.compare`.
    unit : str
        What a row stands for, in the plural.
    test : bool
        With two groups, write p of Welch's t-test on the means of replicates above them.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    .. [1] Lord, Velle, Mullins, Fritz-Laylin, "SuperPlots: communicating reproducibility and variability in cell
       biology", J. Cell Biol. 219 (2020), doi:10.1083/jcb.202001064.
    """
    groups = group_values(table, value, by, replicate, unit)
    names = group_order(name for parts in groups.values.values() for name in parts)
    # a replicate looks the same in every group: made on one day, it can be followed by eye
    look = looks(names)
    few = len(names) <= 7
    for place, parts in enumerate(groups.values.values()):
        everything = np.concatenate(list(parts.values()))
        offset = _spread(everything)
        start = 0
        for name, values in parts.items():
            own = offset[start : start + values.size]
            start += values.size
            marker, fill = (look[name].marker, look[name].colour) if few else ("o", GREY)
            axes.plot(place + own, values, marker, color=fill, ms=3, alpha=0.5, mew=0)
        means = {name: float(values.mean()) for name, values in parts.items()}
        middle = float(np.mean(list(means.values())))
        spread = float(np.std(list(means.values()), ddof=1)) if len(means) > 1 else 0.0
        axes.errorbar(place, middle, spread, fmt="none", ecolor="black", elinewidth=1.2, capsize=4, zorder=5)
        axes.plot([place - 0.22, place + 0.22], [middle, middle], color="black", linewidth=1.6, zorder=5)
        beside = np.linspace(-0.16, 0.16, len(means)) if len(means) > 1 else [0.0]
        for step, (name, mean) in zip(beside, means.items(), strict=True):
            marker, fill = (look[name].marker, look[name].colour) if few else ("o", "white")
            axes.plot(place + step, mean, marker, color=fill, ms=7, markeredgecolor="black", mew=0.9, zorder=6)
    tidy(axes, "", READOUTS.get(value, value))
    labels = [f"{fold(plain(name))}\n{groups.n_text(name).replace(', ', chr(10))}" for name in groups.names]
    axes.set_xticks(range(len(groups.names)), labels)
    axes.tick_params(axis="x", labelsize=7, length=0)
    axes.set_xlim(-0.6, len(groups.names) - 0.4)
    if all(values.min() >= 0 for parts in groups.values.values() for values in parts.values()):
        axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])
    if test and len(groups.names) == 2:
        _bracket(axes, float(compare(table, value, by, replicate=replicate, unit=unit, n_boot=2).table["p"].iloc[0]))
    return axes


def fold(name: str, width: int = 22) -> str:
    """A long name on two lines, cut where it is longer still."""
    if len(name) <= width:
        return name
    cut = name.rfind(" ", 0, width) if " " in name[:width] else width
    rest = name[cut:].strip()
    return f"{name[:cut]}\n{rest if len(rest) <= width else rest[: width - 1] + '…'}"


def _spread(values: Array) -> Array:
    """Sideways places: values that are close lie beside each other, the more the wider. The same each time."""
    low, high = float(values.min()), float(values.max())
    bins = np.round((values - low) / (high - low) * 40) if high > low else np.zeros(values.size)
    offset = np.zeros(values.size)
    most = max(int(np.bincount(bins.astype(int)).max()), 8)
    for one in np.unique(bins):
        where = np.flatnonzero(bins == one)
        half = _HALF * where.size / most
        # from the middle outwards, so that replicates mix
        order = np.argsort(np.argsort((where * 2654435761) % 2**32))
        offset[where] = np.linspace(-half, half, where.size)[order] if where.size > 1 else 0
    return offset


def _bracket(axes: Axes, p: float) -> None:
    bottom, top = axes.get_ylim()
    y = top + 0.03 * (top - bottom)
    axes.plot([0, 0, 1, 1], [y - 0.02 * (top - bottom), y, y, y - 0.02 * (top - bottom)], color="black", lw=0.8)
    text = "not tested" if np.isnan(p) else f"p = {p:.2g}, Welch on replicate means"
    axes.text(0.5, y + 0.01 * (top - bottom), text, ha="center", va="bottom", fontsize=7)
    axes.set_ylim(bottom, y + 0.1 * (top - bottom))


def count_against(
    cell_summary: pd.DataFrame,
    x: str,
    axes: Axes,
    *,
    y: str = "n_migrasomes",
    by: str | None = None,
) -> Axes:
    """Count of a cell against its speed, its persistence or another readout.

    Parameters
    ----------
    cell_summary : pandas.DataFrame
        One row per cell.
    x, y : str
        Columns, such as ``mean_speed_um_per_min``, ``persistence`` and ``n_migrasomes``.
    axes : matplotlib.axes.Axes
        Where to draw.
    by : str, optional
        Column of groups.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Spearman's rho is over cells, and describes; cells of one dish are not independent, so no p is given.
    """
    fail_without(cell_summary, x, y)
    rows = cell_summary[cell_summary[x].notna() & cell_summary[y].notna()]
    tidy(axes, READOUTS.get(x, x), READOUTS.get(y, y))
    if rows.empty:
        return nothing(axes, "no cells with both")
    groups = list(one_group(rows, by))
    for (name, part), look in zip(groups, looks([name for name, _ in groups]).values(), strict=True):
        u, v = part[x].to_numpy(float), part[y].to_numpy(float)
        varied = u.size > 2 and np.ptp(u) > 0 and np.ptp(v) > 0
        rho = f"rho = {scipy.stats.spearmanr(u, v).statistic:.2f}, " if varied else ""
        text = f"{name + ': ' if name else ''}{rho}n = {u.size} cells"
        axes.plot(u, v, look.marker, color=look.colour, ms=4, alpha=0.6, mew=0, label=text)
    axes.set_ylim(bottom=-0.03 * float(rows[y].max()) - 1e-9, top=1.3 * float(rows[y].max()) + 1e-9)
    axes.set_xlim(left=0)
    legend(axes, loc="upper left", handlelength=1)
    return axes
