"""Ridge and blob responses in SNR units."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import masked_gaussian

__all__ = ["BlobScales", "blob_responses", "ridge_response", "ridge_widths_um"]

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BlobScales:
    """Scales of the blob search.

    Parameters
    ----------
    sigmas_px : tuple of float
        Gaussian standard deviations in pixels, rising by a constant ratio; S of them give S - 1 responses.
    """

    sigmas_px: tuple[float, ...]

    @classmethod
    def for_diameters(cls, low_px: float, high_px: float, psf_sigma_px: float, ratio: float = 1.25) -> BlobScales:
        """Scales that cover discs from `low_px` to `high_px` in diameter, seen through the PSF.

        A disc of radius R answers most at sigma = R / sqrt(2) (Lindeberg 1998, doi:10.1023/A:1008045108935); the PSF
        adds its own variance.
        """
        # a difference of Gaussians s, k s stands for a Laplacian at about s * sqrt(k)
        first = np.hypot(low_px / 2 / np.sqrt(2), psf_sigma_px) / ratio
        last = np.hypot(high_px / 2 / np.sqrt(2), psf_sigma_px)
        n = int(np.ceil(np.log(last / first) / np.log(ratio))) + 2
        return cls(tuple(float(first * ratio**i) for i in range(n)))


def blob_responses(
    snr_image: Image, weight: Image, scales: BlobScales
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normalised differences of Gaussians in units of their own noise.

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with white noise of standard deviation 1.
    weight : ndarray, shape (Y, X)
        1 where a pixel counts, 0 inside cell bodies.
    scales : BlobScales
        S Gaussians.

    Returns
    -------
    responses : ndarray, shape (S - 1, Y, X)
        Response over the standard deviation that unit white noise gives it; bright blobs are positive.
    smooth : ndarray, shape (S, Y, X)
        The Gaussian means themselves.
    """
    out = np.empty((len(scales.sigmas_px) - 1, *snr_image.shape), np.float32)
    smooth = np.empty((len(scales.sigmas_px), *snr_image.shape), np.float32)
    smooth[0], support = masked_gaussian(snr_image, weight, scales.sigmas_px[0])
    for i, (fine, coarse) in enumerate(zip(scales.sigmas_px[:-1], scales.sigmas_px[1:], strict=True)):
        smooth[i + 1], wider = masked_gaussian(snr_image, weight, coarse)
        # half a kernel on counted pixels means half the samples: sqrt keeps the noise at 1 or below
        np.sqrt(support, out=support)
        np.subtract(smooth[i], smooth[i + 1], out=out[i])
        out[i] *= support
        out[i] /= np.float32(_dog_noise(fine, coarse))
        support = wider
    return out, smooth


def _dog_noise(fine: float, coarse: float) -> float:
    return float(np.sqrt(1 / (4 * np.pi * fine**2) + 1 / (4 * np.pi * coarse**2) - 1 / (np.pi * (fine**2 + coarse**2))))


def ridge_response(snr_image: Image, weight: Image, sigma_px: float) -> tuple[Image, Image, Image]:
    """Bright-line response of one scale: minus the smaller Hessian eigenvalue, in units of its own noise.

    Steger 1998, doi:10.1109/34.659930: on a bright line the second derivative across it is large and negative.

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with white noise of standard deviation 1.
    weight : ndarray, shape (Y, X)
        1 where a pixel counts, 0 inside cell bodies.
    sigma_px : float
        Scale in pixels.

    Returns
    -------
    response : ndarray, shape (Y, X)
        Curvature across the line over its noise; 0 where nothing counts.
    along : ndarray, shape (Y, X)
        Curvature along the line over its noise: near 0 on a line, equal to `response` on a blob.
    angle_rad : ndarray, shape (Y, X)
        Direction across the line, atan2(y, x).
    """
    # finite differences widen the kernel by variance 1/6 (facts measured on this design), taken off here
    sigma = float(np.sqrt(max(sigma_px**2 - 1 / 6, 0.05)))
    smooth, support = masked_gaussian(snr_image, weight, sigma)
    # standard deviation of a Gaussian second derivative of unit white noise: sqrt(3 / (16 pi)) / sigma^3
    noise = np.sqrt(3 / (16 * np.pi)) / sigma_px**3
    return _hessian(smooth, np.sqrt(np.clip(support, 0, 1)) * (support > 0.3), noise)


@njit(cache=True, nogil=True)
def _hessian(smooth: Image, gate: Image, noise: float) -> tuple[Image, Image, Image]:  # pragma: no cover (numba)
    height, width = smooth.shape
    response = np.zeros((height, width), np.float32)
    along = np.zeros((height, width), np.float32)
    angle = np.zeros((height, width), np.float32)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if gate[y, x] <= 0:
                continue
            c = smooth[y, x]
            yy = smooth[y - 1, x] - 2 * c + smooth[y + 1, x]
            xx = smooth[y, x - 1] - 2 * c + smooth[y, x + 1]
            xy = 0.25 * (smooth[y + 1, x + 1] - smooth[y + 1, x - 1] - smooth[y - 1, x + 1] + smooth[y - 1, x - 1])
            mean = 0.5 * (xx + yy)
            half = 0.5 * (xx - yy)
            root = np.sqrt(half * half + xy * xy)
            response[y, x] = -(mean - root) / noise * gate[y, x]
            along[y, x] = -(mean + root) / noise * gate[y, x]
            # eigenvector of the smaller (most negative) eigenvalue: across the line
            angle[y, x] = 0.5 * np.arctan2(-2 * xy, -(xx - yy))
    return response, along, angle


def ridge_widths_um(
    image: Image, response: Image, along: Image, angle_rad: Image, pixel_size_um: float, min_snr: float = 6.0
) -> NDArray[np.float64]:
    """Gaussian sigmas of the bright lines in an image, one for each neighbourhood that has some.

    Retraction fibers are ~50 nm wide, far below the resolution: their profile across *is* the PSF. Profiles at strong,
    straight ridge pixels are averaged over neighbourhoods and the width of each average is read; bundles only widen it,
    so their median is an upper bound of the PSF that is close where single fibers are common.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Background-free image, any units.
    response, along, angle_rad : ndarray, shape (Y, X)
        From :func:`ridge_response`.
    pixel_size_um : float
        Edge of a pixel.
    min_snr : float
        Smallest response that is used.

    Returns
    -------
    ndarray, shape (N,)
        Sigmas in um, the pixel's own width included.
    """
    y, x = np.nonzero((response > min_snr) & (along < 0.25 * response))
    if y.size < 20:
        return np.empty(0)
    angle = angle_rad[y, x]
    reach_px = max(4.0, 0.6 / pixel_size_um)
    steps = np.linspace(-reach_px, reach_px, 33, dtype=np.float32)
    sample_y = (y[:, None] + np.sin(angle)[:, None] * steps).astype(np.float32)
    sample_x = (x[:, None] + np.cos(angle)[:, None] * steps).astype(np.float32)
    profile = np.empty(sample_y.shape, np.float32)
    for start in range(0, len(y), 20_000):  # remap takes at most 32767 rows
        part = slice(start, start + 20_000)
        profile[part] = cv2.remap(
            image, sample_x[part], sample_y[part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
    # only where the pixel is the crest of its own profile
    centre = steps.size // 2
    inner = np.abs(steps) <= 1.5
    crest = np.abs(steps[inner][np.argmax(profile[:, inner], axis=1)]) <= 0.6
    profile, y, x = profile[crest], y[crest], x[crest]
    block = (y // 48) * 10_000 + x // 48
    sigmas = []
    for one in np.unique(block):
        inside = block == one
        if inside.sum() < 10:
            continue
        mean = profile[inside].mean(axis=0)
        sigma = _gaussian_sigma(steps, mean - np.quantile(mean, 0.15), centre)
        if np.isfinite(sigma):
            sigmas.append(sigma)
    # the crest pixel is off the line by up to half a pixel: 1/12 px^2; reading between pixels smooths by about as much
    variance = np.array(sigmas) ** 2 - 1 / 12 - 1 / 24
    return np.asarray(np.sqrt(np.maximum(variance, 0.2)) * pixel_size_um)


def _gaussian_sigma(steps: NDArray[np.float32], profile: NDArray[np.float32], centre: int) -> float:
    """Half width at half maximum on both sides, as a Gaussian sigma in pixels; NaN where a side never falls."""
    half = 0.5 * float(profile[centre - 1 : centre + 2].max())
    widths = []
    for side in (profile[centre:], profile[centre::-1]):
        below = np.flatnonzero(side < half)
        if not below.size or below[0] == 0:
            return float("nan")
        k = int(below[0])
        widths.append(k - 1 + float((side[k - 1] - half) / max(side[k - 1] - side[k], 1e-9)))
    return float(np.mean(widths) * (steps[1] - steps[0]) / 1.1774)
