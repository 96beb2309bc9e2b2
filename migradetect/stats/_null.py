"""How often a comparison finds a difference where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from migradetect.errors import ParamsError, TableError
from migradetect.stats._groups import group_values

__all__ = ["permuted_p_values"]


def permuted_p_values(
    table: pd.DataFrame,
    value: str,
    by: str = "condition",
    *,
    replicate: str | None = None,
    level: str = "replicates",
    n: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """P values of Welch's t-test after the labels of the replicates were shuffled.

    Shuffled labels mean nothing, so about 5 % of the p values should lie below 0.05. Tested on replicate means they
    do; tested on cells far more do where replicates differ.

    Parameters
    ----------
    table, value, by, replicate
        As for :func:`migradetect.stats.compare`; the first two groups by name are taken.
    level : {"replicates", "cells"}
        What is tested.
    n : int
        Number of shuffles.
    seed : int
        Of the shuffles.

    Returns
    -------
    ndarray, shape (n,)
        p values, 0 to 1.

    Raises
    ------
    TableError
        If there are fewer than two groups with two replicates each.
    """
    if level not in ("replicates", "cells"):
        raise ParamsError(f"level: expected replicates or cells, got '{level}'")
    groups = group_values(table, value, by, replicate)
    chosen = groups.names[:2]
    if len(chosen) < 2 or min(map(groups.n_replicates, chosen)) < 2:
        raise TableError(f"expected two groups in '{by}' with two replicates or more each; see plate.csv")
    samples = [values for name in chosen for values in groups.values[name].values()]
    n_first = groups.n_replicates(chosen[0])
    rng = np.random.default_rng(seed)
    orders = np.array([rng.permutation(len(samples)) for _ in range(n)])
    if level == "replicates":
        means = np.array([values.mean() for values in samples])[orders]
        result = scipy.stats.ttest_ind(means[:, :n_first], means[:, n_first:], axis=1, equal_var=False)
        return np.asarray(result.pvalue)
    p = [
        scipy.stats.ttest_ind(
            np.concatenate([samples[i] for i in order[:n_first]]),
            np.concatenate([samples[i] for i in order[n_first:]]),
            equal_var=False,
        ).pvalue
        for order in orders
    ]
    return np.array(p, dtype=float)
