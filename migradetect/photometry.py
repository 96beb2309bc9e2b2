"""Forced photometry: what each site holds in a frame, whether or not a spot was found there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.profiles import (
    N_SHAPES,
    ProfileLibrary,
    Sectors,
    find_offsets,
    fit_shapes,
    fit_signal,
    line_strength,
    median_profile,
    radial_profiles,
    read_sectors,
    shape_weights,
)

__all__ = ["Sites", "measure_covered", "measure_sites", "settle_shape"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Array = NDArray[np.float64]

#: Above this SNR the diameter of a single frame is trusted to size its own signal.
_FREE_SNR = 6.0
#: Error of the profile templates, share of the contrast.
_MODEL_ERROR = 0.04
#: Places around a covered site that tell the texture of the body.
_N_BESIDE = 8


@dataclass(frozen=True)
class Sites:
    """N places on the dish that are followed; arrays of shape (N,).

    Parameters
    ----------
    site_id : ndarray of int
        Identity.
    y_stage_um, x_stage_um : ndarray
        Drift-corrected place.
    diameter_um : ndarray
        Typical full-grown diameter.
    shape : ndarray of int
        Index of the profile shape.
    """

    site_id: NDArray[np.int64]
    y_stage_um: Array
    x_stage_um: Array
    diameter_um: Array
    shape: NDArray[np.int64]


def measure_sites(
    sites: Sites,
    signal: Image,
    variance: Image,
    weight: Image,
    channels: dict[str, tuple[Image, Image]],
    drift_um: tuple[float, float],
    calibration: Calibration,
    library: ProfileLibrary,
) -> pd.DataFrame:
    """Diameter and signals of every site in one frame.

    Parameters
    ----------
    sites : Sites
        N sites.
    signal, variance, weight : ndarray, shape (Y, X)
        Sum of the channels over the noise of an empty pixel, its variance, and 1 outside bodies.
    channels : dict of str to (ndarray, ndarray)
        Counts and their variance by role, shape (Y, X); the local background may still be in them.
    drift_um : tuple of float
        Stage drift (y, x) of the frame.
    calibration : Calibration
        Pixel size.
    library : ProfileLibrary
        Radial profiles.

    Returns
    -------
    pandas.DataFrame
        One row per site: migrasome_id, y_um, x_um, is_in_field, amplitude and amplitude_err (matched filter at the
        full-grown diameter, noise units um2), snr, diameter_um_<k>, diameter_err_um_<k> and chi2_<k> for each shape
        k, <role>_signal and <role>_err (count um2). NaN where the site is covered or outside.
    """
    y_um, x_um = sites.y_stage_um + drift_um[0], sites.x_stage_um + drift_um[1]
    y, x = calibration.px(y_um), calibration.px(x_um)
    height, width = signal.shape
    inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
    reach = _reach_um(sites.diameter_um, library)
    sectors = read_sectors(signal, variance, weight, y, x, library, reach)
    profile = median_profile(sectors)
    amplitude, amplitude_err, _ = fit_signal(profile, sectors.error, library, sites.diameter_um, sites.shape)
    # a site is known to a tenth of a um and drift to less than a pixel; off its centre a profile is wider
    clear = np.flatnonzero(amplitude > _FREE_SNR * amplitude_err)
    first = Sectors(sectors.values[clear], sectors.error[clear])
    dy, dx = find_offsets(first, profile[clear], library, sites.diameter_um[clear] / 2)
    y[clear] += dy
    x[clear] += dx
    centred = read_sectors(signal, variance, weight, y[clear], x[clear], library, reach[clear])
    sectors.values[clear], sectors.error[clear] = centred.values, centred.error
    profile[clear] = median_profile(centred)
    line = line_strength(sectors, profile, library)
    fits = fit_shapes(profile, sectors.error, library, line, _MODEL_ERROR)
    rows = np.arange(len(sites.shape))
    signal_of = np.stack([fit.signal for fit in fits])[sites.shape, rows]
    error_of = np.stack([fit.signal_err for fit in fits])[sites.shape, rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = np.where(np.isfinite(amplitude), np.maximum(np.nan_to_num(signal_of / error_of), 0), np.nan)
    seen = inside & (snr > 2)
    sized = np.stack([fit.diameter_um for fit in fits])[sites.shape, rows]
    sized = np.where((snr > _FREE_SNR) & np.isfinite(sized), sized, sites.diameter_um)
    n_free = np.maximum(np.isfinite(profile).sum(axis=1) - 3, 1)
    out = {
        "migrasome_id": sites.site_id,
        "y_um": y_um,
        "x_um": x_um,
        "is_in_field": inside,
        "amplitude": amplitude,
        "amplitude_err": amplitude_err,
        "snr": snr,
    }
    for k, fit in enumerate(fits):
        out[f"diameter_um_{k}"] = np.where(seen, fit.diameter_um, np.nan)
        out[f"diameter_err_um_{k}"] = np.where(seen, fit.diameter_err_um, np.nan)
        out[f"chi2_{k}"] = np.where(seen, fit.chi2 * n_free, np.nan)
    for role, (counts, spread) in channels.items():
        ring, ring_error = radial_profiles(counts, spread, weight, y, x, library, reach)
        value, err, _ = fit_signal(ring, ring_error, library, sized, sites.shape)
        out[f"{role}_signal"] = value
        out[f"{role}_err"] = err
    return pd.DataFrame(out)


def _reach_um(diameter_um: Array, library: ProfileLibrary) -> Array:
    """Radius up to which a site is read: the migrasome, its blur and some background; shape (N,), um."""
    return np.minimum(diameter_um * 0.8 + 0.6, library.radii_px[-1] * library.pixel_size_um)


def measure_covered(
    sites: Sites,
    which: NDArray[np.int64],
    signal: Image,
    variance: Image,
    bodies: Labels,
    drift_um: tuple[float, float],
    calibration: Calibration,
    library: ProfileLibrary,
) -> tuple[Array, Array]:
    """Signal of sites that lie under a body, above the body around them.

    Light passes through a cell: what stands on the dish is still there, on top of the cell. What limits this is the
    texture of the body, not noise, so the error is what the same filter finds at places around the site.

    Parameters
    ----------
    sites : Sites
        N sites.
    which : ndarray of int, shape (K,)
        Positions of those to read.
    signal, variance : ndarray, shape (Y, X)
        As for :func:`measure_sites`, bodies not masked out.
    bodies : ndarray of int, shape (Y, X)
        Cells; 0 is the dish.
    drift_um : tuple of float
        Stage drift (y, x) of the frame.
    calibration : Calibration
        Pixel size.
    library : ProfileLibrary
        Radial profiles.

    Returns
    -------
    amplitude, error : ndarray, shape (K,)
        In the units of `amplitude` of :func:`measure_sites`; NaN where too little of a body is around.
    """
    diameter, shape = sites.diameter_um[which], sites.shape[which]
    y_um, x_um = sites.y_stage_um[which] + drift_um[0], sites.x_stage_um[which] + drift_um[1]
    open_everywhere = np.ones(signal.shape, np.float32)
    reach = _reach_um(diameter, library)

    def read(y_um: Array, x_um: Array) -> Array:
        places = calibration.px(y_um), calibration.px(x_um)
        profile, error = radial_profiles(signal, variance, open_everywhere, *places, library, reach)
        return fit_signal(profile, error, library, diameter, shape)[0]

    around = []
    for angle in np.arange(_N_BESIDE) * 2 * np.pi / _N_BESIDE:
        y, x = y_um + (diameter + 1.0) * np.sin(angle), x_um + (diameter + 1.0) * np.cos(angle)
        row, column = np.rint(calibration.px(y)).astype(int), np.rint(calibration.px(x)).astype(int)
        inside = (row >= 0) & (column >= 0) & (row < bodies.shape[0]) & (column < bodies.shape[1])
        under = inside & (bodies[np.where(inside, row, 0), np.where(inside, column, 0)] > 0)
        around.append(np.where(under, read(y, x), np.nan))
    beside = np.stack(around)
    known = np.isfinite(beside).sum(axis=0)
    mean_square = np.nansum(beside**2, axis=0) / np.maximum(known, 1)
    error = np.where(known >= _N_BESIDE // 2, np.sqrt(mean_square), np.nan)
    amplitude = np.where(np.isfinite(error), read(y_um, x_um), np.nan)
    return amplitude, error


def settle_shape(traces: pd.DataFrame, max_looks: float = 6.0) -> pd.DataFrame:
    """Diameter of each site in each frame, with one mixture of shapes for the whole life of the site.

    Parameters
    ----------
    traces : pandas.DataFrame
        Rows of :func:`measure_sites` of all frames.
    max_looks : float
        Frames that count as independent evidence for a shape, at most.

    Returns
    -------
    pandas.DataFrame
        A copy with `diameter_um` and `diameter_err_um` in place of the columns of the single shapes.
    """
    out = traces.copy()
    chi2 = out[[f"chi2_{k}" for k in range(N_SHAPES)]].where(out["snr"] > _FREE_SNR)
    by = chi2.groupby(out["migrasome_id"])
    looks = by[chi2.columns[0]].transform("count").clip(upper=max_looks).to_numpy(float)
    weight = shape_weights(by.transform("median").to_numpy(float).T, looks)
    diameter = out[[f"diameter_um_{k}" for k in range(N_SHAPES)]].to_numpy(float).T
    error = out[[f"diameter_err_um_{k}" for k in range(N_SHAPES)]].to_numpy(float).T
    usable = np.isfinite(diameter) & np.isfinite(error)
    weight = np.where(usable, weight, 0)
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1)
    out["diameter_um"] = np.where(total > 0, (weight * np.nan_to_num(diameter)).sum(axis=0) / safe, np.nan)
    out["diameter_err_um"] = np.where(total > 0, (weight * np.nan_to_num(error)).sum(axis=0) / safe, np.nan)
    return out.drop(
        columns=[f"{name}_{k}" for name in ("diameter_um", "diameter_err_um", "chi2") for k in range(N_SHAPES)]
    )
