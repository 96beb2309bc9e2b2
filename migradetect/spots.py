"""Migrasome candidates: every round bright thing of the right size, found generously and judged later.

A difference-of-Gaussians also answers to lines, line ends and crossings. So each maximum is measured in ways that tell
them apart: curvature along and across, and a radial profile that a line does not enter (see
:mod:`migradetect.profiles`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.bead_network import LOWEST_LOG_ODDS, bead_log_odds, bead_patches, load_network
from migradetect.calibration import Calibration
from migradetect.filters import BlobScales, blob_maxima
from migradetect.glance import is_worth_a_look
from migradetect.params import SpotParams
from migradetect.profiles import ProfileLibrary, fit_profiles, radial_profiles
from migradetect.rims import read_rims

__all__ = ["SPOT_COLUMNS", "SpotImage", "find_spots"]

Image = NDArray[np.float32]

#: A maximum this much wider than a stronger one at the same place is a thing of its own.
_NESTED = 1.5
#: Maxima need neighbours: this much is added around the image.
_PAD_PX = 3
#: Columns of a spot table, all float64 but `frame`.
SPOT_COLUMNS = (
    "y_px",
    "x_px",
    "snr",
    "contrast",
    "blob_snr",
    "diameter_um",
    "diameter_err_um",
    "signal",
    "roundness",
    "chi2",
    "background",
    "shape",
    "scale_um",
    "resolved",
    "line_ratio",
    "opposite_ratio",
    "valley_ratio",
    "misfit",
    "inside",
    "contains",
    "picture",
)


@dataclass(frozen=True)
class SpotImage:
    """What candidates are looked for in: the average of registered frames around one.

    Parameters
    ----------
    signal : ndarray, shape (Y, X)
        Channels above the local background, each divided by the noise of an empty pixel, and added.
    variance : ndarray, shape (Y, X)
        Noise variance of `signal`.
    weight : ndarray, shape (Y, X)
        1 outside cell bodies, 0 inside.
    """

    signal: Image
    variance: Image
    weight: Image

    @cached_property
    def snr(self) -> Image:
        """Signal with white noise of standard deviation 1, shape (Y, X)."""
        root = np.sqrt(self.variance)
        out = np.divide(self.signal, root, out=root)
        out *= self.weight
        return out


def find_spots(
    image: SpotImage, params: SpotParams, calibration: Calibration, library: ProfileLibrary, psf_sigma_um: float
) -> pd.DataFrame:
    """Candidates of one frame.

    Parameters
    ----------
    image : SpotImage
        Averaged frame.
    params : SpotParams
        Diameters in um, thresholds in SNR.
    calibration : Calibration
        Pixel size.
    library : ProfileLibrary
        Radial profiles for this PSF.
    psf_sigma_um : float
        Gaussian sigma of the PSF.

    Returns
    -------
    pandas.DataFrame
        One row per candidate with :data:`SPOT_COLUMNS`: sub-pixel position; `snr` of the blob filter and its
        `contrast`, in noise units of a pixel; `blob_snr`, of the round part alone; diameter and its error (um, PSF
        taken off); integrated `signal`; `roundness`, curvature along over across, 0 line to 1 disc; reduced `chi2` of
        the profile fit; local `background` in noise units; `shape`, index into
        :data:`migradetect.profiles.SHAPE_EXPONENTS`; `scale_um`, diameter by the filter alone; `resolved`, diameter
        over the width of the PSF; `line_ratio`, `opposite_ratio` and `valley_ratio`, the brightest surroundings just
        outside it, those across from there and the darkest, over its centre; `misfit`, residual of the profile fit
        over the signal; `inside` and `contains`, logarithm of the contrast of the strongest candidate around it or in
        it over its own (-3: none); `picture`, log-odds of a bead by the look of the surroundings, see
        :mod:`migradetect.bead_network`. ``attrs["n_cut"]`` counts maxima that were left out because there were more
        than `max_per_frame`.
    """
    scales = BlobScales.for_diameters(
        calibration.px(0.8 * params.min_diameter_um),
        calibration.px(params.max_diameter_um),
        calibration.px(psf_sigma_um),
    )
    # beyond the border nothing counts, so that what is cut by it is found as well
    snr = image.snr
    found = blob_maxima(_padded(snr), _padded(image.weight), scales, params.min_snr)
    if not len(found):
        return pd.DataFrame({name: pd.Series(dtype=float) for name in SPOT_COLUMNS})
    n_cut = max(0, len(found) - params.max_per_frame)
    sigma_px = _sigma_at(found, scales)
    kept = _strongest(found, sigma_px, params.max_per_frame)
    found, sigma_px = found[kept], sigma_px[kept]
    roundness = found[:, 4]
    y, x = (np.clip(found[:, k + 1] - _PAD_PX, 0, image.signal.shape[k] - 1) for k in (0, 1))
    psf_px = calibration.px(psf_sigma_um)
    # radius of the disc that answers most at this scale, with the PSF taken off
    radius_um = calibration.um(np.sqrt(2 * np.maximum(sigma_px**2 - psf_px**2, 0.2 * psf_px**2)))
    reach_um = np.minimum(1.6 * radius_um + 2 * psf_sigma_um + 0.35, library.radii_px[-1] * calibration.pixel_size_um)
    profile, error = radial_profiles(image.signal, image.variance, image.weight, y, x, library, reach_um)
    fit = fit_profiles(profile, error, library)
    rim = read_rims(image.signal, image.weight, y, x, _rim_px(fit.diameter_um, radius_um, psf_sigma_um, calibration))
    inside, contains = _nesting(np.stack([y, x], axis=1), calibration.px(radius_um), found[:, 3])
    table = pd.DataFrame(
        {
            "y_px": y,
            "x_px": x,
            "snr": found[:, 3] / scales.noise[np.rint(found[:, 0]).astype(int)],
            "contrast": found[:, 3],
            "blob_snr": fit.signal / fit.signal_err,
            "diameter_um": fit.diameter_um,
            "diameter_err_um": fit.diameter_err_um,
            "signal": fit.signal,
            "roundness": roundness,
            "chi2": fit.chi2,
            "background": fit.background,
            "shape": fit.shape.astype(float),
            "scale_um": 2 * radius_um,
            "resolved": fit.diameter_um / (2.3548 * psf_sigma_um),
            "line_ratio": rim.high / np.maximum(rim.centre, 1e-3),
            "opposite_ratio": rim.opposite / np.maximum(rim.centre, 1e-3),
            "valley_ratio": rim.low / np.maximum(rim.centre, 1e-3),
            "misfit": np.sqrt(fit.chi2) / np.maximum(fit.signal / fit.signal_err, 1.0),
            "inside": inside,
            "contains": contains,
        }
    )
    table["picture"] = _pictures(table, snr, image.weight, calibration)
    table = table[np.isfinite(table["blob_snr"])].reset_index(drop=True)
    table.attrs["n_cut"] = n_cut
    return table


def _pictures(table: pd.DataFrame, snr: Image, weight: Image, calibration: Calibration) -> NDArray[np.float64]:
    """What the network says of each candidate; its lowest answer where it need not be asked."""
    out = np.full(len(table), LOWEST_LOG_ODDS)
    asked = is_worth_a_look(table)
    y, x = (table[name].to_numpy()[asked] for name in ("y_px", "x_px"))
    out[asked] = bead_log_odds(bead_patches(snr, weight, y, x, calibration), load_network())
    return out


def _padded(plane: Image) -> Image:
    out = cv2.copyMakeBorder(plane, _PAD_PX, _PAD_PX, _PAD_PX, _PAD_PX, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(out, dtype=np.float32)


def _sigma_at(found: NDArray[np.float64], scales: BlobScales) -> NDArray[np.float64]:
    """Gaussian sigma of a Laplacian at each (fractional) scale, px; shape (N,)."""
    # a difference of Gaussians s, k s stands for a Laplacian at about s sqrt(k)
    sigmas = np.array(scales.sigmas_px)
    return np.asarray(np.interp(found[:, 0], np.arange(sigmas.size - 1), np.sqrt(sigmas[:-1] * sigmas[1:])))


def _strongest(found: NDArray[np.float64], sigma_px: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Drop what lies on the body of a stronger maximum: the rim of a shell, the grain of a large disc.

    A much larger, dimmer maximum around a stronger one stays: it may be a migrasome with a small one in front of it, or
    a clump, which only its whole track tells.
    """
    from scipy.spatial import cKDTree

    order = np.argsort(-found[:, 3], kind="stable")[:most]
    places, sigma = found[order, 1:3], sigma_px[order]
    kept = np.ones(order.size, bool)
    # sqrt(2) sigma is the radius of the disc: a maximum within it belongs to it
    for i, near in enumerate(cKDTree(places).query_ball_point(places, 1.2 * sigma)):
        if kept[i] and len(near) > 1:
            others = np.array(near)
            kept[others[(others > i) & (sigma[others] < _NESTED * sigma[i])]] = False
    return np.sort(order[kept])


def _rim_px(
    diameter_um: NDArray[np.float64], radius_um: NDArray[np.float64], psf_sigma_um: float, calibration: Calibration
) -> NDArray[np.float64]:
    """Radius just outside each candidate: its own and twice the PSF's sigma."""
    radius = np.where(np.isfinite(diameter_um), diameter_um / 2, radius_um)
    return np.asarray(calibration.px(np.clip(radius, 0.15, 2.0) + 2 * psf_sigma_um))


def _nesting(
    places: NDArray[np.float64], radius_px: NDArray[np.float64], contrast: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log contrast, over the own one, of the strongest candidate around each, and in each; -3 where there is none."""
    from scipy.spatial import cKDTree

    inside, contains = np.full(len(places), -3.0), np.full(len(places), -3.0)
    tree = cKDTree(places)
    for i, near in enumerate(tree.query_ball_point(places, radius_px)):
        for j in near:
            if radius_px[j] < radius_px[i]:
                ratio = float(np.clip(np.log(contrast[j] / contrast[i]), -3, 3))
                contains[i], inside[j] = max(contains[i], ratio), max(inside[j], -ratio)
    return inside, contains
