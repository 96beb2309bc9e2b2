"""Exit codes: part of the contract."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """What the process returns."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    NOTHING_FOUND = 3
    ALL_FAILED = 4
    INTERRUPTED = 130
    TERMINATED = 143
