"""Width of bright lines."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters._interpolate import bilinear

__all__ = ["line_widths_um"]

Image = NDArray[np.float32]


def line_widths_um(
    image: Image, response: Image, crest: NDArray[np.bool_], angle_rad: Image, pixel_size_um: float
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
    response, crest, angle_rad : ndarray, shape (Y, X)
        From :func:`migradetect.filters.line_response`, for the same scene with other noise; `crest`, of bool, may be
        narrowed to those that are to be read.
    pixel_size_um : float
        Edge of a pixel.

    Returns
    -------
    sigma : ndarray, shape (N,)
        Sigmas in um, the pixel's own width included.
    error : ndarray, shape (N,)
        Standard errors in um, from the residuals of the fits.
    """
    y, x = np.divmod(np.flatnonzero(crest), crest.shape[1])
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
    shapes = _gaussians(total.shape[1], reach_px)
    widths = [_gaussian_sigma(t, c, *shapes) for t, c in zip(total, count, strict=True)]
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
        up, down = bilinear(response, y + ny, x + nx), bilinear(response, y - ny, x - nx)
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


def _gaussians(n_bins: int, reach_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sigmas to try in px, shape (60,), and the profile of each, shape (60, bins)."""
    steps = (np.arange(n_bins) + 0.5) * _BIN_PX - reach_px
    sigmas = np.exp(np.linspace(np.log(0.35), np.log(0.6 * reach_px), 60))
    return sigmas, np.exp(-(steps**2) / (2 * sigmas[:, None] ** 2))


def _gaussian_sigma(
    total: NDArray[np.float64], count: NDArray[np.float64], sigmas: NDArray[np.float64], shapes: NDArray[np.float64]
) -> tuple[float, float]:
    """Least-squares Gaussian on a level background: sigma in pixels and its error; NaN where there is none."""
    ok = count > 0
    n_bins = int(ok.sum())
    if n_bins < 8:
        return float("nan"), float("nan")
    weight = count[ok]
    mean = total[ok] / weight
    weight = weight / weight.sum()
    shapes = shapes[:, ok]
    # for a given sigma, height and background are linear: sums about the weighted means
    shapes = shapes - (shapes @ weight)[:, None]
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
    error = sigma * step * np.sqrt(2 * misfit[k] / bend / max(n_bins - 3, 1))
    return float(sigma), float(error)
