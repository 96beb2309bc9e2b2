"""Entry point: every error becomes one line and an exit code; tracebacks go to a file."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

from migradetect.cli._app import app
from migradetect.cli._console import print_error
from migradetect.cli._exit import ExitCode
from migradetect.errors import CancelledError, MigradetectError, NoMoviesError, OutputError, ParamsError

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # a name that the terminal's encoding lacks is shown escaped; it must not end the run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="migradetect")
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except MigradetectError as error:
        print_error(str(error))
        sys.exit(_code(error))
    except Exception as error:  # noqa: BLE001 (the last place before the user would see a traceback)
        place = _write_traceback(error)
        print_error(f"unexpected {type(error).__name__}: {error}; details are in {place}")
        sys.exit(ExitCode.ALL_FAILED)


def _code(error: MigradetectError) -> ExitCode:
    if isinstance(error, ParamsError | OutputError):
        return ExitCode.USAGE
    if isinstance(error, NoMoviesError):
        return ExitCode.NOTHING_FOUND
    if isinstance(error, CancelledError):
        return ExitCode.INTERRUPTED
    return ExitCode.ALL_FAILED


def _write_traceback(error: BaseException) -> str:
    try:
        handle, name = tempfile.mkstemp(prefix="migradetect-", suffix=".log", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return "no file, for none could be written"
    return str(Path(name))
