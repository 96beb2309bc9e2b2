"""Stage drift between frames, from what stands still."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from migradetect.calibration import Calibration
from migradetect.filters import gaussian, masked_gaussian
from migradetect.params import RegistrationParams

__all__ = ["anchored_detail", "estimate_shift"]

Image = NDArray[np.float32]

#: Detail this close to a body is left out, um.
_CLEAR_OF_CELLS_UM = 1.5


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
    ndarray, shape (Y, X)
        Band-passed and compressed: one bright spot must not outvote a field of fibers.
    """
    fine, coarse = max(calibration.px(0.15), 0.8), max(calibration.px(0.6), 2.4)
    # the haze of a body and the spikes at its rear move with it, and one cell edge outweighs many fibers
    radius = max(1, round(calibration.px(_CLEAR_OF_CELLS_UM)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    clear = cv2.erode((weight > 0).astype(np.uint8), kernel).astype(np.float32)
    band = masked_gaussian(snr_image, weight, fine)[0] - masked_gaussian(snr_image, weight, coarse)[0]
    return np.asarray(np.tanh(band / 4.0) * gaussian(clear, fine), dtype=np.float32)


def estimate_shift(
    before: Image, after: Image, params: RegistrationParams, calibration: Calibration
) -> tuple[float, float, float]:
    """Sub-pixel shift from one frame to the next by cross-correlation.

    Parameters
    ----------
    before, after : ndarray, shape (Y, X)
        From :func:`anchored_detail`.
    params : RegistrationParams
        Largest jump believed, in um.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    dy_px, dx_px : float
        What stood at (y, x) in `before` stands at (y + dy_px, x + dx_px) in `after`.
    confidence : float
        Height of the peak over the standard deviation of the correlation; below about 6 it is no more than noise, and
        the shift is reported as 0.
    """
    shape = tuple(fft.next_fast_len(2 * n - n // 2, real=True) for n in before.shape)
    spectrum = np.conj(fft.rfft2(before, shape)) * fft.rfft2(after, shape)
    correlation = fft.irfft2(spectrum, shape)
    reach = min(calibration.px(params.max_jump_um), min(before.shape) / 2)
    rows, columns = (fft.fftfreq(n, 1 / n) for n in shape)
    # a mild preference for small shifts decides between repeats of a pattern of parallel fibers
    near = [np.flatnonzero(np.abs(axis) <= reach) for axis in (rows, columns)]
    far = np.hypot(rows[near[0], None], columns[None, near[1]])
    searched = np.where(far <= reach, correlation[np.ix_(*near)] * (1 - 0.15 * far / max(reach, 1)), -np.inf)
    best = np.unravel_index(int(np.argmax(searched)), far.shape)
    peak = int(near[0][best[0]]), int(near[1][best[1]])
    spread = float(np.std(correlation))
    confidence = float(correlation[peak] / spread) if spread > 0 else 0.0
    if confidence < 6:
        return 0.0, 0.0, confidence
    dy, dx = _summit(correlation, peak)
    return float(rows[peak[0]] + dy), float(columns[peak[1]] + dx), confidence


def _summit(correlation: Image, peak: tuple[int, int]) -> tuple[float, float]:
    """Offset of the top of the paraboloid through the 3 x 3 values around a peak, in pixels.

    Fibers make the peak a tilted ellipse, so the mixed term matters: a parabola along each axis is off by 0.1 px.
    """
    yy, xx = np.mgrid[-1:2, -1:2]
    values = correlation[(peak[0] + yy) % correlation.shape[0], (peak[1] + xx) % correlation.shape[1]].ravel()
    y, x = yy.ravel().astype(float), xx.ravel().astype(float)
    design = np.stack([np.ones(9), y, x, y**2, x**2, y * x], axis=1)
    k = np.linalg.lstsq(design, values.astype(float), rcond=None)[0]
    hessian = np.array([[2 * k[3], k[5]], [k[5], 2 * k[4]]])
    if np.linalg.eigvalsh(hessian).max() >= 0:
        return 0.0, 0.0
    offset = np.clip(-np.linalg.solve(hessian, k[1:3]), -0.7, 0.7)
    return float(offset[0]), float(offset[1])
