"""Gradient-boosted trees of scikit-learn, and the plain number arrays that :mod:`migradetect.trees` reads."""

from __future__ import annotations

from typing import Any

import numpy as np


def arrays_of(model: Any, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of a fitted binary ``HistGradientBoostingClassifier``; each of shape (trees, nodes)."""
    trees = [stage[0].nodes for stage in model._predictors]
    shape = (len(trees), max(len(nodes) for nodes in trees))
    out = {
        "feature": np.full(shape, -1, np.int16),
        "threshold": np.zeros(shape, np.float32),
        "left": np.zeros(shape, np.int16),
        "right": np.zeros(shape, np.int16),
        "missing_left": np.zeros(shape, bool),
        "value": np.zeros(shape, np.float32),
    }
    for k, nodes in enumerate(trees):
        n, leaf = len(nodes), nodes["is_leaf"].astype(bool)
        out["feature"][k, :n] = np.where(leaf, -1, nodes["feature_idx"])
        out["threshold"][k, :n] = np.where(leaf, 0, nodes["num_threshold"])
        out["left"][k, :n] = np.where(leaf, 0, nodes["left"])
        out["right"][k, :n] = np.where(leaf, 0, nodes["right"])
        out["missing_left"][k, :n] = ~leaf & nodes["missing_go_to_left"].astype(bool)
        out["value"][k, :n] = np.where(leaf, nodes["value"], 0)
    out["start"] = np.array(model._baseline_prediction.item(), np.float32)
    out["names"] = np.array(names)
    return out


def untrained_trees(
    names: tuple[str, ...], directions: dict[str, int], n_trees: int, n_leaves: int, learning_rate: float
) -> Any:
    """Classifier that is not fitted yet; `directions` holds features that may only speak for (1) or against (-1)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=n_trees,
        learning_rate=learning_rate,
        max_leaf_nodes=n_leaves,
        min_samples_leaf=20,
        l2_regularization=2.0,
        monotonic_cst=[directions.get(name, 0) for name in names],
        early_stopping=False,
        random_state=0,
    )
