"""Which thick bright regions are bodies, and which are haze: a body has an edge around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.cells._drawn import regional
from migradetect.cells._edge import Edge
from migradetect.cells._grid import Grid, depth_um, eroded, nearest, padded, relabelled
from migradetect.params import CellParams

__all__ = ["without_haze"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

#: Patches of haze are smaller than the first area, um2; from the second one on this share of the usual edge will do.
_HAZE_UM2, _LARGE_EDGE = (300.0, 600.0), 0.8
#: An edge that rises slowly is judged by what lies between these distances inside and outside of the outline, um: past
#: a slope that is 2 to 4 um wide.
_INNER_UM = (1.0, 2.0)
_OUTER_UM = (1.3, 2.5)
#: Across such an edge the light falls by at least this share of what it falls between these depths, for each um:
#: the flank of haze is steepest further in, and thins out.
_DEEP_UM, _STEEP = (2.0, 4.0), 0.9
#: Height of such an edge that a region has at least, by its area, um2: a patch of haze slopes away into more haze, the
#: more slowly the larger it is.
_SOFT_UM2, _SOFT_HEIGHT = (100.0, 300.0, 600.0), (0.75, 0.6, 0.5)


def without_haze(mask: Mask, edge: Edge, grid: Grid, opened: Image, coarse: Grid, params: CellParams) -> Mask:
    """Regions as thick and large as a body and with an edge around them.

    Parameters
    ----------
    mask : ndarray of bool, shape (Y, X)
        Regions within their outlines.
    edge : Edge
        Levels at their outlines.
    grid : Grid
        Grid of the mask.
    opened : ndarray
        Signal without what is thinner than a body, on the coarse grid.
    coarse : Grid
        Its grid.
    params : CellParams
        `opening_um`, `edge_contrast`.

    Returns
    -------
    ndarray of bool, shape (Y, X)
    """
    n, regions = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    deep = eroded(mask, params.opening_um + 1e-6, grid.pixel_um)
    area, is_thick, height = regional(regions, deep, edge.inner, edge.outer, edge.step, n)
    area_um2 = area * grid.pixel_um**2
    is_large = is_thick & (area_um2 > np.pi * (1.5 * params.opening_um) ** 2)
    share = np.interp(np.log(np.maximum(area_um2, 1.0)), np.log(_HAZE_UM2), (1.0, _LARGE_EDGE))
    is_large[0] = False
    kept = is_large & (height > params.edge_contrast * share)
    doubtful = np.flatnonzero(is_large & ~kept)
    if doubtful.size:
        least = np.interp(np.log(np.maximum(area_um2[doubtful], 1.0)), np.log(_SOFT_UM2), _SOFT_HEIGHT)
        there = nearest(np.asarray(regions, np.int32), coarse.shape)
        kept[doubtful] = _soft_heights(there, doubtful, opened, coarse) > least
    return mask if kept[1:].all() else np.asarray(relabelled(regions, kept))


def _soft_heights(regions: Labels, wanted: NDArray[np.int64], image: Image, grid: Grid) -> Array:
    """Height of the edge of some regions past its slope, relative to the level inside; 0 where it is no edge."""
    out = np.zeros(wanted.size)
    boxes = ndi.find_objects(regions)
    margin = int(np.ceil(grid.px(_OUTER_UM[1]))) + 1
    for k, one in enumerate(wanted.tolist()):
        box = boxes[one - 1] if one <= len(boxes) else None
        if box is None:
            continue
        window = padded(box, margin, regions.shape)
        own, level = regions[window] == one, image[window]
        inner, outer = _band(own, _INNER_UM, grid), _band(~own, _OUTER_UM, grid) & (regions[window] == 0)
        deep = _band(own, _DEEP_UM, grid)
        if not (inner.any() and outer.any()):
            continue
        inside, outside = float(level[inner].mean()), float(level[outer].mean())
        fall = (inside - outside) / (np.mean(_INNER_UM) + np.mean(_OUTER_UM))
        fall_inside = (
            (float(level[deep].mean()) - inside) / (np.mean(_DEEP_UM) - np.mean(_INNER_UM)) if deep.any() else 0.0
        )
        if inside > 0 and fall >= _STEEP * fall_inside:
            out[k] = 1 - outside / inside
    return out


def _band(mask: Mask, um: tuple[float, float], grid: Grid) -> Mask:
    """What lies in a mask at these distances from its outside."""
    depth = depth_um(mask, grid.pixel_um)
    return np.asarray((depth > um[0]) & (depth <= um[1]))
