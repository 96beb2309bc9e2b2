"""Quantiles of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["quantile", "typical"]

#: Values that tell a quantile of an image to a few thousandths of its spread.
_ENOUGH = 40_000


def quantile(values: NDArray[Any], share: float = 0.5) -> float:
    """Value below which a share of all values lies, as numpy.quantile; by default the median.

    numpy looks for several ranks at once, and that takes 4 to 7 times as long as one rank.

    Parameters
    ----------
    values : ndarray
        At least one number, none of them NaN.
    share : float
        0 to 1.

    Returns
    -------
    float
    """
    place = share * (values.size - 1)
    rank = int(place)
    parted = np.partition(values.ravel(), rank)
    low = float(parted[rank])
    return low if place == rank else low + (place - rank) * (float(parted[rank + 1 :].min()) - low)


def typical(values: NDArray[Any], share: float = 0.5, where: NDArray[np.bool_] | None = None) -> float:
    """Quantile of an image from a part of its pixels, taken in even steps; by default the median.

    Parameters
    ----------
    values : ndarray, shape (Y, X)
        None of them NaN.
    share : float
        0 to 1.
    where : ndarray of bool, shape (Y, X), optional
        Pixels that count.

    Returns
    -------
    float
        NaN where none counts.
    """
    step = max(1, int(np.sqrt(values.size / _ENOUGH)))
    some = values[::step, ::step]
    if where is not None:
        some = some[where[::step, ::step]]
    return quantile(some, share) if some.size else float("nan")
