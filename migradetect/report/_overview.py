"""The whole batch: sizes, conditions, comparisons and plates."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from migradetect import plots
from migradetect.errors import MigradetectError
from migradetect.report._charts import Chart, draw
from migradetect.report._data import Tables
from migradetect.stats import (
    READOUTS,
    SCREEN_READOUTS,
    Screen,
    analyse_screen,
    compare_lifetimes,
    compare_readouts,
    group_order,
    group_values,
    is_control_name,
    well_table,
)

__all__ = ["Comparisons", "Plates", "compare_conditions", "condition_rows", "grouping", "overview_charts", "plates"]

_log = logging.getLogger("migradetect.report")
#: More conditions than this are a screen: plots side by side would not be read.
_MOST_GROUPS = 8
#: Readouts that are plotted by condition.
_PLOTTED = ("n_migrasomes", "n_migrasomes_per_100um_fiber", "fiber_length_um", "mean_speed_um_per_min")
#: Wells from which on a plate is scored as a screen.
_FEWEST_WELLS = 24


def grouping(cell_summary: pd.DataFrame) -> str | None:
    """Column of conditions, where there is one and it has 1 to 8 values."""
    if "condition" not in cell_summary.columns:
        return None
    n = cell_summary["condition"].nunique()
    return "condition" if 1 <= n <= _MOST_GROUPS else None


def condition_rows(tables: Tables, movies: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per condition: movies, replicates, cells, migrasomes, and migrasomes per cell of its replicates."""
    cells, tracks = tables["cell_summary"], tables["tracks"]
    if "condition" not in movies.columns or not movies["condition"].notna().any():
        return []
    rows = []
    for name in group_order(movies["condition"].dropna().astype(str)):
        mine = movies[(movies["condition"] == name).fillna(False)]
        row: dict[str, Any] = {
            "condition": name,
            "n_movies": len(mine),
            "n_cells": int(cells["movie_id"].isin(mine["movie_id"]).sum()),
            "n_migrasomes": int(tracks["movie_id"].isin(mine["movie_id"]).sum()),
            "n_replicates": int(mine["replicate"].nunique()) if "replicate" in mine.columns else None,
            "mean": None,
            "sd": None,
        }
        if row["n_cells"] and "condition" in cells.columns:
            summary = group_values(cells[cells["movie_id"].isin(mine["movie_id"])], "n_migrasomes").summary().iloc[0]
            row["mean"], row["sd"] = float(summary["mean"]), float(summary["sd_of_replicates"])
            row["n_replicates"] = int(summary["n_replicates"])
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Comparisons:
    """Comparison of conditions for the page.

    Parameters
    ----------
    rows : list of dict
        One per readout and pair, as text where it is shown.
    notes : list of str
        What a reader should know.
    sentence : str
        For the methods section.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sentence: str = ""


def compare_conditions(tables: Tables, by: str | None) -> Comparisons:
    """Compare conditions on the means of replicates, and lifetimes by the log-rank test."""
    cells, tracks = tables["cell_summary"], tables["tracks"]
    if by is None or cells[by].nunique() < 2:
        return Comparisons()
    try:
        table, notes = compare_readouts(cells, by=by)
    except MigradetectError as error:
        return Comparisons(notes=[str(error)])
    rows: list[dict[str, Any]] = [
        {"readout": READOUTS[str(row["value"])], **{str(k): v for k, v in row.items()}} for _, row in table.iterrows()
    ]
    told = list(notes)
    try:
        lives = compare_lifetimes(tracks, by)
        told += [*lives.lines(), lives.notes[-1]]
    except MigradetectError as error:
        _log.info("report: lifetimes are not compared: %s", error)
    first = table.iloc[0]
    sentence = (
        f"Conditions were compared by Welch's t-test on the means of replicates ({first['n']}), with p values "
        f"corrected after Benjamini and Hochberg over {len(table)} comparisons; confidence limits of effects are from "
        "a bootstrap that draws replicates, then cells."
    )
    return Comparisons(rows, told, sentence)


def overview_charts(tables: Tables, by: str | None, vector: bool, leave_out: Collection[str] = ()) -> list[Chart]:
    """Plots of all movies together, by condition where there are some, but for those with certain titles."""
    cells, tracks, frames = tables["cell_summary"], tables["tracks"], tables["frames"]
    migrasomes = tables["migrasomes"]
    one_dish = cells.assign(condition="all cells") if by is None else cells
    jobs: list[tuple[str, str, Callable[[list[Any]], Any]]] = [
        (
            READOUTS[value].capitalize(),
            "Small: cells. Large: means of replicates, the same marker in each condition. Line and bar: mean and "
            "standard deviation of replicates.",
            partial(_superplot, one_dish, value),
        )
        for value in _PLOTTED
    ]
    jobs += [
        (
            "Growth since birth",
            "Thin: migrasomes whose birth was seen. Thick: median with its 95 % band.",
            lambda axes: plots.growth_curves(migrasomes, tracks, axes[0], by=by, max_lines=60),
        ),
        (
            "Diameter and TSPAN4",
            "Medians with 95 % bands, in % of the plateau of each migrasome.",
            lambda axes: plots.diameter_and_tspan4(tables["site_traces"], tracks, axes[0]),
        ),
        (
            "Survival",
            "Kaplan-Meier estimate with 95 % band; ticks are migrasomes that were followed no further.",
            lambda axes: plots.survival_curves(tracks, axes[0], by=by),
        ),
        (
            "Births",
            "Small: movies. Line: their mean. Movies without births count.",
            lambda axes: plots.births_per_hour(tracks, frames, axes[0], by=by),
        ),
        (
            "Migrasomes in view",
            "Thin: movies. Thick: mean while all movies last.",
            lambda axes: plots.count_over_time(migrasomes, frames, axes[0], by=by),
        ),
        (
            "Count against speed",
            "Each point is a cell; rho is Spearman's, and describes.",
            lambda axes: plots.count_against(cells, "mean_speed_um_per_min", axes[0], by=by),
        ),
        (
            "Count against persistence",
            "Persistence is net displacement over length of the path.",
            lambda axes: plots.count_against(cells, "persistence", axes[0], by=by),
        ),
        (
            "Where they form",
            "On the fibers that can be seen around birth; unknown where they can't.",
            lambda axes: plots.shares(tracks, axes[0], by=by),
        ),
        (
            "How they end",
            "Persist: still there in the last frame.",
            lambda axes: plots.shares(tracks, axes[0], column="fate", by=by),
        ),
    ]
    charts = [
        draw(title, caption, paint, prefix=f"o{index}", size_in=(3.5, 2.7), vector=vector)
        for index, (title, caption, paint) in enumerate(jobs)
        if title not in leave_out
    ]
    return [chart for chart in charts if chart is not None]


def _superplot(cells: pd.DataFrame, value: str, axes: list[Any]) -> None:
    plots.superplot(cells, value, axes[0])


def _plate_map(wells: pd.DataFrame, value: str, outlined: pd.Series[bool], axes: list[Any]) -> None:
    plots.plate_map(wells, value, axes[0], outlined=outlined)


@dataclass(frozen=True)
class Plates:
    """Plates for the page."""

    maps: list[Chart] = field(default_factory=list)
    screen: Screen | None = None
    negative: str = ""
    positive: str = ""
    notes: list[str] = field(default_factory=list)


def plates(tables: Tables, movies: pd.DataFrame, negative: str | None, positive: str | None, vector: bool) -> Plates:
    """Heat maps of each plate and, where there are controls, scores and hits."""
    try:
        wells = well_table(tables["cell_summary"], movies)
    except MigradetectError:
        return Plates()
    notes: list[str] = []
    screen = None
    known = group_order(wells["condition"].dropna().astype(str)) if "condition" in wells.columns else []
    controls = [name for name in known if is_control_name(name)]
    chosen = negative or (controls[0] if len(controls) == 1 else None)
    if len(wells) >= _FEWEST_WELLS or negative:
        if chosen is None:
            notes.append("No scores: name the negative control with --negative.")
        else:
            try:
                screen = analyse_screen(wells, chosen, positive)
            except MigradetectError as error:
                notes.append(str(error))
    marked = wells["condition"].astype("string").eq(chosen).fillna(False) if chosen else pd.Series(False, wells.index)
    if screen is not None:
        marked = marked | screen.wells["is_hit"].fillna(False).astype(bool).to_numpy()
    maps = []
    for number, (plate, mine) in enumerate(wells.groupby("plate", sort=True)):
        for readout, words in SCREEN_READOUTS.items():
            if not np.isfinite(mine[readout].astype(float)).any():
                continue
            title = f"{'Plate ' + str(plate) + ': ' if plate else ''}{words}"
            chart = draw(
                title,
                "Crosses: imaged, no value. Framed: "
                + ("negative controls and hits." if screen is not None else "controls." if chosen else "none."),
                partial(_plate_map, mine, readout, marked.loc[mine.index].astype(bool)),
                prefix=f"p{number}-{readout}",
                size_in=(4.4, 2.9),
                vector=vector,
            )
            maps += [chart] if chart is not None else []
    return Plates(maps, screen, chosen or "", positive or "", notes)
