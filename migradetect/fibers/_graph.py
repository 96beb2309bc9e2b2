"""Graph of the branches of centrelines.

Pixels that touch are joined; where pixels with more than two neighbours crowd at a crossing, only the edges of a
minimum spanning tree stay between them. A branch runs from an end or crossing to the next. This is the graph of skan
(Nunez-Iglesias et al. 2018, doi:10.7717/peerj.4312), whose lengths are the reference in the tests.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.fibers._pixels import Neighbours, Places, _root, neighbours

__all__ = ["Branches", "find_branches"]


class Branches(NamedTuple):
    """Branches of a list of pixels; B of them.

    Attributes
    ----------
    course : ndarray of int
        Where in the list the pixels of one branch after the other stand, both ends included.
    first : ndarray of int, shape (B + 1,)
        Where in `course` each branch begins, and the end of the last.
    length_px : ndarray of float, shape (B,)
        1 for each step along a row or column, sqrt(2) for each diagonal one.
    """

    course: NDArray[np.int64]
    first: NDArray[np.int64]
    length_px: NDArray[np.float64]


def find_branches(places: Places, width: int) -> Branches:
    """Branches of one-pixel lines.

    Parameters
    ----------
    places : ndarray of int, shape (N,)
        Pixels of the lines in the raveled image, in ascending order.
    width : int
        Of the image.

    Returns
    -------
    Branches
        Pixels that touch no other are in none.
    """
    around = neighbours(places, width)
    _keep_trees(around)
    return Branches(*_walk(around))


#: Columns of the neighbours along rows and columns, and along diagonals.
_STRAIGHT, _DIAGONAL = (1, 3, 4, 6), (0, 2, 5, 7)


@njit(cache=True, nogil=True)
def _keep_trees(around: Neighbours) -> None:  # pragma: no cover (numba)
    """Take off the edges between crossing pixels that no minimum spanning tree needs, in place."""
    n = len(around)
    crossing = np.zeros(n, np.bool_)
    for i in range(n):
        crossing[i] = (around[i] >= 0).sum() > 2
    parent = np.arange(n).astype(np.int32)
    # Kruskal's algorithm: shorter edges first
    for columns in (_STRAIGHT, _DIAGONAL):
        for i in range(n):
            if not crossing[i]:
                continue
            for column in columns:
                k = around[i, column]
                if k <= i or not crossing[k]:
                    continue
                a, b = _root(parent, i), _root(parent, k)
                if a == b:
                    around[i, column] = -1
                    around[k, 7 - column] = -1
                else:
                    parent[max(a, b)] = min(a, b)


@njit(cache=True, nogil=True)
def _walk(
    around: Neighbours,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:  # pragma: no cover (numba)
    """Course, beginnings and lengths of the branches, see :class:`Branches`."""
    n = len(around)
    degree = np.zeros(n, np.int64)
    for i in range(n):
        degree[i] = (around[i] >= 0).sum()
    n_edges = degree.sum() // 2
    walked = np.zeros((n, 8), np.bool_)
    course = np.empty(2 * n_edges + 1, np.int64)
    first = np.zeros(n_edges + 1, np.int64)
    length = np.zeros(n_edges)
    m = n_branches = 0
    # what no end or crossing leads to is a ring
    for rings in (False, True):
        for start in range(n):
            if degree[start] == 0 or (degree[start] == 2) != rings:
                continue
            for out in range(8):
                if around[start, out] < 0 or walked[start, out]:
                    continue
                course[m] = start
                m += 1
                here, column = start, out
                while True:
                    there = around[here, column]
                    walked[here, column] = walked[there, 7 - column] = True
                    length[n_branches] += 1.0 if column in _STRAIGHT else np.sqrt(2.0)
                    course[m] = there
                    m += 1
                    if degree[there] != 2 or there == start:
                        break
                    back = 7 - column
                    for column in range(8):
                        if column != back and around[there, column] >= 0:
                            break
                    here = there
                n_branches += 1
                first[n_branches] = m
    return course[:m].copy(), first[: n_branches + 1].copy(), length[:n_branches].copy()
