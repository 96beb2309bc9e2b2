"""From a file or an entry of a search to a :class:`~migradetect.movie.Movie`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from migradetect.calibration import Calibration
from migradetect.errors import AxesError, MigradetectError, ReadError
from migradetect.io.calibrating import doubts, resolve_calibration
from migradetect.io.channels import assign_roles, count_roles
from migradetect.io.discovery import find_movies
from migradetect.io.foreign import FOREIGN, record_foreign
from migradetect.io.gaps import with_gaps
from migradetect.io.naming import guess_role, parse_name, safe_name, stem_of
from migradetect.io.ndtiff import record_ndtiff
from migradetect.io.ome_zarr import record_zarr
from migradetect.io.options import InputOptions, MovieEntry
from migradetect.io.recording import Recording, with_axes
from migradetect.io.sequences import record_sequence
from migradetect.io.single import record_file
from migradetect.io.source import ReaderSource, TiffSource
from migradetect.movie import Channel, Movie

__all__ = ["SCAN_COLUMNS", "input_hash", "open_movie", "scan"]

#: Columns of :func:`scan`.
SCAN_COLUMNS = (
    "movie_id",
    "path",
    "kind",
    "n_files",
    "axes",
    "shape",
    "dtype",
    "channels",
    "pixel_size_um",
    "pixel_size_source",
    "frame_interval_s",
    "frame_interval_source",
    "projection",
    "qc_flags",
    "warnings",
    "problem",
)


def open_movie(
    path_or_entry: str | Path | MovieEntry, options: InputOptions | None = None, movie_id: str | None = None
) -> Movie:
    """Open a movie without reading its planes.

    Parameters
    ----------
    path_or_entry : str, Path or MovieEntry
        A file, a folder that holds exactly one movie, or what :func:`find_movies` found.
    options : InputOptions, optional
        What the user says; by default that of the entry, or nothing.
    movie_id : str, optional
        Name of the movie; by default made of the file's name.

    Returns
    -------
    Movie
        Its source can be sent to another process and keeps no file open.

    Raises
    ------
    ReadError
        If a file is damaged, cut or missing.
    AxesError
        If it can't be told what an axis or a channel is.
    CalibrationError
        If the pixel size is missing or impossible.
    """
    entry = _as_entry(path_or_entry, options)
    recording = _record(entry)
    return with_gaps(_movie(recording, entry, movie_id or entry.movie_id), recording.frame_numbers)


def scan(entries: Sequence[MovieEntry]) -> pd.DataFrame:
    """What each movie is, and what is wrong with it, before anything is computed.

    Parameters
    ----------
    entries : sequence of MovieEntry
        From :func:`find_movies`.

    Returns
    -------
    pandas.DataFrame
        One row per movie; ``problem`` is null where the movie can be analysed. ``warnings`` has a line for each doubt.
        The columns of ``plate.csv`` and of the file-name pattern come last.
    """
    rows = [_scan_row(entry) for entry in entries]
    extra = list(dict.fromkeys(name for entry in entries for name, _ in entry.annotations))
    table = pd.DataFrame(rows, columns=[*SCAN_COLUMNS, *extra])
    for column in table.columns:
        if column in ("pixel_size_um", "frame_interval_s", "time_offset_min"):
            table[column] = table[column].astype("float64")
        elif column != "n_files":
            table[column] = table[column].astype("string")
    return table


def input_hash(entry: MovieEntry) -> str:
    """Hash (BLAKE2b, 160 bit, hexadecimal) of the content of all files of a movie; names do not count.

    Raises
    ------
    ReadError
        If a file can't be read.
    """
    digest = blake2b(digest_size=20)
    if entry.position is not None:
        digest.update(f"position {entry.position}".encode())
    for path in entry.files:
        try:
            digest.update(path.stat().st_size.to_bytes(8, "little"))
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise ReadError(
                f"{path}: expected a file that can be read, got {error.strerror or error}; check its rights"
            ) from error
    return digest.hexdigest()


def _as_entry(source: str | Path | MovieEntry, options: InputOptions | None) -> MovieEntry:
    if isinstance(source, MovieEntry):
        return source if options is None else replace(source, options=options)
    path = Path(source)
    options = options or InputOptions()
    if not path.exists():
        return MovieEntry(safe_name(stem_of(path)), path, (path,), "tiff", options)  # opening it will say so
    entries = find_movies([path], options)
    if len(entries) != 1:
        names = ", ".join(entry.movie_id for entry in entries[:5])
        raise ReadError(
            f"{path}: expected one movie, got {len(entries)} ({names}); open one of its files, or one that find_movies "
            "lists"
        )
    return entries[0]


def _record(entry: MovieEntry) -> Recording:
    """The recording with the user's axes, and a channel name out of the file name where it has one channel."""
    options = entry.options
    if entry.kind == "sequence":
        return record_sequence(entry.path, entry.files, options)
    if entry.kind == "ndtiff":
        recording = record_ndtiff(entry.path, entry.position)
    elif entry.kind == "ome-zarr":
        recording = record_zarr(entry.path, entry.position)
    elif entry.path.suffix.casefold() in FOREIGN:
        recording = record_foreign(entry.path, entry.position)
    else:
        recording = record_file(entry.path, position=entry.position)
    if options.axes is not None:
        recording = with_axes(recording, options.axes, count_roles(options.channels))
    if recording.size("C") == 1 and "?" not in recording.axes and not _tells_role(recording.channel_names):
        name = parse_name(stem_of(entry.path), options.pattern).channel_name
        if name and guess_role(name):
            recording = replace(recording, channel_names=(name,))
    return recording


def _tells_role(names: Sequence[str | None]) -> bool:
    return any(name and guess_role(name) for name in names)


@dataclass(frozen=True, slots=True)
class _Checked:
    channels: tuple[tuple[int, Channel], ...]
    calibration: Calibration


def _check(recording: Recording, options: InputOptions) -> _Checked:
    _check_axes(recording, options)
    channels = assign_roles(recording.path, recording.size("C"), recording.channel_names, options.channels)
    return _Checked(channels, resolve_calibration(recording, options))


def _check_axes(recording: Recording, options: InputOptions) -> None:
    path, axes = recording.path, recording.axes
    shape = " x ".join(map(str, recording.shape))
    if "?" in axes:
        raise AxesError(
            f"{path}: expected named axes, got {shape} without names; say what its planes are, for example --axes TYX, "
            "or --axes TCYX together with --channels tspan4,wga"
        )
    n_t, n_z = recording.size("T"), recording.size("Z")
    if n_z > 1 and options.projection is None:
        if n_t == 1:
            time_axes = axes.replace("Z", "T")
            raise AxesError(
                f"{path}: expected frames over time (T), got {n_z} slices (Z) and one time point; give --axes "
                f"{time_axes} if they are time points saved as Z, or --projection max if it is a z-stack"
            )
        raise AxesError(
            f"{path}: expected one plane per frame, got {n_z} slices (Z) in each of {n_t} frames; give --projection "
            "max (or sum), or name the axes with --axes if Z is wrong"
        )


def _movie(recording: Recording, entry: MovieEntry, movie_id: str) -> Movie:
    checked = _check(recording, entry.options)
    used = [index for index, _ in checked.channels]
    n_z = recording.size("Z")
    projection = entry.options.projection if n_z > 1 else None
    numbers = np.ascontiguousarray(recording.in_tcz(recording.offsets)[:, used])
    shape_yx = (recording.shape[-2], recording.shape[-1])
    source: TiffSource | ReaderSource
    if recording.reader is not None:
        source = ReaderSource(recording.reader, numbers, recording.dtype, shape_yx, projection)
    else:
        source = TiffSource(
            files=tuple(str(file) for file in recording.files),
            file_index=np.ascontiguousarray(recording.in_tcz(recording.file_index)[:, used]),
            offsets=numbers,
            raw=recording.raw,
            dtypes=recording.dtypes,
            shape_yx=shape_yx,
            projection=projection,
        )
    doubtful = doubts(recording, entry.options, checked.calibration)
    return Movie(
        movie_id=movie_id,
        n_frames=recording.size("T"),
        height=recording.shape[-2],
        width=recording.shape[-1],
        dtype="float32" if projection == "sum" else recording.dtype,
        channels=tuple(channel for _, channel in checked.channels),
        calibration=checked.calibration,
        source=source,
        provenance={
            "path": str(entry.path),
            "files": [file.name for file in recording.files],
            "kind": recording.kind,
            "axes": recording.axes,
            "shape": list(recording.shape),
            "dtype": recording.dtype,
            "channel_names": list(recording.channel_names),
            "projection": projection,
            "calibration_found": doubtful.found,
            "annotations": dict(entry.annotations),
            "warnings": [*entry.warnings, *recording.warnings, *doubtful.warnings],
            "qc_flags": [
                *(["not_in_plate"] if entry.warnings else []),
                *(["fewer_frames_than_planned"] if recording.warnings else []),
                *doubtful.flags,
            ],
        }
        | ({} if entry.position is None else {"position": entry.position}),
    )


def _scan_row(entry: MovieEntry) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SCAN_COLUMNS) | dict(entry.annotations)
    row |= {"movie_id": entry.movie_id, "path": str(entry.path), "kind": entry.kind, "n_files": len(entry.files)}
    row["projection"] = entry.options.projection
    row["warnings"] = "\n".join(entry.warnings) or None
    try:
        recording = _record(entry)
        found, options = recording.found, entry.options
        names = [name or f"channel {index}" for index, name in enumerate(recording.channel_names)]
        row |= {
            "axes": recording.axes,
            "shape": " x ".join(map(str, recording.shape)),
            "dtype": recording.dtype,
            "channels": ", ".join(names) or None,
            "pixel_size_um": found.pixel_size_um if options.pixel_size_um is None else options.pixel_size_um,
            "pixel_size_source": found.pixel_size_source
            if options.pixel_size_um is None
            else options.pixel_size_source,
            "frame_interval_s": found.frame_interval_s
            if options.frame_interval_s is None
            else options.frame_interval_s,
            "frame_interval_source": found.frame_interval_source
            if options.frame_interval_s is None
            else options.frame_interval_source,
        }
        movie = _movie(recording, entry, entry.movie_id)
        row["channels"] = ", ".join(
            channel.role if channel.name == channel.role else f"{channel.role} ({channel.name})"
            for channel in movie.channels
        )
        calibration = movie.calibration
        row |= {
            "frame_interval_s": calibration.frame_interval_s,
            "frame_interval_source": calibration.frame_interval_source,
            "qc_flags": ",".join(movie.provenance["qc_flags"]) or None,
            "warnings": "\n".join(movie.provenance["warnings"]) or None,
        }
    except MigradetectError as error:
        row["problem"] = str(error)
    return row
