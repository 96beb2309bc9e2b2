"""OME-TIFF: one file or many, with the XML in the file, in another one, or beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from migradetect.errors import ReadError
from migradetect.io.naming import safe_name, stem_of
from migradetect.io.ome import OmeImage, parse_ome, reference_of
from migradetect.io.recording import Recording, squeezed
from migradetect.io.tiff import Stack, read_tiff, read_tiff_facts
from migradetect.io.tiff_calibration import found_micromanager, found_resolution

__all__ = ["Contents", "contents", "is_companion", "pick_position", "position_names", "record_ome"]

_COPY = "copy the file again or export it again"
#: Longer than the OME-XML of any recording.
_MAX_XML = 2**28


@dataclass(frozen=True, slots=True)
class Contents:
    """What belongs to a movie file.

    Parameters
    ----------
    files : tuple of Path
        Every file, the one that was asked about first.
    positions : tuple of str
        Name of each position where the file holds several; else empty.
    titles : tuple of str
        Name of each as a movie, where each position has files of its own; else empty.
    """

    files: tuple[Path, ...]
    positions: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()


def contents(path: Path) -> Contents:
    """Files and positions of a TIFF movie or of the companion XML of one.

    Raises
    ------
    ReadError
        If a file is damaged.
    """
    meta, xml = _ome_xml(path)
    if xml is None:
        return Contents((path,))
    images = parse_ome(meta, xml, _size_beside(meta))
    names = sorted({name for image in images for name in image.files()} - {path.name})
    others = (*((meta,) if meta != path else ()), *(path.parent / name for name in names if name != meta.name))
    firsts = [Path(image.planes[0, 0, 0].file or meta.name) for image in images]
    titles = tuple(stem_of(first) for first in firsts) if len(set(firsts)) == len(images) > 1 else ()
    return Contents((path, *others), position_names(path, [image.name for image in images]), titles)


def position_names(path: Path, names: Sequence[str | None]) -> tuple[str, ...]:
    """Names that tell positions apart; empty for a single one."""
    if len(names) < 2:
        return ()
    stem = stem_of(path)
    # Bio-Formats repeats the name of the file in each
    short = [safe_name((name or "").removeprefix(path.name).removeprefix(stem)) for name in names]
    if len({name.casefold() for name in short}) == len(names):
        return tuple(short)
    digits = len(str(len(names)))
    return tuple(f"pos{number:0{digits}d}" for number in range(1, len(names) + 1))


def _ome_xml(path: Path) -> tuple[Path, str | None]:
    """The file that holds the OME-XML of a movie, and the XML; None for another kind of TIFF."""
    if is_companion(path):
        return path, _companion_xml(path)
    facts = read_tiff_facts(path)
    if facts.kind != "ome-tiff":
        return path, None
    name = reference_of(path, facts.description)
    if name is None:
        return path, facts.description
    meta = path.parent / name
    if not meta.is_file():
        raise ReadError(f"{path}: expected {name}, which holds its OME-XML, beside it, got none; copy all files")
    if is_companion(meta):
        return meta, _companion_xml(meta)
    facts = read_tiff_facts(meta)
    if facts.kind != "ome-tiff" or reference_of(meta, facts.description) is not None:
        raise ReadError(f"{path}: expected OME-XML in {name}, to which it refers, got none; {_COPY}")
    return meta, facts.description


def is_companion(path: Path) -> bool:
    """Whether the file is OME-XML by itself."""
    return path.name.lower().endswith(".companion.ome")


def _companion_xml(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_XML:
            raise ReadError(f"{path}: expected OME-XML of less than {_MAX_XML} bytes, got more; {_COPY}")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReadError(f"{path}: expected a file that can be read, got {error.strerror}; check its rights") from error
    except UnicodeDecodeError as error:
        raise ReadError(f"{path}: expected UTF-8 text, got other bytes; {_COPY}") from error


def _size_beside(path: Path) -> int:
    """Bytes in the folder, an upper limit of the number of planes."""
    return path.stat().st_size + _folder_size(path.parent, path.parent.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _folder_size(folder: Path, _mtime: int) -> int:
    # a folder may hold thousands of such files, each of which asks
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())


def pick_position(path: Path, names: Sequence[str], position: int | None) -> int:
    """Number of the position to read.

    Raises
    ------
    ReadError
        If there are several and none is chosen.
    """
    if position is None and len(names) > 1:
        listed = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise ReadError(
            f"{path}: expected one position, got {len(names)} ({listed}); find_movies lists each as a movie of its "
            "own, or save each position as its own file"
        )
    return position or 0


def record_ome(path: Path, stack: Stack | None, dtypes: tuple[str, ...], position: int | None) -> Recording:
    """Planes of one image of an OME-TIFF.

    Parameters
    ----------
    path : Path
        One of its files, or its companion XML.
    stack : Stack or None
        The pages of that file; None for an XML.
    dtypes : tuple of str
        Types that can be used.
    position : int or None
        Which image, from 0.
    """
    meta, xml = _ome_xml(path)
    assert xml is not None
    images = parse_ome(meta, xml, _size_beside(meta))
    names = position_names(path, [image.name for image in images])
    image = images[pick_position(path, names, position)]
    files: dict[str | None, Stack] = {}
    if any(plane.file is None for plane in image.planes.values()):
        if is_companion(meta):
            raise ReadError(f"{meta}: expected the file of each plane, got planes without one; {_COPY}")
        files[None] = stack if stack is not None and meta == path else read_tiff(meta, dtypes)
    for name in image.files():
        companion = meta.parent / name
        if not companion.is_file():
            raise ReadError(
                f"{path}: expected its companion file {name} beside it, got none; copy all files of the movie"
            )
        files[name] = stack if stack is not None and companion == path else read_tiff(companion, dtypes)
    _check_ome(path, images, image, files)
    order: list[str | None] = list(files)
    sizes = image.sizes[:3]
    file_index = np.zeros(sizes, dtype=np.int32)
    offsets = np.zeros(sizes, dtype=np.int64)
    for key, plane in image.planes.items():
        file_index[key] = order.index(plane.file)
        offsets[key] = files[plane.file].offsets[plane.page]
    axes, shape = squeezed("TCZYX", image.sizes)
    first = next(iter(files.values()))
    found = image.found
    if len(images) == 1:
        found = found.also(found_micromanager(first.facts)).also(found_resolution(first.facts))
    return Recording(
        path=path,
        kind="ome-tiff",
        axes=axes,
        shape=shape,
        dtype=first.dtype.name,
        files=tuple(item.facts.path for item in files.values()),
        file_index=file_index.reshape(shape[:-2]),
        offsets=offsets.reshape(shape[:-2]),
        raw=tuple(item.raw for item in files.values()),
        dtypes=tuple(item.dtype.str for item in files.values()),
        channel_names=image.channel_names,
        found=found,
    )


def _check_ome(path: Path, images: Sequence[OmeImage], image: OmeImage, files: dict[str | None, Stack]) -> None:
    first = next(iter(files.values()))
    for name, item in files.items():
        used = [plane.page for plane in image.planes.values() if plane.file == name]
        if item.shape_yx != image.sizes[3:] or item.dtype.name != first.dtype.name:
            raise ReadError(
                f"{item.facts.path}: expected planes of {image.sizes[3]} x {image.sizes[4]} {first.dtype.name}, "
                f"got {item.shape_yx[0]} x {item.shape_yx[1]} {item.dtype.name}; {_COPY}"
            )
        n_pages = sum(plane.file == name for other in images for plane in other.planes.values())
        # a companion may hold other positions as well; the file with the XML may not hold unexplained pages
        if (used and max(used) >= len(item.offsets)) or (len(files) == 1 and n_pages != len(item.offsets)):
            t, c, z = image.sizes[:3]
            raise ReadError(
                f"{item.facts.path}: expected {max(n_pages, max(used, default=0) + 1)} planes (T {t}, C {c}, Z {z} "
                f"in the OME-XML), got {len(item.offsets)} in the file (cut off?); {_COPY}"
            )
