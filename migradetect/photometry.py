"""Forced photometry: what each site holds in a frame, whether or not a spot was found there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.profiles import ProfileLibrary, fit_profiles, fit_signal, radial_profiles

__all__ = ["Sites", "count_arms", "measure_sites"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Array = NDArray[np.float64]

#: Above this SNR the diameter of a single frame is trusted to size its own signal.
_FREE_SNR = 6.0


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
        full-grown diameter, noise units um2), diameter_um, diameter_err_um, snr, <role>_signal and <role>_err (count
        um2). NaN where the site is covered or outside.
    """
    y_um, x_um = sites.y_stage_um + drift_um[0], sites.x_stage_um + drift_um[1]
    y, x = calibration.px(y_um), calibration.px(x_um)
    height, width = signal.shape
    inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
    reach = np.minimum(sites.diameter_um * 0.8 + 0.6, library.radii_px[-1] * calibration.pixel_size_um)
    profile, error = radial_profiles(signal, variance, weight, y, x, library, reach)
    fit = fit_profiles_by_shape(profile, error, library, sites.shape)
    amplitude, amplitude_err, _ = fit_signal(profile, error, library, sites.diameter_um, sites.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = np.where(fit[2] / fit[3] > 0, fit[2] / fit[3], 0)
    snr = np.where(np.isfinite(amplitude), snr, np.nan)
    seen = inside & (snr > 2)
    out = {
        "migrasome_id": sites.site_id,
        "y_um": y_um,
        "x_um": x_um,
        "is_in_field": inside,
        "amplitude": amplitude,
        "amplitude_err": amplitude_err,
        "diameter_um": np.where(seen, fit[0], np.nan),
        "diameter_err_um": np.where(seen, fit[1], np.nan),
        "snr": snr,
    }
    sized = np.where((snr > _FREE_SNR) & np.isfinite(fit[0]), fit[0], sites.diameter_um)
    for role, (counts, spread) in channels.items():
        ring, ring_error = radial_profiles(counts, spread, weight, y, x, library, reach)
        value, err, _ = fit_signal(ring, ring_error, library, sized, sites.shape)
        out[f"{role}_signal"] = value
        out[f"{role}_err"] = err
    return pd.DataFrame(out)


def fit_profiles_by_shape(
    profile: Array, error: Array, library: ProfileLibrary, shape: NDArray[np.int64]
) -> tuple[Array, Array, Array, Array]:
    """Diameter, its error, signal and its error, each site fitted with its own shape."""
    out = np.full((4, len(shape)), np.nan)
    for one in np.unique(shape):
        here = shape == one
        fit = fit_profiles(profile[here], error[here], library, int(one))
        out[:, here] = fit.diameter_um, fit.diameter_err_um, fit.signal, fit.signal_err
    return out[0], out[1], out[2], out[3]


def count_arms(
    fibers: Labels, y_px: Array, x_px: Array, radius_px: Array, calibration: Calibration
) -> NDArray[np.int64]:
    """Number of fiber arms that cross a ring around each site.

    Parameters
    ----------
    fibers : ndarray of int, shape (Y, X)
        Centrelines.
    y_px, x_px : ndarray, shape (N,)
        Sites.
    radius_px : ndarray, shape (N,)
        Radius of the migrasome; the ring lies just outside.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray of int, shape (N,)
        0 where no line is near.
    """
    out = np.zeros(np.asarray(y_px).size, np.int64)
    line = fibers > 0
    height, width = fibers.shape
    # at least one and a half pixels, so that an 8-connected line can't slip through the ring
    thickness = max(1.5, calibration.px(0.15))
    for i, (y, x, r) in enumerate(zip(y_px, x_px, radius_px, strict=True)):
        counts = []
        for gap_um in (0.45, 0.7, 0.95):
            ring = r + calibration.px(gap_um)
            size = int(np.ceil(ring + thickness)) + 1
            y0, y1 = max(0, int(y) - size), min(height, int(y) + size + 2)
            x0, x1 = max(0, int(x) - size), min(width, int(x) + size + 2)
            if y0 >= y1 or x0 >= x1:
                break
            yy, xx = np.mgrid[y0:y1, x0:x1]
            at = np.hypot(yy - y, xx - x)
            crossing = line[y0:y1, x0:x1] & (np.abs(at - ring) <= thickness)
            n, _ = cv2.connectedComponents(crossing.astype(np.uint8), connectivity=8)
            counts.append(n - 1)
        if counts:
            out[i] = int(np.median(counts))
    return out
