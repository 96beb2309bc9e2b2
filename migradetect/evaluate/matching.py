"""One-to-one matching of predicted and true migrasomes, frame by frame, and of their tracks.

Notation: N truth rows, M predicted rows, K pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from migradetect.evaluate.tally import FloatArray, IntArray

__all__ = [
    "MIN_DIAMETER_UM",
    "MIN_GATE_UM",
    "MIN_SNR",
    "Matches",
    "Pairs",
    "assign",
    "assign_nearest",
    "gates_um",
    "match_migrasomes",
    "match_tracks",
    "pairs_within",
]

#: A human can't click better than this at the resolution of a light microscope.
MIN_GATE_UM = 0.4
#: Truth below this signal over noise can't be seen in the frame, by man or machine.
MIN_SNR = 2.0
#: Lower end of the published size range; smaller ones are not migrasomes yet.
MIN_DIAMETER_UM = 0.5
#: Outweighs any sum of distances, so that the number of matches comes first and their distance second.
_MATCH_GAIN = 1e6
#: Rounding of coordinates must not decide at the gate.
_EPS = 1e-9


@dataclass(frozen=True)
class Pairs:
    """Pairs of one truth row and one predicted row of the same frame.

    Parameters
    ----------
    truth, pred : ndarray of int, shape (K,)
        Row positions.
    distance_um : ndarray, shape (K,)
        Between the centres.
    """

    truth: IntArray
    pred: IntArray
    distance_um: FloatArray

    def __getitem__(self, which: NDArray[np.bool_] | IntArray) -> Pairs:
        return Pairs(self.truth[which], self.pred[which], self.distance_um[which])


@dataclass(frozen=True)
class Matches:
    """Truth, prediction and what became of each row.

    Parameters
    ----------
    truth, pred : pandas.DataFrame
        Rows of the ``migrasomes`` table, numbered from 0.
    gate_um : ndarray, shape (N,)
        Largest distance at which a prediction matches, by truth row.
    pairs : Pairs
        The matches, all with truth rows that count.
    is_valid_truth : ndarray of bool, shape (N,)
        False: ignored, neither found nor missed.
    is_counted_pred : ndarray of bool, shape (M,)
        False: absorbed by an ignored truth row, or unmatched below a cell body; neither right nor wrong.
    """

    truth: pd.DataFrame
    pred: pd.DataFrame
    gate_um: FloatArray
    pairs: Pairs
    is_valid_truth: NDArray[np.bool_]
    is_counted_pred: NDArray[np.bool_]

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Truth rows that were matched, shape (N,)."""
        found = np.zeros(len(self.truth), dtype=bool)
        found[self.pairs.truth] = True
        return found

    @property
    def is_false(self) -> NDArray[np.bool_]:
        """Predicted rows that count and match nothing, shape (M,)."""
        false = self.is_counted_pred.copy()
        false[self.pairs.pred] = False
        return false


def gates_um(truth: pd.DataFrame) -> FloatArray:
    """Gate of each truth row: its radius, at least :data:`MIN_GATE_UM`.

    Parameters
    ----------
    truth : pandas.DataFrame
        Rows with ``diameter_um``; null is taken as small.

    Returns
    -------
    ndarray, shape (N,)
        In um.
    """
    return np.fmax(MIN_GATE_UM, truth["diameter_um"].to_numpy(dtype=np.float64) / 2)


def pairs_within(truth: pd.DataFrame, pred: pd.DataFrame, reach_um: FloatArray) -> Pairs:
    """All pairs of the same frame that are closer than the reach of the truth row.

    Parameters
    ----------
    truth, pred : pandas.DataFrame
        Rows with ``frame``, ``y_um`` and ``x_um``.
    reach_um : ndarray, shape (N,)
        Largest distance by truth row.

    Returns
    -------
    Pairs
    """
    if not len(truth) or not len(pred):
        none = np.empty(0, dtype=np.int64)
        return Pairs(none, none, np.empty(0))
    reach = float(reach_um.max())
    # Frames are laid apart along a third axis, farther than any reach: one tree serves the whole movie.
    apart = np.array([4.0 * reach + 1.0, 1.0, 1.0])
    places = [table[["frame", "y_um", "x_um"]].to_numpy(dtype=np.float64) * apart for table in (truth, pred)]
    near = cKDTree(places[0]).sparse_distance_matrix(cKDTree(places[1]), reach + _EPS, output_type="ndarray")
    # sorted, so that the answer does not depend on how the tree was cut
    near = near[np.lexsort((near["j"], near["i"]))]
    pairs = Pairs(near["i"].astype(np.int64), near["j"].astype(np.int64), near["v"].astype(np.float64))
    return pairs[pairs.distance_um <= reach_um[pairs.truth] + _EPS]


def assign(rows: IntArray, cols: IntArray, gain: FloatArray) -> IntArray:
    """Pairs of the one-to-one assignment with the largest total gain.

    The pairs fall apart into small connected groups; only groups of more than one pair need the Hungarian method, which
    is then run on the group alone. The answer is that of one large dense problem.

    Parameters
    ----------
    rows, cols : ndarray of int, shape (K,)
        What each pair joins; a pair occurs once.
    gain : ndarray, shape (K,)
        Worth of each pair. Pairs that are worth nothing or less are never taken.

    Returns
    -------
    ndarray of int
        Positions of the chosen pairs, ascending.
    """
    worth = np.flatnonzero(gain > 0)
    if not worth.size:
        return worth
    row_names, row = np.unique(rows[worth], return_inverse=True)
    col_names, col = np.unique(cols[worth], return_inverse=True)
    n = len(row_names) + len(col_names)
    graph = coo_matrix((np.ones(worth.size), (row, col + len(row_names))), shape=(n, n))
    group = connected_components(graph, directed=False)[1][row]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    chosen: list[IntArray] = []
    for members in np.split(order, starts[1:]):
        if members.size == 1:
            chosen.append(members)
            continue
        local_row = np.unique(row[members], return_inverse=True)[1]
        local_col = np.unique(col[members], return_inverse=True)[1]
        shape = (int(local_row.max()) + 1, int(local_col.max()) + 1)
        gains = np.zeros(shape)
        which = np.full(shape, -1, dtype=np.int64)
        gains[local_row, local_col] = gain[worth[members]]
        which[local_row, local_col] = members
        taken = which[linear_sum_assignment(gains, maximize=True)]
        chosen.append(taken[taken >= 0])
    return np.sort(worth[np.concatenate(chosen)])


def assign_nearest(pairs: Pairs) -> Pairs:
    """As many matches as possible, one to one, and among those the least total distance.

    Parameters
    ----------
    pairs : Pairs
        All K pairs that may be matched.

    Returns
    -------
    Pairs
        Those that are.
    """
    return pairs[assign(pairs.truth, pairs.pred, _MATCH_GAIN - pairs.distance_um)]


def _placed(table: pd.DataFrame, frames: IntArray) -> pd.DataFrame:
    """Rows in the frames that are scored and with a position."""
    keep = table["frame"].isin(frames) & table["y_um"].notna() & table["x_um"].notna()
    return table[keep].reset_index(drop=True)


def match_migrasomes(truth: pd.DataFrame, pred: pd.DataFrame, frames: IntArray) -> Matches:
    """Match migrasomes frame by frame.

    Truth rows with an SNR below :data:`MIN_SNR`, a diameter below :data:`MIN_DIAMETER_UM` or under a cell body are
    ignored; a null SNR or diameter is not a reason to ignore. The rows that count are matched first, so that an ignored
    one never takes a detection away from them; then the detections left over are absorbed by ignored rows within the
    gate.

    Parameters
    ----------
    truth, pred : pandas.DataFrame
        ``migrasomes`` tables.
    frames : ndarray of int
        Frames that are scored; rows in others are left out.

    Returns
    -------
    Matches
    """
    truth, pred = _placed(truth, frames), _placed(pred, frames)
    is_ignored = (
        truth["snr"].lt(MIN_SNR) | truth["diameter_um"].lt(MIN_DIAMETER_UM) | truth["is_covered"].astype(bool)
    ).to_numpy(dtype=bool)
    gate = gates_um(truth)
    near = pairs_within(truth, pred, gate)
    pairs = assign_nearest(near[~is_ignored[near.truth]])
    is_free = np.ones(len(pred), dtype=bool)
    is_free[pairs.pred] = False
    absorbed = assign_nearest(near[is_ignored[near.truth] & is_free[near.pred]])
    is_counted = ~(is_free & pred["is_covered"].to_numpy(dtype=bool))
    is_counted[absorbed.pred] = False
    return Matches(truth, pred, gate, pairs, ~is_ignored, is_counted)


def match_tracks(matches: Matches) -> pd.DataFrame:
    """Pair true and predicted tracks, one to one, by the matched rows that they share.

    Parameters
    ----------
    matches : Matches
        Rows matched frame by frame.

    Returns
    -------
    pandas.DataFrame
        ``truth_id``, ``pred_id`` and ``n_shared``, one row per pair, sorted by ``truth_id``.
    """
    pairs = matches.pairs
    sides = ((matches.truth, pairs.truth), (matches.pred, pairs.pred))
    (truth_ids, truth), (pred_ids, pred) = (
        np.unique(table["migrasome_id"].to_numpy(dtype=np.int64)[rows], return_inverse=True) for table, rows in sides
    )
    n_pred = max(pred_ids.size, 1)
    key, of_pair, n_shared = np.unique(truth * n_pred + pred, return_inverse=True, return_counts=True)
    distance = np.bincount(of_pair, pairs.distance_um, key.size) / n_shared
    # Of two tracks that share as many rows the nearer one is taken, so that the numbering never decides.
    chosen = assign(key // n_pred, key % n_pred, n_shared - 1e-6 * distance)
    return pd.DataFrame(
        {
            "truth_id": truth_ids[key[chosen] // n_pred],
            "pred_id": pred_ids[key[chosen] % n_pred],
            "n_shared": n_shared[chosen],
        }
    )
