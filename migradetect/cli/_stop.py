"""Ctrl-C and SIGTERM become a polite request to stop."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from migradetect.cli._exit import ExitCode

__all__ = ["StopRequest", "stop_signals"]


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
    # SIGHUP (closed terminal, lost connection) ends a run as SIGTERM does; Windows has no such signal
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # a run under nohup ignores SIGHUP, and so do we
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, request.handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
