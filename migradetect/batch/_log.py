"""The log file of a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from migradetect.errors import OutputError

__all__ = ["LOG_NAME", "log_file"]

#: Log file of a run, in the output folder.
LOG_NAME = "migradetect.log"


class _QuietFileHandler(logging.FileHandler):
    """A log that gives up silently where the disk is full: the standard one prints a traceback on the console."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: the movies that can't be written say so themselves."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Log of the package and of Python warnings goes to a file while a run lasts."""
    try:
        handler = _QuietFileHandler(path, encoding="utf-8", delay=False, errors="backslashreplace")
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: expected a file that can be written, got {reason}; choose another --out") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger, warned = logging.getLogger("migradetect"), logging.getLogger("py.warnings")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    # the console belongs to the progress display; an application that wants the log reads the file
    logger.propagate = False
    logger.addHandler(handler)
    warned.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        warned.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.close()
