"""Ridge and blob responses in SNR units."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import masked_gaussian

__all__ = ["BlobScales", "blob_responses", "ridge_response", "ridge_width_um"]

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


def ridge_width_um(
    image: Image, response: Image, along: Image, angle_rad: Image, pixel_size_um: float, min_snr: float = 12.0
) -> float:
    """Gaussian sigma of the thinnest bright lines in an image.

    Retraction fibers are ~50 nm wide, far below the resolution: their profile across *is* the PSF. At each strong,
    straight ridge pixel the profile is read at 0 and +-1.5 PSF-typical steps; bundles only widen it, so the lower
    quartile is taken.

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
    float
        Sigma in um; NaN where too few lines are seen.
    """
    y, x = np.nonzero((response > min_snr) & (along < 0.25 * response))
    if y.size < 60:
        return float("nan")
    order = np.argsort(-response[y, x], kind="stable")[:6000]
    y, x = y[order].astype(np.float32), x[order].astype(np.float32)
    angle = angle_rad[y.astype(int), x.astype(int)]
    steps = np.arange(-4, 4.01, 0.5, dtype=np.float32) * max(1.0, 0.1 / pixel_size_um)
    sample_y = y[:, None] + np.sin(angle)[:, None] * steps
    sample_x = x[:, None] + np.cos(angle)[:, None] * steps
    profile = cv2.remap(image, sample_x, sample_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    centre = steps.size // 2
    # only where the pixel is the crest of its own profile
    peak = np.argmax(profile[:, centre - 2 : centre + 3], axis=1)
    profile = profile[(peak >= 1) & (peak <= 3)]
    if len(profile) < 40:
        return float("nan")
    base = np.quantile(profile, 0.15, axis=1, keepdims=True)
    lifted = profile - base
    height = lifted[:, centre - 1 : centre + 2].mean(axis=1)
    sigma = np.full(len(lifted), np.nan)
    for i, line in enumerate(lifted):
        above = line > 0.5 * height[i]
        left = right = centre
        while left > 0 and above[left - 1]:
            left -= 1
        while right < line.size - 1 and above[right + 1]:
            right += 1
        if left > 0 and right < line.size - 1:
            low = left - (line[left] - 0.5 * height[i]) / max(line[left] - line[left - 1], 1e-9)
            high = right + (line[right] - 0.5 * height[i]) / max(line[right] - line[right + 1], 1e-9)
            sigma[i] = (high - low) * float(steps[1] - steps[0]) / 2.3548
    sigma = sigma[np.isfinite(sigma)]
    if sigma.size < 40:
        return float("nan")
    return float(np.quantile(sigma, 0.3)) * pixel_size_um
