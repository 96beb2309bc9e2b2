"""Blob responses over scales, each octave at the resolution that it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._linear import gaussian

__all__ = ["BlobOctave", "BlobScales", "blob_octaves"]

Image = NDArray[np.float32]

#: A Gaussian of this sigma, in pixels, is still sampled finely enough: from here on every second pixel will do.
_FINEST_PX = 2.5
#: Share of a kernel below which nothing is near.
_LEAST_SUPPORT = np.float32(1e-3)


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


@dataclass(frozen=True)
class BlobOctave:
    """Responses of neighbouring scales on one grid: every `step`-th pixel of the image, from pixel 0.

    Parameters
    ----------
    step : int
        1, 2, 4 ...
    first : int
        Number of the first scale that is searched here.
    responses : list of ndarray, each of shape (Y', X')
        Differences of Gaussians; see :func:`blob_octaves`.
    total : list of ndarray, each of shape (Y', X')
        Gaussian sums over the pixels that count, of scale `first` on.
    support : list of ndarray, each of shape (Y', X')
        Share of the kernel that fell on counted pixels.
    """

    step: int
    first: int
    responses: list[Image]
    total: list[Image]
    support: list[Image]


def blob_octaves(snr_image: Image, weight: Image, scales: BlobScales) -> list[BlobOctave]:
    """Differences of Gaussians of a constant ratio: scale-normalised Laplacians, largest at the scale of the blob.

    Gaussians are made from one another, and from the scale on at which half the pixels tell as much, on half of them
    (Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94).

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with white noise of standard deviation 1, 0 where the weight is.
    weight : ndarray, shape (Y, X)
        1 where a pixel counts, 0 inside cell bodies.
    scales : BlobScales
        S Gaussians.

    Returns
    -------
    list of BlobOctave
        All S - 1 responses, each searched in one octave. A response is the contrast of a blob of this scale, in the
        units of the image; bright blobs are positive. Its noise is :attr:`BlobScales.noise`. Only the contrast peaks at
        the scale of a blob: divided by the noise, which falls with the scale, the response to a bead on a line goes on
        rising along the line.
    """
    sigmas = scales.sigmas_px
    n_all = len(sigmas) - 1
    total, support = gaussian(snr_image, sigmas[0]), gaussian(weight, sigmas[0])
    out: list[BlobOctave] = []
    step, first = 1, 0
    while first < n_all:
        own = [i for i in range(first, n_all) if i == first or sigmas[i] < _FINEST_PX * step]
        totals, supports = [total], [support]
        for i in own:
            more = float(np.sqrt(sigmas[i + 1] ** 2 - sigmas[i] ** 2)) / step
            totals.append(gaussian(totals[-1], more))
            supports.append(gaussian(supports[-1], more))
        responses = [_difference(totals[k], supports[k], totals[k + 1], supports[k + 1]) for k in range(len(own))]
        out.append(BlobOctave(step, first, responses, totals[:-1], supports[:-1]))
        first = own[-1] + 1
        step *= 2
        total, support = (np.ascontiguousarray(plane[::2, ::2]) for plane in (totals[-1], supports[-1]))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _difference(fine: Image, support: Image, coarse: Image, wider: Image) -> Image:  # pragma: no cover (numba)
    """Difference of two means, times the square root of the support.

    Half a kernel on counted pixels means half the samples: the root keeps the noise at 1 or below.
    """
    out = np.empty(fine.shape, np.float32)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            near = support[y, x]
            difference = (fine[y, x] / near - coarse[y, x] / wider[y, x]) * np.sqrt(near)
            out[y, x] = difference if near > _LEAST_SUPPORT else np.float32(0)
    return out


def _dog_noise(fine: float, coarse: float) -> float:
    return float(np.sqrt(1 / (4 * np.pi * fine**2) + 1 / (4 * np.pi * coarse**2) - 1 / (np.pi * (fine**2 + coarse**2))))
