"""From the evidence of the pairs to one parent for each migrasome, or none."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.assign._pairs import FEATURES
from migradetect.params import AssignParams
from migradetect.trees import load_trees, trees_probability

__all__ = ["choose_parents", "learned_probability", "rule_probability"]

Array = NDArray[np.float64]


def learned_probability(pairs: pd.DataFrame) -> Array:
    """Probability of each pair by gradient-boosted trees, see :mod:`migradetect.trees`.

    They are trained on simulated movies by ``workflows/benchmark/train_parent.py``. Where physics gives the direction
    in which evidence acts (a visit, or a place straight behind the rear, never speaks against a cell), it is fixed.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Columns :data:`FEATURES`, N rows.

    Returns
    -------
    ndarray, shape (N,)
    """
    return trees_probability(load_trees("parent.npz", FEATURES, "train_parent.py"), pairs[list(FEATURES)])


def rule_probability(pairs: pd.DataFrame, max_cell_distance_um: float) -> Array:
    """Probability of each pair by rules that can be read, as a sum of log-odds.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Columns :data:`FEATURES`, N rows.
    max_cell_distance_um : float
        A cell that neither visited nor is reached along a fiber may be the parent up to this gap.

    Returns
    -------
    ndarray, shape (N,)
    """
    known = {name: pairs[name].to_numpy(float) for name in FEATURES}

    def weigh(name: str, scale: float, usual: float = 0.0) -> Array:
        return np.asarray(scale * (np.nan_to_num(known[name], nan=usual) - usual))

    visited, reached = known["visited"] > 0, np.isfinite(known["trail_um"])
    # a migrasome stands where its cell has been, and where it was the last; a fiber from before is another cell's
    history = 1.0 + weigh("visitors_after", -1.0) + weigh("fiber_before", -2.0) + weigh("fiber_after", 1.0)
    history += weigh("rear_cos_visit", 0.5)
    # the cheaper the way from its rear, and the cheaper than from others
    way = 2.0 * np.exp(-np.nan_to_num(known["trail_um"], nan=np.inf) / 30.0) + weigh("trail_share", 1.0)
    way += np.clip(weigh("trail_margin_um", 0.02), -1.0, 1.0)
    near = known["gap_um"] <= max_cell_distance_um
    alone = np.where(near, -1.0 - np.maximum(known["gap_um"], 0) / 20.0 + weigh("rear_cos_birth", 0.3), -np.inf)
    odds = np.where(visited, history, -1.0) + np.where(reached, way, -1.0)
    odds = np.where(visited | reached, odds, alone - 1.0)
    return np.asarray(1 / (1 + np.exp(-odds)))


def choose_parents(pairs: pd.DataFrame, params: AssignParams) -> pd.DataFrame:
    """Cell that left each migrasome.

    With the odds o of each pair on its own, a migrasome that has one parent or none of the cells has the parent k with
    the probability ``o_k / (1 + sum(o))``; the 1 stands for a parent that was never in view.

    Parameters
    ----------
    pairs : pandas.DataFrame
        From :func:`migradetect.assign.pair_features`.
    params : AssignParams
        Method and limits.

    Returns
    -------
    pandas.DataFrame
        Indexed by migrasome_id: cell_id, confidence (0 to 1). A migrasome for which nothing speaks for any cell is left
        out.
    """
    if params.method == "learned":
        probability = learned_probability(pairs)
    else:
        probability = rule_probability(pairs, params.max_cell_distance_um)
    table = pairs[["migrasome_id", "cell_id"]].copy()
    certain = np.clip(probability, 0.0, 1 - 1e-6)
    table["odds"] = certain / (1 - certain)
    table["confidence"] = table["odds"] / (1 + table.groupby("migrasome_id")["odds"].transform("sum"))
    table = table.sort_values(["migrasome_id", "confidence", "cell_id"], ascending=[True, False, True])
    best = table.drop_duplicates("migrasome_id").set_index("migrasome_id")
    return best.loc[best["confidence"] >= params.min_confidence, ["cell_id", "confidence"]]
