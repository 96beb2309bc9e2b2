"""What the sectors tell beside the profile: how bright the lines are that meet at a site, and how far off it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from migradetect.profiles._library import N_SECTORS, ProfileLibrary
from migradetect.profiles._sectors import Sectors

__all__ = ["LineStrength", "find_offsets", "line_strength"]

Array = NDArray[np.float64]

#: Sites are found to about this, um: what a recentring may change without strong evidence, and twice it at most.
_PLACE_UM = 0.1


@dataclass(frozen=True)
class LineStrength:
    """Brightness at N sites of the lines that meet there; arrays of shape (N,).

    Parameters
    ----------
    value, error : ndarray
        Sum of the lines at the centre, each half as bright where it ends, and its standard error; infinite: unknown.
    """

    value: Array
    error: Array


def line_strength(sectors: Sectors, profile: Array, library: ProfileLibrary) -> LineStrength:
    """Brightness of the lines at each site, from where they fill few sectors.

    What is round adds the same to the mean and to the median of the sectors of a ring; lines add to the mean alone,
    beyond the innermost rings. The weighted median over the rings leaves out a neighbour that fills some of them.

    Parameters
    ----------
    sectors : Sectors
        N sites.
    profile : ndarray, shape (N, K)
        Median of the sectors.
    library : ProfileLibrary
        Gives what a line of brightness 1 leaves.

    Returns
    -------
    LineStrength
    """
    known = np.isfinite(sectors.values)
    mean = np.nan_to_num(sectors.values).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    far = library.radii_px * library.pixel_size_um > 3 * library.sigma_um
    usable = np.isfinite(profile) & np.isfinite(sectors.error) & (sectors.error > 0) & far
    unit = np.maximum(library.line_excess, 1e-6)
    ratio = np.where(usable, (mean - profile) / unit, np.inf)
    # mean and median of a ring share most of their noise
    weight = np.where(usable, (unit / np.where(usable, 0.7 * sectors.error, 1)) ** 2, 0)
    order = np.argsort(ratio, axis=1)
    share = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    total = share[:, -1]
    middle = np.minimum((share < 0.5 * total[:, None]).sum(axis=1), share.shape[1] - 1)
    value = np.take_along_axis(np.take_along_axis(ratio, order, axis=1), middle[:, None], axis=1)[:, 0]
    seen = total > 0
    error = np.sqrt(1.57 / np.where(seen, total, 1))
    return LineStrength(np.where(seen, np.maximum(value, 0), 0), np.where(seen, error, np.inf))


def find_offsets(sectors: Sectors, profile: Array, library: ProfileLibrary, radius_um: Array) -> tuple[Array, Array]:
    """How far the round object at each site is off the centre of the rings.

    For a small offset o the ring at radius r holds f(r) - f'(r) (o . u) in direction u, so that opposite sectors differ
    by -2 f'(r) (o . u). A line that ends at the site fills one pair of sectors; robust weights take it out.

    Parameters
    ----------
    sectors : Sectors
        N sites.
    profile : ndarray, shape (N, K)
        Median of the sectors.
    library : ProfileLibrary
        Gives the radii.
    radius_um : ndarray, shape (N,)
        Radius of the object: further out than one sigma beyond it, other things are seen.

    Returns
    -------
    dy_px, dx_px : ndarray, shape (N,)
        To be added to the centres; drawn to 0 where the noise allows no better.
    """
    radii = library.radii_px
    half = N_SECTORS // 2
    angle = 2 * np.pi * (np.arange(half) + 0.5) / N_SECTORS
    up, right = np.sin(angle), np.cos(angle)
    outer = (np.asarray(radius_um) + library.sigma_um) / library.pixel_size_um
    slope = np.gradient(profile, radii, axis=1)
    # only where it falls: the middle of a ring tells nothing that its rim does not tell better
    slope = np.where(np.isfinite(slope) & (radii <= outer[:, None]), np.minimum(np.nan_to_num(slope), 0), 0)
    difference = sectors.values[:, :, :half] - sectors.values[:, :, half:]
    usable = np.isfinite(difference) & (sectors.error > 0)[:, :, None] & (radii > 0)[None, :, None]
    difference = np.where(usable, difference, 0)
    filled = np.nan_to_num(profile)
    contrast = (filled.max(axis=1) - filled.min(axis=1))[:, None, None]
    spread = np.hypot(np.nan_to_num(sectors.error)[:, :, None] * np.sqrt(2 * N_SECTORS / 1.57), 0.03 * contrast)
    base = np.where(usable, 1 / np.where(usable, spread, 1) ** 2, 0)
    gain = -2 * slope[:, :, None]
    prior = (library.pixel_size_um / _PLACE_UM) ** 2
    weight = base
    dy = dx = np.zeros(len(profile))
    directions = np.stack([up, right, up**2, right**2, up * right], axis=1)
    for _ in range(4):
        pull = weight * gain
        # sums over the rings first, then over the directions
        y, x = ((pull * difference).sum(axis=1) @ directions[:, :2]).T
        yy, xx, xy = ((pull * gain).sum(axis=1) @ directions[:, 2:]).T
        yy, xx = yy + prior, xx + prior
        det = yy * xx - xy**2
        dy, dx = (y * xx - x * xy) / det, (x * yy - y * xy) / det
        residual = np.abs(difference - gain * (dy[:, None, None] * up + dx[:, None, None] * right)) * np.sqrt(base)
        weight = base / np.maximum(1, residual / 1.5)
    limit = 2 * _PLACE_UM / library.pixel_size_um
    return np.clip(dy, -limit, limit), np.clip(dx, -limit, limit)
