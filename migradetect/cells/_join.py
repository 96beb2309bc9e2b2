"""Which touching pieces are one body."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.cells._grid import Grid, areas
from migradetect.params import CellParams

__all__ = ["NO_NECK", "Contacts", "contacts_of", "join", "summits_of"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Names = NDArray[np.int64]
Contacts = dict[tuple[int, int], float]

#: Half width of a contact over that of the narrower piece, from which on there is no neck; for pieces of what was one
#: cell in the frame before, the second.
NO_NECK = 0.92
_NO_NECK_BEFORE = 0.75


def contacts_of(pieces: Labels, depth: Image) -> Contacts:
    """Pairs of touching pieces, and the largest depth along their contact: half its width."""
    found: Contacts = {}
    one, other, low = _touches(pieces, depth)
    for a, b, d in zip(one.tolist(), other.tolist(), low.tolist(), strict=True):
        pair = (a, b) if a < b else (b, a)
        found[pair] = max(found.get(pair, 0.0), d)
    return found


@njit(cache=True, nogil=True)
def _touches(pieces: Any, depth: Any) -> Any:  # pragma: no cover (numba)
    """Neighbours below and to the right that are of another piece: both pieces, and the lesser depth."""
    height, width = pieces.shape
    one, other, low = [np.int32(0)], [np.int32(0)], [np.float32(0)]
    for y in range(height):
        for x in range(width):
            a = pieces[y, x]
            if a == 0:
                continue
            for k in range(2):
                i, j = y + 1 - k, x + k
                if i < height and j < width and pieces[i, j] != a and pieces[i, j] > 0:
                    one.append(a)
                    other.append(pieces[i, j])
                    low.append(min(depth[y, x], depth[i, j]))
    return np.array(one[1:]), np.array(other[1:]), np.array(low[1:])


def summits_of(pieces: Labels, depth: Image, n: int) -> NDArray[np.float64]:
    """Largest depth of each of `n` pieces: half its width."""
    out = np.zeros(n, np.float64)
    # a summit is no lower than what lies around it, so that few pixels need be looked at
    high = (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))) & (pieces > 0)
    np.maximum.at(out, pieces[high], depth[high])
    return out


def join(pieces: Labels, depth: Image, names: Names, grid: Grid, params: CellParams) -> tuple[Labels, Names]:
    """Join lobes of one body: pieces without a neck between them, and those too small for a body.

    The shallowest neck goes first, and the next is judged by the larger body that results.

    Parameters
    ----------
    pieces : ndarray of int, shape (Y, X)
        One for each summit of the depth.
    depth : ndarray, shape (Y, X)
        Distance to the outline, um.
    names : ndarray of int, shape (N,)
        Cell of the frame before of each piece, 0 if none.
    grid : Grid
        Grid of the images.
    params : CellParams
        `min_area_um2`, `split_neck`.

    Returns
    -------
    pieces : ndarray of int, shape (Y, X)
    names : ndarray of int, shape (N,)
    """
    n = names.size
    joined, names = np.arange(n), names.copy()
    summit = summits_of(pieces, depth, n)
    area = np.asarray(areas(pieces, n) * grid.pixel_um**2, np.float64)
    contacts = contacts_of(pieces, depth)
    while True:
        ranked = [(_urge(pair, saddle, summit, area, names, params), pair) for pair, saddle in contacts.items()]
        urge, (a, b) = max(ranked, default=(0.0, (0, 0)))
        if urge <= 0:
            return joined[pieces].astype(np.int32), names
        joined[joined == b] = a
        names[a] = names[a] or names[b]
        summit[a], area[a] = max(summit[a], summit[b]), area[a] + area[b]
        merged: Contacts = {}
        for pair, saddle in contacts.items():
            c, d = sorted(a if one == b else one for one in pair)
            if c != d:
                merged[c, d] = max(merged.get((c, d), 0.0), saddle)
        contacts = merged


def _urge(
    pair: tuple[int, int],
    saddle: float,
    summit: NDArray[np.float64],
    area: NDArray[np.float64],
    names: Names,
    params: CellParams,
) -> float:
    """How much two pieces want to be one; 0 not at all."""
    a, b = pair
    if names[a] and names[b] and names[a] != names[b]:
        return 0.0
    neck = saddle / max(min(summit[a], summit[b]), 1e-6)
    if min(area[a], area[b]) < 0.3 * params.min_area_um2 and neck > params.split_neck:
        return 1.0 + neck
    least = _NO_NECK_BEFORE if names[a] and names[a] == names[b] else NO_NECK
    return neck if neck > least else 0.0
