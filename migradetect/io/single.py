"""A movie in one TIFF file (or an OME-TIFF with its companions): which plane is which."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from migradetect.errors import CalibrationError, ReadError
from migradetect.io.ome import OmeImage, parse_ome
from migradetect.io.options import Kind
from migradetect.io.recording import Found, Recording, squeezed
from migradetect.io.tiff import Stack, TiffFacts, read_tiff, read_tiff_facts
from migradetect.io.tiff_checks import DTYPES
from migradetect.io.units import interval_s, length_um, square_pixel

__all__ = ["companions", "record_file"]

_COPY = "copy the file again or export it again"


def companions(path: Path) -> tuple[Path, ...]:
    """Files that belong to a movie, `path` first; only an OME-TIFF has further ones.

    Raises
    ------
    ReadError
        If the file is damaged.
    """
    facts = read_tiff_facts(path)
    if facts.kind != "ome-tiff":
        return (path,)
    image = parse_ome(path, facts.description)
    names = sorted({plane.file for plane in image.planes.values() if plane.file is not None})
    return (path, *(path.parent / name for name in names))


def record_file(path: Path, labels: bool = False) -> Recording:
    """Planes of a TIFF file with the axes and calibration that stand in it.

    Parameters
    ----------
    path : Path
        TIFF file.
    labels : bool
        Label images, which may be 32 bit, instead of camera counts.

    Raises
    ------
    ReadError
        If the file is damaged, cut, or holds other planes than it says.
    AxesError
        If its pixels are of a kind that can't be used.
    """
    stack = read_tiff(path, (*DTYPES, "uint32") if labels else DTYPES)
    if stack.facts.kind == "ome-tiff":
        return _record_ome(stack)
    if stack.facts.kind == "imagej":
        return _record_imagej(stack)
    return _record_plain(stack)


def _record_ome(stack: Stack) -> Recording:
    path = stack.facts.path
    image = parse_ome(path, stack.facts.description)
    names = sorted({plane.file for plane in image.planes.values() if plane.file is not None})
    files: dict[str | None, Stack] = {None: stack}
    for name in names:
        assert name is not None
        if not (path.parent / name).is_file():
            raise ReadError(
                f"{path}: expected its companion file {name} beside it, got none; copy all files of the movie"
            )
        files[name] = read_tiff(path.parent / name)
    _check_ome(path, image, files)
    order: list[str | None] = list(files)
    sizes = image.sizes[:3]
    file_index = np.zeros(sizes, dtype=np.int32)
    offsets = np.zeros(sizes, dtype=np.int64)
    for key, plane in image.planes.items():
        file_index[key] = order.index(plane.file)
        offsets[key] = files[plane.file].offsets[plane.page]
    axes, shape = squeezed("TCZYX", image.sizes)
    return Recording(
        path=path,
        kind="ome-tiff",
        axes=axes,
        shape=shape,
        dtype=stack.dtype.name,
        files=tuple(item.facts.path for item in files.values()),
        file_index=file_index.reshape(shape[:-2]),
        offsets=offsets.reshape(shape[:-2]),
        raw=tuple(item.raw for item in files.values()),
        dtypes=tuple(item.dtype.str for item in files.values()),
        channel_names=image.channel_names,
        found=image.found,
    )


def _check_ome(path: Path, image: OmeImage, files: dict[str | None, Stack]) -> None:
    for name, item in files.items():
        used = [plane.page for plane in image.planes.values() if plane.file == name]
        if item.shape_yx != image.sizes[3:] or item.dtype.name != files[None].dtype.name:
            raise ReadError(
                f"{item.facts.path}: expected planes of {image.sizes[3]} x {image.sizes[4]} {files[None].dtype.name}, "
                f"got {item.shape_yx[0]} x {item.shape_yx[1]} {item.dtype.name}; {_COPY}"
            )
        # a companion may hold other positions as well; the file with the XML may not hold unexplained pages
        if (used and max(used) >= len(item.offsets)) or (len(files) == 1 and len(used) != len(item.offsets)):
            t, c, z = image.sizes[:3]
            raise ReadError(
                f"{item.facts.path}: expected {max(len(used), max(used, default=0) + 1)} planes (T {t}, C {c}, Z {z} "
                f"in the OME-XML), got {len(item.offsets)} in the file (cut off?); {_COPY}"
            )


def _record_imagej(stack: Stack) -> Recording:
    facts = stack.facts
    meta = facts.imagej
    n_planes = len(stack.offsets)
    n_c, n_z, n_t = (_count(facts, name) for name in ("channels", "slices", "frames"))
    declared = _count(facts, "images", n_c * n_z * n_t)
    if declared != n_planes or (n_c * n_z * n_t not in (1, n_planes)):
        raise ReadError(
            f"{facts.path}: expected {declared} images (channels {n_c}, slices {n_z}, frames {n_t} in the ImageJ tag), "
            f"got {n_planes} in the file (cut off?); {_COPY}"
        )
    axes: str
    shape: tuple[int, ...]
    if n_c * n_z * n_t == 1 and n_planes > 1:  # a stack that ImageJ never called slices or frames
        axes, shape = "?YX", (n_planes, *stack.shape_yx)
    else:
        axes, shape = squeezed("TZCYX", (n_t, n_z, n_c, *stack.shape_yx))
    found = meta.get("Labels", [])
    labels = [str(label) for label in ([found] if isinstance(found, str) else found)]  # tifffile unpacks a single one
    names = tuple(labels[:n_c]) if len(labels) == n_planes and n_c * n_z * n_t == n_planes else ()
    return _of_stack(stack, "imagej", axes, shape, names, _found_imagej(facts))


def _count(facts: TiffFacts, name: str, default: int = 1) -> int:
    value = facts.imagej.get(name, default)
    if not isinstance(value, int) or not 0 < value <= 10_000_000:
        raise ReadError(f"{facts.path}: expected a number of {name} in the ImageJ tag, got {value!r}; {_COPY}")
    return value


def _found_imagej(facts: TiffFacts) -> Found:
    unit = str(facts.imagej.get("unit", ""))
    sides: list[float | None] = [None, None]
    if facts.resolution is not None and min(facts.resolution) > 0:
        # a resolution without a unit of length is a number of pixels per nothing
        per_x, per_y = facts.resolution
        sides = [length_um(1 / per_y, str(facts.imagej.get("yunit", unit))), length_um(1 / per_x, unit)]
    return _found(facts.path, sides, "ImageJ", facts)


def _record_plain(stack: Stack) -> Recording:
    facts = stack.facts
    n_planes = len(stack.offsets)
    axes = "?YX"
    shape: tuple[int, ...] = (n_planes, *stack.shape_yx)
    sizes, letters = facts.shaped
    if sizes:
        if int(np.prod(sizes[:-2], dtype=object)) != n_planes or sizes[-2:] != stack.shape_yx:
            raise ReadError(
                f"{facts.path}: expected a stack of {' x '.join(map(str, sizes))}, got {n_planes} planes of "
                f"{stack.shape_yx[0]} x {stack.shape_yx[1]} (cut off?); {_COPY}"
            )
        named = letters is not None and len(letters) == len(sizes) and letters.endswith("YX") and len(sizes) > 2
        if named and not set(cast(str, letters)[:-2]) - set("TCZ"):
            axes, shape = squeezed(cast(str, letters), sizes)
        else:
            axes, shape = squeezed("?" * (len(sizes) - 2) + "YX", sizes)
    else:
        axes, shape = squeezed(axes, shape)
    sides: list[float | None] = [None, None]
    factor = {2: "inch", 3: "cm"}.get(facts.resolution_unit)
    if factor is not None and facts.resolution is not None and min(facts.resolution) > 0:
        per_x, per_y = facts.resolution
        sides = [length_um(1 / per_y, factor), length_um(1 / per_x, factor)]
        if any(side is not None and side > 10 for side in sides):  # 72 or 300 dots per inch are a printer's
            sides = [None, None]
    return _of_stack(stack, "tiff", axes, shape, (), _found(facts.path, sides, "TIFF resolution", facts))


def _found(path: Path, sides: list[float | None], source: str, facts: TiffFacts) -> Found:
    problem = None
    try:
        size = square_pixel(path, *sides)
    except CalibrationError as error:
        size, problem = None, str(error)
    interval = facts.imagej.get("finterval")
    seconds = None
    if isinstance(interval, (int, float)) and interval != 0:  # ImageJ writes 0 where none was set
        seconds = interval_s(float(interval), str(facts.imagej.get("tunit", "s")))
    return Found(
        pixel_size_um=size,
        pixel_size_source=None if size is None else source,
        frame_interval_s=seconds,
        frame_interval_source=None if seconds is None else source,
        problem=problem,
    )


def _of_stack(
    stack: Stack, kind: Kind, axes: str, shape: tuple[int, ...], names: tuple[str, ...], found: Found
) -> Recording:
    if shape == (1, *stack.shape_yx):
        axes, shape = squeezed(axes, shape)
    return Recording(
        path=stack.facts.path,
        kind=kind,
        axes=axes,
        shape=shape,
        dtype=stack.dtype.name,
        files=(stack.facts.path,),
        file_index=np.zeros(shape[:-2], dtype=np.int32),
        offsets=stack.offsets.reshape(shape[:-2]),
        raw=(stack.raw,),
        dtypes=(stack.dtype.str,),
        channel_names=names,
        found=found,
    )
