"""A pool of spawned processes that stops within seconds and survives the death of a worker."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import logging.handlers
import multiprocessing
import os
import queue as queues
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from migradetect.batch._collect import DIED, GRACE_S, collect, interrupted
from migradetect.batch._job import Event, Job, Outcome
from migradetect.batch._threads import limit_threads
from migradetect.batch._worker import analyze_job
from migradetect.memory import keep_memory

__all__ = ["run_in_pool"]

_LEAVE_S = 0.3
_PR_SET_PDEATHSIG = 1

# set once in each worker process
_reports: Any = None
_stop: Any = None


def run_in_pool(
    jobs: Sequence[Job], workers: int, report: Callable[[Event], None], cancel: Callable[[], bool]
) -> Generator[Outcome, None, None]:
    """Analyse movies in spawned processes; outcomes come as they are ready.

    Parameters
    ----------
    jobs : sequence of Job
        Movies.
    workers : int
        Number of processes.
    report : callable
        Takes an :class:`Event`; called in this thread.
    cancel : callable
        Returns True once the user asked to stop.

    Yields
    ------
    Outcome
        One per job.
    """
    waiting = {job.entry.movie_id: job for job in jobs}
    while waiting:
        started: set[str] = set()
        for outcome in _one_pool(list(waiting.values()), workers, report, cancel, started):
            del waiting[outcome.movie_id]
            yield outcome
        # What remains was lost with a pool whose worker died. The movies it was at are the suspects: each is tried once
        # more by itself, so that one movie that is too large can't take the others along.
        suspects = sorted(started & waiting.keys()) or list(waiting)[:1]
        for movie_id in suspects:
            if cancel():
                # a signal to the whole process group ends the workers too: they did not fail, they were stopped
                yield from (interrupted(job) for job in waiting.values())
                return
            job = waiting.pop(movie_id)
            alone = list(_one_pool([job], 1, report, cancel, set()))
            yield alone[0] if alone else Outcome(movie_id, "failed", DIED, row={"path": str(job.entry.path)})


def _one_pool(
    jobs: Sequence[Job],
    workers: int,
    report: Callable[[Event], None],
    cancel: Callable[[], bool],
    started: set[str],
) -> Generator[Outcome, None, None]:
    """Outcomes of one pool; fewer than jobs if a worker dies. `started` collects the movies that were begun."""
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker, (reports, stop))

    def drain() -> None:
        for event in _received(reports):
            started.add(event.movie_id)
            report(event)

    try:
        futures: dict[Future[Outcome], Job] = {}
        # a process that can't be started, or dies at once, is met like one that dies later
        with _no_interrupt(), contextlib.suppress(BrokenProcessPool, OSError):
            for job in jobs:
                futures[pool.submit(_run, job)] = job
        yield from collect(futures, stop.set, drain, cancel)
    finally:
        # reached at the end, on errors of the caller, and when the caller stops listening
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        _end_processes([child for child in multiprocessing.active_children() if child not in before])
        reports.cancel_join_thread()
        reports.close()


def _received(reports: Any) -> Iterator[Event]:
    while True:
        try:
            item = reports.get_nowait()
        except queues.Empty:
            return
        if isinstance(item, logging.LogRecord):
            logging.getLogger(item.name).handle(item)
        else:
            yield item


def _end_processes(children: Sequence[Any]) -> None:
    """End the workers: idle ones have written all they had, the others had their time to stop."""
    # leaving by themselves takes workers a second, in which large libraries clean up for nobody
    deadline = time.monotonic() + _LEAVE_S
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
    for child in children:
        if child.is_alive():
            child.terminate()
    for child in children:
        child.join(GRACE_S)
        if child.is_alive():
            child.kill()
            child.join()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes that are started inside never see Ctrl-C: the terminal sends it to all, and the parent decides."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(reports: Any, stop: Any) -> None:
    """Set up a worker process, before the numerical libraries are imported."""
    global _reports, _stop
    _reports, _stop = reports, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    limit_threads()
    keep_memory()
    logger = logging.getLogger("migradetect")
    logger.setLevel(logging.INFO)
    # warnings and log lines travel to the parent's log file: nothing but the parent writes to the console
    handler = logging.handlers.QueueHandler(reports)
    for name in ("migradetect", "py.warnings"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False
    logging.captureWarnings(True)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent: at once, also in the middle of a long computation.

    A run that is started right after a kill must not meet workers of the killed one.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def _leave_with_parent() -> None:
    """End this process when the parent is gone, even if that was killed: no orphans."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(job: Job) -> Outcome:
    return analyze_job(job, _reports.put, _stop.is_set)
