"""Ridge and blob responses in SNR units."""

from __future__ import annotations

from dataclasses import dataclass

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
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gaussian sigmas of the bright lines in an image, one for each neighbourhood that has some.

    Retraction fibers are ~50 nm wide, far below the resolution: their profile across *is* the PSF. Pixels around the
    crests are sorted by their distance from the line, as they are, so that no interpolation widens the profile, and a
    Gaussian on a level background is fitted to the mean of a neighbourhood. Bundles only widen it.

    Where noise decides which pixels are a crest, their profile is too narrow, at low SNR by 10 to 30 %: the noise of
    `image` must be independent of that of the other arrays.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Background-free image, any units.
    response, along, angle_rad : ndarray, shape (Y, X)
        From :func:`ridge_response`, for the same scene with other noise.
    pixel_size_um : float
        Edge of a pixel.
    min_snr : float
        Smallest response that is used.

    Returns
    -------
    sigma : ndarray, shape (N,)
        Sigmas in um, the pixel's own width included.
    error : ndarray, shape (N,)
        Standard errors in um, from the residuals of the fits.
    """
    y, x = np.nonzero((response > min_snr) & (along < 0.25 * response))
    reach_px = max(4.0, 0.6 / pixel_size_um)
    border = int(np.ceil(reach_px)) + 2
    inside = (y >= border) & (x >= border) & (y < image.shape[0] - border) & (x < image.shape[1] - border)
    y, x = y[inside], x[inside]
    if y.size < 20:
        return np.empty(0), np.empty(0)
    # neighbourhoods of 7 um hold a few fibers
    edge = max(1, round(7.0 / pixel_size_um))
    block = np.unique((y // edge) * (image.shape[1] // edge + 1) + x // edge, return_inverse=True)[1].astype(np.int64)
    total, count = _across(image, response, angle_rad, y, x, block, int(block.max()) + 1, reach_px)
    widths = [_gaussian_sigma(t, c, reach_px) for t, c in zip(total, count, strict=True)]
    known = np.array([width for width in widths if np.isfinite(width).all()]).reshape(-1, 2)
    return known[:, 0] * pixel_size_um, known[:, 1] * pixel_size_um


#: Width of a bin of distance from a line, px: its own variance, 1/192 px^2, is next to nothing.
_BIN_PX = 0.25
#: Fewest crest pixels of which a mean profile is made.
_MIN_CRESTS = 10


@njit(cache=True, nogil=True)
def _across(
    image: Image,
    response: Image,
    angle: Image,
    ys: NDArray[np.int64],
    xs: NDArray[np.int64],
    block: NDArray[np.int64],
    n_blocks: int,
    reach: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # pragma: no cover (numba)
    """Sum and number of the pixels at each distance from the crests, shape (blocks, bins); no crests: all 0."""
    n_bins = int(np.ceil(2 * reach / _BIN_PX))
    total = np.zeros((n_blocks, n_bins))
    count = np.zeros((n_blocks, n_bins))
    crests = np.zeros(n_blocks)
    half = int(np.ceil(reach)) + 1
    for k in range(ys.size):
        y, x = ys[k], xs[k]
        ny, nx = np.sin(angle[y, x]), np.cos(angle[y, x])
        here = response[y, x]
        up, down = _between(response, y + ny, x + nx), _between(response, y - ny, x - nx)
        if up > here or down > here:
            continue
        bend = up - 2 * here + down
        # the crest lies off the middle of its pixel, where the parabola through the response peaks
        off = min(0.7, max(-0.7, 0.5 * (down - up) / bend)) if bend < 0 else 0.0
        crests[block[k]] += 1
        for dy in range(-half, half + 1):
            for dx in range(-half, half + 1):
                # one row of pixels across the line
                if abs(dx * ny - dy * nx) > 0.71:
                    continue
                place = int(np.floor((dy * ny + dx * nx - off + reach) / _BIN_PX))
                if 0 <= place < n_bins:
                    total[block[k], place] += image[y + dy, x + dx]
                    count[block[k], place] += 1
    for b in range(n_blocks):
        if crests[b] < _MIN_CRESTS:
            count[b, :] = 0
    return total, count


@njit(cache=True, nogil=True)
def _between(image: Image, y: float, x: float) -> float:  # pragma: no cover (numba)
    y0, x0 = int(np.floor(y)), int(np.floor(x))
    fy, fx = y - y0, x - x0
    top = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
    bottom = image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx
    return float(top * (1 - fy) + bottom * fy)


def _gaussian_sigma(total: NDArray[np.float64], count: NDArray[np.float64], reach_px: float) -> tuple[float, float]:
    """Least-squares Gaussian on a level background: sigma in pixels and its error; NaN where there is none."""
    steps = (np.arange(total.size) + 0.5) * _BIN_PX - reach_px
    ok = count > 0
    if ok.sum() < 8:
        return float("nan"), float("nan")
    steps, weight = steps[ok], count[ok]
    mean = total[ok] / weight
    weight = weight / weight.sum()
    sigmas = np.exp(np.linspace(np.log(0.35), np.log(0.6 * reach_px), 60))
    shapes = np.exp(-(steps**2) / (2 * sigmas[:, None] ** 2))
    # for a given sigma, height and background are linear: sums about the weighted means
    shapes -= (shapes @ weight)[:, None]
    mean = mean - mean @ weight
    cross, square = shapes @ (weight * mean), (shapes**2) @ weight
    height = cross / square
    misfit = (weight * mean**2).sum() - cross**2 / square
    k = int(np.argmin(np.where(height > 0, misfit, np.inf)))
    if not 0 < k < sigmas.size - 1 or height[k] <= 0:
        return float("nan"), float("nan")
    bend = misfit[k - 1] - 2 * misfit[k] + misfit[k + 1]
    if bend <= 0:
        return float("nan"), float("nan")
    step = np.log(sigmas[1] / sigmas[0])
    sigma = sigmas[k] * np.exp(step * 0.5 * (misfit[k - 1] - misfit[k + 1]) / bend)
    error = sigma * step * np.sqrt(2 * misfit[k] / bend / max(steps.size - 3, 1))
    return float(sigma), float(error)
