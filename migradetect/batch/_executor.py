"""Movies in somebody else's executor, such as that of a dask cluster."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future

from migradetect._version import __version__
from migradetect.batch._channel import RunChannel
from migradetect.batch._collect import collect
from migradetect.batch._job import Event, Job, Outcome
from migradetect.batch._threads import limit_threads
from migradetect.batch._worker import analyze_job
from migradetect.errors import printable

__all__ = ["run_in_executor"]

#: One movie at a time in a process: a worker with several threads would mix up libraries that count in global variables
#: (trackpy), and need several times the memory.
_one_at_a_time = threading.Lock()


def run_in_executor(
    jobs: Sequence[Job], executor: Executor, report: Callable[[Event], None], cancel: Callable[[], bool]
) -> Generator[Outcome, None, None]:
    """Analyse movies in an executor, the workers of which see the input and the output folder under the same paths.

    Parameters
    ----------
    jobs : sequence of Job
        Movies.
    executor : concurrent.futures.Executor
        Where they are analysed; whether a lost worker's movies are run again is its affair (dask does).
    report : callable
        Takes an :class:`Event`; called in this thread.
    cancel : callable
        Returns True once the user asked to stop. Movies that run then end at their next frame and write nothing; they
        are not waited for longer than some seconds.

    Yields
    ------
    Outcome
        One per job.
    """
    channel = RunChannel.create(jobs[0].folder.parent)
    here = _process()
    futures: dict[Future[Outcome], Job] = {}

    def drain() -> None:
        for event in channel.poll():
            report(event)

    try:
        for job in jobs:
            futures[executor.submit(_run_remote, _absolute(job), channel, __version__, here)] = job
        given = {job.entry.movie_id: printable(str(job.entry.path)) for job in jobs}
        for outcome in collect(futures, channel.close, drain, cancel):
            # in the table as the user gave it, whatever the worker called it
            yield dataclasses.replace(outcome, row=outcome.row | {"path": given[outcome.movie_id]})
    finally:
        channel.close()
        for future in futures:
            future.cancel()


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _absolute(job: Job) -> Job:
    """A worker has another working folder."""
    entry = job.entry
    entry = dataclasses.replace(entry, path=entry.path.absolute(), files=tuple(path.absolute() for path in entry.files))
    return dataclasses.replace(job, entry=entry, folder=job.folder.absolute())


def _run_remote(job: Job, channel: RunChannel, version: str, home: str) -> Outcome:
    """One movie, in a worker."""
    movie_id = job.entry.movie_id
    if version != __version__:
        return Outcome(
            movie_id,
            "failed",
            f"worker {socket.gethostname()}: expected migradetect {version}, got {__version__}; install the same "
            "version on all computers",
            row={"path": str(job.entry.path)},
        )
    if _process() != home:
        limit_threads()
    with _one_at_a_time:
        return analyze_job(job, channel.post, channel.is_closed)
