"""Scores of the benchmark: counted once per movie, stored, and pooled into whatever table is asked for.

The counts are those of :func:`migradetect.evaluate.evaluate`; what a benchmark shows beyond its report is added here:
precision by size bin and location, recall by signal over noise, and precision and recall against the score.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

# The composition of all tallies is private in the library; taking it from there keeps the benchmark's numbers those
# of `migradetect evaluate`. test_benchmark_scores holds the two together.
from migradetect.evaluate.detection import SIZE_BINS
from migradetect.evaluate.matching import match_migrasomes
from migradetect.evaluate.report import _scored_frames, _table, _tally
from migradetect.evaluate.tally import Score, Tally, pool, ratio
from migradetect.results import Results
from migradetect.tables import LOCATIONS

__all__ = ["SNR_EDGES", "THRESHOLDS", "load_tally", "pooled_scores", "save_tally", "tally_movie"]

#: Lower edges of the bins of the true signal over noise; below 2 nothing counts.
SNR_EDGES = (2.0, 4.0, 8.0, 16.0, 32.0)
#: Scores of a track above which it is kept, for precision against recall.
THRESHOLDS = np.round(np.arange(0.0, 1.0, 0.05), 2)


def tally_movie(results: Results, truth: Results, pixel_size_um: float) -> Tally:
    """Count everything that is scored on one movie.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth.
    pixel_size_um : float
        Edge of a pixel of the label images.
    """
    return pool([_tally(results, truth, pixel_size_um), _extra(results, truth)])


def _extra(results: Results, truth: Results) -> Tally:
    frames = _scored_frames(results, truth)
    matches = match_migrasomes(truth.migrasomes, results.migrasomes, frames)
    tally = Tally()
    is_right = np.zeros(len(matches.pred), dtype=bool)
    is_right[matches.pairs.pred] = True
    is_said = is_right | matches.is_false
    diameter = matches.pred["diameter_um"].to_numpy(dtype=np.float64)
    edges = [edge for _, edge in SIZE_BINS]
    # the smallest bin takes in what is predicted to be smaller still: those predictions count too
    size = np.clip(np.searchsorted(edges, diameter, side="right") - 1, 0, None)
    size = np.where(np.isfinite(diameter), size, -1)
    of_size = np.arange(len(edges))[:, np.newaxis] == size
    of_place = np.stack([matches.pred["location"].eq(n).to_numpy(dtype=bool, na_value=False) for n in LOCATIONS])
    for name, members in (("size", of_size), ("location", of_place)):
        tally.counts[f"right_{name}"] = (members & is_right).sum(axis=1).astype(np.float64)
        tally.counts[f"said_{name}"] = (members & is_said).sum(axis=1).astype(np.float64)
    snr_bin = np.searchsorted(SNR_EDGES, matches.truth["snr"].to_numpy(dtype=np.float64), side="right") - 1
    of_snr = np.arange(len(SNR_EDGES))[:, np.newaxis] == snr_bin
    tally.counts["found_snr"] = (of_snr & matches.is_found).sum(axis=1).astype(np.float64)
    tally.counts["truth_snr"] = (of_snr & matches.is_valid_truth).sum(axis=1).astype(np.float64)

    score = results.migrasomes["score"].fillna(1.0)
    tp, said = np.zeros(THRESHOLDS.size), np.zeros(THRESHOLDS.size)
    n_kept = -1
    for k, threshold in enumerate(THRESHOLDS):
        kept = score >= threshold
        if int(kept.sum()) == n_kept:  # the threshold passed nobody, so nothing changed
            tp[k], said[k] = tp[k - 1], said[k - 1]
            continue
        n_kept = int(kept.sum())
        cut = match_migrasomes(truth.migrasomes, results.migrasomes[kept.to_numpy(bool)], frames)
        tp[k], said[k] = cut.pairs.truth.size, cut.pairs.truth.size + cut.is_false.sum()
    tally.counts["curve_tp"], tally.counts["curve_said"] = tp, said
    tally.add(curve_truth=float(matches.is_valid_truth.sum()))
    return tally


def pooled_scores(tallies: Iterable[Tally], movie_id: str) -> tuple[pd.DataFrame, Tally]:
    """Scores of movies together, and the pooled counts that they are made of.

    Parameters
    ----------
    tallies : iterable of Tally
        One per movie.
    movie_id : str
        What the rows are called.

    Returns
    -------
    scores : pandas.DataFrame
        As of :func:`migradetect.evaluate.evaluate`, with more metrics.
    tally : Tally
        Pooled.
    """
    tally = pool(tallies)
    more: list[Score] = []
    for name, labels in (("size", [name for name, _ in SIZE_BINS]), ("location", list(LOCATIONS))):
        right, said, found, true = (
            tally.array(f"{what}_{name}", (len(labels),)) for what in ("right", "said", "found", "truth")
        )
        for i, label in enumerate(labels):
            precision = ratio("detection", f"precision_{label}", right[i], said[i])
            more.append(precision)
            recall = found[i] / true[i] if true[i] > 0 else np.nan
            # precision is by what was said and recall by what is true, so F1 is made of the two and not of counts
            p = 0.0 if np.isnan(precision.value) else precision.value
            more.append(ratio("detection", f"f1_{label}", 2 * p * recall, p + recall or np.nan, n=true[i]))
    error = tally.values("count_pred") - tally.values("count_true")
    spread = float(1.96 * np.std(error, ddof=1)) if error.size > 1 else float("nan")
    more.append(Score("counts", "count_limits_of_agreement", spread, int(error.size), "1/cell"))
    extra = pd.DataFrame(more, columns=list(Score._fields)).assign(movie_id=movie_id)
    table = pd.concat([_table(movie_id, tally), extra], ignore_index=True)
    for name in ("location", "fate"):
        said = tally.counts.get(f"{name}_confusion", np.zeros((1, 1)))[:, :-1]
        if not said.any():
            # nothing was said about any track: not reported, rather than wrong
            silent = table["metric"].isin([f"{name}_macro_recall", f"{name}_accuracy"])
            table.loc[silent, ["value", "n"]] = [np.nan, 0]
    return table[["movie_id", "group", "metric", "value", "n", "unit"]], tally


def save_tally(tally: Tally, path: Path, key: str) -> None:
    """Store a tally beside the key of what it was made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"c_{name}": value for name, value in tally.counts.items()}
    arrays |= {f"e_{name}": value for name, value in tally.errors.items()}
    part = path.with_name(f".{path.name}")
    with part.open("wb") as file:
        np.savez_compressed(file, key=np.array(key), **arrays)
    part.replace(path)


def load_tally(path: Path, key: str | None = None) -> Tally | None:
    """Stored tally; None where there is none, or one with another key."""
    try:
        with np.load(path) as arrays:
            if key is not None and str(arrays["key"]) != key:
                return None
            counts = {name[2:]: arrays[name] for name in arrays.files if name.startswith("c_")}
            errors = {name[2:]: arrays[name] for name in arrays.files if name.startswith("e_")}
    except (OSError, ValueError, KeyError):
        return None
    return Tally(counts, errors)
