"""Profiles of spheres and shells of every diameter, as a microscope sees them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["N_SECTORS", "N_SHAPES", "SHAPE_EXPONENTS", "ProfileLibrary"]

Array = NDArray[np.float64]

#: Sectors that each ring around a site is cut in.
N_SECTORS = 12
#: Exponent p of the projected density (1 - r^2 / R^2)^p: from a filled sphere (0.5) over a thin optical section of one,
#: a disc (0), towards the projection of a shell (-0.5), between which a confocal image of a vesicle lies. Of the same
#: width, one is 6 % larger than the next.
SHAPE_EXPONENTS = (0.5, 0.22, 0.0, -0.2, -0.4)
N_SHAPES = len(SHAPE_EXPONENTS)
#: Most fibers that are told apart at a site.
N_ARMS = 3
_DIAMETER_RATIO = 1.05
_LOWEST_UM, _HIGHEST_UM = 0.15, 5.0


@dataclass(frozen=True)
class ProfileLibrary:
    """Blurred radial profiles of unit integrated signal.

    Parameters
    ----------
    diameters_um : ndarray, shape (D,)
        Rising by a constant ratio.
    radii_px : ndarray, shape (K,)
        Radii of the rings.
    templates : ndarray, shape (N_SHAPES, D, K)
        Value at each radius, in 1 / um2, so that a fitted factor is count um2.
    lines : ndarray, shape (N_ARMS, K)
        What one, two, ... thin lines that end at the centre leave in the median of the sectors, 1 at the centre.
    line_excess : ndarray, shape (K,)
        Mean less median of the sectors for the same lines; beyond the innermost rings their number plays no part.
    pixel_size_um : float
        Edge of a pixel.
    sigma_um : float
        Blur of the templates: PSF, pixel and reading between pixels.
    """

    diameters_um: Array
    radii_px: Array
    templates: Array
    lines: Array
    line_excess: Array
    pixel_size_um: float
    sigma_um: float

    @classmethod
    def build(cls, pixel_size_um: float, psf_sigma_um: float, max_radius_um: float = 3.6) -> ProfileLibrary:
        """Profiles for one pixel size and PSF (Gaussian, `psf_sigma_um`)."""
        return _build(round(pixel_size_um, 5), round(psf_sigma_um, 4), round(max_radius_um, 3))


@lru_cache(maxsize=8)
def _build(pixel_size_um: float, psf_sigma_um: float, max_radius_um: float) -> ProfileLibrary:
    step_px = 0.5 if pixel_size_um > 0.1 else 1.0
    radii_px = np.arange(0, max_radius_um / pixel_size_um + step_px, step_px)
    n = int(np.ceil(np.log(_HIGHEST_UM / _LOWEST_UM) / np.log(_DIAMETER_RATIO)))
    diameters = _LOWEST_UM * _DIAMETER_RATIO ** np.arange(n)
    # pixels integrate over their area: variance of a box, 1/12 px^2
    sigma = float(np.hypot(psf_sigma_um, pixel_size_um * np.sqrt(1 / 12 + 0.03)))
    templates = np.empty((N_SHAPES, n, radii_px.size))
    for s, exponent in enumerate(SHAPE_EXPONENTS):
        for d, diameter in enumerate(diameters):
            templates[s, d] = _blurred_profile(diameter / 2, exponent, sigma, radii_px * pixel_size_um)
    lines, excess = _line_profiles(radii_px * pixel_size_um, sigma)
    return ProfileLibrary(np.asarray(diameters, np.float64), radii_px, templates, lines, excess, pixel_size_um, sigma)


def _line_profiles(at: Array, sigma: float) -> tuple[Array, Array]:
    """Median of the sectors, and mean less median, for 1 to N_ARMS lines that end at the centre, evenly spread."""
    fine, turns = 10, 12
    angle = 2 * np.pi * (np.arange(N_SECTORS * fine) + 0.5) / (N_SECTORS * fine)
    median, excess = np.zeros((N_ARMS, at.size)), np.zeros((N_ARMS, at.size))
    for n in range(1, N_ARMS + 1):
        for turn in range(turns):
            ring = np.zeros((at.size, angle.size))
            for arm in range(n):
                off = angle - 2 * np.pi * arm / n - 2 * np.pi * turn / turns / N_SECTORS
                along, across = at[:, None] * np.cos(off), at[:, None] * np.sin(off)
                # n half lines of peak 2 / n add up to 1 at the centre
                ring += 2 / n * np.exp(-(across**2) / (2 * sigma**2)) * special.ndtr(along / sigma)
            sectors = ring.reshape(at.size, N_SECTORS, fine).mean(axis=2)
            middle = np.median(sectors, axis=1)
            median[n - 1] += middle / turns
            excess[n - 1] += (sectors.mean(axis=1) - middle) / turns
    return median, excess[1]


def _blurred_profile(radius: float, exponent: float, sigma: float, at: Array) -> Array:
    """Gaussian blur of (1 - r^2/R^2)^p of integral 1, at given radii; the angle is integrated exactly (Bessel I0)."""
    # substituting u = 1 - r^2/R^2 = w^(1/(p+1)) makes the integrand smooth for every exponent: equal steps in w carry
    # equal signal
    w = (np.arange(80) + 0.5) / 80
    source = radius * np.sqrt(1 - w ** (1 / (exponent + 1)))
    z = at[:, None] * source[None, :] / sigma**2
    ring = np.exp(-((at[:, None] - source[None, :]) ** 2) / (2 * sigma**2)) * special.i0e(z) / (2 * np.pi * sigma**2)
    return np.asarray(ring.mean(axis=1))
