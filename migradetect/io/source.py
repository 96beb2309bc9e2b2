"""Planes read one at a time, in whichever process asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from migradetect.errors import ReadError
from migradetect.io.options import Projection
from migradetect.io.recording import PlaneReader
from migradetect.io.tiff import DAMAGE, tifffile_complaints
from migradetect.io.tiff_rows import page_rows

__all__ = ["ReaderSource", "TiffSource", "read_plane"]

#: Strips or tiles of at most this part of the rows can be read by themselves to advantage.
_FEW = 4


def _projected(planes: Iterator[NDArray[Any]], projection: Projection | None) -> NDArray[Any]:
    plane = next(planes)
    if projection is None:
        return plane
    if projection == "max":
        for other in planes:
            plane = np.maximum(plane, other)
        return plane
    # float64 is exact for any sum of 16-bit slices, and the result fits what a frame is handed out as
    total = plane.astype(np.float64)
    for other in planes:
        total += other
    return total.astype(np.float32)


@dataclass(frozen=True)
class ReaderSource:
    """Planes of a container that is not TIFF.

    Parameters
    ----------
    reader : PlaneReader
        Hands out planes by number.
    numbers : ndarray of int64, shape (T, C, Z)
        Number of each plane.
    dtype : str
        Type of the pixels.
    shape_yx : tuple of int
        Rows and columns.
    projection : {"max", "sum"} or None
        How Z becomes one plane.
    """

    reader: PlaneReader
    numbers: NDArray[np.int64]
    dtype: str
    shape_yx: tuple[int, int]
    projection: Projection | None = None

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel after the projection, shape (Y, X).

        Raises
        ------
        ReadError
            If the file changed or its pixels are damaged.
        """
        return _projected((self._plane(int(number)) for number in self.numbers[frame, channel]), self.projection)

    def _plane(self, number: int) -> NDArray[Any]:
        plane = self.reader.plane(number)
        if plane.shape != self.shape_yx or plane.dtype.name != self.dtype:
            raise ReadError(
                f"{self.reader.path}: expected planes of {self.shape_yx} {self.dtype}, got {plane.shape} "
                f"{plane.dtype.name}; the file changed since it was opened"
            )
        # byte order is the container's affair
        return plane.astype(plane.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True)
class TiffSource:
    """Planes of one movie: where each one lies; nothing is kept open, so it can be sent to a worker.

    Parameters
    ----------
    files : tuple of str
        Files that hold the planes.
    file_index, offsets : ndarray, shape (T, C, Z)
        File of each plane, and its place: of the pixels where that file is raw, else of the page's directory.
    raw : tuple of bool
        Whether each file stores its pixels uncompressed.
    dtypes : tuple of str
        Type of each file's pixels, with byte order.
    shape_yx : tuple of int
        Rows and columns.
    projection : {"max", "sum"} or None
        How Z becomes one plane.
    """

    files: tuple[str, ...]
    file_index: NDArray[np.int32]
    offsets: NDArray[np.int64]
    raw: tuple[bool, ...]
    dtypes: tuple[str, ...]
    shape_yx: tuple[int, int]
    projection: Projection | None = None

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel after the projection, shape (Y, X).

        Raises
        ------
        ReadError
            If the file changed or its pixels are damaged.
        """
        planes = (self._plane(frame, channel, z) for z in range(self.offsets.shape[2]))
        return _projected(planes, self.projection)

    def read_rows(self, frame: int, channel: int, start: int, stop: int) -> NDArray[Any]:
        """Some rows of what :meth:`read` gives, shape (stop - start, X); no more of the file than they need.

        It may be called from several threads.

        Raises
        ------
        ReadError
            If the file changed or these pixels are damaged.
        """
        planes = (self._plane(frame, channel, z, (start, stop)) for z in range(self.offsets.shape[2]))
        return _projected(planes, self.projection)

    def has_rows(self, frame: int, channel: int) -> bool:
        """Whether some rows of this plane can be read without most of the others: it is not one compressed piece.

        Raises
        ------
        ReadError
            If the file changed or is damaged.
        """
        files = [int(file) for file in self.file_index[frame, channel]]
        if all(self.raw[file] for file in files):
            return True
        path = Path(self.files[files[0]])
        try:
            with tifffile.TiffFile(path, _multifile=False) as tif:
                tif.filehandle.seek(int(self.offsets[frame, channel, 0]))
                page = tifffile.TiffPage(tif, 0)
                rows = int(page.tilelength if page.is_tiled else page.rowsperstrip)
        except DAMAGE as error:
            raise ReadError(f"{path}: expected an intact page, got '{error}'; copy the file again") from error
        return rows * _FEW <= self.shape_yx[0]

    def _plane(self, frame: int, channel: int, z: int, rows: tuple[int, int] | None = None) -> NDArray[Any]:
        file = int(self.file_index[frame, channel, z])
        offset = int(self.offsets[frame, channel, z])
        dtype = np.dtype(self.dtypes[file])
        return read_plane(Path(self.files[file]), offset, self.raw[file], dtype, self.shape_yx, rows)


def read_plane(
    path: Path,
    offset: int,
    raw: bool,
    dtype: np.dtype[Any],
    shape_yx: tuple[int, int],
    rows: tuple[int, int] | None = None,
) -> NDArray[Any]:
    """One plane of a TIFF file in native byte order, or some rows of it; see :class:`TiffSource`."""
    remedy = "the file is damaged or changed since it was opened; copy it again"
    start, stop = (0, shape_yx[0]) if rows is None else rows
    if not 0 <= start < stop <= shape_yx[0]:
        raise IndexError(f"expected rows within 0 to {shape_yx[0]}, got {start} to {stop}")
    count = (stop - start) * shape_yx[1]
    try:
        if raw:
            # not a memory map: a file that shrinks under a map kills the process instead of raising
            offset += start * shape_yx[1] * dtype.itemsize
            plane = np.fromfile(path, dtype=dtype, count=count, offset=offset)
            if plane.size != count:
                raise ReadError(f"{path}: expected {count} pixels at byte {offset}, got {plane.size}; {remedy}")
            plane = plane.reshape(stop - start, shape_yx[1])
        else:
            with tifffile_complaints() as lines, tifffile.TiffFile(path, _multifile=False) as tif:
                tif.filehandle.seek(offset)
                # going straight to the directory spares walking the chain of all pages before it
                page = tifffile.TiffPage(tif, 0)
                shape = (int(page.imagelength), int(page.imagewidth))
                plane = page.asarray() if rows is None else page_rows(page, start, stop)
                if lines:
                    raise ReadError(f"{path}: expected an intact page at byte {offset}, got '{lines[0]}'; {remedy}")
            if shape != shape_yx or plane.shape != (stop - start, shape_yx[1]):
                raise ReadError(f"{path}: expected a page of {shape_yx} at byte {offset}, got {shape}; {remedy}")
    except ReadError:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(f"{path}: expected an intact page at byte {offset}, got '{reason}'; {remedy}") from error
    return plane.astype(dtype.newbyteorder("="), copy=False)
