"""Size and signal of a round object from its radial profile.

Around a site the image is read on rings; each ring is cut in sectors and the *median* sector is kept. A fiber that runs
through or ends at the site fills few sectors and drops out, but for the innermost 1.5 sigma of the PSF, where it fills
them all: what is left is nearly what the blob adds over the line. The
profile is compared with those of spheres and shells of every diameter, blurred by the PSF, which gives the diameter
with the PSF taken off, the integrated signal, and the error of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "N_SHAPES",
    "ProfileFit",
    "ProfileLibrary",
    "fit_profiles",
    "fit_shapes",
    "fit_signal",
    "radial_profiles",
    "shape_weights",
]

Image = NDArray[np.float32]
Array = NDArray[np.float64]

N_SECTORS = 12
#: Exponent p of the projected density (1 - r^2 / R^2)^p: a filled sphere, a thin optical section of one (a disc), and
#: the projection of a shell, between which a confocal image of a vesicle lies.
SHAPE_EXPONENTS = (0.5, 0.0, -0.4)
N_SHAPES = len(SHAPE_EXPONENTS)
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
    pixel_size_um : float
        Edge of a pixel.
    """

    diameters_um: Array
    radii_px: Array
    templates: Array
    pixel_size_um: float

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
    return ProfileLibrary(np.asarray(diameters, np.float64), radii_px, templates, pixel_size_um)


def _blurred_profile(radius: float, exponent: float, sigma: float, at: Array) -> Array:
    """Gaussian blur of (1 - r^2/R^2)^p of integral 1, at given radii; the angle is integrated exactly (Bessel I0)."""
    # substituting u = 1 - r^2/R^2 = w^(1/(p+1)) makes the integrand smooth for every exponent: equal steps in w carry
    # equal signal
    w = (np.arange(80) + 0.5) / 80
    source = radius * np.sqrt(1 - w ** (1 / (exponent + 1)))
    z = at[:, None] * source[None, :] / sigma**2
    ring = np.exp(-((at[:, None] - source[None, :]) ** 2) / (2 * sigma**2)) * special.i0e(z) / (2 * np.pi * sigma**2)
    return np.asarray(ring.mean(axis=1))


@dataclass(frozen=True)
class ProfileFit:
    """Fits of N profiles; every array has shape (N,)."""

    diameter_um: Array
    diameter_err_um: Array
    signal: Array
    signal_err: Array
    background: Array
    shape: NDArray[np.int64]
    chi2: Array
    """Reduced chi-square of the best template."""


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
    limit = np.asarray(max_radius_um, float) / library.pixel_size_um
    return _profiles(image, variance, weight, np.asarray(y_px, float), np.asarray(x_px, float), library.radii_px, limit)


@njit(cache=True, nogil=True)
def _profiles(
    image: Image, variance: Image, weight: Image, ys: Array, xs: Array, radii: Array, limit: Array
) -> tuple[Array, Array]:  # pragma: no cover (numba)
    height, width = image.shape
    n, k = ys.size, radii.size
    profile = np.full((n, k), np.nan)
    error = np.full((n, k), np.nan)
    total = np.empty(N_SECTORS)
    count = np.empty(N_SECTORS)
    step = radii[1] - radii[0]
    for i in range(n):
        for j in range(k):
            r = radii[j]
            if r > limit[i]:
                break
            per_sector = max(2, int(np.ceil(2 * np.pi * r / N_SECTORS)))
            total[:] = 0.0
            count[:] = 0.0
            spread, m = 0.0, 0
            for s in range(N_SECTORS * per_sector):
                angle = 2 * np.pi * s / (N_SECTORS * per_sector)
                y = ys[i] + r * np.sin(angle)
                x = xs[i] + r * np.cos(angle)
                y0, x0 = int(np.floor(y)), int(np.floor(x))
                if y0 < 0 or x0 < 0 or y0 >= height - 1 or x0 >= width - 1:
                    continue
                if weight[int(np.rint(y)), int(np.rint(x))] < 0.5:
                    continue
                fy, fx = y - y0, x - x0
                value = (
                    image[y0, x0] * (1 - fy) * (1 - fx)
                    + image[y0, x0 + 1] * (1 - fy) * fx
                    + image[y0 + 1, x0] * fy * (1 - fx)
                    + image[y0 + 1, x0 + 1] * fy * fx
                )
                total[s // per_sector] += value
                count[s // per_sector] += 1
                spread += variance[y0, x0]
                m += 1
            valid = 0
            for s in range(N_SECTORS):
                if count[s] > 0:
                    total[valid] = total[s] / count[s]
                    valid += 1
            if valid < N_SECTORS // 3:
                continue
            # insertion sort of at most 12 values, then the median
            for a in range(1, valid):
                v = total[a]
                b = a - 1
                while b >= 0 and total[b] > v:
                    total[b + 1] = total[b]
                    b -= 1
                total[b + 1] = v
            middle = valid // 2
            profile[i, j] = total[middle] if valid % 2 else 0.5 * (total[middle - 1] + total[middle])
            # independent pixels of the ring, a median costs pi / 2 in variance; a lone pixel is not more than one
            independent = max(1.0, 2 * np.pi * r * min(step, 1.0)) * valid / N_SECTORS
            error[i, j] = np.sqrt(spread / m / independent * (1.57 if r > 1.0 else 1.0))
    return profile, error


def fit_shapes(profile: Array, error: Array, library: ProfileLibrary) -> tuple[ProfileFit, ...]:
    """Best diameter, signal and background of each profile, for every shape.

    Parameters
    ----------
    profile, error : ndarray, shape (N, K)
        From :func:`radial_profiles`.
    library : ProfileLibrary
        The templates.

    Returns
    -------
    tuple of ProfileFit
        One for each of :data:`SHAPE_EXPONENTS`; NaN where fewer than four rings can be used.
    """
    profile, error = np.ascontiguousarray(profile), np.ascontiguousarray(error)
    fits = []
    for shape in range(N_SHAPES):
        best = _fit(profile, error, library.templates[shape : shape + 1], library.diameters_um)
        index = np.full(len(best), shape, np.int64)
        fits.append(ProfileFit(best[:, 0], best[:, 1], best[:, 2], best[:, 3], best[:, 4], index, best[:, 6]))
    return tuple(fits)


def shape_weights(chi2: Array, n_looks: Array) -> Array:
    """Probability of each shape, given how well each fits.

    Near the resolution limit a ball and a shell that is a fifth smaller look alike; a choice between them would flip
    from frame to frame, so sizes are averaged over shapes with these weights.

    Parameters
    ----------
    chi2 : ndarray, shape (N_SHAPES, N)
        Sums of squared residuals over noise.
    n_looks : ndarray, shape (N,)
        Independent looks that speak; the templates are not exact, so many looks do not make certain.

    Returns
    -------
    ndarray, shape (N_SHAPES, N)
        Columns add to 1; equal where nothing fits.
    """
    lowest = np.nanmin(np.where(np.isfinite(chi2), chi2, np.inf), axis=0)
    lowest = np.where(np.isfinite(lowest), lowest, 0)
    weight = np.exp(-0.5 * n_looks * np.nan_to_num(chi2 - lowest, nan=1e3, posinf=1e3))
    total = weight.sum(axis=0)
    return np.asarray(np.where(total > 0, weight / np.where(total > 0, total, 1), 1 / N_SHAPES))


def fit_profiles(profile: Array, error: Array, library: ProfileLibrary) -> ProfileFit:
    """Diameter, signal and background of each profile, over all shapes.

    Parameters
    ----------
    profile, error : ndarray, shape (N, K)
        From :func:`radial_profiles`.
    library : ProfileLibrary
        The templates.

    Returns
    -------
    ProfileFit
        Diameters averaged over the shapes that fit (see :func:`shape_weights`), the rest from the best of them; NaN
        where fewer than four rings can be used.
    """
    fits = fit_shapes(profile, error, library)
    if not len(profile):
        return fits[0]
    n_free = np.maximum(np.isfinite(profile).sum(axis=1) - 3, 1)
    chi2 = np.stack([fit.chi2 for fit in fits]) * n_free
    weight = shape_weights(chi2, np.ones(len(profile)))
    best = np.argmin(np.nan_to_num(chi2, nan=np.inf), axis=0)
    diameters = np.stack([fit.diameter_um for fit in fits])
    rows = np.arange(len(profile))

    def chosen(name: str) -> Array:
        return np.asarray(np.stack([getattr(fit, name) for fit in fits])[best, rows])

    diameter = (np.nan_to_num(diameters) * weight).sum(axis=0)
    between = np.sqrt((weight * (np.nan_to_num(diameters) - diameter) ** 2).sum(axis=0))
    missing = ~np.isfinite(chosen("diameter_um"))
    return ProfileFit(
        np.where(missing, np.nan, diameter),
        np.hypot(chosen("diameter_err_um"), between),
        chosen("signal"),
        chosen("signal_err"),
        chosen("background"),
        best.astype(np.int64),
        chosen("chi2"),
    )


@njit(cache=True, nogil=True)
def _solve(profile: Array, weight: Array, template: Array) -> tuple[float, float, float, float]:  # pragma: no cover
    sw = st = stt = sp = stp = spp = 0.0
    for j in range(profile.size):
        w = weight[j]
        if w <= 0:
            continue
        t, p = template[j], profile[j]
        sw += w
        st += w * t
        stt += w * t * t
        sp += w * p
        stp += w * t * p
        spp += w * p * p
    det = sw * stt - st * st
    if det <= 1e-12 * sw * stt:
        return np.nan, np.nan, np.nan, np.nan
    a = (sw * stp - st * sp) / det
    if a < 0:
        a = 0.0
    b = (sp - a * st) / sw
    chi2 = spp - 2 * a * stp - 2 * b * sp + a * a * stt + 2 * a * b * st + b * b * sw
    return a, b, chi2, np.sqrt(sw / det)


@njit(cache=True, nogil=True)
def _fit(profile: Array, error: Array, templates: Array, diameters: Array) -> Array:  # pragma: no cover (numba)
    n, k = profile.shape
    n_shapes, n_diameters = templates.shape[0], templates.shape[1]
    out = np.full((n, 7), np.nan)
    weight = np.empty(k)
    clean = np.empty(k)
    chi2 = np.empty(n_diameters)
    for i in range(n):
        used = 0
        for j in range(k):
            ok = np.isfinite(profile[i, j]) and error[i, j] > 0
            weight[j] = 1 / error[i, j] ** 2 if ok else 0.0
            clean[j] = profile[i, j] if ok else 0.0
            used += ok
        out[i, 5] = 0
        if used < 4:
            continue
        lowest = np.inf
        for s in range(n_shapes):
            at = -1
            for d in range(n_diameters):
                chi2[d] = _solve(clean, weight, templates[s, d])[2]
                if np.isfinite(chi2[d]) and (at < 0 or chi2[d] < chi2[at]):
                    at = d
            if at < 0 or chi2[at] >= lowest:
                continue
            lowest = chi2[at]
            a, b, c, e = _solve(clean, weight, templates[s, at])
            log_d = np.log(diameters[at])
            step = np.log(diameters[1] / diameters[0])
            err = np.nan
            if 0 < at < n_diameters - 1:
                bend = chi2[at - 1] - 2 * chi2[at] + chi2[at + 1]
                if bend > 0:
                    log_d += step * 0.5 * (chi2[at - 1] - chi2[at + 1]) / bend
                    # delta chi-square of 1; a poor fit has larger errors than its noise says
                    err = step * np.sqrt(2 / bend) * max(1.0, np.sqrt(c / max(used - 3, 1)))
            out[i, 0] = np.exp(log_d)
            out[i, 1] = out[i, 0] * err
            out[i, 2], out[i, 3], out[i, 4] = a, e, b
            out[i, 5] = s
            out[i, 6] = c / max(used - 3, 1)
    return out


def fit_signal(
    profile: Array, error: Array, library: ProfileLibrary, diameter_um: Array, shape: NDArray[np.int64]
) -> tuple[Array, Array, Array]:
    """Signal of each profile at a known diameter and shape (matched filter).

    Parameters
    ----------
    profile, error : ndarray, shape (N, K)
        From :func:`radial_profiles`.
    library : ProfileLibrary
        The templates.
    diameter_um : ndarray, shape (N,)
        Diameter of each object.
    shape : ndarray of int, shape (N,)
        Index of its shape.

    Returns
    -------
    signal, signal_err, background : ndarray, shape (N,)
        Signed: noise around an empty site gives signals around 0.
    """
    log_d = np.log(library.diameters_um)
    position = np.clip(np.interp(np.log(diameter_um), log_d, np.arange(log_d.size)), 0, log_d.size - 1)
    index = np.nan_to_num(np.rint(position), nan=0.0).astype(np.int64)
    template = library.templates[shape, index]
    ok = np.isfinite(profile) & (error > 0)
    w = np.where(ok, 1 / np.where(ok, error, 1) ** 2, 0)
    p = np.where(ok, profile, 0)
    sw, st, stt = w.sum(1), (w * template).sum(1), (w * template**2).sum(1)
    sp, stp = (w * p).sum(1), (w * template * p).sum(1)
    det = sw * stt - st**2
    good = (det > 1e-12 * sw * stt) & (ok.sum(1) >= 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        signal = np.where(good, (sw * stp - st * sp) / det, np.nan)
        err = np.where(good, np.sqrt(sw / det), np.nan)
        background = np.where(good, (sp - signal * st) / sw, np.nan)
    return signal, err, background
