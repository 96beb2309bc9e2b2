"""Counts made by hand, as a spreadsheet keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from migradetect.calibration import Calibration
from migradetect.errors import ReadError, TableError
from migradetect.results import Results
from migradetect.tables import conform_table

__all__ = ["load_hand_counts"]

_FLAGS = {"is_on_fiber": True, "is_attached": True, "is_measured": True, "is_covered": False}


def load_hand_counts(path: str | Path, movie_id: str | None, calibration: Calibration | None) -> Results:
    """Read migrasomes that were marked by hand.

    Parameters
    ----------
    path : str or Path
        CSV with one row per migrasome and frame: ``frame`` (the first is 0) and its place, ``y_um`` and ``x_um`` or
        ``y_px`` and ``x_px`` (0 is the centre of the first pixel). Any other column of the ``migrasomes`` table may be
        there, such as ``migrasome_id``, ``diameter_um`` or ``location``; without ``migrasome_id`` each row is a
        migrasome of its own. A row with a frame and no place says that the frame was looked at and has none.
    movie_id : str or None
        Movie that they belong to; of a file with a column ``movie_id`` only its rows are taken. None: the only movie.
    calibration : Calibration or None
        Pixel size, for places in pixels, and frame interval, for times; None: not known.

    Returns
    -------
    Results
        Tables ``frames``, with the frames that were looked at, and ``migrasomes``.

    Raises
    ------
    ReadError
        If it can't be read.
    TableError
        If columns are missing or hold something else.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ReadError(f"{path}: expected a CSV file of counts, got '{reason}'") from error
    if "movie_id" in table:
        names = table["movie_id"].astype(str)
        if movie_id is None and names.nunique() > 1:
            raise TableError(f"{path}: expected counts of one movie, got {names.nunique()}; give one file for each")
        table = table[names == movie_id] if movie_id is not None else table
    movie_id = movie_id or "counts"
    for axis in ("y", "x"):
        if f"{axis}_um" not in table and f"{axis}_px" in table:
            if calibration is None:
                raise TableError(
                    f"{path}: expected y_um and x_um, got pixels of unknown size; give it with --pixel-size-um"
                )
            table = table.assign(**{f"{axis}_um": calibration.um(_numbers(table, f"{axis}_px", path).to_numpy())})
    missing = [name for name in ("frame", "y_um", "x_um") if name not in table]
    if missing:
        raise TableError(
            f"{path}: expected columns frame, y_um and x_um (or y_px and x_px), got {', '.join(map(str, table))}"
        )
    table = table.assign(**{name: _numbers(table, name, path) for name in ("frame", "y_um", "x_um")})
    if table["frame"].isna().any() or (table["frame"] % 1 != 0).any() or (table["frame"] < 0).any():
        raise TableError(f"{path}: expected whole frame numbers from 0, got another in column 'frame'")
    table = table.assign(movie_id=movie_id, frame=table["frame"].astype("int64"))
    table["time_min"] = table["frame"] * (calibration.frame_interval_min if calibration is not None else np.nan)
    looked_at = table.drop_duplicates("frame")[["movie_id", "frame", "time_min"]]
    marked = table.dropna(subset=["y_um", "x_um"]).reset_index(drop=True)
    if "migrasome_id" not in marked:
        marked["migrasome_id"] = marked.index + 1
    marked = marked.assign(**{name: value for name, value in _FLAGS.items() if name not in marked})
    n_marked = marked.groupby("frame").size()
    frames = looked_at.assign(
        n_cells=0, n_candidates=looked_at["frame"].map(n_marked).fillna(0).astype("int64"), qc_flags=""
    )
    try:
        tables = {"frames": conform_table("frames", frames)}
        if len(marked):
            tables["migrasomes"] = conform_table("migrasomes", marked.drop(columns=["y_px", "x_px"], errors="ignore"))
    except TableError as error:
        raise TableError(f"{path}: {error}") from error
    return Results(movie_id, tables)


def _numbers(table: pd.DataFrame, name: str, path: str | Path) -> pd.Series[float]:
    try:
        return pd.to_numeric(table[name]).astype("float64")
    except (TypeError, ValueError) as error:
        raise TableError(f"{path}: expected numbers in column '{name}', got '{error}'") from error
