"""Outlines of bodies at the half height of the local edge, without the fibers and beads that stick to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from migradetect.cells._grid import Grid, depth_um, disc, grey_opening, to_shape
from migradetect.filters import gaussian, masked_gaussian, quantile, resize
from migradetect.params import CellParams

__all__ = ["outline"]

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: An edge is judged by what lies this far inside and outside of it, um: past the blur, and not far into the body.
_INNER_UM = (0.15, 1.0)
_OUTER_UM = (0.3, 1.3)
#: Its levels are averaged along it over this Gaussian sigma, um: more than a bead or fiber, less than a lamellipodium.
_ALONG_UM = 1.0
#: An outline moves by this much in one step at most, um.
_REACH_UM = 1.2
#: Steps on the grid of half resolution; the seed lies within three reaches of the outline.
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


@dataclass(frozen=True)
class _Edge:
    """Levels inside and outside of the nearest edge and the distances to it; each of shape (Y, X)."""

    inner: Image
    outer: Image
    inside_um: Image
    outside_um: Image

    def on(self, shape: tuple[int, int]) -> _Edge:
        """The same on another grid."""
        if self.inner.shape == shape:
            return self
        images = (self.inner, self.outer, self.inside_um, self.outside_um)
        return _Edge(*(resize(image, shape) for image in images))

    def cut(self, image: Image, floor: Image, fraction: float) -> Mask:
        """Body by this edge: what lies above a fraction of its height, and all that lies deeper inside."""
        levels = (self.inner, self.outer, self.inside_um, self.outside_um)
        return np.asarray(_above_half(image, *levels, floor, fraction, _REACH_UM))


def outline(fine: Image, start: Mask, least: Image, grid: Grid, params: CellParams) -> tuple[Mask, Image]:
    """Bodies at the half height of their edge.

    Parameters
    ----------
    fine : ndarray, shape (Y, X)
        Signal on the fine grid, smoothed just enough for its noise.
    start : ndarray of bool
        The bright parts of bodies, on any grid.
    least : ndarray
        Level below which nothing is body, whatever the edge; on any grid.
    grid : Grid
        The fine grid.
    params : CellParams
        `edge_fraction`, `bead_um`, `tip_um`, `bead_contrast`.

    Returns
    -------
    mask : ndarray of bool, shape (Y, X)
    contrast : ndarray, shape (Y, X)
        Height of the nearby edge relative to the level inside of it, 0 to 1.
    """
    middle = grid.halved()
    image, floor = resize(fine, middle.shape), resize(least, middle.shape)
    # beads and fibers are no part of the level beside them
    low = grey_opening(image, middle.px(_THIN_UM / 2))
    mask = to_shape(start, middle.shape)
    tip_px = middle.px(params.tip_um / 2)
    for _ in range(_N_STEPS):
        last, mask = mask, _open(_edge(low, mask, middle).cut(image, floor, _GROW_FRACTION), tip_px)
        if np.count_nonzero(mask != last) <= _STEADY * np.count_nonzero(mask):
            break
    edge = _edge(low, mask, middle).on(fine.shape)
    mask = edge.cut(fine, resize(least, fine.shape), params.edge_fraction)
    mask &= ~_beads(image, low, mask, edge, middle, grid, params)
    core = _without_specks(_open(mask, grid.px(params.bead_um / 2)), grid, params)
    mask = core | _restored(mask, core, fine, edge, grid, params)
    return mask, np.clip(1 - edge.outer / np.maximum(edge.inner, 1e-3), 0, 1)


def _open(mask: Mask, radius_px: float) -> Mask:
    # reflected: a body that the border cuts is not thin there
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc(radius_px), borderType=cv2.BORDER_REFLECT)
    return np.asarray(opened > 0)


def _edge(low: Image, mask: Mask, grid: Grid) -> _Edge:
    inside = depth_um(mask, grid.pixel_um)
    outside = depth_um(~mask, grid.pixel_um)
    bands = [
        ((away > band[0]) & (away < band[1])).astype(np.float32)
        for away, band in ((inside, _INNER_UM), (outside, _OUTER_UM))
    ]
    inner, outer = (masked_gaussian(low, band, grid.px(_ALONG_UM))[0] for band in bands)
    return _Edge(inner, np.maximum(outer, 0), inside, outside)


@numba.njit(cache=True)
def _above_half(
    image: Any, inner: Any, outer: Any, inside_um: Any, outside_um: Any, floor: Any, fraction: float, reach_um: float
) -> Any:
    """What lies above the half height of the edge, near it; all that lies deeper inside."""
    out = np.zeros(image.shape, np.bool_)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            if inside_um[i, j] >= reach_um:
                out[i, j] = True
            elif outside_um[i, j] < reach_um:
                body, dish = inner[i, j], outer[i, j]
                # where it is nearly as bright outside there is no edge yet: the body goes on
                dish *= min(max((0.75 * body - dish) / max(0.2 * body, 1e-6), 0.0), 1.0)
                out[i, j] = image[i, j] > max(dish + fraction * (body - dish), floor[i, j])
    return out


def _beads(image: Image, low: Image, mask: Mask, edge: _Edge, middle: Grid, grid: Grid, params: CellParams) -> Mask:
    """Bright spots at a body that lie outside of its edge: migrasomes that touch it, not endosomes within its rim."""
    out = np.zeros(mask.shape, np.uint8)
    small = to_shape(mask, middle.shape)
    smooth = gaussian(image, middle.px(_SPOT_SIGMA_UM))
    summit = smooth >= cv2.dilate(smooth, disc(middle.px(_SPOT_REACH_UM)))
    # the edge without what sticks to it: a larger disc takes off the largest migrasomes
    plain = _open(small, middle.px(_BEAD_REACH_UM / 2))
    beyond = cv2.erode(plain.astype(np.uint8), disc(1.0), borderValue=1) == 0
    inner = edge.inner if edge.inner.shape == middle.shape else resize(edge.inner, middle.shape)
    beside, _ = masked_gaussian(low, plain.astype(np.float32), middle.px(_ALONG_UM))
    # texture and noise of the bodies themselves say which spots mean something
    excess = smooth - gaussian(image, middle.px(3 * _SPOT_SIGMA_UM))
    usual = 1.4826 * quantile(np.abs(excess[plain])) if plain.any() else 0.0
    found = summit & small & beyond & (inner > 0) & (smooth > params.bead_contrast * inner) & (smooth > beside)
    found &= excess > _SPOT_EXCESS * inner + 4 * usual
    if not found.any():
        return out > 0
    # the nearest dish lies on the far side of a bead: at its radius
    depth = depth_um(small, 1.0)
    scale = grid.shape[0] / middle.shape[0]
    for row, column in np.argwhere(found):
        radius = (depth[row, column] + 0.5) * scale
        centre = (round((column + 0.5) * scale - 0.5), round((row + 0.5) * scale - 0.5))
        if radius * grid.pixel_um < _BEAD_REACH_UM / 2:
            cv2.circle(out, centre, max(1, round(radius)), 1, -1)
    return out > 0


def _without_specks(core: Mask, grid: Grid, params: CellParams) -> Mask:
    """Mask without parts smaller than any body: large beads that only touch one."""
    n, parts = cv2.connectedComponents(core.astype(np.uint8), connectivity=4)
    kept = np.bincount(parts.ravel(), minlength=n) * grid.pixel_um**2 > np.pi * params.opening_um**2
    kept[0] = False
    return np.asarray(kept[parts])


def _restored(mask: Mask, core: Mask, fine: Image, edge: _Edge, grid: Grid, params: CellParams) -> Mask:
    """What the opening took from a body and not from a bead or fiber: its pointed ends and small corners."""
    lost = mask & ~core
    bright = fine > params.bead_contrast * edge.inner
    grown = cv2.dilate(core.astype(np.uint8), disc(grid.px(_CORNER_UM))) > 0
    corners = lost & grown & ~bright
    tips = _open(mask, grid.px(params.tip_um / 2)) & lost
    n, pieces = cv2.connectedComponents(tips.astype(np.uint8), connectivity=4)
    own = pieces[tips]
    is_tip = np.bincount(own, bright[tips], minlength=n) <= 0.2 * np.bincount(own, minlength=n)
    # a tip is widest where it begins, and begins where the opening disc just fitted; a bead hangs on a narrower neck
    depth = depth_um(mask, grid.pixel_um)
    start = tips & (cv2.dilate(core.astype(np.uint8), disc(1.5)) > 0)
    is_tip &= np.bincount(pieces[start & (depth > _TIP_START * params.bead_um / 2)], minlength=n) > 0
    is_tip[0] = False
    return corners | is_tip[pieces]
