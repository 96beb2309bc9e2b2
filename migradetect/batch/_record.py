"""The movies table and ``run.json``: the state of a batch, always complete on disk."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from migradetect._version import __version__
from migradetect.batch._job import Outcome
from migradetect.batch._worker import versions
from migradetect.errors import OutputError
from migradetect.io import TableFormat, atomic_write_json, is_complete, write_table
from migradetect.params import Params
from migradetect.results import annotation_column
from migradetect.tables import TABLES, conform_table, empty_table

__all__ = ["BatchRecord", "is_record"]

#: What stands in the movies table for a movie that is still to come.
PENDING = "not analysed yet; where no run is at work, run the same command again"
#: Columns of movies with corrections made by hand.
REVIEW_COUNTS = ("n_edits", "n_orphans")
_log = logging.getLogger("migradetect.batch")


class BatchRecord:
    """State of a batch, written after every movie.

    Parameters
    ----------
    folder : Path
        Output folder.
    params : Params
        Parameters as resolved.
    table_format : str
        ``"parquet"``, ``"csv"`` or ``"both"``.
    command : str or None
        Command line, for the record.
    """

    def __init__(self, folder: Path, params: Params, table_format: TableFormat, command: str | None = None) -> None:
        self._folder = folder
        self._format = table_format
        self._rows: dict[str, dict[str, Any]] = {}
        self._movies: dict[str, dict[str, Any]] = {}
        self._run: dict[str, Any] = {
            "migradetect": __version__,
            "command": command,
            "status": "running",
            "started": _now(),
            "finished": None,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "parameters": params.model_dump(mode="json"),
            "versions": versions(),
        }

    def keep(self, movie_ids: Iterable[str]) -> None:
        """Take over the rows of earlier runs into the same folder, but for the movies of this run."""
        mine = set(movie_ids)
        path = self._folder / "run.json"
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))["movies"] if path.exists() else {}
        except (OSError, ValueError, KeyError, TypeError):
            # damaged: what is complete beside it tells the same
            earlier = self._from_folders()
        for movie_id, item in earlier.items():
            if movie_id not in mine and isinstance(item, dict) and isinstance(item.get("row"), dict):
                self._movies[movie_id] = {key: value for key, value in item.items() if key != "row"}
                self._rows[movie_id] = item["row"]

    def _from_folders(self) -> dict[str, Any]:
        found = {}
        for path in sorted(self._folder.glob("[!.]*/movie.json")):
            if is_complete(path.parent):
                provenance = json.loads(path.read_text(encoding="utf-8"))
                row = {"movie_id": path.parent.name, "status": "done", "error": None, **provenance.get("summary", {})}
                found[path.parent.name] = {"status": "done", "path": row.get("path"), "row": row}
        return found

    def expect(self, paths: dict[str, str]) -> None:
        """Name the movies that are to come, so that a run that dies leaves a list of what is missing."""
        for movie_id, path in paths.items():
            self._movies[movie_id] = {"status": "pending", "path": path}
            self._rows[movie_id] = {"movie_id": movie_id, "status": "skipped", "error": PENDING, "path": path}

    def add(self, outcome: Outcome) -> None:
        """Record how a movie ended, and write."""
        row = {"movie_id": outcome.movie_id, "status": outcome.status, "error": outcome.error, **outcome.row}
        self._rows[outcome.movie_id] = row
        self._movies[outcome.movie_id] = {
            "status": outcome.status,
            "error": outcome.error,
            "path": outcome.row.get("path"),
            "input_hash": outcome.input_hash,
            "resumed": outcome.resumed,
            "seconds": round(outcome.seconds, 3),
        }
        self._try_to_write()

    def finish(self, status: str) -> str | None:
        """Record the end of the run, and write; one line where that was not possible."""
        self._run |= {"status": status, "finished": _now()}
        return self._try_to_write()

    def _try_to_write(self) -> str | None:
        # a disk that is full now may have room after the next movie; what is analysed meanwhile is not lost
        try:
            self.write()
        except OutputError as error:
            _log.warning("%s", error)
            return str(error)
        return None

    def movies(self) -> pd.DataFrame:
        """The movies table."""
        if not self._rows:
            return empty_table("movies")
        names = TABLES["movies"].names
        extra = dict.fromkeys(name for row in self._rows.values() for name in row if name not in (*names, "error"))
        rows = [{name: row.get(name) for name in names} for row in self._rows.values()]
        table = conform_table("movies", pd.DataFrame(rows, columns=list(names), dtype=object))
        by_id = {str(row["movie_id"]): row for row in self._rows.values()}
        for name in extra:  # counts of corrections, columns of plate.csv and of the file names
            values = [by_id[str(movie_id)].get(name) for movie_id in table["movie_id"]]
            table[name] = pd.array(values, dtype="Int64") if name in REVIEW_COUNTS else annotation_column(name, values)
        return table

    def write(self) -> None:
        """Write all files, each in one step."""
        movies = {
            movie_id: item
            | ({"row": self._rows[movie_id]} if movie_id in self._rows and item["status"] != "pending" else {})
            for movie_id, item in sorted(self._movies.items())
        }
        # first what says that the folder is ours, and that the movies are pending
        atomic_write_json(self._folder / "run.json", self._run | {"movies": movies})
        written = write_table("movies", self.movies(), self._folder, table_format=self._format)
        for twin in {self._folder / f"movies.{suffix}" for suffix in ("parquet", "csv")} - set(written):
            twin.unlink(missing_ok=True)  # of a run with another --format: it would tell an old story


def is_record(path: Path) -> bool:
    """Whether a file is the record of a run."""
    try:
        return "migradetect" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
