"""Results of one movie, or the truth of a simulated one: tables and label images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import TableError
from migradetect.spool import Spool
from migradetect.tables import TABLES, empty_table, validate_table

__all__ = ["LABEL_NAMES", "MOVIE_TABLES", "POINTS_IN_TIME", "TIME_OFFSET", "LabelStack", "Results", "annotation_column"]

#: Column of ``plate.csv`` that says when a movie started.
TIME_OFFSET = "time_offset_min"
#: Columns that are points in time, not durations.
POINTS_IN_TIME = ("time_min", "birth_time_min", "end_time_min")

#: Tables of one movie, in the order of the documentation. ``movies`` belongs to a batch.
MOVIE_TABLES = tuple(name for name in TABLES if name != "movies")
#: Label image stacks of one movie.
LABEL_NAMES = ("cells", "fibers", "migrasomes")


def annotation_column(name: str, values: Sequence[str | float | None]) -> pd.Series[Any]:
    """Column that ``plate.csv`` or a file name gives: a number for the time offset, text for all others."""
    if name == TIME_OFFSET:
        return pd.Series([np.nan if value is None else float(value) for value in values], dtype="float64")
    return pd.Series([None if value is None else str(value) for value in values], dtype="string")


class LabelStack:
    """Label planes, compressed in an anonymous temporary file, so that memory does not grow with the frames.

    Parameters
    ----------
    shape_yx : tuple of int
        Rows and columns of a plane.
    """

    def __init__(self, shape_yx: tuple[int, int]) -> None:
        self.shape_yx = shape_yx
        self._spool = Spool("label planes")
        self._places: list[tuple[int, int, np.dtype[Any]]] = []

    def append(self, plane: NDArray[Any]) -> None:
        """Add the plane of the next frame; integer labels, shape (Y, X), 0 is background."""
        if plane.shape != self.shape_yx:
            raise TableError(f"label plane: expected shape {self.shape_yx}, got {plane.shape}")
        from imagecodecs import zstd_encode

        # few labels need few bytes; level 1: label images are mostly flat, so more effort buys nothing
        dtype = np.min_scalar_type(int(plane.max(initial=0)))
        packed = zstd_encode(np.ascontiguousarray(plane, dtype=dtype).tobytes(), level=1)
        self._places.append((self._spool.write(packed), len(packed), dtype))

    def replace(self, frame: int, plane: NDArray[Any]) -> None:
        """Put another plane in the place of that of a frame; shape (Y, X)."""
        self.append(plane)
        self._places[frame] = self._places.pop()

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, frame: int) -> NDArray[np.uint32]:
        return self.compact(frame).astype(np.uint32)

    def compact(self, frame: int) -> NDArray[Any]:
        """Plane of a frame in the smallest unsigned type that holds its labels, read-only; shape (Y, X)."""
        from imagecodecs import zstd_decode

        start, size, dtype = self._places[frame]
        return np.frombuffer(zstd_decode(self._spool.read(start, size)), dtype=dtype).reshape(self.shape_yx)

    def __iter__(self) -> Iterator[NDArray[np.uint32]]:
        return (self[frame] for frame in range(len(self)))

    def close(self) -> None:
        """Release the temporary file."""
        self._spool.close()


@dataclass
class Results:
    """Tables and label images of one movie.

    Parameters
    ----------
    movie_id : str
        Movie the results belong to.
    tables : dict of str to pandas.DataFrame
        Every table of :data:`MOVIE_TABLES`; absent ones are empty.
    labels : dict of str to LabelStack
        Label planes by name (cells, fibers, migrasomes); may be empty.
    provenance : dict
        Calibration, parameters, versions and timings, as in ``movie.json``.
    """

    movie_id: str
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    labels: dict[str, LabelStack] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in MOVIE_TABLES:
            if name not in self.tables:
                self.tables[name] = empty_table(name)
            validate_table(name, self.tables[name])

    @property
    def calibration(self) -> Calibration:
        """Pixel size and frame interval that the analysis took."""
        known = self.provenance["calibration"]
        return Calibration(float(known["pixel_size_um"]), known.get("frame_interval_s"))

    def annotate(self, columns: Mapping[str, str | float | None]) -> None:
        """Add columns with one value for the whole movie, after those of each table.

        Parameters
        ----------
        columns : mapping of str to (str, float or None)
            Name -> value. ``time_offset_min`` is a number and is added to every point in time (``time_min``,
            ``birth_time_min``, ``end_time_min``), so that movies that started later line up; durations stay.
        """
        offset_min = columns.get(TIME_OFFSET)
        for name, table in self.tables.items():
            table = table.copy()
            for column in POINTS_IN_TIME:
                if isinstance(offset_min, float) and column in table.columns:
                    table[column] = table[column] + offset_min
            for column, value in columns.items():
                table[column] = annotation_column(column, [value] * len(table)).set_axis(table.index)
            validate_table(name, table)
            self.tables[name] = table

    @property
    def frames(self) -> pd.DataFrame:
        """One row per frame."""
        return self.tables["frames"]

    @property
    def cells(self) -> pd.DataFrame:
        """One row per cell per frame."""
        return self.tables["cells"]

    @property
    def fibers(self) -> pd.DataFrame:
        """One row per fiber per frame."""
        return self.tables["fibers"]

    @property
    def migrasomes(self) -> pd.DataFrame:
        """One row per migrasome per frame in which it exists."""
        return self.tables["migrasomes"]

    @property
    def candidates(self) -> pd.DataFrame:
        """One row per linked spot that was not accepted, with the reason."""
        return self.tables["candidates"]

    @property
    def site_traces(self) -> pd.DataFrame:
        """One row per migrasome site per frame, also before birth and after the end."""
        return self.tables["site_traces"]

    @property
    def tracks(self) -> pd.DataFrame:
        """One row per migrasome."""
        return self.tables["tracks"]

    @property
    def cell_summary(self) -> pd.DataFrame:
        """One row per cell."""
        return self.tables["cell_summary"]
