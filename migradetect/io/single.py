"""A movie in one TIFF file (or an OME-TIFF with its companions): which plane is which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from migradetect.errors import ReadError
from migradetect.io.metamorph import acquired_s, found_metaseries, record_stk
from migradetect.io.micromanager import record_micromanager
from migradetect.io.ome_files import is_companion, record_ome
from migradetect.io.recording import Recording, of_stack, squeezed
from migradetect.io.tiff import Stack, TiffFacts, read_tiff
from migradetect.io.tiff_calibration import found_imagej, found_resolution
from migradetect.io.tiff_checks import DTYPES

__all__ = ["record_file"]

_COPY = "copy the file again or export it again"


def record_file(path: Path, labels: bool = False, position: int | None = None) -> Recording:
    """Planes of a TIFF file with the axes and calibration that stand in it.

    Parameters
    ----------
    path : Path
        TIFF file, or companion XML.
    labels : bool
        Label images, which may be 32 bit, instead of camera counts.
    position : int, optional
        Which one, from 0, where the file holds several.

    Raises
    ------
    ReadError
        If the file is damaged, cut, or holds other planes than it says.
    AxesError
        If its pixels are of a kind that can't be used.
    """
    dtypes = (*DTYPES, "uint32") if labels else DTYPES
    if is_companion(path):
        return record_ome(path, None, dtypes, position)
    stack = read_tiff(path, dtypes)
    return replace(_record_stack(stack, dtypes, position), acquired_s=acquired_s(stack.facts))


def _record_stack(stack: Stack, dtypes: tuple[str, ...], position: int | None) -> Recording:
    path = stack.facts.path
    if stack.facts.kind == "ome-tiff":
        return record_ome(path, stack, dtypes, position)
    if stack.facts.kind == "imagej":
        return _record_imagej(stack)
    if stack.facts.kind == "micromanager":
        return record_micromanager(stack, position)
    if stack.facts.kind == "metamorph":
        return record_stk(stack)
    return _record_plain(stack)


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
    return of_stack(stack, "imagej", axes, shape, names, found_imagej(facts))


def _count(facts: TiffFacts, name: str, default: int = 1) -> int:
    value = facts.imagej.get(name, default)
    if not isinstance(value, int) or not 0 < value <= 10_000_000:
        raise ReadError(f"{facts.path}: expected a number of {name} in the ImageJ tag, got {value!r}; {_COPY}")
    return value


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
    return of_stack(stack, "tiff", axes, shape, (), found_metaseries(facts).also(found_resolution(facts)))
