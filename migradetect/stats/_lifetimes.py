"""Lifetimes of migrasomes, most of which outlast the movie: methods for censored data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from migradetect.errors import ParamsError, TableError
from migradetect.stats._compare import Comparison, Correction, adjusted, compare
from migradetect.stats._groups import group_values, n_text, replicate_column
from migradetect.tables import FATES

__all__ = ["LifetimeComparison", "SurvivalCurve", "compare_lifetimes", "survival"]

#: Ends that are ends of the migrasome; one that left the field is followed no longer, and so censored.
ENDS = ("rupture", "fade", "engulfed")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan-Meier estimate.

    Parameters
    ----------
    time_min : ndarray, shape (N,)
        Times at which the curve steps, from 0.
    share : ndarray, shape (N,)
        Share that still exists after each time, 0 to 1.
    low, high : ndarray, shape (N,)
        95 % limits (log-log); NaN where they can't be told.
    n, n_ended : int
        Migrasomes, and those of them whose end was seen.
    censored_min : ndarray
        Times at which others went out of sight alive.
    """

    time_min: Array
    share: Array
    low: Array
    high: Array
    n: int
    n_ended: int
    censored_min: Array

    @property
    def median_min(self) -> float:
        """Time after which half are gone; NaN where more than half outlast the record."""
        gone = np.flatnonzero(self.share <= 0.5)
        return float(self.time_min[gone[0]]) if gone.size else float("nan")

    def mean_until(self, horizon_min: float) -> float:
        """Mean lifetime until a horizon: the area under the curve up to it."""
        inside = self.time_min < horizon_min
        edges = np.append(self.time_min[inside], horizon_min)
        return float((np.diff(edges) * self.share[inside]).sum())


def _sample(tracks: pd.DataFrame, ends: tuple[str, ...]) -> pd.DataFrame:
    odd = set(ends) - set(FATES)
    if odd:
        raise ParamsError(f"ends: expected fates out of {', '.join(FATES)}, got {', '.join(sorted(odd))}")
    for name in ("lifetime_min", "is_left_censored", "is_right_censored", "fate"):
        if name not in tracks.columns:
            raise TableError(f"tracks: expected a column '{name}', got {', '.join(map(str, tracks.columns))}")
    known = tracks["lifetime_min"].notna() & ~tracks["is_left_censored"].astype(bool)
    sample = tracks[known].copy()
    seen = sample["fate"].isin(ends).fillna(False).astype(bool)
    sample["ended"] = seen & ~sample["is_right_censored"].astype(bool)
    return sample


def survival(tracks: pd.DataFrame, *, ends: tuple[str, ...] = ENDS) -> SurvivalCurve:
    """Kaplan-Meier survival of migrasomes whose birth was seen.

    Migrasomes that were there from the first frame are left out: their age is unknown, and long-lived ones are
    over-represented among them. Those that outlast the movie, leave the field, or end in a way that is not one of
    `ends` count as censored.

    Parameters
    ----------
    tracks : pandas.DataFrame
        One row per migrasome.
    ends : tuple of str
        Fates that count as an end.

    Returns
    -------
    SurvivalCurve
        All NaN-free but the limits; a single point (0, 1) where there is nothing to follow.

    References
    ----------
    .. [1] Kaplan, Meier, J. Am. Stat. Assoc. 53, 457 (1958), doi:10.1080/01621459.1958.10501452; computed by
       :func:`scipy.stats.ecdf`.
    """
    sample = _sample(tracks, ends)
    lifetimes = sample["lifetime_min"].to_numpy(float)
    ended = sample["ended"].to_numpy(bool)
    start = np.array([0.0])
    if not lifetimes.size:
        return SurvivalCurve(start, np.ones(1), np.full(1, np.nan), np.full(1, np.nan), 0, 0, np.empty(0))
    curve = scipy.stats.ecdf(_censored(lifetimes, ended)).sf
    if ended.any():
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            # at 1 and 0 the limits are not defined, which NaN says
            warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
            interval = curve.confidence_interval(0.95, method="log-log")
        low, high = interval.low.probabilities, interval.high.probabilities
    else:
        low = high = np.full(curve.quantiles.shape, np.nan)
    one = np.ones(1)
    return SurvivalCurve(
        np.concatenate([start, curve.quantiles]),
        np.concatenate([one, curve.probabilities]),
        np.concatenate([one, low]),
        np.concatenate([one, high]),
        lifetimes.size,
        int(ended.sum()),
        np.sort(lifetimes[~ended]),
    )


def _censored(lifetimes: Array, ended: NDArray[np.bool_]) -> scipy.stats.CensoredData:
    return scipy.stats.CensoredData(uncensored=lifetimes[ended], right=lifetimes[~ended])


@dataclass(frozen=True)
class LifetimeComparison:
    """Outcome of :func:`compare_lifetimes`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per pair: log-rank ``statistic``, ``p`` and ``p_adjusted``, medians, and n.
    curves : dict of str to SurvivalCurve
        By group.
    by_replicate : Comparison or None
        The mean lifetime until `horizon_min` per replicate, compared by replicates; None where there is too little.
    horizon_min : float
        Time up to which every group could be followed.
    notes : tuple of str
        What a reader should know.
    """

    table: pd.DataFrame
    curves: dict[str, SurvivalCurve]
    by_replicate: Comparison | None
    horizon_min: float
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Outcome in sentences, with sample sizes: log-rank tests, then the means of replicates."""
        out = [
            f"lifetimes, {row['b']} against {row['a']}: log-rank p = {row['p']:.2g}, adjusted "
            f"{row['p_adjusted']:.2g}; {row['n']}"
            for _, row in self.table.iterrows()
        ]
        if self.by_replicate is not None:
            out += [
                f"mean lifetime until {self.horizon_min:.0f} min by replicates, {row['b']} against {row['a']}: "
                f"{row['mean_b']:.0f} against {row['mean_a']:.0f} min, p = {row['p']:.2g} (Welch); "
                f"n = {row['n_replicates_a']} and {row['n_replicates_b']} replicates"
                for _, row in self.by_replicate.table.iterrows()
            ]
        return out


def compare_lifetimes(
    tracks: pd.DataFrame,
    by: str = "condition",
    *,
    replicate: str | None = None,
    ends: tuple[str, ...] = ENDS,
    correction: Correction = "bh",
) -> LifetimeComparison:
    """Compare lifetimes between groups by the log-rank test, and by the mean lifetime of replicates.

    Parameters
    ----------
    tracks : pandas.DataFrame
        One row per migrasome, with the columns of ``plate.csv``.
    by, replicate
        As for :func:`migradetect.stats.compare`.
    ends : tuple of str
        Fates that count as an end; others are censored.
    correction : {"bh", "holm", "none"}
        Over the pairs.

    Returns
    -------
    LifetimeComparison

    Raises
    ------
    TableError
        If a column is missing, or fewer than two groups have migrasomes whose birth was seen.
    """
    sample = _sample(tracks, ends)
    groups = group_values(sample, "lifetime_min", by, replicate, "migrasomes")
    column = replicate_column(sample, replicate)
    if len(groups.names) < 2:
        raise TableError(f"expected two or more groups in '{by}' with births that were seen, got {len(groups.names)}")
    keys = sample[by].astype("string")
    parts = {name: sample[(keys == name).fillna(False).to_numpy(bool)] for name in groups.names}
    curves = {name: survival(part, ends=ends) for name, part in parts.items()}
    sizes = {
        name: f"{n_text(groups.n_replicates(name), curve.n, 'migrasomes', column)}, {curve.n_ended} ended"
        for name, curve in curves.items()
    }
    rows = []
    for a, b in combinations(groups.names, 2):
        pair = [_censored(parts[g]["lifetime_min"].to_numpy(float), parts[g]["ended"].to_numpy(bool)) for g in (a, b)]
        testable = any(curves[g].n_ended for g in (a, b)) and all(curves[g].n > 1 for g in (a, b))
        result = scipy.stats.logrank(*pair) if testable else None
        rows.append(
            {
                "a": a,
                "b": b,
                "median_a_min": curves[a].median_min,
                "median_b_min": curves[b].median_min,
                "statistic": np.nan if result is None else float(result.statistic),
                "p": np.nan if result is None else float(result.pvalue),
                "n": "; ".join(f"{g}: {sizes[g]}" for g in (a, b)),
            }
        )
    table = pd.DataFrame(rows)
    table["p_adjusted"] = adjusted(table["p"].to_numpy(float), correction)
    horizon = min(float(part["lifetime_min"].max()) for part in parts.values())
    n_left = int(tracks["is_left_censored"].astype(bool).sum())
    notes = [
        *groups.notes,
        f"{n_left} of {len(tracks)} migrasomes were there from the first frame: of unknown age, they are left out",
        "the log-rank test takes migrasomes as independent, which those of one cell are not: see the replicate means",
    ]
    return LifetimeComparison(table, curves, _means(parts, by, column, horizon, ends), horizon, tuple(notes))


def _means(
    parts: dict[str, pd.DataFrame], by: str, column: str, horizon: float, ends: tuple[str, ...]
) -> Comparison | None:
    rows = []
    for group, part in parts.items():
        for name, one in part.groupby(part[column].astype("string"), observed=True):
            mean = survival(one, ends=ends).mean_until(horizon)
            rows.append({by: group, column: name, "mean_lifetime_min": mean})
    if not rows or horizon <= 0:
        return None
    return compare(pd.DataFrame(rows), "mean_lifetime_min", by, replicate=column, unit="replicate means")
