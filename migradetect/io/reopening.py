"""The movie that results were made of, found again by what ``movie.json`` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from migradetect.errors import ReadError
from migradetect.io.discovery import find_movies
from migradetect.io.opening import open_movie
from migradetect.io.options import InputOptions, MovieEntry
from migradetect.movie import Movie

__all__ = ["check_same_recording", "reopen_movie"]


def reopen_movie(provenance: Mapping[str, Any], folder: Path, movie_id: str) -> Movie:
    """Open the movie that results were made of.

    Parameters
    ----------
    provenance : mapping
        Content of ``movie.json``.
    folder : Path
        Folder of the results: a relative path of the movie is also looked for from the folders above it.
    movie_id : str
        Name of the movie.

    Returns
    -------
    Movie

    Raises
    ------
    ReadError
        If it is no longer there, or is another one by its number of frames or their size.
    """
    source = provenance.get("input") or {}
    names = [provenance.get("absolute_path"), source.get("path"), provenance.get("path")]
    path = next((path for path in _places(names, folder) if path.exists()), None)
    if path is None:
        shown = next((str(name) for name in names if name), "movie.json")
        raise ReadError(f"{shown}: expected the movie there, got nothing; put it back")
    options = _options(provenance)
    entry = _entry(path, options, source, movie_id)
    movie = open_movie(entry, options, movie_id) if isinstance(entry, Path) else open_movie(entry, movie_id=movie_id)
    shape = tuple(provenance.get("shape_yx") or movie.shape_yx)
    check_same_recording(movie, int(provenance.get("n_frames") or movie.n_frames), shape)
    return movie


def check_same_recording(movie: Movie, n_frames: int, shape_yx: tuple[int, ...]) -> None:
    """Refuse a movie that is not the one that results were made of.

    Parameters
    ----------
    movie : Movie
        As opened now.
    n_frames : int
        Frames, T, of the results.
    shape_yx : tuple of int
        Rows and columns of the results.

    Raises
    ------
    ReadError
        If the number of frames or their size differs.
    """
    if movie.shape_yx != tuple(shape_yx) or movie.n_frames != n_frames:
        raise ReadError(
            f"{movie.provenance.get('path', movie.movie_id)}: expected {n_frames} frames of {tuple(shape_yx)}, got "
            f"{movie.n_frames} of {movie.shape_yx}; this is another recording"
        )


def _places(names: Iterable[Any], folder: Path) -> list[Path]:
    found = [Path(str(name)) for name in dict.fromkeys(names) if name]
    # results that were moved together with the movies
    return found + [up / path for path in found if not path.is_absolute() for up in folder.resolve().parents[:3]]


def _options(provenance: Mapping[str, Any]) -> InputOptions:
    known = {field.name for field in fields(InputOptions)}
    given = {
        key: value for key, value in (provenance.get("options") or {}).items() if key in known and value is not None
    }
    if isinstance(given.get("channels"), list):
        given["channels"] = tuple(given["channels"])
    # calibrations were settled when the movie was analysed, and a plate says nothing about pixels
    calibration = provenance.get("calibration") or {}
    given |= {key: calibration[key] for key in ("pixel_size_um", "frame_interval_s") if calibration.get(key)}
    given.pop("plate", None)
    return InputOptions(**given)


def _entry(path: Path, options: InputOptions, source: Mapping[str, Any], movie_id: str) -> MovieEntry | Path:
    entries = find_movies([path], options)
    files = set(source.get("files") or ())
    fits = [e for e in entries if e.position == source.get("position") and {file.name for file in e.files} == files]
    named = [entry for entry in fits or entries if entry.movie_id == movie_id]
    chosen = named or fits or list(entries)
    return chosen[0] if chosen else path
