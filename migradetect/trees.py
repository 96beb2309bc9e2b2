"""Gradient-boosted trees kept as plain number arrays: nothing in them can be executed, no training library is needed.

The trees (Friedman 2001, doi:10.1214/aos/1013203451) are trained on simulated movies by the scripts in
``workflows/benchmark`` and shipped under ``migradetect/data``.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from migradetect.errors import ParamsError

__all__ = ["load_trees", "trees_log_odds", "trees_probability"]

Trees = dict[str, NDArray[np.generic]]


@lru_cache(maxsize=16)
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
    return np.asarray(1 / (1 + np.exp(-trees_log_odds(trees, values))))


def trees_log_odds(trees: Trees, values: ArrayLike) -> NDArray[np.float64]:
    """Log-odds that the trees give to each row.

    Parameters
    ----------
    trees, values
        As for :func:`trees_probability`.

    Returns
    -------
    ndarray, shape (N,)
    """
    x = np.ascontiguousarray(values, dtype=np.float32)
    feature = np.ascontiguousarray(trees["feature"], dtype=np.int16)
    missing_left = trees.get("missing_left", np.zeros(feature.shape, bool))
    threshold, value = (np.ascontiguousarray(trees[name], dtype=np.float32) for name in ("threshold", "value"))
    left, right = (np.ascontiguousarray(trees[name], dtype=np.int16) for name in ("left", "right"))
    return _add_up(x, feature, threshold, left, right, value, missing_left, float(trees["start"]))


@njit(cache=True, nogil=True)
def _add_up(
    x: NDArray[np.float32],
    feature: NDArray[np.int16],
    threshold: NDArray[np.float32],
    left: NDArray[np.int16],
    right: NDArray[np.int16],
    value: NDArray[np.float32],
    missing_left: NDArray[np.bool_],
    start: float,
) -> NDArray[np.float64]:  # pragma: no cover (numba)
    total = np.full(x.shape[0], start)
    for i in range(x.shape[0]):
        for k in range(feature.shape[0]):
            node = 0
            while feature[k, node] >= 0:
                v = x[i, feature[k, node]]
                low = missing_left[k, node] if np.isnan(v) else v <= threshold[k, node]
                node = left[k, node] if low else right[k, node]
            total[i] += value[k, node]
    return total
