"""What is constant over a movie."""

from __future__ import annotations

from dataclasses import dataclass

from migradetect.filters import NoiseModel
from migradetect.profiles import ProfileLibrary

__all__ = ["MovieModel"]


@dataclass(frozen=True)
class MovieModel:
    """What is constant over a movie: noise of each channel, PSF, and the profiles that follow from it."""

    roles: tuple[str, ...]
    noise: dict[str, NoiseModel]
    empty_sigma: dict[str, float]
    """Noise of an empty pixel, counts."""
    background: dict[str, float]
    """Typical recorded level of an empty pixel, counts."""
    psf_sigma_um: float
    is_psf_measured: bool
    library: ProfileLibrary
