"""Size and signal of a round object from its radial profile.

Around a site the image is read on rings; each ring is cut in sectors and the *median* sector is kept. A fiber that runs
through or ends at the site fills few sectors and drops out, but for the innermost 1.5 sigma of the PSF, where it fills
them all. The profile is compared with those of spheres and shells of every diameter, blurred by the PSF, which gives
the diameter with the PSF taken off, the integrated signal, and the error of both. What the fiber leaves in the middle
can be fitted with them: how bright it is, the mean of the sectors less their median tells further out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import special

from migradetect.filters import bilinear

__all__ = [
    "N_SHAPES",
    "LineStrength",
    "ProfileFit",
    "ProfileLibrary",
    "Sectors",
    "find_offsets",
    "fit_profiles",
    "fit_shapes",
    "fit_signal",
    "line_strength",
    "median_profile",
    "radial_profiles",
    "read_sectors",
    "shape_weights",
]

Image = NDArray[np.float32]
Array = NDArray[np.float64]

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


#: Sites are found to about this, um: what a recentring may change without strong evidence, and twice it at most.
_PLACE_UM = 0.1


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


def fit_shapes(
    profile: Array,
    error: Array,
    library: ProfileLibrary,
    line: LineStrength | None = None,
    model_error: float = 0.0,
) -> tuple[ProfileFit, ...]:
    """Best diameter, signal and background of each profile, for every shape.

    Parameters
    ----------
    profile, error : ndarray, shape (N, K)
        From :func:`radial_profiles`.
    library : ProfileLibrary
        The templates.
    line : LineStrength, optional
        What is known of the lines at each site: what they leave in the middle of the profile is fitted as well. Their
        brightness is known to its error and to a factor of about two, as they bend and break off.
    model_error : float
        Error of the templates as a share of the contrast of the profile, added to the noise: no vesicle is as round and
        no PSF as Gaussian as they are, and at high SNR the innermost rings would decide alone.

    Returns
    -------
    tuple of ProfileFit
        One for each of :data:`SHAPE_EXPONENTS`; NaN where fewer than four rings can be used.
    """
    profile, error = np.ascontiguousarray(profile), np.ascontiguousarray(error)
    n = len(profile)
    if line is None:
        lines, value, known = np.zeros((1, profile.shape[1])), np.zeros(n), np.ones(n)
    else:
        lines, value = library.lines, line.value
        known = 1 / (value**2 + np.maximum(line.error, 1e-9) ** 2)
    found = _fit(profile, error, library.templates, library.diameters_um, lines, value, known, model_error)
    fits = []
    for shape in range(N_SHAPES):
        best = found[:, shape]
        index = np.full(n, shape, np.int64)
        fits.append(ProfileFit(best[:, 0], best[:, 1], best[:, 2], best[:, 3], best[:, 4], index, best[:, 5]))
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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _template_sums(weight: Array, profile: Array, template: Array, out: Array) -> None:  # pragma: no cover (numba)
    """Weighted sums of template, template^2 and template * profile."""
    st = stt = stp = 0.0
    for j in range(weight.size):
        wt = weight[j] * template[j]
        st += wt
        stt += wt * template[j]
        stp += wt * profile[j]
    out[0], out[1], out[2] = st, stt, stp


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _overlap(template: Array, weighted_line: Array) -> float:  # pragma: no cover (numba)
    total = 0.0
    for j in range(template.size):
        total += template[j] * weighted_line[j]
    return total


@njit(cache=True, nogil=True)
def _solve(
    own: Array, stl: float, sums: Array, value: float, known: float
) -> tuple[float, float, float]:  # pragma: no cover (numba)
    """Least squares for signal, line and background: chi-square, signal, background.

    `own` is from :func:`_template_sums`, `stl` the weighted sum of template * line, and `sums` those of 1, profile,
    profile^2, line, line^2 and line * profile; the line is drawn to `value` with weight `known`. Neither signal nor
    line is negative.
    """
    st, stt, stp = own
    sw, sp, spp, sl, sll, slp = sums
    tt, tp, tl = stt - st * st / sw, stp - st * sp / sw, stl - st * sl / sw
    ll, lp = sll - sl * sl / sw + known, slp - sl * sp / sw + known * value
    pp = spp - sp * sp / sw + known * value * value
    det = tt * ll - tl * tl
    if det <= 1e-12 * stt * ll:
        return np.nan, np.nan, np.nan
    a, c = (tp * ll - lp * tl) / det, (lp * tt - tp * tl) / det
    if c < 0:
        c, a = 0.0, tp / tt
    if a < 0:
        a, c = 0.0, max(0.0, lp / ll)
    chi2 = pp - 2 * a * tp - 2 * c * lp + a * a * tt + 2 * a * c * tl + c * c * ll
    return chi2, a, (sp - a * st - c * sl) / sw


#: Every so many diameters are tried first, then all around the best.
_STRIDE = 3


@njit(cache=True, nogil=True)
def _fit(
    profile: Array,
    error: Array,
    templates: Array,
    diameters: Array,
    lines: Array,
    value: Array,
    known: Array,
    model_error: float,
) -> Array:  # pragma: no cover (numba)
    n, k = profile.shape
    n_shapes, n_diameters, n_lines = templates.shape[0], templates.shape[1], lines.shape[0]
    out = np.full((n, n_shapes, 6), np.nan)
    weight, noise_weight, clean = np.empty(k), np.empty(k), np.empty(k)
    chi2 = np.empty(n_diameters)
    sums, own = np.zeros((n_lines, 6)), np.empty(3)
    weighted = np.empty((n_lines, k))
    step = np.log(diameters[1] / diameters[0])
    for i in range(n):
        used, low, high = 0, np.inf, -np.inf
        for j in range(k):
            ok = np.isfinite(profile[i, j]) and error[i, j] > 0
            clean[j] = profile[i, j] if ok else 0.0
            noise_weight[j] = 1 / error[i, j] ** 2 if ok else 0.0
            if ok:
                used += 1
                low, high = min(low, clean[j]), max(high, clean[j])
        if used < 4:
            continue
        misfit = (model_error * (high - low)) ** 2
        for j in range(k):
            weight[j] = 1 / (1 / noise_weight[j] + misfit) if noise_weight[j] > 0 else 0.0
        sums[:] = 0.0
        for m in range(n_lines):
            for j in range(k):
                w, p, g = weight[j], clean[j], lines[m, j]
                weighted[m, j] = w * g
                sums[m, 0] += w
                sums[m, 1] += w * p
                sums[m, 2] += w * p * p
                sums[m, 3] += w * g
                sums[m, 4] += w * g * g
                sums[m, 5] += w * g * p
        for s in range(n_shapes):
            lowest, at, arms = np.inf, -1, 0
            for d in range(0, n_diameters, _STRIDE):
                _template_sums(weight, clean, templates[s, d], own)
                for m in range(n_lines):
                    c = _solve(own, _overlap(templates[s, d], weighted[m]), sums[m], value[i], known[i])[0]
                    if c < lowest:
                        lowest, at, arms = c, d, m
            if at < 0:
                continue
            first, last = max(0, at - _STRIDE - 1), min(n_diameters - 1, at + _STRIDE + 1)
            chi2[at] = lowest
            for d in range(first, last + 1):
                _template_sums(weight, clean, templates[s, d], own)
                overlap = _overlap(templates[s, d], weighted[arms])
                chi2[d] = _solve(own, overlap, sums[arms], value[i], known[i])[0]
                if chi2[d] < chi2[at]:
                    at = d
            _template_sums(weight, clean, templates[s, at], own)
            c, a, b = _solve(own, _overlap(templates[s, at], weighted[arms]), sums[arms], value[i], known[i])
            log_d, err = np.log(diameters[at]), np.nan
            if first < at < last:
                bend = chi2[at - 1] - 2 * chi2[at] + chi2[at + 1]
                if bend > 0:
                    log_d += step * 0.5 * (chi2[at - 1] - chi2[at + 1]) / bend
                    # delta chi-square of 1; a poor fit has larger errors than its noise says
                    err = step * np.sqrt(2 / bend) * max(1.0, np.sqrt(c / max(used - 3, 1)))
            out[i, s, 0] = np.exp(log_d)
            out[i, s, 1] = out[i, s, 0] * err
            out[i, s, 2], out[i, s, 4] = a, b
            out[i, s, 3] = _signal_error(noise_weight, templates[s, at])
            out[i, s, 5] = c / max(used - 3, 1)
    return out


@njit(cache=True, nogil=True)
def _signal_error(weight: Array, template: Array) -> float:  # pragma: no cover (numba)
    """What the noise alone leaves uncertain of the signal at a given diameter."""
    sw = st = stt = 0.0
    for j in range(weight.size):
        sw += weight[j]
        st += weight[j] * template[j]
        stt += weight[j] * template[j] ** 2
    det = sw * stt - st * st
    return float(np.sqrt(sw / det)) if det > 1e-12 * sw * stt else np.nan


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
