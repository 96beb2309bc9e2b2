"""Trimmed mean of registered frames."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["trimmed_mean"]

Image = NDArray[np.float32]

#: Variance of such a trimmed mean over that of the plain mean, normal noise.
_LOSS = 1.2


@njit(cache=True, nogil=True)
def trimmed_mean(
    signal: Image, variance: Image, weight: Image, centre_weight: Image
) -> tuple[Image, Image, Image]:  # pragma: no cover (numba)
    """Mean over the frames that count at each pixel, without the extremes.

    Of six frames or more the two highest and the two lowest are left out, of four or five one each, of fewer none.

    Parameters
    ----------
    signal, variance, weight : ndarray, shape (N, Y, X)
        Registered frames, the variance of their noise, and 1 where a pixel counts.
    centre_weight : ndarray, shape (Y, X)
        Pixels that do not count in the centre frame do not count at all.

    Returns
    -------
    mean, variance, weight : ndarray, shape (Y, X)
        0, 1 and 0 where nothing counts.
    """
    n, height, width = signal.shape
    mean = np.zeros((height, width), np.float32)
    spread = np.ones((height, width), np.float32)
    seen = np.zeros((height, width), np.float32)
    values = np.empty(n, np.float32)
    for y in range(height):
        for x in range(width):
            if centre_weight[y, x] < 0.5:
                continue
            m = 0
            total = 0.0
            for k in range(n):
                if weight[k, y, x] < 0.5:
                    continue
                v = signal[k, y, x]
                j = m - 1
                while j >= 0 and values[j] > v:
                    values[j + 1] = values[j]
                    j -= 1
                values[j + 1] = v
                total += variance[k, y, x]
                m += 1
            if m == 0:
                continue
            cut = 2 if m >= 6 else (1 if m >= 4 else 0)
            s = 0.0
            for k in range(cut, m - cut):
                s += values[k]
            mean[y, x] = s / (m - 2 * cut)
            spread[y, x] = total / (m * m) * (_LOSS if cut else 1.0)
            seen[y, x] = 1.0
    return mean, spread, seen
