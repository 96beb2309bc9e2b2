"""Noise of the camera: variance as a straight line in the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.filters._linear import gaussian
from migradetect.filters._noise_correlation import RESIDUAL, correlation_excess, trimmed_variance
from migradetect.filters._quantile import quantile

__all__ = ["NoiseModel", "estimate_noise"]

Image = NDArray[np.float32]

_MIN_PIXELS = 200
#: Grey levels of a camera of 16 bits.
_MOST_LEVELS = 2**16
#: So many pixels of an image tell its noise to a per cent in each bin of the mean.
_ENOUGH = 250_000
#: Shares of the pixels that part the bins of the mean: finer at the bright end, where few pixels are.
_SHARES = np.r_[np.linspace(0, 0.95, 12), np.linspace(0.96, 1, 12)]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Variance of a pixel in counts squared: ``gain * mean + offset``, photon and read noise.

    Foi et al. 2008, doi:10.1109/TIP.2008.2001399.

    Parameters
    ----------
    gain : float
        Counts per detected photon (times the excess noise of the camera), at least 0.
    offset : float
        Variance at mean 0 of the recorded counts; may be negative where the camera adds an offset.
    floor : float
        Smallest variance to reckon with, above 0: half of the smallest that was met, or that of a pixel which flips
        between two grey levels.
    """

    gain: float
    offset: float
    floor: float

    def variance(self, mean: Image) -> Image:
        """Variance of pixels whose expected count is `mean`, same shape."""
        return np.maximum(self.gain * mean + self.offset, self.floor).astype(np.float32)

    def sigma(self, image: Image, smoothing_px: float = 1.0) -> Image:
        """Standard deviation of each pixel of a recorded image, shape (Y, X)."""
        return np.sqrt(self.variance(gaussian(image, smoothing_px)))

    def half_variance(self, half: Image) -> Image:
        """Variance of each pixel of a recorded image, at half its resolution.

        The expected count is smooth where the count itself is not, so that a quarter of the pixels holds all of it.

        Parameters
        ----------
        half : ndarray, shape ((Y + 1) // 2, (X + 1) // 2)
            The image at half its resolution, from :func:`~migradetect.filters.halved`.

        Returns
        -------
        ndarray, same shape
            Of a pixel of the whole image.
        """
        # with the mean of 2 x 2 pixels a blur of one pixel in all
        return self.variance(gaussian(half, 0.433))


def estimate_noise(images: Sequence[Image], scale_px: float = 1.1) -> NoiseModel:
    """Fit the noise model to a few frames of one channel.

    The image is smooth at the scale of a pixel, since the PSF spans two or more; what a second-difference mask leaves
    is noise. Its robust variance is taken in bins of the local mean and a line is fitted.

    Images that were denoised, deconvolved or resampled have hardly any noise from pixel to pixel, and much more at the
    width of what is looked for. There the variance is that of independent pixels with as much noise at that width.

    Parameters
    ----------
    images : sequence of ndarray, each of shape (Y, X)
        Recorded counts; a handful spread over the movie is enough.
    scale_px : float
        Sigma of the PSF, pixels; that of a camera that is matched to its objective by default.

    Returns
    -------
    NoiseModel
    """
    means, variances, counts = [], [], []
    for image in images:
        residual = np.abs(cv2.filter2D(image, cv2.CV_32F, RESIDUAL))
        mean = cv2.blur(image, (3, 3))
        # neighbours share most of their residual: of a large image a part says as much
        step = max(1, int(np.sqrt(image.size / _ENOUGH)))
        image, residual, mean = (np.ascontiguousarray(plane[::step, ::step]) for plane in (image, residual, mean))
        usable = image < image.max() if (image == image.max()).sum() > 20 else np.ones(image.shape, bool)
        level, rest = mean[usable], residual[usable]
        if level.size < _MIN_PIXELS:
            level, rest = mean.ravel(), residual.ravel()
        order = np.argsort(level)
        level, rest = level[order], rest[order]
        edges = np.unique(np.quantile(level, _SHARES))
        bounds = [0, *np.searchsorted(level, edges[1:-1]), level.size]
        for first, last in pairwise(bounds):
            n = int(last - first)
            if n >= min(_MIN_PIXELS, level.size):
                means.append(quantile(level[first:last]))
                variances.append(float(trimmed_variance(rest[first:last])))
                counts.append(float(n))
    if not means:
        spread = max(float(np.var(images[0])) if images else 1.0, 1e-12)
        return NoiseModel(0.0, spread, spread)
    flip = 0.25 * max(_grey_step(image) for image in images) ** 2
    model = _fit_line(np.array(means), np.array(variances), np.array(counts), flip)
    excess = float(np.median([correlation_excess(image, model.sigma(image), scale_px) for image in images]))
    return NoiseModel(excess * model.gain, excess * model.offset, excess * model.floor)


def _grey_step(image: Image) -> float:
    """Distance of two grey levels; next to nothing where values are continuous."""
    some = image[:: max(1, image.shape[0] // 256)]
    low, high = float(some.min()), float(some.max())
    if high - low < _MOST_LEVELS and not np.any(some % 1):
        # a camera counts in whole numbers: which of them there are is told without sorting
        present = np.zeros(int(high - low) + 1, bool)
        present[(some - np.float32(low)).astype(np.int64)] = True
        found = np.flatnonzero(present)
        return float(np.diff(found).min()) if found.size > 1 else 0.0
    levels = np.unique(some)
    return float(np.diff(levels).min()) if levels.size > 1 else 0.0


def _fit_line(
    mean: NDArray[np.float64], variance: NDArray[np.float64], count: NDArray[np.float64], flip: float
) -> NoiseModel:
    # where noise is less than a grey level, pixels are all alike or flip between two, along the contours of the
    # background: the least of variances, which says nothing of them, would make lines of these contours
    floor = max(float(np.min(variance)) * 0.5, flip, 1e-12 * max(float(np.max(np.abs(mean))) ** 2, 1e-12))
    gain, offset = 0.0, float(np.average(variance, weights=count))
    weight = count / np.maximum(variance, floor) ** 2
    for _ in range(8):
        if np.ptp(mean) < 1e-9 * max(float(np.max(np.abs(mean))), 1e-12):
            break
        design = np.stack([mean, np.ones_like(mean)], axis=1)
        root = np.sqrt(weight)
        solution = np.linalg.lstsq(design * root[:, None], variance * root, rcond=None)[0]
        gain, offset = float(max(solution[0], 0.0)), float(solution[1])
        if solution[0] <= 0:
            offset = float(np.average(variance, weights=weight))
        predicted = np.maximum(gain * mean + offset, floor)
        # structure only ever adds variance, so bins far above the line lose their say
        excess = np.clip(variance / predicted - 1, 0, None)
        weight = count / predicted**2 / (1 + (excess / 0.3) ** 2)
    return NoiseModel(gain, offset, floor)
