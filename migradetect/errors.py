"""Errors a user can act on.

Every error that migradetect raises on purpose is a :class:`MigradetectError` and also the builtin that a caller would
expect, so ``except ValueError`` keeps working. Messages are one line: what was looked at, what was expected, what was
found, what to do about it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AxesError",
    "CalibrationError",
    "CancelledError",
    "EditError",
    "MigradetectError",
    "NoMoviesError",
    "OutputError",
    "ParamsError",
    "ReadError",
    "TableError",
    "nearest_name",
    "printable",
]


class MigradetectError(Exception):
    """Base of every error raised on purpose by migradetect."""


class ReadError(MigradetectError, OSError):
    """A file can't be read, is damaged, or is incomplete."""


class AxesError(MigradetectError, ValueError):
    """The axes or channels of a movie are missing, ambiguous or not usable."""


class CalibrationError(MigradetectError, ValueError):
    """The pixel size or frame interval is missing or physically impossible."""


class ParamsError(MigradetectError, ValueError):
    """A parameter, preset or configuration file is not valid."""


class TableError(MigradetectError, ValueError):
    """A table does not follow its schema."""


class NoMoviesError(MigradetectError, FileNotFoundError):
    """No movie was found where one was expected."""


class OutputError(MigradetectError, OSError):
    """Results can't be written."""


class EditError(MigradetectError, ValueError):
    """A correction is not valid, or names what is not there."""


class CancelledError(MigradetectError, RuntimeError):
    """The user asked to stop."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Hint that names the closest known spelling.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        The names that are understood.

    Returns
    -------
    str
        ``" (did you mean 'x'?)"`` or an empty string where nothing is close.
    """
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def printable(text: str) -> str:
    r"""Text in one line for a console, a log or a table.

    Names of files and channels come from elsewhere: a line break would forge a log line, an escape sequence would
    drive the terminal, and marks of direction would show other letters than there are.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same with line breaks as blanks, and control and format characters as ``\x1b``.
    """
    line = re.sub(r"\s*[\r\n]\s*", " ", text.strip())
    # Cc control, Cf format (direction, zero width), Cs lone surrogates: names of files that are no valid UTF-8
    if line.isprintable():
        return line
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        else character
        for character in line
    )
