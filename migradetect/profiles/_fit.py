"""Diameter and signal from a radial profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.profiles._library import N_SHAPES, ProfileLibrary
from migradetect.profiles._lines import LineStrength

__all__ = ["ProfileFit", "fit_profiles", "fit_shapes", "fit_signal", "shape_weights"]

Array = NDArray[np.float64]


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
    # where no line is looked for its template is 0, and so is what it has in common with any other
    is_line = np.empty(n_lines, np.bool_)
    for m in range(n_lines):
        is_line[m] = np.any(lines[m] != 0)
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
                    overlap = _overlap(templates[s, d], weighted[m]) if is_line[m] else 0.0
                    c = _solve(own, overlap, sums[m], value[i], known[i])[0]
                    if c < lowest:
                        lowest, at, arms = c, d, m
            if at < 0:
                continue
            first, last = max(0, at - _STRIDE - 1), min(n_diameters - 1, at + _STRIDE + 1)
            chi2[at] = lowest
            for d in range(first, last + 1):
                _template_sums(weight, clean, templates[s, d], own)
                overlap = _overlap(templates[s, d], weighted[arms]) if is_line[arms] else 0.0
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
