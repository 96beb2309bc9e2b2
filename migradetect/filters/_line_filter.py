"""The response to bright lines, computed where lines are.

Nine pixels in ten of a frame are far from any line. A response that is averaged along a line can only be high where
single pixels on that line are curved: so lines are sought at the crests of the curvature, and followed from there.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._interpolate import bilinear

__all__ = ["LineFilter"]

Image = NDArray[np.float32]
Plane = NDArray[np.uint8]
#: Places in a raveled image.
Places = NDArray[np.int64]

#: The local direction is noisy: directions up to 40 degrees from it are tried, this far apart, rad.
_TURN_RAD = 0.23
_N_TURNS = 3
_COSINES, _SINES = np.cos(_TURN_RAD * np.arange(_N_TURNS + 1)), np.sin(_TURN_RAD * np.arange(_N_TURNS + 1))
#: Response of a line so clear that where it is less to either side of the local direction no other one is tried.
_CLEAR = 8.0
#: The five parts of a line in the order in which they are read.
_ORDER = (0, 4, 1, 3, 2)
#: A median of parts is not as sharp as the mean, of which the noise is known.
_MEDIAN_NOISE = 1.2
#: Gaps of a line are crossed where its crest goes on within this many pixels.
_GAP_PX = 3
#: Of the pixels in three parts of a line the most curved one is above the mean by more than this.
_MOST_CURVED = 1.1
#: Pixels at the edge of an image of which nothing is computed.
_EDGE_PX = 2
#: Binary fractions of a pixel.
_BITS = 32
_ONE, _HALF = 1 << _BITS, 1 << (_BITS - 1)


class LineFilter:
    """Curvature across the best line through a pixel, averaged along the line, in units of its noise.

    The line has five parts, and the median part speaks for it: a bright bead beside the line, or another line that
    crosses, fills one part or two. `response` and `angle_rad` hold what was computed so far.

    Parameters
    ----------
    smooth : ndarray of float32, shape (Y, X)
        Image smoothed at the scale of the line.
    gate : ndarray, shape (Y, X)
        Above 0 where a pixel counts.
    n : int
        Half length of the average, px.
    noise : float
        Standard deviation of the plain average of noise alone.
    least : float
        Pixels with less curvature than this are no line.

    Attributes
    ----------
    response : ndarray of float32, shape (Y, X)
        In units of its noise; 0 where there is no line and where it was not computed.
    angle_rad : ndarray of float32, shape (Y, X)
        Direction across the line, atan2(y, x); 0 where the response is 0.
    """

    def __init__(self, smooth: Image, gate: NDArray[Any], n: int, noise: float, least: float) -> None:
        self._smooth = np.ascontiguousarray(smooth, np.float32)
        self._counts = np.array(gate, np.bool_).view(np.uint8)
        # curvature needs a neighbour on each side
        for edge in (self._counts[:1], self._counts[-1:], self._counts[:, :1], self._counts[:, -1:]):
            edge[...] = 0
        # where every pixel of every line counts nothing has to be asked on the way
        self._whole = np.asarray(cv2.erode(self._counts, np.ones((2 * n + 1, 2 * n + 1), np.uint8)), np.uint8)
        self._known = np.zeros(smooth.shape, np.uint8)
        self._settings = (n, _MEDIAN_NOISE * noise, least)
        self.response: Image = np.zeros(smooth.shape, np.float32)
        self.angle_rad: Image = np.zeros(smooth.shape, np.float32)

    @property
    def _planes(self) -> tuple[Image, Plane, Plane]:
        return self._smooth, self._counts, self._whole

    def compute(self, places: Places, floor: float = 0.0) -> None:
        """Compute some pixels, those that were computed before left out unless their response was 0.

        Parameters
        ----------
        places : ndarray of int, shape (N,)
            Places in the raveled image.
        floor : float
            Responses up to this one may be given as 0: that a pixel has less is found sooner than what it has.
        """
        fresh = places[self.response.ravel()[places] == 0]
        _compute(self._planes, self._settings, floor, fresh, self._known, self.response, self.angle_rad)

    def compute_new(self, places: Places, floor: float) -> None:
        """Compute those of some pixels that no call has computed yet, with whatever floor."""
        self.compute(places[self._known.ravel()[places] == 0], floor)

    def compute_all(self) -> None:
        """Compute every pixel of the image."""
        self.compute(np.flatnonzero(self._counts.view(np.bool_)))

    def follow(self, high: float, low: float, floor: float) -> Places:
        """Find the lines that reach a response somewhere and follow them down to a lower one.

        Where the response is above `high`, so are three parts of the line, and each of them holds a pixel that is
        curved as much, one of them more: there the search starts, at the crests of the curvature.

        Parameters
        ----------
        high, low : float
            Responses.
        floor : float
            Responses beside a line up to this one may be given as 0.

        Returns
        -------
        ndarray of int
            Places with a response above `low` in the raveled image, in ascending order.
        """
        _, unit, least = self._settings
        seeds = _curved_crests(self._smooth, self._counts, max(_MOST_CURVED * high * unit, least))
        found = _follow(self._planes, self._settings, (low, floor), seeds, self._known, self.response, self.angle_rad)
        return np.sort(found)

    def crests(self, places: Places) -> NDArray[np.bool_]:
        """Whether there is no more response on either side, across the line, at each place; shape (N,)."""
        return _crests(self.response, self.angle_rad, places)


@njit(cache=True, nogil=True)
def _median(parts: NDArray[np.float64], m: int) -> float:  # pragma: no cover (numba)
    """Median of the first `m` values, 3 to 5."""
    a, b, c = parts[0], parts[1], parts[2]
    if m == 3:
        return max(min(a, b), min(max(a, b), c))
    # neither the least nor the largest of four: two candidates for the middle
    d = parts[3]
    low, high = max(min(a, b), min(c, d)), min(max(a, b), max(c, d))
    if m == 4:
        return 0.5 * (low + high)
    return max(min(low, high), min(max(low, high), parts[4]))


@njit(cache=True, nogil=True)
def _is_crest(response: Image, angle: Image, y: int, x: int) -> bool:  # pragma: no cover (numba)
    """Whether a pixel has no less response than what is on either side, across the line."""
    height, width = response.shape
    v = response[y, x]
    if v <= 0 or not (_EDGE_PX <= y < height - _EDGE_PX and _EDGE_PX <= x < width - _EDGE_PX):
        return False
    s, c = np.sin(angle[y, x]), np.cos(angle[y, x])
    return bilinear(response, y + s, x + c) <= v and bilinear(response, y - s, x - c) <= v


@njit(cache=True, nogil=True)
def _crests(response: Image, angle: Image, places: Places) -> NDArray[np.bool_]:  # pragma: no cover (numba)
    width = response.shape[1]
    crest = np.zeros(places.size, np.bool_)
    for i in range(places.size):
        crest[i] = _is_crest(response, angle, places[i] // width, places[i] % width)
    return crest


@njit(cache=True, nogil=True)
def _curved_crests(smooth: Image, counts: Plane, least: float) -> Places:  # pragma: no cover (numba)
    """Places where the largest curvature is at least that of their two neighbours across, and above `least`."""
    height, width = smooth.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    curvature = np.zeros((3, width), np.float32)
    out = np.empty(height * width // 2 + 1, np.int64)
    m = 0
    for below in range(1, height - 1):
        a, b, c, row = smooth[below - 1], smooth[below], smooth[below + 1], curvature[below % 3]
        for x in range(1, width - 1):
            xx, yy = b[x - 1] - b[x] - b[x] + b[x + 1], a[x] - b[x] - b[x] + c[x]
            xy = quarter * (c[x + 1] - c[x - 1] - a[x + 1] + a[x - 1])
            row[x] = np.sqrt((half * (xx - yy)) ** 2 + xy * xy) - half * (xx + yy)
        y = below - 1
        if y < _EDGE_PX:
            continue
        up, here, down = curvature[(y - 1) % 3], curvature[y % 3], curvature[below % 3]
        for x in range(_EDGE_PX, width - _EDGE_PX):
            v = here[x]
            if v <= least or counts[y, x] == 0:
                continue
            # twice the angle across the line has the cosine yy - xx and the sine -2 xy
            cosine = smooth[y - 1, x] + smooth[y + 1, x] - smooth[y, x - 1] - smooth[y, x + 1]
            sine = half * (smooth[y + 1, x - 1] + smooth[y - 1, x + 1] - smooth[y + 1, x + 1] - smooth[y - 1, x - 1])
            if abs(cosine) > abs(sine):
                crest = max(here[x - 1], here[x + 1]) <= v if cosine > 0 else max(up[x], down[x]) <= v
            else:
                crest = max(up[x - 1], down[x + 1]) <= v if sine > 0 else max(up[x + 1], down[x - 1]) <= v
            if crest:
                out[m] = y * width + x
                m += 1
    return out[:m].copy()


@njit(cache=True, nogil=True, fastmath={"contract"})
def _across(
    flat: NDArray[np.float32], row: int, steps: Places, first: int, last: int, weights: tuple[float, float, float]
) -> float:  # pragma: no cover (numba)
    """Curvature across a line, added over some of its pixels; the steps lead there."""
    xx, yy, xy = weights
    middle = 2 * (xx + yy)
    total = np.float32(0)
    for j in range(first, last):
        p = steps[np.uintp(j)]
        # one sum a pixel: the next one need not wait for it
        straight = xx * (flat[np.uintp(p - 1)] + flat[np.uintp(p + 1)])
        straight += yy * (flat[np.uintp(p - row)] + flat[np.uintp(p + row)])
        diagonal = (flat[np.uintp(p - row - 1)] - flat[np.uintp(p - row + 1)]) + (
            flat[np.uintp(p + row + 1)] - flat[np.uintp(p + row - 1)]
        )
        total += middle * flat[np.uintp(p)] - straight - xy * diagonal
    return float(total)


@njit(cache=True, nogil=True)
def _best_line(
    planes: tuple[Image, Plane, Plane],
    settings: tuple[int, float, float],
    floor: float,
    place: int,
    scratch: tuple[Places, Places, NDArray[np.float64]],
) -> tuple[float, float]:  # pragma: no cover (numba)
    """Response of the best line through a pixel, 0 where it is not above `floor`, and its direction across."""
    smooth, counts, whole = planes
    n, unit, least = settings
    steps, ends, parts = scratch
    height, width = smooth.shape
    y, x = place // width, place % width
    if not (_EDGE_PX <= y < height - _EDGE_PX and _EDGE_PX <= x < width - _EDGE_PX) or counts[y, x] == 0:
        return 0.0, 0.0
    v = smooth[y, x]
    xx, yy = smooth[y, x - 1] - v - v + smooth[y, x + 1], smooth[y - 1, x] - v - v + smooth[y + 1, x]
    xy = np.float32(0.25) * (smooth[y + 1, x + 1] - smooth[y + 1, x - 1] - smooth[y - 1, x + 1] + smooth[y - 1, x - 1])
    if np.sqrt((0.5 * (xx - yy)) ** 2 + xy * xy) - 0.5 * (xx + yy) < least:
        return 0.0, 0.0
    local = 0.5 * np.arctan2(-2 * xy, yy - xx)
    c0, s0 = np.cos(local), np.sin(local)
    flat = smooth.ravel()
    is_whole = whole[y, x] != 0
    found = False
    best, best_angle = floor * unit, 0.0
    # the local direction is the likeliest: the others then only have to be shown to be worse
    for turn in range(2 * _N_TURNS + 1):
        sign = 1 - 2 * (turn & 1)
        off = sign * ((turn + 1) // 2) * _TURN_RAD
        ct, st = _COSINES[(turn + 1) // 2], sign * _SINES[(turn + 1) // 2]
        c, s = c0 * ct - s0 * st, s0 * ct + c0 * st
        weights = np.float32(c * c), np.float32(s * s), np.float32(0.5 * c * s)
        # places along the line in whole pixels, in binary fractions: rounding floats is the slow part
        cy, cx = int(c * _ONE), int(s * _ONE)
        steps[n] = place
        for j in range(1, n + 1):
            dy, dx = (j * cy + _HALF) >> _BITS, -((j * cx + _HALF) >> _BITS)
            step = dy * width + dx
            steps[np.uintp(n + j)], steps[np.uintp(n - j)] = place + step, place - step
            if not is_whole:
                if not (0 <= y + dy < height and 0 <= x + dx < width and counts[y + dy, x + dx]):
                    steps[n + j] = -1
                if not (0 <= y - dy < height and 0 <= x - dx < width and counts[y - dy, x - dx]):
                    steps[n - j] = -1
        m = too_low = 0
        # the far parts first: by them noise gives itself away. With three parts too low so is the median.
        for k in range(5):
            part = _ORDER[k]
            first, last = ends[part], ends[part + 1]
            if is_whole:
                value = _across(flat, width, steps, first, last, weights) / (last - first)
            else:
                value, inside = 0.0, 0
                for j in range(first, last):
                    if steps[j] >= 0:
                        value += _across(flat, width, steps, j, j + 1, weights)
                        inside += 1
                if inside == 0:
                    continue
                value /= inside
            parts[m] = value
            m += 1
            if value <= best:
                too_low += 1
                if too_low == 3:
                    break
        if m < 3 or too_low == 3:
            continue
        value = _median(parts, m) * np.sqrt(m / 5)
        if value > best:
            best, best_angle, found = value, local + off, True
        if turn == 2 and best_angle == local and best > _CLEAR * unit:
            break
    return (best / unit, best_angle) if found else (0.0, 0.0)


@njit(cache=True, nogil=True)
def _scratch(n: int) -> tuple[Places, Places, NDArray[np.float64]]:  # pragma: no cover (numba)
    """Room for the places along a line, where its five parts begin, and room for their values."""
    return np.empty(2 * n + 1, np.int64), (2 * n + 1) * np.arange(6) // 5, np.empty(5)


@njit(cache=True, nogil=True)
def _compute(
    planes: tuple[Image, Plane, Plane],
    settings: tuple[int, float, float],
    floor: float,
    places: Places,
    known: Plane,
    response: Image,
    angle: Image,
) -> None:  # pragma: no cover (numba)
    width = response.shape[1]
    scratch = _scratch(settings[0])
    for i in range(places.size):
        y, x = places[i] // width, places[i] % width
        response[y, x], angle[y, x] = _best_line(planes, settings, floor, places[i], scratch)
        known[y, x] = 1


@njit(cache=True, nogil=True)
def _follow(
    planes: tuple[Image, Plane, Plane],
    settings: tuple[int, float, float],
    limits: tuple[float, float],
    seeds: Places,
    known: Plane,
    response: Image,
    angle: Image,
) -> Places:  # pragma: no cover (numba)
    """Compute seeds and, while there is a line, what is near; places with a response above the first limit."""
    low, floor = limits
    height, width = response.shape
    scratch = _scratch(settings[0])
    found = np.empty(height * width, np.int64)
    m = done = n_crossed = 0
    for seed in seeds:
        if known[seed // width, seed % width]:
            continue
        # a seed that fails is not known yet: it may be beside a line, where the lower floor holds
        value, direction = _best_line(planes, settings, low, seed, scratch)
        if value <= low:
            continue
        known[seed // width, seed % width] = 1
        response[seed // width, seed % width], angle[seed // width, seed % width] = value, direction
        found[m] = seed
        m += 1
        # what touches a line comes first: then its crest is known, and from there a gap is crossed
        while n_crossed < m:
            if done < m:
                place, margin = found[done], 1
                done += 1
            else:
                place, margin = found[n_crossed], _GAP_PX
                n_crossed += 1
            y, x = place // width, place % width
            if margin > 1 and not _is_crest(response, angle, y, x):
                continue
            for v in range(max(y - margin, 0), min(y + margin + 1, height)):
                for u in range(max(x - margin, 0), min(x + margin + 1, width)):
                    if known[v, u]:
                        continue
                    known[v, u] = 1
                    response[v, u], angle[v, u] = _best_line(planes, settings, floor, v * width + u, scratch)
                    if response[v, u] > low:
                        found[m] = v * width + u
                        m += 1
    return found[:m].copy()
