"""Painting on the outlines of cells, kept as a compressed patch."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from migradetect.errors import EditError
from migradetect.review._edit import Edit

__all__ = ["PaintCells"]

#: A pixel of a patch that stays as it is.
KEEP = -1
#: More bytes than this are no patch of a movie's frame.
_MOST_BYTES = 1 << 30


class PaintCells(Edit):
    """Outlines of cells in one frame, painted.

    Made by :meth:`from_patch` or :meth:`between`. An id that is new makes a new cell; 0 erases.

    Parameters
    ----------
    frame : int
        Frame.
    y0, x0 : int
        Corner of the patch, px.
    height, width : int
        Its size, px.
    data : str
        New labels (int32, little endian, rows first; -1 keeps a pixel), deflated, in Base64.
    """

    op: ClassVar[str] = "paint_cells"

    frame: Annotated[int, Field(ge=0)]
    y0: Annotated[int, Field(ge=0)]
    x0: Annotated[int, Field(ge=0)]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    data: str

    @model_validator(mode="after")
    def _check(self) -> PaintCells:
        size = 4 * self.height * self.width
        if size > _MOST_BYTES:
            raise ValueError("patch too large")
        try:
            unpacked = zlib.decompressobj().decompress(base64.b64decode(self.data, validate=True), size + 1)
        except (zlib.error, binascii.Error) as error:
            raise ValueError("data that can't be unpacked") from error
        if len(unpacked) != size:
            raise ValueError(f"expected {size} bytes of labels")
        return self

    @property
    def patch(self) -> NDArray[np.int32]:
        """New labels, shape (height, width); -1 where a pixel stays as it is."""
        raw = zlib.decompress(base64.b64decode(self.data))
        return np.frombuffer(raw, "<i4").reshape(self.height, self.width).astype(np.int32)

    @classmethod
    def from_patch(cls, frame: int, y0: int, x0: int, patch: NDArray[Any]) -> PaintCells:
        """Patch of new labels.

        Parameters
        ----------
        frame : int
            Frame.
        y0, x0 : int
            Its corner, px.
        patch : ndarray of int, shape (height, width)
            Ids of cells; 0 for none, -1 where a pixel stays as it is.

        Returns
        -------
        PaintCells
        """
        if patch.ndim != 2 or not patch.size:
            raise EditError(f"paint_cells: expected a patch of shape (height, width), got {patch.shape}")
        raw = zlib.compress(np.ascontiguousarray(patch, "<i4").tobytes(), 6)
        height, width = patch.shape
        data = base64.b64encode(raw).decode("ascii")
        return cls(frame=int(frame), y0=int(y0), x0=int(x0), height=height, width=width, data=data)

    @classmethod
    def between(cls, frame: int, before: NDArray[Any], after: NDArray[Any]) -> PaintCells | None:
        """What differs between two planes of a frame; None where nothing does.

        Parameters
        ----------
        frame : int
            Frame.
        before, after : ndarray of int, shape (Y, X)
            Labels.

        Returns
        -------
        PaintCells or None
        """
        if before.shape != after.shape:
            raise EditError(f"paint_cells: expected planes of one shape, got {before.shape} and {after.shape}")
        differs = before != after
        if not differs.any():
            return None
        rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        patch = np.where(differs[box], after[box].astype(np.int64), KEEP)
        return cls.from_patch(frame, int(rows[0]), int(columns[0]), patch)

    def paint(self, plane: NDArray[Any]) -> NDArray[np.uint32]:
        """A new plane with the patch on it; what reaches beyond the image is cut off."""
        out = plane.astype(np.uint32)
        target = out[self.y0 : self.y0 + self.height, self.x0 : self.x0 + self.width]
        patch = self.patch[: target.shape[0], : target.shape[1]]
        np.copyto(target, patch.astype(np.uint32), where=patch != KEEP)
        return out

    def named(self) -> list[tuple[str, int]]:
        """Cells that are painted."""
        return [("cell", int(one)) for one in np.unique(self.patch) if one > 0]

    def with_ids(self, of: Callable[[str, int], int]) -> PaintCells:
        """The same with other ids."""
        patch = self.patch
        out = patch.copy()
        for _, one in self.named():
            out[patch == one] = of("cell", one)
        return PaintCells.from_patch(self.frame, self.y0, self.x0, out)
