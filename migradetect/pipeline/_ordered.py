"""Work on frames done in threads beside the caller, its results taken in the order of the frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["InOrder"]

T = TypeVar("T")


class InOrder(Generic[T]):
    """Does work in threads and hands its results over one after the other.

    The heavy steps are compiled and let go of the interpreter, so threads are parallel; they share the window of frames
    without copies. Whatever their number, the same is done to the same frames and taken in the same order: the results
    are the same.

    Parameters
    ----------
    threads : int
        Threads in all, the caller's included; with 1 the caller does everything.
    take : callable
        Gets each result, in this thread.
    """

    def __init__(self, threads: int, take: Callable[[T], None]) -> None:
        self._take = take
        self._pool = ThreadPoolExecutor(threads - 1, "migradetect-frame") if threads > 1 else None
        # frames in flight hold images: no more than keep all threads busy
        self._most = threads
        self._waiting: deque[Future[T]] = deque()

    def do(self, work: Callable[[], T]) -> None:
        """Have work done; a result of earlier work may be taken first."""
        if self._pool is None:
            self._take(work())
            return
        self._waiting.append(self._pool.submit(work))
        while len(self._waiting) > self._most or (self._waiting and self._waiting[0].done()):
            self._take(self._waiting.popleft().result())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                while self._waiting:
                    self._take(self._waiting.popleft().result())
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
