"""From brightness in the sample to photoelectrons: PSF, defocus, section, haze, vignetting, background, drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = [
    "Illumination",
    "Patch",
    "Stage",
    "blur",
    "line_density",
    "psf_sigma_px",
    "section",
    "speck_patch",
    "splat_line",
]

Image = NDArray[np.float32]

#: Gaussian approximation of the in-focus PSF: sigma = 0.21 wavelength / NA.
PSF_FACTOR = 0.21
#: Thickness of the bright rim of a shell, um: what a confocal section shows of a membrane.
SHELL_UM = 0.12


def psf_sigma_px(params: SimulationParams, channel: int, defocus_um: float = 0.0) -> float:
    """Standard deviation of the PSF in pixels; channel 0 is TSPAN4, 1 is WGA."""
    wavelength = (params.wavelength_tspan4_um, params.wavelength_wga_um)[channel]
    sharp = params.psf_broadening * PSF_FACTOR * wavelength / params.numerical_aperture
    # beyond the depth of field the cone of light opens
    cone = 0.4 * params.numerical_aperture * max(0.0, abs(defocus_um) - 0.2)
    return float(np.hypot(sharp, cone) / params.pixel_size_um)


def section(params: SimulationParams, defocus_um: float) -> float:
    """Share of the light that a confocal section passes at a distance from its plane."""
    return 1.0 / (1.0 + (defocus_um / params.section_um) ** 2)


def blur(image: Image, sigma_px: float) -> Image:
    """Gaussian blur."""
    size = 2 * int(np.ceil(4.0 * sigma_px)) + 1
    return np.asarray(cv2.GaussianBlur(image, (size, size), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32)


def line_density(sigma_px: float) -> float:
    """Brightness per pixel of length that makes the ridge of a blurred thin line 1."""
    return float(np.sqrt(2.0 * np.pi) * sigma_px)


@numba.njit(cache=True)
def splat_line(image: Any, points: Any, weight: float) -> None:
    """Add a thin line to an image, with bilinear weights every quarter pixel.

    ``points`` has shape (N, 2) in pixels; ``weight`` is the brightness per pixel of length.
    """
    height, width = image.shape
    for k in range(points.shape[0] - 1):
        y0, x0 = points[k, 0], points[k, 1]
        dy, dx = points[k + 1, 0] - y0, points[k + 1, 1] - x0
        length = np.sqrt(dy * dy + dx * dx)
        count = int(np.ceil(length * 4.0))
        for m in range(count):
            t = (m + 0.5) / count
            y, x = y0 + t * dy, x0 + t * dx
            i, j = int(np.floor(y)), int(np.floor(x))
            if i < 0 or j < 0 or i + 1 >= height or j + 1 >= width:
                continue
            a, b = y - i, x - j
            w = weight * length / count
            image[i, j] += w * (1 - a) * (1 - b)
            image[i, j + 1] += w * (1 - a) * b
            image[i + 1, j] += w * a * (1 - b)
            image[i + 1, j + 1] += w * a * b


@numba.njit(cache=True)
def _disc(patch: Any, cy: float, cx: float, radius: float, wall: float, is_shell: bool) -> None:
    """Supersampled profile of a ball or a shell of a given radius in pixels."""
    sub = 8 if radius < 3.0 else 4
    reach = radius + 3.0 * wall + 1.0
    for i in range(patch.shape[0]):
        for j in range(patch.shape[1]):
            if (i - cy) ** 2 + (j - cx) ** 2 > (reach + 1.0) ** 2:
                continue
            total = 0.0
            for a in range(sub):
                y = i - 0.5 + (a + 0.5) / sub - cy
                for b in range(sub):
                    x = j - 0.5 + (b + 0.5) / sub - cx
                    rho = np.sqrt(y * y + x * x)
                    if rho >= radius:
                        continue
                    if is_shell:
                        inside = (radius - rho) / wall
                        total += 0.3 + 0.8 * np.exp(-inside)
                    else:
                        total += 0.55 + 0.45 * np.sqrt(1.0 - (rho / radius) ** 2)
            patch[i, j] = total / (sub * sub)


@dataclass(frozen=True)
class Patch:
    """Blurred picture of one speck in both channels, photoelectrons before vignetting and bleaching."""

    top: int
    left: int
    light: Image

    def add_to(self, image: Image) -> None:
        """Add to an image of shape (2, Y, X), cut at its edges."""
        window, inner = self.windows(image.shape[1:])
        image[:, window[0], window[1]] += self.light[:, inner[0], inner[1]]

    def windows(self, shape_yx: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where it lies in an image, and which part of the patch that is."""
        outer, inner = [], []
        for start, size, full in zip((self.top, self.left), self.light.shape[1:], shape_yx, strict=True):
            low, high = max(start, 0), min(start + size, full)
            high = max(high, low)
            outer.append(slice(low, high))
            inner.append(slice(low - start, high - start))
        return (outer[0], outer[1]), (inner[0], inner[1])


def speck_patch(
    yx_px: tuple[float, float],
    diameter_px: float,
    light_e: tuple[float, float],
    sigmas_px: tuple[float, float],
    wall_px: float,
    is_shell: bool,
) -> Patch:
    """Draw one ball or shell through the PSF of each channel.

    Parameters
    ----------
    yx_px : tuple of float
        Centre in pixels.
    diameter_px : float
        Diameter in pixels.
    light_e : tuple of float
        Surface brightness in photoelectrons per pixel, TSPAN4 and WGA.
    sigmas_px : tuple of float
        PSF of each channel in pixels.
    wall_px : float
        Thickness of a shell's rim in pixels.
    is_shell : bool
        Shell or filled ball.
    """
    radius = 0.5 * diameter_px
    reach = int(np.ceil(radius + 4.0 * max(sigmas_px))) + 2
    top, left = int(np.floor(yx_px[0])) - reach, int(np.floor(yx_px[1])) - reach
    sharp = np.zeros((2 * reach + 2, 2 * reach + 2), np.float32)
    _disc(sharp, yx_px[0] - top, yx_px[1] - left, radius, wall_px, is_shell)
    light = np.stack([blur(sharp, sigmas_px[c]) * np.float32(light_e[c]) for c in range(2)])
    return Patch(top, left, light)


class Illumination:
    """What is the same in every frame: vignetting, and the glow of the dish that moves with the stage."""

    def __init__(self, params: SimulationParams, rng: Rng) -> None:
        height, width = params.height_px, params.width_px
        centre = (height * float(rng.uniform(0.4, 0.6)), width * float(rng.uniform(0.4, 0.6)))
        y, x = np.mgrid[:height, :width].astype(np.float32)
        r2 = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (0.5 * np.hypot(height, width)) ** 2
        self.vignette = (1.0 - params.vignetting * np.clip(r2, 0.0, 1.2)).astype(np.float32)
        small = rng.standard_normal((height // 8 + 8, width // 8 + 8)).astype(np.float32)
        smooth = blur(small, 6.0 / params.pixel_size_um / 8.0)
        smooth = smooth / np.float32(max(float(smooth.std()), 1e-9))
        coarse = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC)
        self.glow = np.clip(1.0 + params.background_texture * coarse, 0.3, None).astype(np.float32)
        self.background_e = (params.background_e_tspan4, params.background_e_wga)

    def background(self, channel: int, drift_px: tuple[float, float]) -> Image:
        """Glow of the dish in one frame, photoelectrons, shape (Y, X)."""
        move = np.array([[1.0, 0.0, drift_px[1]], [0.0, 1.0, drift_px[0]]], np.float32)
        shape = self.glow.shape
        moved = cv2.warpAffine(self.glow, move, (shape[1], shape[0]), borderMode=cv2.BORDER_REFLECT)
        return (moved * self.background_e[channel]).astype(np.float32)


class Stage:
    """Drift of the stage and the focus, frame by frame; both are 0 in the first frame.

    Attributes
    ----------
    drift_um : ndarray, shape (T, 2)
        Added to stage coordinates to give places in the image.
    focus_um : ndarray, shape (T,)
        Distance of the focal plane from the dish.
    """

    def __init__(self, params: SimulationParams, rng: Rng) -> None:
        count = params.n_frames
        heading = rng.uniform(-np.pi, np.pi)
        steps = params.drift_um_per_frame * np.tile([np.sin(heading), np.cos(heading)], (count, 1))
        steps = steps + params.drift_walk_um * rng.normal(size=(count, 2))
        jumps = rng.random(count) < params.drift_jump_probability
        turns = rng.uniform(-np.pi, np.pi, size=count)
        sizes = params.drift_jump_um * rng.uniform(0.4, 1.3, size=count)
        steps = steps + (jumps * sizes)[:, None] * np.stack([np.sin(turns), np.cos(turns)], axis=1)
        steps[0] = 0.0
        self.drift_um = np.cumsum(steps, axis=0)
        focus = np.zeros(count)
        for frame in range(1, count):
            # the autofocus pulls it back
            walked = 0.95 * focus[frame - 1] + params.focus_walk_um * rng.normal()
            focus[frame] = np.clip(walked, -params.focus_range_um, params.focus_range_um)
        self.focus_um = focus
