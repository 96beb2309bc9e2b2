"""Calibration that stands in the tags of TIFF files."""

from __future__ import annotations

from typing import Any

from migradetect.errors import CalibrationError
from migradetect.io.recording import Found
from migradetect.io.tiff import TiffFacts
from migradetect.io.units import interval_s, length_um, square_pixel

__all__ = ["found_imagej", "found_micromanager", "found_resolution", "number"]

#: Larger pixels, in um, are those of a printer: 72 or 300 dots per inch.
_PRINTED_UM = 10.0


def number(value: Any) -> float | None:
    """Value of a metadata field; None where it is no number."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def found_imagej(facts: TiffFacts) -> Found:
    """Calibration of an ImageJ stack: the resolution in the unit of its description, and its frame interval."""
    unit = str(facts.imagej.get("unit", ""))
    size, problem = None, None
    if facts.resolution is not None and min(facts.resolution) > 0:
        # a resolution without a unit of length is a number of pixels per nothing
        per_x, per_y = facts.resolution
        y_um, x_um = length_um(1 / per_y, str(facts.imagej.get("yunit", unit))), length_um(1 / per_x, unit)
        try:
            size = square_pixel(facts.path, y_um, x_um)
        except CalibrationError as error:
            problem = str(error)
    interval = number(facts.imagej.get("finterval"))  # ImageJ writes 0 where none was set
    seconds = None if interval is None else interval_s(interval, str(facts.imagej.get("tunit", "s")))
    return Found.of([("ImageJ", size)], [("ImageJ", seconds)], problem).also(found_resolution(facts))


def found_resolution(facts: TiffFacts) -> Found:
    """Pixel size by the resolution tags, where their unit is a length and they don't mean a printer."""
    unit = {2: "inch", 3: "cm"}.get(facts.resolution_unit)
    if unit is None or facts.resolution is None or min(facts.resolution) <= 0:
        return Found()
    per_x, per_y = facts.resolution
    sides = [length_um(1 / per_y, unit), length_um(1 / per_x, unit)]
    if any(side is not None and side > _PRINTED_UM for side in sides):
        return Found()
    try:
        return Found.of([("TIFF resolution", square_pixel(facts.path, *sides))])
    except CalibrationError as error:
        return Found(problem=str(error))


def found_micromanager(facts: TiffFacts) -> Found:
    """Pixel size and interval in the tags that Micro-Manager writes."""
    page, summary = facts.micromanager, facts.micromanager.get("Summary")
    summary = summary if isinstance(summary, dict) else {}
    size = next(
        (
            value
            for values in (page, summary)
            for name in ("PixelSizeUm", "PixelSize_um")
            if (value := number(values.get(name))) is not None and value > 0  # 0 where none was set
        ),
        None,
    )
    interval = number(summary.get("Interval_ms"))  # 0 in a burst
    return Found.of([("Micro-Manager", size)], [("Micro-Manager", None if interval is None else interval / 1000)])
