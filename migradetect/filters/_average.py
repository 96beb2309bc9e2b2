"""Trimmed mean of registered frames."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["trimmed_mean"]

Image = NDArray[np.float32]

#: Variance of such a trimmed mean over that of the plain mean, normal noise.
_LOSS = 1.2
#: Beyond any value.
_FAR = np.float32(np.inf)


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
    for y in range(height):
        # the sum and the two extremes at either end of each pixel of a row: no sorting, and no branches
        number, total, noise = np.zeros(width, np.int32), np.zeros(width), np.zeros(width)
        low, lower = np.full(width, _FAR), np.full(width, _FAR)
        high, higher = np.full(width, -_FAR), np.full(width, -_FAR)
        for k in range(n):
            for x in range(width):
                counts = weight[k, y, x] >= 0.5
                v = signal[k, y, x]
                number[x] += 1 if counts else 0
                total[x] += v if counts else 0
                noise[x] += variance[k, y, x] if counts else 0
                under, over = (v if counts else _FAR), (v if counts else -_FAR)
                low[x] = min(low[x], max(lower[x], under))
                lower[x] = min(lower[x], under)
                high[x] = max(high[x], min(higher[x], over))
                higher[x] = max(higher[x], over)
        for x in range(width):
            m = number[x]
            if m == 0 or centre_weight[y, x] < 0.5:
                continue
            cut = 2 if m >= 6 else (1 if m >= 4 else 0)
            if cut >= 1:
                total[x] = total[x] - lower[x] - higher[x]
            if cut == 2:
                total[x] = total[x] - low[x] - high[x]
            mean[y, x] = total[x] / (m - 2 * cut)
            spread[y, x] = noise[x] / (m * m) * (_LOSS if cut else 1.0)
            seen[y, x] = 1.0
    return mean, spread, seen
