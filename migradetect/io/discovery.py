"""Search files and folders for movies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from migradetect.errors import MigradetectError, NoMoviesError
from migradetect.io.naming import NameParts, natural_key, parse_name, safe_name, stem_of, unique_names
from migradetect.io.ome import parse_ome
from migradetect.io.options import InputOptions, Kind, MovieEntry
from migradetect.io.single import companions
from migradetect.io.tiff import read_tiff_facts

__all__ = ["find_movies", "kind_of"]

_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".tf2")
#: Formats of microscopes that must be exported first; named when nothing else is found.
_FOREIGN = (".nd2", ".czi", ".lif", ".lsm", ".oib", ".oif", ".oir", ".vsi", ".stk", ".ims", ".dv", ".zarr", ".h5")
#: What our own output folders hold: results must never be taken for input.
_OWN_FILES = ("run.json", "manifest.json", "movie.json")
_OWN_FOLDERS = ("truth", "labels")


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    prefix: tuple[str, ...]  # folders between what was given and the file


def find_movies(paths: Sequence[str | Path] | str | Path, options: InputOptions | None = None) -> list[MovieEntry]:
    """Find movies in files and folders.

    Parameters
    ----------
    paths : sequence of path, or one
        Files, and folders that are searched with everything below them. Hidden files, our own output folders and
        folders called ``truth`` or ``labels`` are left out.
    options : InputOptions, optional
        What the user says; kept with every entry.

    Returns
    -------
    list of MovieEntry
        In natural order, names unique. A damaged file is in the list too: opening it says what is wrong.

    Raises
    ------
    NoMoviesError
        If there is nothing at all.
    ReadError
        If the pattern is not one.
    """
    options = options or InputOptions()
    given = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    candidates: dict[Path, _Candidate] = {}
    foreign: list[Path] = []
    for path in given:
        for candidate in _walk(path, foreign) if path.is_dir() else [_Candidate(path, ())]:
            candidates.setdefault(candidate.path.absolute(), candidate)
    found = list(candidates.values())
    if not any(candidate.path.exists() for candidate in found):
        raise NoMoviesError(_nothing(given, foreign))
    groups = _grouped(sorted(found, key=lambda item: natural_key(item.path.as_posix())), options)
    groups.sort(key=lambda group: natural_key("/".join(group.parts)))
    names = unique_names(safe_name("__".join(group.parts)) for group in groups)
    return [
        MovieEntry(name, group.path, group.files, group.kind, options)
        for name, group in zip(names, groups, strict=True)
    ]


def kind_of(path: Path) -> Kind | None:
    """Container of a TIFF file; None where it can't be read."""
    try:
        kind = read_tiff_facts(path).kind
    except MigradetectError:
        return None
    return "ome-tiff" if kind == "ome-tiff" else "imagej" if kind == "imagej" else "tiff"


def _nothing(given: Sequence[Path], foreign: Sequence[Path]) -> str:
    names = ", ".join(str(path) for path in given) or "no path"
    absent = [str(path) for path in given if not path.exists()]
    if absent:
        return f"{', '.join(absent)}: expected a file or folder, got none; check the path"
    if foreign:
        return (
            f"{names}: expected TIFF movies, got {len(foreign)} {foreign[0].suffix} file(s); "
            "export them as OME-TIFF, for example with Fiji (Bio-Formats Exporter)"
        )
    return f"{names}: expected TIFF movies (.tif, .tiff), got none; give the folder or files that hold them"


def _walk(root: Path, foreign: list[Path]) -> list[_Candidate]:
    found = []
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        if any(name in names for name in _OWN_FILES) or (here != root and here.name.casefold() in _OWN_FOLDERS):
            folders.clear()
            continue
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        prefix = here.relative_to(root).parts
        for name in names:
            suffix = Path(name).suffix.casefold()
            if name.startswith("."):
                continue
            if suffix in _SUFFIXES:
                found.append(_Candidate(here / name, prefix))
            elif suffix in _FOREIGN:
                foreign.append(here / name)
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    prefix: tuple[str, ...]
    path: Path
    files: tuple[Path, ...]
    kind: Kind

    @property
    def parts(self) -> tuple[str, ...]:
        # a sequence alone in a folder of its name would be called twice
        return self.prefix if self.prefix[-1:] == (self.name,) else (*self.prefix, self.name)


def _grouped(candidates: Sequence[_Candidate], options: InputOptions) -> list[_Group]:
    """Files that belong together: sequences by their names, OME-TIFF files by what they say."""
    by_group: dict[tuple[Path, str], list[tuple[_Candidate, NameParts]]] = {}
    for candidate in candidates:
        parts = parse_name(stem_of(candidate.path), options.pattern)
        tokens = parts.t is not None or parts.c is not None or parts.z is not None
        # a file without tokens stands alone, also beside one that differs in its suffix only
        key = parts.group if tokens else f"/{candidate.path.name}"
        by_group.setdefault((candidate.path.parent, key), []).append((candidate, parts))
    groups: list[_Group] = []
    claimed: set[Path] = set()
    for (folder, name), members in by_group.items():
        if len(members) > 1 and _is_sequence([item.path for item, _ in members], [parts for _, parts in members]):
            title = _title(name, folder)
            files = tuple(item.path for item, _ in members)
            groups.append(_Group(title, members[0][0].prefix, folder, files, "sequence"))
            continue
        for candidate, _ in members:
            if candidate.path.absolute() in claimed:
                continue
            kind, files = _alone(candidate.path)
            claimed.update(file.absolute() for file in files)
            groups.append(_Group(stem_of(candidate.path), candidate.prefix, candidate.path, files, kind))
    return groups


def _title(group: str, folder: Path) -> str:
    name = "_".join(part for part in group.replace("*", "_").split("_") if part).strip(" .-_")
    return name or folder.resolve().name or "movie"


def _alone(path: Path) -> tuple[Kind, tuple[Path, ...]]:
    try:
        return kind_of(path) or "tiff", companions(path)
    except MigradetectError:
        return "tiff", (path,)


def _is_sequence(files: Sequence[Path], parts: Sequence[NameParts]) -> bool:
    """Whether the numbers in the names count planes of one movie, or name several movies."""
    for file in files:
        try:
            facts = read_tiff_facts(file)
            own = len(companions(file))
        except MigradetectError:
            continue
        varies = {
            "frames": len({part.t for part in parts}) > 1,
            "channels": len({part.c for part in parts}) > 1,
            "slices": len({part.z for part in parts}) > 1,
        }
        if own > 1:
            return False
        # a file that itself counts what its name counts is a movie of its own ("t1" may be a treatment)
        if facts.kind == "imagej":
            return not any(varies[axis] and facts.imagej.get(axis, 1) not in (0, 1) for axis in varies)
        if facts.kind == "ome-tiff":
            return not any(varies[axis] and size > 1 for axis, size in _ome_sizes(file, facts.description).items())
        return True
    return True


def _ome_sizes(path: Path, xml: str) -> dict[str, int]:
    sizes = parse_ome(path, xml).sizes
    return {"frames": sizes[0], "channels": sizes[1], "slices": sizes[2]}
