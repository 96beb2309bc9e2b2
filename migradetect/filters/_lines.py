"""Response averaged along lines of any direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._line_filter import LineFilter
from migradetect.filters._linear import gaussian

__all__ = ["along_lines", "line_filter", "line_response"]

Image = NDArray[np.float32]

#: Share of the kernel that must be outside cell bodies.
_LEAST_SUPPORT = np.float32(0.35)
#: Share below which there is nothing to divide by.
_NO_SUPPORT = np.float32(1e-3)


def along_lines(
    smooth: Image, gate: NDArray[Any], n: int, noise: float, least: float
) -> tuple[Image, NDArray[np.bool_], Image]:
    """Curvature across the best line through each pixel, averaged along the line, and where it is a crest.

    Parameters
    ----------
    smooth, gate, n, noise, least
        See :class:`migradetect.filters.LineFilter`.

    Returns
    -------
    response : ndarray, shape (Y, X)
        In units of its noise; 0 where there is no line.
    crest : ndarray of bool, shape (Y, X)
        Pixels with no more response on either side, across the line.
    angle_rad : ndarray, shape (Y, X)
        Direction across the line, atan2(y, x).
    """
    lines = LineFilter(smooth, gate, n, noise, least)
    lines.compute_all()
    return _images(lines, np.flatnonzero(lines.response > 0))


def line_filter(snr_image: Image, weight: Image, sigma_px: float, half_length_px: float) -> LineFilter:
    """Filter for bright lines of one scale, with nothing computed yet.

    Parameters
    ----------
    snr_image, weight, sigma_px, half_length_px
        See :func:`line_response`.

    Returns
    -------
    LineFilter
    """
    # finite differences widen the kernel by variance 1/6
    blur_px = float(np.sqrt(max(sigma_px**2 - 1 / 6, 0.05)))
    smooth = gaussian(snr_image * weight, blur_px)
    gate = _normalised(smooth, gaussian(weight, blur_px))
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
    return LineFilter(smooth, gate, n, noise, single)


@njit(cache=True, nogil=True)
def _normalised(total: Image, support: Image) -> NDArray[np.bool_]:  # pragma: no cover (numba)
    """Divide sums by the weight that is in them, in place, and tell where that is enough."""
    gate = np.empty(total.shape, np.bool_)
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            s = support[y, x]
            total[y, x] = total[y, x] / max(s, _NO_SUPPORT) if s > _NO_SUPPORT else 0
            gate[y, x] = s > _LEAST_SUPPORT
    return gate


def line_response(
    snr_image: Image, weight: Image, sigma_px: float, half_length_px: float, above: float = 0.0
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
    above : float
        Only lines with more response than this somewhere are wanted, and what is not near one may be given as 0: that
        is many times as fast. 0 computes every pixel.

    Returns
    -------
    response, crest, angle_rad : ndarray, shape (Y, X)
        See :func:`along_lines`.
    """
    lines = line_filter(snr_image, weight, sigma_px, half_length_px)
    if above <= 0:
        lines.compute_all()
        return _images(lines, np.flatnonzero(lines.response > 0))
    return _images(lines, lines.follow(above, _FOLLOWED * above, 0.5 * above))


#: Share of the response wanted down to which a line is followed to the next place that has it.
_FOLLOWED = 0.8


def _images(lines: LineFilter, places: NDArray[np.int64]) -> tuple[Image, NDArray[np.bool_], Image]:
    crest = np.zeros(lines.response.shape, np.bool_)
    crest.ravel()[places] = lines.crests(places)
    return lines.response, crest, lines.angle_rad
