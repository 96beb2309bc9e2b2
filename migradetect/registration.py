"""Stage drift between frames, from what stands still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.filters import gaussian
from migradetect.params import RegistrationParams

__all__ = ["DetailSpectrum", "anchored_detail", "estimate_shift", "shift_between"]

Image = NDArray[np.float32]

#: Detail this close to a body is left out, um.
_CLEAR_OF_CELLS_UM = 1.5
#: Gaussian sigmas of the band of detail, um.
_FINE_UM, _COARSE_UM = 0.15, 0.6
#: Detail of this sigma, in pixels, still loses next to nothing to the grid: with the PSF on top of it, what lies beyond
#: the grid's limit has less than 1 % of the power.
_LEAST_SIGMA_PX = 0.55
#: The scatter of the correlation is told over an area of this many times the height and the width of the frame.
_SCATTER_WIDTH = 1.5
#: Values on either side of a place from which the correlation is interpolated there.
_LANCZOS = 8


def _factor(calibration: Calibration) -> int:
    """Pixels of the frame, along an axis, that one pixel of the detail stands for."""
    return max(1, int(calibration.px(_FINE_UM) / _LEAST_SIGMA_PX))


def anchored_detail(snr_image: Image, weight: Image, calibration: Calibration) -> Image:
    """Fine detail outside cell bodies: fibers, migrasomes and debris, which are anchored to the dish.

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with unit noise.
    weight : ndarray, shape (Y, X)
        1 outside cell bodies, 0 inside.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray, shape (Y // k, X // k)
        Band-passed and compressed: one bright spot must not outvote a field of fibers. Where pixels are small, a grid
        of k times the pixel size holds all of it; k depends on the pixel size alone.
    """
    k = _factor(calibration)
    total, support, whole = _on_grid(snr_image, weight, k)
    box = (k * k - 1) / 4
    sigmas = tuple(
        float(np.sqrt(max(max(calibration.px(um), least) ** 2 - box, 0.0))) / k
        for um, least in ((_FINE_UM, 0.8), (_COARSE_UM, 2.4))
    )
    # the haze of a body and the spikes at its rear move with it, and one cell edge outweighs many fibers
    radius = max(1, round(calibration.px(_CLEAR_OF_CELLS_UM) / k))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    clear = gaussian(_eroded(whole, kernel.sum(axis=1) // 2), sigmas[0])
    band = _band(*(gaussian(image, sigma) for sigma in sigmas for image in (total, support)))
    return np.multiply(np.tanh(band, out=band), clear, out=band)


def _on_grid(snr_image: Image, weight: Image, k: int) -> tuple[Image, Image, NDArray[np.uint8]]:
    """Sums, their weight and where a square counts wholly, on a grid of `k` pixels."""
    if k == 1:
        return snr_image * weight, weight, (weight > 0).view(np.uint8)
    shape = tuple(max(1, n // k) for n in snr_image.shape)
    # one box of k pixels lets through too much that a grid of k pixels can't hold: shifts would be drawn to whole
    # steps of it. Three boxes do not, and are together a blur of variance (k^2 - 1) / 4
    taps = np.convolve(np.convolve(np.ones(k), np.ones(k)), np.ones(k)).astype(np.float32) / np.float32(k**3)
    return cast("tuple[Image, Image, NDArray[np.uint8]]", _shrunk(snr_image, weight, taps, k, *shape))


@njit(cache=True, nogil=True)
def _eroded(mask: Any, reach: Any) -> Any:  # pragma: no cover (numba)
    """What of a mask of 0 and 1 is clear of its zeros by a round kernel, as float32.

    `reach` is half the width of each row of the kernel. Each run of zeros is widened as a whole: OpenCV would look at
    hundreds of neighbours of each pixel.
    """
    height, width = mask.shape
    out = np.ones((height, width), np.float32)
    r = reach.size // 2
    for y in range(height):
        x = 0
        while x < width:
            if mask[y, x] != 0:
                x += 1
                continue
            first = x
            while x < width and mask[y, x] == 0:
                x += 1
            for k in range(max(0, r - y), min(reach.size, height + r - y)):
                out[y + k - r, max(first - reach[k], 0) : min(x + reach[k], width)] = 0
    return out


@njit(cache=True, nogil=True)
def _shrunk(image: Any, weight: Any, taps: Any, k: int, rows: int, columns: int) -> Any:  # pragma: no cover (numba)
    """Smoothed image times weight and smoothed weight at each k-th pixel, and where a square of k counts wholly."""
    height, width = image.shape
    total = np.zeros((rows, columns), np.float32)
    support = np.zeros((rows, columns), np.float32)
    whole = np.ones((rows, columns), np.uint8)
    down, counts = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(rows):
        down[:], counts[:] = 0, 0
        for n in range(taps.size):
            y = min(max(i * k - (k - 1) + n, 0), height - 1)
            tap = taps[n]
            for x in range(width):
                v = tap * weight[y, x]
                counts[x] += v
                down[x] += v * image[y, x]
        for j in range(columns):
            s, w = np.float32(0), np.float32(0)
            for n in range(taps.size):
                x = min(max(j * k - (k - 1) + n, 0), width - 1)
                s += taps[n] * down[x]
                w += taps[n] * counts[x]
            total[i, j], support[i, j] = s, w
        for y in range(i * k, i * k + k):
            for j in range(columns):
                for x in range(j * k, j * k + k):
                    if weight[y, x] <= 0:
                        whole[i, j] = 0
    return total, support, whole


@njit(cache=True, nogil=True)
def _band(fine: Any, fine_support: Any, coarse: Any, coarse_support: Any) -> Any:  # pragma: no cover (numba)
    """A quarter of the difference of two weighted means; each is 0 where nothing is near."""
    out = np.empty(fine.shape, np.float32)
    least = np.float32(1e-3)
    for y in range(fine.shape[0]):
        for x in range(fine.shape[1]):
            f, c = fine_support[y, x], coarse_support[y, x]
            near = fine[y, x] / max(f, least) if f > least else np.float32(0)
            around = coarse[y, x] / max(c, least) if c > least else np.float32(0)
            out[y, x] = np.float32(0.25) * (near - around)
    return out


@dataclass(frozen=True)
class DetailSpectrum:
    """Fourier transform of the detail of a frame, which two comparisons need: with the frame before and the next.

    Parameters
    ----------
    values : ndarray
        As OpenCV packs it, with room so that shifts up to the largest one do not meet the other side of the frame.
    shape : tuple of int
        Of the detail.
    """

    values: Image
    shape: tuple[int, int]

    @classmethod
    def of(cls, detail: Image, params: RegistrationParams, calibration: Calibration) -> DetailSpectrum:
        """Spectrum of what :func:`anchored_detail` gives; the parameters say how much room it needs."""
        margin = int(np.ceil(_reach(detail.shape, params, calibration))) + _LANCZOS
        height, width = detail.shape
        rows, columns = (cv2.getOptimalDFTSize(n + margin) for n in (height, width))
        wide = cv2.copyMakeBorder(detail, 0, rows - height, 0, columns - width, cv2.BORDER_CONSTANT)
        return cls(np.asarray(cv2.dft(wide), np.float32), (height, width))


def _reach(shape: tuple[int, ...], params: RegistrationParams, calibration: Calibration) -> float:
    """Largest shift that is searched, in pixels of the detail."""
    return float(min(calibration.px(params.max_jump_um) / _factor(calibration), min(shape) / 2))


def estimate_shift(
    before: Image, after: Image, params: RegistrationParams, calibration: Calibration
) -> tuple[float, float, float]:
    """Sub-pixel shift from one frame to the next by cross-correlation.

    Parameters
    ----------
    before, after : ndarray, shape (Y // k, X // k)
        From :func:`anchored_detail`.
    params : RegistrationParams
        Largest jump believed, in um.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    dy_px, dx_px : float
        What stood at (y, x) in `before` stands at (y + dy_px, x + dx_px) in `after`; pixels of the recorded frame.
    confidence : float
        Height of the peak over the standard deviation of the correlation; below about 6 it is no more than noise, and
        the shift is reported as 0.
    """
    one, other = (DetailSpectrum.of(detail, params, calibration) for detail in (before, after))
    return shift_between(one, other, params, calibration)


def shift_between(
    before: DetailSpectrum, after: DetailSpectrum, params: RegistrationParams, calibration: Calibration
) -> tuple[float, float, float]:
    """As :func:`estimate_shift`, from what was transformed already."""
    k = _factor(calibration)
    reach = _reach(before.shape, params, calibration)
    product = cv2.mulSpectrums(after.values, before.values, 0, conjB=True)
    correlation = np.asarray(cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE), dtype=np.float32)
    rows, columns = (np.fft.fftfreq(n, 1 / n) for n in correlation.shape)
    # a mild preference for small shifts decides between repeats of a pattern of parallel fibers
    near = [np.flatnonzero(np.abs(axis) <= reach) for axis in (rows, columns)]
    far = np.hypot(rows[near[0], None], columns[None, near[1]])
    searched = np.where(far <= reach, correlation[np.ix_(*near)] * (1 - 0.15 * far / max(reach, 1)), -np.inf)
    best = np.unravel_index(int(np.argmax(searched)), far.shape)
    peak = int(near[0][best[0]]), int(near[1][best[1]])
    spread = _scatter(correlation, before.shape)
    confidence = float(correlation[peak] / spread) if spread > 0 else 0.0
    if confidence < 6:
        return 0.0, 0.0, confidence
    dy, dx = _summit(correlation, peak, k)
    return float(rows[peak[0]] * k + dy), float(columns[peak[1]] * k + dx), confidence


def _scatter(correlation: Image, shape: tuple[int, ...]) -> float:
    """Standard deviation of a correlation over an area that depends on the frame alone, not on the margin."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(correlation))
    share = correlation.size / (_SCATTER_WIDTH**2 * shape[0] * shape[1])
    # sum and sum of squares stay the same, however many pixels without correlation are around
    return float(np.sqrt(max((deviation**2 + mean**2) * share - (mean * share) ** 2, 0.0)))


def _summit(correlation: Image, peak: tuple[int, int], k: int) -> tuple[float, float]:
    """Offset of the top of the paraboloid through the 3 x 3 values around a peak, in pixels of the frame.

    Fibers make the peak a tilted ellipse, so the mixed term matters: a parabola along each axis is off by 0.1 px. A
    correlation on a grid of `k` pixels is interpolated (Lanczos): over two of its own steps a peak is no paraboloid.
    """
    patch = np.arange(-_LANCZOS, _LANCZOS + 1)
    own = correlation[np.ix_(*((p + patch) % n for p, n in zip(peak, correlation.shape, strict=True)))].astype(float)
    if k == 1:
        values, top = own[_LANCZOS - 1 : _LANCZOS + 2, _LANCZOS - 1 : _LANCZOS + 2], (0, 0)
    else:
        away = np.arange(-k, k + 1)[:, None] / k - patch
        sinc = np.where(np.abs(away) < _LANCZOS, np.sinc(away) * np.sinc(away / _LANCZOS), 0)
        dense = sinc @ own @ sinc.T
        row, column = np.unravel_index(int(np.argmax(dense[1:-1, 1:-1])), (2 * k - 1, 2 * k - 1))
        values, top = dense[row : row + 3, column : column + 3], (int(row) + 1 - k, int(column) + 1 - k)
    y, x = (axis.ravel().astype(float) for axis in np.mgrid[-1:2, -1:2])
    design = np.stack([np.ones(9), y, x, y**2, x**2, y * x], axis=1)
    c = np.linalg.lstsq(design, values.ravel(), rcond=None)[0]
    hessian = np.array([[2 * c[3], c[5]], [c[5], 2 * c[4]]])
    if np.linalg.eigvalsh(hessian).max() >= 0:
        return float(top[0]), float(top[1])
    offset = np.clip(-np.linalg.solve(hessian, c[1:3]), -0.7, 0.7)
    return float(top[0] + offset[0]), float(top[1] + offset[1])
