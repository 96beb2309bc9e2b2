"""What is compared: values by condition and replicate, with what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.errors import TableError, nearest_name

__all__ = [
    "READOUTS",
    "Groups",
    "group_order",
    "group_values",
    "is_control_name",
    "n_text",
    "replicate_column",
    "select_cells",
]

#: What is read per cell, with the words for an axis.
READOUTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "n_migrasomes": "migrasomes per cell",
        "n_migrasomes_per_100um_fiber": "migrasomes per 100 µm of fiber",
        "n_migrasomes_per_100um_path": "migrasomes per 100 µm of path",
        "fiber_length_um": "fiber length per cell (µm)",
        "mean_speed_um_per_min": "speed (µm/min)",
        "persistence": "persistence (net / path)",
    }
)
#: What counts as a replicate where the table has no such column, and the words for it.
_FALLBACKS = ("replicate", "well", "movie_id")
#: Names of what others are compared with; such a group comes first, so that a difference is the effect of the others.
_CONTROL = re.compile(r"(?:ctrl|control|dmso|vehicle|untreated|mock|wt|wild.?type|scr|scrambled|nt)\b", re.I)
_WORDS = {"replicate": "replicates", "well": "wells", "movie_id": "movies"}


@dataclass(frozen=True)
class Groups:
    """Values by group and replicate.

    Parameters
    ----------
    values : dict of str to dict of str to ndarray
        Group -> replicate -> values, shape (N,), finite.
    unit : str
        What a value stands for, in the plural, such as ``"cells"``.
    replicate : str
        Column that tells the replicates.
    notes : tuple of str
        What was left out, and what stands for a replicate.
    """

    values: dict[str, dict[str, NDArray[np.float64]]]
    unit: str
    replicate: str
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Groups in order."""
        return tuple(self.values)

    def means(self, group: str) -> NDArray[np.float64]:
        """Mean of each replicate of a group, shape (R,)."""
        return np.array([values.mean() for values in self.values[group].values()])

    def n_replicates(self, group: str) -> int:
        """Number of replicates of a group."""
        return len(self.values[group])

    def n_values(self, group: str) -> int:
        """Number of values, such as cells, of a group."""
        return int(sum(values.size for values in self.values[group].values()))

    def n_text(self, *groups: str) -> str:
        """``n = 3 replicates, 412 cells``; for several groups, each with its name."""
        chosen = groups or self.names
        texts = [n_text(self.n_replicates(g), self.n_values(g), self.unit, self.replicate) for g in chosen]
        if len(chosen) == 1:
            return texts[0]
        return "; ".join(f"{group}: {text}" for group, text in zip(chosen, texts, strict=True))

    def replicates(self) -> pd.DataFrame:
        """One row per group and replicate: group, replicate, mean, n."""
        rows = [
            {"group": group, "replicate": name, "mean": float(values.mean()), "n": values.size}
            for group, parts in self.values.items()
            for name, values in parts.items()
        ]
        return pd.DataFrame(rows, columns=["group", "replicate", "mean", "n"])

    def summary(self) -> pd.DataFrame:
        """One row per group: mean and standard deviation of its replicate means, and n."""
        rows = []
        for group in self.names:
            means = self.means(group)
            rows.append(
                {
                    "group": group,
                    "mean": float(means.mean()),
                    "sd_of_replicates": float(means.std(ddof=1)) if means.size > 1 else np.nan,
                    "n_replicates": means.size,
                    f"n_{self.unit}": self.n_values(group),
                    "n": self.n_text(group),
                }
            )
        return pd.DataFrame(rows)


def n_text(n_replicates: int, n_values: int, unit: str = "cells", replicate: str = "replicate") -> str:
    """Sample sizes in words: ``n = 3 replicates, 412 cells``.

    Parameters
    ----------
    n_replicates, n_values : int
        Numbers.
    unit : str
        What the values are, in the plural.
    replicate : str
        Column that told the replicates.
    """
    word = _WORDS.get(replicate, "replicates")
    return f"n = {n_replicates} {_count(word, n_replicates)}, {n_values} {_count(unit, n_values)}"


def _count(plural: str, n: int) -> str:
    return plural.removesuffix("s") if n == 1 else plural


def select_cells(
    cell_summary: pd.DataFrame, *, min_observed_min: float = 0.0, exclude_border: bool = False
) -> pd.DataFrame:
    """Cells that are seen long enough, and whole.

    Parameters
    ----------
    cell_summary : pandas.DataFrame
        One row per cell.
    min_observed_min : float
        Shortest time in view; cells of single frames, whose time is null, stay only for 0.
    exclude_border : bool
        Leave out cells that touch the border in any frame. A cell that comes into view late, or half, left migrasomes
        where nobody looked; leaving such cells out prefers slow cells in the middle of the field.

    Returns
    -------
    pandas.DataFrame
        A copy with fewer rows.
    """
    keep = pd.Series(True, index=cell_summary.index)
    if min_observed_min > 0:
        keep &= cell_summary["observed_min"].ge(min_observed_min).fillna(False).astype(bool)
    if exclude_border:
        keep &= ~cell_summary["touches_border"].astype(bool)
    return cell_summary[keep].copy()


def replicate_column(table: pd.DataFrame, replicate: str | None = None) -> str:
    """Column that tells replicates: the one that is named, else ``replicate``, ``well`` or ``movie_id``.

    Raises
    ------
    TableError
        If there is none.
    """
    if replicate is not None:
        _require(table, replicate)
        return replicate
    present = [name for name in _FALLBACKS if name in table.columns]
    known = [name for name in present if table[name].notna().any()]
    if present:
        return (known or present)[0]
    raise TableError(
        f"expected a column replicate, well or movie_id, got {', '.join(map(str, table.columns))}; "
        "add one to plate.csv, or name yours"
    )


def is_control_name(name: str) -> bool:
    """Whether a group has a usual name of controls, such as control, DMSO or untreated."""
    return _CONTROL.match(name.strip()) is not None


def group_order(names: Iterable[str]) -> list[str]:
    """Names as tables and figures have them: controls by their usual names first, then by alphabet and size."""

    def key(name: str) -> tuple[bool, list[tuple[int, float, str]]]:
        parts = [part for part in re.split(r"(\d+(?:\.\d+)?)", name.casefold()) if part]
        return not is_control_name(name), [
            (0, float(p), "") if p[0].isdigit() and p[0].isascii() else (1, 0.0, p) for p in parts
        ]

    return sorted(set(names), key=key)


def _require(table: pd.DataFrame, name: str) -> None:
    if name not in table.columns:
        known = [str(column) for column in table.columns]
        raise TableError(
            f"expected a column '{name}', got {', '.join(known)}{nearest_name(name, known)}; "
            "columns such as condition and replicate come from plate.csv"
        )


def group_values(
    table: pd.DataFrame, value: str, by: str = "condition", replicate: str | None = None, unit: str = "cells"
) -> Groups:
    """Values of a table by group and replicate.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per unit, such as ``cell_summary``.
    value : str
        Column to compare. Null values are left out and counted; they are not zeros.
    by : str
        Column of groups.
    replicate : str, optional
        Column of replicates; see :func:`replicate_column`.
    unit : str
        What a row stands for, in the plural.

    Returns
    -------
    Groups

    Raises
    ------
    TableError
        If a column is missing, or nothing is left.
    """
    _require(table, value)
    _require(table, by)
    column = replicate_column(table, replicate)
    notes = []
    if replicate is None and column != "replicate":
        notes.append(f"no column replicate: each {_count(_WORDS[column], 1)} counts as one")
    keys = pd.DataFrame(
        {
            "group": table[by].astype("string"),
            "replicate": _replicate_names(table, column),
            "value": pd.to_numeric(table[value], errors="coerce").astype("Float64").astype("float64"),
        }
    )
    for name, what in (("group", by), ("replicate", column), ("value", value)):
        lost = keys[name].isna() if name != "value" else ~np.isfinite(keys[name].fillna(np.nan))
        if lost.any():
            notes.append(f"{int(lost.sum())} of {len(table)} {unit} without {what} left out")
    keys = keys[np.isfinite(keys["value"])].dropna(subset=["group", "replicate"])
    if keys.empty:
        raise TableError(f"expected {unit} with {by} and {value}, got none of {len(table)}; see plate.csv")
    parts = {str(group): rows for group, rows in keys.groupby("group", observed=True)}
    values = {
        group: {
            name: rows["value"].to_numpy(float)[(rows["replicate"] == name).to_numpy(bool)]
            for rows in (parts[group],)
            for name in group_order(map(str, rows["replicate"].unique()))
        }
        for group in group_order(parts)
    }
    return Groups(values, unit, column, tuple(notes))


def _replicate_names(table: pd.DataFrame, column: str) -> pd.Series[str]:
    names = table[column].astype("string")
    if column == "well" and "plate" in table.columns:
        # the same well of two plates is two wells
        return (table["plate"].astype("string").fillna("") + " " + names).str.strip()
    return names
