"""Agreement of two counters of the same movie, neither of whom is the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from migradetect.calibration import Calibration
from migradetect.evaluate.cells import CellOverlap, overlap_cells
from migradetect.evaluate.matching import Pairs, assign, assign_nearest, gates_um, pairs_within
from migradetect.evaluate.tally import FloatArray, IntArray, Score, median, ratio
from migradetect.results import Results
from migradetect.tables import FATES, LOCATIONS

__all__ = ["agreement", "cohen_kappa"]

_GROUP = "agreement"
_CLASSES = {"location": LOCATIONS, "fate": FATES}


def cohen_kappa(table: FloatArray) -> float:
    """Agreement beyond chance of two raters who put the same things into classes.

    Cohen 1960, doi:10.1177/001316446002000104.

    Parameters
    ----------
    table : ndarray, shape (K, K)
        Cases by the class of the first rater (rows) and of the second (columns).

    Returns
    -------
    float
        1 for full agreement, 0 for what chance gives, down to -1; NaN without cases, or where both know one class only.
    """
    total = table.sum()
    if total == 0:
        return float("nan")
    chance = float(table.sum(axis=1) @ table.sum(axis=0)) / total**2
    return float((np.trace(table) / total - chance) / (1 - chance)) if chance < 1 else float("nan")


def agreement(first: Results, second: Results, pixel_size_um: float) -> pd.DataFrame:
    """How well two counters of one movie agree: two people, or one person twice.

    Both sides are treated alike: nothing is ignored, and exchanging them changes no value but the sign of a bias.

    Parameters
    ----------
    first, second : Results
        What each counted. Only the ``migrasomes`` table is needed; what rests on other tables is NaN without them.
    pixel_size_um : float
        Edge of a pixel of the label images.

    Returns
    -------
    pandas.DataFrame
        Columns ``movie_id``, ``group``, ``metric``, ``value``, ``n``, ``unit``. ``f1_rows`` and ``f1_migrasomes`` are
        twice the number both have over the sum of what each has, in single frames and as tracks. ``kappa_detection`` is
        Cohen's kappa over migrasomes that either accepted and candidates that both rejected, NaN where a side has no
        candidates; ``kappa_location`` and ``kappa_fate`` are over migrasomes that both have. Biases are second less
        first, with the limits of agreement, 1.96 standard deviations (Bland & Altman 1986,
        doi:10.1016/S0140-6736(86)90837-8).

    Raises
    ------
    CalibrationError
        If the pixel size is impossible.
    """
    calibration = Calibration(pixel_size_um)
    sides = (first, second)
    rows = [side.migrasomes.dropna(subset=["y_um", "x_um"]).reset_index(drop=True) for side in sides]
    pairs = assign_nearest(_near(rows[0], rows[1]))
    ids = [table["migrasome_id"].to_numpy(dtype=np.int64) for table in rows]
    both = _common(ids[0][pairs.truth], ids[1][pairs.pred])
    n_tracks = [np.unique(side).size for side in ids]
    diameter = [table["diameter_um"].to_numpy(dtype=np.float64) for table in rows]
    change = 100 * (diameter[1][pairs.pred] / diameter[0][pairs.truth] - 1)
    frames = np.unique(np.concatenate([side.frames["frame"].to_numpy(np.int64) for side in sides]))
    overlap = overlap_cells(second, first, calibration, frames) if frames.size else None
    scores = [
        ratio(_GROUP, "f1_rows", 2 * pairs.truth.size, sum(len(table) for table in rows)),
        ratio(_GROUP, "f1_migrasomes", 2 * len(both), sum(n_tracks)),
        Score(_GROUP, "n_migrasomes_first", float(n_tracks[0]), n_tracks[0], ""),
        Score(_GROUP, "n_migrasomes_second", float(n_tracks[1]), n_tracks[1], ""),
        _kappa("kappa_detection", _accepted(sides, n_tracks, len(both))),
        median(_GROUP, "position_difference", pairs.distance_um, "um"),
        *_limits("diameter", change[np.isfinite(change)], "%"),
        *(_kappa(f"kappa_{name}", _classes(sides, both, name)) for name in _CLASSES),
        *_limits("count_per_cell", _count_differences(sides, overlap), "1/cell"),
    ]
    table = pd.DataFrame(scores, columns=list(Score._fields))
    table.insert(0, "movie_id", first.movie_id)
    return table.astype({"movie_id": "string", "group": "string", "metric": "string", "unit": "string"})


def _near(first: pd.DataFrame, second: pd.DataFrame) -> Pairs:
    """Pairs of rows within the larger of 0.4 um and the mean radius."""
    gates = gates_um(first), gates_um(second)
    pairs = pairs_within(first, second, np.full(len(first), max((float(g.max()) for g in gates if g.size), default=0)))
    return pairs[pairs.distance_um <= 0.5 * (gates[0][pairs.truth] + gates[1][pairs.pred])]


def _common(first: IntArray, second: IntArray) -> IntArray:
    """Tracks that both have, one to one, by the rows that they share; shape (N, 2)."""
    if not first.size:
        return np.empty((0, 2), dtype=np.int64)
    keys, shared = np.unique(np.stack([first, second], axis=1), axis=0, return_counts=True)
    chosen = assign(keys[:, 0], keys[:, 1], shared.astype(np.float64))
    return np.asarray(keys[chosen], dtype=np.int64)


def _accepted(sides: Sequence[Results], n_tracks: Sequence[int], n_both: int) -> FloatArray:
    """Accepted and rejected by either; all 0 where a side does not tell what it rejected."""
    tables = [side.candidates for side in sides]
    if any(table.empty for table in tables):
        return np.zeros((2, 2))
    # a candidate stands still on the dish: one place serves all of its frames
    rejected = [table.assign(frame=0, y_um=table["y_stage_um"], x_um=table["x_stage_um"]) for table in tables]
    n_rejected = assign_nearest(_near(rejected[0], rejected[1])).truth.size
    return np.array([[n_both, n_tracks[0] - n_both], [n_tracks[1] - n_both, n_rejected]], dtype=np.float64)


def _classes(sides: Sequence[Results], both: IntArray, name: str) -> FloatArray:
    """Migrasomes that both have, by the class that each gave them."""
    codes = []
    for k, side in enumerate(sides):
        table = side.tracks if not side.tracks.empty or name not in side.migrasomes else side.migrasomes
        known = table.groupby("migrasome_id")[name].first().reindex(both[:, k])
        codes.append(pd.Categorical(known.astype(object), categories=list(_CLASSES[name])).codes)
    known_by_both = (codes[0] >= 0) & (codes[1] >= 0)
    counts = np.zeros((len(_CLASSES[name]),) * 2)
    np.add.at(counts, (codes[0][known_by_both], codes[1][known_by_both]), 1.0)
    return counts


def _count_differences(sides: Sequence[Results], overlap: CellOverlap | None) -> FloatArray:
    """Migrasomes per cell, second less first, over the cells that both outlined."""
    if overlap is None or any(side.cell_summary.empty for side in sides):
        return np.empty(0)
    first, second = (side.cell_summary.set_index("cell_id")["n_migrasomes"].astype(float) for side in sides)
    partner = overlap.partners()
    return np.array([second[partner[cell]] - first[cell] for cell in first.index if partner.get(cell) in second.index])


def _kappa(metric: str, table: FloatArray) -> Score:
    value = cohen_kappa(table)
    return Score(_GROUP, metric, value, int(table.sum()) if np.isfinite(value) else 0, "")


def _limits(name: str, difference: FloatArray, unit: str) -> list[Score]:
    """Mean difference and limits of agreement on either side of it."""
    n = difference.size
    bias = Score(_GROUP, f"{name}_bias", float(difference.mean()) if n else float("nan"), n, unit)
    limits = 1.96 * float(difference.std(ddof=1)) if n > 1 else float("nan")
    return [bias, Score(_GROUP, f"{name}_limits", limits, n if n > 1 else 0, unit)]
