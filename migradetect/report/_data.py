"""What a report is about: results of movies, one at a time, and what is kept of each for the whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from migradetect.calibration import Calibration
from migradetect.errors import EditError, MigradetectError
from migradetect.io import load, load_results, reopen_movie
from migradetect.movie import Movie
from migradetect.results import Results
from migradetect.review import reviewers
from migradetect.tables import empty_table

__all__ = ["Batch", "OneMovie", "Tables", "load_batch", "load_movie", "movie_results"]

#: Tables that figures of the whole batch are drawn from; the others are let go after each movie.
_KEPT = ("frames", "tracks", "cell_summary", "migrasomes", "site_traces")


def movie_results(out: Path, movie_id: str, reviewer: str | None = None) -> tuple[Results, str]:
    """Results of one movie as the report shows them, with corrections where there are some.

    Returns
    -------
    results : Results
        Reviewed, or automatic where nobody reviewed the movie or it can't be told whose corrections hold.
    note : str
        Why corrections that are there are not applied; empty otherwise.
    """
    folder = out / movie_id
    known = reviewers(folder)
    if not known or (reviewer is not None and reviewer not in known):
        return load_results(folder), ""
    try:
        # a review measures places anew; most results have none, and the passes need not be loaded for them
        from migradetect.review import reviewed

        return reviewed(folder, reviewer=reviewer), ""
    except EditError as error:
        return load_results(folder), f"corrections are not applied: {error}"


@dataclass(frozen=True)
class OneMovie:
    """One movie with its results.

    Parameters
    ----------
    results : Results
        Tables and label images.
    movie : Movie or None
        The recording; None where it can't be read.
    problem : str
        Why there is none; empty where there is.
    note : str
        Why corrections are not applied; empty otherwise.
    """

    results: Results
    movie: Movie | None
    problem: str
    note: str = ""

    @property
    def movie_id(self) -> str:
        """Name of the movie."""
        return self.results.movie_id

    @property
    def calibration(self) -> Calibration:
        """Pixel size and frame interval."""
        return self.results.calibration

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        if self.movie is not None:
            return self.movie.shape_yx
        stack = next((stack for stack in self.results.labels.values() if len(stack)), None)
        height, width = self.results.provenance.get("shape_yx") or (stack.shape_yx if stack is not None else (0, 0))
        return int(height), int(width)

    @property
    def used_frames(self) -> list[int]:
        """Frames that took part in the analysis."""
        left_out = set(self.results.provenance.get("frames_left_out", ()))
        return [int(frame) for frame in self.results.frames["frame"] if int(frame) not in left_out]


def load_movie(out: Path, movie_id: str, reviewer: str | None = None) -> OneMovie:
    """One movie of an output folder; a recording that is no longer there is no error."""
    results, note = movie_results(out, movie_id, reviewer)
    try:
        return OneMovie(results, reopen_movie(results.provenance, out / movie_id, movie_id), "", note)
    except MigradetectError as error:
        return OneMovie(results, None, str(error), note)


@dataclass
class Tables:
    """Tables of all movies together, filled as movies are read."""

    parts: dict[str, list[pd.DataFrame]] = field(default_factory=lambda: {name: [] for name in _KEPT})

    def add(self, results: Results) -> None:
        """Keep what the figures of the batch need."""
        for name in _KEPT:
            table = results.tables[name]
            if name == "site_traces":
                # the longest table: only what is drawn of it
                table = table.drop(
                    columns=[c for c in ("y_um", "x_um", "wga_signal", "wga_err", "tspan4_err") if c in table]
                )
            self.parts[name].append(table)

    def __getitem__(self, name: str) -> pd.DataFrame:
        parts = self.parts[name]
        filled = [part for part in parts if len(part)]
        if len(parts) > 1:
            # joined once; what is added later is joined to that
            self.parts[name] = [pd.concat(filled, ignore_index=True)] if filled else parts[:1]
        return self.parts[name][0] if self.parts[name] else empty_table(name)


@dataclass(frozen=True)
class Batch:
    """An output folder.

    Parameters
    ----------
    out : Path
        The folder.
    movies : pandas.DataFrame
        One row per movie, also those that failed.
    run : dict
        Content of ``run.json``; empty where there is none.
    movie_ids : tuple of str
        Movies with complete results.
    """

    out: Path
    movies: pd.DataFrame
    run: dict[str, Any]
    movie_ids: tuple[str, ...]

    def row(self, movie_id: str) -> dict[str, Any]:
        """Row of the movies table, without nulls."""
        rows = self.movies[self.movies["movie_id"] == movie_id]
        return {} if rows.empty else {str(k): v for k, v in rows.iloc[0].items() if not pd.isna(v)}

    def not_done(self) -> Iterable[dict[str, Any]]:
        """Movies without results, each with its reason; also those whose results were damaged since."""
        for _, row in self.movies.iterrows():
            movie_id, status, error = str(row["movie_id"]), str(row["status"]), row["error"]
            if status == "done" and movie_id in self.movie_ids:
                continue
            if status == "done":
                status, error = "damaged", "results are missing or damaged; run the same command again"
            yield {"movie_id": movie_id, "status": status, "error": "" if pd.isna(error) else str(error)}


def load_batch(out: Path) -> Batch:
    """Look at an output folder.

    Raises
    ------
    NoMoviesError
        If it holds no results.
    """
    found = load(out)
    try:
        run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        run = {}
    return Batch(out, found.movies, run if isinstance(run, dict) else {}, found.movie_ids)
