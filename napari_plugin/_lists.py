"""Lists of what is under review, as tables to sort and filter; no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

__all__ = ["ANY", "FLAGS", "Filter", "candidate_list", "migrasome_list", "next_unreviewed"]

#: No filter.
ANY = "any"
#: What is doubtful about a row.
FLAGS = (
    "low score",
    "no parent",
    "doubtful parent",
    "there from the start",
    "outlasts the movie",
    "no growth fit",
    "location unknown",
    "gaps",
)
#: A parent cell or a score below these is doubtful.
_SURE_PARENT, _SURE_SCORE = 0.5, 0.7


@dataclass(frozen=True)
class Filter:
    """Which rows are listed; :data:`ANY` lists all.

    Parameters
    ----------
    cell : str
        Id of the parent cell, or ``"unknown"``.
    fate : str
        How it ends, or ``"unknown"``.
    status : str
        Where the review stands.
    flag : str
        What is doubtful.
    min_score : float
        Scores from this one on.
    """

    cell: str = ANY
    fate: str = ANY
    status: str = ANY
    flag: str = ANY
    min_score: float = 0.0

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of a list that pass."""
        keep = table["score"].fillna(1.0) >= self.min_score
        for column, value in (("cell", self.cell), ("fate", self.fate), ("status", self.status)):
            if value != ANY:
                keep &= table[column].astype("string").fillna("unknown") == value
        if self.flag != ANY:
            keep &= table["flags"].map(lambda text: self.flag in text.split(", "))
        return table[keep]


def migrasome_list(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per migrasome with what decides whether to look at it.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Reviewed tables.

    Returns
    -------
    pandas.DataFrame
        id, status, score, cell, um (plateau diameter), location, fate, born (min), life (min), flags.
    """
    tracks = tables["tracks"]
    status = tracks["review_status"] if "review_status" in tracks.columns else pd.Series("auto", index=tracks.index)
    out = pd.DataFrame(
        {
            "id": tracks["migrasome_id"].astype("int64"),
            "status": status.astype("string"),
            "score": tracks["score"],
            "cell": tracks["cell_id"],
            "um": tracks["plateau_diameter_um"],
            "location": tracks["location"],
            "fate": tracks["fate"],
            "born (min)": tracks["birth_time_min"],
            "life (min)": tracks["lifetime_min"],
        }
    )
    flags = {
        "low score": tracks["score"] < _SURE_SCORE,
        "no parent": tracks["cell_id"].isna(),
        "doubtful parent": tracks["cell_id_confidence"] < _SURE_PARENT,
        "there from the start": tracks["is_left_censored"],
        "outlasts the movie": tracks["is_right_censored"],
        "no growth fit": tracks["growth_model"].isna(),
        "location unknown": tracks["location"].isna(),
        "gaps": tracks["migrasome_id"].isin(_with_gaps(tables["migrasomes"])),
    }
    marks = pd.DataFrame({name: flags[name].fillna(False).astype(bool) for name in FLAGS})
    out["flags"] = [", ".join(name for name in marks.columns if row[name]) for _, row in marks.iterrows()]
    return out.reset_index(drop=True)


def _with_gaps(migrasomes: pd.DataFrame) -> list[int]:
    """Migrasomes of which half of the frames were filled by forced photometry."""
    share = migrasomes.groupby("migrasome_id")["is_measured"].mean()
    return [int(one) for one in share.index[share < 0.5]]


def candidate_list(candidates: pd.DataFrame) -> pd.DataFrame:
    """One row per candidate that was not accepted: id, score, kind, reason, frames, um (diameter)."""
    return pd.DataFrame(
        {
            "id": candidates["candidate_id"].astype("int64"),
            "score": candidates["score"],
            "kind": candidates["kind"],
            "reason": candidates["reason"],
            "frames": candidates["n_frames"],
            "um": candidates["diameter_um"],
        }
    ).sort_values("score", ascending=False, ignore_index=True)


def next_unreviewed(table: pd.DataFrame, current: int | None, step: int = 1) -> int | None:
    """Id of the next row that nobody has decided about, in the order listed; None where there is none.

    Parameters
    ----------
    table : pandas.DataFrame
        List in the order in which it is shown.
    current : int or None
        Id that is selected.
    step : int
        1 for the next, -1 for the one before.
    """
    ids = table["id"].tolist()
    n = len(ids)
    if not n:
        return None
    start = ids.index(current) if current in ids else (-1 if step > 0 else n)
    for k in range(1, n + 1):
        row = (start + step * k) % n
        if table["status"].iloc[row] == "auto" and ids[row] != current:
            return int(ids[row])
    return None
