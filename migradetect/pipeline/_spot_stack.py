"""Candidates of all frames, in a temporary file: there are thousands in each frame, and most of them are noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.errors import TableError
from migradetect.spool import Spool

__all__ = ["SpotStack", "compact"]

#: Columns that are kept in double precision: hundreds of um, told apart by fractions of a nm where links are ties.
_PLACES = ("y_um", "x_um", "y_stage_um", "x_stage_um")


def compact(spots: pd.DataFrame) -> pd.DataFrame:
    """Spots of a frame in the types in which they are kept: whole numbers, places, and evidence in single precision."""
    kinds = {
        str(name): np.int64 if name == "frame" else np.float64 if name in _PLACES else np.float32 for name in spots
    }
    return spots.astype(kinds)


class SpotStack:
    """Spot tables of successive frames. Rows are counted through all frames, from 0."""

    def __init__(self) -> None:
        self._spool = Spool("candidates")
        self._types: dict[str, np.dtype[np.generic]] = {}
        self._starts: list[int] = []
        self._sizes: list[int] = []

    def append(self, spots: pd.DataFrame) -> None:
        """Add the spots of the next frame, from :func:`compact`; the columns of all frames are the same."""
        types = {str(name): np.dtype(spots[name].to_numpy().dtype) for name in spots}
        if self._types and types != self._types:
            raise TableError(f"spots of frame {len(self._sizes)}: expected columns {self._types}, got {types}")
        self._types = types
        data = b"".join(spots[name].to_numpy().tobytes() for name in types)
        self._starts.append(self._spool.write(data))
        self._sizes.append(len(spots))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Spots of each frame, shape (T,)."""
        return np.array(self._sizes, np.int64)

    def columns(self, names: Sequence[str]) -> pd.DataFrame:
        """Some columns of all N rows, in the order of the frames."""
        return self._gather(names, np.arange(sum(self._sizes)))

    def rows(self, rows: NDArray[np.int64]) -> pd.DataFrame:
        """All columns of some rows, shape (M,), each at most once, in the order asked for.

        Columns of one type stand together.
        """
        return self._gather(tuple(self._types), rows)

    def _gather(self, names: Sequence[str], rows: NDArray[np.int64]) -> pd.DataFrame:
        place = np.full(sum(self._sizes), -1, np.int64)
        place[rows] = np.arange(rows.size)
        # one block of memory for all columns of a type: made once, and never copied
        by_type: dict[np.dtype[np.generic], list[str]] = {}
        for name in names:
            by_type.setdefault(self._types[name], []).append(name)
        blocks = {kind: np.empty((len(own), rows.size), kind) for kind, own in by_type.items()}
        into = {name: row for kind, own in by_type.items() for name, row in zip(own, blocks[kind], strict=True)}
        # columns of a frame lie one after the other: bytes of a spot before each
        widths = [kind.itemsize for kind in self._types.values()]
        before = dict(zip(self._types, np.cumsum([0, *widths]).tolist(), strict=False))
        low = 0
        for start, n in zip(self._starts, self._sizes, strict=True):
            at = place[low : low + n]
            wanted = at >= 0
            if wanted.any():
                data = self._spool.read(start, n * sum(widths))
                for name, row in into.items():
                    row[at[wanted]] = np.frombuffer(data, row.dtype, n, n * before[name])[wanted]
            low += n
        return pd.concat(
            [pd.DataFrame(blocks[kind].T, columns=own, copy=False) for kind, own in by_type.items()], axis=1
        )
