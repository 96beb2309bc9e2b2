"""Results on disk: one folder per movie, complete or absent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import OutputError, ReadError, TableError
from migradetect.io.atomic import atomic_write_json
from migradetect.io.movie_writing import write_ome_planes
from migradetect.io.ome_writing import write_ome
from migradetect.io.publish import publish
from migradetect.io.single import record_file
from migradetect.io.source import read_plane
from migradetect.io.tables_io import TableFormat, has_table, read_table, write_table
from migradetect.results import LABEL_NAMES, MOVIE_TABLES, LabelStack, Results

__all__ = ["StoredLabels", "load_results", "write_results"]


class StoredLabels(LabelStack):
    """Label planes of a file, read one at a time when asked for.

    Parameters
    ----------
    path : str or Path
        Label stack (T, Y, X).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        # labels may be 32 bit, which a movie may not
        self._recording = record_file(self.path, labels=True)
        leading = self._recording.axes[:-2]
        if leading not in ("", "T"):
            raise TableError(f"{path}: expected a label stack with the axes TYX, got {self._recording.axes}")
        self._offsets = self._recording.offsets.reshape(-1)
        self.shape_yx = (self._recording.shape[-2], self._recording.shape[-1])

    def append(self, plane: NDArray[Any]) -> None:
        """Refused: the file is a result."""
        raise OutputError(f"{self.path}: expected a new label stack to append to, got a stored one; make a LabelStack")

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, frame: int) -> NDArray[np.uint32]:
        return self.compact(frame).astype(np.uint32)

    def compact(self, frame: int) -> NDArray[Any]:
        """Plane of a frame in the type of the file, shape (Y, X); from whatever thread."""
        recording = self._recording
        return read_plane(
            self.path, int(self._offsets[frame]), recording.raw[0], np.dtype(recording.dtypes[0]), self.shape_yx
        )

    def __iter__(self) -> Iterator[NDArray[np.uint32]]:
        return (self[frame] for frame in range(len(self)))

    def close(self) -> None:
        """Nothing to release: no file stays open."""

    def __del__(self) -> None:
        """Nothing to release."""


def write_results(results: Results, folder: str | Path, table_format: TableFormat = "both") -> Path:
    """Write the results of one movie so that the folder is complete or not there.

    Everything is written beside the target under a hidden name, put on the disk, and renamed in one step. Results that
    are there are replaced; logs of corrections (``edits*.jsonl``) and files of others stay. A folder that is no
    results is refused.

    Parameters
    ----------
    results : Results
        Tables, label stacks and provenance.
    folder : str or Path
        Target, ``OUT/<movie_id>``.
    table_format : {"parquet", "csv", "both"}
        Form of the tables.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TableError
        If a table does not follow its schema.
    OutputError
        If the place can't be written.
    """
    folder = Path(folder)
    with publish(folder) as part:
        _fill(part, results, table_format)
    return folder


def _fill(part: Path, results: Results, table_format: TableFormat) -> None:
    for name in MOVIE_TABLES:
        write_table(name, results.tables[name], part, table_format)
    atomic_write_json(part / "movie.json", {"movie_id": results.movie_id, **results.provenance})
    stacks = {name: stack for name, stack in results.labels.items() if len(stack)}
    if stacks:
        (part / "labels").mkdir()
    for name, stack in stacks.items():
        if name not in LABEL_NAMES:
            raise TableError(f"labels: expected one of {', '.join(LABEL_NAMES)}, got '{name}'")
        _write_labels(part / "labels" / f"{name}.tif", name, stack, _calibration(results.provenance))


def _calibration(provenance: Mapping[str, Any]) -> Calibration | None:
    """Calibration that the provenance holds, in a block ``calibration`` or by itself."""
    block = provenance.get("calibration", provenance)
    if isinstance(block, Calibration):
        return block
    size = block.get("pixel_size_um") if isinstance(block, Mapping) else None
    return None if size is None else Calibration(float(size), block.get("frame_interval_s"))


def _write_labels(path: Path, name: str, stack: LabelStack, calibration: Calibration | None) -> None:
    largest = max(int(plane.max(initial=0)) for plane in stack)
    dtype = "uint16" if largest <= np.iinfo(np.uint16).max else "uint32"
    sizes = (len(stack), 1, 1, *stack.shape_yx)
    write_ome_planes(path, iter(stack), sizes, dtype, write_ome(sizes, dtype, [name], calibration))


def load_results(folder: str | Path) -> Results:
    """Results of one movie folder.

    Parameters
    ----------
    folder : str or Path
        ``OUT/<movie_id>``.

    Returns
    -------
    Results
        Label planes are read when asked for.

    Raises
    ------
    ReadError
        If a file is missing or damaged.
    TableError
        If a table does not follow its schema.
    """
    folder = Path(folder)
    try:
        provenance = json.loads((folder / "movie.json").read_text(encoding="utf-8"))
        if not isinstance(provenance, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise ReadError(
            f"{folder}: expected a movie folder with movie.json, got '{error}'; run the movie again"
        ) from error
    tables = {name: read_table(name, folder) for name in MOVIE_TABLES if has_table(name, folder)}
    absent = [name for name in MOVIE_TABLES if name not in tables]
    if absent:
        raise ReadError(f"{folder}: expected every table, got none for {', '.join(absent)}; run the movie again")
    labels: dict[str, LabelStack] = {
        name: StoredLabels(folder / "labels" / f"{name}.tif")
        for name in LABEL_NAMES
        if (folder / "labels" / f"{name}.tif").is_file()
    }
    movie_id = str(provenance.pop("movie_id", folder.name))
    return Results(movie_id=movie_id, tables=tables, labels=labels, provenance=provenance)
