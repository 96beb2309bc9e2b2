"""One migrasome per place: of accepted candidates that fill the same space at the same time only the best stays.

A small bead, the clump that it is part of and the rim of a shell can all look like migrasomes for themselves. Which of
them is one is decided over their whole lives, not frame by frame.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

__all__ = ["resolve_doubles"]

#: Two vesicles can touch, and in projection overlap a little: their centres are further apart than this share of the
#: sum of their radii.
_CLOSEST_SHARE = 0.6
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
