"""Folders that are either complete or absent: written aside, put on the disk, renamed in one step."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from migradetect.errors import OutputError, ReadError
from migradetect.io.atomic import atomic_write_json, sync, umask
from migradetect.results import LABEL_NAMES, MOVIE_TABLES

__all__ = ["REVIEWED", "is_complete", "is_edits", "publish", "recover"]

MANIFEST = "manifest.json"
#: Folder of the reviewed tables, which follow from results and corrections.
REVIEWED = "reviewed"
_OWN = frozenset(
    {"movie.json", MANIFEST}
    | {f"{name}.{suffix}" for name in MOVIE_TABLES for suffix in ("parquet", "csv")}
    | {f"labels/{name}.tif" for name in LABEL_NAMES}
)


def is_edits(name: str) -> bool:
    """Whether a file has the name of a log of corrections, ``edits.jsonl`` or ``edits.<reviewer>.jsonl``."""
    return name == "edits.jsonl" or (name.startswith("edits.") and name.endswith(".jsonl"))


@contextmanager
def publish(folder: Path) -> Iterator[Path]:
    """Hand out an empty folder beside `folder` that takes its place, complete, when the block ends without an error.

    What stands there already is replaced if it is results; logs of corrections in it and files of others are kept.

    Parameters
    ----------
    folder : Path
        Target.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    OutputError
        If the place can't be written, or holds what is not ours.
    """
    try:
        foreign = _foreign_files(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            part.chmod(0o777 & ~umask())  # mkdtemp makes folders that colleagues can't enter
            yield part
            _write_manifest(part)
            _keep(folder, part, foreign)
            _keep_edits(folder, part)
            for inside in (*(path for path in part.rglob("*") if path.is_dir()), part):
                sync(inside)
            _swap(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except ReadError:
        raise  # results that are copied from another folder
    except OSError as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        if cause is None:
            raise
        # a file in the hidden folder would mean nothing to the user
        raise OutputError(
            f"{folder}: expected a place that can be written, got {getattr(cause, 'strerror', None) or cause}; "
            "make room there or choose another output folder"
        ) from error


def _foreign_files(folder: Path) -> list[Path]:
    """Files of others beside results; a folder without any results is not ours to replace."""
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise OutputError(
            f"{folder}: expected a folder or nothing, got a file; move it or choose another output folder"
        )
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink()]
    foreign = [path for path in files if not _is_own(path)]
    is_ours = (folder / MANIFEST).exists() or (folder / "movie.json").exists()
    if foreign and not is_ours:
        raise OutputError(
            f"{folder}: expected results of migradetect or nothing, got a folder with {foreign[0]}; "
            "move it or choose another output folder"
        )
    return foreign


def _is_own(path: Path) -> bool:
    """Whether a path in a movie's folder is written by us; the reviewed tables are made anew when asked for."""
    return (
        path.as_posix() in _OWN
        or path.parts[0].lstrip(".").split(".")[0] == REVIEWED
        or (len(path.parts) == 1 and is_edits(path.name))
    )


def _keep_edits(folder: Path, part: Path) -> None:
    """Take over the logs of corrections: they find their objects again by place and time."""
    for path in sorted(folder.glob("edits*.jsonl")):
        if is_edits(path.name) and path.is_file():
            shutil.copy2(path, part / path.name)
            sync(part / path.name)


def _keep(folder: Path, part: Path, foreign: list[Path]) -> None:
    """Take over the files of others."""
    for path in foreign:
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / path, part / path, follow_symlinks=False)
        if not (part / path).is_symlink():
            sync(part / path)


def _write_manifest(part: Path) -> None:
    """Checksums of every file; each was put on the disk when it was written."""
    files = sorted(path for path in part.rglob("*") if path.is_file())
    manifest = {
        path.relative_to(part).as_posix(): {"bytes": path.stat().st_size, "blake2b": _digest(path)} for path in files
    }
    atomic_write_json(part / MANIFEST, {"format": 1, "files": manifest})


def _swap(part: Path, folder: Path) -> None:
    if not folder.exists():
        os.replace(part, folder)
        sync(folder.parent)
        return
    # a folder with content can't be replaced in one step anywhere; the old one steps aside first, and `recover` puts
    # it back should the process die in between
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    os.replace(folder, aside / "old")
    try:
        # once more: a correction may have been made meanwhile; from here on none can be
        _keep_edits(aside / "old", part)
        os.replace(part, folder)
    except BaseException:
        os.replace(aside / "old", folder)
        aside.rmdir()
        raise
    sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def recover(folder: Path) -> None:
    """Clear up after a process that was killed while it published; call it only while nobody else can write there.

    Parameters
    ----------
    folder : Path
        Target of the publication.
    """
    name = glob.escape(folder.name)
    for aside in sorted(folder.parent.glob(f".{name}.*.old")):
        if not folder.exists() and (aside / "old").exists():
            os.replace(aside / "old", folder)
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
    for part in folder.parent.glob(f".{name}.*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=20)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_complete(folder: str | Path, verify: bool = False) -> bool:
    """Whether a movie folder holds everything that its manifest lists, and the manifest all that belongs to a movie.

    Parameters
    ----------
    folder : str or Path
        Movie folder.
    verify : bool
        Compare the checksums too, not only the sizes.
    """
    folder = Path(folder)
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        stems = {Path(name).stem for name in files}
        return (
            "movie.json" in files
            and stems.issuperset(MOVIE_TABLES)
            and all(
                (folder / name).stat().st_size == entry["bytes"]
                and (not verify or _digest(folder / name) == entry["blake2b"])
                for name, entry in files.items()
            )
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
