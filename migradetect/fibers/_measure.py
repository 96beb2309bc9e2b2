"""Length, ends, attachment and strength of centrelines."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.fibers._graph import find_branches
from migradetect.fibers._pixels import Neighbours, Places, list_pixels, neighbours
from migradetect.filters import nearest_label

__all__ = ["ATTACH_UM", "attached_cells", "branch_paths", "line_strength", "measure_fibers"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

#: A centreline that comes this close to a body outline is attached to it, um.
ATTACH_UM = 1.2
#: Reach of the mean strength of the lines around a place, um.
_AROUND_UM = 2.0


def measure_fibers(labels: Labels, response: Image, cells: Labels, calibration: Calibration) -> pd.DataFrame:
    """Length, ends and attachment of each fiber.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines from :func:`trace_fibers`.
    response : ndarray, shape (Y, X)
        Ridge SNR.
    cells : ndarray of int, shape (Y, X)
        Cell bodies of the frame.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    pandas.DataFrame
        One row per fiber: label, length_um, euclidean_um, is_attached, cell_label (0: none), n_branches, n_tips,
        mean_snr.
    """
    columns = ("label", "length_um", "euclidean_um", "is_attached", "cell_label", "n_branches", "n_tips", "mean_snr")
    places = list_pixels(labels)
    if not places.size:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    width = labels.shape[1]
    label = labels.ravel()[places].astype(np.int64)
    n = int(label.max())

    def per_fiber(of: NDArray[np.int64], weights: NDArray[np.floating] | None = None) -> NDArray[Any]:
        return np.asarray(np.bincount(of, weights=weights, minlength=n + 1)[1:])

    branches = find_branches(places, width)
    of_branch = label[branches.course[branches.first[:-1]]]
    attached, cell_label = _attached(places, label, n, cells, calibration)
    return pd.DataFrame(
        {
            "label": np.arange(1, n + 1),
            "length_um": calibration.um(per_fiber(of_branch, branches.length_px)),
            "euclidean_um": calibration.um(_extents(places, label, n, width)),
            "is_attached": attached,
            "cell_label": cell_label,
            "n_branches": per_fiber(of_branch),
            "n_tips": per_fiber(label[_count(neighbours(places, width)) == 1]),
            "mean_snr": per_fiber(label, response.ravel()[places]) / np.maximum(per_fiber(label), 1),
        }
    )


def _count(around: Neighbours) -> NDArray[np.int64]:
    return np.asarray((around >= 0).sum(axis=1))


def attached_cells(
    labels: NDArray[Any], cells: NDArray[Any], calibration: Calibration
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which cell each fiber leads to, as :func:`measure_fibers` says it.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines, N fibers.
    cells : ndarray of int, shape (Y, X)
        Cell bodies of the frame.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    is_attached : ndarray of bool, shape (N,)
    cell_label : ndarray of int, shape (N,)
        0 where it is not attached.
    """
    places = list_pixels(labels)
    if not places.size:
        return np.zeros(0, bool), np.zeros(0, np.int64)
    label = labels.ravel()[places].astype(np.int64)
    return _attached(places, label, int(label.max()), cells, calibration)


def _attached(
    places: Places, label: NDArray[np.int64], n: int, cells: NDArray[Any], calibration: Calibration
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each of N fibers ends at a cell, and at which one (0: none)."""
    gap_um, cell = _nearest_cell(places, label, n, cells, calibration)
    attached = gap_um <= ATTACH_UM
    return attached, np.where(attached, cell, 0)


def _nearest_cell(
    places: Places, label: NDArray[np.int64], n: int, cells: NDArray[Any], calibration: Calibration
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Gap between each fiber and the nearest body in um (inf: no body), and the label of that body."""
    gap, cell = np.full(n, np.inf), np.zeros(n, np.int64)
    distance, nearest = nearest_label(cells, places // cells.shape[1], places % cells.shape[1])
    order = np.lexsort((distance, label))
    known, first = np.unique(label[order], return_index=True)
    gap[known - 1] = calibration.um(distance[order][first])
    cell[known - 1] = nearest[order][first]
    return gap, cell


def _extents(places: Places, label: NDArray[np.int64], n: int, width: int) -> NDArray[np.float64]:
    """Largest distance between two points of each fiber, by the corners of its convex hull, px."""
    out = np.zeros(n)
    order = np.argsort(label, kind="stable")
    points = np.column_stack((places // width, places % width))[order].astype(np.float32)
    known, first = np.unique(label[order], return_index=True)
    for one, of_fiber in zip(known, np.split(points, first[1:]), strict=True):
        hull = cv2.convexHull(of_fiber).reshape(-1, 2)
        out[one - 1] = np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(-1).max())
    return out


def branch_paths(labels: Labels, calibration: Calibration) -> list[NDArray[np.float64]]:
    """Course of each branch, from one end or crossing to the next.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines from :func:`trace_fibers`; 0 is background.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    list of ndarray, shape (points, 2)
        y, x in um, two points or more each.
    """
    width = labels.shape[1]
    places = list_pixels(labels)
    branches = find_branches(places, width)
    course = places[branches.course]
    points = calibration.um(np.column_stack((course // width, course % width)).astype(float))
    return [points[a:b] for a, b in zip(branches.first[:-1], branches.first[1:], strict=True)]


def line_strength(labels: Labels, response: Image, calibration: Calibration) -> Image:
    """Mean ridge SNR of the centrelines within about 2 um of each pixel; 0 where there are none.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines from :func:`trace_fibers`.
    response : ndarray, shape (Y, X)
        Ridge SNR.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray, shape (Y, X)
    """
    places = list_pixels(labels)
    reach = max(1, round(calibration.px(_AROUND_UM)))
    return _mean_around(places, response.ravel()[places].astype(np.float64), labels.shape, reach)


@njit(cache=True, nogil=True)
def _mean_around(
    places: Places, values: NDArray[np.float64], shape: tuple[int, int], reach: int
) -> Image:  # pragma: no cover (numba)
    """Mean of values at some places, ascending, within a number of rows and columns of each pixel."""
    height, width = shape
    out = np.zeros((height, width), np.float32)
    # sums of the rows in reach by column, then of the columns in reach: each pixel is entered and left once
    total, count = np.zeros(width + 2 * reach + 1), np.zeros(width + 2 * reach + 1, np.int64)
    enter = leave = n_inside = 0
    for y in range(height):
        while enter < places.size and places[enter] < (y + reach + 1) * width:
            x = places[enter] % width + reach
            total[x] += values[enter]
            count[x] += 1
            enter += 1
            n_inside += 1
        while leave < enter and places[leave] < (y - reach) * width:
            x = places[leave] % width + reach
            count[x] -= 1
            # no rounding is left behind where nothing is
            total[x] = total[x] - values[leave] if count[x] else 0.0
            leave += 1
            n_inside -= 1
        if n_inside == 0:
            continue
        a, m = 0.0, 0
        for x in range(2 * reach):
            a += total[x]
            m += count[x]
        for x in range(width):
            a += total[x + 2 * reach]
            m += count[x + 2 * reach]
            if m > 0:
                out[y, x] = a / m
            else:
                a = 0.0
            a -= total[x]
            m -= count[x]
    return out
