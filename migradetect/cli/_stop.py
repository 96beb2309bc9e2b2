"""Ctrl-C and SIGTERM become a polite request to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from migradetect.cli._exit import ExitCode

__all__ = ["StopRequest", "leave_on_signals", "stop_signals"]


class StopRequest:
    """Whether, and by which signal, the user asked to stop."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def is_set(self) -> bool:
        """Whether the user asked to stop."""
        return self._signal is not None

    @property
    def exit_code(self) -> ExitCode | None:
        """130 after Ctrl-C, 143 after SIGTERM; None where nobody asked."""
        if self._signal is None:
            return None
        return ExitCode.TERMINATED if self._signal == signal.SIGTERM else ExitCode.INTERRUPTED

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Signal handler."""
        self._signal = self._signal or number


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Catch Ctrl-C and SIGTERM while the block runs."""
    request = StopRequest()
    with _handled_by(request.handle):
        yield request


@contextlib.contextmanager
def leave_on_signals() -> Iterator[None]:
    """Leave with one line and the right code on Ctrl-C and SIGTERM, wherever the block is, while it runs."""
    with _handled_by(_leave):
        yield


def _leave(number: int, frame: FrameType | None) -> None:
    # not through the console library, which may be half imported, or be the one that is writing
    os.write(2, b"error: interrupted\n")
    sys.exit(ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED)


@contextlib.contextmanager
def _handled_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers belong to the main thread; whoever runs us in another one stops us in another way
        return
    # SIGHUP (closed terminal, lost connection) ends a run as SIGTERM does; Windows has no such signal
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # a run under nohup ignores SIGHUP, and so do we
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
