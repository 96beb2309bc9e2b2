"""The log of corrections: lines of JSON that are only ever appended."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migradetect.errors import EditError, OutputError, ReadError, printable
from migradetect.io.atomic import sync, to_json

__all__ = ["EditLog", "log_path", "reviewers"]

#: Log of the reviewer without a name, and what those of others begin with.
_DEFAULT, _PREFIX, _SUFFIX = "edits.jsonl", "edits.", ".jsonl"
#: A file that earlier versions wrote; no reviewer may have its name.
_RESERVED = ("previous",)


def log_path(folder: str | Path, reviewer: str | None = None) -> Path:
    """Log of a reviewer in the folder of a movie.

    Parameters
    ----------
    folder : str or Path
        ``OUT/<movie_id>``.
    reviewer : str, optional
        Name; letters, digits, ``-`` and ``_`` are kept, others become ``_``, and case does not count.

    Returns
    -------
    Path
        ``edits.jsonl``, or ``edits.<reviewer>.jsonl``.
    """
    if reviewer is None:
        return Path(folder) / _DEFAULT
    name = re.sub(r"[^\w-]+", "_", reviewer.strip().casefold()).strip("_")[:60]
    if not name:
        raise EditError(f"expected a reviewer's name with letters or digits, got '{printable(reviewer)}'")
    return Path(folder) / f"{_PREFIX}{name}{'_' if name in _RESERVED else ''}{_SUFFIX}"


def reviewers(folder: str | Path) -> list[str | None]:
    """Who has a log in the folder of a movie; None is the reviewer without a name, who comes first."""
    folder = Path(folder)
    found: list[str | None] = [None] if (folder / _DEFAULT).is_file() else []
    names = [path.name[len(_PREFIX) : -len(_SUFFIX)] for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))]
    return found + [name for name in names if name and name not in _RESERVED]


@dataclass
class EditLog:
    """Lines of one log.

    Parameters
    ----------
    path : Path
        File; need not be there.
    lines : list of dict
        What was read, in order.
    notes : list of str
        What could not be read: such lines are left alone.
    size : int
        Bytes of the file that are known.
    """

    path: Path
    lines: list[dict[str, Any]]
    notes: list[str]
    size: int

    @classmethod
    def read(cls, path: Path) -> EditLog:
        """Read a log; a line that was cut by a crash is set aside with a note.

        Raises
        ------
        ReadError
            If the file is there and can't be read.
        """
        try:
            raw = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise ReadError(f"{path}: expected a file that can be read, got {error.strerror or error}") from error
        lines: list[dict[str, Any]] = []
        notes = []
        pieces = raw.split(b"\n")
        for number, piece in enumerate(pieces, start=1):
            if not piece.strip():
                continue
            try:
                line = json.loads(piece)
                if not isinstance(line, dict) or not isinstance(line.get("id"), str):
                    raise ValueError
            except ValueError:  # also bytes that are no text
                why = "was cut while it was written" if number == len(pieces) else "is damaged"
                notes.append(f"{path.name}: line {number} {why} and is left out")
                continue
            lines.append(line)
        return cls(path, lines, notes, len(raw))

    def append(self, line: dict[str, Any]) -> None:
        """Put a line on the disk; returns when it is there.

        Raises
        ------
        EditError
            If another session has written since the log was read.
        OutputError
            If it can't be written; the file is as before then.
        """
        # one line: JSON escapes line breaks in texts
        text = json.dumps(json.loads(to_json(line)), ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", errors="backslashreplace") + b"\n"
        is_new = not self.path.exists()
        try:
            with open(self.path, "a+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                if end != self.size:
                    raise EditError(
                        f"{self.path}: expected the file as it was read, got one that another session has written to; "
                        "open the review again"
                    )
                if end:
                    file.seek(end - 1)
                    if file.read(1) != b"\n":
                        data = b"\n" + data  # after a line that a crash cut off
                _write(file, data, end)
        except OSError as error:
            if isinstance(error, EditError):
                raise
            raise OutputError(
                f"{self.path}: expected a file that can be written, got {error.strerror or error}; "
                "the correction was not made"
            ) from error
        if is_new:
            sync(self.path.parent)
        self.size = end + len(data)
        self.lines.append(json.loads(text))


def _write(file: Any, data: bytes, end: int) -> None:
    try:
        taken = file.write(data)
        if taken != len(data):
            raise OSError(f"{taken} of {len(data)} bytes written")
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), end)
        raise


def now() -> str:
    """Time, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
