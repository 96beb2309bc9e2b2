"""ND2, CZI and LIF, each read through its bioio plugin."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import AxesError, CalibrationError, MigradetectError, ReadError
from migradetect.io.extras import require
from migradetect.io.ome_files import pick_position, position_names
from migradetect.io.options import Kind
from migradetect.io.recording import Found, Recording, fewer_frames, squeezed
from migradetect.io.tiff import tifffile_complaints
from migradetect.io.tiff_calibration import number
from migradetect.io.tiff_checks import DTYPES, MAX_PIXELS
from migradetect.io.units import square_pixel

__all__ = ["FOREIGN", "BioioReader", "foreign_positions", "record_foreign"]

#: Suffix -> kind, which is also the name of the extra, and the plugin.
FOREIGN: dict[str, tuple[Kind, str]] = {
    ".nd2": ("nd2", "bioio_nd2"),
    ".czi": ("czi", "bioio_czi"),
    ".lif": ("lif", "bioio_lif"),
}
_COPY = "copy the file again, or export the movie as OME-TIFF"
_MAX_PLANES = 2_000_000


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a plugin raises or warns of comes out as one ReadError."""
    try:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            yield
    except MigradetectError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(f"{path}: expected an intact {path.suffix} file, got '{reason}'; {_COPY}") from error


@lru_cache(maxsize=2)
def _open(path: str, scene: int, _size: int, _mtime: int) -> Any:
    kind, module = FOREIGN[Path(path).suffix.casefold()]
    reader = require(Path(path), module, kind).Reader(path)
    if scene:
        reader.set_scene(scene)
    return reader


def _reader(path: Path, scene: int) -> Any:
    try:
        status = path.stat()
    except OSError as error:
        raise ReadError(f"{path}: expected a file, got none ({error.strerror}); check the path") from error
    return _open(str(path), scene, status.st_size, status.st_mtime_ns)


def foreign_positions(path: Path) -> tuple[str, ...]:
    """Name of each position; empty for a single one.

    Raises
    ------
    ReadError
        If the reader is not installed, or the file is damaged.
    """
    with _reading(path):
        return position_names(path, [str(name) for name in _reader(path, 0).scenes])


@dataclass(frozen=True, slots=True)
class BioioReader:
    """Planes of one scene; the file is opened in whichever process asks.

    Parameters
    ----------
    path : str
        The file.
    scene : int
        Number of the scene.
    sizes : tuple of int
        T, C, Z.
    """

    path: str
    scene: int
    sizes: tuple[int, int, int]

    def plane(self, index: int) -> NDArray[Any]:
        """One plane, shape (Y, X), by its number in the order T, C, Z.

        Raises
        ------
        ReadError
            If it can't be read, or is not there.
        """
        t, c, z = (int(at) for at in np.unravel_index(index, self.sizes))
        path = Path(self.path)
        with _reading(path), tifffile_complaints() as lines:
            lazy = _reader(path, self.scene).get_image_dask_data("YX", T=t, C=c, Z=z)
            plane = np.asarray(lazy.compute(scheduler="synchronous"))
        if lines:
            raise ReadError(f"{path}: expected intact planes, got '{lines[0][:200]}'; {_COPY}")
        if not plane.any():
            # the readers fill in zeros for what is not in the file; no camera writes a plane of zeros
            raise ReadError(f"{path}: expected pixels at T {t}, C {c}, Z {z}, got only zeros (missing?); {_COPY}")
        return plane


def record_foreign(path: Path, position: int | None) -> Recording:
    """Planes of an ND2, CZI or LIF file with the axes and calibration that stand in it.

    Parameters
    ----------
    path : Path
        The file.
    position : int or None
        Which scene, from 0.

    Raises
    ------
    ReadError
        If the reader is not installed, or the file is damaged.
    AxesError
        If its axes or pixels are of a kind that can't be used.
    """
    kind, _ = FOREIGN[path.suffix.casefold()]
    scene = pick_position(path, foreign_positions(path), position)
    with _reading(path):
        reader = _reader(path, scene)
        sizes = {axis: int(size) for axis, size in zip(reader.dims.order, reader.dims.shape, strict=True)}
        dtype = np.dtype(reader.dtype).name
        names = tuple(str(name) for name in reader.channel_names or ())
        found = _found(path, kind, reader)
        declared = _declared_czi(reader) if kind == "czi" else {}
    odd = [f"{axis} {size}" for axis, size in sizes.items() if axis not in "TCZYX" and size > 1]
    if odd:
        raise AxesError(f"{path}: expected the axes T, C, Z, Y, X, got also {', '.join(odd)}; {_COPY}")
    if dtype not in DTYPES:
        raise AxesError(f"{path}: expected {', '.join(DTYPES)} pixels, got {dtype}; convert it to 16 bit")
    n_t, n_c, n_z, n_y, n_x = (sizes.get(axis, 1) for axis in "TCZYX")
    if min(n_t, n_c, n_z, n_y, n_x) < 1 or n_t * n_c * n_z > _MAX_PLANES or n_y * n_x > MAX_PIXELS:
        raise ReadError(f"{path}: expected sizes of a movie, got T, C, Z, Y, X = {(n_t, n_c, n_z, n_y, n_x)}; {_COPY}")
    n_planned = declared.pop("T", 0)
    fewer = [f"{axis} {n} (got {sizes.get(axis, 1)})" for axis, n in declared.items() if n > sizes.get(axis, 1)]
    if fewer:
        # a damaged directory of planes loses some of them without a word
        raise ReadError(f"{path}: expected {', '.join(fewer)} as its metadata says, got fewer planes; {_COPY}")
    axes, shape = squeezed("TCZYX", (n_t, n_c, n_z, n_y, n_x))
    return Recording(
        path=path,
        kind=kind,
        axes=axes,
        shape=shape,
        dtype=dtype,
        files=(path,),
        file_index=np.zeros(shape[:-2], dtype=np.int32),
        offsets=np.arange(n_t * n_c * n_z, dtype=np.int64).reshape(shape[:-2]),
        raw=(False,),
        dtypes=(np.dtype(dtype).str,),
        channel_names=names if len(names) == n_c else (),
        found=found,
        reader=BioioReader(str(path), scene, (n_t, n_c, n_z)),
        warnings=fewer_frames(path, n_t, n_planned),
    )


def _declared_czi(reader: Any) -> dict[str, int]:
    """Number of frames, channels and slices that the metadata of a CZI file says."""
    texts = {axis: reader.metadata.findtext(f".//Information/Image/Size{axis}") for axis in "TCZ"}
    return {axis: int(text) for axis, text in texts.items() if text is not None and text.isdecimal()}


def _found(path: Path, kind: Kind, reader: Any) -> Found:
    source = kind.upper()
    sizes = reader.physical_pixel_sizes
    problem, size = None, None
    try:
        size = square_pixel(path, number(sizes.Y), number(sizes.X))
    except CalibrationError as error:
        problem = str(error)
    interval: Any = getattr(reader, "time_interval", None)
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else number(interval)
    intervals = [(source, seconds)]
    if kind == "nd2":
        intervals += _nd2_intervals(path)
    coordinates = reader.xarray_dask_data.coords
    if kind == "lif" and len(coordinates.get("T", ())) > 1:
        intervals.append((source, float(np.median(np.diff(coordinates["T"])))))
    return Found.of([(source, size)], intervals, problem)


def _nd2_intervals(path: Path) -> list[tuple[str, float | None]]:
    """Planned interval and that by the clock; the plugin hands out neither where the plan was 'no delay'."""
    with require(path, "nd2", "nd2").ND2File(path) as file:
        loops = [loop for loop in file.experiment if loop.type in ("TimeLoop", "NETimeLoop")]
    parameters = [loop.parameters for loop in loops[:1]]
    # a loop of several phases has one period each
    single = [phase for each in parameters for phase in getattr(each, "periods", None) or [each]]
    if len(single) != 1:
        return []
    clock = getattr(getattr(single[0], "periodDiff", None), "avg", None)
    planned = number(getattr(single[0], "periodMs", None))
    return [
        ("ND2", None if planned is None else planned / 1000),
        ("ND2 clock", None if clock is None else clock / 1000),
    ]
