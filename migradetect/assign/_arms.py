"""Light along rays from the rim of each site, averaged over the frames around birth: arms of fiber show in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration

__all__ = ["N_ANGLES", "ArmReader", "Rays"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Rays of a site.
N_ANGLES = 72
#: Places along a ray, um from the rim: what is seen within 1 um counts, nearer than 0.1 um lies the blur of the rim.
_FROM_RIM_UM = np.arange(0.1, 1.01, 0.1)
#: A line is brighter than what lies this far on either side, um: beyond the PSF, before the next fiber.
_SIDE_UM = 0.42
#: Half width of a line, um.
_HALF_WIDTH_UM = 0.08
#: A ray may lean aside by this much per um: fibers bend, and a site is not known better. What passes by leans more.
_LEAN = np.linspace(-0.25, 0.25, 7)
#: A ray is as strong as the weakest of this many parts of it: a bead or a line that crosses fills one.
_N_PARTS = 3
#: First of the places along a ray of each part, and the end; the first parts are the longer ones.
_PARTS = tuple(int(k) for k in np.cumsum([0, *(len(part) for part in np.array_split(_FROM_RIM_UM, _N_PARTS))]))
#: Frames are averaged from this long before the first sighting to this long after it, min: the fibers of the time of
#: birth, of which part may still lie under the cell that leaves them.
_BEFORE_MIN, _AFTER_MIN = 10.0, 40.0
#: In any case this many frames, so that sparse movies have something to average.
_FEWEST_BEFORE, _FEWEST_AFTER = 2, 10


@dataclass(frozen=True)
class Rays:
    """Light along rays from the rim of N sites."""

    strength: Array
    """Light of the weakest part of each ray over what lies beside it, over the noise of a pixel, shape (N, 72)."""
    noise: Array
    """Standard deviation of that, shape (N,)."""
    radius_um: Array
    """Of the sites, shape (N,)."""
    is_cut: NDArray[np.bool_]
    """The border of the field cuts off a part of the surroundings in all frames, shape (N,)."""


class ArmReader:
    """Reads frame after frame what surrounds each site; N sites.

    The linear step, the average over registered frames, comes before any maximum or threshold. Its memory does not
    grow with the number of frames.

    Parameters
    ----------
    y_stage_um, x_stage_um, diameter_um : ndarray, shape (N,)
        Drift-corrected place and full-grown size.
    first_seen : ndarray of int, shape (N,)
        Frame in which each was first found.
    calibration : Calibration
        Pixel size and frame interval.
    """

    def __init__(
        self,
        y_stage_um: Array,
        x_stage_um: Array,
        diameter_um: Array,
        first_seen: NDArray[np.int64],
        calibration: Calibration,
    ) -> None:
        self._y_um, self._x_um = np.asarray(y_stage_um, float), np.asarray(x_stage_um, float)
        # a size that is not known is taken as that of a small one
        self._radii_um = np.nan_to_num(np.asarray(diameter_um, float), nan=0.6)[:, None] / 2 + _FROM_RIM_UM
        self._calibration = calibration
        before, after = _FEWEST_BEFORE, _FEWEST_AFTER
        interval = calibration.frame_interval_s
        if interval is not None and np.isfinite(interval) and interval > 0:
            before = max(before, round(_BEFORE_MIN * 60 / interval))
            after = max(after, round(_AFTER_MIN * 60 / interval))
        self._from, self._to = np.asarray(first_seen) - before, np.asarray(first_seen) + after
        self._total = np.zeros((self._y_um.size, _FROM_RIM_UM.size, N_ANGLES), np.float32)
        self._count = np.zeros_like(self._total)
        self._is_whole = np.zeros(self._y_um.size, bool)
        self._is_cut = np.zeros(self._y_um.size, bool)

    def read(self, frame: int, snr: Image, weight: Image, drift_um: tuple[float, float]) -> None:
        """Add a frame.

        Parameters
        ----------
        frame : int
            Its number.
        snr : ndarray, shape (Y, X)
            Image over its noise; a smooth background may still be in it.
        weight : ndarray, shape (Y, X)
            1 outside bodies, else 0.
        drift_um : tuple of float
            Stage drift (y, x).
        """
        near = np.flatnonzero((self._from <= frame) & (frame <= self._to))
        if not near.size:
            return
        angle = np.arange(N_ANGLES) * 2 * np.pi / N_ANGLES
        radii = self._radii_um[near][:, :, None]
        y = self._calibration.px(self._y_um[near, None, None] + drift_um[0] + radii * np.sin(angle))
        x = self._calibration.px(self._x_um[near, None, None] + drift_um[1] + radii * np.cos(angle))
        height, width = snr.shape
        in_field = (y >= -0.5) & (y < height - 0.5) & (x >= -0.5) & (x < width - 0.5)
        whole = in_field.all(axis=(1, 2))
        self._is_whole[near] |= whole
        self._is_cut[near] |= ~whole
        flat = (near.size, _FROM_RIM_UM.size * N_ANGLES)
        places = np.asarray(x.reshape(flat), np.float32), np.asarray(y.reshape(flat), np.float32)
        open_dish = cv2.remap(weight, *places, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        values = cv2.remap(snr, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        use = (open_dish > 0.5).reshape(self._total[near].shape)
        self._total[near] += np.where(use, values.reshape(use.shape), 0)
        self._count[near] += use

    def rays(self) -> Rays:
        """Light along rays from the rim of each site.

        Returns
        -------
        Rays
        """
        looks = self._count
        mean = np.where(looks > 0, self._total / np.maximum(looks, 1), np.nan).astype(np.float64)
        # centre less both sides (1.5 variances), each a mean of three samples; samples within a pixel are one
        pixels = max(1.0, self._calibration.pixel_size_um / float(_FROM_RIM_UM[1] - _FROM_RIM_UM[0]))
        typical = np.maximum(np.median(looks.reshape(len(looks), -1), axis=1), 1.0) if looks.size else np.empty(0)
        noise = np.sqrt(1.5 / 3 / (_FROM_RIM_UM.size / _N_PARTS) * pixels / typical)
        strength = _strengths(mean, self._radii_um, looks.any(axis=(1, 2)))
        return Rays(strength, noise, self._radii_um[:, 0] - _FROM_RIM_UM[0], self._is_cut & ~self._is_whole)


@njit(cache=True, nogil=True)
def _strengths(mean: Array, radii_um: Array, is_seen: NDArray[np.bool_]) -> Array:  # pragma: no cover (numba)
    """Strength of the rays of N sites from their rings, shape (N, radii, angles); 0 where nothing was seen."""
    out = np.zeros((len(mean), N_ANGLES))
    for i in range(len(mean)):
        if is_seen[i]:
            out[i] = _along_rays(_over_sides(mean[i], radii_um[i]), radii_um[i])
    return out


@njit(cache=True, nogil=True)
def _at(ring: Array, place: float) -> float:  # pragma: no cover (numba)
    """Value of a closed ring between its angular steps."""
    place %= N_ANGLES
    k = min(int(place), N_ANGLES - 1)
    part = place - k
    if part == 0:
        return ring[k]
    return (ring[(k + 1) % N_ANGLES] - ring[k]) * part + ring[k]


@njit(cache=True, nogil=True)
def _over_sides(mean: Array, radii_um: Array) -> Array:  # pragma: no cover (numba)
    """Each ring less what lies on either side: beads, haze and gradients drop out, lines along the ray stay."""
    out = np.empty_like(mean)
    for j in range(radii_um.size):
        step = N_ANGLES / (2 * np.pi * radii_um[j])
        for k in range(N_ANGLES):
            centre = sides = 0.0
            for thin in (-_HALF_WIDTH_UM * step, 0.0, _HALF_WIDTH_UM * step):
                centre += _at(mean[j], k + thin)
                sides += _at(mean[j], k + (-_SIDE_UM * step + thin)) + _at(mean[j], k + (_SIDE_UM * step + thin))
            out[j, k] = centre / 3 - sides / 6
    return out


@njit(cache=True, nogil=True)
def _along_rays(response: Array, radii_um: Array) -> Array:  # pragma: no cover (numba)
    """Strength of the ray at each angle: its weakest part, for the best lean; 0 where too little can be seen."""
    best = np.zeros(N_ANGLES)
    for lean in _LEAN:
        for k in range(N_ANGLES):
            weakest, enough = np.inf, 0
            for part in range(_N_PARTS):
                total, n = 0.0, 0
                for j in range(_PARTS[part], _PARTS[part + 1]):
                    turn = lean * (radii_um[j] - radii_um[0]) / radii_um[j] * N_ANGLES / (2 * np.pi)
                    value = _at(response[j], k + turn)
                    if np.isfinite(value):
                        total += value
                        n += 1
                if n:
                    enough += 1
                    weakest = min(weakest, total / n)
            if enough >= _N_PARTS - 1:
                best[k] = max(best[k], weakest)
    return (np.roll(best, 1) + best + np.roll(best, -1)) / 3
