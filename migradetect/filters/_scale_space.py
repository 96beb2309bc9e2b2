"""Scales of the blob search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlobScales"]


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


def _dog_noise(fine: float, coarse: float) -> float:
    return float(np.sqrt(1 / (4 * np.pi * fine**2) + 1 / (4 * np.pi * coarse**2) - 1 / (np.pi * (fine**2 + coarse**2))))
