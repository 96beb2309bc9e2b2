"""How far a correction is, and whether it should stop; and work on many frames at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from migradetect.errors import CancelledError

__all__ = ["Watch", "in_threads"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
#: Decoding and searching need no more, and the window wants a core of its own.
_THREADS = max(1, min(4, os.cpu_count() or 1))


class Watch:
    """Counts steps.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of steps done, and of all that are known so far.
    cancel : callable, optional
        Asked before each step; :class:`CancelledError` follows when it returns True.
    """

    def __init__(
        self, progress: Callable[[int, int], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> None:
        self._progress, self._cancel = progress, cancel
        self._done = self._total = 0

    def expect(self, n_steps: int) -> None:
        """So many steps more are to come."""
        self._total += n_steps
        self.ask()

    def ask(self) -> None:
        """Raise CancelledError if the user wants to stop."""
        if self._cancel is not None and self._cancel():
            raise CancelledError("the correction was stopped; nothing was changed")

    def step(self) -> None:
        """One more is done."""
        self.ask()
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done))


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item], watch: Watch) -> list[_Result]:
    """Results in the order of the items; each item is a step, announced by the caller.

    Parameters
    ----------
    work : callable
        Reads or searches without holding up other threads.
    items : iterable
        What to work on.
    watch : Watch
        Counts, and may stop the work between two items.

    Returns
    -------
    list
    """
    out: list[_Result] = []
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="migradetect-review")
    try:
        for result in pool.map(work, items):
            watch.step()
            out.append(result)
    finally:
        # what has not begun never will
        pool.shutdown(wait=True, cancel_futures=True)
    return out
