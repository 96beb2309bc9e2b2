"""Results of a whole output folder, with the corrections of the reviewers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from migradetect.errors import EditError
from migradetect.io import BatchResults
from migradetect.io import load as load_automatic
from migradetect.results import Results
from migradetect.review._log import log_path, reviewers
from migradetect.review._reviewed import choose_reviewer, reviewed

__all__ = ["ReviewCounts", "ReviewedResults", "load", "review_counts"]


class ReviewedResults(BatchResults):
    """Tables of all movies of an output folder, reviewed where they were reviewed.

    Parameters
    ----------
    folder : Path
        Output folder, or the folder of one movie.
    movie_folders : dict of str to Path
        Folder of each complete movie.
    chosen : dict of str to (str or None)
        Reviewer of each movie that has corrections.
    """

    def __init__(self, folder: Path, movie_folders: dict[str, Path], chosen: dict[str, str | None]) -> None:
        super().__init__(folder, movie_folders)
        self._chosen = chosen
        self._reviewed: dict[str, Results] = {}

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {len(self._chosen)} of them reviewed)"

    @property
    def reviewed_movies(self) -> tuple[str, ...]:
        """Movies whose tables are those of a review."""
        return tuple(self._chosen)

    def movie(self, movie_id: str) -> Results:
        """Results of one movie, with its label images."""
        if movie_id not in self._chosen:
            return super().movie(movie_id)
        if movie_id not in self._reviewed:
            self._reviewed[movie_id] = reviewed(self._folders[movie_id], reviewer=self._chosen[movie_id])
        return self._reviewed[movie_id]

    def table(self, name: str) -> pd.DataFrame:
        """Table of all movies, one below the other; rows of movies without a review are not ``edited``."""
        if not self._chosen:
            return super().table(name)
        if name not in self._tables:
            parts = [self.movie(movie_id).tables[name] for movie_id in self._folders]
            filled = [part for part in parts if len(part)]
            whole = pd.concat(filled, ignore_index=True) if filled else parts[0]
            if "edited" in whole:
                whole["edited"] = whole["edited"].fillna(False).astype(bool)
            if "review_status" in whole:
                whole["review_status"] = whole["review_status"].fillna("auto")
            self._tables[name] = whole
        return self._tables[name]


def load(folder: str | Path, reviewed: bool = True, reviewer: str | None = None) -> BatchResults:
    """Load an output folder, or the folder of one movie; corrections of a review are applied.

    Parameters
    ----------
    folder : str or Path
        What ``migradetect run`` wrote.
    reviewed : bool
        False for the automatic results.
    reviewer : str, optional
        Whose corrections; needed only where several people have reviewed a movie.

    Returns
    -------
    BatchResults
        ``ReviewedResults`` where there are corrections: its ``reviewed_movies`` names the movies, and tables have the
        columns ``edited`` and ``edit_source``.

    Raises
    ------
    NoMoviesError
        If the folder holds no results.
    EditError
        If several people have reviewed a movie, and none is named.

    Examples
    --------
    >>> import migradetect
    >>> results = migradetect.load("OUT")  # doctest: +SKIP
    >>> results.tracks.groupby("movie_id").size()  # doctest: +SKIP
    """
    automatic = load_automatic(folder)
    if not reviewed:
        return automatic
    folders = automatic.movie_folders
    chosen: dict[str, str | None] = {}
    for movie_id, path in folders.items():
        found = reviewers(path)
        # a name is known by its log, in which case and spaces do not count
        if reviewer is not None and log_path(path, reviewer).is_file():
            chosen[movie_id] = reviewer
        elif found and reviewer is None:
            chosen[movie_id] = choose_reviewer(path)
    if reviewer is not None and not chosen:
        known = sorted({str(name) for path in folders.values() for name in reviewers(path) if name})
        raise EditError(f"{folder}: expected one of the reviewers {', '.join(known) or '(none)'}, got '{reviewer}'")
    return ReviewedResults(automatic.folder, folders, chosen) if chosen else automatic


@dataclass(frozen=True)
class ReviewCounts:
    """What a review made of a movie.

    Parameters
    ----------
    row : dict
        n_cells and n_migrasomes as reviewed, n_edits and n_orphans.
    notes : list of str
        Lines for the user.
    """

    row: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def review_counts(folder: str | Path) -> ReviewCounts:
    """Counts of a movie with the corrections on it.

    Parameters
    ----------
    folder : str or Path
        ``OUT/<movie_id>``.

    Returns
    -------
    ReviewCounts

    Raises
    ------
    EditError
        If several people have reviewed it, and none without a name.
    """
    results = reviewed(folder)
    known = results.provenance["review"]
    row = {
        "n_cells": len(results.cell_summary),
        "n_migrasomes": len(results.tracks),
        "n_edits": known["n_edits"],
        "n_orphans": known["n_orphans"],
    }
    notes = [f"{known['n_edits']} corrections of {known['log']} are applied"]
    if known["n_orphans"]:
        notes.append(
            f"{known['n_orphans']} corrections no longer apply to these results; "
            f"`migradetect review {Path(folder).parent} --orphans` lists them"
        )
    return ReviewCounts(row, notes)
