"""The edge of bodies: its levels inside and outside, and what they make of an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.cells._grid import Grid, eroded, grown
from migradetect.filters import gaussian

__all__ = ["Edge", "band_levels", "bilinear_at", "levels_at", "summits_in"]

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: An edge is judged by what lies up to this far inside and from here to here outside of it, um: past the blur, and not
#: far into the body.
_INNER_UM = 1.0
_OUTER_UM = (0.3, 1.3)
#: Its levels are averaged along it over this Gaussian sigma, um: more than a bead or fiber, less than a lamellipodium.
_ALONG_UM = 1.0
#: An outline moves by this much in one step at most, um.
_REACH_UM = 1.2
#: Levels are as smooth as this Gaussian sigma, in pixels of their own grid, at least.
_LEAST_SIGMA_PX = 1.2
#: Pixels for one of the levels at most, along an axis.
_MOST = 3
#: Zones of an image by the nearest edge.
_FAR, _NEAR, _DEEP = 0, 1, 2


@dataclass(frozen=True)
class Edge:
    """Levels inside and outside of the nearest edge, and which pixels it decides about."""

    inner: Image
    outer: Image
    zone: NDArray[np.uint8]
    """0 beyond the reach of the edge, 1 within, 2 inside beyond its reach; on the grid of the image, shape (Y, X)."""
    step: float
    """Pixels of the levels for one of the zone: levels are smooth, and a coarser grid holds them."""

    @classmethod
    def of(cls, low: Image, mask: Mask, grid: Grid) -> Edge:
        """Edge of a mask in an image without thin details."""
        pixel = grid.pixel_um
        inside = mask > eroded(mask, _INNER_UM, pixel)
        outside = grown(mask, _OUTER_UM[1], pixel) > grown(mask, _OUTER_UM[0], pixel)
        inner, outer, step = band_levels(low, inside, outside, grid)
        zone = grown(mask, _REACH_UM, pixel).view(np.uint8) + eroded(mask, _REACH_UM, pixel).view(np.uint8)
        return cls(inner, np.maximum(outer, 0), zone, step)

    def on(self, grid: Grid) -> Edge:
        """The same for an image on another grid."""
        if self.zone.shape == grid.shape:
            return self
        zone = cv2.resize(self.zone, grid.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return replace(self, zone=np.asarray(zone), step=self.step * self.zone.shape[0] / grid.shape[0])

    def height(self, image: Image, floor: Image, fraction: float) -> Image:
        """Image over the level that parts body from dish, less 1: above 0 is body; from -1 to 1, shape (Y, X)."""
        return np.asarray(
            _height(image, self.zone, self.inner, self.outer, self.step, floor, fraction), dtype=np.float32
        )


def band_levels(low: Image, inside: Mask, outside: Mask, grid: Grid) -> tuple[Image, Image, float]:
    """Mean of an image over each of two bands near each place, and pixels of these levels for one of the image."""
    sigma = grid.px(_ALONG_UM)
    k = max(1, min(_MOST, int(sigma / _LEAST_SIGMA_PX)))
    # adding over squares is itself a blur of variance (k^2 - 1) / 12
    sigma = float(np.sqrt(sigma**2 - (k * k - 1) / 12)) / k
    sums = [gaussian(plane, sigma) for plane in _summed(low, inside, outside, k)]
    return _ratio(sums[0], sums[1]), _ratio(sums[2], sums[3]), 1 / k


@njit(cache=True, nogil=True)
def _summed(low: Any, inside: Any, outside: Any, k: int) -> Any:  # pragma: no cover (numba)
    """Means over squares of k pixels: image within one band, this band, image within the other, the other."""
    height, width = low.shape
    out = np.zeros((4, (height + k - 1) // k, (width + k - 1) // k), np.float32)
    share = np.float32(1 / (k * k))
    for y in range(height):
        i = y // k
        for x in range(width):
            if inside[y, x]:
                out[0, i, x // k] += share * low[y, x]
                out[1, i, x // k] += share
            elif outside[y, x]:
                out[2, i, x // k] += share * low[y, x]
                out[3, i, x // k] += share
    return out


@njit(cache=True, nogil=True)
def _ratio(total: Any, support: Any) -> Any:  # pragma: no cover (numba)
    """Total over support; 0 where there is next to none."""
    out = np.zeros(total.shape, np.float32)
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            if support[y, x] > 1e-3:
                out[y, x] = total[y, x] / support[y, x]
    return out


@njit(cache=True, nogil=True, inline="always")
def bilinear_at(image: Any, y: float, x: float) -> float:  # pragma: no cover (numba)
    """Value between pixels; beyond the edges that of the edge."""
    y = min(max(y, 0.0), image.shape[0] - 1.0)
    x = min(max(x, 0.0), image.shape[1] - 1.0)
    i, j = min(int(y), max(image.shape[0] - 2, 0)), min(int(x), max(image.shape[1] - 2, 0))
    k, m = min(i + 1, image.shape[0] - 1), min(j + 1, image.shape[1] - 1)
    v, u = y - i, x - j
    return (1 - v) * ((1 - u) * image[i, j] + u * image[i, m]) + v * ((1 - u) * image[k, j] + u * image[k, m])


@njit(cache=True, nogil=True)
def _height(
    image: Any, zone: Any, inner: Any, outer: Any, step: float, floor: Any, fraction: float
) -> Any:  # pragma: no cover (numba)
    """Image over the level that parts body from dish, less 1."""
    out = np.empty(image.shape, np.float32)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if zone[y, x] != _NEAR:
                out[y, x] = 1 if zone[y, x] == _DEEP else -1
                continue
            v, u = (y + 0.5) * step - 0.5, (x + 0.5) * step - 0.5
            body, dish = bilinear_at(inner, v, u), bilinear_at(outer, v, u)
            # where it is nearly as bright outside there is no edge yet: the body goes on
            dish *= min(max((0.75 * body - dish) / max(0.2 * body, 1e-6), 0.0), 1.0)
            level = max(dish + fraction * (body - dish), floor[y, x])
            out[y, x] = min(max(image[y, x] / max(level, 1e-6) - 1, -1.0), 1.0)
    return out


@njit(cache=True, nogil=True)
def levels_at(level: Any, y: Any, x: Any, step: float) -> Any:  # pragma: no cover (numba)
    """Level at pixels of a grid with `step` pixels of the level for one of its own."""
    out = np.empty(y.size, np.float32)
    for k in range(y.size):
        out[k] = bilinear_at(level, (y[k] + 0.5) * step - 0.5, (x[k] + 0.5) * step - 0.5)
    return out


@njit(cache=True, nogil=True)
def summits_in(mask: Any, image: Any, around: Any) -> Any:  # pragma: no cover (numba)
    """Rows and columns of the pixels of a mask that are the brightest within a disc around them."""
    height, width = image.shape
    r = around.shape[0] // 2
    rows, columns = [0], [0]
    for y in range(height):
        for x in range(width):
            if not mask[y, x]:
                continue
            is_summit, value = True, image[y, x]
            for i in range(max(y - r, 0), min(y + r + 1, height)):
                for j in range(max(x - r, 0), min(x + r + 1, width)):
                    if image[i, j] > value and around[i - y + r, j - x + r]:
                        is_summit = False
                        break
                if not is_summit:
                    break
            if is_summit:
                rows.append(y)
                columns.append(x)
    return np.array(rows[1:]), np.array(columns[1:])
