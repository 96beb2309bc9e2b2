"""Size, shape and brightness of cell bodies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration

__all__ = ["measure_cells"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Sums = NDArray[np.int64]

#: Length that a pixel of an outline stands for, by its number of outline neighbours at the sides (rows) and at the
#: corners (columns): Benkrid & Crookes 2000, with the classes and the 4-neighbourhood of scikit-image's `perimeter`.
_SLANT = (1 + np.sqrt(2)) / 2
_LENGTH = np.array(
    [
        [0, 0, np.sqrt(2), 0, 0],
        [0, _SLANT, _SLANT, np.sqrt(2), 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
)
#: Columns of the whole numbers that one pass gathers of each label.
_N, _Y, _X, _YY, _XX, _YX, _TOP, _LEFT, _BOTTOM, _RIGHT = range(10)


def measure_cells(labels: Labels, channels: dict[str, Image], calibration: Calibration) -> pd.DataFrame:
    """Size, shape and brightness of each body.

    The measures are those of scikit-image's `regionprops`, taken in one pass over the frame.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        From :func:`~migradetect.cells.segment_cells`.
    channels : dict of str to ndarray, each of shape (Y, X)
        Counts above background, by role.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    pandas.DataFrame
        One row per label: label, y_um, x_um, area_um2, perimeter_um, eccentricity, orientation_rad, mean_<role>,
        touches_border.
    """
    runs = _runs(labels)
    n_labels = int(runs[:, 0].max(initial=0)) + 1
    sums, length = _shape_sums(runs, n_labels), _outline_lengths(labels, runs, n_labels, _LENGTH)
    present = np.flatnonzero(sums[1:, _N]) + 1
    own = sums[present]
    n = own[:, _N].astype(float)
    eccentricity, orientation = _ellipse(own)
    table = pd.DataFrame(
        {
            "label": present.astype(np.int64),
            "y_um": calibration.um(own[:, _Y] / n),
            "x_um": calibration.um(own[:, _X] / n),
            "area_um2": calibration.um2(n),
            "perimeter_um": calibration.um(length[present]),
            "eccentricity": eccentricity,
            "orientation_rad": orientation,
        }
    )
    for role, image in channels.items():
        table[f"mean_{role}"] = _totals(runs, image, n_labels)[present] / n
    height, width = labels.shape
    table["touches_border"] = (
        (own[:, _TOP] == 0) | (own[:, _LEFT] == 0) | (own[:, _BOTTOM] == height - 1) | (own[:, _RIGHT] == width - 1)
    )
    return table


def _ellipse(own: Sums) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eccentricity, and angle of the long axis against the rows' axis, of the ellipse with the same second moments."""
    n, top, left = own[:, _N], own[:, _TOP], own[:, _LEFT]
    # from the corner of the body, so that its place in the frame costs no digits
    y, x = own[:, _Y] - top * n, own[:, _X] - left * n
    yy, xx = own[:, _YY] - top * (own[:, _Y] + y), own[:, _XX] - left * (own[:, _X] + x)
    yx = own[:, _YX] - top * own[:, _X] - left * y
    mean_y, mean_x = y / n, x / n
    var_y, var_x, mixed = yy / n - mean_y**2, xx / n - mean_x**2, yx / n - mean_y * mean_x
    half_sum, half_gap = (var_y + var_x) / 2, np.hypot((var_y - var_x) / 2, mixed)
    long, short = half_sum + half_gap, np.maximum(half_sum - half_gap, 0)
    eccentricity = np.sqrt(1 - np.divide(short, long, out=np.ones_like(long), where=long > 0))
    orientation = 0.5 * np.arctan2(2 * mixed, var_y - var_x)
    # of what is as high as wide, scikit-image says so
    orientation[var_x == var_y] = np.where(mixed > 0, np.pi / 4, -np.pi / 4)[var_x == var_y]
    return eccentricity, orientation


@njit(cache=True, nogil=True)
def _shape_sums(runs: Any, n: int) -> Any:  # pragma: no cover (numba)
    """Pixel number, moments and bounding box of each of `n` labels, from its runs."""
    sums = np.zeros((n, 10), np.int64)
    sums[:, 6:8] = np.iinfo(np.int64).max
    for k in range(runs.shape[0]):
        label, y, start, stop = runs[k]
        run = stop - start
        # sums of x and x^2 from start to stop - 1
        first = (start + stop - 1) * run // 2
        second = ((stop - 1) * stop * (2 * stop - 1) - (start - 1) * start * (2 * start - 1)) // 6
        own = sums[label]
        own[_N] += run
        own[_Y] += y * run
        own[_X] += first
        own[_YY] += y * y * run
        own[_XX] += second
        own[_YX] += y * first
        own[_TOP], own[_BOTTOM] = min(own[_TOP], y), max(own[_BOTTOM], y)
        own[_LEFT], own[_RIGHT] = min(own[_LEFT], start), max(own[_RIGHT], stop - 1)
    return sums


def _runs(labels: Labels) -> Sums:
    """Runs of one label along the rows: label, y, first x, x behind the last."""
    runs = np.empty((8 * labels.shape[0], 4), np.int64)
    n = _fill_runs(labels, runs)
    if n > len(runs):
        runs = np.empty((n, 4), np.int64)
        _fill_runs(labels, runs)
    return runs[:n]


@njit(cache=True, nogil=True)
def _fill_runs(labels: Any, runs: Any) -> int:  # pragma: no cover (numba)
    """Write down as many runs as there is room for; the number there are."""
    height, width = labels.shape
    n = 0
    for y in range(height):
        row = labels[y]
        last, start = 0, 0
        for x in range(width):
            label = row[x]
            if label != last:
                if last != 0:
                    if n < runs.shape[0]:
                        runs[n, 0], runs[n, 1], runs[n, 2], runs[n, 3] = last, y, start, x
                    n += 1
                last, start = label, x
        if last != 0:
            if n < runs.shape[0]:
                runs[n, 0], runs[n, 1], runs[n, 2], runs[n, 3] = last, y, start, width
            n += 1
    return n


@njit(cache=True, nogil=True)
def _outline_lengths(labels: Any, runs: Any, n: int, length_of: Any) -> Any:  # pragma: no cover (numba)
    """Length of the outline of each of `n` labels."""
    length = np.zeros(n)
    for k in range(runs.shape[0]):
        label, y = runs[k, 0], runs[k, 1]
        for x in range(runs[k, 2], runs[k, 3]):
            if _is_outline(labels, y, x, label):
                length[label] += _length_at(labels, y, x, label, length_of)
    return length


@njit(cache=True, nogil=True)
def _is_outline(labels: Any, y: int, x: int, label: int) -> bool:  # pragma: no cover (numba)
    """Whether a pixel is of a label and not all of its four neighbours are."""
    height, width = labels.shape
    if y < 0 or x < 0 or y >= height or x >= width or labels[y, x] != label:
        return False
    if y == 0 or x == 0 or y == height - 1 or x == width - 1:
        return True
    return bool(
        labels[y - 1, x] != label or labels[y + 1, x] != label or labels[y, x - 1] != label or labels[y, x + 1] != label
    )


@njit(cache=True, nogil=True)
def _length_at(labels: Any, y: int, x: int, label: int, length_of: Any) -> float:  # pragma: no cover (numba)
    """Length of the outline that one of its pixels stands for."""
    sides, corners = 0, 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if (dy != 0 or dx != 0) and _is_outline(labels, y + dy, x + dx, label):
                if dy == 0 or dx == 0:
                    sides += 1
                else:
                    corners += 1
    return float(length_of[sides, corners])


@njit(cache=True, nogil=True)
def _totals(runs: Any, image: Any, n: int) -> Any:  # pragma: no cover (numba)
    """Sum of an image over each label."""
    total = np.zeros(n)
    for k in range(runs.shape[0]):
        row = image[runs[k, 1]]
        of_run = 0.0
        for x in range(runs[k, 2], runs[k, 3]):
            of_run += row[x]
        total[runs[k, 0]] += of_run
    return total
