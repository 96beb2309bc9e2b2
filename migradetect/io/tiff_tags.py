"""What single tags of a TIFF file say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tifffile

from migradetect.errors import ReadError
from migradetect.io.tiff_checks import COPY

__all__ = ["metaseries_of", "micromanager_of", "resolution_of", "shaped_of"]

#: What stands at byte 8 of a Micro-Manager stack and of one of NDTiff.
_MICROMANAGER = (54773648, 483729)


def metaseries_of(path: Path, tif: tifffile.TiffFile) -> dict[str, Any]:
    """What MetaMorph says of a plane; empty where it was not it."""
    if not tif.is_metaseries:
        return {}
    if "<!DOCTYPE" in tif.pages.first.description or "<!ENTITY" in tif.pages.first.description:
        raise ReadError(f"{path}: expected plain MetaSeries XML, got a document type; {COPY}")
    return dict(tif.metaseries_metadata or {})


def micromanager_of(tif: tifffile.TiffFile) -> dict[str, Any]:
    """What Micro-Manager says of the first page, with the summary of the recording; empty where it was not it."""
    tag = tif.pages.first.tags.get(51123)
    if tag is None or not isinstance(tag.value, dict):
        return {}
    summary = tag.value.get("Summary")
    tif.filehandle.seek(8)
    head = tif.filehandle.read(4)
    # single planes have the tag, but not the header of a stack
    if int.from_bytes(head, "little" if tif.byteorder == "<" else "big") in _MICROMANAGER:
        # the display settings are often damaged, and nobody needs them
        summary = tifffile.read_micromanager_metadata(tif.filehandle, keys={"Summary"}).get("Summary")
    return {**tag.value, "Summary": summary if isinstance(summary, dict) else {}}


def shaped_of(description: str) -> tuple[tuple[int, ...], str | None]:
    """Sizes and axis letters of a stack that was saved by tifffile; empty sizes where it was not."""
    if not description.startswith('{"shape":'):
        return (), None
    values = json.loads(description)
    axes = values.get("axes")
    return tuple(int(size) for size in values["shape"]), str(axes) if axes else None


def resolution_of(page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Pixels per unit along x and y; None where the tags are absent."""
    values = []
    for code in (282, 283):
        tag = page.tags.get(code)
        if tag is None:
            return None
        above, below = tag.value
        values.append(above / below if below else 0.0)
    return values[0], values[1]
