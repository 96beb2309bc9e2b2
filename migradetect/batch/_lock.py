"""One run at a time in an output folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from migradetect.errors import OutputError

__all__ = ["LOCK_NAME", "OutputLock"]

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: Name of the lock file; it marks an output folder, and stays after the run.
LOCK_NAME = ".migradetect.lock"
_log = logging.getLogger("migradetect.batch")
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})


class OutputLock:
    """Lock on an output folder that the system releases when its process ends, however it ends.

    Parameters
    ----------
    folder : Path
        Output folder; it must exist.

    Raises
    ------
    OutputError
        On entering, if another run holds the lock or the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def __enter__(self) -> OutputLock:
        path = self._folder / LOCK_NAME
        try:
            self._file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{self._folder}: expected a folder that can be written, got {error.strerror or error}; "
                "choose another --out"
            ) from error
        try:
            _lock(self._file)
        except OSError as error:
            self._release()
            if error.errno in _TAKEN:
                raise OutputError(
                    f"{self._folder}: another run is writing here{_holder(path)}; "
                    "wait until it ends or choose another --out"
                ) from error
            # some network file systems have no locks: running unguarded is better than not at all
            _log.warning("%s: this file system has no locks; do not start a second run into it", self._folder)
            self._file = path.open("a+", encoding="utf-8")
            return self
        # who holds it is told to people only: a full disk is no reason not to run
        with contextlib.suppress(OSError):
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            self._file.flush()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        # the file stays: deleting it would let two runs lock two files of the same name
        if self._file is not None:
            with contextlib.suppress(OSError):  # the folder may have gone
                self._file.truncate(0)
        self._release()

    def _release(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    @staticmethod
    def is_held(folder: Path) -> bool:
        """Whether a run is writing into a folder now; nothing is created or changed."""
        path = folder / LOCK_NAME
        try:
            file = path.open("r+", encoding="utf-8")
        except OSError:
            return False
        with file:
            try:
                _lock(file)
            except OSError as error:
                return error.errno in _TAKEN
        return False


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        # a byte far behind the text, because Windows forbids reading what is locked
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f" ({text})" if text else ""
