"""Blind review: movies in a shuffled order under neutral names, without what tells their condition."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from migradetect.errors import NoMoviesError
from migradetect.tables import TABLES

__all__ = ["BlindMovie", "blind_order", "blind_tables"]


@dataclass(frozen=True)
class BlindMovie:
    """One movie of a blind review.

    Parameters
    ----------
    name : str
        What is shown.
    movie_id : str
        Which it is; not to be shown.
    """

    name: str
    movie_id: str


def blind_order(out_dir: str | Path, seed: int | str = 0) -> tuple[BlindMovie, ...]:
    """Movies of an output folder in an order that tells nothing.

    The order follows from the seed and the names of the movies alone, on every computer; two reviewers with different
    seeds see different orders. It hides, it does not keep secrets: whoever opens the folder finds the names.

    Parameters
    ----------
    out_dir : str or Path
        What ``migradetect run`` wrote.
    seed : int or str
        Such as the name of the reviewer.

    Returns
    -------
    tuple of BlindMovie
        Names are ``movie 1`` to ``movie N`` in the order.

    Raises
    ------
    NoMoviesError
        If there are no results.
    """
    out = Path(out_dir)
    found = [out] if (out / "movie.json").is_file() else [path.parent for path in out.glob("[!.]*/movie.json")]
    if not found:
        raise NoMoviesError(f"{out}: expected results of migradetect, got none; run `migradetect run` first")
    ids = sorted(path.name for path in found)
    ids.sort(key=lambda name: hashlib.blake2b(f"{seed}\n{name}".encode(errors="surrogateescape")).digest())
    digits = len(str(len(ids)))
    return tuple(BlindMovie(f"movie {k:0{digits}d}", name) for k, name in enumerate(ids, start=1))


def blind_tables(tables: dict[str, pd.DataFrame], name: str) -> dict[str, pd.DataFrame]:
    """Tables of a movie without its name and without columns that tell what was done to it.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Tables of one movie, such as ``session.tables``.
    name : str
        Stands in place of ``movie_id``.

    Returns
    -------
    dict of str to DataFrame
        New tables; columns of ``plate.csv`` and of the file names (condition, well, replicate ...) are left out, and
        times count from the first frame.
    """
    out = {}
    for key, table in dict(tables).items():
        known = (*TABLES[key].names, "edited", "edit_source", "review_status")
        kept = table[[column for column in table.columns if column in known and column != "path"]]
        if "time_offset_min" in table.columns and len(table):
            offset = float(table["time_offset_min"].fillna(0).iloc[0])
            times = [column for column in ("time_min", "birth_time_min", "end_time_min") if column in kept]
            kept = kept.assign(**{column: kept[column] - offset for column in times})
        out[key] = kept.assign(movie_id=pd.array([name] * len(kept), dtype="string"))
    return out
