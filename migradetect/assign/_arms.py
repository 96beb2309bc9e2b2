"""How many arms of fiber lead to a site: light along rays from its rim, averaged over the frames around birth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration

__all__ = ["UNKNOWN_ARMS", "ArmReader"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_N_ANGLES = 72
_DEGREES = 360 / _N_ANGLES
#: Number of arms where the border of the field cuts off a part of the surroundings.
UNKNOWN_ARMS = -1
#: This many arms are a branch, however many more there are out of view.
_BRANCH_ARMS = 3
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
#: Fewest noise units of an arm, and least share of the strongest arm: fibers at a site differ by a factor of a few.
_LEAST_SNR, _LEAST_SHARE = 2.0, 0.15
#: Arms closer than this run into one another, degrees: at 1 um from the rim they are about two PSF widths apart.
_APART_DEG = 30.0
#: Most arms worth telling apart.
_MOST_ARMS = 6
#: Frames are averaged from this long before the first sighting to this long after it, min: the fibers of the time of
#: birth, of which part may still lie under the cell that leaves them.
_BEFORE_MIN, _AFTER_MIN = 10.0, 40.0
#: In any case this many frames, so that sparse movies have something to average.
_FEWEST_BEFORE, _FEWEST_AFTER = 2, 10


class ArmReader:
    """Reads frame after frame what surrounds each site, and counts arms at the end; N sites.

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
        self._total = np.zeros((self._y_um.size, _FROM_RIM_UM.size, _N_ANGLES), np.float32)
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
        angle = np.arange(_N_ANGLES) * 2 * np.pi / _N_ANGLES
        radii = self._radii_um[near][:, :, None]
        y = self._calibration.px(self._y_um[near, None, None] + drift_um[0] + radii * np.sin(angle))
        x = self._calibration.px(self._x_um[near, None, None] + drift_um[1] + radii * np.cos(angle))
        height, width = snr.shape
        in_field = (y >= -0.5) & (y < height - 0.5) & (x >= -0.5) & (x < width - 0.5)
        whole = in_field.all(axis=(1, 2))
        self._is_whole[near] |= whole
        self._is_cut[near] |= ~whole
        flat = (near.size, _FROM_RIM_UM.size * _N_ANGLES)
        places = np.asarray(x.reshape(flat), np.float32), np.asarray(y.reshape(flat), np.float32)
        open_dish = cv2.remap(weight, *places, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        values = cv2.remap(snr, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        use = (open_dish > 0.5).reshape(self._total[near].shape)
        self._total[near] += np.where(use, values.reshape(use.shape), 0)
        self._count[near] += use

    def count(self) -> NDArray[np.int64]:
        """Arms at each site, shape (N,).

        Returns
        -------
        ndarray of int, shape (N,)
            0 where none can be seen; :data:`UNKNOWN_ARMS` where the border cuts off a part of the surroundings in all
            frames and what is in view does not make a branch yet.
        """
        arms = np.array([self._count_at(i) for i in range(self._y_um.size)], np.int64)
        return np.where(self._is_cut & ~self._is_whole & (arms < _BRANCH_ARMS), UNKNOWN_ARMS, arms)

    def _count_at(self, i: int) -> int:
        looks = self._count[i]
        if not looks.any():
            return 0
        mean = np.where(looks > 0, self._total[i] / np.maximum(looks, 1), np.nan).astype(float)
        strength = _along_rays(_over_sides(mean, self._radii_um[i]), self._radii_um[i])
        # centre less both sides (1.5 variances), each a mean of three samples; samples within a pixel are one
        pixels = max(1.0, self._calibration.pixel_size_um / float(_FROM_RIM_UM[1] - _FROM_RIM_UM[0]))
        per_part = _FROM_RIM_UM.size / _N_PARTS
        noise = np.sqrt(1.5 / 3 / per_part * pixels / max(float(np.median(looks)), 1.0))
        return _count_peaks(strength, float(_LEAST_SNR * noise))


def _shifted(row: Array, steps: Array | float) -> Array:
    """Values of a closed ring, turned by a fractional number of angular steps."""
    ring = np.append(row, row[0])
    return np.asarray(np.interp((np.arange(_N_ANGLES) + steps) % _N_ANGLES, np.arange(_N_ANGLES + 1), ring))


def _over_sides(mean: Array, radii_um: Array) -> Array:
    """Each ring less what lies on either side: beads, haze and gradients drop out, lines along the ray stay."""
    out = np.empty_like(mean)
    for j, radius in enumerate(radii_um):
        step = _N_ANGLES / (2 * np.pi * radius)
        thin = [-_HALF_WIDTH_UM * step, 0.0, _HALF_WIDTH_UM * step]
        sides = [side * _SIDE_UM * step + turn for side in (-1, 1) for turn in thin]
        centre = sum(_shifted(mean[j], turn) for turn in thin) / len(thin)
        out[j] = centre - sum(_shifted(mean[j], turn) for turn in sides) / len(sides)
    return out


def _along_rays(response: Array, radii_um: Array) -> Array:
    """Strength of the ray at each angle: its weakest part, for the best lean; 0 where too little can be seen."""
    outward = radii_um - radii_um[0]
    best = np.zeros(_N_ANGLES)
    for lean in _LEAN:
        turns = lean * outward / radii_um * _N_ANGLES / (2 * np.pi)
        ray = np.stack([_shifted(row, turn) for row, turn in zip(response, turns, strict=True)])
        seen = np.isfinite(ray)
        parts, enough = [], np.zeros(_N_ANGLES, np.int64)
        for values, ok in zip(np.array_split(ray, _N_PARTS), np.array_split(seen, _N_PARTS), strict=True):
            n = ok.sum(axis=0)
            parts.append(np.where(n > 0, np.where(ok, values, 0).sum(axis=0) / np.maximum(n, 1), np.inf))
            enough += n > 0
        best = np.maximum(best, np.where(enough >= _N_PARTS - 1, np.min(parts, axis=0), 0))
    return np.asarray((np.roll(best, 1) + best + np.roll(best, -1)) / 3)


def _count_peaks(strength: Array, floor: float) -> int:
    """Peaks above a floor and a share of the strongest, far enough apart."""
    floor = max(floor, _LEAST_SHARE * float(strength.max()))
    is_peak = (strength >= np.roll(strength, 1)) & (strength >= np.roll(strength, -1)) & (strength > floor)
    taken: list[int] = []
    for k in np.argsort(-strength, kind="stable"):
        apart = [min((k - other) % _N_ANGLES, (other - k) % _N_ANGLES) * _DEGREES for other in taken]
        if is_peak[k] and all(gap >= _APART_DEG for gap in apart):
            taken.append(int(k))
    return min(len(taken), _MOST_ARMS)
