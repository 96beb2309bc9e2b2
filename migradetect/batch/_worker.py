"""One movie, in whatever process it runs."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migradetect._version import __version__
from migradetect.batch._job import AnalyzeFunction, Event, Job, Outcome
from migradetect.batch._lock import LOCK_NAME
from migradetect.errors import CancelledError, MigradetectError, OutputError, ReadError, printable

if TYPE_CHECKING:
    from migradetect.movie import Movie
    from migradetect.results import Results

__all__ = ["INTERRUPTED", "analyze_job", "versions"]

#: What stands in the movies table for a movie that a stopped run did not finish.
INTERRUPTED = "interrupted before it was done; run the same command again to continue"
#: Frames that a warning lists by number.
_LISTED = 20
#: Libraries whose version can change the numbers.
_LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-image",
    "opencv-python-headless",
    "numba",
    "trackpy",
    "skan",
    "tifffile",
)


def analyze_job(
    job: Job, report: Callable[[Event], None] | None = None, cancel: Callable[[], bool] | None = None
) -> Outcome:
    """Analyse one movie and write its results; a failure becomes one line, never an exception.

    Parameters
    ----------
    job : Job
        The movie, and where its results go.
    report : callable, optional
        Takes an :class:`Event` at the start and at each step.
    cancel : callable, optional
        Returns True once the user asked to stop.

    Returns
    -------
    Outcome
    """
    started = time.perf_counter()
    movie_id = job.entry.movie_id
    notify = report or (lambda event: None)
    notify(Event(movie_id, "start"))
    base: dict[str, Any] = {"path": printable(str(job.entry.path)), **dict(job.entry.annotations)}
    try:
        return _analyze(job, notify, cancel, started, base)
    except CancelledError:
        return Outcome(movie_id, "skipped", INTERRUPTED, row=base)
    except MigradetectError as error:
        return Outcome(movie_id, "failed", _one_line(error), row=base)
    except Exception as error:  # noqa: BLE001 (the other movies must go on whatever happened in this one)
        return Outcome(movie_id, "failed", _reason(error, job), traceback.format_exc(), base)


def _reason(error: Exception, job: Job) -> str:
    """One line for an error that was not foreseen; the log file has the rest."""
    # OpenCV has an error of its own where memory is short
    if isinstance(error, MemoryError) or "Insufficient memory" in str(error):
        return f"{job.entry.path}: not enough memory; give fewer --workers or crop the movie"
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or job.folder
        return printable(f"{where}: {error.strerror}; details are in migradetect.log")
    return f"unexpected {type(error).__name__}: {_one_line(error)}; details are in migradetect.log"


def _analyze(
    job: Job,
    notify: Callable[[Event], None],
    cancel: Callable[[], bool] | None,
    started: float,
    base: dict[str, Any],
) -> Outcome:
    from migradetect.io import input_hash, open_movie, write_results

    if cancel is not None and cancel():
        raise CancelledError(INTERRUPTED)
    entry = job.entry
    before = _state(job)
    digest = input_hash(entry)
    identity = _identity(job, digest)
    previous = _previous(job.folder)
    if not job.force and previous is not None:
        row = _resumable(job, identity, previous)
        if row is not None:
            counts, lines = _review(job.folder)
            notes = (*map(str, previous.get("warnings", ())), *lines)
            return Outcome(entry.movie_id, "done", row=row | counts, resumed=True, input_hash=digest, warnings=notes)
    movie = open_movie(entry)
    base.update(_describe(movie))

    def step(stage: str, done: int, total: int) -> None:
        notify(Event(entry.movie_id, "step", stage, done, total))

    results = _analysis(job)(movie, job.params, progress=step, cancel=cancel)
    row = base | _counts(results)
    told = [printable(str(line)) for line in movie.provenance.get("warnings", ())] + _left_out(results)
    seconds = time.perf_counter() - started
    results.provenance.setdefault("calibration", dataclasses.asdict(movie.calibration))
    results.provenance |= identity | {
        "path": str(entry.path),
        # a review looks at the images again, from whatever folder it is started in
        "absolute_path": str(entry.path.absolute()),
        "versions": versions(),
        "warnings": told,
        "summary": row,
        "seconds": round(seconds, 3),
    }
    if cancel is not None and cancel():
        raise CancelledError(INTERRUPTED)
    if _state(job) != before:
        raise ReadError(
            f"{entry.path}: expected files that stay as they are, got a change while they were analysed; "
            "run again once the recording is complete"
        )
    if not (job.folder.parent / LOCK_NAME).exists():
        # making it anew could fill the disk below a drive that was unplugged
        raise OutputError(
            f"{job.folder.parent}: expected the output folder, got none any more; plug it in and run again"
        )
    step("write", 0, 1)
    write_results(results, job.folder, table_format=job.table_format)
    counts, lines = _review(job.folder)
    notes = (*told, *lines)
    return Outcome(entry.movie_id, "done", row=row | counts, seconds=seconds, input_hash=digest, warnings=notes)


def _state(job: Job) -> list[tuple[int, int]]:
    """Size and time of change of each input file."""
    try:
        return [(about.st_size, about.st_mtime_ns) for about in (path.stat() for path in job.entry.files)]
    except OSError:
        return []  # reading it will say what is wrong


def _analysis(job: Job) -> AnalyzeFunction:
    if job.analyze is not None:
        return job.analyze
    from migradetect.pipeline import analyze

    return analyze


def _identity(job: Job, digest: str) -> dict[str, Any]:
    """What must be equal for earlier results to be kept."""
    return {
        "input_hash": digest,
        "parameters": job.params.model_dump(mode="json"),
        "migradetect": __version__,
        "table_format": job.table_format,
        # they stand in every table; by list, as JSON gives them back
        "annotations": [list(pair) for pair in job.entry.annotations],
        # what is said about the input decides about calibration and axes; from Python it may differ from the parameters
        "options": _as_json(dataclasses.asdict(job.entry.options)),
    }


def _as_json(value: Any) -> Any:
    """As it comes back from a file."""
    return json.loads(json.dumps(value, default=str))


def _previous(folder: Path) -> dict[str, Any] | None:
    """Provenance of complete and undamaged earlier results; None where there are none."""
    from migradetect.io import is_complete

    if not is_complete(folder, verify=True):
        return None
    try:
        record = json.loads((folder / "movie.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _resumable(job: Job, identity: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any] | None:
    """Row of the movies table of results that can be kept; None where the movie is to be analysed again."""
    same_input = previous.get("input_hash") == identity["input_hash"]
    if not same_input and previous.get("path") not in (None, str(job.entry.path)):
        raise OutputError(
            f"{job.folder}: expected results of {job.entry.path}, got those of {previous['path']}; "
            "choose another --out, or replace them with --force"
        )
    row = previous.get("summary")
    if isinstance(row, dict) and all(previous.get(key) == value for key, value in identity.items()):
        return row | {"path": printable(str(job.entry.path))}
    return None


def _review(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Counts with the corrections of a review, and a line for the user; nothing where there are none."""
    from migradetect.review import review_counts, reviewers

    if not reviewers(folder):
        return {}, []
    try:
        counts = review_counts(folder)
    except MigradetectError as error:
        return {}, [f"corrections are not applied: {_one_line(error)}"]
    except Exception as error:  # noqa: BLE001 (the movie is done; what a person did to it must not make it fail)
        return {}, [f"corrections are not applied: unexpected {type(error).__name__}: {_one_line(error)}"]
    return counts.row, counts.notes


def _describe(movie: Movie) -> dict[str, Any]:
    calibration = movie.calibration
    return {
        "n_frames": movie.n_frames,
        "height_px": movie.height,
        "width_px": movie.width,
        "channels": printable(",".join(movie.roles)),
        "pixel_size_um": calibration.pixel_size_um,
        "pixel_size_source": printable(calibration.pixel_size_source),
        "frame_interval_s": calibration.frame_interval_s,
        "frame_interval_source": None if calibration.frame_interval_s is None else calibration.frame_interval_source,
    }


def _counts(results: Results) -> dict[str, Any]:
    of_frames = results.frames["qc_flags"].dropna().str.split(",").explode()
    flags = {str(flag) for flag in of_frames if flag} | set(results.provenance.get("qc_flags", ()))
    return {
        "n_cells": len(results.cell_summary),
        "n_migrasomes": len(results.tracks),
        "qc_flags": ",".join(sorted(flags)),
    }


def _left_out(results: Results) -> list[str]:
    """A line that names the frames that took no part in the analysis, and why."""
    frames = results.frames.set_index("frame")["qc_flags"]
    lost = [frame for frame in results.provenance.get("frames_left_out", ()) if frame in frames.index]
    by_flag: dict[str, list[str]] = {}
    for frame in lost:
        by_flag.setdefault(str(frames.loc[frame]), []).append(str(frame))
    notes = [f"{flag.replace(',', ' and ')}: {_some(numbers)}" for flag, numbers in by_flag.items()]
    head = f"{len(lost)} of {len(frames)} frames left out"
    return [f"{head} ({'; '.join(notes)})"] if lost else []


def _some(numbers: list[str]) -> str:
    return ", ".join(numbers[:_LISTED]) + (f" and {len(numbers) - _LISTED} more" if len(numbers) > _LISTED else "")


def versions() -> dict[str, str]:
    """Versions of migradetect, Python and the libraries that can change the numbers."""
    found = {"migradetect": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # a conda package or another build of OpenCV has another distribution name
            found[name] = "unknown"
    return found


def _one_line(error: BaseException) -> str:
    return printable(str(error)) or type(error).__name__
