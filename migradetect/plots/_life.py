"""Numbers and lives of migrasomes over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from migradetect.plots._style import fail_without, legend, looks, mean_course, note, nothing, one_group, tidy
from migradetect.stats import survival

__all__ = ["births_per_hour", "count_over_time", "survival_curves"]


def survival_curves(tracks: pd.DataFrame, axes: Axes, *, by: str | None = None) -> Axes:
    """Share of migrasomes that still exist against their age: Kaplan-Meier with 95 % band.

    Parameters
    ----------
    tracks : pandas.DataFrame
        One row per migrasome.
    axes : matplotlib.axes.Axes
        Where to draw.
    by : str, optional
        Column of groups.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Ticks are migrasomes that were followed no further. See :func:`migradetect.stats.survival`.
    """
    groups = list(one_group(tracks, by))
    tidy(axes, "age (min)", "share that still exists")
    sizes = []
    for (name, part), look in zip(groups, looks([name for name, _ in groups]).values(), strict=True):
        curve = survival(part)
        if not curve.n:
            continue
        end = max(float(curve.time_min[-1]), *curve.censored_min[-1:], 0.0)
        t, share = np.append(curve.time_min, end), np.append(curve.share, curve.share[-1])
        axes.step(t, share, where="post", color=look.colour, linestyle=look.line, linewidth=1.6, label=name or None)
        low, high = (np.append(limit, limit[-1]) for limit in (curve.low, curve.high))
        axes.fill_between(t, low, high, step="post", color=look.colour, alpha=0.2, linewidth=0)
        at = curve.share[np.searchsorted(curve.time_min, curve.censored_min, side="right") - 1]
        axes.plot(curve.censored_min, at, "|", color=look.colour, markersize=4, markeredgewidth=0.7)
        sizes.append(f"{name + ': ' if name else ''}n = {curve.n} migrasomes, {curve.n_ended} ended")
    if not sizes:
        return nothing(axes, "no births seen")
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    note(axes, "\n".join(sizes), "lower left")
    legend(axes, loc="upper right")
    return axes


def births_per_hour(
    tracks: pd.DataFrame, frames: pd.DataFrame, axes: Axes, *, by: str | None = None, bin_min: float = 30.0
) -> Axes:
    """Births per hour and field: mean of movies, and each movie as a point.

    Parameters
    ----------
    tracks : pandas.DataFrame
        One row per migrasome.
    frames : pandas.DataFrame
        One row per frame: how long was looked, and when. Movies without any migrasome count.
    axes : matplotlib.axes.Axes
        Where to draw.
    by : str, optional
        Column of groups.
    bin_min : float
        Width of a bin of time.

    Returns
    -------
    matplotlib.axes.Axes
    """
    fail_without(tracks, "movie_id", "birth_time_min")
    fail_without(frames, "movie_id", "time_min")
    tidy(axes, "time (min)", "births per hour and field")
    times = frames["time_min"].dropna()
    if times.empty:
        return nothing(axes, "single frames: no births")
    groups = list(one_group(frames, by))
    edges = np.arange(np.floor(times.min() / bin_min) * bin_min, times.max() + bin_min, bin_min)
    top = 0.0
    for index, ((name, part), look) in enumerate(
        zip(groups, looks([name for name, _ in groups]).values(), strict=True)
    ):
        rates = np.array(
            [_rates(tracks[tracks["movie_id"] == movie], one, edges) for movie, one in part.groupby("movie_id")]
        )
        seen = np.isfinite(rates)
        mean = np.where(seen.any(0), np.nansum(rates, 0) / np.maximum(seen.sum(0), 1), np.nan)
        middle = (edges[:-1] + edges[1:]) / 2 + (index - (len(groups) - 1) / 2) * 0.06 * bin_min
        axes.plot(np.tile(middle, (len(rates), 1))[seen], rates[seen], look.marker, color=look.colour, alpha=0.35, ms=3)
        movies = f"{len(rates)} {'movie' if len(rates) == 1 else 'movies'}"
        label = f"{name} (n = {movies})" if name else f"mean of {movies}"
        axes.plot(middle, mean, color=look.colour, linestyle=look.line, marker=look.marker, ms=5, lw=1.6, label=label)
        top = max(top, float(np.nanmax(rates)) if seen.any() else 0.0)
    axes.set_ylim(-0.02 * max(top, 1), 1.25 * max(top, 1))
    legend(axes, loc="upper right")
    return axes


def _rates(tracks: pd.DataFrame, frames: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Births per hour in each bin; NaN where the movie did not look for at least half of it."""
    times = np.sort(frames["time_min"].dropna().to_numpy(float))
    if times.size < 2:
        return np.full(edges.size - 1, np.nan)
    looked = np.clip(np.minimum(edges[1:], times[-1]) - np.maximum(edges[:-1], times[0]), 0, None)
    births = np.histogram(tracks["birth_time_min"].dropna().to_numpy(float), edges)[0]
    return np.where(looked >= 0.5 * np.diff(edges), births / np.maximum(looked, 1e-9) * 60, np.nan)


def count_over_time(migrasomes: pd.DataFrame, frames: pd.DataFrame, axes: Axes, *, by: str | None = None) -> Axes:
    """Number of migrasomes in each frame, one line per movie; with groups also their mean.

    Parameters
    ----------
    migrasomes : pandas.DataFrame
        One row per migrasome and frame.
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
    fail_without(frames, "movie_id", "frame", "time_min", "n_cells")
    tidy(axes, "time (min)", "migrasomes in view")
    n = migrasomes.groupby(["movie_id", "frame"]).size()
    rows = frames[frames["time_min"].notna()].copy()
    index = pd.MultiIndex.from_frame(rows[["movie_id", "frame"]].astype({"movie_id": object}))
    n.index = pd.MultiIndex.from_arrays([n.index.get_level_values(0).astype(object), n.index.get_level_values(1)])
    rows["n"] = n.reindex(index, fill_value=0).to_numpy(float)
    rows.loc[rows["n_cells"].isna().to_numpy(bool), "n"] = np.nan
    if rows.empty:
        return nothing(axes, "single frames: no course in time")
    groups = list(one_group(rows, by))
    for (name, part), look in zip(groups, looks([name for name, _ in groups]).values(), strict=True):
        several = part["movie_id"].nunique() > 1
        for _, one in part.groupby("movie_id"):
            axes.plot(
                one["time_min"], one["n"], color=look.colour, lw=0.6 if several else 1.4, alpha=0.5 if several else 1
            )
        if several:
            axes.plot(*mean_course(part, "n"), color=look.colour, linestyle=look.line, lw=1.8, label=name or "mean")
    axes.set_ylim(bottom=0)
    axes.set_xlim(float(rows["time_min"].min()), float(rows["time_min"].max()))
    legend(axes, loc="upper left")
    return axes
