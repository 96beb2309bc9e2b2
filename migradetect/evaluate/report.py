"""Score results against truth: one movie, or many pooled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from migradetect.calibration import Calibration
from migradetect.errors import TableError
from migradetect.evaluate.biology import scores_counts, scores_tracks, tally_counts, tally_tracks
from migradetect.evaluate.cells import overlap_cells, scores_cells, tally_cells
from migradetect.evaluate.detection import scores_detection, tally_detection
from migradetect.evaluate.fibers import scores_fibers, tally_fibers
from migradetect.evaluate.matching import match_migrasomes, match_tracks
from migradetect.evaluate.tally import IntArray, Score, Tally, pool
from migradetect.evaluate.tracking import scores_tracking, tally_tracking
from migradetect.results import Results

__all__ = ["POOLED", "evaluate", "evaluate_many", "scores_as_dict"]

#: ``movie_id`` of the rows for all movies together.
POOLED = "all"


def _scored_frames(results: Results, truth: Results) -> IntArray:
    """Frames of the truth's ``frames`` table; without one, all that either side knows of."""
    if not truth.frames.empty:
        return np.unique(truth.frames["frame"].to_numpy(dtype=np.int64))
    known = [
        table["frame"].to_numpy(dtype=np.int64) for table in (truth.migrasomes, results.frames, results.migrasomes)
    ]
    known += [np.arange(len(stack)) for side in (truth, results) for stack in side.labels.values()]
    return np.unique(np.concatenate(known))


def _tally(results: Results, truth: Results, pixel_size_um: float) -> Tally:
    calibration = Calibration(pixel_size_um)
    frames = _scored_frames(results, truth)
    matches = match_migrasomes(truth.migrasomes, results.migrasomes, frames)
    matched = match_tracks(matches)
    overlap = overlap_cells(results, truth, calibration, frames)
    # names are unique over the parts, so that pooling is also joining
    return pool(
        [
            tally_detection(matches, frames.size),
            tally_tracking(matches, len(matched), frames.size),
            tally_tracks(results, truth, matched, overlap),
            tally_counts(results, truth, overlap),
            tally_cells(overlap),
            tally_fibers(results, truth, calibration, frames),
        ]
    )


def _scores(tally: Tally) -> list[Score]:
    return [
        *scores_detection(tally),
        *scores_tracking(tally),
        *scores_tracks(tally),
        *scores_counts(tally),
        *scores_cells(tally),
        *scores_fibers(tally),
    ]


def _table(movie_id: str, tally: Tally) -> pd.DataFrame:
    table = pd.DataFrame(_scores(tally), columns=list(Score._fields))
    table.insert(0, "movie_id", movie_id)
    return table.astype(
        {
            "movie_id": "string",
            "group": "string",
            "metric": "string",
            "value": "float64",
            "n": "int64",
            "unit": "string",
        }
    )


def evaluate(results: Results, truth: Results, pixel_size_um: float) -> pd.DataFrame:
    """Score the results of one movie against its truth.

    Truth may be a simulation or hand counts. Only the ``migrasomes`` table is needed; what can't be scored without the
    other tables or the label images is NaN. If truth has a ``frames`` table, only its frames are scored, so that a
    movie may be annotated in part.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth of the same movie. Neither is changed.
    pixel_size_um : float
        Edge of a pixel of the label images.

    Returns
    -------
    pandas.DataFrame
        Columns ``movie_id``, ``group``, ``metric``, ``value``, ``n``, ``unit``; one row per metric, always the same
        ones. ``n`` is the number of things that the value rests on. Where a metric is not defined the value is NaN and
        ``n`` is 0.

    Raises
    ------
    CalibrationError
        If the pixel size is impossible.
    TableError
        If label images of results and truth differ in size.

    Notes
    -----
    Migrasomes are matched in each frame one to one by the Hungarian method, within the larger of 0.4 um and the true
    radius. True rows with an SNR below 2, a diameter below 0.5 um or under a cell body are ignored: missing them is no
    error and finding them neither.
    """
    return _table(results.movie_id, _tally(results, truth, pixel_size_um))


def evaluate_many(pairs: Iterable[tuple[Results, Results, float]]) -> pd.DataFrame:
    """Score many movies, each and pooled.

    Parameters
    ----------
    pairs : iterable of (Results, Results, float)
        Results, truth and pixel size in um of each movie. Taken one at a time, so that a generator keeps memory flat.

    Returns
    -------
    pandas.DataFrame
        As :func:`evaluate`, the movies in their order and then the rows of :data:`POOLED`. Pooled values are made of
        the summed counts and of the joined single errors, not of averaged scores.

    Raises
    ------
    TableError
        If two movies have one name, or one has the name of the pooled rows.
    """
    tables: list[pd.DataFrame] = []
    tallies: dict[str, Tally] = {POOLED: Tally()}
    for results, truth, pixel_size_um in pairs:
        if results.movie_id in tallies:
            raise TableError(
                f"expected movie names that differ from each other and from '{POOLED}', got '{results.movie_id}'; "
                "rename the movie"
            )
        tally = _tally(results, truth, pixel_size_um)
        tallies[results.movie_id] = tally
        tables.append(_table(results.movie_id, tally))
    return pd.concat([*tables, _table(POOLED, pool(tallies.values()))], ignore_index=True)


def scores_as_dict(scores: pd.DataFrame, movie_id: str | None = None) -> dict[str, float]:
    """Scores of one movie by metric name.

    Parameters
    ----------
    scores : pandas.DataFrame
        From :func:`evaluate` or :func:`evaluate_many`.
    movie_id : str, optional
        Which movie; the pooled rows, or the only movie, if not given.

    Returns
    -------
    dict of str to float
        Metric -> value, NaN where not defined. Metric names are unique.

    Raises
    ------
    TableError
        If there is no such movie.
    """
    known = list(dict.fromkeys(scores["movie_id"].tolist()))
    if movie_id is None:
        movie_id = known[0] if len(known) == 1 else POOLED
    if movie_id not in known:
        raise TableError(f"scores: expected a movie out of {', '.join(known)}, got '{movie_id}'")
    of_movie = scores[scores["movie_id"] == movie_id]
    return dict(zip(of_movie["metric"].tolist(), of_movie["value"].astype(float).tolist(), strict=True))
