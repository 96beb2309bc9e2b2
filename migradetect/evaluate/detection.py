"""Scores of single migrasomes in single frames: found, missed, false, place and size."""

from __future__ import annotations

import numpy as np

from migradetect.evaluate.matching import Matches
from migradetect.evaluate.tally import FloatArray, IntArray, Score, Tally, f1, median, ratio
from migradetect.tables import LOCATIONS

__all__ = ["SIZE_BINS", "scores_detection", "tally_detection"]

#: Name and lower edge of each size bin, in um of the true diameter; the last has no upper edge.
SIZE_BINS = (("0.5_0.8um", 0.5), ("0.8_1.2um", 0.8), ("1.2_2um", 1.2), ("over_2um", 2.0))
_GROUP = "detection"
_DIAMETER = "diameter"


def _bin_of(diameter_um: FloatArray) -> IntArray:
    """Size bin of each diameter; -1 where it is null or below the first."""
    edges = np.array([edge for _, edge in SIZE_BINS])
    bins = np.searchsorted(edges, diameter_um, side="right") - 1
    return np.where(np.isfinite(diameter_um), bins, -1).astype(np.int64)


def tally_detection(matches: Matches, n_frames: int) -> Tally:
    """Count what was found, missed and falsely found.

    Parameters
    ----------
    matches : Matches
        Rows matched frame by frame.
    n_frames : int
        Frames that are scored.

    Returns
    -------
    Tally
    """
    tally = Tally()
    pairs, is_valid, is_false = matches.pairs, matches.is_valid_truth, matches.is_false
    found = matches.is_found
    n_false = int(is_false.sum())
    tally.add(tp=pairs.truth.size, fn=int((is_valid & ~found).sum()), fp=n_false, frames=n_frames)

    diameter = matches.truth["diameter_um"].to_numpy(dtype=np.float64)
    size_bin = _bin_of(diameter)
    by_size = np.arange(len(SIZE_BINS))[:, np.newaxis] == size_bin
    by_location = np.stack(
        [matches.truth["location"].eq(name).to_numpy(dtype=bool, na_value=False) for name in LOCATIONS]
    )
    for name, members in (("size", by_size), ("location", by_location)):
        tally.counts[f"found_{name}"] = (members & found).sum(axis=1).astype(np.float64)
        tally.counts[f"truth_{name}"] = (members & is_valid).sum(axis=1).astype(np.float64)

    error = matches.pred["diameter_um"].to_numpy(dtype=np.float64)[pairs.pred] / diameter[pairs.truth] - 1.0
    tally.measure(distance_um=pairs.distance_um, diameter=error)
    for index, (name, _) in enumerate(SIZE_BINS):
        tally.measure(**{f"diameter_{name}": error[size_bin[pairs.truth] == index]})

    if matches.truth.empty and n_frames:
        n_tracks = matches.pred["migrasome_id"][is_false].nunique()
        tally.add(empty_fp=n_false, empty_frames=n_frames, empty_tracks=n_tracks, empty_movies=1)
    return tally


def scores_detection(tally: Tally) -> list[Score]:
    """Precision, recall, F1, false positives, position and diameter errors.

    Parameters
    ----------
    tally : Tally
        Counts of one movie, or of many.

    Returns
    -------
    list of Score
    """
    tp, fp, fn = (tally.count(name) for name in ("tp", "fp", "fn"))
    out = [
        ratio(_GROUP, "precision", tp, tp + fp),
        ratio(_GROUP, "recall", tp, tp + fn),
        f1(_GROUP, "f1", tp, tp + fp, tp + fn),
        ratio(_GROUP, "false_per_frame", fp, tally.count("frames"), "1/frame"),
    ]
    for name, labels in (("size", [name for name, _ in SIZE_BINS]), ("location", list(LOCATIONS))):
        found, truth = (tally.array(f"{what}_{name}", (len(labels),)) for what in ("found", "truth"))
        out += [ratio(_GROUP, f"recall_{label}", found[i], truth[i]) for i, label in enumerate(labels)]
    out.append(median(_GROUP, "position_error", tally.values("distance_um"), "um"))
    for label in ("", *(f"_{name}" for name, _ in SIZE_BINS)):
        error = 100.0 * tally.values(f"diameter{label}")
        out.append(median(_DIAMETER, f"diameter_error{label}", np.abs(error), "%"))
        out.append(median(_DIAMETER, f"diameter_bias{label}", error, "%"))
    out.append(
        ratio("no_migrasomes", "empty_false_per_frame", tally.count("empty_fp"), tally.count("empty_frames"), "1/frame")
    )
    out.append(
        ratio(
            "no_migrasomes", "empty_false_tracks", tally.count("empty_tracks"), tally.count("empty_movies"), "1/movie"
        )
    )
    return out
