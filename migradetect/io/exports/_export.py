"""Export of a batch: each movie, or all together, in one format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from migradetect.errors import CancelledError, MigradetectError, NoMoviesError, ParamsError, nearest_name
from migradetect.io.batch_results import BatchResults
from migradetect.io.exports._job import MovieJob
from migradetect.io.exports._target import Target
from migradetect.io.reopening import reopen_movie
from migradetect.results import MOVIE_TABLES, Results

__all__ = ["FORMATS", "ExportReport", "export_each", "export_results"]

#: What can be written, and what for.
FORMATS: Final = MappingProxyType(
    {
        "geff": "tracks as graphs, with label images; for tools that read GEFF",
        "ome-zarr": "image and labels as OME-Zarr",
        "imagej": "regions of interest for ImageJ and Fiji, each at its frame",
        "trackmate": "tracks for TrackMate 7 and 8",
        "csv": "all tables with semicolons and decimal commas",
        "xlsx": "all tables as one Excel workbook",
        "napari": "points, tracks and labels that napari opens",
    }
)
#: Formats that take all movies together.
_WHOLE = {"csv": "_csv", "xlsx": "_xlsx"}
_EACH = {"geff": "_geff", "ome-zarr": "_ome_zarr", "imagej": "_imagej", "trackmate": "_trackmate", "napari": "_napari"}
#: Formats that hold, or refer to, the recording.
_WITH_MOVIE = ("ome-zarr", "trackmate")
OME_ZARR_VERSIONS = ("0.4", "0.5")

Progress = Callable[[int, int, str], None]
#: From a movie, where to write, and what to say of it in ``export.json`` to the files that were written.
Writer = Callable[..., list[Path]]


@dataclass
class ExportReport:
    """What an export wrote.

    Parameters
    ----------
    paths : list of Path
        Files and folders, in order.
    reviewed_movies : list of str
        Movies whose corrections are in them.
    notes : list of str
        Lines for the user.
    """

    paths: list[Path] = field(default_factory=list)
    reviewed_movies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def export_results(
    results: BatchResults,
    to: str,
    out: str | Path | None = None,
    *,
    movies: Sequence[str] = (),
    ome_zarr_version: str = "0.4",
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write results in the format of another program.

    Parameters
    ----------
    results : BatchResults
        What ``migradetect.load`` gives: with the corrections of a review where there are some.
    to : str
        One of :data:`FORMATS`.
    out : str or Path, optional
        Folder to write into; default: ``exports/<format>`` in the folder of the results.
    movies : sequence of str
        Names of movies; default: all.
    ome_zarr_version : {"0.4", "0.5"}
        Version of OME-Zarr that ``ome-zarr`` writes.
    progress : callable, optional
        Takes number done, number in all, and the name of what comes.
    cancel : callable, optional
        Whether to stop.

    Returns
    -------
    ExportReport

    Raises
    ------
    ParamsError
        If there is no such format or version.
    NoMoviesError
        If there is no such movie, or none at all.
    OutputError
        If the place can't be written, holds something else, or a library is not installed.
    CancelledError
        If it was stopped; what is complete by then stays.

    Examples
    --------
    >>> import migradetect
    >>> from migradetect.io import export_results
    >>> export_results(migradetect.load("OUT"), "geff").paths  # doctest: +SKIP
    """
    if to not in FORMATS:
        raise ParamsError(f"--to: expected one of {', '.join(FORMATS)}, got '{to}'{nearest_name(to, FORMATS)}")
    if ome_zarr_version not in OME_ZARR_VERSIONS:
        raise ParamsError(f"--ome-zarr-version: expected 0.4 or 0.5, got '{ome_zarr_version}'")
    writer: Any = import_module(f"migradetect.io.exports.{(_WHOLE | _EACH)[to]}")
    if to in _EACH:
        options = {"version": ome_zarr_version} if to == "ome-zarr" else {}
        write = partial(writer.write, **options)
        return export_each(results, to, write, out, movies=movies, progress=progress, cancel=cancel)
    chosen = _chosen(results, movies)
    report = ExportReport()
    step = progress or (lambda done, total, name: None)
    _export_whole(writer, results, chosen, _target(results, to, out), report, step, cancel or (lambda: False))
    step(1, 1, "")
    return report


def export_each(
    results: BatchResults,
    to: str,
    write: Writer,
    out: str | Path | None = None,
    *,
    movies: Sequence[str] = (),
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write each movie by itself; all else is as in :func:`export_results`.

    Parameters
    ----------
    results, to, out, movies, progress, cancel
        As in :func:`export_results`.
    write : callable
        Takes a :class:`MovieJob`, the :class:`Target` and what the list of the target says of it; gives paths.

    Returns
    -------
    ExportReport
    """
    chosen = _chosen(results, movies)
    target = _target(results, to, out)
    report = ExportReport()
    step = progress or (lambda done, total, name: None)
    for number, movie_id in enumerate(chosen):
        step(number, len(chosen), movie_id)
        job = _job(results, movie_id, to, cancel or (lambda: False))
        about = _about(to, job.results, report)
        report.paths += write(job, target, about)
        report.notes += [f"{movie_id}: {note}" for note in job.notes]
    step(1, 1, "")
    return report


def _target(results: BatchResults, to: str, out: str | Path | None) -> Target:
    return Target(Path(out) if out is not None else results.folder / "exports" / to)


def _chosen(results: BatchResults, movies: Sequence[str]) -> tuple[str, ...]:
    known = results.movie_ids
    for name in movies:
        if name not in known:
            raise NoMoviesError(
                f"{results.folder}: expected one of the movies {', '.join(known) or '(none)'}, got '{name}'"
                f"{nearest_name(name, known)}"
            )
    if not known:
        raise NoMoviesError(f"{results.folder}: expected at least one complete movie, got none; run it again")
    return tuple(dict.fromkeys(movies)) or known


def _job(results: BatchResults, movie_id: str, to: str, stop: Callable[[], bool]) -> MovieJob:
    found = results.movie(movie_id)
    job = MovieJob(found, None, stop)
    job.check()
    if to in _WITH_MOVIE:
        try:
            job.movie = reopen_movie(found.provenance, results.movie_folders[movie_id], movie_id)
        except MigradetectError as error:
            job.notes.append(f"exported without the recording: {error}")
    return job


def _about(to: str, results: Results, report: ExportReport) -> dict[str, Any]:
    review = results.provenance.get("review")
    if review and review["n_edits"]:
        report.reviewed_movies.append(results.movie_id)
    return {"format": to, "movie_id": results.movie_id, "state": _state(review)}


def _state(review: dict[str, Any] | None) -> dict[str, Any]:
    if not review or not review["n_edits"]:
        return {"reviewed": False}
    return {"reviewed": True} | {key: review[key] for key in ("reviewer", "log", "n_edits", "n_orphans")}


def _export_whole(
    writer: Any,
    results: BatchResults,
    chosen: Iterable[str],
    target: Target,
    report: ExportReport,
    step: Progress,
    stop: Callable[[], bool],
) -> None:
    chosen = list(chosen)
    states = {}
    for number, movie_id in enumerate(chosen):
        step(number, len(chosen), movie_id)
        if stop():
            raise CancelledError("export: interrupted")
        about = _about("", results.movie(movie_id), report)
        states[movie_id] = about["state"]
    # failed movies belong to the list of movies, unless some were picked
    tables = {"movies": _movies(results, chosen)}
    for name in MOVIE_TABLES:
        table = results.table(name)
        tables[name] = table[table["movie_id"].isin(chosen)].reset_index(drop=True)
    report.paths += writer.write(tables, target, states, step, stop)


def _movies(results: BatchResults, chosen: Sequence[str]) -> pd.DataFrame:
    table = results.movies.copy()
    if set(chosen) != set(results.movie_ids):
        table = table[table["movie_id"].isin(chosen)].reset_index(drop=True)
    # a review may be younger than the table of the run
    for column, name in (("n_cells", "cell_summary"), ("n_migrasomes", "tracks")):
        counts = results.table(name)["movie_id"].value_counts()
        done = table["movie_id"].isin(results.movie_ids)
        table.loc[done, column] = table.loc[done, "movie_id"].map(counts).fillna(0).astype("Int64")
    return table
