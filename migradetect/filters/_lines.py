"""Response averaged along lines of any direction."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._interpolate import bilinear
from migradetect.filters._linear import masked_gaussian

__all__ = ["along_lines", "line_response"]

Image = NDArray[np.float32]

#: The local direction is noisy: directions up to 40 degrees from it are tried, this far apart, rad.
_TURN_RAD = 0.23
_N_TURNS = 3
#: Binary fractions of a pixel.
_BITS = 32
_ONE, _HALF = 1 << _BITS, 1 << (_BITS - 1)


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
def _crests(response: Image, angle: Image) -> NDArray[np.bool_]:  # pragma: no cover (numba)
    """Pixels with no more response on either side, across the line."""
    height, width = response.shape
    crest = np.zeros((height, width), np.bool_)
    for y in range(2, height - 2):
        for x in range(2, width - 2):
            v = response[y, x]
            if v > 0:
                s, c = np.sin(angle[y, x]), np.cos(angle[y, x])
                crest[y, x] = bilinear(response, y + s, x + c) <= v and bilinear(response, y - s, x - c) <= v
    return crest


@njit(cache=True, nogil=True)
def along_lines(
    smooth: Image, gate: Image, n: int, noise: float, least: float
) -> tuple[Image, NDArray[np.bool_], Image]:  # pragma: no cover (numba)
    """Curvature across the best line through each pixel, averaged along the line, and where it is a crest.

    The line has five parts, and the median part speaks for it: a bright bead beside the line, or another line that
    crosses, fills one part or two.

    Parameters
    ----------
    smooth : ndarray, shape (Y, X)
        Image smoothed at the scale of the line.
    gate : ndarray, shape (Y, X)
        Above 0 where a pixel counts.
    n : int
        Half length of the average, px.
    noise : float
        Standard deviation of the plain average of noise alone.
    least : float
        Pixels with less curvature than this are no line.

    Returns
    -------
    response : ndarray, shape (Y, X)
        In units of its noise; 0 where there is no line.
    crest : ndarray of bool, shape (Y, X)
        Pixels with no more response on either side, across the line.
    angle_rad : ndarray, shape (Y, X)
        Direction across the line, atan2(y, x).
    """
    height, width = smooth.shape
    row = width + 2 * n
    # xx, xy, yy and 1 of each pixel that counts, side by side and framed by 0: a step along a line is one read
    packed = np.zeros(((height + 2 * n) * row, 4), np.float32)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if gate[y, x] > 0:
                c = smooth[y, x]
                one = packed[(y + n) * row + x + n]
                one[0] = smooth[y, x - 1] - 2 * c + smooth[y, x + 1]
                one[1] = 0.25 * (
                    smooth[y + 1, x + 1] - smooth[y + 1, x - 1] - smooth[y - 1, x + 1] + smooth[y - 1, x - 1]
                )
                one[2] = smooth[y - 1, x] - 2 * c + smooth[y + 1, x]
                one[3] = 1
    response = np.zeros((height, width), np.float32)
    angle = np.zeros((height, width), np.float32)
    turns = (np.arange(2 * _N_TURNS + 1) - _N_TURNS) * _TURN_RAD
    cosines, sines = np.cos(turns), np.sin(turns)
    first = (2 * n + 1) * np.arange(6) // 5 - n
    steps = np.zeros(2 * n + 1, np.int64)
    parts = np.empty(5)
    for y in range(2, height - 2):
        for x in range(2, width - 2):
            here = (y + n) * row + x + n
            xx, xy, yy = packed[here, 0], packed[here, 1], packed[here, 2]
            half = 0.5 * (xx - yy)
            if packed[here, 3] == 0 or np.sqrt(half * half + xy * xy) - 0.5 * (xx + yy) < least:
                continue
            local = 0.5 * np.arctan2(-2 * xy, yy - xx)
            c0, s0 = np.cos(local), np.sin(local)
            best, best_angle = 0.0, 0.0
            for k in range(turns.size):
                c, s = c0 * cosines[k] - s0 * sines[k], s0 * cosines[k] + c0 * sines[k]
                # places along the line in whole pixels, in binary fractions: rounding floats is the slow part
                cy, cx = int(c * _ONE), int(s * _ONE)
                for j in range(1, n + 1):
                    step = ((j * cy + _HALF) >> _BITS) * row - ((j * cx + _HALF) >> _BITS)
                    steps[n + j], steps[n - j] = step, -step
                m = 0
                for part in range(5):
                    a, b, d, inside = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                    for j in range(first[part], first[part + 1]):
                        one = packed[np.uintp(here + steps[np.uintp(n + j)])]
                        a += one[0]
                        b += one[1]
                        d += one[2]
                        inside += one[3]
                    if inside > 0:
                        parts[m] = -(c * c * a + 2 * c * s * b + s * s * d) / inside
                        m += 1
                if m < 3:
                    continue
                value = _median(parts, m) * np.sqrt(m / 5) / (1.2 * noise)
                if value > best:
                    best, best_angle = value, local + turns[k]
            response[y, x] = best
            angle[y, x] = best_angle
    return response, _crests(response, angle), angle


def line_response(
    snr_image: Image, weight: Image, sigma_px: float, half_length_px: float
) -> tuple[Image, NDArray[np.bool_], Image]:
    """Bright-line response of one scale, averaged along the line before any threshold.

    A line keeps its direction over a micrometre, noise does not: the average lifts lines that no single pixel shows.

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with white noise of standard deviation 1.
    weight : ndarray, shape (Y, X)
        1 where a pixel counts, 0 inside cell bodies.
    sigma_px : float
        Scale across the line, px.
    half_length_px : float
        Half length of the average, px.

    Returns
    -------
    response, crest, angle_rad : ndarray, shape (Y, X)
        See :func:`along_lines`.
    """
    # finite differences widen the kernel by variance 1/6
    smooth, support = masked_gaussian(snr_image, weight, float(np.sqrt(max(sigma_px**2 - 1 / 6, 0.05))))
    gate = (support > 0.35).astype(np.float32)
    n = max(1, round(half_length_px))
    # kernel: second derivative of a Gaussian across, Gaussian * box of length 2 n + 1 along; its norm gives the noise
    t = np.arange(-n - int(6 * sigma_px) - 2, n + int(6 * sigma_px) + 3, dtype=float)
    offsets = np.arange(-n, n + 1)
    along = np.exp(-((t[:, None] - offsets) ** 2) / (2 * sigma_px**2)).mean(1) / (np.sqrt(2 * np.pi) * sigma_px)
    across = (
        (t**2 / sigma_px**2 - 1) / sigma_px**2 * np.exp(-(t**2) / (2 * sigma_px**2)) / (np.sqrt(2 * np.pi) * sigma_px)
    )
    noise = float(np.sqrt((along**2).sum() * (across**2).sum()))
    # four in five pixels of noise fall out here; a line of SNR 3 over its length has 1 per pixel or more
    single = float(np.sqrt(3 / (16 * np.pi)) / sigma_px**3)
    return along_lines(smooth, gate, n, noise, single)
