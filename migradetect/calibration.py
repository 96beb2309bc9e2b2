"""Calibration: the only place that converts between pixels and micrometres, frames and minutes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import CalibrationError

__all__ = ["MAX_PIXEL_SIZE_UM", "MIN_PIXEL_SIZE_UM", "Calibration"]

#: Pixel sizes outside this range are slips of unit; a 0.5-3 um migrasome needs a fifth of the largest.
MIN_PIXEL_SIZE_UM = 0.01
MAX_PIXEL_SIZE_UM = 10.0

Length = TypeVar("Length", float, NDArray[Any])


@dataclass(frozen=True, slots=True)
class Calibration:
    """Physical size of a pixel and time between frames, each with where it was read.

    Parameters
    ----------
    pixel_size_um : float
        Edge of a square pixel in micrometres, 0.01 to 10.
    frame_interval_s : float or None
        Seconds between frames; None for a single frame.
    pixel_size_source, frame_interval_source : str
        Where each value was read, such as ``"OME-XML"``, ``"ImageJ"``, ``"command line"``, ``"config"``.

    Raises
    ------
    CalibrationError
        If a value is missing, not finite or physically impossible.
    """

    pixel_size_um: float
    frame_interval_s: float | None = None
    pixel_size_source: str = "given"
    frame_interval_source: str = "given"

    def __post_init__(self) -> None:
        size = self.pixel_size_um
        if not (np.isfinite(size) and MIN_PIXEL_SIZE_UM <= size <= MAX_PIXEL_SIZE_UM):
            raise CalibrationError(
                f"pixel size: expected {MIN_PIXEL_SIZE_UM} to {MAX_PIXEL_SIZE_UM} um, got {size:g} um "
                f"(from {self.pixel_size_source}); give the true one with --pixel-size-um"
            )
        interval = self.frame_interval_s
        if interval is not None and not (np.isfinite(interval) and 0 < interval <= 86400):
            raise CalibrationError(
                f"frame interval: expected more than 0 and at most 86400 s, got {interval:g} s "
                f"(from {self.frame_interval_source}); give the true one with --frame-interval-s"
            )

    def um(self, px: Length) -> Length:
        """Pixels to micrometres."""
        return px * self.pixel_size_um

    def px(self, um: Length) -> Length:
        """Micrometres to pixels."""
        return um / self.pixel_size_um

    def um2(self, px2: Length) -> Length:
        """Square pixels to square micrometres."""
        return px2 * self.pixel_size_um**2

    def px2(self, um2: Length) -> Length:
        """Square micrometres to square pixels."""
        return um2 / self.pixel_size_um**2

    @property
    def frame_interval_min(self) -> float:
        """Minutes between frames; NaN for a single frame."""
        return float("nan") if self.frame_interval_s is None else self.frame_interval_s / 60.0

    def minutes(self, frames: Length) -> Length:
        """Frames to minutes; NaN where no interval is known."""
        return frames * self.frame_interval_min

    def frames(self, minutes: Length) -> Length:
        """Minutes to frames; NaN where no interval is known."""
        return minutes / self.frame_interval_min

    def with_frame_interval(self, frame_interval_s: float, source: str) -> Calibration:
        """Copy with another frame interval."""
        return replace(self, frame_interval_s=frame_interval_s, frame_interval_source=source)
