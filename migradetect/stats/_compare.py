"""Comparison of conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from migradetect.errors import ParamsError, TableError, nearest_name
from migradetect.stats._bootstrap import bootstrap_groups, limits
from migradetect.stats._groups import READOUTS, Groups, group_values

__all__ = ["TESTS", "Comparison", "adjusted", "compare", "compare_readouts"]

TestName = Literal["welch", "student", "paired", "mannwhitney", "permutation"]
Correction = Literal["bh", "holm", "none"]
Level = Literal["replicates", "cells"]
Array = NDArray[np.float64]

#: Tests, in words for a methods section.
TESTS: Final = {
    "welch": "Welch's t-test",
    "student": "Student's t-test",
    "paired": "paired t-test",
    "mannwhitney": "Mann-Whitney U test",
    "permutation": "permutation test of the difference of means",
}
_CORRECTIONS = {"bh": "Benjamini-Hochberg", "holm": "Holm", "none": "no correction"}
#: Below this many replicates the bootstrap has too few to draw from.
_FEW = 5


@dataclass(frozen=True)
class Comparison:
    """Outcome of :func:`compare`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per pair of groups: means, difference (second minus first), ratio, Hedges' g, each with confidence
        limits, p, p_adjusted and n.
    groups : Groups
        What was compared.
    value : str
        Column that was compared.
    method : str
        Test, level and correction in words.
    overall_p : float
        Alexander-Govern test of all groups together, on replicate means; NaN for fewer than three groups.
    notes : tuple of str
        What a reader should know.
    """

    table: pd.DataFrame
    groups: Groups
    value: str
    method: str
    overall_p: float = float("nan")
    notes: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """Outcome in sentences, one per pair, with sample sizes."""
        lines = []
        for _, row in self.table.iterrows():
            p = "not tested" if np.isnan(row["p"]) else f"p = {row['p']:.3g} (adjusted {row['p_adjusted']:.3g})"
            lines.append(
                f"{READOUTS.get(self.value, self.value)}: {row['b']} {row['mean_b']:.3g} against {row['a']} "
                f"{row['mean_a']:.3g}, difference {row['difference']:.3g} (95 % limits "
                f"{row['difference_ci_low']:.3g} to {row['difference_ci_high']:.3g}), {p}, {self.method}; {row['n']}"
            )
        return "\n".join([*lines, *self.notes])


def compare(
    table: pd.DataFrame,
    value: str,
    by: str = "condition",
    *,
    replicate: str | None = None,
    test: TestName = "welch",
    level: Level = "replicates",
    control: str | None = None,
    correction: Correction = "bh",
    n_boot: int = 2000,
    seed: int = 0,
    unit: str = "cells",
) -> Comparison:
    """Compare a readout between groups.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per cell (or migrasome, or movie), with the columns of ``plate.csv``.
    value : str
        Column to compare, such as ``n_migrasomes``.
    by : str
        Column of groups.
    replicate : str, optional
        Column of replicates; by default ``replicate``, else ``well``, else ``movie_id``.
    test : {"welch", "student", "paired", "mannwhitney", "permutation"}
        On replicate means. ``paired`` takes replicates of the same name as made together, such as on one day.
    level : {"replicates", "cells"}
        ``"cells"`` takes each cell as independent, which finds differences that are none (see
        :func:`permuted_p_values`); the notes say so.
    control : str, optional
        Compare with this group only, instead of all pairs, which go by the order of :func:`group_order`.
    correction : {"bh", "holm", "none"}
        Over the pairs; ``"bh"`` (Benjamini-Hochberg) by scipy, ``"holm"`` by statsmodels.
    n_boot : int
        Samples of the bootstrap behind the confidence limits (95 %).
    seed : int
        Of the bootstrap: the same input gives the same limits.
    unit : str
        What a row stands for, in the plural.

    Returns
    -------
    Comparison
        Columns of its table: ``value, a, b, n, n_replicates_a, n_replicates_b, n_cells_a, n_cells_b, mean_a, mean_b,
        difference, ratio, hedges_g`` (difference over the standard deviation of cells within replicates), each effect
        with ``_ci_low`` and ``_ci_high`` from the hierarchical bootstrap, ``t_ci_low, t_ci_high`` (limits of the
        difference that the t-test gives), ``statistic, p, p_adjusted``.

    Raises
    ------
    TableError
        If a column or group is missing, or there is only one group.
    ParamsError
        If a test, level or correction is unknown.

    Notes
    -----
    With fewer than five replicates the bootstrap limits are too narrow: of three replicates it draws one of ten sets.
    ``t_ci_low`` and ``t_ci_high`` hold then, if replicate means are about normal.
    """
    _check(test, level, correction)
    groups = group_values(table, value, by, replicate, unit)
    pairs = _pairs(groups, by, control)
    rng = np.random.default_rng(seed)
    boots = {name: bootstrap_groups(groups.values[name], n_boot, rng) for name in groups.names}
    rows = [_row(groups, value, a, b, test, level, boots) for a, b in pairs]
    out = pd.DataFrame(rows)
    out["p_adjusted"] = adjusted(out["p"].to_numpy(float), correction)
    on = f"on the means of {'replicates' if groups.replicate == 'replicate' else groups.replicate}"
    method = f"{TESTS[test]} {on if level == 'replicates' else f'on {unit}'}"
    if len(pairs) > 1:
        method += f", {_CORRECTIONS[correction]} over {len(pairs)} pairs"
    return Comparison(out, groups, value, method, _overall(groups), (*groups.notes, *_notes(groups, level, out)))


def _check(test: str, level: str, correction: str) -> None:
    known: dict[str, tuple[str, Iterable[str]]] = {
        "test": (test, TESTS),
        "level": (level, ("replicates", "cells")),
        "correction": (correction, _CORRECTIONS),
    }
    for name, (given, allowed) in known.items():
        if given not in allowed:
            raise ParamsError(
                f"{name}: expected one of {', '.join(allowed)}, got '{given}'{nearest_name(given, allowed)}"
            )
    if test == "paired" and level == "cells":
        raise ParamsError("test: expected replicates for a paired test, got cells, which have no partners")


def _pairs(groups: Groups, by: str, control: str | None) -> list[tuple[str, str]]:
    if len(groups.names) < 2:
        raise TableError(f"expected two or more groups in column '{by}', got only '{groups.names[0]}'; see plate.csv")
    if control is None:
        return list(combinations(groups.names, 2))
    if control not in groups.names:
        raise TableError(
            f"expected a control out of {', '.join(groups.names)}, got '{control}'{nearest_name(control, groups.names)}"
        )
    return [(control, name) for name in groups.names if name != control]


def _row(
    groups: Groups, value: str, a: str, b: str, test: str, level: str, boots: dict[str, tuple[Array, Array]]
) -> dict[str, Any]:
    mean_a, mean_b = (float(groups.means(name).mean()) for name in (a, b))
    (boot_a, var_a), (boot_b, var_b) = boots[a], boots[b]
    row: dict[str, Any] = {"value": value, "a": a, "b": b, "n": groups.n_text(a, b)}
    for side, name in (("a", a), ("b", b)):
        row[f"n_replicates_{side}"] = groups.n_replicates(name)
    for side, name in (("a", a), ("b", b)):
        row[f"n_{groups.unit}_{side}"] = groups.n_values(name)
    row |= {"mean_a": mean_a, "mean_b": mean_b}
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = {
            "difference": (mean_b - mean_a, boot_b - boot_a),
            "ratio": (mean_b / mean_a if mean_a else np.nan, _finite(boot_b / boot_a)),
            "hedges_g": (
                _hedges(mean_b - mean_a, _variance(groups, a), _variance(groups, b), groups, (a, b)),
                _finite(_hedges(boot_b - boot_a, var_a, var_b, groups, (a, b))),
            ),
        }
    for name, (estimate, samples) in effects.items():
        low, high = limits(samples, 0.95)
        row |= {name: float(estimate), f"{name}_ci_low": low, f"{name}_ci_high": high}
    return row | _test(groups, a, b, test, level)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _variance(groups: Groups, name: str) -> float:
    """Variance of the values within replicates."""
    parts = [part for part in groups.values[name].values() if part.size > 1]
    degrees = sum(part.size - 1 for part in parts)
    return sum(float(part.var()) * part.size for part in parts) / degrees if degrees else float("nan")


def _hedges(difference: Any, var_a: Any, var_b: Any, groups: Groups, pair: tuple[str, str]) -> Any:
    """Hedges' g: difference over the pooled standard deviation of cells, with the correction for small samples."""
    degrees = sum(groups.n_values(name) - groups.n_replicates(name) for name in pair)
    if degrees < 1:
        return difference * np.nan
    spread = np.sqrt((np.asarray(var_a) + np.asarray(var_b)) / 2)
    return (1 - 3 / max(4 * degrees - 1, 4)) * difference / np.where(spread > 0, spread, np.nan)


def _test(groups: Groups, a: str, b: str, test: str, level: str) -> dict[str, float]:
    none = {"t_ci_low": np.nan, "t_ci_high": np.nan, "statistic": np.nan, "p": np.nan}
    if test == "paired":
        shared = [name for name in groups.values[a] if name in groups.values[b]]
        x, y = (np.array([groups.values[g][name].mean() for name in shared]) for g in (a, b))
    elif level == "cells":
        x, y = (np.concatenate(list(groups.values[g].values())) for g in (a, b))
    else:
        x, y = groups.means(a), groups.means(b)
    if min(x.size, y.size) < 2 or (np.ptp(x) == 0 and np.ptp(y) == 0):
        return none
    if test in ("mannwhitney", "permutation"):
        result = (
            scipy.stats.mannwhitneyu(y, x)
            if test == "mannwhitney"
            else scipy.stats.permutation_test((y, x), _difference, n_resamples=9999, rng=np.random.default_rng(0))
        )
        return none | {"statistic": float(result.statistic), "p": float(result.pvalue)}
    result = (
        scipy.stats.ttest_rel(y, x) if test == "paired" else scipy.stats.ttest_ind(y, x, equal_var=test == "student")
    )
    interval = result.confidence_interval(0.95)
    return {
        "t_ci_low": float(interval.low),
        "t_ci_high": float(interval.high),
        "statistic": float(result.statistic),
        "p": float(result.pvalue),
    }


def _difference(y: Array, x: Array, axis: int = -1) -> Array:
    return np.mean(y, axis=axis) - np.mean(x, axis=axis)


def _overall(groups: Groups) -> float:
    means = [groups.means(name) for name in groups.names]
    if len(means) < 3 or min(part.size for part in means) < 2 or any(np.ptp(part) == 0 for part in means):
        return float("nan")
    return float(scipy.stats.alexandergovern(*means).pvalue)


def _notes(groups: Groups, level: str, out: pd.DataFrame) -> list[str]:
    notes = []
    fewest = min(groups.n_replicates(name) for name in groups.names)
    if level == "cells":
        notes.append(
            f"{groups.unit} were taken as independent, which those of one replicate are not: p is too small "
            "(doi:10.1083/jcb.202001064)"
        )
    if fewest < 2:
        notes.append("a group with one replicate can't be tested: repeat the experiment")
    elif fewest < _FEW:
        notes.append(
            f"{fewest} replicates: the bootstrap limits are too narrow, those of the t-test (t_ci) hold if replicate "
            "means are about normal"
        )
    if fewest >= 2 and out["p"].isna().any():
        notes.append("where all replicates of both groups are equal, or too few are paired, nothing is tested")
    return notes


def adjusted(p: Array, correction: str) -> Array:
    """Adjusted p values; NaN stays NaN and does not count."""
    out = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if not known.any():
        return out
    if correction == "bh":
        out[known] = scipy.stats.false_discovery_control(p[known], method="bh")
    elif correction == "holm":
        from migradetect.stats._mixed import load_statsmodels

        out[known] = load_statsmodels().stats.multitest.multipletests(p[known], method="holm")[1]
    else:
        out[known] = p[known]
    return out


def compare_readouts(
    table: pd.DataFrame,
    values: Sequence[str] | None = None,
    by: str = "condition",
    *,
    correction: Correction = "bh",
    **options: Any,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Compare several readouts at once; p is corrected over all readouts and pairs together.

    Parameters
    ----------
    table : pandas.DataFrame
        As for :func:`compare`.
    values : sequence of str, optional
        Columns; by default those of :data:`READOUTS` that the table has with at least one value.
    by : str
        Column of groups.
    correction : {"bh", "holm", "none"}
        Over all of them.
    **options
        As for :func:`compare`.

    Returns
    -------
    table : pandas.DataFrame
        Rows of :func:`compare`, one readout below the other.
    notes : tuple of str
        Each once.
    """
    if values is None:
        values = [name for name in READOUTS if name in table.columns and table[name].notna().any()]
    done = [compare(table, value, by, correction="none", **options) for value in values]
    if not done:
        raise TableError("expected at least one readout with values, got none; is the table of cells empty?")
    out = pd.concat([item.table for item in done], ignore_index=True)
    out["p_adjusted"] = adjusted(out["p"].to_numpy(float), correction)
    notes = dict.fromkeys(note for item in done for note in item.notes)
    if len(out) > 1 and correction != "none":
        notes[f"p_adjusted: {_CORRECTIONS[correction]} over {len(out)} comparisons"] = None
    return out, tuple(notes)
