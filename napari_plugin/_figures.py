"""Plots of what is under review: drawn on a given figure, without a window; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from migradetect.growth import GrowthFit
from migradetect_napari._colours import LEGEND, id_colours

__all__ = ["STYLE", "draw_counts", "draw_growth", "draw_hint", "draw_site", "draw_threshold"]

Tables = Mapping[str, pd.DataFrame]
#: Colours of a plot beside napari's dark windows.
STYLE = {"back": "#262930", "front": "#F0F1F2", "grid": "#414851", "diameter": "#F0E442", "tspan4": "#FF66FF"}
_BIRTH, _END = "#009E73", "#D55E00"


def _axes(figure: Figure, title: str, x_label: str, y_label: str) -> Axes:
    figure.clear()
    figure.set_facecolor(STYLE["back"])
    axes = figure.add_subplot()
    _dress(axes)
    axes.set_title(title, color=STYLE["front"], fontsize=9, loc="left")
    axes.set_xlabel(x_label, fontsize=8)
    axes.set_ylabel(y_label, fontsize=8)
    axes.grid(color=STYLE["grid"], linewidth=0.5)
    axes.set_axisbelow(True)
    return axes


def _dress(axes: Axes) -> None:
    axes.set_facecolor(STYLE["back"])
    axes.tick_params(colors=STYLE["front"], labelsize=7)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(STYLE["front"])
    for spine in axes.spines.values():
        spine.set_color(STYLE["grid"])


def _message(figure: Figure, text: str) -> None:
    figure.clear()
    figure.set_facecolor(STYLE["back"])
    figure.text(0.5, 0.5, text, color=STYLE["front"], ha="center", va="center", fontsize=10)


def _whole_movie(axes: Axes, tables: Tables) -> None:
    minutes = _numbers(tables["frames"]["time_min"])
    if np.isfinite(minutes).any() and np.nanmax(minutes) > np.nanmin(minutes):
        axes.set_xlim(float(np.nanmin(minutes)), float(np.nanmax(minutes)))


def _legend(axes: Axes, **options: Any) -> None:
    axes.legend(
        fontsize=7, frameon=True, facecolor=STYLE["back"], edgecolor=STYLE["grid"], labelcolor=STYLE["front"], **options
    )


def draw_hint(figure: Figure, text: str) -> None:
    """A line of text instead of a plot."""
    _message(figure, text)


def draw_growth(figure: Figure, tables: Tables, migrasome_id: int | None) -> None:
    """Diameter and TSPAN4 signal of a migrasome over time, its fit, birth and end.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on.
    tables : mapping of str to DataFrame
        Reviewed tables.
    migrasome_id : int or None
        Which.
    """
    tracks = tables["tracks"]
    found = tracks[tracks["migrasome_id"] == migrasome_id]
    if migrasome_id is None or found.empty:
        _message(figure, "Select a migrasome to see how it grew.")
        return
    track = found.iloc[0]
    site = tables["site_traces"]
    site = site[site["migrasome_id"] == migrasome_id].sort_values("frame")
    rows = tables["migrasomes"]
    rows = rows[rows["migrasome_id"] == migrasome_id].sort_values("frame")
    axes = _axes(figure, _growth_title(track), "time (min)", "diameter (um)")
    minutes = _numbers(rows["time_min"])
    axes.errorbar(
        minutes,
        _numbers(rows["diameter_um"]),
        _numbers(rows["diameter_err_um"]),
        fmt="o",
        ms=4,
        lw=1,
        color=STYLE["diameter"],
        label="diameter",
    )
    _draw_fit(axes, track, minutes)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.3)
    _draw_signal(axes, site, rows["frame"])
    _whole_movie(axes, tables)
    for column, colour, name in (("birth_time_min", _BIRTH, "birth"), ("end_time_min", _END, "end")):
        if pd.notna(track[column]):
            axes.axvline(float(track[column]), color=colour, lw=1.2, ls="--", label=name)
    _legend(axes, loc="upper left", ncols=2)


def _growth_title(track: pd.Series[Any]) -> str:
    parts = [f"migrasome {int(track['migrasome_id'])}"]
    if pd.notna(track["plateau_diameter_um"]):
        parts.append(f"plateau {track['plateau_diameter_um']:.2f} um")
    if pd.notna(track["tau_min"]):
        parts.append(f"tau {track['tau_min']:.1f} min")
    if pd.notna(track["fit_r2"]) and pd.notna(track["tau_min"]):
        parts.append(f"R2 {track['fit_r2']:.2f}")
    parts.append(str(track["fate"]) if pd.notna(track["fate"]) else "fate unknown")
    return ", ".join(parts)


def _draw_fit(axes: Axes, track: pd.Series[Any], minutes: NDArray[np.float64]) -> None:
    if pd.isna(track["growth_model"]) or pd.isna(track["plateau_diameter_um"]) or not minutes.size:
        return
    start = float(track["birth_time_min"]) if pd.notna(track["birth_time_min"]) else float(minutes[0])
    unused = (float("nan"), float("nan"))
    fit = GrowthFit(
        model=str(track["growth_model"]),
        birth_min=start,
        plateau_um=float(track["plateau_diameter_um"]),
        plateau_ci=unused,
        tau_min=float(track["tau_min"]) if pd.notna(track["tau_min"]) else float("nan"),
        tau_ci=unused,
        rate_um_per_min=float("nan"),
        rate_ci=unused,
        r2=float("nan"),
    )
    time = np.linspace(min(start, float(minutes[0])), float(minutes[-1]), 200)
    axes.plot(time, fit.diameter(time), color=STYLE["diameter"], lw=1.5, alpha=0.8, label="fit")


def _draw_signal(axes: Axes, site: pd.DataFrame, existing: pd.Series[Any]) -> None:
    # through a body the signal is that of the body
    signal = np.where(site["is_covered"].astype(bool), np.nan, _numbers(site["tspan4_signal"]))
    if not np.isfinite(signal).any():
        return
    twin = axes.twinx()
    _dress(twin)
    twin.set_facecolor("none")
    twin.plot(_numbers(site["time_min"]), signal, color=STYLE["tspan4"], lw=1.2, alpha=0.9)
    # beside a body that passes, the signal may be off a hundredfold: the scale is that of the frames in which it exists
    own = signal[site["frame"].isin(existing).to_numpy() & np.isfinite(signal)]
    if own.size:
        low, high = min(0.0, float(own.min())), max(float(own.max()), 0.0)
        spare = 0.3 * (high - low) or 1.0
        twin.set_ylim(low - (spare / 3 if low < 0 else 0.0), high + spare)
    twin.set_ylabel("TSPAN4 (count um2)", fontsize=8, color=STYLE["tspan4"])
    twin.tick_params(axis="y", colors=STYLE["tspan4"])
    axes.plot([], [], color=STYLE["tspan4"], label="TSPAN4")


def draw_counts(figure: Figure, tables: Tables, cell_id: int | None = None) -> None:
    """Migrasomes of each cell that exist at each time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on.
    tables : mapping of str to DataFrame
        Reviewed tables.
    cell_id : int, optional
        Cell that is emphasised.
    """
    rows = tables["migrasomes"]
    minutes = _numbers(tables["frames"].sort_values("frame")["time_min"])
    frames = tables["frames"].sort_values("frame")["frame"].to_numpy(dtype=int)
    if not np.isfinite(minutes).any():
        minutes = frames.astype(float)
    axes = _axes(figure, "migrasomes that exist, by parent cell", "time (min)", "number")
    cells = [int(one) for one in tables["cell_summary"]["cell_id"]]
    # all cells in one pass: there may be hundreds
    owners = rows["cell_id"].to_numpy(dtype=float, na_value=-1.0)
    keys: Any = [owners, "frame"]
    counts: Any = rows.groupby(keys).size()
    known = set(counts.index.get_level_values(0))

    def count_of(owner: float) -> NDArray[np.int64]:
        if owner not in known:
            return np.zeros(frames.size, np.int64)
        return np.asarray(counts.loc[owner].reindex(frames, fill_value=0), np.int64)

    for one, colour in zip(cells, id_colours(cells), strict=True):
        is_it = one == cell_id
        axes.step(
            minutes,
            count_of(one),
            where="mid",
            color=colour,
            lw=2.5 if is_it else 1.2,
            label=f"cell {one}",
            alpha=1.0 if is_it or cell_id is None else 0.7,
        )
    unknown = count_of(-1.0)
    if unknown.any():
        axes.step(minutes, unknown, where="mid", color="#9A9A9A", ls=":", label="parent unknown")
    _whole_movie(axes, tables)
    has_legend = len(cells) <= 12
    # room for the legend above the curves
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]) * (1.35 if has_legend else 1.05))
    axes.yaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    if has_legend:
        _legend(axes, loc="upper left", ncols=2)


def draw_site(figure: Figure, tables: Tables, migrasome_id: int | None) -> None:
    """Lineage of a site: its cell and that cell's mother, and what happened there over time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on.
    tables : mapping of str to DataFrame
        Reviewed tables.
    migrasome_id : int or None
        Which.
    """
    tracks = tables["tracks"]
    found = tracks[tracks["migrasome_id"] == migrasome_id]
    if migrasome_id is None or found.empty:
        _message(figure, "Select a migrasome to see the history of its site.")
        return
    track = found.iloc[0]
    bars = _site_bars(tables, track)
    axes = _axes(figure, f"site of migrasome {migrasome_id}", "time (min)", "")
    for row, (_, spans, colour) in enumerate(bars):
        axes.broken_barh(spans, (row - 0.35, 0.7), color=colour)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    _whole_movie(axes, tables)
    for column, colour in (("birth_time_min", _BIRTH), ("end_time_min", _END)):
        if pd.notna(track[column]):
            axes.axvline(float(track[column]), color=colour, lw=1.2, ls="--")


def _site_bars(tables: Tables, track: pd.Series[Any]) -> list[tuple[str, list[tuple[float, float]], Any]]:
    """Name, spans of time and colour of each line."""
    number = int(track["migrasome_id"])
    frames = tables["frames"].set_index("frame")["time_min"]
    step = float(np.nanmedian(np.diff(_numbers(frames)))) if len(frames) > 1 else 1.0
    bars: list[tuple[str, list[tuple[float, float]], Any]] = []
    for one, role in _ancestors(tables, track):
        cells = tables["cells"]
        seen = cells.loc[cells["cell_id"] == one, "frame"]
        bars.append((f"{role} {one} in view", _spans(seen, frames, step), tuple(id_colours([one])[0])))
    site = tables["site_traces"]
    covered = site[(site["migrasome_id"] == number) & site["is_covered"].astype(bool)]["frame"]
    bars.append(("under a cell", _spans(covered, frames, step), "#6E7681"))
    rows = tables["migrasomes"]
    rows = rows[rows["migrasome_id"] == number]
    fates = LEGEND["fate"]
    end = fates.get(str(track["fate"]), "#F0E442")
    for name, column, colour in (("on a fiber", "is_on_fiber", "#D55E00"), ("fiber to cell", "is_attached", "#E69F00")):
        bars.append((name, _spans(rows.loc[rows[column].astype(bool), "frame"], frames, step), colour))
    fate = str(track["fate"]) if pd.notna(track["fate"]) else "fate unknown"
    if pd.notna(track["engulfed_by_cell_id"]):
        fate += f" by cell {int(track['engulfed_by_cell_id'])}"
    bars.append((f"exists ({fate})", _spans(rows["frame"], frames, step), end))
    return bars


def _ancestors(tables: Tables, track: pd.Series[Any]) -> list[tuple[int, str]]:
    """Parent cell and its mothers, oldest first."""
    if pd.isna(track["cell_id"]):
        return []
    mothers = tables["cells"].dropna(subset=["mother_id"]).drop_duplicates("cell_id").set_index("cell_id")["mother_id"]
    chain = [int(track["cell_id"])]
    while chain[-1] in mothers.index and int(mothers[chain[-1]]) not in chain:
        chain.append(int(mothers[chain[-1]]))
    return [(one, "cell" if one == chain[0] else "mother") for one in reversed(chain)]


def _spans(frames: pd.Series[Any], minutes: pd.Series[Any], step: float) -> list[tuple[float, float]]:
    """Runs of frames as (start, length) in minutes."""
    numbers = np.unique(frames.to_numpy(dtype=int))
    if not numbers.size:
        return []
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    time = minutes.to_dict()

    def at(frame: int) -> float:
        value = time.get(int(frame), np.nan)
        return float(value) if pd.notna(value) else float(frame) * step

    return [(at(run[0]) - step / 2, at(run[-1]) - at(run[0]) + step) for run in runs]


def draw_threshold(
    figure: Figure, thresholds: NDArray[np.float64], counts: NDArray[np.int64], current: float, count: int
) -> None:
    """How many candidates of a frame each threshold of the score accepts.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on.
    thresholds : ndarray, shape (K,)
        Values of `judge.min_score`.
    counts : ndarray of int, shape (K,)
        Accepted at each.
    current : float
        The value as it is set.
    count : int
        Accepted at it.
    """
    axes = _axes(figure, f"{count} accepted at {current:.2f}", "smallest score", "accepted in frame")
    axes.step(thresholds, counts, where="post", color=STYLE["diameter"], lw=1.5)
    axes.axvline(current, color=_END, lw=1.2, ls="--")
    axes.plot([current], [count], "o", color=_END, ms=5)
    axes.set_xlim(0, 1)
    # what scores next to nothing is noise by the hundred, and would flatten the rest
    settled = counts[thresholds >= 0.1]
    axes.set_ylim(0, max(1, int(settled.max(initial=0)) * 1.15, count * 1.15))
    axes.yaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
