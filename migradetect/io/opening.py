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
from migradetect.errors import AxesError, CalibrationError, MigradetectError, ReadError
from migradetect.io.channels import assign_roles, count_roles
from migradetect.io.discovery import find_movies, kind_of
from migradetect.io.gaps import with_gaps
from migradetect.io.naming import guess_role, parse_name, safe_name, stem_of
from migradetect.io.options import InputOptions, MovieEntry
from migradetect.io.recording import Recording, with_axes
from migradetect.io.sequences import record_sequence
from migradetect.io.single import companions, record_file
from migradetect.io.source import TiffSource
from migradetect.movie import Channel, Movie

__all__ = ["input_hash", "open_movie", "scan"]

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
        One row per movie; ``problem`` is null where the movie can be analysed.
    """
    rows = [_scan_row(entry) for entry in entries]
    table = pd.DataFrame(rows, columns=list(SCAN_COLUMNS))
    for column in SCAN_COLUMNS:
        if column in ("pixel_size_um", "frame_interval_s"):
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
        return (
            source if options is None else MovieEntry(source.movie_id, source.path, source.files, source.kind, options)
        )
    path = Path(source)
    options = options or InputOptions()
    if path.is_dir():
        entries = find_movies([path], options)
        if len(entries) != 1:
            names = ", ".join(entry.movie_id for entry in entries[:5])
            raise ReadError(f"{path}: expected one movie, got {len(entries)} ({names}); open one of its files")
        return entries[0]
    kind = kind_of(path) or "tiff"
    try:
        files = companions(path)
    except MigradetectError:
        files = (path,)  # opening it will say what is wrong
    return MovieEntry(safe_name(stem_of(path)), path, files, kind, options)


def _record(entry: MovieEntry) -> Recording:
    """The recording with the user's axes, and a channel name out of the file name where it has one channel."""
    options = entry.options
    if entry.kind == "sequence":
        return record_sequence(entry.path, entry.files, options)
    recording = record_file(entry.path)
    if options.axes is not None:
        recording = with_axes(recording, options.axes, count_roles(options.channels))
    if recording.size("C") == 1 and not any(recording.channel_names) and "?" not in recording.axes:
        name = parse_name(stem_of(entry.path), options.pattern).channel_name
        if name and guess_role(name):
            recording = replace(recording, channel_names=(name,))
    return recording


@dataclass(frozen=True, slots=True)
class _Checked:
    channels: tuple[tuple[int, Channel], ...]
    calibration: Calibration


def _check(recording: Recording, options: InputOptions) -> _Checked:
    _check_axes(recording, options)
    channels = assign_roles(recording.path, recording.size("C"), recording.channel_names, options.channels)
    return _Checked(channels, _calibration(recording, options))


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


def _calibration(recording: Recording, options: InputOptions) -> Calibration:
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


def _movie(recording: Recording, entry: MovieEntry, movie_id: str) -> Movie:
    checked = _check(recording, entry.options)
    used = [index for index, _ in checked.channels]
    n_z = recording.size("Z")
    projection = entry.options.projection if n_z > 1 else None
    source = TiffSource(
        files=tuple(str(file) for file in recording.files),
        file_index=np.ascontiguousarray(recording.in_tcz(recording.file_index)[:, used]),
        offsets=np.ascontiguousarray(recording.in_tcz(recording.offsets)[:, used]),
        raw=recording.raw,
        dtypes=recording.dtypes,
        shape_yx=(recording.shape[-2], recording.shape[-1]),
        projection=projection,
    )
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
        },
    )


def _scan_row(entry: MovieEntry) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SCAN_COLUMNS)
    row |= {"movie_id": entry.movie_id, "path": str(entry.path), "kind": entry.kind, "n_files": len(entry.files)}
    row["projection"] = entry.options.projection
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
        }
    except MigradetectError as error:
        row["problem"] = str(error)
    return row
