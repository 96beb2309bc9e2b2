r"""Scores of links over time: HOTA, the ISBI particle-tracking measures, identity switches.

Both families are made for points here. The distance `d` of a pair is measured in gates of the truth row,
:math:`g = \max(0.4\ \mu m, radius)`. Rows that are ignored (see :mod:`migradetect.evaluate.matching`) are taken out of
truth and prediction beforehand, as the reference implementation of HOTA does with distractors.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from migradetect.evaluate.matching import Matches, Pairs, assign, pairs_within
from migradetect.evaluate.tally import FloatArray, IntArray, Score, Tally, f1, ratio

__all__ = ["ALPHAS", "scores_tracking", "tally_tracking"]

#: Thresholds of the localisation similarity, as in the HOTA paper.
ALPHAS = np.arange(1, 20) * 0.05
#: At a similarity of 0.5 the distance is one gate.
_AT_GATE = 9
_EPS = 1e-9
_GROUP = "tracking"


def tally_tracking(matches: Matches, n_matched_tracks: int, n_frames: int) -> Tally:
    """Count for HOTA, alpha, beta, JSC, identity switches and whole tracks.

    Parameters
    ----------
    matches : Matches
        Rows matched frame by frame.
    n_matched_tracks : int
        Pairs of tracks, matched by the rows that they share.
    n_frames : int
        Frames that are scored; nothing is counted for a single frame, which has no links.

    Returns
    -------
    Tally
    """
    tally = Tally()
    if n_frames < 2:
        return tally
    is_valid, is_counted = matches.is_valid_truth, matches.is_counted_pred
    truth = matches.truth[is_valid].reset_index(drop=True)
    pred = matches.pred[is_counted].reset_index(drop=True)
    gate = matches.gate_um[is_valid]
    pairs = pairs_within(truth, pred, 2 * gate)
    distance = pairs.distance_um / gate[pairs.truth]
    truth_track, pred_track = (pd.factorize(table["migrasome_id"])[0].astype(np.int64) for table in (truth, pred))
    truth_length, pred_length = (np.bincount(track) for track in (truth_track, pred_track))
    tally.add(
        track_tp=n_matched_tracks,
        track_fn=truth_length.size - n_matched_tracks,
        track_fp=pred_length.size - n_matched_tracks,
        truth_rows=len(truth),
        pred_rows=len(pred),
    )
    frame = truth["frame"].to_numpy(dtype=np.int64)
    _tally_hota(tally, pairs, 1 - distance / 2, truth_track, pred_track, frame)
    presence = [_presence(table, track) for table, track in ((truth, truth_track), (pred, pred_track))]
    _tally_isbi(tally, pairs, distance, truth_track, pred_track, presence)
    return tally


def _tally_hota(
    tally: Tally, pairs: Pairs, similarity: FloatArray, truth_track: IntArray, pred_track: IntArray, frame: IntArray
) -> None:
    """Counts of HOTA, and of identity switches on its matches at the gate.

    The matching is that of the reference implementation: in each frame the Hungarian method on the similarity times a
    global alignment score, which prefers pairs of tracks that go together over the whole movie.
    """
    truth_length, pred_length = np.bincount(truth_track), np.bincount(pred_track)
    n_pred = max(pred_length.size, 1)
    key, of_pair = np.unique(truth_track[pairs.truth] * n_pred + pred_track[pairs.pred], return_inverse=True)
    both = (truth_length[key // n_pred] + pred_length[key % n_pred]).astype(np.float64)

    total = (
        np.bincount(pairs.truth, similarity, len(truth_track))[pairs.truth]
        + np.bincount(pairs.pred, similarity, len(pred_track))[pairs.pred]
        - similarity
    )
    share = np.divide(similarity, total, out=np.zeros_like(similarity), where=total > _EPS)
    potential = np.bincount(of_pair, share, key.size)
    alignment = potential / (both - potential)
    chosen = assign(pairs.truth, pairs.pred, alignment[of_pair] * similarity)

    tp, association = np.zeros(ALPHAS.size), np.zeros(ALPHAS.size)
    for index, alpha in enumerate(ALPHAS):
        matched = chosen[similarity[chosen] >= alpha - _EPS]
        together = np.bincount(of_pair[matched], minlength=key.size)
        tp[index] = matched.size
        # sum over the true positives c of A(c) = TPA / (TPA + FNA + FPA), eq. (4) of the HOTA paper
        association[index] = (together * together / (both - together)).sum()

    matched = chosen[similarity[chosen] >= ALPHAS[_AT_GATE] - _EPS]
    matched = matched[np.lexsort((frame[pairs.truth[matched]], truth_track[pairs.truth[matched]]))]
    is_same_truth = np.diff(truth_track[pairs.truth[matched]]) == 0
    is_other_pred = np.diff(pred_track[pairs.pred[matched]]) != 0
    tally.add(hota_tp=tp, hota_association=association, id_switches=int((is_same_truth & is_other_pred).sum()))


def _presence(table: pd.DataFrame, track: IntArray) -> FloatArray:
    """Tracks by frames, 1 where the track has a row."""
    frames = table["frame"].to_numpy(dtype=np.int64)
    there = np.zeros((int(track.max()) + 1 if track.size else 0, int(frames.max()) + 1 if frames.size else 0))
    there[track, frames] = 1.0
    return there


def _tally_isbi(
    tally: Tally,
    pairs: Pairs,
    distance: FloatArray,
    truth_track: IntArray,
    pred_track: IntArray,
    presence: list[FloatArray],
) -> None:
    """Counts of alpha, beta and JSC, with every point worth one gate.

    The distance of two tracks sums ``min(d, 1)`` over the frames that both have and 1 for every frame that only one
    has; the pairing of tracks makes the total smallest. Against leaving the truth track alone, a pair gains
    ``sum(1 - min(d, 1))`` less the frames that the predicted track has in excess.
    """
    truth_there, pred_there = presence
    n_pred = max(len(pred_there), 1)
    near = np.flatnonzero(distance <= 1 + _EPS)
    codes = truth_track[pairs.truth[near]] * n_pred + pred_track[pairs.pred[near]]
    key, of_pair = np.unique(codes, return_inverse=True)
    rows, cols = key // n_pred, key % n_pred
    span = min(truth_there.shape[1], pred_there.shape[1])
    n_both = np.einsum("kt,kt->k", truth_there[rows, :span], pred_there[cols, :span])
    pred_length = pred_there.sum(axis=1)
    n_near = np.bincount(of_pair, minlength=key.size)
    closeness = np.bincount(of_pair, np.clip(1 - distance[near], 0, 1), key.size)
    gain = closeness - (pred_length[cols] - n_both)
    chosen = assign(rows, cols, gain)
    tally.add(
        isbi_gain=gain[chosen].sum(),
        isbi_spurious=pred_length.sum() - pred_length[cols[chosen]].sum(),
        isbi_tp=n_near[chosen].sum(),
        isbi_tracks=chosen.size,
        truth_tracks=len(truth_there),
        pred_tracks=len(pred_there),
    )


def scores_tracking(tally: Tally) -> list[Score]:
    r"""HOTA, alpha, beta, JSC, identity switches, and tracks found.

    With the localisation similarity of a pair :math:`s = \max(0, 1 - d / 2g)`, and at a threshold `a`

    * :math:`DetA = TP / (TP + FN + FP)` of rows matched with :math:`s \ge a`,
    * :math:`AssA` = mean over these rows of :math:`TPA / (TPA + FNA + FPA)` of the two tracks,
    * :math:`HOTA_a = \sqrt{DetA\ AssA}`.

    ``hota``, ``deta``, ``assa`` are at `a` = 0.5, which is `d` = one gate; ``hota_mean`` is the mean over
    `a` = 0.05, 0.10 ... 0.95, the convention of the paper, and so also rewards precise positions.

    ``alpha`` is 1 less the distance of the paired tracks over that of an empty prediction; ``beta`` also charges
    spurious tracks; ``jsc`` and ``jsc_tracks`` are Jaccard indices of the points and the tracks of that pairing.
    ``track_recall`` and its kin count the pairing by majority of matched rows.

    Parameters
    ----------
    tally : Tally
        Counts of one movie, or of many.

    Returns
    -------
    list of Score
        Not defined, NaN, where there is no true row, or in single frames.

    References
    ----------
    .. [1] Luiten et al. 2021, HOTA: a higher order metric for evaluating multi-object tracking,
           :doi:`10.1007/s11263-020-01375-2`
    .. [2] Chenouard et al. 2014, Objective comparison of particle tracking methods, :doi:`10.1038/nmeth.2808`
    """
    n_truth, n_pred = tally.count("truth_rows"), tally.count("pred_rows")
    tp, association = (tally.array(f"hota_{name}", ALPHAS.shape) for name in ("tp", "association"))
    any_row = n_truth if n_truth > 0 else np.nan
    deta = tp / (any_row + n_pred - tp)
    # without a single match there is no association to judge, and HOTA is 0 through DetA
    assa = np.divide(association, tp, out=np.where(np.isnan(tp), np.nan, 0.0), where=tp > 0)
    hota = np.sqrt(deta * assa)
    at_gate = float(tp[_AT_GATE])
    gain, isbi_tp, isbi_tracks = (tally.count(f"isbi_{name}") for name in ("gain", "tp", "tracks"))
    n_truth_tracks, n_pred_tracks = tally.count("truth_tracks"), tally.count("pred_tracks")
    n_tracks = n_truth_tracks if n_truth_tracks > 0 else np.nan
    track_tp, track_fn, track_fp = (tally.count(f"track_{name}") for name in ("tp", "fn", "fp"))
    return [
        ratio(_GROUP, "hota", float(hota[_AT_GATE]), 1, n=any_row),
        ratio(_GROUP, "hota_mean", float(hota.mean()), 1, n=any_row),
        ratio(_GROUP, "deta", float(deta[_AT_GATE]), 1, n=any_row),
        ratio(_GROUP, "assa", float(association[_AT_GATE]), at_gate),
        ratio(_GROUP, "id_switches_per_100", 100 * tally.count("id_switches"), at_gate, "1/100"),
        ratio(_GROUP, "alpha", gain, any_row),
        ratio(_GROUP, "beta", gain, any_row + tally.count("isbi_spurious"), n=any_row),
        ratio(_GROUP, "jsc", isbi_tp, any_row + n_pred - isbi_tp),
        ratio(_GROUP, "jsc_tracks", isbi_tracks, n_tracks + n_pred_tracks - isbi_tracks),
        ratio(_GROUP, "track_precision", track_tp, track_tp + track_fp),
        ratio(_GROUP, "track_recall", track_tp, track_tp + track_fn),
        f1(_GROUP, "track_f1", track_tp, track_tp + track_fp, track_tp + track_fn),
    ]
