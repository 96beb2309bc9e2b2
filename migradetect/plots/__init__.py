"""Figures. The only place that imports matplotlib; objects only, no global state, so it works without a screen.

Each function takes tables and an axis, draws, and returns the axis. Groups differ in colour (Okabe and Ito's palette,
which all kinds of colour vision tell apart), in marker and in line style. :func:`new_axes` makes an axis,
:func:`save_figure` writes SVG and PDF with text as text.

Examples
--------
>>> import migradetect
>>> from migradetect import plots
>>> results = migradetect.load("OUT")  # doctest: +SKIP
>>> axes = plots.superplot(results.cell_summary, "n_migrasomes", plots.new_axes())  # doctest: +SKIP
>>> plots.save_figure(axes.figure, "counts.svg")  # doctest: +SKIP
"""

from __future__ import annotations

from migradetect.plots._cells import count_against, superplot
from migradetect.plots._fibers import fiber_length
from migradetect.plots._growth import diameter_and_tspan4, growth_curves, one_migrasome
from migradetect.plots._life import births_per_hour, count_over_time, survival_curves
from migradetect.plots._overlay import COLOURS, display_range, overlay, scale_bar
from migradetect.plots._plate import plate_map
from migradetect.plots._preview import preview_png
from migradetect.plots._quality import bleaching, drift, focus
from migradetect.plots._shares import shares
from migradetect.plots._strip import life_strip
from migradetect.plots._style import (
    GROUP_COLOURS,
    bare_axes,
    figure_of,
    new_axes,
    new_row,
    save_figure,
    tidy,
    to_pixels,
    to_png,
    to_svg,
)

__all__ = [
    "COLOURS",
    "GROUP_COLOURS",
    "bare_axes",
    "births_per_hour",
    "bleaching",
    "count_against",
    "count_over_time",
    "diameter_and_tspan4",
    "display_range",
    "drift",
    "fiber_length",
    "figure_of",
    "focus",
    "growth_curves",
    "life_strip",
    "new_axes",
    "new_row",
    "one_migrasome",
    "overlay",
    "plate_map",
    "preview_png",
    "save_figure",
    "scale_bar",
    "shares",
    "superplot",
    "survival_curves",
    "tidy",
    "to_pixels",
    "to_png",
    "to_svg",
]
