"""The folder that exports go into: what is complete, what came from here, what may be replaced."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from migradetect._version import __version__
from migradetect.errors import OutputError
from migradetect.io.atomic import atomic_file, atomic_write_json, sync, umask

__all__ = ["Target"]

_LIST = "export.json"


class Target:
    """A folder of exports with ``export.json``, the list of what was exported into it.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{folder}: expected a folder that can be made, got {error.strerror or error}; "
                "choose another with --out"
            ) from error
        self._known = self._read()

    def _read(self) -> dict[str, Any]:
        path = self.folder / _LIST
        if not path.exists():
            return {}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))["files"]
            if not isinstance(known, dict):
                raise ValueError("no list of files")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{path}: expected the list of an earlier export, got '{error}'; choose another folder with --out"
            ) from error
        return known

    def _claim(self, name: str, about: dict[str, Any]) -> Path:
        path = self.folder / name
        if name not in self._known and os.path.lexists(path):
            raise OutputError(
                f"{path}: expected no such file, or one of an earlier export, got something else; "
                "choose another folder with --out"
            )
        # listed before it is written: what is cut off in between is recognised as ours by the next export
        self._known[name] = about
        atomic_write_json(self.folder / _LIST, {"migradetect": __version__, "files": self._known})
        return path

    @contextmanager
    def file(self, name: str, about: dict[str, Any]) -> Iterator[Any]:
        """A binary file that takes its name once it is complete."""
        with atomic_file(self._claim(name, about)) as file:
            yield file

    def path(self, name: str, about: dict[str, Any]) -> Path:
        """Where a writer puts a file that takes its name once it is complete."""
        return self._claim(name, about)

    @contextmanager
    def tree(self, name: str, about: dict[str, Any]) -> Iterator[Path]:
        """A folder that takes its name once it is complete; one of an earlier export goes then."""
        path = self._claim(name, about)
        try:
            part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=self.folder))
            try:
                yield part
                os.chmod(part, 0o777 & ~umask())
                old = None
                if path.exists():
                    old = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".old", dir=self.folder))
                    os.replace(path, old / name)
                os.replace(part, path)
                if old is not None:
                    shutil.rmtree(old, ignore_errors=True)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            sync(self.folder)
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(
                f"{path}: expected a place that can be written, got {error.strerror or error}; "
                "choose another folder with --out"
            ) from error
