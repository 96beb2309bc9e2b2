"""Heat map of a plate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from migradetect.plots._style import fail_without, nothing, tidy
from migradetect.stats import SCREEN_READOUTS

__all__ = ["plate_map"]

#: Up to this many wells each shows its number.
_MOST_NUMBERS = 96
_FORMATS = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))


def plate_map(
    wells: pd.DataFrame,
    value: str,
    axes: Axes,
    *,
    outlined: pd.Series[bool] | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """One plate, a rectangle per well, in the layout of the plate.

    Parameters
    ----------
    wells : pandas.DataFrame
        Wells of one plate, as :func:`migradetect.stats.well_table` gives them.
    value : str
        Column to draw.
    axes : matplotlib.axes.Axes
        Where to draw.
    outlined : Series of bool, optional
        Wells to mark with a thick border, such as controls or hits; same index as `wells`.
    limits : tuple of float, optional
        Values at both ends of the colours; by default the smallest and the largest.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Colours are cividis, which gets lighter evenly for all kinds of colour vision. A cross is a well that was imaged and
    has no value; wells that were not imaged stay empty.
    """
    fail_without(wells, "row", "column", value)
    tidy(axes, "", "", SCREEN_READOUTS.get(value, value))
    if wells.empty:
        return nothing(axes, "no wells")
    height, width = int(wells["row"].max()) + 1, int(wells["column"].max()) + 1
    rows, columns = next((size for size in _FORMATS if height <= size[0] and width <= size[1]), (height, width))
    grid = np.full((rows, columns), np.nan)
    y, x = wells["row"].to_numpy(int), wells["column"].to_numpy(int)
    values = wells[value].to_numpy(float)
    grid[y, x] = values
    finite = values[np.isfinite(values)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
    high = high if high > low else low + 1
    picture = axes.imshow(grid, cmap=colormaps["cividis"], vmin=low, vmax=high, aspect="equal")
    bar = axes.figure.colorbar(picture, ax=axes, shrink=0.8, pad=0.02)
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_visible(False)
    small = rows * columns <= _MOST_NUMBERS
    marked = np.zeros(len(wells), bool) if outlined is None else outlined.to_numpy(bool)
    for row, column, number, mark in zip(y, x, values, marked, strict=True):
        if not np.isfinite(number):
            axes.plot(column, row, "x", color="black", ms=4 if small else 2.5, mew=0.8)
        elif small:
            dark = (number - low) / (high - low) < 0.55
            text = f"{number:.3g}" if abs(number) < 100 else f"{number:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=5.5, color="white" if dark else "black")
        if mark:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec="black", lw=1.6 if small else 1))
    axes.set_xticks(np.arange(-0.5, columns), minor=True)
    axes.set_yticks(np.arange(-0.5, rows), minor=True)
    axes.grid(which="minor", color="#B0B0B0", lw=0.4)
    axes.tick_params(which="both", length=0, labelsize=6)
    every = 1 if columns <= 12 else 2
    axes.set_xticks(range(0, columns, every), [str(i + 1) for i in range(0, columns, every)])
    axes.set_yticks(range(0, rows, every), [_letter(i) for i in range(0, rows, every)])
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _letter(row: int) -> str:
    return chr(ord("A") + row) if row < 26 else "A" + chr(ord("A") + row - 26)
