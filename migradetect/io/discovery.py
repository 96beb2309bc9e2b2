"""Search files and folders for movies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from migradetect.errors import MigradetectError, NoMoviesError
from migradetect.io.foreign import FOREIGN, foreign_positions
from migradetect.io.micromanager import stack_files
from migradetect.io.naming import PLATE_COLUMNS, NameParts, natural_key, parse_name, safe_name, stem_of, unique_names
from migradetect.io.ndtiff import NDTIFF_INDEX, ndtiff_files, ndtiff_positions
from migradetect.io.ome import parse_ome
from migradetect.io.ome_files import Contents, contents, is_companion
from migradetect.io.ome_zarr import is_zarr, zarr_files, zarr_positions
from migradetect.io.options import InputOptions, Kind, MovieEntry
from migradetect.io.plate import Plate, annotate, read_plate
from migradetect.io.tiff import read_tiff_facts

__all__ = ["Search", "find_movies", "kind_of", "search_movies"]

_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".tf2", ".stk")
#: Formats of microscopes that must be exported first.
_FOREIGN = (".lsm", ".oib", ".oif", ".oir", ".vsi", ".ims", ".dv", ".h5")
#: Table of what was done to each movie, in the folder that is searched.
PLATE_NAME = "plate.csv"
#: What our own output folders hold: results must never be taken for input.
_OWN_FILES = ("run.json", "manifest.json", "movie.json")
_OWN_FOLDERS = ("truth", "labels")


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    prefix: tuple[str, ...]  # folders between what was given and the file


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Parameters
    ----------
    entries : tuple of MovieEntry
        Movies in natural order.
    notes : tuple of str
        What the user should know that concerns no movie, such as idle rows of ``plate.csv``.
    """

    entries: tuple[MovieEntry, ...]
    notes: tuple[str, ...] = ()


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
        In natural order, names unique. A damaged file is in the list too: opening it says what is wrong. Of a file with
        several positions each is a movie, named after the file and the position.

    Raises
    ------
    NoMoviesError
        If there is nothing at all.
    ReadError
        If the pattern is not one.
    ParamsError
        If ``plate.csv`` is wrong.
    """
    return list(search_movies(paths, options).entries)


def search_movies(paths: Sequence[str | Path] | str | Path, options: InputOptions | None = None) -> Search:
    """Like :func:`find_movies`, with what concerns no single movie."""
    options = options or InputOptions()
    given = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    candidates: dict[Path, _Candidate] = {}
    foreign: list[Path] = []
    for path in given:
        if path.is_dir():
            found = _walk(path, foreign)
        else:
            # the stacks of an NDTiff data set are read by its index only
            is_stack = path.suffix.casefold() in _SUFFIXES and (path.parent / NDTIFF_INDEX).is_file()
            found = [_Candidate(path.parent if is_stack else path, ())]
        for candidate in found:
            candidates.setdefault(candidate.path.absolute(), candidate)
    found = list(candidates.values())
    if not any(candidate.path.exists() for candidate in found):
        raise NoMoviesError(_nothing(given, foreign))
    groups = _grouped(sorted(found, key=_order), options)
    groups.sort(key=lambda group: natural_key("/".join(group.parts)))
    names = unique_names(safe_name("__".join(group.parts)) for group in groups)
    entries = [
        MovieEntry(name, group.path, group.files, group.kind, options, group.position, group.columns)
        for name, group in zip(names, groups, strict=True)
    ]
    annotated, notes = annotate(entries, _plates(given, options))
    notes += [f"{path}: not read; export it as OME-TIFF, for example with Fiji" for path in foreign]
    return Search(tuple(annotated), tuple(notes))


def _plates(given: Sequence[Path], options: InputOptions) -> list[tuple[Plate, Path | None]]:
    if options.plate is not None:
        return [(read_plate(options.plate), None)]
    folders = dict.fromkeys(path for path in given if (path / PLATE_NAME).is_file())
    return [(read_plate(folder / PLATE_NAME), folder) for folder in folders]


def _order(candidate: _Candidate) -> tuple[bool, object]:
    # a companion XML names the movie whose files it lists
    return not is_companion(candidate.path), natural_key(candidate.path.as_posix())


def kind_of(path: Path) -> Kind | None:
    """Container of a file or folder; None where it can't be read."""
    if path.is_dir():
        return "ndtiff" if (path / NDTIFF_INDEX).is_file() else "ome-zarr"
    if path.suffix.casefold() in FOREIGN:
        return FOREIGN[path.suffix.casefold()][0]
    if is_companion(path):
        return "ome-tiff"
    try:
        return read_tiff_facts(path).kind
    except MigradetectError:
        return None


def _nothing(given: Sequence[Path], foreign: Sequence[Path]) -> str:
    names = ", ".join(str(path) for path in given) or "no path"
    absent = [str(path) for path in given if not path.exists()]
    if absent:
        return f"{', '.join(absent)}: expected a file or folder, got none; check the path"
    if foreign:
        return (
            f"{names}: expected movies that can be read, got {len(foreign)} {foreign[0].suffix} file(s); "
            "export them as OME-TIFF, for example with Fiji (Bio-Formats Exporter)"
        )
    return (
        f"{names}: expected TIFF movies (.tif, .tiff), OME-Zarr, ND2, CZI or LIF, got none; give the folder or files "
        "that hold them"
    )


def _walk(root: Path, foreign: list[Path]) -> list[_Candidate]:
    found = []
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        if any(name in names for name in _OWN_FILES) or (here != root and here.name.casefold() in _OWN_FOLDERS):
            folders.clear()
            continue
        prefix = here.relative_to(root).parts
        if NDTIFF_INDEX in names or is_zarr(here):
            # a container is one thing, whatever lies in it; its own name is added to the prefix later
            found.append(_Candidate(here, prefix[:-1]))
            folders.clear()
            continue
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        for name in names:
            suffix = Path(name).suffix.casefold()
            # a pipe would block whoever opens it; a link to nothing is a movie that can't be read
            if name.startswith(".") or ((here / name).exists() and not (here / name).is_file()):
                continue
            if suffix in _SUFFIXES or suffix in FOREIGN or is_companion(here / name):
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
    position: int | None = None
    columns: tuple[tuple[str, str | None], ...] = ()

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
        is_plane = tokens and candidate.path.suffix.casefold() in _SUFFIXES
        key = parts.group if is_plane else f"/{candidate.path.name}"
        by_group.setdefault((candidate.path.parent, key), []).append((candidate, parts))
    groups: list[_Group] = []
    claimed: set[Path] = set()
    for (folder, name), members in by_group.items():
        if len(members) > 1 and _is_sequence([item.path for item, _ in members], [parts for _, parts in members]):
            if any(item.path.absolute() in claimed for item, _ in members):
                continue
            title = _title(name, folder)
            files = tuple(item.path for item, _ in members)
            groups.append(
                _Group(title, members[0][0].prefix, folder, files, "sequence", columns=_columns(members[0][1], options))
            )
            continue
        for candidate, parts in members:
            if candidate.path.absolute() in claimed:
                continue
            kind, found = _alone(candidate.path)
            claimed.update(file.absolute() for file in found.files)
            stem = stem_of(candidate.path) or candidate.path.resolve().name
            columns = _columns(parts, options)
            if not found.positions:
                groups.append(_Group(stem, candidate.prefix, candidate.path, found.files, kind, None, columns))
            for index, position in enumerate(found.positions):
                title = found.titles[index] if found.titles else f"{stem}_{position}"
                groups.append(_Group(title, candidate.prefix, candidate.path, found.files, kind, index, columns))
    return groups


def _columns(parts: NameParts, options: InputOptions) -> tuple[tuple[str, str | None], ...]:
    if options.pattern is not None:
        return parts.columns
    # of the names that some microscopes write, only what is sure
    return tuple((name, text) for name, text in parts.columns if name in PLATE_COLUMNS)


def _title(group: str, folder: Path) -> str:
    name = "_".join(part for part in group.replace("*", "_").split("_") if part).strip(" .-_")
    return name or folder.resolve().name or "movie"


def _alone(path: Path) -> tuple[Kind, Contents]:
    """Container, files and positions; what can't be read is listed all the same, opening it says why."""
    kind = kind_of(path) or "tiff"
    try:
        if kind == "ndtiff":
            return kind, Contents(ndtiff_files(path), ndtiff_positions(path))
        if kind == "ome-zarr":
            return kind, Contents(zarr_files(path), zarr_positions(path))
        if path.suffix.casefold() in FOREIGN:
            return kind, Contents((path,), foreign_positions(path))
        if kind == "micromanager":
            return kind, Contents(stack_files(path))
        return kind, contents(path)
    except MigradetectError:
        return kind, Contents(zarr_files(path) if kind == "ome-zarr" else (path,))


def _is_sequence(files: Sequence[Path], parts: Sequence[NameParts]) -> bool:
    """Whether the numbers in the names count planes of one movie, or name several movies."""
    for file in files:
        try:
            facts = read_tiff_facts(file)
            own = len(contents(file).files)
        except MigradetectError:
            continue
        if facts.kind == "micromanager" and "mmstack" in file.name.casefold():
            return False
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
            images = parse_ome(file, facts.description, file.stat().st_size)
            sizes = dict(zip(("frames", "channels", "slices"), images[0].sizes, strict=False))
            return len(images) == 1 and not any(varies[axis] and sizes[axis] > 1 for axis in varies)
        return True
    return True
