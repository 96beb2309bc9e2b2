"""What a TIFF file really holds: its pages, checked against the file before anything trusts them.

A cut ImageJ stack opens as one plane, a cut OME-TIFF loses its XML and a wrong SizeT gives black frames, each with
nothing but a line in a log. So every page is visited here, every strip must lie inside the file, and what tifffile logs
is an error for that file.
"""

from __future__ import annotations

import logging
import stat
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from migradetect.errors import AxesError, ReadError
from migradetect.io.tiff_checks import COPY, DTYPES, check_page, check_type
from migradetect.io.tiff_tags import metaseries_of, micromanager_of, resolution_of, shaped_of

__all__ = ["DAMAGE", "Stack", "TiffFacts", "opened", "read_tiff", "read_tiff_facts", "tifffile_complaints"]

#: What a decoder raises on damaged bytes; anything else is a bug and must show as one.
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    SyntaxError,  # of XML
    struct.error,
    zlib.error,
)


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        line = " ".join(record.getMessage().split())
        # MetaMorph leaves the date of the last change at 0, and nobody uses it
        if record.thread == self._thread and "STK DatetimeModified" not in line:
            self.lines.append(line)


@contextmanager
def tifffile_complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs as warning or error in this thread."""
    handler = _Complaints()
    logger = logging.getLogger("tifffile")
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)


@dataclass(frozen=True, slots=True)
class TiffFacts:
    """What the first page of a TIFF file says.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        ``"ome-tiff"``, ``"imagej"``, ``"micromanager"``, ``"metamorph"`` or ``"tiff"``.
    description : str
        ImageDescription tag: the OME-XML, the ImageJ text, or anything.
    imagej : dict
        ImageJ metadata; empty where there is none.
    shaped : tuple
        Sizes and axis letters (or None) of a stack saved by tifffile; empty sizes where it was not.
    resolution : tuple of float or None
        Pixels per unit along x and y.
    resolution_unit : int
        TIFF ResolutionUnit: 1 none, 2 inch, 3 cm.
    micromanager : dict
        What Micro-Manager says of the first page, with ``Summary`` of the recording; empty where it was not it.
    stk : dict
        What MetaMorph says of a stack (UIC tags); empty where there are none.
    metaseries : dict
        What MetaMorph says of a plane (XML); empty where there is none.
    """

    path: Path
    kind: Literal["ome-tiff", "imagej", "micromanager", "metamorph", "tiff"]
    description: str
    imagej: dict[str, Any]
    shaped: tuple[tuple[int, ...], str | None]
    resolution: tuple[float, float] | None
    resolution_unit: int
    micromanager: dict[str, Any]
    stk: dict[str, Any]
    metaseries: dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """Planes of one TIFF file in stored order.

    Parameters
    ----------
    facts : TiffFacts
        What the file says about itself.
    shape_yx : tuple of int
        Rows and columns of a plane.
    dtype : numpy.dtype
        With the byte order of the file.
    offsets : ndarray of int64
        Place of each plane: of its pixels where `raw`, else of its directory.
    raw : bool
        The pixels are stored uncompressed and in one piece.
    """

    facts: TiffFacts
    shape_yx: tuple[int, int]
    dtype: np.dtype[Any]
    offsets: NDArray[np.int64]
    raw: bool


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open file whose complaints and crashes come out as one ReadError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # a pipe would block, a device would never end
            raise ReadError(f"{path}: expected a file, got a folder or device; give a file")
        with tifffile_complaints() as lines, tifffile.TiffFile(path) as tif:
            if len(tif.pages) == 0:
                raise ReadError(f"{path}: expected at least one image, got an empty TIFF; {COPY}")
            yield tif
            if lines:
                raise ReadError(f"{path}: expected an intact TIFF, got a damaged one ({lines[0][:200]}); {COPY}")
    except (ReadError, AxesError):
        raise
    except FileNotFoundError as error:
        raise ReadError(f"{path}: expected a file, got none; check the path") from error
    except PermissionError as error:
        raise ReadError(f"{path}: expected a file that can be read, got no permission; ask its owner") from error
    except DAMAGE as error:
        raise ReadError(f"{path}: expected an intact TIFF, got a damaged one ({_reason(error)}); {COPY}") from error


@lru_cache(maxsize=256)
def _facts_of(path: Path, _size: int, _mtime: int) -> TiffFacts:
    with opened(path) as tif:
        return _facts(path, tif)


def read_tiff_facts(path: Path) -> TiffFacts:
    """First page of a TIFF file, without visiting the others.

    Raises
    ------
    ReadError
        If it is not an intact TIFF file.
    """
    try:
        status = path.stat()
    except OSError:
        return _facts_of.__wrapped__(path, 0, 0)
    return _facts_of(path, status.st_size, status.st_mtime_ns)


def _facts(path: Path, tif: tifffile.TiffFile) -> TiffFacts:
    page = tif.pages.first
    tag = page.tags.get(270)
    description = tag.value if tag is not None else ""
    if isinstance(description, bytes):
        description = description.decode("utf-8", "replace")
    description = str(description)
    imagej = dict(tif.imagej_metadata or {}) if tif.is_imagej else {}
    is_ome = "<OME" in description[:4096] or description.rstrip().endswith("OME>")
    if ".ome." in path.name.lower() and not is_ome:
        # the XML of a cut file is often the first thing to go; channels would become time points
        raise ReadError(f"{path}: expected OME-XML in an .ome.tif file, got none; {COPY}")
    micromanager = micromanager_of(tif)
    stk = dict(tif.stk_metadata or {}) if tif.is_stk else {}
    return TiffFacts(
        path=path,
        # Micro-Manager writes an ImageJ description too, which says less
        kind="ome-tiff"
        if is_ome
        else "micromanager"
        if micromanager
        else "imagej"
        if imagej
        else "metamorph"
        if stk
        else "tiff",
        description=description,
        imagej=imagej,
        shaped=shaped_of(description),
        resolution=resolution_of(page),
        resolution_unit=int(page.tags[296].value) if 296 in page.tags else 2,  # inch is the TIFF default
        micromanager=micromanager,
        stk=stk,
        metaseries=metaseries_of(path, tif),
    )


def read_tiff(path: Path, dtypes: tuple[str, ...] = DTYPES) -> Stack:
    """Every page of a TIFF file, checked.

    Parameters
    ----------
    path : Path
        TIFF file.
    dtypes : tuple of str
        Types that can be used.

    Returns
    -------
    Stack

    Raises
    ------
    ReadError
        If it is cut, damaged or inconsistent.
    AxesError
        If its pixels are of a kind that can't be used.
    """
    with opened(path) as tif:
        facts = _facts(path, tif)
        size = path.stat().st_size
        first = tif.pages.first
        directories: list[int] = []
        places: list[int] = []
        raw = True
        for index in range(len(tif.pages)):
            page = tif.pages.get(index, aspage=True)
            if page.is_reduced:  # a preview, not a frame
                continue
            check_type(path, page, dtypes)
            check_page(path, index, page, first, size)
            directories.append(page.offset)
            places.append(page.dataoffsets[0])
            raw = raw and bool(page.is_final)
        shape = (int(first.imagelength), int(first.imagewidth))
        dtype = np.dtype(first.dtype).newbyteorder(tif.byteorder)
        if raw and len(places) == 1:
            places = _in_one_piece(facts, places[0], shape[0] * shape[1] * dtype.itemsize, size)
    return Stack(facts, shape, dtype, np.array(places if raw else directories, dtype=np.int64), raw)


def _in_one_piece(facts: TiffFacts, start: int, n_bytes: int, size: int) -> list[int]:
    """Places of planes that follow the only directory, as ImageJ writes above 4 GB."""
    declared = 1
    if facts.kind == "imagej":
        declared = int(facts.imagej.get("images", 1))
    elif facts.kind == "metamorph":
        declared = int(facts.stk.get("NumberPlanes", 1))
    elif facts.shaped[0]:
        declared = int(np.prod(facts.shaped[0][:-2], dtype=object))
    if declared <= 1:
        return [start]
    if declared * n_bytes > size - start:
        raise ReadError(
            f"{facts.path}: expected {declared} images of {n_bytes} bytes, got a file of {size} (cut off); {COPY}"
        )
    return [start + index * n_bytes for index in range(declared)]
