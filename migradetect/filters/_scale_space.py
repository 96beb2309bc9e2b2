"""Blob responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import masked_gaussian

__all__ = ["BlobScales", "blob_responses"]

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

    @property
    def noise(self) -> NDArray[np.float32]:
        """Standard deviation that white noise of 1 per pixel leaves in each response, shape (S - 1,)."""
        pairs = zip(self.sigmas_px[:-1], self.sigmas_px[1:], strict=True)
        return np.array([_dog_noise(fine, coarse) for fine, coarse in pairs], np.float32)


def blob_responses(
    snr_image: Image, weight: Image, scales: BlobScales
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Differences of Gaussians of a constant ratio: scale-normalised Laplacians, largest at the scale of the blob.

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
        Contrast of a blob of this scale, in the units of the image; bright blobs are positive. Its noise is
        :attr:`BlobScales.noise`. Only the contrast peaks at the scale of a blob: divided by the noise, which falls with
        the scale, the response to a bead on a line goes on rising along the line.
    smooth : ndarray, shape (S, Y, X)
        The Gaussian means themselves.
    """
    out = np.empty((len(scales.sigmas_px) - 1, *snr_image.shape), np.float32)
    smooth = np.empty((len(scales.sigmas_px), *snr_image.shape), np.float32)
    smooth[0], support = masked_gaussian(snr_image, weight, scales.sigmas_px[0])
    for i, coarse in enumerate(scales.sigmas_px[1:]):
        smooth[i + 1], wider = masked_gaussian(snr_image, weight, coarse)
        _difference(smooth[i], smooth[i + 1], support, out[i])
        support = wider
    return out, smooth


@njit(cache=True, nogil=True)
def _difference(fine: Image, coarse: Image, support: Image, out: Image) -> None:  # pragma: no cover (numba)
    # half a kernel on counted pixels means half the samples: sqrt keeps the noise at 1 or below
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = (fine[y, x] - coarse[y, x]) * np.sqrt(support[y, x])


def _dog_noise(fine: float, coarse: float) -> float:
    return float(np.sqrt(1 / (4 * np.pi * fine**2) + 1 / (4 * np.pi * coarse**2) - 1 / (np.pi * (fine**2 + coarse**2))))
