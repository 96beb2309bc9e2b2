"""Rings around a site, cut in sectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import bilinear
from migradetect.profiles._library import N_SECTORS, ProfileLibrary

__all__ = ["Sectors", "median_profile", "radial_profiles", "read_sectors"]

Image = NDArray[np.float32]
Array = NDArray[np.float64]


def radial_profiles(
    image: Image,
    variance: Image,
    weight: Image,
    y_px: Array,
    x_px: Array,
    library: ProfileLibrary,
    max_radius_um: Array,
) -> tuple[Array, Array]:
    """Median-of-sectors profile around each site.

    Parameters
    ----------
    image, variance : ndarray, shape (Y, X)
        Signal and its noise variance per pixel.
    weight : ndarray, shape (Y, X)
        0 where a pixel must not be read (cell bodies), else 1.
    y_px, x_px : ndarray, shape (N,)
        Sub-pixel centres.
    library : ProfileLibrary
        Gives the K radii.
    max_radius_um : ndarray, shape (N,)
        Rings beyond are not read.

    Returns
    -------
    profile : ndarray, shape (N, K)
        NaN where fewer than a third of the sectors can be read.
    error : ndarray, shape (N, K)
        Standard error of each value.
    """
    sectors = read_sectors(image, variance, weight, y_px, x_px, library, max_radius_um)
    return median_profile(sectors), sectors.error


@dataclass(frozen=True)
class Sectors:
    """What was read around N sites.

    Parameters
    ----------
    values : ndarray, shape (N, K, N_SECTORS)
        Mean of each sector of each ring; NaN where nothing could be read.
    error : ndarray, shape (N, K)
        Standard error of the median of the sectors of a ring.
    """

    values: Array
    error: Array


def read_sectors(
    image: Image,
    variance: Image,
    weight: Image,
    y_px: Array,
    x_px: Array,
    library: ProfileLibrary,
    max_radius_um: Array,
) -> Sectors:
    """Rings around each site, cut in sectors; parameters as in :func:`radial_profiles`."""
    limit = np.asarray(max_radius_um, float) / library.pixel_size_um
    y, x = np.asarray(y_px, float), np.asarray(x_px, float)
    return Sectors(*_read_sectors(image, variance, weight, y, x, library.radii_px, limit))


def median_profile(sectors: Sectors) -> Array:
    """Median of the sectors of each ring, shape (N, K); NaN where the ring could not be read."""
    return _medians(sectors.values)


@njit(cache=True, nogil=True)
def _read_sectors(
    image: Image, variance: Image, weight: Image, ys: Array, xs: Array, radii: Array, limit: Array
) -> tuple[Array, Array]:  # pragma: no cover (numba)
    height, width = image.shape
    n, k = ys.size, radii.size
    values = np.full((n, k, N_SECTORS), np.nan)
    error = np.full((n, k), np.nan)
    step = radii[1] - radii[0]
    # places on the rings are the same for all sites: sines once
    per_ring = np.maximum(2, np.ceil(2 * np.pi * radii / N_SECTORS)).astype(np.int64)
    up, right = np.empty((k, N_SECTORS * per_ring.max())), np.empty((k, N_SECTORS * per_ring.max()))
    for j in range(k):
        for s in range(N_SECTORS * per_ring[j]):
            angle = 2 * np.pi * (s + 0.5) / (N_SECTORS * per_ring[j])
            up[j, s], right[j, s] = radii[j] * np.sin(angle), radii[j] * np.cos(angle)
    for i in range(n):
        for j in range(k):
            r = radii[j]
            if r > limit[i]:
                break
            per_sector = per_ring[j]
            spread, m, valid = 0.0, 0, 0
            for s in range(N_SECTORS):
                total, count = 0.0, 0
                for q in range(per_sector):
                    y = ys[i] + up[j, s * per_sector + q]
                    x = xs[i] + right[j, s * per_sector + q]
                    y0, x0 = int(np.floor(y)), int(np.floor(x))
                    if y0 < 0 or x0 < 0 or y0 >= height - 1 or x0 >= width - 1:
                        continue
                    if weight[int(np.rint(y)), int(np.rint(x))] < 0.5:
                        continue
                    total += bilinear(image, y, x)
                    spread += variance[y0, x0]
                    count += 1
                if count > 0:
                    values[i, j, s] = total / count
                    valid += 1
                    m += count
            if valid < N_SECTORS // 3:
                values[i, j, :] = np.nan
                continue
            # independent pixels of the ring, a median costs pi / 2 in variance; a lone pixel is not more than one
            independent = max(1.0, 2 * np.pi * r * min(step, 1.0)) * valid / N_SECTORS
            error[i, j] = np.sqrt(spread / m / independent * (1.57 if r > 1.0 else 1.0))
    return values, error


@njit(cache=True, nogil=True)
def _medians(values: Array) -> Array:  # pragma: no cover (numba)
    n, k, n_sectors = values.shape
    out = np.full((n, k), np.nan)
    row = np.empty(n_sectors)
    for i in range(n):
        for j in range(k):
            valid = 0
            for s in range(n_sectors):
                v = values[i, j, s]
                if np.isnan(v):
                    continue
                # insertion sort of at most 12 values
                b = valid - 1
                while b >= 0 and row[b] > v:
                    row[b + 1] = row[b]
                    b -= 1
                row[b + 1] = v
                valid += 1
            middle = valid // 2
            if valid:
                out[i, j] = row[middle] if valid % 2 else 0.5 * (row[middle - 1] + row[middle])
    return out
