"""Results of a whole output folder, for a notebook."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from migradetect.errors import NoMoviesError, nearest_name
from migradetect.io.publish import is_complete
from migradetect.io.results_io import load_results
from migradetect.io.tables_io import has_table, read_table
from migradetect.results import Results
from migradetect.tables import conform_table, empty_table

__all__ = ["BatchResults", "load"]


class BatchResults:
    """Tables of all movies of an output folder, each read when it is first asked for.

    Parameters
    ----------
    folder : Path
        Output folder, or the folder of one movie.
    movie_folders : dict of str to Path
        Folder of each complete movie.
    """

    def __init__(self, folder: Path, movie_folders: dict[str, Path]) -> None:
        self.folder = folder
        self._folders = movie_folders
        self._tables: dict[str, pd.DataFrame] = {}

    def __repr__(self) -> str:
        return f"BatchResults({str(self.folder)!r}, {len(self._folders)} movies)"

    @property
    def movie_ids(self) -> tuple[str, ...]:
        """Names of the complete movies."""
        return tuple(self._folders)

    @property
    def movie_folders(self) -> dict[str, Path]:
        """Folder of each complete movie."""
        return dict(self._folders)

    def movie(self, movie_id: str) -> Results:
        """Results of one movie, with its label images."""
        if movie_id not in self._folders:
            raise NoMoviesError(
                f"{self.folder}: expected one of the movies {', '.join(self._folders) or '(none)'}, got '{movie_id}'"
                f"{nearest_name(movie_id, self._folders)}"
            )
        return load_results(self._folders[movie_id])

    def table(self, name: str) -> pd.DataFrame:
        """Table of all movies, one below the other."""
        if name not in self._tables:
            parts = [read_table(name, folder) for folder in self._folders.values()]
            filled = [part for part in parts if len(part)]
            self._tables[name] = pd.concat(filled, ignore_index=True) if filled else (parts or [empty_table(name)])[0]
        return self._tables[name]

    @cached_property
    def movies(self) -> pd.DataFrame:
        """One row per movie, also those that failed."""
        if has_table("movies", self.folder):
            return read_table("movies", self.folder)
        rows = [{"movie_id": movie_id, "status": "done"} for movie_id in self._folders]
        return conform_table("movies", pd.DataFrame(rows)) if rows else empty_table("movies")

    @property
    def frames(self) -> pd.DataFrame:
        """One row per frame."""
        return self.table("frames")

    @property
    def cells(self) -> pd.DataFrame:
        """One row per cell per frame."""
        return self.table("cells")

    @property
    def fibers(self) -> pd.DataFrame:
        """One row per fiber per frame."""
        return self.table("fibers")

    @property
    def migrasomes(self) -> pd.DataFrame:
        """One row per migrasome per frame in which it exists."""
        return self.table("migrasomes")

    @property
    def candidates(self) -> pd.DataFrame:
        """One row per linked spot that was not accepted, with the reason."""
        return self.table("candidates")

    @property
    def site_traces(self) -> pd.DataFrame:
        """One row per migrasome site per frame, also before birth and after the end."""
        return self.table("site_traces")

    @property
    def tracks(self) -> pd.DataFrame:
        """One row per migrasome."""
        return self.table("tracks")

    @property
    def cell_summary(self) -> pd.DataFrame:
        """One row per cell."""
        return self.table("cell_summary")


def load(folder: str | Path) -> BatchResults:
    """Load the automatic results of an output folder, or of the folder of one movie.

    ``migradetect.load`` applies corrections too.

    Parameters
    ----------
    folder : str or Path
        What ``migradetect run`` wrote.

    Returns
    -------
    BatchResults

    Raises
    ------
    NoMoviesError
        If the folder holds no results.

    Examples
    --------
    >>> import migradetect
    >>> results = migradetect.load("OUT")  # doctest: +SKIP
    >>> results.tracks.groupby("movie_id").size()  # doctest: +SKIP
    """
    folder = Path(folder)
    if (folder / "movie.json").is_file():
        return BatchResults(folder, {load_results(folder).movie_id: folder})
    if not folder.is_dir():
        raise NoMoviesError(f"{folder}: expected an output folder of migradetect, got none; check the path")
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    movies = {path.name: path for path in inside if (path / "movie.json").is_file() and is_complete(path)}
    if not movies and not has_table("movies", folder):
        raise NoMoviesError(f"{folder}: expected results of migradetect, got none; run `migradetect run` first")
    return BatchResults(folder, movies)
