"""How many arms of fiber lead to a site, from the light along the rays around it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.assign._arms import N_ANGLES, Rays
from migradetect.trees import load_trees, trees_probability

__all__ = ["ARM_FEATURES", "UNKNOWN_ARMS", "arm_features", "count_arms", "learned_arms", "rule_arms"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Number of arms where the border of the field cuts off a part of the surroundings.
UNKNOWN_ARMS = -1
#: This many arms are a branch, however many more there are out of view.
_BRANCH_ARMS = 3
_DEGREES = 360 / N_ANGLES
#: Fewest noise units of an arm, and least share of the strongest arm: fibers at a site differ by a factor of a few.
_LEAST_SNR, _LEAST_SHARE = 2.0, 0.15
#: Arms closer than this run into one another, degrees: at 1 um from the rim they are about two PSF widths apart.
_APART_DEG = 30.0
#: Most arms worth telling apart.
_MOST_ARMS = 6
#: Strongest rays whose strength the trees see, this far apart, degrees.
_N_SEEN, _SEEN_APART_DEG = 5, 20.0
#: An arm goes straight on within this angle, degrees.
_STRAIGHT_DEG = 25.0
#: Noise units and angles from which on more say no more.
_MOST_SNR = 60.0

#: What the trees see of a site. ``snr_<k>``: strength of the k-th strongest ray over the noise; ``share_<k>``: over the
#: strongest; ``apart_2``: angle between the two strongest, degrees; ``apart_3``: of the third to the nearer of them;
#: ``straight``: strongest ray opposite the strongest one, over it; ``usual``: median over all rays over the strongest;
#: ``radius_um``: of the site; ``arms``: arms by the rules.
ARM_FEATURES = (
    *(f"snr_{k}" for k in range(1, _N_SEEN + 1)),
    *(f"share_{k}" for k in range(2, _N_SEEN + 1)),
    "apart_2",
    "apart_3",
    "straight",
    "usual",
    "radius_um",
    "arms",
)


def count_arms(rays: Rays, method: str) -> Counts:
    """Arms at each site.

    Parameters
    ----------
    rays : Rays
        From :meth:`ArmReader.rays`; N sites.
    method : str
        ``learned`` or ``rules``.

    Returns
    -------
    ndarray of int, shape (N,)
        0 where none can be seen, up to 6; :data:`UNKNOWN_ARMS` where the border cuts off a part of the surroundings in
        all frames and what is in view does not make a branch yet. Learned, 3 stands for three or more.
    """
    arms = rule_arms(rays)
    if method == "learned":
        arms = learned_arms(arm_features(rays, arms), arms)
    return np.where(rays.is_cut & (arms < _BRANCH_ARMS), UNKNOWN_ARMS, arms)


def rule_arms(rays: Rays) -> Counts:
    """Rays that stand out from the noise and from the strongest one, shape (N,)."""
    floor = np.maximum(_LEAST_SNR * rays.noise, _LEAST_SHARE * rays.strength.max(axis=1, initial=0.0))
    places = _peaks(rays.strength, floor, _APART_DEG, _MOST_ARMS)
    return np.asarray((places >= 0).sum(axis=1), dtype=np.int64)


def learned_arms(features: pd.DataFrame, arms: Counts) -> Counts:
    """Arms by gradient-boosted trees, trained on simulated movies by ``workflows/benchmark/train_arms.py``.

    Parameters
    ----------
    features : pandas.DataFrame
        Columns :data:`ARM_FEATURES`, N rows.
    arms : ndarray of int, shape (N,)
        Arms by the rules; where there is none, there is none.

    Returns
    -------
    ndarray of int, shape (N,)
        0 to 3.
    """
    values = features[list(ARM_FEATURES)]
    more_than_one, more_than_two = (
        trees_probability(load_trees(f"arms{k}.npz", ARM_FEATURES, "train_arms.py"), values) for k in (2, 3)
    )
    found = 1 + (more_than_one > 0.5) + (np.minimum(more_than_one, more_than_two) > 0.5)
    return np.where(arms > 0, found, 0).astype(np.int64)


def arm_features(rays: Rays, arms: Counts) -> pd.DataFrame:
    """What the trees see of each site.

    Parameters
    ----------
    rays : Rays
        N sites.
    arms : ndarray of int, shape (N,)
        Arms by the rules.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`ARM_FEATURES`, N rows.
    """
    strength = rays.strength
    n = len(strength)
    places = _peaks(strength, np.zeros(n), _SEEN_APART_DEG, _N_SEEN)
    value = np.where(places >= 0, np.take_along_axis(strength, np.maximum(places, 0), axis=1), 0.0)
    strongest = np.maximum(value[:, 0], 1e-9)
    table = {f"snr_{k + 1}": np.minimum(value[:, k] / np.maximum(rays.noise, 1e-9), _MOST_SNR) for k in range(_N_SEEN)}
    table |= {f"share_{k + 1}": value[:, k] / strongest for k in range(1, _N_SEEN)}
    gap = np.where((places[:, :3] >= 0) & (places[:, :1] >= 0), _gap(places[:, :3], places[:, :1]), np.nan)
    other = np.where((places[:, 2] >= 0) & (places[:, 1] >= 0), _gap(places[:, 2], places[:, 1]), np.nan)
    table["apart_2"], table["apart_3"] = gap[:, 1], np.fmin(gap[:, 2], other)
    reach = int(_STRAIGHT_DEG / _DEGREES)
    opposite = places[:, :1] + N_ANGLES // 2 + np.arange(-reach, reach + 1)
    table["straight"] = np.take_along_axis(strength, opposite % N_ANGLES, axis=1).max(axis=1) / strongest
    table["usual"] = np.median(strength, axis=1) / strongest
    return pd.DataFrame(table | {"radius_um": rays.radius_um, "arms": arms.astype(float)})[list(ARM_FEATURES)]


def _gap(one: Counts, other: Counts) -> Array:
    """Angle between rays, degrees."""
    turn = (one - other) % N_ANGLES
    return np.asarray(np.minimum(turn, N_ANGLES - turn) * _DEGREES)


@njit(cache=True, nogil=True)
def _peaks(strength: Array, floor: Array, apart_deg: float, most: int) -> Counts:  # pragma: no cover (numba)
    """Rays of each site that are stronger than their neighbours and a floor, and far enough apart, the strongest first.

    Shape (N, most); -1 where there are no more.
    """
    out = np.full((len(strength), most), -1)
    for i in range(len(strength)):
        row = strength[i]
        is_peak = (row >= np.roll(row, 1)) & (row >= np.roll(row, -1)) & (row > floor[i])
        n = 0
        for k in np.argsort(-row, kind="mergesort"):
            is_apart = is_peak[k]
            for other in out[i, :n]:
                gap = min((k - other) % N_ANGLES, (other - k) % N_ANGLES) * _DEGREES
                is_apart = is_apart and gap >= apart_deg
            if is_apart and n < most:
                out[i, n] = k
                n += 1
    return out
