"""Width of the PSF, read on the fibers of a movie.

A retraction fiber is ~50 nm wide, far below the resolution: its profile across *is* the PSF.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import line_response, line_widths_um
from migradetect.spots import SpotImage

__all__ = ["fiber_widths_um", "psf_from_widths", "usual_psf_um"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Noise added to the image in which crests are chosen, over its own; below 1 it favours the choice.
_FISSION = 0.7
#: Scale of the line filter: wide enough for any PSF, since a line answers to a filter of twice its width as well, um.
_SCALE_UM = 0.24
#: Half length of its average, um.
_HALF_LENGTH_UM = 1.5
#: Response of the crests that tell the PSF; noise reaches it on few pixels, which no profile is made of.
_CREST_SNR = 4.5
#: Cameras are matched to objectives: sigma in pixels, its limits in um, and how far it is from that (of the logarithm).
_USUAL_PX, _USUAL_UM, _USUAL_SPREAD = 1.1, (0.11, 0.28), 0.3
#: Widths differ by more than noise, from focus and texture (of the logarithm).
_SCATTER = 0.1
#: Share of neighbourhoods that hold bundles of fibers, and how much wider those are (of the logarithm).
_BUNDLES, _BUNDLE_WIDER, _BUNDLE_SPREAD = 0.22, 0.25, 0.35
#: Share of those that tell nothing.
_NONSENSE = 0.03
#: Logarithms of the sigmas that are weighed, um.
_SIGMAS = np.linspace(np.log(0.06), np.log(0.45), 300)
#: A width with a larger relative error than this is no measurement.
_LARGEST_ERROR = 0.6


def usual_psf_um(pixel_um: float) -> float:
    """Sigma of the PSF to expect for a pixel size: large pixels go with low apertures, and none beats 1.4 NA."""
    return float(np.clip(_USUAL_PX * pixel_um, *_USUAL_UM))


def fiber_widths_um(image: SpotImage, seed: int, pixel_um: float) -> tuple[Array, Array]:
    """Widths of the lines in one image and their errors.

    Crests are chosen in one image and their widths are read in another with independent noise: x + t n and x - n / t,
    where n is fresh noise of the same variance as that of x (data fission, Leiner et al. 2023,
    doi:10.1080/01621459.2023.2270748). A crest that noise has made stands in the first one only.

    Parameters
    ----------
    image : SpotImage
        Signal and its variance, shape (Y, X).
    seed : int
        Of the fresh noise.
    pixel_um : float
        Edge of a pixel.

    Returns
    -------
    sigma, error : ndarray, shape (N,)
        In um, the pixel's own width included; one pair for each neighbourhood that has fibers.
    """
    fresh = np.random.default_rng(seed).standard_normal(image.signal.shape, dtype=np.float32)
    chosen, read = _split(image.signal, image.variance, fresh)
    response, crest, angle = line_response(
        chosen, image.weight, max(_SCALE_UM / pixel_um, 1.0), _HALF_LENGTH_UM / pixel_um, _CREST_SNR
    )
    return line_widths_um(read, response, crest & (response > _CREST_SNR), angle, pixel_um)


@njit(cache=True, nogil=True)
def _split(signal: Image, variance: Image, fresh: Image) -> tuple[Image, Image]:  # pragma: no cover (numba)
    """Two images of the same scene with independent noise, that of the first one of standard deviation 1."""
    chosen, read = np.empty_like(signal), np.empty_like(signal)
    share = np.float32(_FISSION)
    unit = np.float32(1 / np.sqrt(1 + _FISSION**2))
    for y in range(signal.shape[0]):
        for x in range(signal.shape[1]):
            sigma = np.sqrt(variance[y, x])
            chosen[y, x] = (signal[y, x] / sigma + share * fresh[y, x]) * unit
            read[y, x] = signal[y, x] - sigma * fresh[y, x] / share
    return chosen, read


def psf_from_widths(sigma_um: Array, error_um: Array, pixel_um: float) -> tuple[float, float]:
    """Sigma of the PSF from the widths of fibers, and its relative error.

    Each width is the PSF's within its error, or that of a bundle, which is wider, or nonsense; where there are few, or
    only vague ones, what is usual for the pixel size counts: the mean of the posterior.

    Parameters
    ----------
    sigma_um, error_um : ndarray, shape (N,)
        From :func:`fiber_widths_um`, of any number of frames.
    pixel_um : float
        Edge of a pixel.

    Returns
    -------
    psf_um : float
        Sigma, without the pixel's own width, 0.06 to 0.45 um.
    relative_error : float
        Standard deviation of its logarithm; 0.3 where there is nothing to read.
    """
    # the pixel's own box is part of every template already
    psf = np.sqrt(np.maximum(sigma_um**2 - pixel_um**2 / 12, 0.04**2))
    error = error_um * sigma_um / psf**2
    known = error < _LARGEST_ERROR
    off = np.log(psf[known])[:, None] - _SIGMAS
    variance = error[known][:, None] ** 2 + _SCATTER**2
    single = (1 - _BUNDLES - _NONSENSE) * _normal(off, variance)
    bundle = _BUNDLES * _normal(off - _BUNDLE_WIDER, variance + _BUNDLE_SPREAD**2)
    nonsense = _NONSENSE / (_SIGMAS[-1] - _SIGMAS[0])
    likelihood = np.log(single + bundle + nonsense).sum(axis=0)
    posterior = likelihood - 0.5 * ((_SIGMAS - np.log(usual_psf_um(pixel_um))) / _USUAL_SPREAD) ** 2
    share = np.exp(posterior - posterior.max())
    share /= share.sum()
    mean = float(share @ _SIGMAS)
    return float(np.exp(mean)), float(np.sqrt(share @ (_SIGMAS - mean) ** 2))


def _normal(off: Array, variance: Array) -> Array:
    return np.asarray(np.exp(-0.5 * off**2 / variance) / np.sqrt(2 * np.pi * variance))
