"""OME-Zarr 0.4 and 0.5: images, bioformats2raw collections and plates."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import AxesError, MigradetectError, ReadError
from migradetect.io.extras import require
from migradetect.io.naming import natural_key
from migradetect.io.ome_files import pick_position
from migradetect.io.recording import Recording, squeezed
from migradetect.io.tiff_checks import DTYPES, MAX_PIXELS
from migradetect.io.zarr_metadata import check_codecs, found_scale, is_blosc

__all__ = ["ZarrReader", "is_zarr", "record_zarr", "zarr_files", "zarr_positions"]

_COPY = "copy the whole folder again, or export the movie as OME-TIFF"
_META = ("zarr.json", ".zattrs", ".zgroup")
_MAX_JSON = 2**24
_MAX_PLANES = 2_000_000
_MAX_IMAGES = 100_000


def is_zarr(folder: Path) -> bool:
    """Whether a folder is the root of a Zarr container."""
    return any((folder / name).is_file() for name in _META)


def zarr_files(root: Path) -> tuple[Path, ...]:
    """Every file of a container, in natural order."""
    found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
    return tuple(sorted(found, key=lambda path: natural_key(path.relative_to(root).as_posix())))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON:
            raise ReadError(f"{path}: expected metadata of less than {_MAX_JSON} bytes, got more; {_COPY}")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ReadError(f"{path}: expected JSON, got a damaged file ({error}); {_COPY}") from error
    if not isinstance(values, dict):
        raise ReadError(f"{path}: expected a JSON object, got {type(values).__name__}; {_COPY}")
    return values


def _attributes(folder: Path) -> dict[str, Any]:
    """OME attributes of a group: below ``ome`` in version 0.5, at the top in 0.4."""
    attributes = _read_json(folder / "zarr.json").get("attributes")
    if isinstance(attributes, dict) and isinstance(attributes.get("ome"), dict):
        return dict(attributes["ome"])
    return _read_json(folder / ".zattrs")


def _below(root: Path, folder: Path, name: Any) -> Path:
    """A folder named by the metadata, if it lies inside the container."""
    parts = str(name).split("/")
    path = folder.joinpath(*parts)
    if (
        not isinstance(name, str)
        or any(part in ("", ".", "..") or re.search(r"[\\:\x00]", part) for part in parts)
        or not path.resolve().is_relative_to(root.resolve())
    ):
        raise ReadError(f"{root}: expected paths inside the container, got {name!r}; {_COPY}")
    return path


def _listed(values: Any) -> list[dict[str, Any]]:
    return [item for item in values if isinstance(item, dict)][:_MAX_IMAGES] if isinstance(values, list) else []


def _images(root: Path) -> list[tuple[str, Path]]:
    """Name and folder of every image."""
    attributes = _attributes(root)
    if "multiscales" in attributes:
        return [("", root)]
    plate = attributes.get("plate")
    if isinstance(plate, dict):
        wells = [_below(root, root, well.get("path")) for well in _listed(plate.get("wells"))]
        found = []
        for well in wells:
            block = _attributes(well).get("well")
            for image in _listed(block.get("images") if isinstance(block, dict) else None):
                folder = _below(root, well, image.get("path"))
                found.append((_well_name(folder.relative_to(root).parts), folder))
        return found
    numbered = sorted(
        (item for item in root.iterdir() if item.name.isdecimal()), key=lambda item: natural_key(item.name)
    )
    return [(f"image{item.name}", item) for item in numbered if "multiscales" in _attributes(item)]


def _well_name(parts: Sequence[str]) -> str:
    row, column, *field = parts if len(parts) >= 2 else (*parts, "")
    return f"{row}{int(column):02d}_f{'_'.join(field)}" if column.isdecimal() else "_".join(parts)


def zarr_positions(root: Path) -> tuple[str, ...]:
    """Name of each image; empty for a single one.

    Raises
    ------
    ReadError
        If the metadata is damaged.
    """
    images = _images(root)
    return tuple(name for name, _ in images) if len(images) > 1 else ()


@lru_cache(maxsize=4)
def _array(path: str) -> Any:
    zarr = require(Path(path), "zarr", "zarr")
    return zarr.open_array(path, mode="r")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except MigradetectError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(f"{path}: expected intact Zarr data, got '{reason}'; {_COPY}") from error


@dataclass(frozen=True, slots=True)
class ZarrReader:
    """Planes of one array.

    Parameters
    ----------
    path : str
        Folder of the array.
    leading : tuple of int
        Its shape without Y and X.
    """

    path: str
    leading: tuple[int, ...]

    def plane(self, index: int) -> NDArray[Any]:
        """One plane, shape (Y, X), by its number in stored order.

        Raises
        ------
        ReadError
            If it can't be read.
        """
        at = tuple(int(value) for value in np.unravel_index(index, self.leading)) if self.leading else ()
        with _reading(Path(self.path)):
            plane = np.asarray(_array(self.path)[at])
        if not plane.any():
            raise ReadError(f"{self.path}: expected pixels in plane {at}, got only zeros (missing?); {_COPY}")
        return plane


def record_zarr(root: Path, position: int | None) -> Recording:
    """Planes of an OME-Zarr image at full resolution, with the axes and calibration that stand in it.

    Parameters
    ----------
    root : Path
        The container.
    position : int or None
        Which image, from 0.

    Raises
    ------
    ReadError
        If the reader is not installed, or metadata or chunks are damaged or missing.
    AxesError
        If its axes or pixels are of a kind that can't be used.
    """
    images = _images(root)
    if not images:
        raise ReadError(f"{root}: expected OME-Zarr (multiscales), got another Zarr; write it with its OME metadata")
    _, folder = images[pick_position(root, zarr_positions(root), position)]
    attributes = _attributes(folder)
    scales = _listed(attributes.get("multiscales"))
    datasets = _listed(scales[0].get("datasets")) if scales else []
    axes = _listed(scales[0].get("axes")) if scales else []
    letters = "".join(str(axis.get("name", "?")).upper() for axis in axes)
    if not datasets or len(letters) != len(axes) or not letters.endswith("YX") or set(letters) - set("TCZYX"):
        raise AxesError(
            f"{root}: expected axes out of t, c, z, y, x in the OME-Zarr metadata, got '{letters.lower()}'; {_COPY}"
        )
    place = _below(root, folder, datasets[0].get("path"))
    shape, dtype = _declared(root, place)
    if len(shape) != len(letters) or len(set(letters)) != len(letters):
        raise AxesError(f"{root}: expected {len(letters)} axes ({letters}), got {len(shape)} in the array; {_COPY}")
    with _reading(place):
        array = _array(str(place))
        n_chunks, n_there = math.prod(array.cdata_shape), array.nchunks_initialized
    if array.shards is None and n_there != n_chunks:
        # absent chunks read as zeros; a camera has no black squares
        raise ReadError(
            f"{root}: expected {n_chunks} chunks, got {n_there} (missing ones read as zeros); copy the whole folder "
            "again, or write it with write_empty_chunks"
        )
    if array.shards is None and is_blosc(_meta(place)):
        _check_blosc(root, place)
    kept, sizes = squeezed(letters, shape)
    leading = shape[:-2]
    labels = [channel.get("label") for channel in _listed(_block(attributes, "omero").get("channels"))]
    n_c = dict(zip(letters, shape, strict=True)).get("C", 1)
    return Recording(
        path=root,
        kind="ome-zarr",
        axes=kept,
        shape=sizes,
        dtype=dtype,
        files=(root,),
        file_index=np.zeros(sizes[:-2], dtype=np.int32),
        offsets=np.arange(math.prod(leading), dtype=np.int64).reshape(sizes[:-2]),
        raw=(False,),
        dtypes=(np.dtype(dtype).str,),
        channel_names=tuple(None if label is None else str(label) for label in labels) if len(labels) == n_c else (),
        found=found_scale(root, axes, scales[0], datasets[0]),
        reader=ZarrReader(str(place), leading),
    )


def _block(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    block = values.get(name)
    return block if isinstance(block, dict) else {}


def _meta(place: Path) -> dict[str, Any]:
    return _read_json(place / "zarr.json") or _read_json(place / ".zarray")


def _check_blosc(root: Path, place: Path) -> None:
    """Refuse cut chunks: Blosc believes the length in its header, and would read on in whatever memory follows."""
    for path in zarr_files(place):
        if path.name.startswith(".") or path.name == "zarr.json":
            continue
        with path.open("rb") as file:
            head = file.read(16)
        size = path.stat().st_size
        if len(head) < 16 or int.from_bytes(head[12:16], "little") != size:
            raise ReadError(f"{root}: expected intact Zarr data, got the cut chunk {path.name}; {_COPY}")


def _declared(root: Path, place: Path) -> tuple[tuple[int, ...], str]:
    """Shape and type of an array as its metadata says, checked before the library opens it."""
    meta = _meta(place)
    shape = meta.get("shape")
    is_list = isinstance(shape, list) and all(isinstance(size, int) and size > 0 for size in shape)
    if not is_list or len(shape) < 2 or shape[-1] * shape[-2] > MAX_PIXELS or math.prod(shape[:-2]) > _MAX_PLANES:  # type: ignore[arg-type,index]
        raise ReadError(f"{root}: expected sizes of a movie, got {str(shape)[:100]}; {_COPY}")
    check_codecs(root, meta)
    text = str(meta.get("data_type", meta.get("dtype")))
    dtype = {"|u1": "uint8", "<u2": "uint16", ">u2": "uint16", "<f4": "float32", ">f4": "float32"}.get(text, text)
    if dtype not in DTYPES:
        raise AxesError(f"{root}: expected {', '.join(DTYPES)} pixels, got {text[:40]}; convert it to 16 bit")
    return tuple(shape), dtype  # type: ignore[arg-type]
