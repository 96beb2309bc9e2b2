"""Run a batch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from migradetect.batch._executor import run_in_executor
from migradetect.batch._job import AnalyzeFunction, Event, Job, Outcome, TableFormat
from migradetect.batch._lock import LOCK_NAME, OutputLock
from migradetect.batch._log import LOG_NAME, log_file
from migradetect.batch._pool import run_in_pool
from migradetect.batch._resources import plan_workers
from migradetect.batch._shards import Division, shard_folder
from migradetect.batch._worker import INTERRUPTED, analyze_job
from migradetect.errors import NoMoviesError, OutputError, printable

if TYPE_CHECKING:
    import pandas as pd

    from migradetect.batch._record import BatchRecord
    from migradetect.io import MovieEntry
    from migradetect.params import Params

__all__ = ["BatchSummary", "refuse_foreign", "run_batch"]

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


def run_batch(
    entries: Sequence[MovieEntry],
    out: Path | str,
    params: Params,
    *,
    shard: Division | None = None,
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
    shard : Division, optional
        Analyse this part of the entries only, into a folder of its own below `out`;
        :func:`migradetect.batch.merge_shards` puts all parts together.
    workers : int or "auto"
        Processes; 0 analyses in this process, for debugging; "auto" is what cores, movies and free memory allow.
    executor : concurrent.futures.Executor, optional
        Analyses the movies instead of own processes; for example ``dask.distributed.Client().get_executor()``. Input
        and output must be in reach of its workers, under the same paths.
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
    if shard is not None:
        entries, out = shard.entries, shard_folder(out, shard.index, shard.count)
    refuse_foreign(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{out}: expected a folder that can be written, got {reason}; choose another --out"
        ) from error
    from migradetect.batch._record import BatchRecord

    report = progress or (lambda event: None)
    cancel = cancel or (lambda: False)
    jobs = [Job(entry, out / entry.movie_id, params, force, table_format, analyze) for entry in entries]
    with OutputLock(out), log_file(out / LOG_NAME), contextlib.ExitStack() as at_end:
        _remove_remains(out, jobs)
        # and those of workers that died in this run, or were ended
        at_end.callback(_remove_remains, out, jobs)
        _log.info("run of %d movies: %s", len(jobs), command or "from Python")
        stream = _stream(jobs, workers, executor, report, cancel)
        more = {} if shard is None else {"shard": shard.record()}
        record = BatchRecord(out, params, table_format, command, more)
        return _record(record, out, jobs, stream, report)


def _stream(
    jobs: Sequence[Job],
    workers: int | Literal["auto"],
    executor: Executor | None,
    report: Callable[[Event], None],
    cancel: Callable[[], bool],
) -> Generator[Outcome, None, None]:
    """Outcomes of the movies, wherever they are analysed."""
    if not jobs:  # a shard may have no movie
        return _run_here((), report, cancel)
    if executor is not None:
        return run_in_executor(jobs, executor, report, cancel)
    if workers == 0:
        return _run_here(jobs, report, cancel)
    if workers == "auto":
        plan = plan_workers([job.entry for job in jobs])
        _log.info("%d workers: %s", plan.workers, plan)
        workers = plan.cores_used
    # one level of parallelism: movies, or where there are fewer of them than cores, frames
    threads = max(1, workers // len(jobs))
    return run_in_pool([replace(job, threads=threads) for job in jobs], workers, report, cancel)


def _remove_remains(out: Path, jobs: Sequence[Job]) -> None:
    """Clear up after a run that was killed; nobody else writes here under the lock."""
    from migradetect.io import recover

    with contextlib.suppress(OSError):  # read-only, or gone: each movie will say so
        for path in (*(job.folder for job in jobs), *(out / name for name in RECORD_NAMES)):
            recover(path)


def refuse_foreign(out: Path) -> None:
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
    record: BatchRecord,
    out: Path,
    jobs: Sequence[Job],
    stream: Generator[Outcome, None, None],
    report: Callable[[Event], None],
) -> BatchSummary:
    order = [job.entry.movie_id for job in jobs]
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
