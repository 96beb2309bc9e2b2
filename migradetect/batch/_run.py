"""Run a batch."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from migradetect.batch._job import AnalyzeFunction, Event, Job, Outcome, TableFormat
from migradetect.batch._lock import LOCK_NAME, OutputLock
from migradetect.batch._log import LOG_NAME, log_file
from migradetect.batch._pool import run_in_executor, run_in_pool
from migradetect.batch._worker import INTERRUPTED, analyze_job
from migradetect.errors import NoMoviesError, OutputError, printable

if TYPE_CHECKING:
    import pandas as pd

    from migradetect.io import MovieEntry
    from migradetect.params import Params

__all__ = ["BatchSummary", "auto_workers", "run_batch"]

#: Files of the run as a whole.
RECORD_NAMES = ("run.json", "movies.parquet", "movies.csv")
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
    problem : str or None
        Why the movies table or ``run.json`` could not be written at the end; None where they are complete.
    """

    outcomes: tuple[Outcome, ...]
    movies: pd.DataFrame
    out: Path
    interrupted: bool = False
    problem: str | None = None

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

    Complete and undamaged results of the same input, parameters and version are kept. After every movie the movies
    table and ``run.json`` are complete on disk; where they can't be written the run goes on and tries again.

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
        If the output folder can't be written, another run is writing into it, or it holds tables of something else.
    """
    if not entries:
        raise NoMoviesError("expected at least one movie, got none; `migradetect scan` shows what is found")
    out = Path(out)
    _refuse_foreign(out)
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
    with OutputLock(out), log_file(out / LOG_NAME), contextlib.ExitStack() as at_end:
        _remove_remains(jobs)
        # and those of workers that died in this run, or were ended
        at_end.callback(_remove_remains, jobs)
        _log.info("run of %d movies: %s", len(jobs), command or "from Python")
        if executor is not None:
            stream = run_in_executor(jobs, executor, cancel)
        elif workers == 0:
            stream = _run_here(jobs, report, cancel)
        else:
            stream = run_in_pool(jobs, auto_workers(len(jobs)) if workers == "auto" else workers, report, cancel)
        return _record(jobs, stream, report, command)


def _remove_remains(jobs: Sequence[Job]) -> None:
    """Clear up after a run that was killed; nobody else writes here under the lock."""
    from migradetect.io import recover

    out = jobs[0].folder.parent
    with contextlib.suppress(OSError):  # read-only, or gone: each movie will say so
        for path in (*(job.folder for job in jobs), *(out / name for name in RECORD_NAMES)):
            recover(path)


def _refuse_foreign(out: Path) -> None:
    """Never write over tables of somebody else: an output folder is known by its lock, or by its record."""
    from migradetect.batch._record import is_record

    if (out / LOCK_NAME).exists() or is_record(out / "run.json"):
        return
    for name in RECORD_NAMES:
        if (out / name).exists():
            raise OutputError(
                f"{out}: expected a new folder or one of `migradetect run`, got one with {name} of something else; "
                "choose another --out"
            )


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
    record.expect({job.entry.movie_id: printable(str(job.entry.path)) for job in jobs})
    record.write()
    outcomes: dict[str, Outcome] = {}
    with contextlib.closing(stream):
        for outcome in stream:
            outcomes[outcome.movie_id] = outcome
            record.add(outcome)
            _write_log(outcome)
            report(Event(outcome.movie_id, "end", outcome=outcome))
    interrupted = any(outcome.error == INTERRUPTED for outcome in outcomes.values())
    problem = record.finish("interrupted" if interrupted else "finished")
    return BatchSummary(tuple(outcomes[movie_id] for movie_id in order), record.movies(), out, interrupted, problem)


def _write_log(outcome: Outcome) -> None:
    if outcome.status == "done":
        _log.info(
            "%s: done%s", outcome.movie_id, " earlier, kept" if outcome.resumed else f" in {outcome.seconds:.1f} s"
        )
    else:
        _log.error("%s: %s: %s", outcome.movie_id, outcome.status, outcome.error)
    for line in outcome.warnings:
        _log.warning("%s: %s", outcome.movie_id, line)
    if outcome.traceback:
        _log.error("%s:\n%s", outcome.movie_id, outcome.traceback)
