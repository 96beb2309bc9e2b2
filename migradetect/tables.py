"""The result tables as code: columns, types, units and meaning.

Every table that leaves the library passes :func:`validate_table`; a notebook can rely on what stands here. Missing is
null, never 0 or -1; observed-none is 0. ``frame``, ``y_px`` and ``x_px`` are indices; all other lengths are in um, with
y before x and 0 at the centre of pixel 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from migradetect.errors import TableError, nearest_name

__all__ = [
    "FATES",
    "KINDS",
    "LOCATIONS",
    "TABLES",
    "Column",
    "Table",
    "conform_table",
    "empty_table",
    "in_order",
    "validate_table",
]

#: Where on the fiber a migrasome formed.
LOCATIONS: Final = ("tip", "branch", "shaft")
#: How the record of a migrasome ends.
FATES: Final = ("persist", "rupture", "fade", "engulfed", "left_field")
#: What a linked spot was judged to be.
KINDS: Final = (
    "migrasome",
    "transient",
    "endosome",
    "filopodium",
    "debris_static",
    "debris_floating",
    "subresolution",
    "fiber",
    "noise",
)

Dtype = Literal["int64", "Int64", "float64", "bool", "boolean", "string"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, pandas dtype, unit and meaning."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in order, and the columns that identify a row."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def units(self) -> dict[str, str]:
        """Column name -> unit."""
        return {column.name: column.unit for column in self.columns}


_MOVIE = Column("movie_id", "string", "", "movie the row belongs to")
_FRAME = Column("frame", "int64", "frame", "frame index from 0")
_TIME = Column(
    "time_min",
    "float64",
    "min",
    "time since the first frame, plus time_offset_min where it is given; null for a single frame",
)
_CELL = Column("cell_id", "int64", "", "cell, unique within the movie")
_Y = Column("y_um", "float64", "um", "row of the centre in the image as recorded")
_X = Column("x_um", "float64", "um", "column of the centre in the image as recorded")
_YS = Column("y_stage_um", "float64", "um", "row of the centre, drift-corrected")
_XS = Column("x_stage_um", "float64", "um", "column of the centre, drift-corrected")
_PARENT = Column("cell_id", "Int64", "", "cell that left it; null where that cell was never in view or can't be told")
_BORDER = Column("touches_border", "bool", "", "the cell reaches the edge of the image")


def _table(name: str, row: str, key: Iterable[str], *columns: Column) -> Table:
    return Table(name, row, columns, tuple(key))


def _with_ci(name: str, unit: str, meaning: str) -> tuple[Column, Column, Column]:
    return (
        Column(name, "float64", unit, meaning),
        Column(f"{name}_ci_low", "float64", unit, f"lower 95 % confidence limit of {name}"),
        Column(f"{name}_ci_high", "float64", unit, f"upper 95 % confidence limit of {name}"),
    )


_ALL = (
    _table(
        "movies",
        "one movie",
        ["movie_id"],
        _MOVIE,
        Column("status", "string", "", "how the movie ended", ("done", "failed", "skipped")),
        Column("error", "string", "", "one line; null where the movie is done"),
        Column("path", "string", "", "input as given"),
        Column("n_frames", "Int64", "frame", "frames"),
        Column("height_px", "Int64", "px", "rows"),
        Column("width_px", "Int64", "px", "columns"),
        Column("channels", "string", "", "roles in channel order, comma separated"),
        Column("pixel_size_um", "float64", "um", "edge of a pixel"),
        Column("pixel_size_source", "string", "", "where the pixel size was read"),
        Column("frame_interval_s", "float64", "s", "time between frames; null for a single frame"),
        Column("frame_interval_source", "string", "", "where the frame interval was read"),
        Column("n_cells", "Int64", "", "cells seen"),
        Column("n_migrasomes", "Int64", "", "migrasomes accepted"),
        Column("qc_flags", "string", "", "quality flags of the movie, comma separated, empty where none"),
    ),
    _table(
        "frames",
        "one frame",
        ["movie_id", "frame"],
        _MOVIE,
        _FRAME,
        _TIME,
        Column("drift_y_um", "float64", "um", "stage drift since the first frame, rows"),
        Column("drift_x_um", "float64", "um", "stage drift since the first frame, columns"),
        Column("background_tspan4", "float64", "count", "median background; null where the channel is absent"),
        Column("background_wga", "float64", "count", "median background; null where the channel is absent"),
        Column("noise_tspan4", "float64", "count", "noise standard deviation of an empty pixel"),
        Column("noise_wga", "float64", "count", "noise standard deviation of an empty pixel"),
        Column("bleaching_tspan4", "float64", "", "cell brightness relative to the first frame, 1 is unbleached"),
        Column("bleaching_wga", "float64", "", "cell brightness relative to the first frame, 1 is unbleached"),
        Column("focus", "float64", "", "fine detail relative to the movie's median, 1 is typical"),
        Column("n_cells", "Int64", "", "cell bodies in this frame; null where it was not used"),
        Column("n_candidates", "Int64", "", "spots before linking and judging; null where it was not used"),
        Column("qc_flags", "string", "", "quality flags, comma separated, empty where none"),
    ),
    _table(
        "cells",
        "one cell in one frame",
        ["movie_id", "frame", "cell_id"],
        _MOVIE,
        _FRAME,
        _TIME,
        _CELL,
        _Y,
        _X,
        _YS,
        _XS,
        Column("area_um2", "float64", "um2", "area of the body"),
        Column("perimeter_um", "float64", "um", "length of the outline"),
        Column("eccentricity", "float64", "", "of the ellipse with the same moments, 0 round to 1 line"),
        Column("orientation_rad", "float64", "rad", "long axis against the row axis, -pi/2 to pi/2, counter-clockwise"),
        Column("mean_tspan4", "float64", "count", "mean above background; null where the channel is absent"),
        Column("mean_wga", "float64", "count", "mean above background; null where the channel is absent"),
        Column("speed_um_per_min", "float64", "um/min", "drift-corrected, from the frame before; null in the first"),
        Column("mother_id", "Int64", "", "cell whose division made this one; null otherwise"),
        _BORDER,
    ),
    _table(
        "fibers",
        "one connected fiber in one frame",
        ["movie_id", "frame", "fiber_id"],
        _MOVIE,
        _FRAME,
        _TIME,
        Column("fiber_id", "int64", "", "fiber, unique within the movie"),
        Column("cell_id", "Int64", "", "cell that left it; null where that can't be told"),
        Column("length_um", "float64", "um", "total length along the centrelines"),
        Column("euclidean_um", "float64", "um", "largest end-to-end distance"),
        Column("is_attached", "bool", "", "reaches a cell body"),
        Column("n_branches", "int64", "", "segments between ends and junctions"),
        Column("n_tips", "int64", "", "free ends"),
        Column("mean_snr", "float64", "", "mean ridge signal over noise along the centreline"),
    ),
    _table(
        "migrasomes",
        "one migrasome in one frame in which it exists",
        ["movie_id", "frame", "migrasome_id"],
        _MOVIE,
        _FRAME,
        _TIME,
        Column("migrasome_id", "int64", "", "migrasome, unique within the movie"),
        _PARENT,
        Column("fiber_id", "Int64", "", "fiber it sits on in this frame; null where none is seen"),
        _Y,
        _X,
        _YS,
        _XS,
        Column("diameter_um", "float64", "um", "corrected for the PSF"),
        Column("diameter_err_um", "float64", "um", "standard error of the diameter"),
        Column("tspan4_signal", "float64", "count um2", "integrated above the local background; null where absent"),
        Column("wga_signal", "float64", "count um2", "integrated above the local background; null where absent"),
        Column("snr", "float64", "", "matched-filter signal over noise in this frame"),
        Column("location", "string", "", "where on the fiber it formed; null where it can't be seen", LOCATIONS),
        Column("is_on_fiber", "bool", "", "a fiber passes within reach in this frame"),
        Column("is_attached", "bool", "", "a fiber path leads from it to a cell in this frame"),
        Column("distance_to_cell_um", "float64", "um", "to the nearest body outline; null where no cell is in view"),
        Column("is_measured", "bool", "", "false: not detected in this frame, filled by forced photometry"),
        Column("is_covered", "bool", "", "a cell body lies over it in this frame"),
        Column("score", "float64", "", "of the track, 0 to 1"),
    ),
    _table(
        "candidates",
        "one linked spot that was not accepted",
        ["movie_id", "candidate_id"],
        _MOVIE,
        Column("candidate_id", "int64", "", "candidate, unique within the movie"),
        Column("frame_first", "int64", "frame", "first frame in which it was found"),
        Column("frame_last", "int64", "frame", "last frame in which it was found"),
        Column("n_frames", "int64", "frame", "frames in which it was found"),
        Column("y_um", "float64", "um", "row in the image as recorded, first frame"),
        Column("x_um", "float64", "um", "column in the image as recorded, first frame"),
        Column("y_stage_um", "float64", "um", "mean row, drift-corrected"),
        Column("x_stage_um", "float64", "um", "mean column, drift-corrected"),
        Column("diameter_um", "float64", "um", "median, corrected for the PSF"),
        Column("snr", "float64", "", "median signal over noise"),
        Column("score", "float64", "", "0 to 1; accepted ones lie above the threshold"),
        Column("kind", "string", "", "what it was judged to be", KINDS),
        Column("reason", "string", "", "why it was not accepted"),
    ),
    _table(
        "site_traces",
        "one migrasome site in one frame, also before birth and after the end",
        ["movie_id", "migrasome_id", "frame"],
        _MOVIE,
        Column("migrasome_id", "int64", "", "migrasome, unique within the movie"),
        _FRAME,
        _TIME,
        _Y,
        _X,
        Column("tspan4_signal", "float64", "count um2", "integrated above the local background"),
        Column("tspan4_err", "float64", "count um2", "standard error of tspan4_signal"),
        Column("wga_signal", "float64", "count um2", "integrated above the local background"),
        Column("wga_err", "float64", "count um2", "standard error of wga_signal"),
        Column("diameter_um", "float64", "um", "corrected for the PSF; null where nothing is seen"),
        Column("diameter_err_um", "float64", "um", "standard error of the diameter"),
        Column("snr", "float64", "", "matched-filter signal over noise"),
        Column("is_covered", "bool", "", "a cell body lies over the site"),
        Column("is_in_field", "bool", "", "the site lies inside the image"),
    ),
    _table(
        "tracks",
        "one migrasome",
        ["movie_id", "migrasome_id"],
        _MOVIE,
        Column("migrasome_id", "int64", "", "migrasome, unique within the movie"),
        _PARENT,
        Column("cell_id_confidence", "float64", "", "0 to 1; null where cell_id is null"),
        Column("birth_time_min", "float64", "min", "start of the swelling; null where it was there from the start"),
        Column("end_time_min", "float64", "min", "last time it is seen; null where it outlasts the movie"),
        Column("lifetime_min", "float64", "min", "observed; a lower limit where censored"),
        Column("is_left_censored", "bool", "", "present in the first frame: the birth was not seen"),
        Column("is_right_censored", "bool", "", "present in the last frame: the end was not seen"),
        *_with_ci("plateau_diameter_um", "um", "diameter it grows to"),
        *_with_ci("tau_min", "min", "time constant of the growth"),
        *_with_ci("growth_rate_um_per_min", "um/min", "initial growth, plateau over tau"),
        Column("growth_model", "string", "", "model that was fitted; null where none could be"),
        Column("fit_r2", "float64", "", "share of the diameter's variance that the fit explains"),
        Column("location", "string", "", "where on the fiber it formed; null where it can't be seen", LOCATIONS),
        Column("fate", "string", "", "how its record ends; null for a single frame", FATES),
        Column("engulfed_by_cell_id", "Int64", "", "cell that took it up; null otherwise"),
        Column("n_frames", "int64", "frame", "frames in which it exists"),
        Column("score", "float64", "", "0 to 1"),
        Column("kind", "string", "", "what it was judged to be", KINDS),
    ),
    _table(
        "cell_summary",
        "one cell",
        ["movie_id", "cell_id"],
        _MOVIE,
        _CELL,
        Column("n_frames", "int64", "frame", "frames in which the cell is seen, more than a sliver of it"),
        Column("observed_min", "float64", "min", "time in view; null for a single frame"),
        Column("n_migrasomes", "int64", "", "migrasomes it left; 0 where none"),
        Column("n_migrasomes_per_100um_fiber", "float64", "1/100um", "null where no fiber was seen"),
        Column("n_migrasomes_per_100um_path", "float64", "1/100um", "null where the cell has no path"),
        Column("path_um", "float64", "um", "length of the path; null for a single frame"),
        Column("net_um", "float64", "um", "start to end; null for a single frame"),
        Column("mean_speed_um_per_min", "float64", "um/min", "path over time; null for a single frame"),
        Column("persistence", "float64", "", "net over path, 0 to 1"),
        Column("fiber_length_um", "float64", "um", "largest total length of its fibers in a frame; 0 where none"),
        _BORDER,
    ),
)

#: All tables by name.
TABLES: Final[Mapping[str, Table]] = MappingProxyType({table.name: table for table in _ALL})


def _lookup(name: str) -> Table:
    if name not in TABLES:
        raise TableError(f"expected a table out of {', '.join(TABLES)}, got '{name}'{nearest_name(name, TABLES)}")
    return TABLES[name]


def empty_table(name: str) -> pd.DataFrame:
    """Table without rows that has every column in its type.

    Parameters
    ----------
    name : str
        Name of the table, such as ``"migrasomes"``.

    Returns
    -------
    pandas.DataFrame
    """
    return pd.DataFrame({c.name: pd.Series(dtype=c.dtype) for c in _lookup(name).columns})


def conform_table(name: str, table: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    """Bring a table into its schema: order and types; absent nullable columns become null.

    Parameters
    ----------
    name : str
        Name of the table.
    table : pandas.DataFrame or mapping of columns
        Rows; further columns are kept, after those of the schema.

    Returns
    -------
    pandas.DataFrame
        A new, validated table, sorted by its key.

    Raises
    ------
    TableError
        If a column that can't be null is absent, or a value does not fit its type.
    """
    schema = _lookup(name)
    frame = pd.DataFrame(table)
    if frame.empty and not len(frame.columns):
        return empty_table(name)
    out: dict[str, pd.Series[Any]] = {}
    for column in schema.columns:
        if column.name not in frame.columns:
            if column.dtype in ("int64", "bool"):
                raise TableError(f"{name}: expected column '{column.name}', which can't be null; got none")
            out[column.name] = pd.Series(pd.NA, index=frame.index, dtype=_nullable(column.dtype)).astype(column.dtype)
            continue
        try:
            out[column.name] = frame[column.name].astype(column.dtype)
        except (TypeError, ValueError) as error:
            raise TableError(f"{name}: expected {column.dtype} in column '{column.name}': {error}") from error
    for extra in frame.columns:
        if extra not in out:
            out[str(extra)] = frame[extra]
    conformed = pd.DataFrame(out).sort_values(list(schema.key), kind="stable", ignore_index=True)
    validate_table(name, conformed)
    return conformed


def _nullable(dtype: str) -> str:
    return {"float64": "Float64"}.get(dtype, dtype)


def in_order(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Rows in the rising order of some whole-numbered columns; the table itself where they are, which costs no memory.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows that are equal in these columns keep their order.
    *names : str
        Columns, the first is the slowest.

    Returns
    -------
    pandas.DataFrame
        With the index that the rows have.
    """
    order = np.lexsort([table[name].to_numpy() for name in reversed(names)])
    return table if (np.diff(order) > 0).all() else table.iloc[order]


def validate_table(name: str, table: pd.DataFrame) -> None:
    """Check a table against its schema.

    Parameters
    ----------
    name : str
        Name of the table.
    table : pandas.DataFrame
        What to check. More columns than the schema's are welcome.

    Raises
    ------
    TableError
        Names the column, what was expected and what was found.
    """
    schema = _lookup(name)
    for column in schema.columns:
        if column.name not in table.columns:
            raise TableError(f"{name}: expected column '{column.name}', got {', '.join(map(str, table.columns))}")
        found = str(table[column.name].dtype)
        if found != column.dtype and not (column.dtype == "string" and found in ("str", "string")):
            raise TableError(f"{name}: expected {column.dtype} in column '{column.name}', got {found}")
        if column.values:
            odd = set(table[column.name].dropna().unique()) - set(column.values)
            if odd:
                raise TableError(
                    f"{name}: expected one of {', '.join(column.values)} in column '{column.name}', "
                    f"got {', '.join(map(repr, sorted(odd)))}"
                )
    double = table.duplicated(list(schema.key))
    if double.any():
        raise TableError(f"{name}: expected one row per {', '.join(schema.key)}, got {int(double.sum())} repeated")
