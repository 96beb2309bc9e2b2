"""Corrections of fibers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from migradetect.errors import EditError
from migradetect.fibers import ATTACH_UM, measure_fibers
from migradetect.review import edits
from migradetect.review._change import Touched
from migradetect.review._planes import Plane, PlaneChange
from migradetect.review._refresh import refresh
from migradetect.review._site import Piece, finish
from migradetect.review._state import State
from migradetect.review._workbench import Workbench

__all__ = ["assign", "cut", "join"]

Step = tuple[State, Touched]
#: A fiber passes at a place if it comes this near, um.
_REACH_UM = 1.0
#: What is taken out of the centreline at a cut, px: no diagonal step leads across.
_GAP_PX = 1.6
#: Shorter pieces are crumbs of the cut, px.
_LEAST_PX = 3


def assign(bench: Workbench, state: State, edit: edits.AssignFiber) -> Step:
    """Cell of a fiber, in all frames."""
    _check_fiber(bench, state, edit.fiber_id)
    bench.check_cell(state, edit.cell_id)
    frames, owners = {}, set()
    for frame in range(bench.base.n_frames):
        rows = bench.fibers_in(state, frame)
        mine = rows["fiber_id"] == edit.fiber_id
        if mine.any():
            owners |= set(rows.loc[mine, "cell_id"].dropna().astype(int))
            owner = edit.cell_id if edit.cell_id is not None else pd.NA
            frames[frame] = rows.assign(cell_id=rows["cell_id"].mask(mine, owner).astype("Int64"))
    if edit.cell_id is not None:
        owners.add(edit.cell_id)
    after = replace(state, fibers={**state.fibers, **frames})
    return after, Touched(frozenset(), frozenset(owners), frozenset({edit.fiber_id}), frozenset(frames))


def join(bench: Workbench, state: State, edit: edits.JoinFibers) -> Step:
    """One id for all, in tables and label planes."""
    for number in edit.fiber_ids:
        _check_fiber(bench, state, number)
    into, others = edit.fiber_ids[0], edit.fiber_ids[1:]
    ids = dict.fromkeys(others, into)
    last = bench.base.n_frames - 1
    after = replace(state, plane_changes=(*state.plane_changes, PlaneChange.rename("fibers", 0, last, ids)))
    table = bench.fibers(state)
    table = table[table["fiber_id"].isin(edit.fiber_ids)]
    rank = {number: k for k, number in enumerate(edit.fiber_ids)}
    known = table.assign(rank=table["fiber_id"].map(rank)).sort_values("rank")["cell_id"].dropna()
    owner = int(known.iloc[0]) if len(known) else pd.NA
    frames = {}
    for frame in sorted(set(table["frame"].astype(int))):
        rows = bench.fibers_in(state, frame)
        mine = rows["fiber_id"].isin(edit.fiber_ids)
        parts = rows[mine]
        snr = float(np.average(parts["mean_snr"], weights=np.maximum(parts["length_um"], 1e-9)))
        joined = _measured(bench, after, frame, [into], parts.iloc[0])
        joined["mean_snr"], joined["cell_id"] = snr, pd.array([owner] * len(joined), dtype="Int64")
        frames[frame] = _with_rows(bench, rows[~mine], joined)
    after = replace(after, fibers={**after.fibers, **frames})
    after, sites = _rename_on_sites(bench, state, after, ids)
    cells = frozenset(table["cell_id"].dropna().astype(int))
    return after, Touched(frozenset(sites), cells, frozenset(edit.fiber_ids), frozenset(frames), frozenset({"fibers"}))


def cut(bench: Workbench, state: State, edit: edits.CutFiber) -> Step:
    """Pieces with ids of their own."""
    bench.check_frame(edit.frame)
    bench.check_place(edit.y_um, edit.x_um)
    _check_fiber(bench, state, edit.fiber_id)
    cutter = _Cutter(bench, edit)
    plane = bench.labels.plane(state, "fibers", edit.frame)
    pieces = cutter.pieces(plane, edit.frame)
    if pieces is None:
        raise EditError(
            f"fiber {edit.fiber_id}: it does not pass within {_REACH_UM:g} um of the place in frame {edit.frame}"
        )
    if len(pieces) < 2:
        raise EditError(f"fiber {edit.fiber_id}: the cut does not part it in frame {edit.frame}")
    kept = _keeper(bench, state, edit.frame, pieces)
    after = state
    ids = []
    for k in range(len(pieces)):
        if k == kept:
            ids.append(edit.fiber_id)
            continue
        number, after = after.take_id("fiber")
        ids.append(number)
    cutter.settle(pieces, ids, edit.frame)
    table = bench.fibers(state)
    present = sorted(set(table.loc[table["fiber_id"] == edit.fiber_id, "frame"].astype(int)))
    change = PlaneChange("fibers", present[0], present[-1], cutter)
    after = replace(after, plane_changes=(*state.plane_changes, change))
    frames = {}
    for frame in present:
        if not (bench.labels.plane(after, "fibers", frame) != bench.labels.plane(state, "fibers", frame)).any():
            continue
        rows = bench.fibers_in(state, frame)
        mine = rows["fiber_id"] == edit.fiber_id
        frames[frame] = _with_rows(bench, rows[~mine], _measured(bench, after, frame, ids, rows[mine].iloc[0]))
    after = replace(after, fibers={**after.fibers, **frames})
    cells = set(table.loc[table["fiber_id"] == edit.fiber_id, "cell_id"].dropna().astype(int))
    after, touched = refresh(bench, state, after, frames, fibers=set(ids))
    return after, replace(touched, cell_ids=touched.cell_ids | cells)


class _Cutter:
    """Cuts a fiber at a place of the dish and gives its pieces their ids; pieces are pixels, shape (N, 2)."""

    def __init__(self, bench: Workbench, edit: edits.CutFiber) -> None:
        self._base = bench.base
        self._fiber = edit.fiber_id
        self._stage_um = np.array([edit.y_um, edit.x_um]) - bench.drift(edit.frame)
        self._trees: list[tuple[int, cKDTree]] = []

    def _drift_px(self, frame: int) -> NDArray[np.float64]:
        return np.asarray(self._base.calibration.px(self._base.drift_um[frame]))

    def pieces(self, plane: Plane, frame: int) -> list[NDArray[np.int64]] | None:
        """Pieces after the cut; None where the fiber does not pass at the place."""
        points = np.argwhere(plane == self._fiber)
        if not len(points):
            return None
        place = np.asarray(self._base.calibration.px(self._stage_um)) + self._drift_px(frame)
        gap = np.hypot(*(points - place).T)
        nearest = int(np.argmin(gap))
        if self._base.calibration.um(float(gap[nearest])) > _REACH_UM:
            return None
        left = points[np.hypot(*(points - points[nearest]).T) > _GAP_PX]
        line = np.zeros(plane.shape, np.uint8)
        line[tuple(left.T)] = 1
        n, labels = cv2.connectedComponents(line, connectivity=8)
        found = [np.argwhere(labels == k) for k in range(1, n)]
        return [one for one in found if len(one) >= _LEAST_PX]

    def settle(self, pieces: list[NDArray[np.int64]], ids: list[int], frame: int) -> None:
        """Pieces of the frame that was looked at, and their ids."""
        shift = self._drift_px(frame)
        self._trees = [(number, cKDTree(one - shift)) for one, number in zip(pieces, ids, strict=True)]

    def __call__(self, plane: Plane, frame: int) -> Plane:
        pieces = self.pieces(plane, frame)
        if pieces is None or len(pieces) < 2:
            return plane
        out = plane.copy()
        out[plane == self._fiber] = 0
        for one in pieces:
            here = one - self._drift_px(frame)
            distance = [float(tree.query(here)[0].mean()) for _, tree in self._trees]
            out[tuple(one.T)] = self._trees[int(np.argmin(distance))][0]
        return out


def _keeper(bench: Workbench, state: State, frame: int, pieces: list[NDArray[np.int64]]) -> int:
    """The piece that reaches a body, or the longest."""
    cells = bench.labels.runs(state, "cells", frame)

    def rank(one: NDArray[np.int64]) -> tuple[bool, int]:
        gap = float(cells.nearest(one[:, 0], one[:, 1])[0].min())
        return bool(bench.base.calibration.um(gap) <= ATTACH_UM), len(one)

    return max(range(len(pieces)), key=lambda k: rank(pieces[k]))


def _measured(bench: Workbench, state: State, frame: int, ids: list[int], like: pd.Series[Any]) -> pd.DataFrame:
    """Rows of some fibers, measured on the centrelines as they are now; the ridge is as bright as it was."""
    plane = bench.labels.plane(state, "fibers", frame)
    y, x = np.nonzero(np.isin(plane, ids))
    if not y.size:
        return pd.DataFrame()
    # bodies further away than this attach nothing
    margin = 2 + int(np.ceil(bench.base.calibration.px(ATTACH_UM)))
    box = slice(max(y.min() - margin, 0), y.max() + margin), slice(max(x.min() - margin, 0), x.max() + margin)
    plane, cells = plane[box], bench.labels.plane(state, "cells", frame)[box].astype(np.int32)
    labels = np.zeros(plane.shape, np.int32)
    present = [number for number in ids if (plane == number).any()]
    for k, number in enumerate(present, start=1):
        labels[plane == number] = k
    table = measure_fibers(labels, np.zeros(plane.shape, np.float32), cells, bench.base.calibration)
    table = table.assign(
        fiber_id=[present[int(label) - 1] for label in table["label"]],
        frame=frame,
        cell_id=like["cell_id"],
        mean_snr=float(like["mean_snr"]),
    )
    return table.drop(columns=["label", "cell_label"])


def _with_rows(bench: Workbench, rows: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    parts = [part for part in (rows, finish(bench.base, "fibers", new) if len(new) else rows[:0]) if len(part)]
    return pd.concat(parts, ignore_index=True).sort_values("fiber_id", kind="stable") if parts else rows


def _rename_on_sites(bench: Workbench, before: State, after: State, ids: dict[int, int]) -> tuple[State, set[int]]:
    """Migrasomes on fibers with another id."""
    attached = bench.attached(after)
    numbers = bench.base.timeline.numbers
    pieces: dict[int, Piece | None] = {}
    for number in bench.on_fibers(before, set(ids)):
        piece = bench.piece(before, number)
        rows = piece.rows.assign(fiber_id=piece.rows["fiber_id"].replace(ids).astype("Int64"))
        frames = np.searchsorted(numbers, rows["frame"].to_numpy(int))
        keys = zip(frames.tolist(), rows["fiber_id"].fillna(0).astype(int).tolist(), strict=True)
        led = np.array([key in attached for key in keys], bool) & rows["is_on_fiber"].to_numpy(bool)
        rows["is_attached"] = rows["is_attached"].to_numpy(bool) | led
        trace = piece.trace.assign(nearest_fiber=piece.trace["nearest_fiber"].replace(ids))
        pieces[number] = replace(piece, trace=trace, rows=rows)
    return after.with_pieces(pieces), set(pieces)


def _check_fiber(bench: Workbench, state: State, fiber_id: int) -> None:
    if fiber_id not in set(bench.fibers(state)["fiber_id"]):
        raise EditError(f"fiber {fiber_id}: there is none with this id")
