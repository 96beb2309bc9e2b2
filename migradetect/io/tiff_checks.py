"""Checks of one TIFF page against the file that holds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from migradetect.errors import AxesError, ReadError

__all__ = ["COPY", "DTYPES", "MAX_PIXELS", "check_page", "check_type"]

#: Remedy for a damaged file.
COPY = "copy the file again or export it again from the microscope software"
#: Types of camera counts that are understood.
DTYPES = ("uint8", "uint16", "float32")
#: More pixels in a plane than any camera has (16,384 x 16,384): a damaged size must not become an allocation.
MAX_PIXELS = 2**28


def check_type(path: Path, page: tifffile.TiffPage, dtypes: tuple[str, ...]) -> None:
    """Raise an AxesError for pixels that can't be used."""
    if page.samplesperpixel != 1:
        raise AxesError(
            f"{path}: expected one value per pixel, got {page.samplesperpixel} (a colour image); "
            "split its channels and save them as a stack"
        )
    if str(page.dtype) not in dtypes:
        raise AxesError(
            f"{path}: expected {', '.join(dtypes)} pixels, got {page.dtype or 'an unknown type'}; convert it to 16 bit"
        )


def check_page(path: Path, index: int, page: tifffile.TiffPage, first: tifffile.TiffPage, size: int) -> None:
    """Raise a ReadError for a page that differs from the first, or whose strips don't lie inside the file."""
    shape, expected = (page.imagelength, page.imagewidth), (first.imagelength, first.imagewidth)
    if shape != expected or page.dtype != first.dtype:
        raise ReadError(
            f"{path}: expected {expected[0]} x {expected[1]} {first.dtype} in every page, got "
            f"{shape[0]} x {shape[1]} {page.dtype} in page {index}; save pages of one size and type"
        )
    n_bytes = page.imagelength * page.imagewidth * page.dtype.itemsize
    offsets, counts = page.dataoffsets, page.databytecounts
    tile = page.tilelength * page.tilewidth  # 0 where there are none
    if n_bytes == 0 or page.imagelength * page.imagewidth > MAX_PIXELS or tile > MAX_PIXELS:
        raise ReadError(
            f"{path}: expected a plane of 1 to {MAX_PIXELS} pixels, got {shape[0]} x {shape[1]} in page {index}; {COPY}"
        )
    chunks = int(np.prod(page.chunked)) if page.chunked else 1
    if len(offsets) != len(counts) or not offsets or (len(offsets) != chunks and not page.is_final):
        raise ReadError(f"{path}: expected {chunks} strips in page {index}, got {len(offsets)}; {COPY}")
    for offset, count in zip(offsets, counts, strict=True):
        if offset <= 0 or count <= 0:
            raise ReadError(f"{path}: expected pixels in page {index}, got an empty strip; {COPY}")
        if offset + count > size:
            raise ReadError(
                f"{path}: expected {offset + count} bytes up to page {index}, got a file of {size} (cut off); {COPY}"
            )
    if page.compression == 1 and sum(counts) < n_bytes:
        raise ReadError(f"{path}: expected {n_bytes} bytes in page {index}, got {sum(counts)}; {COPY}")
