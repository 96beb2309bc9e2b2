"""Scores of what is reported about each migrasome and each cell: growth, parent, place, birth, end, counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from migradetect.evaluate.cells import CellOverlap
from migradetect.evaluate.tally import FloatArray, Score, Tally, macro_recall, median, ratio
from migradetect.results import TIME_OFFSET, Results
from migradetect.tables import FATES, LOCATIONS, TABLES

__all__ = ["scores_counts", "scores_tracks", "tally_counts", "tally_tracks"]

_GROWTH = ("plateau_diameter", "tau")
_COLUMN = {"plateau_diameter": "plateau_diameter_um", "tau": "tau_min"}
_CLASSES = {"location": LOCATIONS, "fate": FATES}


def _tracks_of(results: Results) -> pd.DataFrame:
    """Tracks by id; where only single rows are given, their parent and place, and null otherwise."""
    if not results.tracks.empty or results.migrasomes.empty:
        return results.tracks.set_index("migrasome_id")
    # first() skips nulls
    known = results.migrasomes.sort_values("frame").groupby("migrasome_id")[["cell_id", "location"]].first()
    return known.reindex(columns=[name for name in TABLES["tracks"].names if name != "migrasome_id"])


def _numbers(table: pd.DataFrame, name: str) -> FloatArray:
    numbers: FloatArray = np.asarray(table[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan))
    return numbers


def _since_start(table: pd.DataFrame, name: str) -> FloatArray:
    """Points in time from the first frame, without the offset that a plate table gives."""
    times = _numbers(table, name)
    return times - np.nan_to_num(_numbers(table, TIME_OFFSET)) if TIME_OFFSET in table.columns else times


def _interval_min(results: Results, truth: Results) -> float:
    """Minutes per frame, from the tables; NaN where they don't tell."""
    for table in (truth.frames, results.frames, truth.migrasomes, results.migrasomes):
        known = table.loc[table["time_min"].notna(), ["frame", "time_min"]].sort_values("frame")
        if len(known) and known["frame"].iloc[-1] > known["frame"].iloc[0]:
            first, last = known.iloc[0], known.iloc[-1]
            return float((last["time_min"] - first["time_min"]) / (last["frame"] - first["frame"]))
    return float("nan")


def _confusion(true: pd.Series, pred: pd.Series, classes: Sequence[str]) -> FloatArray:
    """Cases by true class and predicted class; the last column is null. A true null is no case."""
    codes = [pd.Categorical(values.astype(object), categories=list(classes)).codes for values in (true, pred)]
    known = codes[0] >= 0
    table = np.zeros((len(classes), len(classes) + 1))
    # code -1, null, lands in the last column
    np.add.at(table, (codes[0][known], codes[1][known]), 1.0)
    return table


def tally_tracks(results: Results, truth: Results, matched: pd.DataFrame, overlap: CellOverlap | None) -> Tally:
    """Count and measure what is reported about matched tracks.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth.
    matched : pandas.DataFrame
        Pairs of tracks: ``truth_id``, ``pred_id``.
    overlap : CellOverlap or None
        Tells which predicted cell is which true one; None: parents can't be compared.

    Returns
    -------
    Tally
    """
    tally = Tally()
    true = _tracks_of(truth).reindex(matched["truth_id"])
    pred = _tracks_of(results).reindex(matched["pred_id"])
    for name in _GROWTH:
        tally.measure(**{name: _numbers(pred, _COLUMN[name]) / _numbers(true, _COLUMN[name]) - 1.0})
    for name, classes in _CLASSES.items():
        tally.counts[f"{name}_confusion"] = _confusion(true[name], pred[name], classes)

    interval = _interval_min(results, truth)
    for name, censored in (("birth", "is_left_censored"), ("end", "is_right_censored")):
        seen = ~true[censored].astype("boolean").fillna(True).to_numpy(dtype=bool)
        times = _since_start(true, f"{name}_time_min")
        error = _since_start(pred, f"{name}_time_min") - times
        is_case = seen & np.isfinite(times)
        tally.add(**{f"{name}_cases": is_case.sum(), f"{name}_missing": (is_case & np.isnan(error)).sum()})
        tally.measure(**{f"{name}_min": error[is_case], f"{name}_frames": error[is_case] / interval})

    if overlap is not None:
        true_parent, pred_parent = _numbers(true, "cell_id"), _numbers(pred, "cell_id")
        names = overlap.names()
        named = np.array([names.get(int(cell), -1) if np.isfinite(cell) else -1 for cell in pred_parent], dtype=float)
        has_parent, is_null = np.isfinite(true_parent), np.isnan(pred_parent)
        tally.add(
            parent_cases=has_parent.sum(),
            parent_right=(has_parent & (named == true_parent)).sum(),
            parent_missing=(has_parent & is_null).sum(),
            orphan_cases=(~has_parent).sum(),
            orphan_right=(~has_parent & is_null).sum(),
        )
    return tally


def scores_tracks(tally: Tally) -> list[Score]:
    """Errors of growth, parent, location, birth, end and fate on matched tracks.

    ``parent_accuracy`` is over tracks whose true parent is known; a predicted null is wrong, and ``parent_missing`` is
    its share. ``parent_null_accuracy`` is the share of predicted nulls where the true parent is null. Births and ends
    are compared where the movie shows them; the share without a prediction is ``birth_missing`` and ``end_missing``.

    Parameters
    ----------
    tally : Tally
        Counts of one movie, or of many.

    Returns
    -------
    list of Score
    """
    out = []
    for name in _GROWTH:
        error = 100.0 * tally.values(name)
        out.append(median("growth", f"{name}_error", np.abs(error), "%"))
        out.append(median("growth", f"{name}_bias", error, "%"))
    parents, orphans = tally.count("parent_cases"), tally.count("orphan_cases")
    out.append(ratio("parent", "parent_accuracy", tally.count("parent_right"), parents))
    out.append(ratio("parent", "parent_missing", tally.count("parent_missing"), parents))
    out.append(ratio("parent", "parent_null_accuracy", tally.count("orphan_right"), orphans))
    for name, classes in _CLASSES.items():
        confusion = tally.array(f"{name}_confusion", (len(classes), len(classes) + 1))
        out.append(macro_recall(name, f"{name}_macro_recall", confusion))
        out.append(ratio(name, f"{name}_accuracy", float(np.trace(confusion)), float(confusion.sum())))
    for name in ("birth", "end"):
        for unit, short in (("frames", "frame"), ("min", "min")):
            error = tally.values(f"{name}_{unit}")
            out.append(median(name, f"{name}_error_{unit}", np.abs(error), short))
            out.append(median(name, f"{name}_bias_{unit}", error, short))
        out.append(ratio(name, f"{name}_missing", tally.count(f"{name}_missing"), tally.count(f"{name}_cases")))
    return out


def tally_counts(results: Results, truth: Results, overlap: CellOverlap | None) -> Tally:
    """Migrasomes per cell, true and predicted.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth, with ``cell_summary``.
    overlap : CellOverlap or None
        Tells which predicted cell is which true one; None: nothing can be compared.

    Returns
    -------
    Tally
    """
    tally = Tally()
    if overlap is None or truth.cell_summary.empty:
        return tally
    # One to one: a cell that was cut in two in the results is half a count there, and is scored as such.
    partner = overlap.partners()
    counts = dict(
        zip(results.cell_summary["cell_id"].astype(int), _numbers(results.cell_summary, "n_migrasomes"), strict=True)
    )
    true = _numbers(truth.cell_summary, "n_migrasomes")
    pred = np.array([counts.get(partner.get(int(cell), -1), 0.0) for cell in truth.cell_summary["cell_id"]])
    tally.measure(count_true=true, count_pred=pred)
    return tally


def scores_counts(tally: Tally) -> list[Score]:
    """Error of the migrasomes per cell, over true cells; a cell that was not found has a predicted count of 0.

    Parameters
    ----------
    tally : Tally
        Counts of one movie, or of many.

    Returns
    -------
    list of Score
        Mean absolute error, also over the mean true count; mean of predicted less true; Pearson's correlation, which
        is not defined for fewer than three cells or equal counts.
    """
    true, pred = tally.values("count_true"), tally.values("count_pred")
    error = pred - true
    n = true.size
    total = float(true.sum())
    correlation = float("nan")
    if n >= 3 and np.ptp(true) > 0 and np.ptp(pred) > 0:
        correlation = float(np.corrcoef(true, pred)[0, 1])
    return [
        ratio("counts", "count_mae", float(np.abs(error).sum()), n, "1/cell"),
        ratio("counts", "count_relative_mae", float(np.abs(error).sum()), total, n=n),
        ratio("counts", "count_bias", float(error.sum()), n, "1/cell"),
        ratio("counts", "count_relative_bias", float(error.sum()), total, n=n),
        Score("counts", "count_correlation", correlation, n if np.isfinite(correlation) else 0, ""),
    ]
