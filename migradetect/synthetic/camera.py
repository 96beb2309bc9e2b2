"""Camera: photon noise, amplification, read noise, offset, hot pixels, saturation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["Camera"]

Image = NDArray[np.float32]


class Camera:
    """Turns expected photoelectrons into counts.

    Parameters
    ----------
    params : SimulationParams
        Physics.
    rng : numpy.random.Generator
        Draws the fixed pattern now and the noise of every exposure later.
    """

    def __init__(self, params: SimulationParams, rng: Rng) -> None:
        self.params, self.rng = params, rng
        shape = (params.height_px, params.width_px)
        # the register of an EMCCD multiplies at random: twice the photon variance
        self.excess = 2.0 if params.camera == "emccd" else 1.0
        self.read_noise: Image = np.full(shape, params.read_noise_e, np.float32)
        self.offset: Image = np.full(shape, params.offset_count, np.float32)
        if params.camera == "scmos":
            # every pixel has its own amplifier; a tail of them is noisy
            self.read_noise *= np.exp(0.2 * np.abs(rng.standard_normal(shape))).astype(np.float32)
            self.offset += (0.6 * rng.standard_normal(shape)).astype(np.float32)
        hot = rng.random(shape) < params.hot_pixel_fraction
        self.hot_count = np.where(hot, rng.exponential(400.0, shape), 0.0).astype(np.float32)
        self.full_count = float(2**params.bit_depth - 1)

    def variance_e(self, expected_e: Image) -> Image:
        """Noise variance in photoelectrons squared."""
        return np.asarray(self.excess * expected_e + self.read_noise**2, np.float32)

    def expose(self, expected_e: Image) -> NDArray[np.uint16]:
        """One exposure.

        Parameters
        ----------
        expected_e : ndarray, shape (Y, X)
            Expected photoelectrons per pixel.

        Returns
        -------
        ndarray, shape (Y, X), uint16
            Counts.
        """
        rng, p = self.rng, self.params
        if p.is_noise_free:
            counts = expected_e * p.gain_count_per_e + p.offset_count
        else:
            electrons = rng.poisson(np.maximum(expected_e, 0.0)).astype(np.float32)
            if self.excess > 1.0:
                # the gamma law of the register by its mean and variance; it matters only below a few electrons
                noise = rng.standard_normal(electrons.shape, dtype=np.float32)
                electrons = np.maximum(electrons + np.sqrt(electrons) * noise, 0.0)
            electrons += self.read_noise * rng.standard_normal(electrons.shape, dtype=np.float32)
            counts = electrons * p.gain_count_per_e + self.offset + self.hot_count
        return np.clip(np.rint(counts), 0.0, self.full_count).astype(np.uint16)
