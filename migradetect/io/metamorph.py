"""MetaMorph: stacks (STK) with UIC tags, planes with MetaSeries XML, and the .nd file of a sequence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from migradetect.errors import CalibrationError, ReadError
from migradetect.io.recording import Found, Recording, of_stack, squeezed
from migradetect.io.tiff import Stack, TiffFacts
from migradetect.io.tiff_calibration import found_resolution, number
from migradetect.io.units import length_um, square_pixel

__all__ = ["NdPlan", "acquired_s", "find_plan", "found_metaseries", "record_stk"]

_COPY = "copy the file again or export it again"
#: Longer than any .nd file.
_MAX_ND = 2**22


@dataclass(frozen=True, slots=True)
class NdPlan:
    """What an .nd file says was to be recorded; None where it does not say.

    Parameters
    ----------
    path : Path
        The file.
    n_frames : int or None
        Time points.
    channel_names : tuple of str
        Name of each wavelength, in order.
    """

    path: Path
    n_frames: int | None
    channel_names: tuple[str, ...]


def find_plan(folder: Path, file_name: str) -> NdPlan | None:
    """The .nd file in a folder that a file of a sequence belongs to; None where there is none.

    Raises
    ------
    ReadError
        If it can't be read.
    """
    fitting = [path for path in folder.glob("*.nd") if file_name.startswith(f"{path.stem}_") and path.is_file()]
    if not fitting:
        return None
    path = max(fitting, key=lambda item: len(item.stem))  # of exp.nd and exp_2.nd the one that fits more
    try:
        if path.stat().st_size > _MAX_ND:
            raise ReadError(f"{path}: expected a MetaMorph .nd file, got more than {_MAX_ND} bytes; {_COPY}")
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise ReadError(f"{path}: expected a file that can be read, got {error.strerror}; check its rights") from error
    values = dict(re.findall(r'^\s*"([^"]+)"\s*,\s*"?([^"\r\n]*?)"?\s*$', text, re.MULTILINE))

    def count(switch: str, name: str) -> int | None:
        number_text = values.get(name, "")
        is_on = values.get(switch, "TRUE").strip().upper() == "TRUE"
        return int(number_text) if is_on and re.fullmatch(r"\d{1,7}", number_text, re.ASCII) else None

    n_waves = count("DoWave", "NWavelengths") or 0
    return NdPlan(
        path=path,
        n_frames=count("DoTimelapse", "NTimePoints"),
        channel_names=tuple(values.get(f"WaveName{index + 1}", "") for index in range(min(n_waves, 100))),
    )


def found_metaseries(facts: TiffFacts) -> Found:
    """Pixel size in the MetaSeries XML of a plane."""
    plane = facts.metaseries.get("PlaneInfo")
    if not isinstance(plane, dict) or str(plane.get("spatial-calibration-state", "on")).lower() in ("off", "false"):
        return Found()
    unit = str(plane.get("spatial-calibration-units", "um"))
    return _squared(facts, [number(plane.get(f"spatial-calibration-{axis}")) for axis in "yx"], unit)


def acquired_s(facts: TiffFacts) -> float | None:
    """When the first plane of a file was recorded, in seconds from an arbitrary start; None where unknown."""
    plane = facts.metaseries.get("PlaneInfo")
    when = plane.get("acquisition-time-local") if isinstance(plane, dict) else None
    if when is None and facts.stk:
        created = facts.stk.get("DatetimeCreated")
        when = created[0].item() if created is not None and len(created) else None
    if isinstance(when, str):
        # MetaMorph writes 20101016 12:22:04.324
        match = re.fullmatch(r"(\d{4})(\d{2})(\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)", when.strip(), re.ASCII)
        try:
            when = datetime.fromisoformat(f"{match[1]}-{match[2]}-{match[3]} {match[4]}") if match else None
        except ValueError:
            when = None
    # only differences count, so the zone does not matter
    return (when - datetime(1970, 1, 1)).total_seconds() if isinstance(when, datetime) else None


def record_stk(stack: Stack) -> Recording:
    """Planes of a MetaMorph stack.

    Raises
    ------
    ReadError
        If it holds fewer planes than it says.
    """
    facts, stk = stack.facts, stack.facts.stk
    declared = stk.get("NumberPlanes", 1)
    n_planes = len(stack.offsets)
    if declared != n_planes:
        raise ReadError(
            f"{facts.path}: expected {declared} planes (UIC tags), got {n_planes} in the file (cut off?); {_COPY}"
        )
    distance = np.atleast_1d(np.asarray(stk.get("ZDistance", 0.0), dtype=float))
    created = stk.get("DatetimeCreated")
    times = np.array([] if created is None else created).astype("datetime64[ms]").astype(float) / 1000
    is_timed = len(times) == n_planes and n_planes > 1 and bool(np.all(np.diff(times) > 0))
    letter = "?"
    if n_planes > 1 and bool(np.all(distance != 0)):
        letter = "Z"
    elif is_timed:
        letter = "T"
    axes, shape = squeezed(f"{letter}YX", (n_planes, *stack.shape_yx))
    unit = str(stk.get("CalibrationUnits", ""))
    found = _squared(facts, [number(stk.get(f"{axis}Calibration")) for axis in "YX"], unit)
    interval = float(np.median(np.diff(times))) if is_timed and letter == "T" else None
    found = Found.of([], [("MetaMorph", interval)]).also(found).also(found_resolution(facts))
    name = str(stk.get("Name", "")).strip() or None
    return of_stack(stack, "metamorph", axes, shape, (name,) if name else (), found)


def _squared(facts: TiffFacts, sides: list[float | None], unit: str) -> Found:
    y_um, x_um = (None if side is None or side <= 0 else length_um(side, unit) for side in sides)
    try:
        return Found.of([("MetaMorph", square_pixel(facts.path, y_um, x_um))])
    except CalibrationError as error:
        return Found(problem=str(error))
