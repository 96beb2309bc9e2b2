"""Parts of a linked track in which a bead stands at its place, and parts in which only the bare fiber answers.

A candidate filter also answers to the fiber before a migrasome swells and after it has burst. Evidence averaged over
all of that would speak of the fiber. So each track is cut where its spots change from one to the other: the most likely
sequence of two states, at a price for each change (Viterbi 1967, doi:10.1109/TIT.1967.1054010).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.tables import in_order

__all__ = ["join_stretches", "split_stretches"]

Array = NDArray[np.float64]

#: Log-odds that a change between bead and fiber costs.
_CHANGE = 4.0
#: Spots of neighbouring frames share most of the frames that were averaged, so each is less than a look of its own.
_SHARE_OF_A_LOOK = 0.4
#: One spot says no more than this.
_MOST_LOG_ODDS = 5.0
#: A bead that is lost for fewer spots than this is still the same one.
_SAME_AFTER_SPOTS = 6


def split_stretches(linked: pd.DataFrame, log_odds: Array) -> pd.DataFrame:
    """Cut tracks into stretches.

    Parameters
    ----------
    linked : pandas.DataFrame
        Spots with candidate_id and frame; N rows.
    log_odds : ndarray, shape (N,)
        Of each spot to be a migrasome.

    Returns
    -------
    pandas.DataFrame
        A copy, sorted by track and frame: `site_id` is the former candidate_id, `candidate_id` numbers the stretches
        from 1, `log_odds` are those given.
    """
    out = linked.assign(log_odds=log_odds, site_id=linked["candidate_id"])
    out = in_order(out, "site_id", "frame").reset_index(drop=True)
    if out.empty:
        return out
    evidence = _SHARE_OF_A_LOOK * np.clip(out["log_odds"].to_numpy(float), -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
    site = out["site_id"].to_numpy(np.int64)
    state = _most_likely(evidence, site, _CHANGE)
    starts = np.ones(len(out), bool)
    starts[1:] = (site[1:] != site[:-1]) | (state[1:] != state[:-1])
    out["candidate_id"] = np.cumsum(starts)
    return out


@njit(cache=True, nogil=True)
def _most_likely(evidence: Array, site: NDArray[np.int64], change: float) -> NDArray[np.int8]:  # pragma: no cover
    """Most likely state, 0 or 1, of each spot; a new site starts afresh."""
    n = evidence.size
    state = np.zeros(n, np.int8)
    came_from = np.zeros((n, 2), np.int8)
    best = np.zeros(2)
    for i in range(n):
        sign = 0.5 * evidence[i]
        if i == 0 or site[i] != site[i - 1]:
            best[0], best[1] = -sign, sign
            continue
        stay0, stay1 = best[0], best[1]
        came_from[i, 0] = 0 if stay0 >= stay1 - change else 1
        came_from[i, 1] = 1 if stay1 >= stay0 - change else 0
        best[0] = max(stay0, stay1 - change) - sign
        best[1] = max(stay1, stay0 - change) + sign
        if i == n - 1 or site[i + 1] != site[i]:
            current = 1 if best[1] > best[0] else 0
            k = i
            while True:
                state[k] = current
                if k == 0 or site[k - 1] != site[k]:
                    break
                current = came_from[k, current]
                k -= 1
    for i in range(n):
        # a track of one spot was never traced back
        alone = (i == 0 or site[i] != site[i - 1]) and (i == n - 1 or site[i + 1] != site[i])
        if alone:
            state[i] = 1 if evidence[i] > 0 else 0
    return state


def join_stretches(stretches: pd.DataFrame, accepted: set[int]) -> pd.DataFrame:
    """Give accepted stretches of one site one identity again, unless the bead was gone between them.

    Parameters
    ----------
    stretches : pandas.DataFrame
        From :func:`split_stretches`.
    accepted : set of int
        candidate_id of those that were judged to be migrasomes.

    Returns
    -------
    pandas.DataFrame
        Stretches that are joined have the candidate_id of the first; the table itself where none are.
    """
    out = stretches
    numbers, rows, sizes = np.unique(out["candidate_id"].to_numpy(), return_index=True, return_counts=True)
    sites = out["site_id"].to_numpy()[rows]
    root: dict[int, int] = {}
    current, site, gap = 0, -1, 0
    for number, of_site, n in zip(numbers.tolist(), sites.tolist(), sizes.tolist(), strict=True):
        if of_site != site:
            current, site, gap = 0, of_site, 0
        if number not in accepted:
            gap += n
            continue
        if current and gap < _SAME_AFTER_SPOTS:
            root[number] = current
        else:
            current = number
        gap = 0
    if root:
        identity = np.arange(int(out["candidate_id"].max()) + 1)
        identity[list(root)] = list(root.values())
        out = out.assign(candidate_id=identity[out["candidate_id"].to_numpy(np.int64)])
    return out
