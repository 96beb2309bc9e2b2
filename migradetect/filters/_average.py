"""Trimmed mean of registered frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["trimmed_mean"]

Image = NDArray[np.float32]

#: Variance of such a trimmed mean over that of the plain mean, normal noise.
_LOSS = 1.2
#: Beyond any value.
_FAR = np.float32(np.inf)


def trimmed_mean(
    signal: Image,
    is_open: NDArray[np.uint8],
    which: NDArray[Any],
    shifts: NDArray[Any],
    variance: Image,
    centre_open: NDArray[np.uint8],
) -> tuple[Image, Image, Image]:
    """Mean over the frames that count at each pixel, without the extremes.

    Of six frames or more the two highest and the two lowest are left out, of four or five one each, of fewer none.

    Parameters
    ----------
    signal : ndarray, shape (M, Y, X)
        Frames.
    is_open : ndarray of uint8, shape (M, Y, X)
        1 where a pixel counts, else 0.
    which : ndarray of int, shape (N,)
        Those to take.
    shifts : ndarray of int, shape (N, 2)
        What stands at (y, x) in such a frame stands at (y + shift[0], x + shift[1]) in the result.
    variance : ndarray, shape (Y, X)
        Variance of the noise of one frame, registered.
    centre_open : ndarray of uint8, shape (Y, X)
        Pixels that do not count in the centre frame do not count at all.

    Returns
    -------
    mean, variance, weight : ndarray, shape (Y, X)
        0, 1 and 0 where nothing counts.
    """
    shape = centre_open.shape
    mean, spread, seen = (np.empty(shape, np.float32) for _ in range(3))
    places = np.asarray(which, np.int64), np.asarray(shifts, np.int64)
    _trimmed(signal, is_open, *places, variance, centre_open, mean, spread, seen)
    return mean, spread, seen


@njit(cache=True, nogil=True)
def _trimmed(
    signal: Image,
    is_open: NDArray[np.uint8],
    which: NDArray[np.int64],
    shifts: NDArray[np.int64],
    variance: Image,
    centre_open: NDArray[np.uint8],
    mean: Image,
    spread: Image,
    seen: Image,
) -> None:  # pragma: no cover (numba)
    _, height, width = signal.shape
    # the sum and the two extremes at either end of each pixel of a row: no sorting, and no branches
    number, total = np.empty(width, np.float32), np.empty(width, np.float32)
    low, lower = np.empty(width, np.float32), np.empty(width, np.float32)
    high, higher = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        number[:], total[:] = 0, 0
        low[:], lower[:], high[:], higher[:] = _FAR, _FAR, -_FAR, -_FAR
        for k in range(which.size):
            row, dx = y - shifts[k, 0], shifts[k, 1]
            if row < 0 or row >= height or abs(dx) >= width:
                continue
            first, last = max(0, dx), width + min(0, dx)
            frame = which[k]
            values, counted = signal[frame, row, first - dx : last - dx], is_open[frame, row, first - dx : last - dx]
            # slices of one length let the compiler take eight pixels at once
            sums, numbers = total[first:last], number[first:last]
            a, b, c, d = low[first:last], lower[first:last], high[first:last], higher[first:last]
            for x in range(last - first):
                on = counted[x] > 0
                v = values[x]
                numbers[x] += np.float32(1) if on else np.float32(0)
                sums[x] += v if on else np.float32(0)
                under, over = (v if on else _FAR), (v if on else -_FAR)
                # plain comparisons, not min and max, which ask for NaN as well
                second = under if under > b[x] else b[x]
                a[x] = second if second < a[x] else a[x]
                b[x] = under if under < b[x] else b[x]
                second = over if over < d[x] else d[x]
                c[x] = second if second > c[x] else c[x]
                d[x] = over if over > d[x] else d[x]
        for x in range(width):
            m = number[x]
            if m == 0 or centre_open[y, x] == 0:
                mean[y, x], spread[y, x], seen[y, x] = 0, 1, 0
                continue
            cut = 2 if m >= 6 else (1 if m >= 4 else 0)
            rest = total[x]
            if cut >= 1:
                rest = rest - lower[x] - higher[x]
            if cut == 2:
                rest = rest - low[x] - high[x]
            mean[y, x] = rest / (m - 2 * cut)
            spread[y, x] = variance[y, x] / m * np.float32(_LOSS if cut else 1.0)
            seen[y, x] = 1.0
