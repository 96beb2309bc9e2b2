"""What stands in the metadata of OME-Zarr: which codecs, which scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migradetect.errors import CalibrationError, ReadError
from migradetect.io.recording import Found
from migradetect.io.tiff_calibration import number
from migradetect.io.tiff_checks import MAX_PIXELS
from migradetect.io.units import interval_s, length_um, square_pixel

__all__ = ["check_codecs", "found_scale", "is_blosc"]

#: Codecs that only unpack bytes. Others that Zarr knows (pickle) run whatever the file says.
_CODECS = frozenset(
    {"blosc", "bytes", "crc32c", "delta", "endian", "gzip", "zlib", "zstd", "lz4", "bz2", "lzma", "shuffle"}
    | {"transpose", "sharding_indexed", "adler32", "crc32", "fixedscaleoffset"}
)
#: Names of units that OME-Zarr writes in full.
_UNITS = {
    "micrometer": "um",
    "micrometre": "um",
    "nanometer": "nm",
    "nanometre": "nm",
    "millimeter": "mm",
    "millimetre": "mm",
    "picometer": "pm",
    "angstrom": "\u00e5",
    "meter": "m",
    "centimeter": "cm",
    "microsecond": "us",
    "nanosecond": "ns",
}


def check_codecs(root: Path, meta: Mapping[str, Any]) -> None:
    """Refuse codecs that do more than unpack bytes, and chunks of absurd size.

    Raises
    ------
    ReadError
        Names the codec or the chunk.
    """
    for name, chunk in _codecs(meta):
        if name is not None and name.removeprefix("numcodecs.") not in _CODECS:
            raise ReadError(
                f"{root}: expected one of the codecs {', '.join(sorted(_CODECS))}, got '{name[:40]}'; write it with "
                "one of them"
            )
        if chunk is not None and not (
            all(isinstance(size, int) and size > 0 for size in chunk) and math.prod(chunk) <= 2 * MAX_PIXELS
        ):
            raise ReadError(f"{root}: expected chunks of a usual size, got {str(chunk)[:100]}; write smaller ones")


def is_blosc(meta: Mapping[str, Any]) -> bool:
    """Whether what lies on the disk is packed by Blosc."""
    codecs = meta.get("codecs")
    last = codecs[-1] if isinstance(codecs, list) and codecs else meta.get("compressor")
    return isinstance(last, dict) and last.get("name", last.get("id")) in ("blosc", "numcodecs.blosc")


def _codecs(meta: Mapping[str, Any]) -> list[tuple[str | None, list[Any] | None]]:
    """Name of every codec and shape of every kind of chunk."""
    found: list[tuple[str | None, list[Any] | None]] = []
    grid = meta.get("chunk_grid")
    configuration = grid.get("configuration") if isinstance(grid, dict) else None
    for holder, key in ((meta, "chunks"), (configuration, "chunk_shape")):
        if isinstance(holder, dict) and isinstance(holder.get(key), list):
            found.append((None, holder[key]))
    found += _named(meta.get("compressor"), "id", 0)
    for key in ("filters", "codecs"):
        items = meta.get(key)
        for item in items if isinstance(items, list) else []:
            found += _named(item, "id" if key == "filters" else "name", 0)
    return found


def _named(codec: Any, key: str, depth: int) -> list[tuple[str | None, list[Any] | None]]:
    if codec is None:
        return []
    if isinstance(codec, str):
        return [(codec, None)]
    if not isinstance(codec, dict) or depth > 4:
        return [("unknown", None)]
    found: list[tuple[str | None, list[Any] | None]] = [(str(codec.get(key)), None)]
    configuration = codec.get("configuration")
    if isinstance(configuration, dict):
        if isinstance(configuration.get("chunk_shape"), list):
            found.append((None, configuration["chunk_shape"]))
        for inner in ("codecs", "index_codecs"):
            items = configuration.get(inner)
            for item in items if isinstance(items, list) else []:
                found += _named(item, key, depth + 1)
    return found


def found_scale(root: Path, axes: Sequence[Mapping[str, Any]], *blocks: Mapping[str, Any]) -> Found:
    """Calibration by the scales of the image and of its full resolution; an axis without a unit has none."""
    scale = [1.0] * len(axes)
    is_scaled = False
    for block in blocks:
        transforms = block.get("coordinateTransformations")
        for transform in transforms if isinstance(transforms, list) else []:
            values = transform.get("scale") if isinstance(transform, dict) else None
            if isinstance(values, list) and len(values) == len(axes):
                factors = [number(value) for value in values]
                scale = [a * (b if b is not None else math.nan) for a, b in zip(scale, factors, strict=True)]
                is_scaled = True
    if not is_scaled:
        return Found()
    unit = {str(axis.get("name")).lower(): str(axis.get("unit") or "") for axis in axes}
    value = {str(axis.get("name")).lower(): factor for axis, factor in zip(axes, scale, strict=True)}

    def named(axis: str) -> str:
        return _UNITS.get(unit[axis].lower(), unit[axis])

    problem, size = None, None
    try:
        size = square_pixel(root, length_um(value["y"], named("y")), length_um(value["x"], named("x")))
    except CalibrationError as error:
        problem = str(error)
    seconds = interval_s(value["t"], named("t")) if "t" in value else None
    return Found.of([("OME-Zarr", size)], [("OME-Zarr", seconds)], problem)
