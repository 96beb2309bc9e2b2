"""Counts and errors that can be pooled over movies, and the scores made of them.

A score of many movies is made of summed counts and joined errors, never of averaged scores: a movie with two migrasomes
must not weigh as much as one with two hundred.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "IntArray", "Score", "Tally", "f1", "macro_recall", "median", "pool", "ratio"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Score(NamedTuple):
    """One line of the report: NaN and ``n`` 0 where the metric is not defined."""

    group: str
    metric: str
    value: float
    n: int
    unit: str


@dataclass
class Tally:
    """What was counted and measured; a name that is absent was not countable.

    Parameters
    ----------
    counts : dict of str to ndarray
        Counts that add up over movies; of any shape, the same in each movie.
    errors : dict of str to ndarray, shape (N,)
        Single measurements that are joined over movies.
    """

    counts: dict[str, FloatArray] = field(default_factory=dict)
    errors: dict[str, FloatArray] = field(default_factory=dict)

    def add(self, **counts: Any) -> None:
        """Set counts by name."""
        for name, value in counts.items():
            self.counts[name] = np.asarray(value, dtype=np.float64)

    def measure(self, **errors: Any) -> None:
        """Set measurements by name; those that are not finite are left out."""
        for name, value in errors.items():
            array = np.asarray(value, dtype=np.float64).ravel()
            self.errors[name] = array[np.isfinite(array)]

    def count(self, name: str) -> float:
        """One count; NaN where it was not countable."""
        return float(self.counts[name]) if name in self.counts else float("nan")

    def array(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Counts of one name; NaN where they were not countable."""
        return self.counts.get(name, np.full(shape, np.nan))

    def values(self, name: str) -> FloatArray:
        """Measurements of one name; empty where there are none."""
        return self.errors.get(name, np.empty(0))


def pool(tallies: Iterable[Tally]) -> Tally:
    """Tally of all movies together: counts summed, measurements joined.

    Parameters
    ----------
    tallies : iterable of Tally

    Returns
    -------
    Tally
    """
    counts: dict[str, FloatArray] = {}
    errors: dict[str, list[FloatArray]] = {}
    for tally in tallies:
        for name, value in tally.counts.items():
            counts[name] = counts[name] + value if name in counts else value
        for name, values in tally.errors.items():
            errors.setdefault(name, []).append(values)
    return Tally(counts, {name: np.concatenate(parts) for name, parts in errors.items()})


def _size(value: float) -> int:
    return int(value) if np.isfinite(value) else 0


def ratio(group: str, metric: str, part: float, whole: float, unit: str = "", n: float | None = None) -> Score:
    """Score ``part / whole``; NaN where the whole is 0 or unknown.

    Parameters
    ----------
    group, metric, unit : str
        As in the report.
    part, whole : float
        Numerator and denominator.
    n : float, optional
        What the value rests on; the denominator where it is not given.

    Returns
    -------
    Score
    """
    is_defined = bool(np.isfinite(part) and np.isfinite(whole) and whole > 0)
    value = float(part / whole) if is_defined else float("nan")
    return Score(group, metric, value, _size(whole if n is None else n) if is_defined else 0, unit)


def f1(group: str, metric: str, tp: float, n_pred: float, n_truth: float) -> Score:
    """Score ``2 tp / (n_pred + n_truth)``; NaN where there is nothing to find, whatever was found falsely."""
    return ratio(group, metric, 2 * tp, n_pred + n_truth if n_truth > 0 else float("nan"), n=n_truth)


def median(group: str, metric: str, values: FloatArray, unit: str) -> Score:
    """Score that is a median; NaN where there are no values."""
    return Score(group, metric, float(np.median(values)) if values.size else float("nan"), int(values.size), unit)


def macro_recall(group: str, metric: str, confusion: FloatArray) -> Score:
    """Mean over the true classes of the share that is right; classes without a case are left out.

    Parameters
    ----------
    group, metric : str
        As in the report.
    confusion : ndarray, shape (K, M)
        Cases by true class (rows) and predicted class (columns, in the same order, then whatever else was said).

    Returns
    -------
    Score
    """
    cases = confusion.sum(axis=1)
    if not np.nansum(cases):
        return Score(group, metric, float("nan"), 0, "")
    right = np.diagonal(confusion)[cases > 0] / cases[cases > 0]
    return Score(group, metric, float(right.mean()), int(cases.sum()), "")
