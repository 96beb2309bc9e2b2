"""How much the surroundings of a candidate look like a bead: a small convolutional network on patches fixed in um.

Single numbers (roundness, ratios of brightness) lose what a human sees at a glance: a thickening of a fiber, two beads
in a row, a ring, a kink. The network sees the averaged frame around the candidate, resampled to a fixed step in um and
in units of the noise, so that it does not depend on camera or pixel size. Its answer is one more piece of evidence; the
trees of :mod:`migradetect.spot_evidence` weigh it against the others.

The weights are plain number arrays, trained by ``workflows/benchmark/train_judge.py``. Layers: three times a 3 x 3
convolution (LeCun et al. 1998, doi:10.1109/5.726791) with rectification, the largest of each 2 x 2 after the first and
third; a fourth convolution; the mean over the patch and the centre; two dense layers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.convolution import Weights, encoded, load_weights
from migradetect.filters import smoothed_for, windows

__all__ = ["LOWEST_LOG_ODDS", "PATCH_PX", "PATCH_STEP_UM", "bead_log_odds", "bead_patches", "load_network"]

Image = NDArray[np.float32]

#: Samples along the edge of a patch, and their distance, um: 4.2 um are seen, a large migrasome and what leads to it.
PATCH_PX, PATCH_STEP_UM = 28, 0.15
#: Patches that go through the network at once: few enough for the cache.
_BATCH = 32
#: Noise units, per sample, at which brightness begins to count by its logarithm.
_SOFT_SNR = 3.0
#: Logits beyond this say no more.
_MOST = 8.0
#: Least answer of the network.
LOWEST_LOG_ODDS = -_MOST


def bead_patches(
    snr: Image, weight: Image, y_px: NDArray[np.float64], x_px: NDArray[np.float64], calibration: Calibration
) -> Image:
    """Surroundings of each candidate at a fixed step.

    Parameters
    ----------
    snr : ndarray, shape (Y, X)
        Averaged frame with white noise of standard deviation 1; 0 inside bodies.
    weight : ndarray, shape (Y, X)
        1 outside bodies, 0 inside.
    y_px, x_px : ndarray, shape (N,)
        Centres.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray, shape (N, 3, 28, 28)
        Brightness relative to the centre and the empty dish; logarithmic brightness over the noise; the open dish.
    """
    step_px = float(calibration.px(PATCH_STEP_UM))
    # noise of a sample, which holds more or fewer photons than a pixel
    snr = np.asarray(smoothed_for(snr, step_px) * np.float32(step_px), dtype=np.float32)
    out = np.empty((len(y_px), 3, PATCH_PX * PATCH_PX), np.float32)
    out[:, 1] = windows(snr, y_px, x_px, PATCH_PX, step_px)
    out[:, 2] = windows(weight, y_px, x_px, PATCH_PX, step_px, cv2.INTER_NEAREST)
    bright = out[:, 1].reshape(-1, PATCH_PX, PATCH_PX)
    middle = PATCH_PX // 2
    centre = bright[:, middle - 2 : middle + 2, middle - 2 : middle + 2].mean(axis=(1, 2))
    empty = np.quantile(out[:, 1], 0.2, axis=1).astype(np.float32) if len(out) else np.zeros(0, np.float32)
    height = np.maximum(centre - empty, 1.0)
    out[:, 0] = np.clip((out[:, 1] - empty[:, None]) / height[:, None], -0.5, 2.0) * out[:, 2]
    out[:, 1] = np.arcsinh(out[:, 1] / _SOFT_SNR) / 3
    return out.reshape(-1, 3, PATCH_PX, PATCH_PX)


def load_network() -> Weights:
    """Weights of the shipped network.

    Returns
    -------
    dict of str to ndarray
        ``conv<k>`` (out, in, 3, 3) and ``conv<k>_bias`` for k from 1 to 4; ``dense<k>`` (out, in) and ``dense<k>_bias``
        for k of 1 and 2.
    """
    return load_weights("beads.npz")


def bead_log_odds(patches: Image, weights: Weights) -> NDArray[np.float64]:
    """Log-odds of each patch to show a bead at its centre.

    Parameters
    ----------
    patches : ndarray, shape (N, 3, 28, 28)
        From :func:`bead_patches`.
    weights : dict of str to ndarray
        From :func:`load_network`.

    Returns
    -------
    ndarray, shape (N,)
        -8 to 8.
    """
    out = np.empty(len(patches))
    for start in range(0, len(patches), _BATCH):
        x = encoded(patches[start : start + _BATCH], weights, "conv")
        middle = x.shape[2] // 2
        seen = np.concatenate([x.mean(axis=(2, 3)), x[:, :, middle, middle]]).T
        # not by a product of matrices, whose sums depend on the number of threads
        seen = np.maximum(np.einsum("ni,oi->no", seen, weights["dense1"]) + weights["dense1_bias"], 0)
        out[start : start + _BATCH] = (np.einsum("ni,oi->no", seen, weights["dense2"]) + weights["dense2_bias"])[:, 0]
    return np.clip(out, -_MOST, _MOST)
