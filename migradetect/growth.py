"""Growth of a migrasome: d(t) = d_inf (1 - exp(-(t - t0) / tau)), a fast rise and a plateau.

Migrasomes swell within tens of minutes and then keep their size (Ma et al. 2015, doi:10.1038/cr.2014.135; Huang et al.
2019, doi:10.1038/s41556-019-0367-5). For given t0 and tau the model is linear in d_inf, so the best pair is looked for
on a grid and then refined (variable projection, Golub & Pereyra 1973, doi:10.1137/0710036).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.params import GrowthParams

__all__ = ["GrowthFit", "fit_growth"]

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
    """
    ok = np.isfinite(diameter_um) & np.isfinite(error_um) & np.isfinite(time_min)
    t, d, e = time_min[ok], diameter_um[ok], error_um[ok]
    if t.size == 0:
        return GrowthFit(None, np.nan, np.nan, _NONE, np.nan, _NONE, np.nan, _NONE, np.nan)
    # a floor of 3 %: no profile fit is truer than the model of its shape
    e = np.hypot(e, 0.03 * d)
    plateau, spread = _plateau(d, e)
    constant = GrowthFit(
        CONSTANT, np.nan, plateau, (plateau - 1.96 * spread, plateau + 1.96 * spread), np.nan, _NONE, np.nan, _NONE, 0.0
    )
    if t.size < params.min_points or is_left_censored or np.ptp(t) <= 0:
        return constant
    w = _robust_weights(t, d, e)
    step = float(np.median(np.diff(np.sort(t))))
    best = _search(t, d, w, t[0] - 6 * step, t[0] + 0.5 * step, 0.3 * step, 1.5 * float(np.ptp(t)) + step)
    t0, tau, d_inf, chi2 = best
    if not np.isfinite(chi2):
        return constant
    covariance = _covariance(t, w, t0, tau, d_inf)
    scale = max(1.0, chi2 / max(t.size - 3, 1))
    residual = d - d_inf * (1 - np.exp(-(t - t0) / tau))
    total = float((w * (d - np.average(d, weights=w)) ** 2).sum())
    r2 = float(np.clip(1 - (w * residual**2).sum() / total, 0, 1)) if total > 0 else 0.0
    sd = np.sqrt(np.clip(np.diag(covariance) * scale, 0, None))
    # an exponential that has not bent yet tells neither plateau nor tau: the limits say so
    log_tau = 1.96 * sd[1] / tau
    tau_ci = (tau * float(np.exp(-min(log_tau, 5))), tau * float(np.exp(min(log_tau, 5))))
    rate = d_inf / tau
    gradient = np.array([0, -d_inf / tau**2, 1 / tau])
    rate_sd = float(np.sqrt(max(gradient @ covariance @ gradient * scale, 0)))
    return GrowthFit(
        MODEL,
        float(t0),
        float(d_inf),
        (float(d_inf - 1.96 * sd[2]), float(d_inf + 1.96 * sd[2])),
        float(tau),
        tau_ci,
        float(rate),
        (float(max(rate - 1.96 * rate_sd, 0)), float(rate + 1.96 * rate_sd)),
        r2,
    )


def _plateau(d: Array, e: Array) -> tuple[float, float]:
    """Weighted mean of the later half, and its standard error."""
    late = slice(d.size // 2, None)
    w = 1 / e[late] ** 2
    mean = float(np.average(d[late], weights=w))
    scatter = np.sqrt(np.average((d[late] - mean) ** 2, weights=w) / max(d[late].size - 1, 1))
    return mean, float(max(scatter, np.sqrt(1 / w.sum())))


def _robust_weights(t: Array, d: Array, e: Array) -> Array:
    """Inverse variances; points far from the running median lose their say."""
    pad = np.pad(d, 2, mode="edge")
    running = np.median(np.stack([pad[i : i + d.size] for i in range(5)]), axis=0)
    pull = np.abs(d - running) / e
    return np.asarray(1 / e**2 / np.maximum(1, (pull / 3) ** 2))


@njit(cache=True, nogil=True)
def _search(
    t: Array, d: Array, w: Array, t0_low: float, t0_high: float, tau_low: float, tau_high: float
) -> tuple[float, float, float, float]:  # pragma: no cover (numba)
    best_t0, best_tau, best_d, best = np.nan, np.nan, np.nan, np.inf
    low0, high0, low1, high1 = t0_low, t0_high, np.log(tau_low), np.log(tau_high)
    for _ in range(4):
        # four rounds of a 25 x 25 grid, each a fifth as wide: resolved to a few parts in a thousand
        centre0, centre1 = best_t0, best_tau
        if np.isfinite(best):
            width0, width1 = (high0 - low0) / 10, (high1 - low1) / 10
            low0, high0 = max(t0_low, centre0 - width0), min(t0_high, centre0 + width0)
            low1, high1 = np.log(centre1) - width1, np.log(centre1) + width1
        for i in range(25):
            t0 = low0 + (high0 - low0) * i / 24
            for j in range(25):
                tau = np.exp(low1 + (high1 - low1) * j / 24)
                sff = sfd = sdd = 0.0
                for k in range(t.size):
                    f = 1 - np.exp(-(t[k] - t0) / tau) if t[k] > t0 else 0.0
                    sff += w[k] * f * f
                    sfd += w[k] * f * d[k]
                    sdd += w[k] * d[k] * d[k]
                if sff <= 0:
                    continue
                d_inf = sfd / sff
                # a weak preference for growth that is over within the record: an unbent curve has no plateau
                chi2 = sdd - sfd * sfd / sff
                if d_inf > 5.0:
                    chi2 += 10 * (d_inf - 5.0) ** 2 * t.size
                if chi2 < best:
                    best_t0, best_tau, best_d, best = t0, tau, d_inf, chi2
    return best_t0, best_tau, best_d, best


def _covariance(t: Array, w: Array, t0: float, tau: float, d_inf: float) -> Array:
    fall = np.exp(-np.clip((t - t0) / tau, 0, 50))
    jacobian = np.stack([-d_inf * fall / tau, -d_inf * fall * (t - t0) / tau**2, 1 - fall], axis=1)
    information = (jacobian * w[:, None]).T @ jacobian
    return np.asarray(np.linalg.pinv(information))
