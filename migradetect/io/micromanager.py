"""Micro-Manager: stacks without OME-XML, of one file or several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from migradetect.errors import ReadError
from migradetect.io.naming import natural_key
from migradetect.io.options import Kind
from migradetect.io.recording import Found, Recording, fewer_frames, squeezed
from migradetect.io.tiff import Stack, opened, read_tiff
from migradetect.io.tiff_calibration import found_micromanager, found_resolution, number

__all__ = ["Place", "of_places", "record_micromanager", "stack_files", "with_clock"]

_COPY = "copy the whole folder again"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plane lies: number of its file, byte, and when it was recorded by the clock of the recording."""

    file: int
    offset: int
    elapsed_s: float | None = None


def stack_files(path: Path) -> tuple[Path, ...]:
    """Files of a Micro-Manager stack in order: ``x_MMStack.tif``, ``x_MMStack_1.tif`` and so on."""
    match = re.fullmatch(r"(.*MMStack.*?)(?:_\d+)?(\.tiff?)", path.name, re.IGNORECASE)
    if match is None:
        return (path,)
    name = re.compile(rf"{re.escape(match[1])}(?:_\d+)?{re.escape(match[2])}")
    found = [item for item in path.parent.iterdir() if name.fullmatch(item.name) and item.is_file()]
    return tuple(sorted(found, key=lambda item: natural_key(item.stem))) or (path,)


def record_micromanager(stack: Stack, position: int | None) -> Recording:
    """Planes of a Micro-Manager stack by the tags of its pages.

    Parameters
    ----------
    stack : Stack
        One of its files.
    position : int or None
        Which one, from 0; None where there is one only.

    Raises
    ------
    ReadError
        If planes are missing or twice there.
    """
    path = stack.facts.path
    files = stack_files(path)
    stacks = [stack if file == path else read_tiff(file) for file in files]
    places: dict[tuple[int, int, int, int], Place] = {}
    names: dict[int, str] = {}
    for number_of_file, item in enumerate(stacks):
        if (item.shape_yx, item.dtype.name) != (stack.shape_yx, stack.dtype.name):
            raise ReadError(f"{item.facts.path}: expected planes as in {path.name}, got others; {_COPY}")
        for page, offset in zip(_page_tags(item.facts.path), item.offsets, strict=True):
            key = tuple(_index(path, page, f"{axis}Index") for axis in ("Position", "Frame", "Channel", "Slice"))
            if key in places:
                raise ReadError(f"{path}: expected each plane once, got position, T, C, Z {key} twice; {_COPY}")
            elapsed = number(page.get("ElapsedTime-ms"))
            places[key] = Place(number_of_file, int(offset), None if elapsed is None else elapsed / 1000)  # type: ignore[index]
            names.setdefault(key[2], str(page.get("Channel", "")))
    positions = sorted({key[0] for key in places})
    if position is None and len(positions) > 1:
        raise ReadError(
            f"{path}: expected one position, got {len(positions)} in one stack; save each position as its own file"
        )
    mine: dict[tuple[int, ...], Place] = {
        key[1:]: place for key, place in places.items() if key[0] == positions[position or 0]
    }
    recording = of_places(path, "micromanager", mine, files, stacks[0].dtype, stack.shape_yx, names)
    raw = tuple(item.raw for item in stacks)
    planned = number(stack.facts.micromanager["Summary"].get("Frames"))
    found = with_clock(found_micromanager(stack.facts), mine).also(found_resolution(stack.facts))
    notes = fewer_frames(path, recording.size("T"), planned)
    return replace(recording, raw=raw, dtypes=tuple(item.dtype.str for item in stacks), found=found, warnings=notes)


def _page_tags(path: Path) -> list[Mapping[str, Any]]:
    with opened(path) as tif:
        pages = (tif.pages.get(index, aspage=True) for index in range(len(tif.pages)))
        tags = [page.tags.get(51123) for page in pages if not page.is_reduced]
        values = [tag.value if tag is not None else None for tag in tags]  # long values are read when asked for
    dicts: list[Mapping[str, Any]] = [value for value in values if isinstance(value, dict)]
    if len(dicts) != len(values):
        raise ReadError(f"{path}: expected Micro-Manager metadata in every page, got pages without it; {_COPY}")
    return dicts


def _index(path: Path, page: Mapping[str, Any], name: str) -> int:
    value = page.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10_000_000:
        raise ReadError(f"{path}: expected a number as {name} in the Micro-Manager tags, got {value!r}; {_COPY}")
    return value


def of_places(
    path: Path,
    kind: Kind,
    places: Mapping[tuple[int, ...], Place],
    files: Sequence[Path],
    dtype: np.dtype[Any],
    shape_yx: tuple[int, int],
    names: Mapping[int, str],
) -> Recording:
    """Recording of planes at (t, c, z); every combination must be there."""
    values = [sorted({key[axis] for key in places}) for axis in range(3)]
    sizes = tuple(len(value) for value in values)
    frames = values[0]
    gaps = sorted(set(range(frames[0], frames[-1] + 1)) - set(frames)) if frames[-1] < 10**7 else []
    missing = next(((t, c, z) for t in frames for c in values[1] for z in values[2] if (t, c, z) not in places), None)
    if gaps or missing is not None:
        what = f"frame {gaps[0]}" if gaps else f"T, C, Z {missing}"
        raise ReadError(
            f"{path}: expected {int(np.prod(sizes)) + len(gaps)} planes or frames without gaps, got {len(places)}; "
            f"missing is {what}; {_COPY}"
        )
    file_index, offsets = np.zeros(sizes, dtype=np.int32), np.zeros(sizes, dtype=np.int64)
    at = [{value: index for index, value in enumerate(items)} for items in values]
    for key, place in places.items():
        where = tuple(index[value] for index, value in zip(at, key, strict=True))
        file_index[where], offsets[where] = place.file, place.offset
    axes, shape = squeezed("TCZYX", (*sizes, *shape_yx))
    labels = tuple(names.get(channel) or None for channel in values[1])
    return Recording(
        path=path,
        kind=kind,
        axes=axes,
        shape=shape,
        dtype=dtype.name,
        files=tuple(files),
        file_index=file_index.reshape(shape[:-2]),
        offsets=offsets.reshape(shape[:-2]),
        raw=(True,) * len(files),
        dtypes=(dtype.str,) * len(files),
        channel_names=labels,
        found=Found(),
    )


def with_clock(found: Found, places: Mapping[tuple[int, ...], Place]) -> Found:
    """With the interval by the clock of the first and last frame."""
    first_c, first_z = min(key[1] for key in places), min(key[2] for key in places)
    times = {key[0]: place.elapsed_s for key, place in places.items() if key[1:] == (first_c, first_z)}
    start, end = times[min(times)], times[max(times)]
    if len(times) < 2 or start is None or end is None:
        return found
    return found.also(Found.of([], [("Micro-Manager clock", (end - start) / (max(times) - min(times)))]))
