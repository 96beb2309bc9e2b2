"""Outcomes of futures as they come, whatever executor they run in."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from migradetect.batch._job import Job, Outcome
from migradetect.batch._worker import INTERRUPTED

__all__ = ["DIED", "GRACE_S", "collect", "interrupted"]

#: Seconds that running movies get to stop by themselves after the user asked to stop.
GRACE_S = 2.0
_POLL_S = 0.1
DIED = (
    "the worker process died, most likely killed for want of memory; give fewer --workers, or crop the movie in "
    "space or time"
)
_LOST = "the cluster lost the movie; see the log of its scheduler, then run the same command again"
#: What dask raises for a task whose workers died several times; by name, for dask is an extra.
_KILLED = "KilledWorker"


def collect(
    futures: dict[Future[Outcome], Job],
    stop: Callable[[], object],
    drain: Callable[[], None],
    cancel: Callable[[], bool],
) -> Generator[Outcome, None, None]:
    """Outcomes as they are ready; none for a movie whose pool of local processes broke.

    Parameters
    ----------
    futures : dict of Future to Job
        What was submitted.
    stop : callable
        Asks the workers to stop.
    drain : callable
        Called often, to pass on progress.
    cancel : callable
        Returns True once the user asked to stop.

    Yields
    ------
    Outcome
        Of movies that the user stopped too.
    """
    pending = set(futures)
    deadline: float | None = None
    while pending:
        ready, pending = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        drain()
        for future in ready:
            if future.cancelled() or not isinstance(future.exception(), BrokenProcessPool):
                yield _result(future, futures[future])
        if deadline is None and cancel():
            stop()
            deadline = time.monotonic() + GRACE_S
            for future in list(pending):
                if future.cancel():
                    pending.discard(future)
                    yield interrupted(futures[future])
        if deadline is not None and time.monotonic() > deadline:
            yield from (interrupted(futures[future]) for future in pending)
            return


def _result(future: Future[Outcome], job: Job) -> Outcome:
    row = {"path": str(job.entry.path)}
    # nobody here cancelled it: those that we cancel are not looked at again
    if future.cancelled():
        return Outcome(job.entry.movie_id, "failed", _LOST, row=row)
    error = future.exception()
    if error is None:
        return future.result()
    if type(error).__name__ == _KILLED:
        return Outcome(job.entry.movie_id, "failed", DIED, row=row)
    if type(error).__name__ == "FutureCancelledError":
        return Outcome(job.entry.movie_id, "failed", _LOST, row=row)
    # analyze_job never raises: this is a job or an outcome that does not pickle, or an executor that failed
    message = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    return Outcome(job.entry.movie_id, "failed", message, row=row)


def interrupted(job: Job) -> Outcome:
    """Outcome of a movie that the user stopped."""
    return Outcome(job.entry.movie_id, "skipped", INTERRUPTED, row={"path": str(job.entry.path)})
