"""Blobs of any size: maxima over place and scale of differences of Gaussians.

Each octave of scales is searched at the resolution that it needs, and the first one, which needs the most, tile by
tile: a tile stays in the cache from the first blur to the last comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import gaussian
from migradetect.filters._scale_space import BlobScales

__all__ = ["blob_maxima", "blob_responses"]

Image = NDArray[np.float32]
Array = NDArray[np.float64]

#: A Gaussian of this sigma, in pixels, is still sampled finely enough: from here on every second pixel will do.
_FINEST_PX = 2.0
#: Share of a kernel below which nothing is near.
_LEAST_SUPPORT = np.float32(1e-3)
#: Rows and columns of a tile, even: its planes fit into the cache.
_TILE = (192, 384)
#: A scale that is not known.
_NO_PLANE: Image = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class _Planes:
    """Scales of one octave on one grid; each plane of shape (Y', X').

    Parameters
    ----------
    totals : list of ndarray
        Gaussian sums over the pixels that count, n + 1 of them.
    supports : list of ndarray or None
        Share of the kernel that fell on counted pixels; None where all count.
    responses : list of ndarray
        Differences of Gaussians, n.
    """

    totals: list[Image]
    supports: list[Image] | None
    responses: list[Image]

    @classmethod
    def of(cls, total: Image, support: Image | None, sigmas_px: NDArray[np.float64]) -> _Planes:
        """Scales from the first on, each Gaussian made from the one before; sigmas in pixels of this grid."""
        totals, supports = [total], None if support is None else [support]
        for fine, coarse in pairwise(sigmas_px):
            more = float(np.sqrt(coarse**2 - fine**2))
            totals.append(gaussian(totals[-1], more))
            if supports is not None:
                supports.append(gaussian(supports[-1], more))
        if supports is None:
            responses = [fine - coarse for fine, coarse in pairwise(totals)]
        else:
            responses = [
                _difference(totals[k], supports[k], totals[k + 1], supports[k + 1]) for k in range(len(totals) - 1)
            ]
        return cls(totals, supports, responses)


@njit(cache=True, nogil=True, error_model="numpy")
def _difference(fine: Image, support: Image, coarse: Image, wider: Image) -> Image:  # pragma: no cover (numba)
    """Difference of two means, times the square root of the support.

    Half a kernel on counted pixels means half the samples: the root keeps the noise at 1 or below.
    """
    height, width = fine.shape
    out = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            near = support[y, x]
            difference = (fine[y, x] / near - coarse[y, x] / wider[y, x]) * np.sqrt(near)
            out[y, x] = difference if near > _LEAST_SUPPORT else np.float32(0)
    return out


@dataclass(frozen=True)
class _Octave:
    """Numbers of the scales that are searched on one grid of every `step`-th pixel."""

    step: int
    first: int
    n: int

    @classmethod
    def all(cls, sigmas_px: tuple[float, ...]) -> Iterator[_Octave]:
        """Octaves that hold all differences of these Gaussians."""
        first, step = 0, 1
        while first < len(sigmas_px) - 1:
            n = 1
            while first + n < len(sigmas_px) - 1 and sigmas_px[first + n] < _FINEST_PX * step:
                n += 1
            yield cls(step, first, n)
            first, step = first + n, 2 * step

    def sigmas(self, scales: BlobScales) -> Array:
        """Gaussians of this octave in its pixels: n + 1, and one more for the neighbour of the last scale."""
        return np.array(scales.sigmas_px[self.first : self.first + self.n + 2]) / self.step


def blob_responses(snr_image: Image, weight: Image, scales: BlobScales) -> list[tuple[int, Image]]:
    """Differences of Gaussians of a constant ratio: scale-normalised Laplacians, largest at the scale of the blob.

    Gaussians are made from one another, and from the scale on at which half the pixels tell as much, on half of them
    (Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94).

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with white noise of standard deviation 1, 0 where the weight is.
    weight : ndarray, shape (Y, X)
        1 where a pixel counts, 0 inside cell bodies.
    scales : BlobScales
        S Gaussians.

    Returns
    -------
    list of (int, ndarray)
        S - 1 times the step of the grid (every 1st, 2nd, 4th ... pixel from pixel 0) and the response: contrast of a
        blob of this scale, in the units of the image; bright blobs are positive. Its noise is
        :attr:`BlobScales.noise`. Only the contrast peaks at the scale of a blob: divided by the noise, which falls with
        the scale, the response to a bead on a line goes on rising along the line.
    """
    out = []
    total, support = gaussian(snr_image, scales.sigmas_px[0]), gaussian(weight, scales.sigmas_px[0])
    for octave in _Octave.all(scales.sigmas_px):
        planes = _Planes.of(total, support, octave.sigmas(scales))
        out += [(octave.step, response) for response in planes.responses[: octave.n]]
        assert planes.supports is not None
        total, support = _every_second(planes.totals[octave.n]), _every_second(planes.supports[octave.n])
    return out


def blob_maxima(snr_image: Image, weight: Image, scales: BlobScales, min_snr: float) -> Array:
    """Maxima over place and scale of the responses of :func:`blob_responses`.

    Parameters
    ----------
    snr_image, weight, scales
        As for :func:`blob_responses`.
    min_snr : float
        Least response over its noise.

    Returns
    -------
    ndarray, shape (N, 5)
        Number of the scale, y and x in pixels, all three sub-step by parabolas; response; and roundness, the curvature
        along over the curvature across at this scale: 0 on a line, 1 on a disc. In the order of scales and places.
    """
    least = np.float32(min_snr) * scales.noise
    octaves = list(_Octave.all(scales.sigmas_px))
    total, support, finer, rows = _search_tiles(snr_image, weight, scales, octaves[0], least)
    found = [rows]
    for octave in octaves[1:]:
        planes = _Planes.of(total, support, octave.sigmas(scales))
        rows = _search(planes, octave, finer, least, (0, total.shape[0], 0, total.shape[1]))
        rows[:, 1:3] *= octave.step
        found.append(rows)
        assert planes.supports is not None
        n = octave.n
        total, support = _every_second(planes.totals[n]), _every_second(planes.supports[n])
        finer = _every_second(planes.responses[n - 1])
    return np.concatenate(found)


def _every_second(plane: Image) -> Image:
    return np.ascontiguousarray(plane[::2, ::2])


def _search_tiles(
    image: Image, weight: Image, scales: BlobScales, octave: _Octave, least: NDArray[np.float32]
) -> tuple[Image, Image, Image, Array]:
    """Sums, support and last response of the first octave on the grid of the next, and what was found in it."""
    sigmas = octave.sigmas(scales)
    # what is blurred in from the edge of a tile does not reach what is kept of it
    halo = 2 * int(np.ceil(2.6 * sigmas[-1]))
    half = tuple((n + 1) // 2 for n in image.shape)
    total, support, finer = np.empty(half, np.float32), np.ones(half, np.float32), np.empty(half, np.float32)
    found = []
    for top in range(0, image.shape[0], _TILE[0]):
        for left in range(0, image.shape[1], _TILE[1]):
            bottom, right = min(top + _TILE[0], image.shape[0]), min(left + _TILE[1], image.shape[1])
            y0, x0 = max(0, top - halo), max(0, left - halo)
            box = np.s_[y0 : bottom + halo, x0 : right + halo]
            counted = None if weight[box].all() else gaussian(weight[box], float(sigmas[0]))
            planes = _Planes.of(gaussian(image[box], float(sigmas[0])), counted, sigmas)
            region = (top - y0, bottom - y0, left - x0, right - x0)
            found.append(_search(planes, octave, _NO_PLANE, least, region) + np.array([0, y0, x0, 0, 0]))
            inner = np.s_[region[0] : region[1] : 2, region[2] : region[3] : 2]
            there = np.s_[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
            total[there], finer[there] = planes.totals[octave.n][inner], planes.responses[octave.n - 1][inner]
            if planes.supports is not None:
                support[there] = planes.supports[octave.n][inner]
    rows = np.concatenate(found)
    # in the order of scales and places, whatever the tiles
    return total, support, finer, rows[np.lexsort((rows[:, 2], rows[:, 1], np.rint(rows[:, 0])))]


def _search(
    planes: _Planes, octave: _Octave, finer: Image, least: NDArray[np.float32], region: tuple[int, int, int, int]
) -> Array:
    """Maxima of the scales of an octave in a region, as rows of :func:`blob_maxima` in pixels of this grid.

    `finer` is the scale before the first, on the same grid.
    """
    out = []
    for k in range(octave.n):
        below = planes.responses[k - 1] if k else finer
        above = planes.responses[k + 1] if k + 1 < len(planes.responses) else _NO_PLANE
        support = _NO_PLANE if planes.supports is None else planes.supports[k]
        number = octave.first + k
        rows = _maxima(planes.responses[k], below, above, planes.totals[k], support, least[number], region)
        rows[:, 0] += number
        out.append(rows)
    return np.concatenate(out)


@njit(cache=True, nogil=True)
def _is_highest(v: float, plane: Image, y: int, x: int, ties: bool) -> bool:  # pragma: no cover (numba)
    """No pixel of the 3 x 3 on a neighbouring scale is higher; nor as high, if `ties`."""
    if plane.size == 0:
        return True
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            w = plane[y + dy, x + dx]
            if w > v or (ties and w == v):
                return False
    return True


@njit(cache=True, nogil=True)
def _summit(before: float, middle: float, after: float) -> float:  # pragma: no cover (numba)
    """Place of the top of a parabola through three values one step apart, -0.5 to 0.5."""
    bend = before - 2 * middle + after
    return min(0.5, max(-0.5, 0.5 * (before - after) / bend)) if bend < 0 else 0.0


@njit(cache=True, nogil=True)
def _roundness(total: Image, support: Image, y: int, x: int) -> float:  # pragma: no cover (numba)
    """Curvature along over curvature across: 0 on a line, 1 on a disc."""
    m = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            m[i, j] = total[y + i - 1, x + j - 1]
            if support.size:
                m[i, j] /= max(support[y + i - 1, x + j - 1], _LEAST_SUPPORT)
    yy, xx = m[0, 1] - 2 * m[1, 1] + m[2, 1], m[1, 0] - 2 * m[1, 1] + m[1, 2]
    xy = 0.25 * (m[2, 2] - m[2, 0] - m[0, 2] + m[0, 0])
    mean, root = 0.5 * (xx + yy), np.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
    across, along = root - mean, -(mean + root)
    return along / max(across, 1e-9) if across > 0 else 0.0


@njit(cache=True, nogil=True)
def _maxima(
    plane: Image,
    below: Image,
    above: Image,
    total: Image,
    support: Image,
    least: float,
    region: tuple[int, int, int, int],
) -> Array:  # pragma: no cover (numba)
    """Maxima of one scale above a threshold, and not below the neighbouring scales.

    Rows of place between the scales, y, x, response and roundness. Of equal neighbours the first is the maximum, so
    that a flat top has one. A neighbour without pixels is not known.
    """
    height, width = plane.shape
    out = np.empty((64, 5))
    n = 0
    for y in range(max(2, region[0]), min(height - 2, region[1])):
        up, row, down = plane[y - 1], plane[y], plane[y + 1]
        for x in range(max(2, region[2]), min(width - 2, region[3])):
            v = row[x]
            if v < least or v <= row[x - 1] or v < row[x + 1]:
                continue
            if v <= up[x - 1] or v <= up[x] or v <= up[x + 1] or v < down[x - 1] or v < down[x] or v < down[x + 1]:
                continue
            if not (_is_highest(v, below, y, x, True) and _is_highest(v, above, y, x, False)):
                continue
            if n == len(out):
                longer = np.empty((2 * n, 5))
                longer[:n] = out
                out = longer
            out[n, 0] = _summit(below[y, x], v, above[y, x]) if above.size and below.size else 0.0
            out[n, 1], out[n, 2] = y + _summit(up[x], v, down[x]), x + _summit(row[x - 1], v, row[x + 1])
            out[n, 3], out[n, 4] = v, _roundness(total, support, y, x)
            n += 1
    return out[:n]
