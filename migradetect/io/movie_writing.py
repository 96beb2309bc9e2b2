"""Write movies: for the simulator, for examples, for conversions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import AxesError, OutputError
from migradetect.io.atomic import atomic_file
from migradetect.io.naming import safe_name
from migradetect.io.ome_writing import write_ome
from migradetect.io.tiff_checks import DTYPES

__all__ = ["part_file", "write_movie", "write_ome_planes"]

#: Above this, 32-bit offsets don't reach the last directory.
_BIG = 2**32 - 2**25


@contextmanager
def part_file(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` that takes its name once it is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise OutputError(
            f"{path}: expected a place that can be written, got {error.strerror or error}; choose another folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def write_movie(
    path: str | Path,
    data: NDArray[Any],
    axes: str,
    calibration: Calibration | None,
    channel_names: Sequence[str] | None = None,
    kind: Literal["ome-tiff", "imagej", "sequence"] = "ome-tiff",
    z_step_um: float | None = None,
) -> None:
    """Write a movie that :func:`~migradetect.io.open_movie` reads back unchanged.

    Parameters
    ----------
    path : str or Path
        File; for ``"sequence"`` the folder, which is created, with one file per frame, channel and slice in it.
    data : ndarray
        Camera counts; a memory map is written plane by plane. uint8, uint16 or float32.
    axes : str
        Letter of each axis of `data` out of T, C, Z, Y, X, ending in YX.
    calibration : Calibration or None
        None writes a file without one, as some software does.
    channel_names : sequence of str, optional
        One per channel; by default without names.
    kind : {"ome-tiff", "imagej", "sequence"}
        Container. OME-TIFF is compressed (zlib), the others are not.
    z_step_um : float, optional
        Distance of the slices.

    Raises
    ------
    AxesError
        If `axes` or `channel_names` don't fit `data`, or its type can't be written.
    OutputError
        If the file can't be written.

    Notes
    -----
    The same input gives the same bytes: no date and no random identifier is written.
    """
    path = Path(path)
    order, sizes = _checked(path, data, axes, channel_names)
    names = list(channel_names or [])
    if kind == "ome-tiff":
        xml = write_ome(sizes, str(data.dtype), names or _numbered(sizes[1]), calibration, z_step_um, named=bool(names))
        write_ome_planes(path, _planes(data, axes, order, "TCZ"), sizes, str(data.dtype), xml)
    elif kind == "imagej":
        with part_file(path) as part:
            _write_imagej(
                part, _planes(data, axes, order, "TZC"), sizes, str(data.dtype), calibration, names, z_step_um
            )
    elif kind == "sequence":
        _write_sequence(path, _planes(data, axes, order, "TCZ"), sizes, str(data.dtype), calibration, names)
    else:
        raise AxesError(f"{path}: expected the kind ome-tiff, imagej or sequence, got '{kind}'; choose one of them")


def write_ome_planes(path: Path, planes: Iterator[NDArray[Any]], sizes: Sequence[int], dtype: str, xml: bytes) -> None:
    """Write planes in the order T, C, Z as a compressed OME-TIFF, one at a time, in one step.

    Parameters
    ----------
    path : Path
        Target.
    planes : iterator of ndarray, shape (Y, X)
        As many as `sizes` says.
    sizes : sequence of int
        T, C, Z, Y, X.
    dtype : str
        Type of the pixels.
    xml : bytes
        From :func:`~migradetect.io.ome_writing.write_ome`.
    """
    n_t, n_c, n_z, height, width = sizes
    big = n_t * n_c * n_z * height * width * np.dtype(dtype).itemsize > _BIG
    with (
        atomic_file(path) as part,
        tifffile.TiffWriter(part, bigtiff=big, byteorder="<", ome=False, shaped=False) as tif,
    ):
        for index, plane in enumerate(planes):
            # our own XML stands in front: it survives a cut at the end, and holds neither date nor random name
            tif.write(
                np.ascontiguousarray(plane, dtype=dtype),
                description=xml if index == 0 else None,
                metadata=None,
                photometric="minisblack",
                compression="zlib",
                # noise does not compress further, flat labels compress anyway
                compressionargs={"level": 2},
                # one strip per plane decodes fastest
                rowsperstrip=height,
                software="migradetect",
            )


def _checked(
    path: Path, data: NDArray[Any], axes: str, names: Sequence[str] | None
) -> tuple[dict[str, int], tuple[int, int, int, int, int]]:
    if len(axes) != data.ndim or not axes.endswith("YX") or set(axes) - set("TCZYX") or len(set(axes)) != len(axes):
        raise AxesError(
            f"{path}: expected a letter out of TCZYX for each of {data.ndim} axes, ending in YX, got '{axes}'; "
            "correct the axes"
        )
    if str(data.dtype) not in DTYPES:
        raise AxesError(f"{path}: expected {', '.join(DTYPES)} pixels, got {data.dtype}; convert them first")
    sizes = {axis: int(size) for axis, size in zip(axes, data.shape, strict=True)}
    if min(sizes.values()) < 1:
        raise AxesError(f"{path}: expected pixels, got an array of shape {data.shape}; give at least one plane")
    if names and len(names) != sizes.get("C", 1):
        raise AxesError(f"{path}: expected {sizes.get('C', 1)} channel names, got {len(names)}; name every channel")
    full = (sizes.get("T", 1), sizes.get("C", 1), sizes.get("Z", 1), sizes["Y"], sizes["X"])
    return sizes, full


def _numbered(n_channels: int) -> list[str]:
    return [f"channel {index}" for index in range(n_channels)]


def _planes(data: NDArray[Any], axes: str, sizes: dict[str, int], order: str) -> Iterator[NDArray[Any]]:
    """Planes with the last letter of `order` running fastest."""
    for key in np.ndindex(*(sizes.get(axis, 1) for axis in order)):
        at = dict(zip(order, key, strict=True))
        yield np.asarray(data[tuple(at[axis] for axis in axes[:-2])])


def _imagej_tags(calibration: Calibration | None) -> tuple[dict[str, Any], tuple[float, float] | None]:
    if calibration is None:
        return {}, None
    metadata: dict[str, Any] = {"unit": "um"}
    if calibration.frame_interval_s is not None:
        metadata |= {"finterval": float(calibration.frame_interval_s), "tunit": "s"}
    per_um = 1.0 / calibration.pixel_size_um
    return metadata, (per_um, per_um)


def _write_imagej(
    part: Path,
    planes: Iterator[NDArray[Any]],
    sizes: tuple[int, int, int, int, int],
    dtype: str,
    calibration: Calibration | None,
    names: Sequence[str],
    z_step_um: float | None = None,
) -> None:
    n_t, n_c, n_z, height, width = sizes
    metadata, resolution = _imagej_tags(calibration)
    metadata |= {"axes": "TZCYX"}
    if z_step_um is not None:
        metadata["spacing"] = float(z_step_um)
    if names:
        metadata["Labels"] = list(names) * (n_t * n_z)
    # ImageJ holds big-endian pixels only; a stack above 4 GB gets a single directory, as ImageJ itself writes it
    tifffile.imwrite(
        part,
        planes,
        shape=(n_t, n_z, n_c, height, width),
        dtype=np.dtype(dtype).newbyteorder(">"),
        byteorder=">",
        imagej=True,
        resolution=resolution,
        metadata=metadata,
        photometric="minisblack",
    )


def _write_sequence(
    folder: Path,
    planes: Iterator[NDArray[Any]],
    sizes: tuple[int, int, int, int, int],
    dtype: str,
    calibration: Calibration | None,
    names: Sequence[str],
) -> None:
    n_t, n_c, n_z, height, width = sizes
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: expected a folder that can be made, got {error}; choose another one") from error
    digits_t, digits_z = len(str(n_t)), len(str(n_z))
    for t, c, z in np.ndindex(n_t, n_c, n_z):
        name = folder.name
        if n_c > 1 or names:
            # MetaMorph's way: the number orders the channels, the name follows it
            name += f"_w{c + 1}" + (safe_name(names[c]).replace("_", "-").replace(".", "-") if names else "")
        name += f"_t{t + 1:0{digits_t}d}" + (f"_z{z + 1:0{digits_z}d}" if n_z > 1 else "")
        with part_file(folder / f"{name}.tif") as part:
            _write_imagej(part, iter([next(planes)]), (1, 1, 1, height, width), dtype, calibration, [])
