"""Run a batch."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from migradetect.batch._job import AnalyzeFunction, Event, Job, Outcome, TableFormat
from migradetect.batch._lock import OutputLock
from migradetect.batch._pool import run_in_executor, run_in_pool
from migradetect.batch._worker import INTERRUPTED, analyze_job
from migradetect.errors import NoMoviesError, OutputError

if TYPE_CHECKING:
    import pandas as pd

    from migradetect.io import MovieEntry
    from migradetect.params import Params

__all__ = ["LOG_NAME", "BatchSummary", "auto_workers", "run_batch"]

#: Log file of a run, in the output folder.
LOG_NAME = "migradetect.log"
_log = logging.getLogger("migradetect.batch")


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """How a batch ended.

    Parameters
    ----------
    outcomes : tuple of Outcome
        One per movie of this run, in the order of the entries.
    movies : pandas.DataFrame
        The movies table, with the rows of earlier runs into the same folder.
    out : Path
        Output folder.
    interrupted : bool
        The user asked to stop.
    """

    outcomes: tuple[Outcome, ...]
    movies: pd.DataFrame
    out: Path
    interrupted: bool = False

    def count(self, status: str) -> int:
        """Number of movies of this run that ended with a status."""
        return sum(outcome.status == status for outcome in self.outcomes)


def auto_workers(n_movies: int) -> int:
    """Processes that suit this computer: one per core it may use, and no more than movies."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows and macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, n_movies))


def run_batch(
    entries: Sequence[MovieEntry],
    out: Path | str,
    params: Params,
    *,
    workers: int | Literal["auto"] = "auto",
    executor: Executor | None = None,
    force: bool = False,
    table_format: TableFormat = "both",
    progress: Callable[[Event], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    command: str | None = None,
    analyze: AnalyzeFunction | None = None,
) -> BatchSummary:
    """Analyse many movies; a movie that fails does not stop the others.

    Complete results of the same input, parameters and version are kept. After every movie the movies table and
    ``run.json`` are complete on disk.

    Parameters
    ----------
    entries : sequence of MovieEntry
        Movies, as found by :func:`migradetect.io.find_movies`.
    out : path
        Output folder; made where absent.
    params : Params
        Parameters for every movie.
    workers : int or "auto"
        Processes; 0 analyses in this process, for debugging.
    executor : concurrent.futures.Executor, optional
        Analyses the movies instead of own processes; for example ``dask.distributed.Client().get_executor()``. The
        output folder must be in reach of its workers.
    force : bool
        Analyse again what is complete.
    table_format : {"both", "parquet", "csv"}
        Files per table.
    progress : callable, optional
        Takes an :class:`Event`; called in this thread.
    cancel : callable, optional
        Returns True once the user asked to stop; the batch then ends within seconds.
    command : str, optional
        Command line, for the record.
    analyze : callable, optional
        What analyses a movie, instead of :func:`migradetect.analyze`.

    Returns
    -------
    BatchSummary

    Raises
    ------
    NoMoviesError
        If there are no entries.
    OutputError
        If the output folder can't be written, or another run is writing into it.
    """
    if not entries:
        raise NoMoviesError("expected at least one movie, got none; `migradetect scan` shows what is found")
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{out}: expected a folder that can be written, got {reason}; choose another --out"
        ) from error
    report = progress or (lambda event: None)
    cancel = cancel or (lambda: False)
    jobs = [Job(entry, out / entry.movie_id, params, force, table_format, analyze) for entry in entries]
    with OutputLock(out), _log_file(out / LOG_NAME):
        _remove_remains(jobs)
        _log.info("run of %d movies: %s", len(jobs), command or "from Python")
        if executor is not None:
            stream = run_in_executor(jobs, executor, cancel)
        elif workers == 0:
            stream = _run_here(jobs, report, cancel)
        else:
            stream = run_in_pool(jobs, auto_workers(len(jobs)) if workers == "auto" else workers, report, cancel)
        return _record(jobs, stream, report, command)


def _remove_remains(jobs: Sequence[Job]) -> None:
    """Delete the hidden half-written folders of a run that was killed; nobody else writes here under the lock."""
    for job in jobs:
        for remains in job.folder.parent.glob(f".{glob.escape(job.folder.name)}.*.part"):
            shutil.rmtree(remains, ignore_errors=True)


def _run_here(
    jobs: Sequence[Job], report: Callable[[Event], None], cancel: Callable[[], bool]
) -> Generator[Outcome, None, None]:
    for job in jobs:
        yield analyze_job(job, report, cancel)


def _record(
    jobs: Sequence[Job], stream: Generator[Outcome, None, None], report: Callable[[Event], None], command: str | None
) -> BatchSummary:
    from migradetect.batch._record import BatchRecord

    out = jobs[0].folder.parent
    order = [job.entry.movie_id for job in jobs]
    record = BatchRecord(out, jobs[0].params, jobs[0].table_format, command)
    record.keep(order)
    record.expect({job.entry.movie_id: str(job.entry.path) for job in jobs})
    record.write()
    outcomes: dict[str, Outcome] = {}
    with contextlib.closing(stream):
        for outcome in stream:
            outcomes[outcome.movie_id] = outcome
            record.add(outcome)
            _write_log(outcome)
            report(Event(outcome.movie_id, "end", outcome=outcome))
    interrupted = any(outcome.error == INTERRUPTED for outcome in outcomes.values())
    record.finish("interrupted" if interrupted else "finished")
    return BatchSummary(tuple(outcomes[movie_id] for movie_id in order), record.movies(), out, interrupted)


def _write_log(outcome: Outcome) -> None:
    if outcome.status == "done":
        _log.info(
            "%s: done%s", outcome.movie_id, " earlier, kept" if outcome.resumed else f" in {outcome.seconds:.1f} s"
        )
    else:
        _log.error("%s: %s: %s", outcome.movie_id, outcome.status, outcome.error)
    if outcome.traceback:
        _log.error("%s:\n%s", outcome.movie_id, outcome.traceback)


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Log of the package and of Python warnings goes to a file while a run lasts."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", delay=False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: expected a file that can be written, got {reason}; choose another --out") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger, warned = logging.getLogger("migradetect"), logging.getLogger("py.warnings")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    # the console belongs to the progress display; an application that wants the log reads the file
    logger.propagate = False
    logger.addHandler(handler)
    warned.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        warned.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.close()
