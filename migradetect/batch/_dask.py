"""The movies of a batch on a dask cluster; the only module that knows dask, and only through its executor."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from concurrent.futures import Executor

from migradetect.errors import ParamsError

__all__ = ["dask_executor"]

#: Seconds in which a scheduler must answer.
_ANSWER_S = 10
#: Times that a movie whose worker was lost is tried again, besides what the scheduler does by itself.
_RETRIES = 2
#: Logger of the event loop, which dask has print on the console.
_EVENT_LOOP = "tornado.application"


@contextlib.contextmanager
def dask_executor(address: str) -> Iterator[tuple[Executor, list[str]]]:
    """Executor of a running dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://login1:8786``, or a file that ``dask scheduler --scheduler-file`` wrote.

    Yields
    ------
    executor : concurrent.futures.Executor
        Movies of lost workers are run again by the scheduler.
    notes : list of str
        What the user should know about the cluster.

    Raises
    ------
    ParamsError
        If dask is not installed, or no scheduler answers.
    """
    if importlib.util.find_spec("distributed") is None:
        raise ParamsError(
            "--executor dask: expected the package distributed, got none; install it with: "
            'pip install "migradetect[dask]" (from a copy of this repository: pip install ".[dask]")'
        )
    from distributed import Client

    _keep_from_console()
    is_file = address.endswith(".json")
    try:
        client = (
            Client(scheduler_file=address, timeout=_ANSWER_S, set_as_default=False)
            if is_file
            else Client(address, timeout=_ANSWER_S, set_as_default=False)
        )
    except (OSError, ValueError) as error:
        raise ParamsError(
            f"--scheduler: expected a dask scheduler at {address}, got no answer ({_line(error)}); start one with "
            "`dask scheduler` and give the address that it prints"
        ) from error
    with client:
        threads: dict[str, int] = client.nthreads()
        executor: Executor = client.get_executor(retries=_RETRIES)
        yield executor, _notes(threads)


class _ToLog(logging.Handler):
    """Hands records to the log of the run; what comes when no log is open any more is left out."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        log = logging.getLogger("migradetect.batch")
        if log.hasHandlers():
            log.handle(record)


def _keep_from_console() -> None:
    """Errors of the event loop go to the log: of a connection that is cut by Ctrl-C it may print a traceback.

    That comes late, so it holds until the process ends.
    """
    logger = logging.getLogger(_EVENT_LOOP)
    logger.handlers = [_ToLog()]
    logger.propagate = False


def _notes(threads: dict[str, int]) -> list[str]:
    if not threads:
        return ["the dask cluster has no workers yet; the movies wait for them"]
    if max(threads.values()) > 1:
        return [
            f"some dask workers have {max(threads.values())} threads, of which one is used; start them with "
            "--nthreads 1, and one for each core"
        ]
    return []


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
