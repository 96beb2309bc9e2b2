"""Which calibration is used, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from migradetect.calibration import Calibration
from migradetect.errors import CalibrationError
from migradetect.io.options import InputOptions
from migradetect.io.recording import Claim, Recording

__all__ = ["Doubts", "doubts", "resolve_calibration"]

#: Pixel sizes that a camera behind an objective can have, in um; others are flagged.
_USUAL_UM = (0.02, 2.0)
#: Sizes that differ by more contradict each other.
_SAME_SIZE = 0.01
#: A clock differs from the plan by some percent: exposures and the stage take time.
_SAME_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is doubtful about a calibration.

    Parameters
    ----------
    flags : tuple of str
        ``pixel_size_is_1``, ``pixel_size_unusual``, ``calibration_conflict``.
    warnings : tuple of str
        One line for each.
    found : dict
        Every value with its source, for ``movie.json``.
    """

    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    found: dict[str, list[dict[str, Any]]]


def resolve_calibration(recording: Recording, options: InputOptions) -> Calibration:
    """Calibration of a movie: what the user says, else what the file says.

    Raises
    ------
    CalibrationError
        If a value is missing or impossible.
    """
    path, found = recording.path, recording.found
    size, size_source = options.pixel_size_um, options.pixel_size_source
    if size is None:
        if found.problem is not None:
            raise CalibrationError(found.problem)
        if found.pixel_size_um is None or found.pixel_size_source is None:
            raise CalibrationError(
                f"{path}: expected a pixel size, got none in the file; give it with --pixel-size-um, for example "
                "--pixel-size-um 0.108"
            )
        size, size_source = found.pixel_size_um, found.pixel_size_source
    interval, interval_source = options.frame_interval_s, options.frame_interval_source
    if interval is None:
        interval, interval_source = found.frame_interval_s, found.frame_interval_source or "none"
    if recording.size("T") == 1:
        interval, interval_source = None, "single frame"
    elif interval is None:
        raise CalibrationError(
            f"{path}: expected a frame interval for {recording.size('T')} frames, got none in the file; "
            "give it with --frame-interval-s, for example --frame-interval-s 120"
        )
    try:
        return Calibration(size, interval, size_source, interval_source)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error


def doubts(recording: Recording, options: InputOptions, calibration: Calibration) -> Doubts:
    """What speaks against the calibration that is used."""
    path, found = recording.path, recording.found
    flags: list[str] = []
    lines: list[str] = []
    size = calibration.pixel_size_um
    if size == 1.0:
        flags.append("pixel_size_is_1")
        lines.append(
            f"{path}: the pixel size is exactly 1 um ({calibration.pixel_size_source}), as software writes where it "
            "knows none; check it, or give the true one with --pixel-size-um"
        )
    elif not _USUAL_UM[0] <= size <= _USUAL_UM[1]:
        flags.append("pixel_size_unusual")
        lines.append(
            f"{path}: the pixel size is {size:g} um ({calibration.pixel_size_source}), usual is {_USUAL_UM[0]} to "
            f"{_USUAL_UM[1]:g}; check it, or give the true one with --pixel-size-um"
        )
    sizes = (*_told(options.pixel_size_um, options.pixel_size_source), *found.pixel_sizes_um)
    intervals = (*_told(options.frame_interval_s, options.frame_interval_source), *found.frame_intervals_s)
    conflicts = [_conflict("pixel size", "um", sizes, _SAME_SIZE)]
    if calibration.frame_interval_s is not None:
        conflicts.append(_conflict("frame interval", "s", intervals, _SAME_INTERVAL))
    for conflict in conflicts:
        if conflict is not None:
            flags.append("calibration_conflict")
            lines.append(f"{path}: {conflict}")
    return Doubts(
        tuple(dict.fromkeys(flags)),
        tuple(lines),
        {
            "pixel_size_um": [asdict(claim) for claim in sizes],
            "frame_interval_s": [asdict(claim) for claim in intervals],
        },
    )


def _told(value: float | None, source: str) -> tuple[Claim, ...]:
    return () if value is None else (Claim(value, source),)


def _conflict(what: str, unit: str, claims: Sequence[Claim], tolerance: float) -> str | None:
    used, *others = claims or (None,)
    against = [
        f"{claim.value:g} {unit} ({claim.source})"
        for claim in others
        if used is not None and claim is not None and abs(claim.value - used.value) > tolerance * used.value
    ]
    if used is None or not against:
        return None
    return f"sources disagree about the {what}: {used.value:g} {unit} ({used.source}) is used, not {', '.join(against)}"
