"""One migrasome per place: of accepted candidates that fill the same space at the same time only the best stays.

A small bead, the clump that it is part of and the rim of a shell can all look like migrasomes for themselves. Which of
them is one is decided over their whole lives, not frame by frame.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["find_same", "resolve_doubles"]

Array = NDArray[np.float64]

#: Two vesicles can touch, and in projection overlap a little: their centres are further apart than this share of the
#: sum of their radii.
_CLOSEST_SHARE = 0.6
#: Of two lives that overlap in time, one goes on as the other if their centres are closer than this share of that sum.
_SAME_SHARE = 0.45
#: Sites are found to about this precision, um.
_CLOSEST_UM = 0.3
#: Largest diameter that is searched, um.
_LARGEST_UM = 5.0
#: Frames that two candidates share, over those of the shorter one, from which on they are there at the same time.
_TOGETHER = 0.3


def resolve_doubles(judged: pd.DataFrame) -> pd.DataFrame:
    """Refuse accepted candidates at the place of a better one.

    Parameters
    ----------
    judged : pandas.DataFrame
        From :func:`migradetect.tracks.judge`, indexed by candidate_id.

    Returns
    -------
    pandas.DataFrame
        A copy; what stands at the place of an accepted candidate with a higher score is of kind ``noise``.
    """
    out = judged.copy()
    accepted = out[out["kind"] == "migrasome"].sort_values(["score", "n_frames"], ascending=False, kind="stable")
    if len(accepted) < 2:
        return out
    places = accepted[["y_stage_um", "x_stage_um"]].to_numpy(float)
    radius = accepted["diameter_um"].fillna(0.5).clip(0.3, _LARGEST_UM).to_numpy(float) / 2
    first, last = accepted["frame_first"].to_numpy(int), accepted["frame_last"].to_numpy(int)
    tree = cKDTree(places)
    refused: dict[int, int] = {}
    for i, near in enumerate(tree.query_ball_point(places, _CLOSEST_SHARE * (radius + _LARGEST_UM / 2))):
        if i in refused:
            continue
        for j in near:
            if j <= i or j in refused:
                continue
            distance = float(np.hypot(*(places[j] - places[i])))
            shared = min(last[i], last[j]) - max(first[i], first[j]) + 1
            shorter = min(last[i] - first[i], last[j] - first[j]) + 1
            if distance < max(_CLOSEST_SHARE * (radius[i] + radius[j]), _CLOSEST_UM) and shared > _TOGETHER * shorter:
                refused[j] = i
    if refused:
        ids = accepted.index.to_numpy()
        rows = ids[list(refused)]
        # at once: one by one takes most of the time of a preview's tables
        out.loc[rows, "kind"] = "noise"
        out.loc[rows, "reason"] = [
            f"at the place of candidate {ids[i]}, which has a higher score" for i in refused.values()
        ]
    return out


def find_same(
    places_um: Array, diameter_um: Array, first: NDArray[np.int64], last: NDArray[np.int64]
) -> dict[int, int]:
    """Lives that go on as another one at the same place: parts of one migrasome that were found apart.

    Candidates are parts of a track, and may share no frame; the lives that photometry gives them do.

    Parameters
    ----------
    places_um : ndarray, shape (N, 2)
        y, x on the dish.
    diameter_um : ndarray, shape (N,)
        Full-grown.
    first, last : ndarray of int, shape (N,)
        Frames of each life.

    Returns
    -------
    dict of int to int
        From each life that goes on as another to that one, the longest of all that are the same.
    """
    radius = np.clip(np.nan_to_num(diameter_um, nan=0.5), 0.3, _LARGEST_UM) / 2
    into: dict[int, int] = {}
    if len(radius) < 2:
        return into

    def root(i: int) -> int:
        while i in into:
            i = into[i]
        return i

    reach = max(_CLOSEST_UM, 2 * _SAME_SHARE * float(radius.max()))
    for i, j in sorted(cKDTree(places_um).query_pairs(reach)):
        distance = float(np.hypot(*(places_um[i] - places_um[j])))
        is_near = distance < max(_SAME_SHARE * (radius[i] + radius[j]), _CLOSEST_UM)
        if is_near and min(last[i], last[j]) >= max(first[i], first[j]):
            one, other = root(i), root(j)
            if one != other:
                longer, shorter = sorted((one, other), key=lambda k: (first[k] - last[k], k))
                into[shorter] = longer
    return {i: root(i) for i in into}
