"""Bootstrap of nested samples: replicates first, then the cells of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["bootstrap_groups", "limits"]

#: Random numbers that are drawn at a time: bounds the memory.
_BLOCK = 2_000_000


def bootstrap_groups(
    replicates: Mapping[str, NDArray[np.float64]], n_boot: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of one group under the hierarchical bootstrap.

    Replicates are drawn with replacement, then the values of each that was drawn [1]_. The mean is that of the
    replicate means, so that a replicate with many cells does not weigh more.

    Parameters
    ----------
    replicates : mapping of str to ndarray, shape (N,)
        Values of each replicate.
    n_boot : int
        Number of samples B.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    mean, variance : ndarray, shape (B,)
        Of each sample; the variance is that of the values within replicates.

    References
    ----------
    .. [1] Saravanan, Berman, Sober, "Application of the hierarchical bootstrap to multi-level data in neuroscience",
       Neurons, Behavior, Data analysis and Theory 3(5), 2020, arXiv:2007.07797.
    """
    samples = list(replicates.values())
    chosen = rng.integers(len(samples), size=(n_boot, len(samples)))
    means = np.empty(chosen.shape)
    squares = np.empty(chosen.shape)
    weights = np.empty(chosen.shape)
    for index, values in enumerate(samples):
        places = np.argwhere(chosen == index)
        step = max(1, _BLOCK // values.size)
        for start in range(0, len(places), step):
            some = places[start : start + step]
            drawn = values[rng.integers(values.size, size=(len(some), values.size))]
            at = (some[:, 0], some[:, 1])
            means[at] = drawn.mean(1)
            squares[at] = drawn.var(1) * values.size
            weights[at] = max(values.size - 1, 0)
    degrees = weights.sum(1)
    variance = np.divide(squares.sum(1), degrees, out=np.full(n_boot, np.nan), where=degrees > 0)
    return means.mean(1), variance


def limits(samples: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Percentile limits; NaN where a sample could not be computed too often to tell."""
    finite = samples[np.isfinite(samples)]
    if finite.size < 0.9 * samples.size:
        return float("nan"), float("nan")
    tail = 50 * (1 - confidence)
    low, high = np.percentile(finite, (tail, 100 - tail))
    return float(low), float(high)
