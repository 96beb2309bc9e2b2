"""Files that are either complete or absent."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from migradetect.errors import OutputError

__all__ = ["atomic_file", "atomic_write_bytes", "atomic_write_json", "atomic_write_text", "sync", "to_json", "umask"]


def sync(path: Path) -> None:
    """Ask the system to put a file or folder on the disk."""
    if os.name == "nt" and path.is_dir():  # folders can't be opened there
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _WholeFile:
    """A file that takes all it is given or fails: not every library looks at how much was taken."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it."""
        size = memoryview(data).nbytes
        taken = self._file.write(data)
        if taken != size:
            raise OSError(errno.EIO, f"{taken} of {size} bytes written")
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Any]:
    """Open a file for writing that takes its name once it is complete and on the disk.

    Parameters
    ----------
    path : str or Path
        Target; its folder must exist.

    Yields
    ------
    binary file
        A hidden file beside the target; it is removed on any error.

    Raises
    ------
    OutputError
        If the folder can't be written, or holds less than was written.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            os.close(handle)
            with open(name, "w+b") as file:
                yield _WholeFile(file)
                file.flush()
                os.fsync(file.fileno())
                written = file.seek(0, os.SEEK_END)
            stored = os.stat(name).st_size
            if stored != written:
                # a full or failing file system that takes less than it was given, without saying so
                raise OSError(errno.EIO, f"{stored} of {written} bytes on the disk")
            os.chmod(name, 0o666 & ~umask())
            os.replace(name, path)
        except BaseException:
            _discard(name)
            raise
        sync(path.parent)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: expected a place that can be written, got {error.strerror or error}; choose another output folder"
        ) from error


def _discard(name: str) -> None:
    try:
        os.unlink(name)
    except OSError:
        # the folder has gone, or turned read-only: the first error is the one to tell
        return


def atomic_write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Write a file in one step: a reader sees the old content or the new one, never half of it.

    Parameters
    ----------
    path : str or Path
        Target; its folder must exist.
    data : bytes
        Content.

    Raises
    ------
    OutputError
        If the folder can't be written.
    """
    with atomic_file(path) as file:
        file.write(data)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write a text file in one step, UTF-8; see :func:`atomic_write_bytes`."""
    # names of files that are no valid text come as lone surrogates; in JSON the escape reads back as it was
    atomic_write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def atomic_write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file in one step; see :func:`to_json`."""
    atomic_write_text(path, to_json(value))


def to_json(value: Any) -> str:
    """JSON text of plain, numpy, dataclass and pydantic values; what is not finite becomes null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value), key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump())
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    return str(value)


def umask() -> int:
    """The process's mask of file modes."""
    # the mask can only be read by setting it; mkstemp alone would leave files that colleagues can't read
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
