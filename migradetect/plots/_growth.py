"""Growth of migrasomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from migradetect.plots._style import GREY, fail_without, legend, looks, note, nothing, one_group, tidy

__all__ = ["diameter_and_tspan4", "growth_curves", "one_migrasome"]

KEY = ["movie_id", "migrasome_id"]
#: Fewest migrasomes that a median is drawn for: below six, the confidence band of a median has no limits.
_FEWEST = 6
#: A diameter is drawn where its standard error is below this share of it, and where it stands out of the noise.
_SURE, _LEAST_SNR = 0.33, 3.0
TSPAN4, DIAMETER = "#009E73", "#CC79A7"
Array = NDArray[np.float64]


def growth_curves(
    migrasomes: pd.DataFrame,
    tracks: pd.DataFrame,
    axes: Axes,
    *,
    aligned: bool = True,
    value: str = "diameter_um",
    by: str | None = None,
    max_lines: int = 150,
) -> Axes:
    """Each migrasome as a thin line; median of all with its 95 % confidence band.

    Parameters
    ----------
    migrasomes : pandas.DataFrame
        One row per migrasome and frame. Frames in which it lies under a cell, has an SNR below 3, or a diameter with a
        standard error of a third or more are left out.
    tracks : pandas.DataFrame
        One row per migrasome.
    axes : matplotlib.axes.Axes
        Where to draw.
    aligned : bool
        Time since birth, for migrasomes whose birth was seen; otherwise time in the movie, for all.
    value : str
        Column to draw: ``diameter_um``, ``tspan4_signal`` or ``wga_signal``.
    by : str, optional
        Column of groups, each with its median.
    max_lines : int
        More thin lines than this are thinned out evenly; median and band are of all.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Late medians are of those that still exist. The band is of the median over migrasomes (order statistics, by
    :func:`scipy.stats.quantile_test`), which takes them as independent.
    """
    fail_without(migrasomes, *KEY, "time_min", value)
    rows = _with_age(migrasomes, tracks) if aligned else migrasomes.assign(age_min=migrasomes["time_min"])
    rows = rows[np.isfinite(rows["age_min"]) & rows[value].notna() & _is_sure(rows, value)]
    unit = {"diameter_um": "diameter (µm)"}.get(value, f"{value.removesuffix('_signal').upper()} signal (counts µm²)")
    tidy(axes, "time since birth (min)" if aligned else "time (min)", unit)
    if rows.empty:
        return nothing(axes, "no births seen" if aligned else "no migrasomes")
    groups = list(one_group(rows, by))
    total = sum(part.groupby(KEY).ngroups for _, part in groups)
    for (name, part), look in zip(groups, looks([name for name, _ in groups]).values(), strict=True):
        curves = [one[["age_min", value]].to_numpy(float) for _, one in part.groupby(KEY, sort=True)]
        shown = curves[:: max(1, int(np.ceil(total / max_lines)))]
        thin = LineCollection(shown, colors=look.colour if by else GREY, linewidths=0.5, alpha=0.35)
        axes.add_collection(thin, autolim=True)
        _median(axes, part, value, look.colour, look.line, f"{name} median" if name else "median, 95 % band")
    axes.autoscale_view()
    axes.set_ylim(bottom=0, top=1.15 * float(rows[value].quantile(0.995)))
    n_movies = rows["movie_id"].nunique()
    note(axes, f"n = {total} migrasomes, {n_movies} {'movie' if n_movies == 1 else 'movies'}")
    legend(axes, loc="upper right")
    return axes


def _is_sure(rows: pd.DataFrame, value: str) -> pd.Series[bool]:
    """Seen, and sized to better than a third: what is barely there, or lies under a cell, has any diameter."""
    sure = pd.Series(True, index=rows.index)
    if "is_covered" in rows.columns:
        sure &= ~rows["is_covered"].astype(bool)
    if value in ("diameter_um", "diameter") and "diameter_err_um" in rows.columns:
        sure &= (rows["diameter_err_um"] < _SURE * rows["diameter_um"]).fillna(False).astype(bool)
    if "snr" in rows.columns:
        sure &= rows["snr"].ge(_LEAST_SNR).fillna(False).astype(bool)
    return sure


def _with_age(rows: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    fail_without(tracks, *KEY, "birth_time_min")
    born = tracks.dropna(subset=["birth_time_min"])[[*KEY, "birth_time_min"]]
    joined = rows.merge(born, on=KEY, validate="many_to_one")
    return joined.assign(age_min=joined["time_min"] - joined["birth_time_min"])


def _median(axes: Axes, rows: pd.DataFrame, value: str, colour: str, line: Any, label: str) -> None:
    step = _step(rows)
    # frames of movies with other births fall together in bins of one frame interval
    binned = rows.assign(bin=np.round(rows["age_min"] / step) * step).groupby("bin")[value]
    points = [(float(str(t)), *_middle(x.to_numpy(float))) for t, x in binned if len(x) >= _FEWEST]
    if not points:
        return
    t, middle, low, high = np.array(points).T
    axes.fill_between(t, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(t, middle, color=colour, linestyle=line, linewidth=1.8, label=label)


def _step(rows: pd.DataFrame) -> float:
    gaps = rows.sort_values("time_min").groupby(KEY)["time_min"].diff()
    step = float(gaps[gaps > 0].median()) if (gaps > 0).any() else 1.0
    return step if np.isfinite(step) else 1.0


def _middle(values: Array) -> tuple[float, float, float]:
    interval = scipy.stats.quantile_test(values, q=float(np.median(values)), p=0.5).confidence_interval(0.95)
    return float(np.median(values)), float(interval.low), float(interval.high)


def diameter_and_tspan4(
    site_traces: pd.DataFrame, tracks: pd.DataFrame, axes: Axes, *, before_min: float = 20.0
) -> Axes:
    """Diameter and TSPAN4 signal against time since birth, each in per cent of its own plateau.

    Parameters
    ----------
    site_traces : pandas.DataFrame
        One row per migrasome site and frame.
    tracks : pandas.DataFrame
        One row per migrasome.
    axes : matplotlib.axes.Axes
        Where to draw.
    before_min : float
        How much of the time before birth is shown.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    The signal's plateau is the upper quartile of the migrasome's own record. A signal goes with the square or the cube
    of the diameter, so it lags behind by itself: compare shapes between conditions.
    """
    fail_without(site_traces, *KEY, "time_min", "diameter_um", "tspan4_signal")
    rows = _with_age(site_traces, tracks.dropna(subset=["plateau_diameter_um"]))
    end = rows[KEY].merge(tracks[[*KEY, "end_time_min"]], on=KEY, how="left")["end_time_min"].to_numpy(float)
    alive = ~(rows["time_min"].to_numpy(float) > np.where(np.isfinite(end), end, np.inf))
    rows = rows[alive & (rows["age_min"] >= -before_min) & ~rows["is_covered"].astype(bool)].copy()
    tidy(axes, "time since birth (min)", "% of plateau")
    plateau = tracks.set_index(KEY)["plateau_diameter_um"]
    full = rows[rows["age_min"] > 0].groupby(KEY)["tspan4_signal"].quantile(0.75)
    index = pd.MultiIndex.from_frame(rows[KEY])
    rows["diameter"] = 100 * rows["diameter_um"].to_numpy(float) / plateau.reindex(index).to_numpy(float)
    signal = full.where(full > 0).reindex(index).to_numpy(float)
    rows["tspan4"] = 100 * rows["tspan4_signal"].to_numpy(float) / signal
    for name, colour, line, label in (
        ("diameter", DIAMETER, "-", "diameter"),
        ("tspan4", TSPAN4, "--", "TSPAN4 signal"),
    ):
        known = rows[np.isfinite(rows[name])]
        if name == "diameter":
            known = known[(known["age_min"] >= 0) & _is_sure(known, name)]
        _median(axes, known, name, colour, line, f"{label}, median and 95 % band")
    if not axes.lines:
        return nothing(axes, "too few births seen")
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_ylim(-10, 140)
    note(axes, f"n = {rows.groupby(KEY).ngroups} migrasomes")
    legend(axes, loc="upper left")
    return axes


def one_migrasome(
    site_traces: pd.DataFrame, tracks: pd.DataFrame, axes: Axes, *, movie_id: str, migrasome_id: int
) -> Axes:
    """Diameter of one migrasome with its fit, and its TSPAN4 signal on a second scale.

    Parameters
    ----------
    site_traces, tracks : pandas.DataFrame
        Tables of the movie.
    axes : matplotlib.axes.Axes
        Where to draw; the second scale is added on the right.
    movie_id, migrasome_id : str, int
        Which one.

    Returns
    -------
    matplotlib.axes.Axes
        The one that was given.
    """
    fail_without(site_traces, *KEY, "time_min", "diameter_um", "diameter_err_um", "tspan4_signal")
    rows = site_traces[(site_traces["movie_id"] == movie_id) & (site_traces["migrasome_id"] == migrasome_id)]
    track = tracks[(tracks["movie_id"] == movie_id) & (tracks["migrasome_id"] == migrasome_id)]
    tidy(axes, "time (min)", "diameter (µm)", f"migrasome {migrasome_id}")
    if rows.empty or track.empty:
        return nothing(axes, "no such migrasome")
    about = track.iloc[0]
    rows = rows[~rows["is_covered"].astype(bool)]
    sized = rows[_is_sure(rows, "diameter_um") & ~(rows["time_min"] < about["birth_time_min"])]
    axes.errorbar(
        sized["time_min"].to_numpy(float),
        sized["diameter_um"].to_numpy(float),
        sized["diameter_err_um"].to_numpy(float),
        fmt="o",
        markersize=3,
        color=DIAMETER,
        elinewidth=0.6,
        label="diameter ± s.e.",
    )
    birth, tau, plateau = (float(about[name]) for name in ("birth_time_min", "tau_min", "plateau_diameter_um"))
    if np.isfinite([birth, tau, plateau]).all():
        end = float(about["end_time_min"]) if pd.notna(about["end_time_min"]) else float(rows["time_min"].max())
        fine = np.linspace(birth, end, 200)
        axes.plot(fine, plateau * (1 - np.exp(-(fine - birth) / tau)), color="black", linewidth=1.2, label="fit")
    axes.set_ylim(bottom=0)
    right = axes.twinx()
    right.plot(
        rows["time_min"],
        rows["tspan4_signal"].to_numpy(float),
        color=TSPAN4,
        linestyle="--",
        linewidth=1,
        label="TSPAN4",
    )
    right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
    right.set_ylabel("TSPAN4 signal (counts µm²)", fontsize=8)
    right.tick_params(labelsize=7, length=3)
    right.spines["top"].set_visible(False)
    handles = [axes.get_legend_handles_labels(), right.get_legend_handles_labels()]
    axes.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], frameon=False, fontsize=7)
    return axes
