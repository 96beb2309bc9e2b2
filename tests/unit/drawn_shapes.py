"""Balls, shells and lines of known size, drawn from points and not from the library's own formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Image = NDArray[np.float32]

_FINE = 8


def _sphere(n: int) -> NDArray[np.float64]:
    """Points spread evenly over the unit sphere (golden spiral), projected: y, x."""
    k = np.arange(n) + 0.5
    height = 1 - 2 * k / n
    angle = np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.sin(angle), ring * np.cos(angle)], axis=1)


def draw_round(
    shape: tuple[int, int], y_px: float, x_px: float, diameter_px: float, sigma_px: float, is_shell: bool = False
) -> Image:
    """Projection of a ball or a shell seen through a Gaussian PSF; its pixels add up to 1."""
    if is_shell:
        points = _sphere(40_000)
    else:
        layers = ((np.arange(40) + 0.5) / 40) ** (1 / 3)
        points = np.concatenate([radius * _sphere(1000 + i) for i, radius in enumerate(layers)])
    place = points * diameter_px / 2 + (y_px, x_px)
    edges = [np.linspace(-0.5, n - 0.5, n * _FINE + 1) for n in shape]
    fine, *_ = np.histogram2d(place[:, 0], place[:, 1], bins=edges)
    blurred = ndi.gaussian_filter(fine / len(points), sigma_px * _FINE, mode="constant")
    return blurred.reshape(shape[0], _FINE, shape[1], _FINE).sum(axis=(1, 3)).astype(np.float32)


def draw_line(shape: tuple[int, int], start: tuple[float, float], end: tuple[float, float], sigma_px: float) -> Image:
    """Line of no width seen through a Gaussian PSF of peak 1; ends are round."""
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(float)
    dy, dx = end[0] - start[0], end[1] - start[1]
    along = np.clip(((yy - start[0]) * dy + (xx - start[1]) * dx) / (dy**2 + dx**2), 0, 1)
    distance2 = (yy - start[0] - along * dy) ** 2 + (xx - start[1] - along * dx) ** 2
    return np.exp(-distance2 / (2 * sigma_px**2)).astype(np.float32)


def draw_disc(shape: tuple[int, int], y_px: float, x_px: float, radius_px: float) -> NDArray[np.bool_]:
    """Sharp disc."""
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(yy - y_px, xx - x_px) <= radius_px
