"""NDTiff data sets of Micro-Manager: stacks with an index beside them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from migradetect.errors import AxesError, ReadError
from migradetect.io.micromanager import Place, of_places, with_clock
from migradetect.io.naming import natural_key
from migradetect.io.recording import Recording
from migradetect.io.tiff import DAMAGE, read_tiff_facts, tifffile_complaints
from migradetect.io.tiff_calibration import found_micromanager, found_resolution, number
from migradetect.io.tiff_checks import DTYPES, MAX_PIXELS

__all__ = ["NDTIFF_INDEX", "ndtiff_files", "ndtiff_positions", "record_ndtiff"]

#: File that makes a folder an NDTiff data set.
NDTIFF_INDEX = "NDTiff.index"
_COPY = "copy the whole folder again"
#: Larger than the index of any recording.
_MAX_INDEX = 2**29


def ndtiff_files(folder: Path) -> tuple[Path, ...]:
    """Index and stacks of an NDTiff data set."""
    return (folder / NDTIFF_INDEX, *sorted(folder.glob("*.tif"), key=lambda item: natural_key(item.name)))


def ndtiff_positions(folder: Path) -> tuple[str, ...]:
    """Name of each position; empty for a single one.

    Raises
    ------
    ReadError
        If the index is damaged.
    """
    positions = {entry[0].get("position", 0) for entry in _entries(folder)}
    names = sorted((str(position) for position in positions), key=natural_key)
    return tuple(f"pos{name}" if name.isdigit() else name for name in names) if len(names) > 1 else ()


def _entries(folder: Path) -> list[tuple[Any, ...]]:
    path = folder / NDTIFF_INDEX
    try:
        if path.stat().st_size > _MAX_INDEX:
            raise ReadError(f"{path}: expected an index of less than {_MAX_INDEX} bytes, got more; {_COPY}")
        with tifffile_complaints() as lines:
            entries = list(tifffile.read_ndtiff_index(path))
        if lines:  # the reader stops at damage and hands out what stood before it
            raise ReadError(f"{path}: expected an NDTiff index, got a damaged one ({lines[0][:200]}); {_COPY}")
    except ReadError:
        raise
    except DAMAGE as error:
        raise ReadError(f"{path}: expected an NDTiff index, got a damaged one ({error}); {_COPY}") from error
    if not entries:
        raise ReadError(f"{path}: expected planes in the NDTiff index, got none; {_COPY}")
    return entries


def record_ndtiff(folder: Path, position: int | None) -> Recording:
    """Planes of an NDTiff data set by its index.

    Parameters
    ----------
    folder : Path
        Folder with the index.
    position : int or None
        Which one, from 0, in the order of :func:`ndtiff_positions`.

    Raises
    ------
    ReadError
        If planes are missing, lie outside their file, or differ in size or type.
    AxesError
        If it has axes that are not understood.
    """
    entries = _entries(folder)
    names = sorted({str(entry[0].get("position", 0)) for entry in entries}, key=natural_key)
    if position is None and len(names) > 1:
        raise ReadError(
            f"{folder}: expected one position, got {len(names)} in one data set; find_movies lists each as a movie of "
            "its own"
        )
    wanted = names[position or 0]
    mine = [entry for entry in entries if str(entry[0].get("position", 0)) == wanted]
    odd = {axis for entry in mine for axis in entry[0]} - {"time", "channel", "z", "position"}
    if odd:
        raise AxesError(
            f"{folder}: expected the axes time, channel, z and position, got {', '.join(sorted(odd))}; export the "
            "movie as OME-TIFF"
        )
    _, _, _, width, height, pixel_type, *_ = mine[0]
    if not 0 < width * height <= MAX_PIXELS or pixel_type not in (0, 1, 3, 4, 5, 6):
        raise AxesError(
            f"{folder}: expected {', '.join(DTYPES[:2])} planes of up to {MAX_PIXELS} pixels, got {width} x {height} "
            f"of pixel type {pixel_type}; export the movie as OME-TIFF"
        )
    dtype = np.dtype("u1" if pixel_type == 0 else "<u2")
    channels = list(dict.fromkeys(str(entry[0].get("channel", 0)) for entry in mine))
    files: list[Path] = []
    places: dict[tuple[int, ...], Place] = {}
    for entry in mine:
        axes, file_name, offset, *geometry = entry
        if geometry[:3] != [width, height, pixel_type] or geometry[3] != 0:
            raise ReadError(f"{folder}: expected uncompressed planes of one size and type, got others; {_COPY}")
        file = _file_of(folder, file_name)
        if file not in files:
            files.append(file)
        if offset <= 0 or offset + width * height * dtype.itemsize > file.stat().st_size:
            raise ReadError(f"{file}: expected a plane at byte {offset}, got a shorter file (cut off); {_COPY}")
        key = (
            _whole(folder, axes.get("time", 0)),
            channels.index(str(axes.get("channel", 0))),
            _whole(folder, axes.get("z", 0)),
        )
        if key in places:
            raise ReadError(f"{folder}: expected each plane once, got T, C, Z {key} twice; {_COPY}")
        places[key] = Place(
            files.index(file), offset, _clock(file, geometry[4], geometry[5]) if key[1:] == (0, 0) else None
        )
    labels = dict(enumerate(channels)) if not all(name.isdigit() for name in channels) else {}
    recording = of_places(folder, "ndtiff", places, files, dtype, (height, width), labels)
    facts = read_tiff_facts(files[0])
    return replace(recording, found=with_clock(found_micromanager(facts), places).also(found_resolution(facts)))


def _file_of(folder: Path, name: str) -> Path:
    if name in ("", ".", "..") or re.search(r"[\\/:\x00]", name):
        raise ReadError(f"{folder}: expected files in the same folder, got '{name}' in the index; {_COPY}")
    path = folder / name
    if not path.is_file() or path.resolve().parent not in (folder.resolve(), (folder / NDTIFF_INDEX).resolve().parent):
        raise ReadError(f"{folder}: expected the file {name} in it, got none; {_COPY}")
    return path


def _whole(folder: Path, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10_000_000:
        raise ReadError(f"{folder}: expected a number for time and z in the index, got {value!r}; {_COPY}")
    return value


def _clock(path: Path, offset: int, n_bytes: int) -> float | None:
    if not 0 < n_bytes <= 2**20 or offset <= 0:
        return None
    with path.open("rb") as file:
        file.seek(offset)
        text = file.read(n_bytes)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    elapsed = number(values.get("ElapsedTime-ms")) if isinstance(values, dict) else None
    return None if elapsed is None else elapsed / 1000
