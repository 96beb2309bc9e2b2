"""Reviewed tables: stored rows, with those of what was changed in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from migradetect.pipeline.sites import with_speeds
from migradetect.results import MOVIE_TABLES
from migradetect.review._site import finish
from migradetect.review._state import State
from migradetect.review._workbench import Workbench
from migradetect.summary import summarize_cells

__all__ = ["EDITED", "Tables"]

#: Columns that say whether a row differs from the automatic one, and who did what.
EDITED, SOURCE = "edited", "edit_source"
#: Kind of object of each table that has these columns.
_KIND = {
    "migrasomes": ("migrasome", "migrasome_id"),
    "tracks": ("migrasome", "migrasome_id"),
    "cells": ("cell", "cell_id"),
    "fibers": ("fiber", "fiber_id"),
    "cell_summary": ("summary", "cell_id"),
}


class Tables(Mapping[str, pd.DataFrame]):
    """Tables of a state by name, each made when it is first asked for; not to be written to.

    Parameters
    ----------
    bench : Workbench
        Automatic results.
    state : State
        What was changed.
    """

    def __init__(self, bench: Workbench, state: State) -> None:
        self._bench, self._state = bench, state
        self._made: dict[str, pd.DataFrame] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(MOVIE_TABLES)

    def __len__(self) -> int:
        return len(MOVIE_TABLES)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            make: Callable[[], pd.DataFrame] | None = getattr(self, f"_make_{name}", None)
            if make is None:
                raise KeyError(name)
            table = make()
            self._made[name] = self._with_source(name, table) if name in _KIND else table
        return self._made[name]

    def _with_source(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        kind, column = _KIND[name]
        edited = self._state.edited(kind)
        # rows are many, and objects few
        source = table[column].map(edited).astype("string").array if edited else pd.array([None] * len(table), "string")
        changed = {one for one, who in edited.items() if any(not w.endswith(": accept") for w in who.split("; "))}
        table = table.copy()
        table[EDITED], table[SOURCE] = table[column].isin(list(changed)).astype(bool), source
        if name == "tracks":
            status = [self._state.status.get(int(one), "auto") for one in table[column]]
            table["review_status"] = pd.array(status, dtype="string")
        return table

    def _of_migrasomes(self, name: str, attribute: str, order: list[str]) -> pd.DataFrame:
        stored, pieces = self._bench.base.results.tables[name], self._state.pieces
        if not pieces:
            return stored
        parts = [stored[~stored["migrasome_id"].isin(list(pieces))]]
        parts += [getattr(piece, attribute) for piece in pieces.values() if piece is not None]
        filled = [part for part in parts if len(part)]
        if not filled:
            return stored.iloc[:0]
        return pd.concat(filled, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)

    def _make_migrasomes(self) -> pd.DataFrame:
        return self._of_migrasomes("migrasomes", "rows", ["frame", "migrasome_id"])

    def _make_tracks(self) -> pd.DataFrame:
        return self._of_migrasomes("tracks", "track", ["migrasome_id"])

    def _make_site_traces(self) -> pd.DataFrame:
        return self._of_migrasomes("site_traces", "traces", ["migrasome_id", "frame"])

    def _make_candidates(self) -> pd.DataFrame:
        stored, state = self._bench.base.results.candidates, self._state
        parts = [stored[~stored["candidate_id"].isin(list(state.promoted))], *state.rejected.values()]
        if len(parts) == 1:
            return parts[0].reset_index(drop=True)
        filled = [part for part in parts if len(part)]
        return pd.concat(filled, ignore_index=True).sort_values("candidate_id", ignore_index=True)

    def _make_cells(self) -> pd.DataFrame:
        table = self._bench.cells(self._state)
        if not self._state.cells:
            return table
        table = with_speeds(table.sort_values(["cell_id", "frame"], kind="stable"), self._bench.base.calibration)
        return table.sort_values(["frame", "cell_id"], kind="stable", ignore_index=True)

    def _make_fibers(self) -> pd.DataFrame:
        return self._bench.fibers(self._state)

    def _make_frames(self) -> pd.DataFrame:
        table = self._bench.base.results.frames
        if not self._state.cells:
            return table
        table = table.copy()
        for frame, rows in self._state.cells.items():
            here = (table["frame"] == frame) & table["n_cells"].notna()
            table.loc[here, "n_cells"] = len(rows)
        return table

    def _make_cell_summary(self) -> pd.DataFrame:
        base, stored = self._bench.base, self._bench.base.results.cell_summary
        touched = set(self._state.edited("summary"))
        if not touched:
            return stored
        cells, fibers, tracks = (self[name] for name in ("cells", "fibers", "tracks"))
        some = [table[table["cell_id"].isin(list(touched))] for table in (cells, fibers, tracks)]
        kept = stored[~stored["cell_id"].isin(list(touched))]
        rows = summarize_cells(some[0], some[1], some[2], base.calibration)
        if rows.empty:
            return kept.reset_index(drop=True)
        fresh = finish(base, "cell_summary", rows)
        if kept.empty:
            return fresh
        return pd.concat([kept, fresh], ignore_index=True).sort_values("cell_id", ignore_index=True)
