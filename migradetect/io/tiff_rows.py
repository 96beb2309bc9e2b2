"""Some rows of a compressed TIFF page, without decoding the strips or tiles of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

__all__ = ["page_rows"]


def page_rows(page: tifffile.TiffPage, start: int, stop: int) -> NDArray[Any]:
    """Rows of a page with one value per pixel.

    Parameters
    ----------
    page : TiffPage
        Of a file that is open.
    start, stop : int
        First row, and the row after the last.

    Returns
    -------
    ndarray, shape (stop - start, X)

    Raises
    ------
    ValueError
        If a strip or tile is missing or of another size.
    """
    height, width = int(page.imagelength), int(page.imagewidth)
    n = len(page.dataoffsets)
    if n == 1:
        # all in one piece, which can't be decoded in part
        return np.asarray(page.asarray()[start:stop])
    length = int(page.tilelength if page.is_tiled else page.rowsperstrip)
    across = -(-width // int(page.tilewidth)) if page.is_tiled else 1
    if length < 1 or n != across * -(-height // length):
        raise ValueError(f"expected {across * -(-height // max(length, 1))} strips or tiles, got {n}")
    out = np.zeros((stop - start, width), page.dtype)
    file = page.parent.filehandle
    for index in range(start // length * across, ((stop - 1) // length + 1) * across):
        file.seek(page.dataoffsets[index])
        packed = file.read(page.databytecounts[index])
        if len(packed) != page.databytecounts[index]:
            raise ValueError(f"expected {page.databytecounts[index]} bytes of strip {index}, got {len(packed)}")
        part, place, size = page.decode(packed, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        if part is None:
            raise ValueError(f"expected pixels in strip {index}, got none")
        top, left = int(place[-3]), int(place[-2])
        # a tile may reach beyond the image
        part = part.reshape(part.shape[-3:-1])[: size[-3], : min(size[-2], width - left)]
        low, high = max(start, top), min(stop, top + part.shape[0])
        out[low - start : high - start, left : left + part.shape[1]] = part[low - top : high - top]
    return out
