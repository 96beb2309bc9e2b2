"""Lengths and times as files write them, in micrometres and seconds."""

from __future__ import annotations

import math
from pathlib import Path

from migradetect.errors import CalibrationError

__all__ = ["interval_s", "length_um", "square_pixel"]

_UM = {
    "m": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "å": 1e-4,
    "inch": 25400.0,
    "inches": 25400.0,
    "in": 25400.0,
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "microsecond"), 1e-6),
    "ns": 1e-9,
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
#: x and y may differ by rounding, not by more: every length would depend on its direction.
_SQUARE = 0.01


def _known(unit: str, table: dict[str, float]) -> float | None:
    # ImageJ writes the micro sign as an escape; Unicode has two characters for it
    text = unit.strip().replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u").casefold()
    return table.get(text)


def length_um(value: float, unit: str) -> float | None:
    """Length in micrometres; None for a unit that is not a length (``pixel``)."""
    factor = _known(unit, _UM)
    return None if factor is None else value * factor


def interval_s(value: float, unit: str) -> float | None:
    """Time in seconds; None for an unknown unit."""
    factor = _known(unit, _SECONDS)
    return None if factor is None else value * factor


def square_pixel(path: Path, y_um: float | None, x_um: float | None) -> float | None:
    """Edge of the pixel where both sides agree.

    Raises
    ------
    CalibrationError
        If the sides differ by more than 1 %.
    """
    if x_um is None and y_um is None:
        return None
    x_um = y_um if x_um is None else x_um
    y_um = x_um if y_um is None else y_um
    assert x_um is not None
    assert y_um is not None
    if not (math.isfinite(x_um) and math.isfinite(y_um)) or abs(x_um - y_um) > _SQUARE * max(abs(x_um), abs(y_um)):
        raise CalibrationError(
            f"{path}: expected square pixels, got {x_um:g} um along x and {y_um:g} um along y; "
            "resample the movie, or give the true size with --pixel-size-um"
        )
    return x_um
