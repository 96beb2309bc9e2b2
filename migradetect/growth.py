"""Growth of a migrasome: d(t) = d_inf (1 - exp(-(t - t0) / tau)), a fast rise and a plateau.

Migrasomes swell within tens of minutes and then keep their size (Ma et al. 2015, doi:10.1038/cr.2014.135; Huang et al.
2019, doi:10.1038/s41556-019-0367-5). For given t0 and tau the model is linear in d_inf, so the best pair is looked for
on a grid and then refined (variable projection, Golub & Pereyra 1973, doi:10.1137/0710036).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.params import GrowthParams

__all__ = ["GrowthFit", "fit_growth", "fit_growths"]

Array = NDArray[np.float64]

#: The model's name in the tables.
MODEL = "exponential_plateau"
CONSTANT = "constant"


@dataclass(frozen=True)
class GrowthFit:
    """Fit of one migrasome; NaN where the data do not determine a value.

    Times are in minutes, lengths in um; `*_ci` are (low, high) limits of 95 %.
    """

    model: str | None
    birth_min: float
    plateau_um: float
    plateau_ci: tuple[float, float]
    tau_min: float
    tau_ci: tuple[float, float]
    rate_um_per_min: float
    rate_ci: tuple[float, float]
    r2: float

    def diameter(self, time_min: Array) -> Array:
        """Fitted diameter at given times, um; 0 before birth."""
        if self.model is None or self.model == CONSTANT:
            return np.full(np.shape(time_min), self.plateau_um)
        growth = 1 - np.exp(-(np.asarray(time_min) - self.birth_min) / self.tau_min)
        return np.asarray(self.plateau_um * np.clip(growth, 0, None))


_NONE = (float("nan"), float("nan"))


def fit_growth(
    time_min: Array, diameter_um: Array, error_um: Array, params: GrowthParams, is_left_censored: bool
) -> GrowthFit:
    """Fit the growth curve of one migrasome.

    Parameters
    ----------
    time_min, diameter_um, error_um : ndarray, shape (N,)
        Measured frames of the migrasome; non-finite values are left out.
    params : GrowthParams
        Fewest points.
    is_left_censored : bool
        The migrasome was there in the first frame: only its plateau can be told.

    Returns
    -------
    GrowthFit

    See Also
    --------
    fit_growths : many at once, at a fraction of the time for each.
    """
    return fit_growths([(time_min, diameter_um, error_um)], params, [is_left_censored])[0]


def fit_growths(
    curves: Sequence[tuple[Array, Array, Array]], params: GrowthParams, is_left_censored: Sequence[bool]
) -> list[GrowthFit]:
    """Fit the growth curves of many migrasomes.

    Parameters
    ----------
    curves : sequence of (time_min, diameter_um, error_um), each ndarray of shape (N,)
        Measured frames of each migrasome; non-finite values are left out.
    params : GrowthParams
        Fewest points.
    is_left_censored : sequence of bool
        Those that were there in the first frame: only their plateau can be told.

    Returns
    -------
    list of GrowthFit
        In the order of the curves.
    """
    if not curves:
        return []
    measured = np.concatenate([np.stack(one, dtype=np.float64) for one in curves], axis=1)
    start = np.cumsum([0, *(len(one[0]) for one in curves)])
    numbers, information = _fit_all(measured, start, np.asarray(is_left_censored, bool), params.min_points)
    covariance = np.linalg.pinv(information)
    return [_as_fit(one, spread) for one, spread in zip(numbers, covariance, strict=True)]


def _as_fit(numbers: Array, covariance: Array) -> GrowthFit:
    """What was fitted, with limits of 95 % from the covariance of start, time constant and plateau."""
    plateau, spread, t0, tau, d_inf, scale, r2 = numbers.tolist()
    if not np.isfinite(plateau):
        return GrowthFit(None, np.nan, np.nan, _NONE, np.nan, _NONE, np.nan, _NONE, np.nan)
    if not np.isfinite(scale):
        limits = (plateau - 1.96 * spread, plateau + 1.96 * spread)
        return GrowthFit(CONSTANT, np.nan, plateau, limits, np.nan, _NONE, np.nan, _NONE, 0.0)
    sd = [math.sqrt(max(float(covariance[k, k]) * scale, 0.0)) for k in range(3)]
    # an exponential that has not bent yet tells neither plateau nor tau: the limits say so
    stretch = math.exp(min(1.96 * sd[1] / tau, 5.0))
    rate = d_inf / tau
    slope, height = -d_inf / tau**2, 1 / tau
    of_tau, of_both, of_d_inf = float(covariance[1, 1]), float(covariance[1, 2]), float(covariance[2, 2])
    variance = slope**2 * of_tau + 2 * slope * height * of_both + height**2 * of_d_inf
    rate_sd = math.sqrt(max(variance * scale, 0.0))
    return GrowthFit(
        MODEL,
        t0,
        d_inf,
        (d_inf - 1.96 * sd[2], d_inf + 1.96 * sd[2]),
        tau,
        (tau / stretch, tau * stretch),
        rate,
        (max(rate - 1.96 * rate_sd, 0.0), rate + 1.96 * rate_sd),
        r2,
    )


@njit(cache=True, nogil=True)
def _fit_all(
    measured: Array, start: NDArray[np.int64], is_censored: NDArray[np.bool_], min_points: int
) -> tuple[Array, Array]:  # pragma: no cover (numba)
    """Plateau, its spread, t0, tau, d_inf, scale of the errors and r2 of each curve, and its information (3 x 3).

    NaN where a curve does not tell: no plateau without points, nothing from t0 on where only the plateau is known.
    """
    n = start.size - 1
    numbers, information = np.full((n, 7), np.nan), np.zeros((n, 3, 3))
    for i in range(n):
        t, d, e = _finite_points(measured[:, start[i] : start[i + 1]])
        if t.size == 0:
            continue
        numbers[i, 0], numbers[i, 1] = _plateau(d, e)
        if t.size < min_points or is_censored[i] or t.max() - t.min() <= 0:
            continue
        w = _robust_weights(d, e)
        step = float(np.median(np.diff(np.sort(t))))
        t0, tau, d_inf, chi2 = _search(
            t, d, w, t[0] - 6 * step, t[0] + 0.5 * step, 0.3 * step, 1.5 * (t.max() - t.min()) + step
        )
        if not np.isfinite(chi2):
            continue
        residual = total = 0.0
        mean = (d * w).sum() / w.sum()
        for k in range(t.size):
            residual += w[k] * (d[k] - d_inf * (1 - np.exp(-(t[k] - t0) / tau))) ** 2
            total += w[k] * (d[k] - mean) ** 2
        r2 = min(max(1 - residual / total, 0.0), 1.0) if total > 0 else 0.0
        numbers[i, 2:] = (t0, tau, d_inf, max(1.0, chi2 / max(t.size - 3, 1)), r2)
        information[i] = _information(t, w, t0, tau, d_inf)
    return numbers, information


@njit(cache=True, nogil=True)
def _finite_points(curve: Array) -> tuple[Array, Array, Array]:  # pragma: no cover (numba)
    """Times, diameters and errors of the points that are known."""
    known = np.isfinite(curve[0]) & np.isfinite(curve[1]) & np.isfinite(curve[2])
    d = curve[1][known]
    # a floor of 3 %: no profile fit is truer than the model of its shape
    return curve[0][known], d, np.hypot(curve[2][known], 0.03 * d)


@njit(cache=True, nogil=True)
def _plateau(d: Array, e: Array) -> tuple[float, float]:  # pragma: no cover (numba)
    """Weighted mean of the later half, and its standard error."""
    late, w = d[d.size // 2 :], 1 / e[d.size // 2 :] ** 2
    mean = (late * w).sum() / w.sum()
    scatter = np.sqrt(((late - mean) ** 2 * w).sum() / w.sum() / max(late.size - 1, 1))
    return mean, max(scatter, np.sqrt(1 / w.sum()))


@njit(cache=True, nogil=True)
def _robust_weights(d: Array, e: Array) -> Array:  # pragma: no cover (numba)
    """Inverse variances; points far from the running median lose their say."""
    w = np.empty(d.size)
    near = np.empty(5)
    for k in range(d.size):
        for j in range(5):
            near[j] = d[min(max(k + j - 2, 0), d.size - 1)]
        pull = abs(d[k] - np.median(near)) / e[k]
        w[k] = 1 / e[k] ** 2 / max(1.0, (pull / 3) ** 2)
    return w


@njit(cache=True, nogil=True)
def _search(
    t: Array, d: Array, w: Array, t0_low: float, t0_high: float, tau_low: float, tau_high: float
) -> tuple[float, float, float, float]:  # pragma: no cover (numba)
    """Best t0, tau and d_inf, and their chi2.

    For one tau all starts share their exponentials: sums over the points after each start make each pair one step.
    """
    best_t0, best_tau, best_d, best = np.nan, np.nan, np.nan, np.inf
    low0, high0, low1, high1 = t0_low, t0_high, np.log(tau_low), np.log(tau_high)
    order = np.argsort(t)
    t, d, w = t[order], d[order], w[order]
    sdd = (w * d * d).sum()
    # sums over all points from each one on, of w, w d, w E, w d E and w E^2, E the fall since the first point
    tails = np.zeros((t.size + 1, 5))
    for k in range(t.size - 1, -1, -1):
        tails[k, 0] = tails[k + 1, 0] + w[k]
        tails[k, 1] = tails[k + 1, 1] + w[k] * d[k]
    for _ in range(4):
        # four rounds of a 25 x 25 grid, each a fifth as wide: resolved to a few parts in a thousand
        if np.isfinite(best):
            width0, width1 = (high0 - low0) / 10, (high1 - low1) / 10
            low0, high0 = max(t0_low, best_t0 - width0), min(t0_high, best_t0 + width0)
            low1, high1 = np.log(best_tau) - width1, np.log(best_tau) + width1
        grid = np.empty((25, 25, 2))
        for j in range(25):
            tau = np.exp(low1 + (high1 - low1) * j / 24)
            for k in range(t.size - 1, -1, -1):
                fall = np.exp(-(t[k] - t[0]) / tau)
                tails[k, 2] = tails[k + 1, 2] + w[k] * fall
                tails[k, 3] = tails[k + 1, 3] + w[k] * d[k] * fall
                tails[k, 4] = tails[k + 1, 4] + w[k] * fall * fall
            k = 0
            for i in range(25):
                t0 = low0 + (high0 - low0) * i / 24
                while k < t.size and t[k] <= t0:
                    k += 1
                # f = 1 - c E: starts lie near the first point, so that c is neither huge nor tiny
                c = np.exp((t0 - t[0]) / tau)
                sff = tails[k, 0] - 2 * c * tails[k, 2] + c * c * tails[k, 4]
                sfd = tails[k, 1] - c * tails[k, 3]
                grid[i, j] = (np.inf, np.nan)
                if sff <= 0:
                    continue
                d_inf = sfd / sff
                chi2 = sdd - sfd * sfd / sff
                # a weak preference for growth that is over within the record: an unbent curve has no plateau
                if d_inf > 5.0:
                    chi2 += 10 * (d_inf - 5.0) ** 2 * t.size
                grid[i, j] = (chi2, d_inf)
        # of equals the earliest start is taken, and of these the shortest tau
        for i in range(25):
            for j in range(25):
                if grid[i, j, 0] < best:
                    best, best_d = grid[i, j]
                    best_t0 = low0 + (high0 - low0) * i / 24
                    best_tau = np.exp(low1 + (high1 - low1) * j / 24)
    return best_t0, best_tau, best_d, best


@njit(cache=True, nogil=True)
def _information(t: Array, w: Array, t0: float, tau: float, d_inf: float) -> Array:  # pragma: no cover (numba)
    """What the points say of t0, tau and d_inf: the sum of the weighted squares of the gradient."""
    out = np.zeros((3, 3))
    gradient = np.empty(3)
    for k in range(t.size):
        fall = np.exp(-min(max((t[k] - t0) / tau, 0.0), 50.0))
        gradient[0], gradient[1] = -d_inf * fall / tau, -d_inf * fall * (t[k] - t0) / tau**2
        gradient[2] = 1 - fall
        for a in range(3):
            for b in range(3):
                out[a, b] += w[k] * gradient[a] * gradient[b]
    return out
