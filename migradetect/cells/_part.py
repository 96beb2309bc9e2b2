"""Touching bodies parted: where something parts them, and by where they were in the frame before."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from skimage.segmentation import watershed

from migradetect.cells._cuts import evidence_of, slope_within
from migradetect.cells._grid import Grid, areas, depth_um, disc, relabelled
from migradetect.cells._join import Contacts, contacts_of, join
from migradetect.filters import gaussian
from migradetect.params import CellParams

__all__ = ["part", "part_as"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

#: The middle of a body lies at least this far from its outline, and from any other middle, um.
_SUMMIT_UM = 2.0
#: How far a cut may be moved from the neck to an edge that is seen in the image, um.
_CUT_REACH_UM = 2.5
#: What a neck counts for beside an edge where a cut is moved, in slopes that are usual within bodies.
_NECK_WEIGHT = 2.0


def part(mask: Mask, before: Labels | None, image: Image, grid: Grid, params: CellParams) -> Labels:
    """Label each body of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        All bodies.
    before : ndarray of int, shape (Y, X), optional
        Labels of the frame before: what was apart stays apart, what was one stays so unless the neck is deep.
    image : ndarray, shape (Y, X)
        Signal, smoothed.
    grid : Grid
        Grid of all of them.
    params : CellParams
        `min_area_um2`, and those of :func:`migradetect.cells._cuts.evidence_of`.

    Returns
    -------
    ndarray of int32, shape (Y, X)
    """
    evidence = evidence_of(image, mask, grid, params)
    depth = gaussian(depth_um(evidence.opened(mask), grid.pixel_um), 1.0)
    markers, names = _markers(depth, mask, before, grid)
    n, bodies = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    least, most, boxes = _marked(bodies, markers, n)
    # most bodies lie apart, with one middle or none: there is nothing to part
    out: Labels = relabelled(bodies, np.where(least == most, most, 0).astype(np.int32))
    for one in np.flatnonzero(least < most):
        box = slice(boxes[one, 0], boxes[one, 1] + 1), slice(boxes[one, 2], boxes[one, 3] + 1)
        own = bodies[box] == one
        near = np.where(own, depth[box], 0)
        pieces = watershed(-near, np.where(own, markers[box], 0), mask=own).astype(np.int32)
        pieces, called = join(pieces, near, names, grid, params)
        if contacts_of(pieces, near):
            pieces = _move_cuts(pieces, own, evidence.landscape(box), grid)
            pieces = evidence.joined(pieces, near, called, box)
            pieces = _absorbed(pieces, near, _rims(box, mask.shape), grid, params)
        out[box][own] = pieces[own]
    return _rest(out, mask)


def part_as(mask: Mask, cells: Labels, image: Image, grid: Grid) -> Labels:
    """Part a body as it is parted in another frame, each cut moved to the edge or neck that is seen near it.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        The body.
    cells : ndarray of int, shape (Y, X)
        Labels of its cells in the other frame; 0 elsewhere.
    image : ndarray, shape (Y, X)
        Signal, smoothed.
    grid : Grid
        Grid of all of them.

    Returns
    -------
    ndarray of int32, shape (Y, X)
        The labels given, wherever the mask is.
    """
    flat = np.zeros(mask.shape, np.float32)
    pieces = watershed(flat, np.where(mask, cells, 0), mask=mask).astype(np.int32)
    depth = gaussian(depth_um(mask, grid.pixel_um), 1.0)
    neck = 1 - depth / np.float32(max(float(depth.max()), 1e-6))
    return _move_cuts(pieces, mask, slope_within(image, mask, grid) + np.float32(_NECK_WEIGHT) * neck, grid)


@njit(cache=True, nogil=True)
def _marked(bodies: Any, markers: Any, n: int) -> Any:  # pragma: no cover (numba)
    """Least and largest marker in each body, both 0 where there is none, and its box: first and last row and column."""
    height, width = bodies.shape
    least, most = np.zeros(n, np.int32), np.zeros(n, np.int32)
    boxes = np.zeros((n, 4), np.int64)
    boxes[:, 0], boxes[:, 2] = height, width
    for y in range(height):
        for x in range(width):
            one = bodies[y, x]
            if one == 0:
                continue
            box = boxes[one]
            box[0], box[1] = min(box[0], y), max(box[1], y)
            box[2], box[3] = min(box[2], x), max(box[3], x)
            marker = markers[y, x]
            if marker > 0:
                least[one] = min(least[one], marker) if most[one] > 0 else marker
                most[one] = max(most[one], marker)
    return least, most, boxes


def _markers(depth: Image, mask: Mask, before: Labels | None, grid: Grid) -> tuple[Labels, NDArray[np.int64]]:
    """Middles of bodies, and the cell of the frame before that each lies in (0: none)."""
    summits = (depth >= cv2.dilate(depth, disc(grid.px(_SUMMIT_UM))) - 1e-3) & (depth > _SUMMIT_UM) & mask
    n, found = cv2.connectedComponents(summits.astype(np.uint8), connectivity=8)
    markers: Labels = np.asarray(found, dtype=np.int32)
    if before is None:
        return markers, np.zeros(n, np.int64)
    # a ridge that runs through two cells of the frame before is two middles
    inside = np.where(mask, before, 0)
    size = int(before.max()) + 1
    old, cell = markers[summits].astype(np.int64), inside[summits]
    is_known = np.bincount(old[cell > 0], minlength=n) > 0
    codes, numbers = np.unique(np.where((cell == 0) & is_known[old], 0, old * size + cell), return_inverse=True)
    first = int(codes.size == 0 or codes[0] != 0)
    markers[summits] = numbers + first
    names = np.concatenate([np.zeros(first, np.int64), codes % size])
    area, overlap = areas(before, size), areas(inside, size)
    extra: list[int] = []
    for one in range(1, area.size):
        # a cell that is mostly still there, and has no middle of its own any more
        if one not in names and overlap[one] > 0.4 * area[one] and area[one] > 0:
            own = (inside == one).astype(np.uint8)
            core = cv2.distanceTransform(own, cv2.DIST_L2, 5)
            markers[(core > 0.6 * core.max()) & (markers == 0)] = names.size + len(extra)
            extra.append(one)
    return markers, np.concatenate([names, np.array(extra, dtype=np.int64)])


def _cut_distance(pieces: Labels) -> Image:
    """Distance in pixels to the nearest place where two pieces touch."""
    value = pieces.astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    highest = cv2.dilate(value, kernel)
    lowest = cv2.erode(np.where(pieces > 0, value, np.float32(1e6)), kernel)
    is_cut = (pieces > 0) & (highest > lowest)
    return depth_um(~is_cut, 1.0)


def _move_cuts(pieces: Labels, mask: Mask, high: Image, grid: Grid) -> Labels:
    """Move each cut to where it should run near its place: the rim of the upper cell, or the valley between both."""
    away = _cut_distance(pieces) * grid.pixel_um
    markers = np.where(away > _CUT_REACH_UM, pieces, 0).astype(np.int32)
    # a piece that lies wholly within reach keeps its middle
    n = int(pieces.max()) + 1
    for lost in np.flatnonzero((areas(pieces, n) > 0) & (areas(markers, n) == 0)):
        own = pieces == lost
        markers[own & (away >= 0.8 * away[own].max())] = lost
    landscape = high + 1.5 * np.clip(1 - away / _CUT_REACH_UM, 0, 1)
    return watershed(landscape, markers, mask=mask & (pieces > 0)).astype(np.int32)


def _rims(box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[bool, bool, bool, bool]:
    """Whether a box reaches the first and last row, and the first and last column of the frame."""
    rows, columns = box
    return rows.start == 0, rows.stop == shape[0], columns.start == 0, columns.stop == shape[1]


def _absorbed(
    pieces: Labels, depth: Image, rims: tuple[bool, bool, bool, bool], grid: Grid, params: CellParams
) -> Labels:
    """Join what is too small for a cell, or no longer hangs together with its own, with what it touches most widely.

    What is as thin as a bundle of fibers is left alone: it is no part of a body.
    """
    out = _connected(pieces)
    n = int(out.max()) + 1
    area_um2 = areas(out, n) * grid.pixel_um**2
    at_rim = np.zeros(n, bool)
    for is_rim, line in zip(rims, (out[0], out[-1], out[:, 0], out[:, -1]), strict=True):
        if is_rim:
            at_rim[line] = True
    deepest = np.zeros(n, np.float32)
    np.maximum.at(deepest, out, depth)
    lut = np.arange(n, dtype=np.int32)
    contacts = contacts_of(out, depth)
    while True:
        least = np.where(at_rim, params.min_area_um2 / 3, params.min_area_um2)
        is_small = (area_um2 < least) & (deepest >= _SUMMIT_UM)
        small = sorted((float(area_um2[one]), one) for pair in contacts for one in pair if is_small[one])
        if not small:
            return np.asarray(relabelled(out, lut))
        one = small[0][1]
        _, other = max((width, a if b == one else b) for (a, b), width in contacts.items() if one in (a, b))
        lut[lut == one] = other
        area_um2[other] += area_um2[one]
        at_rim[other] |= at_rim[one]
        deepest[other] = max(deepest[other], deepest[one])
        merged: Contacts = {}
        for pair, width in contacts.items():
            a, b = sorted(other if piece == one else piece for piece in pair)
            if a != b:
                merged[a, b] = max(merged.get((a, b), 0.0), width)
        contacts = merged


def _connected(pieces: Labels) -> Labels:
    """Pieces as they were, but each part that does not hang together with the largest of its own a new one."""
    out = pieces.copy()
    n = int(pieces.max()) + 1
    for one in range(1, n):
        count, parts = cv2.connectedComponents((pieces == one).view(np.uint8), connectivity=4)
        if count > 2:
            size = areas(parts, count)
            size[0] = 0
            for k in np.flatnonzero(size).tolist():
                if k != int(np.argmax(size)):
                    out[parts == k] = n
                    n += 1
    return out


def _rest(pieces: Labels, mask: Mask) -> Labels:
    """Number the pieces; bodies too thin for a middle are pieces of their own."""
    lut = np.zeros(int(pieces.max()) + 1, np.int32)
    present = np.flatnonzero(areas(pieces, lut.size)[1:]) + 1
    lut[present] = np.arange(1, present.size + 1)
    out: Labels = relabelled(pieces, lut)
    left = mask & (out == 0)
    if not left.any():
        return out
    _, more = cv2.connectedComponents(left.view(np.uint8), connectivity=4)
    return np.where(more > 0, more + present.size, out).astype(np.int32)
