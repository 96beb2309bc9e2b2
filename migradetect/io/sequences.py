"""Movies whose frames, channels or slices are separate files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from migradetect.errors import AxesError, CalibrationError, ReadError
from migradetect.io.metamorph import NdPlan, find_plan
from migradetect.io.naming import NameParts, natural_key, parse_name, stem_of
from migradetect.io.options import InputOptions
from migradetect.io.recording import Found, Recording, with_axes
from migradetect.io.single import record_file

__all__ = ["record_sequence"]

#: Missing files that a message lists by number.
_LISTED = 8


def record_sequence(path: Path, files: Sequence[Path], options: InputOptions) -> Recording:
    """Planes of a sequence of files.

    Parameters
    ----------
    path : Path
        Folder, for messages.
    files : sequence of Path
        Its files; their names tell frame, channel and slice, see :func:`~migradetect.io.naming.parse_name`.
    options : InputOptions
        `axes` are those inside each file; `pattern` and `allow_gaps` are used.

    Raises
    ------
    ReadError
        If a file is damaged or missing, or they differ in size or type.
    AxesError
        If a file holds an axis that the names count too.
    """
    names = [parse_name(stem_of(file), options.pattern) for file in files]
    times = sorted({name.t for name in names if name.t is not None})
    channels = sorted({name.c for name in names if name.c is not None}, key=natural_key)
    slices = sorted({name.z for name in names if name.z is not None})
    for what, numbers, gaps_ok in (("frame", times, options.allow_gaps), ("slice", slices, False)):
        _check_numbers(path, what, numbers, gaps_ok)
    outer = {"T": max(len(times), 1), "C": max(len(channels), 1), "Z": max(len(slices), 1)}
    place: dict[tuple[int, int, int], Path] = {}
    for file, name in zip(files, names, strict=True):
        key = (
            times.index(name.t) if name.t is not None else 0,
            channels.index(name.c) if name.c is not None else 0,
            slices.index(name.z) if name.z is not None else 0,
        )
        if key in place:
            raise ReadError(
                f"{path}: expected one file per frame, channel and slice, got {place[key].name} and {file.name}; "
                "move one away, or tell their names apart with --pattern"
            )
        place[key] = file
    missing = [key for key in np.ndindex(outer["T"], outer["C"], outer["Z"]) if key not in place]
    if missing and options.allow_gaps and len(times) > 1:
        # a frame that lacks a channel or slice is no frame
        times = _whole_frames(path, place, times, {key[0] for key in missing})
        outer["T"], missing = len(times), []
    if missing:
        counted: tuple[tuple[str, Sequence[object]], ...] = (("frame", times), ("channel", channels), ("slice", slices))
        what = ", ".join(
            f"{name} {values[at]}" for (name, values), at in zip(counted, missing[0], strict=True) if values
        )
        raise ReadError(
            f"{path}: expected {len(place) + len(missing)} files in the sequence of {files[0].name}, got {len(place)}; "
            f"missing is {what}; restore the file"
        )
    plan = find_plan(path, files[0].name)
    recording = _assembled(path, place, outer, _channel_names(channels, names, plan), options)
    if plan is not None and plan.n_frames is not None and recording.size("T") < plan.n_frames:
        note = (
            f"{path}: {recording.size('T')} frames, {plan.n_frames} were planned ({plan.path.name}): stopped early, or "
            "files are missing at the end"
        )
        recording = replace(recording, warnings=(*recording.warnings, note))
    is_gapped = options.allow_gaps and len(set(np.diff(times).tolist())) > 1
    return replace(recording, frame_numbers=tuple(times)) if is_gapped else recording


def _whole_frames(
    path: Path, place: dict[tuple[int, int, int], Path], times: Sequence[int], broken: set[int]
) -> list[int]:
    """Numbers of the frames that have all their files; the files of the others leave `place`."""
    kept = [at for at in range(len(times)) if at not in broken]
    if not kept:
        raise ReadError(f"{path}: expected a frame with all its channels and slices, got none; restore the files")
    files = {(kept.index(t), c, z): file for (t, c, z), file in place.items() if t not in broken}
    place.clear()
    place.update(files)
    return [times[at] for at in kept]


def _check_numbers(path: Path, what: str, numbers: Sequence[int], gaps_ok: bool) -> None:
    if len(numbers) < 2:
        return
    steps = set(np.diff(numbers).tolist())
    # more gaps than frames: the names hold something else, such as a date
    is_likely = len(steps) == 1 or (numbers[-1] - numbers[0]) // np.gcd.reduce(list(steps)) < 2 * len(numbers)
    if steps == {1} or (gaps_ok and is_likely):
        return
    present = set(numbers)
    # a name can hold a date instead of a frame number: list a few, count the rest
    n_missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    some: list[str] = []
    for low, high in pairwise(numbers):
        some += [str(number) for number in range(low + 1, min(high, low + 2 + _LISTED)) if number not in present]
        if len(some) > _LISTED:
            break
    listed = ", ".join(some[:_LISTED]) + (" ..." if n_missing > _LISTED else "")
    remedy = "restore the files"
    if what == "frame":
        remedy += ", or give --allow-gaps to analyse the others" if is_likely else ", or tell the names with --pattern"
    raise ReadError(
        f"{path}: expected {what}s {numbers[0]} to {numbers[-1]}, got {len(numbers)} of them; missing {n_missing}: "
        f"{what} {listed}; {remedy}"
    )


def _channel_names(channels: Sequence[str], names: Sequence[NameParts], plan: NdPlan | None) -> tuple[str | None, ...]:
    found = {name.c: name.channel_name for name in names if name.channel_name}
    planned = plan.channel_names if plan is not None and len(plan.channel_names) == len(channels) else ()
    return tuple(
        found.get(channel) or (planned[index] if planned else None) or f"c{channel}"
        for index, channel in enumerate(channels)
    )


def _assembled(
    path: Path,
    place: dict[tuple[int, int, int], Path],
    outer: dict[str, int],
    channel_names: tuple[str | None, ...],
    options: InputOptions,
) -> Recording:
    keys = sorted(place)
    counted = "".join(axis for axis in "TCZ" if outer[axis] > 1)
    parts = [_part(place[key], counted, options) for key in keys]
    first = parts[0]
    for part in parts[1:]:
        _check_alike(first, part)
    inner = {axis: first.size(axis) for axis in "TCZ"}
    twice = [axis for axis in "TCZ" if outer[axis] > 1 and inner[axis] > 1]
    if twice or "?" in first.axes:
        raise AxesError(
            f"{first.path}: expected one plane per file or named axes, got {first.axes} "
            f"({' x '.join(map(str, first.shape))}) in each of {len(parts)} files that names count along "
            f"{', '.join(axis for axis in 'TCZ' if outer[axis] > 1)}; name the axes inside a file with --axes"
        )
    sizes = tuple(outer[axis] * inner[axis] for axis in "TCZ")
    file_index = np.zeros(sizes, dtype=np.int32)
    offsets = np.zeros(sizes, dtype=np.int64)
    for number, (key, part) in enumerate(zip(keys, parts, strict=True)):
        block = tuple(slice(at * inner[axis], (at + 1) * inner[axis]) for at, axis in zip(key, "TCZ", strict=True))
        file_index[block] = number
        offsets[block] = part.in_tcz(part.offsets)
    kept = [axis for axis, size in zip("TCZ", sizes, strict=True) if size > 1]
    leading = tuple(size for size in sizes if size > 1)
    return Recording(
        path=path,
        kind="sequence",
        axes="".join(kept) + "YX",
        shape=(*leading, *first.shape[-2:]),
        dtype=first.dtype,
        files=tuple(place[key] for key in keys),
        file_index=file_index.reshape(leading),
        offsets=offsets.reshape(leading),
        raw=tuple(part.raw[0] for part in parts),
        dtypes=tuple(part.dtypes[0] for part in parts),
        channel_names=channel_names or first.channel_names,
        found=_agreed(path, [part.found for part in parts]).also(_clock(keys, parts)),
    )


def _part(file: Path, counted: str, options: InputOptions) -> Recording:
    part = record_file(file)
    if len(part.files) > 1:
        raise ReadError(f"{file}: expected one file per frame, got an OME-TIFF with companions; give that file alone")
    if options.axes is None or part.axes == "YX":
        return part
    # the user may name the axes of the movie or those of a file; the names of the files count the others
    return with_axes(part, "".join(axis for axis in options.axes.upper() if axis not in counted), None)


def _check_alike(first: Recording, part: Recording) -> None:
    if part.axes != first.axes or part.shape != first.shape or part.dtype != first.dtype:
        raise ReadError(
            f"{part.path}: expected {' x '.join(map(str, first.shape))} {first.dtype} as in {first.path.name}, got "
            f"{' x '.join(map(str, part.shape))} {part.dtype}; crop or remove the file"
        )


def _agreed(path: Path, found: Sequence[Found]) -> Found:
    """Calibration of the first file, if the others say the same."""
    first = found[0]
    sizes = [item.pixel_size_um for item in found if item.pixel_size_um is not None]
    if sizes and max(sizes) - min(sizes) > 0.01 * max(sizes):
        message = CalibrationError(
            f"{path}: expected one pixel size, got {min(sizes):g} to {max(sizes):g} um in its files; "
            "give the true one with --pixel-size-um"
        )
        return Found(frame_intervals_s=first.frame_intervals_s, problem=str(message))
    return first


def _clock(keys: Sequence[tuple[int, int, int]], parts: Sequence[Recording]) -> Found:
    """Interval by the times at which the files say that they were recorded."""
    times = [part.acquired_s for key, part in zip(keys, parts, strict=True) if key[1:] == (0, 0)]
    known = [time for time in times if time is not None]
    if len(known) < 2 or len(known) != len(times):
        return Found()
    return Found.of([], [("MetaMorph clock", float(np.median(np.diff(known))))])
