"""Thinning, pruning and connected parts on lists of pixels.

A list holds places in the raveled image in ascending order, int64, shape (N,); what belongs to them stands beside it.
Each pixel has 8 neighbours, in the order of the places: up-left, up, up-right, left, right, down-left, down and
down-right.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import RUN_PX, holds_any

__all__ = ["connected", "fill_holes", "line_ends", "list_pixels", "neighbours", "prune", "thin"]

Places = NDArray[np.int64]
#: Shape (N, 8): where in the list each neighbour stands; -1 where it is not in the list.
Neighbours = NDArray[np.int32]
Chosen = NDArray[np.bool_]


#: Columns of the neighbours, clockwise from the one above.
_CLOCKWISE = (1, 2, 4, 7, 6, 5, 3, 0)
#: Where scikit-image departs from the paper, so that ends of two pixels stay and corners go: the half of a round, 1 or
#: 2 or both (3), in which a pixel with just these neighbours goes, by their compass points.
_DEPARTURES = {
    "nw n": 1, "n ne": 1, "ne e": 1, "e se": 2, "se s": 0, "s sw": 2, "sw w": 2, "nw w": 0,
    "n ne e": 1, "e se s": 2, "s sw w": 2, "nw n w": 1,
    "n e": 3, "e s": 3, "s w": 3, "n w": 3,
    "nw n e": 1, "n ne w": 1, "n sw w": 1, "nw s w": 1, "n e se": 2, "e s sw": 2, "se s w": 2,
    "ne e s sw": 2, "n ne sw w": 1,
}  # fmt: skip


def _when_a_pixel_goes() -> NDArray[np.uint8]:
    """Half of a round of thinning, 1 or 2 or both (3), in which a pixel goes, by the pattern of its neighbours."""
    out = np.zeros(256, np.uint8)
    for pattern in range(256):
        n, _, e, _, s, _, w, _ = ring = [pattern >> column & 1 for column in _CLOCKWISE]
        n_starts = sum(a < b for a, b in zip(ring, [*ring[1:], n], strict=True))
        if 2 <= sum(ring) <= 6 and n_starts == 1:
            out[pattern] = (not (n and e and s) and not (e and s and w)) + 2 * (
                not (n and e and w) and not (n and s and w)
            )
    points = dict(zip(("n", "ne", "e", "se", "s", "sw", "w", "nw"), _CLOCKWISE, strict=True))
    for names, half in _DEPARTURES.items():
        out[sum(1 << points[name] for name in names.split())] = half
    return out


_GOES = _when_a_pixel_goes()


@njit(cache=True, nogil=True)
def list_pixels(labels: NDArray[np.int32]) -> Places:  # pragma: no cover (numba)
    """Places that are not 0 in an image."""
    flat = labels.ravel()
    out = np.empty(1024, np.int64)
    m = 0
    for start in range(0, flat.size, RUN_PX):
        run = flat[start : start + RUN_PX]
        if not holds_any(run):
            continue
        if m + RUN_PX > out.size:
            longer = np.empty(2 * out.size, np.int64)
            longer[:m] = out[:m]
            out = longer
        for k in range(run.size):
            if run[k] != 0:
                out[m] = start + k
                m += 1
    return out[:m].copy()


@njit(cache=True, nogil=True)
def neighbours(places: Places, width: int) -> Neighbours:  # pragma: no cover (numba)
    """Where in a list the neighbours of each pixel stand, shape (N, 8), in an image of this width."""
    n = places.size
    out = np.full((n, 8), -1, np.int32)
    above = 0
    for i in range(n):
        place = places[i]
        x = place % width
        if i > 0 and x > 0 and places[i - 1] == place - 1:
            out[i, 3] = i - 1
            out[i - 1, 4] = i
        while places[above] < place - width - 1:
            above += 1
        k = above
        while k < i and places[k] <= place - width + 1:
            side = places[k] - (place - width)
            if 0 <= x + side < width:
                out[i, 1 + side] = k
                out[k, 6 - side] = i
            k += 1
    return out


@njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], i: int) -> int:  # pragma: no cover (numba)
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def connected(places: Places, width: int, reach: int = 1) -> tuple[NDArray[np.int32], int]:  # pragma: no cover (numba)
    """Connected parts of a list, numbered from 1 by their first pixel, and how many there are.

    Pixels that are at most `reach` rows and columns apart belong together; 1 is 8-connectivity.
    """
    n = places.size
    parent = np.arange(n).astype(np.int32)
    first = np.zeros(reach + 1, np.int64)
    for i in range(n):
        y, x = places[i] // width, places[i] % width
        for up in range(reach + 1):
            if up > y:
                continue
            start = (y - up) * width + max(x - reach, 0)
            stop = (y - up) * width + min(x + reach, width - 1)
            while places[first[up]] < start:
                first[up] += 1
            k = first[up]
            while k < i and places[k] <= stop:
                a, b = _root(parent, i), _root(parent, k)
                parent[max(a, b)] = min(a, b)
                k += 1
    labels = np.zeros(n, np.int32)
    m = 0
    for i in range(n):
        root = _root(parent, i)
        if root == i:
            m += 1
            labels[i] = m
        else:
            labels[i] = labels[root]
    return labels, m


@njit(cache=True, nogil=True)
def _pattern(around: Neighbours, left: Chosen, i: int) -> int:  # pragma: no cover (numba)
    """Which neighbours of a pixel are left, one bit each in the order of the columns."""
    out = 0
    for column in range(8):
        k = around[i, column]
        if k >= 0 and left[k]:
            out |= 1 << column
    return out


@njit(cache=True, nogil=True)
def thin(places: Places, width: int) -> Places:  # pragma: no cover (numba)
    """Thin what the pixels cover to lines one pixel wide (Zhang & Suen 1984, doi:10.1145/357994.358023).

    The same pixels as those of `skimage.morphology.skeletonize`.
    """
    around = neighbours(places, width)
    left = np.ones(places.size, np.bool_)
    # a pixel is asked again only when one beside it went, in either half of a round
    is_due = np.ones((2, places.size), np.bool_)
    off = np.empty(places.size, np.int64)
    n_idle = half = 0
    while n_idle < 2:
        m = 0
        for i in range(places.size):
            if is_due[half, i]:
                is_due[half, i] = False
                if left[i] and _GOES[_pattern(around, left, i)] & (1 << half):
                    off[m] = i
                    m += 1
        for k in range(m):
            left[off[k]] = False
            for beside in around[off[k]]:
                if beside >= 0:
                    is_due[0, beside] = is_due[1, beside] = True
        n_idle = 0 if m else n_idle + 1
        half = 1 - half
    return places[left]


@njit(cache=True, nogil=True)
def _is_end(around: Neighbours, left: Chosen, i: int) -> bool:  # pragma: no cover (numba)
    total = 0
    for k in around[i]:
        total += k >= 0 and left[k]
    return total <= 1


@njit(cache=True, nogil=True)
def line_ends(around: Neighbours) -> Chosen:  # pragma: no cover (numba)
    """Pixels with one neighbour or none, shape (N,)."""
    everything = np.ones(len(around), np.bool_)
    out = np.zeros(len(around), np.bool_)
    for i in range(len(around)):
        out[i] = _is_end(around, everything, i)
    return out


@njit(cache=True, nogil=True)
def prune(places: Places, width: int, length_px: int) -> Places:  # pragma: no cover (numba)
    """Take off side lines up to a length: shrink all free ends that far, then let the ends that are left grow back."""
    around = neighbours(places, width)
    n = places.size
    left = np.ones(n, np.bool_)
    marked = np.zeros(n, np.bool_)
    for _ in range(length_px):
        for i in range(n):
            marked[i] = left[i] and _is_end(around, left, i)
        for i in range(n):
            left[i] = left[i] and not marked[i]
    grown = np.zeros(n, np.bool_)
    tips = np.empty(n, np.int64)
    m = 0
    for i in range(n):
        if left[i] and _is_end(around, left, i):
            grown[i] = True
            tips[m] = i
            m += 1
    begin = 0
    for _ in range(length_px):
        end = m
        for t in range(begin, end):
            for k in around[tips[t]]:
                if k >= 0 and not left[k] and not grown[k]:
                    grown[k] = True
                    tips[m] = k
                    m += 1
        begin = end
    for i in range(n):
        left[i] = left[i] or grown[i]
    return places[left]


#: Marks of pixels that are visited.
_HERE, _OUTSIDE = 2, 3


@njit(cache=True, nogil=True)
def fill_holes(image: NDArray[np.uint8], places: Places, area_px: float) -> None:  # pragma: no cover (numba)
    """Fill the holes with a smaller area than this between lines, in place; the places are those of the lines."""
    height, width = image.shape
    flat = image.ravel()
    queue = np.empty(int(area_px) + 2, np.int64)
    steps = ((-1, 0), (0, -1), (0, 1), (1, 0))
    # to meet pixels of an earlier visit means that there is no hole here
    outside = np.empty(height * width, np.int64)
    n_outside = 0
    for place in places:
        for dy, dx in steps:
            y, x = place // width + dy, place % width + dx
            if not (0 <= y < height and 0 <= x < width) or flat[y * width + x] != 0:
                continue
            queue[0] = y * width + x
            flat[queue[0]] = _HERE
            done, m = 0, 1
            is_hole = m < area_px
            while done < m and is_hole:
                y, x = queue[done] // width, queue[done] % width
                done += 1
                for ey, ex in steps:
                    v, u = y + ey, x + ex
                    if not (0 <= v < height and 0 <= u < width):
                        continue
                    there = v * width + u
                    if flat[there] == _OUTSIDE or (flat[there] == 0 and m + 1 >= area_px):
                        is_hole = False
                        break
                    if flat[there] == 0:
                        flat[there] = _HERE
                        queue[m] = there
                        m += 1
            for k in range(m):
                flat[queue[k]] = 1 if is_hole else _OUTSIDE
                if not is_hole:
                    outside[n_outside] = queue[k]
                    n_outside += 1
    for k in range(n_outside):
        flat[outside[k]] = 0
