"""Screens: readouts per well, scores against the controls of each plate, hits, and checks of the plate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from migradetect.errors import TableError

__all__ = ["SCREEN_READOUTS", "Screen", "analyse_screen", "well_position", "well_table"]

#: Readouts of a well, with the words for an axis.
SCREEN_READOUTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "migrasomes_per_cell": "migrasomes per cell",
        "fiber_um_per_cell": "fiber length per cell (µm)",
        "n_cells": "cells",
        "speed_um_per_min": "speed (µm/min)",
    }
)
_WELL = re.compile(r"([A-Z]{1,2})0*(\d{1,2})", re.I)
#: Scale of the median absolute deviation to the standard deviation of a normal distribution.
_MAD = 1.4826
#: Fewest control wells of a plate that tell a median and a spread.
_FEWEST_CONTROLS = 3
#: With fewer than this many the spread is itself so uncertain that some wells without effect reach z = -3.
_ENOUGH_CONTROLS = 16


@dataclass(frozen=True)
class Screen:
    """Outcome of :func:`analyse_screen`.

    Parameters
    ----------
    wells : pandas.DataFrame
        One row per well: readouts, ``z_<readout>`` (robust z), ``is_hit`` and ``reason``; ``is_hit`` is null where it
        can't be told.
    quality : pandas.DataFrame
        One row per plate and readout: ``z_prime``, ``ssmd``, ``n_negative``, ``n_positive``, ``edge_p``,
        ``edge_difference``, ``n``.
    notes : tuple of str
        What a reader should know.
    """

    wells: pd.DataFrame
    quality: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def hits(self) -> pd.DataFrame:
        """Wells that are hits, strongest first."""
        found = self.wells[self.wells["is_hit"].fillna(False).astype(bool)]
        return found.sort_values("z_migrasomes_per_cell", kind="stable")


def well_position(well: str) -> tuple[int, int] | None:
    """Row and column of a well from 0, such as (1, 2) for B03; None where it is no well."""
    match = _WELL.fullmatch(str(well).strip())
    if match is None:
        return None
    row = 0
    for letter in match[1].upper():
        row = 26 * row + ord(letter) - ord("A") + 1
    return (row - 1, int(match[2]) - 1) if int(match[2]) else None


def well_table(
    cell_summary: pd.DataFrame, movies: pd.DataFrame | None = None, *, labels: Sequence[str] = ("condition",)
) -> pd.DataFrame:
    """One row per well, all its movies together.

    Parameters
    ----------
    cell_summary : pandas.DataFrame
        One row per cell, with a column ``well`` and, where there are several, ``plate``.
    movies : pandas.DataFrame, optional
        One row per movie; a well that was analysed and has no cell then gets a row with ``n_cells`` 0.
    labels : sequence of str
        Columns that are kept; a well with more than one value gets them joined by `` / ``.

    Returns
    -------
    pandas.DataFrame
        ``plate, well, row, column, n_movies, n_cells, migrasomes_per_cell, fiber_um_per_cell, speed_um_per_min`` and
        the labels. Means over all cells of the well, null without cells; speed over those with more than one frame.

    Raises
    ------
    TableError
        If there is no column ``well``, or it holds no wells.
    """
    cells = _with_plate(cell_summary)
    known = cells if movies is None else _with_plate(movies[movies["status"] == "done"])
    kept = [name for name in labels if name in known.columns]
    by_well = dict(iter(cells.groupby(["plate", "well"], observed=True)))
    rows = []
    for key, movie_rows in known.groupby(["plate", "well"], sort=True, observed=True):
        part = by_well.get(key, cells.iloc[:0])
        plate, well = (str(text) for text in key)
        place = well_position(well)
        if place is None:
            raise TableError(f"expected wells such as B03, got '{well}'; correct plate.csv")
        rows.append(
            {
                "plate": plate,
                "well": well,
                "row": place[0],
                "column": place[1],
                **{name: " / ".join(sorted(map(str, movie_rows[name].dropna().unique()))) or None for name in kept},
                "n_movies": int(movie_rows["movie_id"].nunique()),
                "n_cells": len(part),
                "migrasomes_per_cell": float(part["n_migrasomes"].mean()),
                "fiber_um_per_cell": float(part["fiber_length_um"].mean()),
                "speed_um_per_min": float(part["mean_speed_um_per_min"].mean()),
            }
        )
    return pd.DataFrame(rows)


def _with_plate(table: pd.DataFrame) -> pd.DataFrame:
    if "well" not in table.columns or not table["well"].notna().any():
        raise TableError("expected a column 'well' with wells such as B03, got none; add it to plate.csv")
    known = table[table["well"].notna()].copy()
    known["plate"] = known["plate"].astype("string").fillna("") if "plate" in known.columns else ""
    return known


def analyse_screen(
    wells: pd.DataFrame,
    negative: str,
    positive: str | None = None,
    *,
    by: str = "condition",
    hit_z: float = -3.0,
    spare_z: float = -2.0,
) -> Screen:
    """Score wells against the negative controls of their plate, and list hits.

    A hit has fewer migrasomes per cell *without* fewer fibers and without fewer cells: what stops cells from
    migrating, or kills them, also lowers the count.

    Parameters
    ----------
    wells : pandas.DataFrame
        As :func:`well_table` gives them; an empty well that should have cells is a row with ``n_cells`` 0.
    negative : str
        Value of `by` in the wells that got no compound.
    positive : str, optional
        Value of `by` in wells with a known effect; needed for Z' and SSMD.
    by : str
        Column that tells controls.
    hit_z : float
        Migrasomes per cell: robust z at or below this.
    spare_z : float
        Fiber length per cell and number of cells: robust z above this.

    Returns
    -------
    Screen

    Raises
    ------
    TableError
        If there are no wells of the negative control.

    References
    ----------
    .. [1] Robust z: Birmingham et al., Nature Methods 6, 569 (2009), doi:10.1038/nmeth.1351.
    .. [2] Z': Zhang, Chung, Oldenburg, J. Biomol. Screen. 4, 67 (1999), doi:10.1177/108705719900400206.
    .. [3] SSMD: Zhang, Genomics 89, 552 (2007), doi:10.1016/j.ygeno.2007.01.005.
    """
    for name in (by, "plate", "row", "column", *SCREEN_READOUTS):
        if name not in wells.columns:
            raise TableError(f"wells: expected a column '{name}', got {', '.join(map(str, wells.columns))}")
    wells = wells.reset_index(drop=True).copy()
    label = wells[by].astype("string")
    is_negative = (label == negative).fillna(False).to_numpy(bool)
    is_positive = (
        (label == positive).fillna(False).to_numpy(bool) if positive is not None else np.zeros(len(wells), bool)
    )
    if not is_negative.any():
        raise TableError(f"expected wells with {by} '{negative}', got {', '.join(sorted(label.dropna().unique())[:8])}")
    notes: list[str] = []
    quality = []
    for readout in SCREEN_READOUTS:
        wells[f"z_{readout}"] = np.nan
    for plate, index in wells.groupby("plate", sort=True).groups.items():
        rows = np.asarray(index, dtype=int)
        for readout in SCREEN_READOUTS:
            values = wells.loc[rows, readout].to_numpy(float)
            wells.loc[rows, f"z_{readout}"] = _robust_z(values, is_negative[rows])
            line = _quality(values, is_negative[rows], is_positive[rows], _is_edge(wells.loc[rows]))
            quality.append({"plate": plate, "readout": readout, **line})
        n_negative = int(is_negative[rows].sum())
        if n_negative < _ENOUGH_CONTROLS:
            noisy = n_negative >= _FEWEST_CONTROLS
            notes.append(
                f"plate {plate or '(one)'}: {n_negative} negative controls; "
                + (f"z is noisy with fewer than {_ENOUGH_CONTROLS}" if noisy else f"z needs {_FEWEST_CONTROLS} or more")
            )
    is_control = is_negative | is_positive
    wells["is_hit"], wells["reason"] = _hits(wells, is_control, hit_z, spare_z)
    if positive is None:
        notes.append("no positive control was named: no Z' and no SSMD")
    table = pd.DataFrame(quality)
    odd = table[table["edge_p"].lt(0.05)]
    notes += [
        f"plate {row['plate'] or '(one)'}: {SCREEN_READOUTS[row['readout']]} differs between edge and inner wells "
        f"(p = {row['edge_p']:.2g})"
        for _, row in odd.iterrows()
    ]
    return Screen(wells, table, tuple(notes))


def _robust_z(values: NDArray[np.float64], is_control: NDArray[np.bool_]) -> NDArray[np.float64]:
    known = values[is_control & np.isfinite(values)]
    if known.size < _FEWEST_CONTROLS:
        return np.full(values.shape, np.nan)
    middle = np.median(known)
    spread = _MAD * float(scipy.stats.median_abs_deviation(known))
    # where more than half of the controls are equal there is no scale, and any z would be infinite
    return (values - middle) / spread if spread > 0 else np.full(values.shape, np.nan)


def _is_edge(wells: pd.DataFrame) -> NDArray[np.bool_]:
    """Outermost rows and columns of the format (6 to 1536 wells) that holds these wells."""
    height, width = int(wells["row"].max()) + 1, int(wells["column"].max()) + 1
    formats = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
    rows, columns = next((size for size in formats if height <= size[0] and width <= size[1]), (height, width))
    y, x = wells["row"].to_numpy(int), wells["column"].to_numpy(int)
    return (y == 0) | (y == rows - 1) | (x == 0) | (x == columns - 1)


def _quality(
    values: NDArray[np.float64],
    negative: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    edge: NDArray[np.bool_],
) -> dict[str, Any]:
    finite = np.isfinite(values)
    n, p = values[negative & finite], values[positive & finite]
    out: dict[str, Any] = {"z_prime": np.nan, "ssmd": np.nan, "n_negative": n.size, "n_positive": p.size}
    if min(n.size, p.size) > 1:
        distance = float(p.mean() - n.mean())
        sd_n, sd_p = float(n.std(ddof=1)), float(p.std(ddof=1))
        out["z_prime"] = 1 - 3 * (sd_n + sd_p) / abs(distance) if distance else np.nan
        out["ssmd"] = distance / np.hypot(sd_n, sd_p) if np.hypot(sd_n, sd_p) > 0 else np.nan
    # negative controls tell an edge effect cleanly; without enough of them at the edge and inside, all other wells do
    use = negative if min((negative & edge & finite).sum(), (negative & ~edge & finite).sum()) >= 4 else ~positive
    outer, inner = values[use & edge & finite], values[use & ~edge & finite]
    out |= {"edge_p": np.nan, "edge_difference": np.nan}
    if min(outer.size, inner.size) >= 4 and np.ptp(np.concatenate([outer, inner])) > 0:
        out["edge_p"] = float(scipy.stats.mannwhitneyu(outer, inner).pvalue)
        out["edge_difference"] = float(np.median(outer) - np.median(inner))
    out["n"] = f"n = {n.size} negative and {p.size} positive wells; edge {outer.size}, inner {inner.size}"
    return out


def _hits(
    wells: pd.DataFrame, is_control: NDArray[np.bool_], hit_z: float, spare_z: float
) -> tuple[pd.Series[bool], pd.Series[str]]:
    scores = {
        name: wells[f"z_{name}"].to_numpy(float) for name in ("migrasomes_per_cell", "fiber_um_per_cell", "n_cells")
    }
    flags: list[Any] = []
    reasons = []
    for index in range(len(wells)):
        migrasomes, fibers, cells = (values[index] for values in scores.values())
        if is_control[index]:
            flags.append(False)
            reasons.append("control")
        elif np.isfinite(cells) and cells <= spare_z:
            flags.append(False)
            reasons.append("fewer cells")
        elif not np.isfinite([migrasomes, fibers, cells]).all():
            flags.append(pd.NA)
            reasons.append("not measurable")
        elif migrasomes > hit_z:
            flags.append(False)
            reasons.append("not fewer migrasomes")
        elif fibers <= spare_z:
            flags.append(False)
            reasons.append("fewer fibers too")
        else:
            flags.append(True)
            reasons.append("fewer migrasomes, not fewer fibers or cells")
    return pd.Series(flags, dtype="boolean"), pd.Series(reasons, dtype="string")
