"""Reviewed tables on disk, for those who read files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from migradetect.errors import OutputError
from migradetect.io import TableFormat, atomic_write_json, write_table
from migradetect.io.publish import REVIEWED
from migradetect.results import Results

__all__ = ["write_reviewed"]


def write_reviewed(results: Results, folder: str | Path, table_format: TableFormat = "both") -> Path:
    """Write reviewed tables into ``<movie_id>/reviewed/``; the automatic ones stay as they are.

    The folder is a copy, made anew each time: the log is what counts. A run that analyses the movie again removes it.

    Parameters
    ----------
    results : Results
        From :func:`~migradetect.review.reviewed`.
    folder : str or Path
        Folder of the movie.
    table_format : {"both", "parquet", "csv"}
        Files per table.

    Returns
    -------
    Path
        The folder ``reviewed``: every table, and ``review.json`` with whose corrections and how many.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    target = Path(folder) / REVIEWED
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{REVIEWED}.", suffix=".part", dir=folder))
        try:
            part.chmod(0o755)
            for name, table in results.tables.items():
                write_table(name, table, part, table_format)
            known = results.provenance.get("review", {})
            atomic_write_json(part / "review.json", {"movie_id": results.movie_id, **known})
            if target.exists():
                shutil.rmtree(target)
            part.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{target}: expected a place that can be written, got {error.strerror or error}; make room there"
        ) from error
    return target
