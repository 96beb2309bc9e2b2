"""Gradient-boosted trees kept as plain number arrays: nothing in them can be executed, no training library is needed.

The trees (Friedman 2001, doi:10.1214/aos/1013203451) are trained on simulated movies by the scripts in
``workflows/benchmark`` and shipped under ``migradetect/data``.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike, NDArray

from migradetect.errors import ParamsError

__all__ = ["load_trees", "trees_probability"]

Trees = dict[str, NDArray[np.generic]]


@lru_cache(maxsize=4)
def load_trees(name: str, features: tuple[str, ...], trainer: str) -> Trees:
    """Arrays of a shipped model.

    Parameters
    ----------
    name : str
        File in ``migradetect/data``, such as ``judge.npz``.
    features : tuple of str
        Names of the features that the caller has, in order.
    trainer : str
        Script that makes the file, for the message.

    Returns
    -------
    dict of str to ndarray
        ``feature`` (-1: leaf), ``threshold``, ``left``, ``right``, ``value``, each of shape (trees, nodes); ``start``,
        the log-odds before the first tree; ``names`` of the features; and, if the model knows missing values,
        ``missing_left`` of shape (trees, nodes).

    Raises
    ------
    ParamsError
        If the model was trained on other features.
    """
    place = resources.files("migradetect") / "data" / name
    with resources.as_file(place) as path, np.load(path, allow_pickle=False) as stored:
        trees = {key: stored[key] for key in stored.files}
    known = tuple(str(one) for one in trees["names"].tolist())
    if known != tuple(features):
        raise ParamsError(
            f"{name}: expected the features {', '.join(features)}, got {', '.join(known)}; "
            f"train it again with workflows/benchmark/{trainer}"
        )
    return trees


def trees_probability(trees: Trees, values: ArrayLike) -> NDArray[np.float64]:
    """Probability that the trees give to each row.

    Parameters
    ----------
    trees : dict of str to ndarray
        From :func:`load_trees`.
    values : array_like, shape (N, features)
        Features in the order of ``names``. A missing one (NaN) goes where the training sent it, or right.

    Returns
    -------
    ndarray, shape (N,)
        0 to 1.
    """
    x = np.asarray(values, dtype=np.float32)
    total = np.full(len(x), float(trees["start"]))
    rows = np.arange(len(x))
    feature, threshold, left, right, value = (
        trees[name] for name in ("feature", "threshold", "left", "right", "value")
    )
    missing_left = trees.get("missing_left", np.zeros(feature.shape, bool))
    for k in range(len(feature)):
        node = np.zeros(len(x), np.int64)
        while (feature[k][node] >= 0).any():
            inner = feature[k][node] >= 0
            here = x[rows, np.maximum(feature[k][node], 0)]
            low = np.where(np.isnan(here), missing_left[k][node], here <= threshold[k][node])
            node = np.where(inner, np.where(low, left[k][node], right[k][node]), node)
        total += value[k][node]
    return np.asarray(1 / (1 + np.exp(-total)))
