"""Which candidates are worth the look of the network: by few numbers that are at hand, most are plainly no beads.

The network of :mod:`migradetect.bead_network` costs more than all the rest that is done to a candidate. Small trees on
what was measured anyway tell which candidates it would refuse in any case; these get its lowest answer unseen.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.trees import load_trees, trees_log_odds

__all__ = ["GLANCE_FEATURES", "glance_features", "is_worth_a_look"]

#: Columns of a spot table that are looked at, in order.
GLANCE_FEATURES = (
    "snr",
    "contrast",
    "blob_snr",
    "roundness",
    "chi2",
    "misfit",
    "line_ratio",
    "opposite_ratio",
    "valley_ratio",
    "resolved",
    "diameter_um",
    "inside",
    "contains",
)
#: Log-odds from which on the network is asked: for one candidate in five. Of those that it takes for likely beads one
#: in a thousand lies below, cross-validated over movies.
_LEAST_LOG_ODDS = -4.5


def glance_features(spots: pd.DataFrame) -> pd.DataFrame:
    """What the trees see.

    Parameters
    ----------
    spots : pandas.DataFrame
        N rows with the columns :data:`GLANCE_FEATURES`, see :func:`migradetect.spots.find_spots`.

    Returns
    -------
    pandas.DataFrame
        N rows; ratios far beyond any bead are cut off.
    """
    out = spots[list(GLANCE_FEATURES)].copy()
    for name in ("line_ratio", "opposite_ratio", "valley_ratio"):
        out[name] = out[name].clip(-2, 3)
    return out


def is_worth_a_look(spots: pd.DataFrame) -> NDArray[np.bool_]:
    """Candidates that the network may not refuse.

    Parameters
    ----------
    spots : pandas.DataFrame
        As for :func:`glance_features`; N rows.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    if spots.empty:
        return np.zeros(0, bool)
    trees = load_trees("glance.npz", GLANCE_FEATURES, "train_judge.py")
    return np.asarray(trees_log_odds(trees, glance_features(spots).to_numpy(np.float32)) > _LEAST_LOG_ODDS)
