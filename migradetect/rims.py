"""What stands just outside a round object: how bright the lines are that lead to it, how dark the gaps between them.

A migrasome on a fiber is brighter than the fiber beside it; a kink or a bare end is not. A migrasome stands out on all
sides but where fibers leave; the middle of a clump doesn't.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import bilinear

__all__ = ["Rims", "read_rims"]

Image = NDArray[np.float32]
Array = NDArray[np.float64]

N_SECTORS = 16


@dataclass(frozen=True)
class Rims:
    """Brightness around N sites; every array has shape (N,)."""

    centre: Array
    """Mean within about half a pixel of the centre."""
    high: Array
    """Brightest of the sectors of the ring: the strongest line that leaves, or a neighbour."""
    opposite: Array
    """Brightest of the sectors on the other side: a line that goes on."""
    low: Array
    """Third darkest of the sectors: the background beside it."""


def read_rims(image: Image, weight: Image, y_px: Array, x_px: Array, radius_px: Array) -> Rims:
    """Read one ring around each site.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Signal above the background.
    weight : ndarray, shape (Y, X)
        0 where a pixel must not be read, else 1.
    y_px, x_px, radius_px : ndarray, shape (N,)
        Centres and radii of the rings.

    Returns
    -------
    Rims
        NaN where fewer than a third of the sectors can be read.
    """
    values = _read(image, weight, *(np.asarray(v, np.float64) for v in (y_px, x_px, radius_px)))
    return Rims(values[:, 0], values[:, 1], values[:, 2], values[:, 3])


@njit(cache=True, nogil=True)
def _read(image: Image, weight: Image, ys: Array, xs: Array, radii: Array) -> Array:  # pragma: no cover (numba)
    height, width = image.shape
    out = np.full((ys.size, 4), np.nan)
    reach = N_SECTORS // 5
    sector = np.empty(N_SECTORS)
    for i in range(ys.size):
        total, m = 0.0, 0
        for dy in (-0.5, 0.0, 0.5):
            for dx in (-0.5, 0.0, 0.5):
                y, x = ys[i] + dy, xs[i] + dx
                if 0 <= y < height - 1 and 0 <= x < width - 1:
                    total += bilinear(image, y, x)
                    m += 1
        valid = 0
        for s in range(N_SECTORS):
            value, k = 0.0, 0
            # two radii half a pixel apart and three angles: a mean over about the area of a pixel or two
            for dr in (-0.25, 0.25):
                for da in (-0.33, 0.0, 0.33):
                    angle = 2 * np.pi * (s + da) / N_SECTORS
                    y = ys[i] + (radii[i] + dr) * np.sin(angle)
                    x = xs[i] + (radii[i] + dr) * np.cos(angle)
                    if not (0 <= y < height - 1 and 0 <= x < width - 1):
                        continue
                    if weight[int(np.rint(y)), int(np.rint(x))] < 0.5:
                        continue
                    value += bilinear(image, y, x)
                    k += 1
            sector[s] = value / k if k else np.nan
            valid += k > 0
        if m == 0 or valid < N_SECTORS // 3:
            continue
        best = 0
        while np.isnan(sector[best]):
            best += 1
        for s in range(N_SECTORS):
            if sector[s] > sector[best]:
                best = s
        opposite = np.nan
        for s in range(best + N_SECTORS // 2 - reach, best + N_SECTORS // 2 + reach + 1):
            value = sector[s % N_SECTORS]
            if np.isnan(opposite) or value > opposite:
                opposite = value
        out[i, 0] = total / m
        out[i, 1] = sector[best]
        out[i, 2] = opposite
        # NaN is sorted to the end
        out[i, 3] = np.sort(sector)[min(2, valid - 1)]
    return out
