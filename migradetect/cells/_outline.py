"""Outlines of bodies at the half height of the local edge, without the fibers and beads that stick to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.cells._edge import Edge, band_levels, levels_at, summits_in
from migradetect.cells._grid import Grid, areas, depth_um, disc, eroded, grey_opening, grown, relabelled, to_shape
from migradetect.filters import gaussian, quantile, resize
from migradetect.params import CellParams

__all__ = ["outline"]

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Steps on the grid of half resolution; the seed lies within as many reaches of the outline.
_N_STEPS = 3
#: Share of the pixels of all bodies that may still change when the outlines stand.
_STEADY = 0.002
#: Height of the edge at which these steps stop: low, so that they pass the shoulder where a thin part begins.
_GROW_FRACTION = 0.3
#: Details thinner than this are no part of a level, um.
_THIN_UM = 1.0
#: What is rounded off at corners is given back within this distance, um.
_CORNER_UM = 0.4
#: Half width of a tip where it begins, relative to the disc of the opening.
_TIP_START = 0.75
#: Beads are bright at this Gaussian sigma, and the brightest place within this distance, um.
_SPOT_SIGMA_UM = 0.2
_SPOT_REACH_UM = 0.6
#: Height of a spot over its surroundings, relative to the body: more than the inner side of any straight edge has.
_SPOT_EXCESS = 0.35
#: The edge to which beads stick is that of the body opened by a disc of this diameter, um: larger than any migrasome.
_BEAD_REACH_UM = 3.6


def outline(
    fine: Image, start: Mask, least: Image, grid: Grid, middle: Grid, params: CellParams
) -> tuple[Mask, Image, Edge]:
    """Bodies at the half height of their edge.

    Parameters
    ----------
    fine : ndarray, shape (Y, X)
        Signal on the fine grid, smoothed just enough for its noise.
    start : ndarray of bool
        The bright parts of bodies, on any grid.
    least : ndarray
        Level below which nothing is body, whatever the edge; on any grid.
    grid, middle : Grid
        The fine grid, and that on which outlines are found; they may be the same.
    params : CellParams
        `edge_fraction`, `bead_um`, `tip_um`, `bead_contrast`.

    Returns
    -------
    mask : ndarray of bool, shape (Y, X)
    height : ndarray, shape (Y, X)
        How far a pixel lies above the level of the outline, relative to it, -1 to 1: where the outline passes between
        pixels.
    edge : Edge
        Levels at the edge, on the fine grid.
    """
    image = fine if middle == grid else resize(fine, middle.shape)
    # beads and fibers are no part of the level beside them
    low = grey_opening(image, middle.px(_THIN_UM / 2))
    floor = resize(least, middle.shape)
    rough = middle.halved()
    mask = to_shape(start, rough.shape)
    if rough != middle:
        small, smooth, least_there = (resize(one, rough.shape) for one in (image, low, floor))
        mask = _grown_to_edge(mask, small, smooth, least_there, rough, params, _N_STEPS - 1)
        mask = _grown_to_edge(to_shape(mask, middle.shape), image, low, floor, middle, params, 1)
    else:
        mask = _grown_to_edge(mask, image, low, floor, middle, params, _N_STEPS)
    edge = Edge.of(low, mask, middle).on(grid)
    height = edge.height(fine, floor if middle == grid else resize(least, grid.shape), params.edge_fraction)
    mask = height > 0
    _take_beads(mask, image, low, edge, middle, grid, params)
    core = _without_specks(_open(mask, grid.px(params.bead_um / 2)), grid, params)
    return core | _restored(mask, core, fine, edge, grid, params), height, edge


def _grown_to_edge(
    mask: Mask, image: Image, low: Image, floor: Image, grid: Grid, params: CellParams, n_steps: int
) -> Mask:
    """Mask after some steps towards the edge, or as many as change anything."""
    for _ in range(n_steps):
        height = Edge.of(low, mask, grid).height(image, floor, _GROW_FRACTION)
        last, mask = mask, _open(height > 0, grid.px(params.tip_um / 2))
        if np.count_nonzero(mask != last) <= _STEADY * np.count_nonzero(mask):
            break
    return mask


def _open(mask: Mask, radius_px: float) -> Mask:
    # reflected: a body that the border cuts is not thin there
    kernel = disc(radius_px)
    opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(opened, np.uint8).view(np.bool_)


def _take_beads(mask: Mask, image: Image, low: Image, edge: Edge, middle: Grid, grid: Grid, params: CellParams) -> None:
    """Take bright spots outside of its edge from a mask: migrasomes at a body, not endosomes within its rim."""
    small = to_shape(mask, middle.shape)
    # the edge without what sticks to it: a larger disc takes off the largest migrasomes
    plain = _open(small, middle.px(_BEAD_REACH_UM / 2))
    if not plain.any():
        return
    smooth = gaussian(image, middle.px(_SPOT_SIGMA_UM))
    wide = gaussian(image, middle.px(3 * _SPOT_SIGMA_UM))
    beyond = small & (cv2.erode(plain.view(np.uint8), disc(1.0), borderValue=1) == 0)
    y, x = summits_in(beyond, smooth, disc(middle.px(_SPOT_REACH_UM)))
    # texture and noise of the bodies themselves say which spots mean something; a sample of their pixels will do
    sample = plain[::2, ::2]
    usual = 1.4826 * quantile(np.abs((smooth[::2, ::2] - wide[::2, ::2])[sample])) if sample.any() else 0.0
    scale = grid.shape[0] / middle.shape[0]
    inner = levels_at(edge.inner, y, x, edge.step * scale)
    value = smooth[y, x]
    found = (inner > 0) & (value > params.bead_contrast * inner)
    found &= value - wide[y, x] > _SPOT_EXCESS * inner + 4 * usual
    if not found.any():
        return
    beside, _, step = band_levels(low, plain, np.zeros_like(plain), middle)
    found &= value > levels_at(beside, y, x, step)
    out = np.zeros(mask.shape, np.uint8)
    reach = int(np.ceil(middle.px(_BEAD_REACH_UM / 2))) + 1
    for row, column in zip(y[found].tolist(), x[found].tolist(), strict=True):
        # the nearest dish lies on the far side of a bead: at its radius
        top, left = max(row - reach, 0), max(column - reach, 0)
        depth = depth_um(small[top : row + reach + 1, left : column + reach + 1], 1.0)[row - top, column - left]
        radius = (float(depth) + 0.5) * scale
        centre = (round((column + 0.5) * scale - 0.5), round((row + 0.5) * scale - 0.5))
        if radius * grid.pixel_um < _BEAD_REACH_UM / 2:
            cv2.circle(out, centre, max(1, round(radius)), 1, -1)
    mask &= out == 0


def _without_specks(core: Mask, grid: Grid, params: CellParams) -> Mask:
    """Mask without parts smaller than any body: large beads that only touch one."""
    n, parts = cv2.connectedComponents(core.view(np.uint8), connectivity=4)
    kept = areas(parts, n) * grid.pixel_um**2 > np.pi * params.opening_um**2
    kept[0] = False
    return core if kept[1:].all() else np.asarray(relabelled(parts, kept))


def _restored(mask: Mask, core: Mask, fine: Image, edge: Edge, grid: Grid, params: CellParams) -> Mask:
    """What the opening took from a body and not from a bead or fiber: its pointed ends and small corners."""
    pixel = grid.pixel_um
    lost = mask & ~core
    y, x = np.nonzero(lost)
    is_bright = fine[y, x] > params.bead_contrast * levels_at(edge.inner, y, x, edge.step)
    is_corner = grown(core, _CORNER_UM + 1e-6, pixel)[y, x] & ~is_bright
    tips = _open(mask, grid.px(params.tip_um / 2)) & lost
    n, pieces = cv2.connectedComponents(tips.view(np.uint8), connectivity=4)
    own = pieces[y, x]
    is_tip = np.bincount(own, is_bright, minlength=n) <= 0.2 * np.bincount(own, minlength=n)
    # a tip is widest where it begins, and begins where the opening disc just fitted; a bead hangs on a narrower neck
    is_start = (cv2.dilate(core.view(np.uint8), disc(1.5)) > 0)[y, x]
    is_start &= eroded(mask, _TIP_START * params.bead_um / 2 + 1e-6, pixel)[y, x]
    is_tip &= np.bincount(own[is_start], minlength=n) > 0
    is_tip[0] = False
    out = np.zeros_like(mask)
    out[y, x] = is_corner | is_tip[own]
    return out
