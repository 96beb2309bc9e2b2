"""Cameras: from expected electrons to counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .settings import Settings

__all__ = ["Camera"]

Image = NDArray[np.float32]


class Camera:
    """One camera with its flaws, which stay the same over a movie.

    Parameters
    ----------
    settings : Settings
        Numbers of the movie.
    brightest_e : sequence of float
        Bright end of the first frame of each channel: 8 and 12-bit recordings are set up to use their range.
    rng : numpy.random.Generator
        Source of chance.

    Notes
    -----
    sCMOS: read noise, offset and gain differ from pixel to pixel. EMCCD: the multiplication register doubles the shot
    variance. CCD: large, even read noise. Few bits: coarse steps and, at high exposure, saturation.
    """

    def __init__(self, settings: Settings, brightest_e: tuple[float, ...], rng: np.random.Generator) -> None:
        s = self.settings = settings
        n = (s.size_px, s.size_px)
        self.top = 2**s.bits - 1
        self.offset = {16: 100.0, 14: 200.0, 12: 60.0, 8: 4.0}[s.bits]
        if s.bits > 12:
            shared = float(rng.uniform(0.25, 1.2))
            self.e_per_count = [shared] * len(brightest_e)
        else:
            self.e_per_count = [max(b / (s.exposure * (self.top - self.offset)), 0.05) for b in brightest_e]
        self.read = np.full(n, s.read_e, dtype=np.float32)
        self.fixed = np.zeros(n, dtype=np.float32)
        self.gain = np.ones(n, dtype=np.float32)
        if s.camera == "scmos":
            self.read *= rng.lognormal(0, 0.25, n).astype(np.float32)
            self.fixed = rng.normal(0, 0.5, n).astype(np.float32)
            self.gain = rng.normal(1, 0.008, n).astype(np.float32)
        hot = rng.random(n) < s.hot
        self.fixed[hot] += rng.lognormal(4.5, 0.8, int(hot.sum())).astype(np.float32)

    def variance_e(self, expected: NDArray[np.float64], channel: int) -> NDArray[np.float64]:
        """Variance in squared electrons of a pixel that expects so many."""
        excess = 2.0 if self.settings.camera == "emccd" else 1.0
        return excess * np.maximum(expected, 0) + self.settings.read_e**2 + self.e_per_count[channel] ** 2 / 12

    def shoot(self, expected: Image, channel: int, rng: np.random.Generator) -> NDArray[np.uint16] | NDArray[np.uint8]:
        """One recorded plane."""
        mean = np.maximum(expected * self.gain, 0)
        if self.settings.camera == "emccd":
            # multiplication: a gamma variate of as many electrons as came in
            caught = rng.standard_gamma(_poisson(mean, rng)).astype(np.float32)
        else:
            caught = _poisson(mean, rng)
        e = caught + self.fixed + self.read * rng.standard_normal(mean.shape, dtype=np.float32)
        counts = np.clip(np.rint(e / self.e_per_count[channel] + self.offset), 0, self.top)
        return counts.astype(np.uint8 if self.settings.bits == 8 else np.uint16)


def _poisson(mean: Image, rng: np.random.Generator) -> Image:
    """Poisson variates; above 12 from a normal one with the skew put in (Cornish and Fisher), five times as fast."""
    z = rng.standard_normal(mean.shape, dtype=np.float32)
    caught = np.rint(mean + np.sqrt(mean) * z + (z * z - 1) / 6)
    few = mean < 12
    caught[few] = rng.poisson(mean[few])
    return np.maximum(caught, 0)
