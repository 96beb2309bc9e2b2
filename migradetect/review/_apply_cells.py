"""Corrections of cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from migradetect.cells import measure_cells
from migradetect.errors import EditError
from migradetect.pipeline.sites import above_bowl, clean_plane
from migradetect.review import edits
from migradetect.review._apply_migrasomes import renamed_cells
from migradetect.review._change import Touched
from migradetect.review._planes import Plane, PlaneChange
from migradetect.review._refresh import refresh
from migradetect.review._site import Piece, finish
from migradetect.review._state import State
from migradetect.review._workbench import Workbench

__all__ = ["merge", "paint", "relink", "split"]

Step = tuple[State, Touched]
#: Scale of the background under cells, um, as in pass 1.
_BACKGROUND_UM = 8.0
#: A part below this share of a cell is no cell.
_LEAST_PART = 0.02


def paint(bench: Workbench, state: State, edit: edits.PaintCells) -> Step:
    """New outlines in one frame."""
    bench.check_frame(edit.frame)
    before = bench.labels.plane(state, "cells", edit.frame)
    after = edit.paint(before)
    differs = before != after
    if not differs.any():
        raise EditError(f"frame {edit.frame}: the patch changes nothing in the image")
    changed = {int(one) for one in np.unique(np.concatenate([before[differs], after[differs]])) if one}
    known = _known_cells(bench, state)
    fresh = sorted({one for _, one in edit.named()} - known)
    free = state.next_ids["cell"]
    if fresh != list(range(free, free + len(fresh))):
        raise EditError(f"expected cells that are there, or the next free id {free}, got {', '.join(map(str, fresh))}")
    state_after = replace(
        state,
        plane_changes=(*state.plane_changes, PlaneChange("cells", edit.frame, edit.frame, _painting(edit))),
        next_ids={**state.next_ids, "cell": free + len(fresh)},
    )
    state_after = _remeasure(bench, state_after, {edit.frame: changed})
    return refresh(bench, state, state_after, [edit.frame], cells=changed)


def _painting(edit: edits.PaintCells) -> Callable[[Plane, int], Plane]:
    return lambda plane, frame: edit.paint(plane)


def merge(bench: Workbench, state: State, edit: edits.MergeCells) -> Step:
    """One id for all, in tables and label planes."""
    for number in edit.cell_ids:
        bench.check_cell(state, number)
    into, others = edit.cell_ids[0], edit.cell_ids[1:]
    ids = dict.fromkeys(others, into)
    last = bench.base.n_frames - 1
    after = replace(state, plane_changes=(*state.plane_changes, PlaneChange.rename("cells", 0, last, ids)))
    frames, shared = {}, {}
    for frame in range(bench.base.n_frames):
        rows = bench.cells_in(state, frame)
        here = rows["cell_id"].isin(edit.cell_ids)
        if not (rows["cell_id"].isin(others) | rows["mother_id"].isin(others)).any():
            continue
        mother = rows["mother_id"].replace(ids)
        rows = rows.assign(cell_id=rows["cell_id"].replace(ids), mother_id=mother)
        # a cell that divided is no mother of itself
        rows["mother_id"] = rows["mother_id"].mask((rows["cell_id"] == rows["mother_id"]).fillna(False))
        if here.sum() > 1:
            shared[frame] = {into}
        frames[frame] = rows.drop_duplicates("cell_id")
    after = replace(after, cells={**after.cells, **frames})
    after = _remeasure(bench, after, shared)
    return _renamed(bench, state, after, ids, 0, lambda piece: ids)


def relink(bench: Workbench, state: State, edit: edits.RelinkCells) -> Step:
    """Ids exchanged from a frame on."""
    bench.check_frame(edit.frame)
    bench.check_cell(state, edit.cell_id)
    bench.check_cell(state, edit.other_id)
    if edit.other_id == edit.cell_id:
        raise EditError(f"expected two cells, got {edit.cell_id} twice")
    other, after = (edit.other_id, state) if edit.other_id is not None else state.take_id("cell")
    ids = {edit.cell_id: other, other: edit.cell_id}
    last = bench.base.n_frames - 1
    change = PlaneChange.rename("cells", edit.frame, last, ids)
    after = replace(after, plane_changes=(*state.plane_changes, change))
    table = bench.cells(state)
    mothers = table.groupby("cell_id")["mother_id"].first()
    begin = table.groupby("cell_id")["frame"].min()
    late = set(begin[begin >= edit.frame].index)
    frames = {}
    for frame in range(edit.frame, last + 1):
        rows = bench.cells_in(state, frame)
        if not rows["cell_id"].isin(list(ids)).any():
            continue
        daughters = rows["cell_id"].isin(late) & rows["mother_id"].isin(list(ids))
        mother = rows["mother_id"].mask(daughters, rows["mother_id"].replace(ids))
        renamed = rows["cell_id"].replace(ids)
        swapped = renamed != rows["cell_id"]
        mother = mother.mask(swapped, renamed.map(mothers).astype("Int64"))
        frames[frame] = rows.assign(cell_id=renamed, mother_id=mother)
    if not frames:
        raise EditError(f"cell {edit.cell_id}: it is not there from frame {edit.frame} on")
    after = replace(after, cells={**after.cells, **frames})
    numbers = bench.base.timeline.numbers

    def which(piece: Piece) -> Mapping[int, int]:
        life = piece.site.existence
        return ids if life is not None and numbers[life.first] >= edit.frame else {}

    return _renamed(bench, state, after, ids, edit.frame, which)


def split(bench: Workbench, state: State, edit: edits.SplitCell) -> Step:
    """A straight cut through one cell."""
    last = edit.frame if edit.last_frame is None else edit.last_frame
    bench.check_frame(edit.frame)
    bench.check_frame(last)
    bench.check_cell(state, edit.cell_id)
    if (edit.y0_um, edit.x0_um) == (edit.y1_um, edit.x1_um) or last < edit.frame:
        raise EditError("expected two different points, and frames in order")
    cut = _Cut(bench, edit)
    plane = bench.labels.plane(state, "cells", edit.frame)
    mine = plane == edit.cell_id
    side = mine & cut.is_beyond(plane.shape)
    share = side.sum() / max(int(mine.sum()), 1)
    if not _LEAST_PART <= share <= 1 - _LEAST_PART:
        raise EditError(f"cell {edit.cell_id}: the line does not part it in frame {edit.frame}")
    number, after = state.take_id("cell")
    cut.number, cut.takes_beyond = number, bool(share <= 0.5)
    change = PlaneChange("cells", edit.frame, last, cut)
    after = replace(after, plane_changes=(*state.plane_changes, change))
    frames = [
        frame
        for frame in range(edit.frame, last + 1)
        if (bench.labels.plane(after, "cells", frame) != bench.labels.plane(state, "cells", frame)).any()
    ]
    after = _remeasure(bench, after, {frame: {edit.cell_id, number} for frame in frames})
    return refresh(bench, state, after, frames, cells={edit.cell_id, number})


class _Cut:
    """Gives one side of a line a new id."""

    def __init__(self, bench: Workbench, edit: edits.SplitCell) -> None:
        px = bench.base.calibration.px
        self._y0, self._x0, self._y1, self._x1 = (
            float(px(v)) for v in (edit.y0_um, edit.x0_um, edit.y1_um, edit.x1_um)
        )
        self._cell = edit.cell_id
        self.number = 0
        self.takes_beyond = True

    def is_beyond(self, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Pixels on one side."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        cross = (self._x1 - self._x0) * (y - self._y0) - (self._y1 - self._y0) * (x - self._x0)
        return np.asarray(cross > 0)

    def __call__(self, plane: Plane, frame: int) -> Plane:
        mine = plane == self._cell
        side = mine & (self.is_beyond(plane.shape) == self.takes_beyond)
        share = side.sum() / max(int(mine.sum()), 1)
        out = plane.copy()
        # where the line passes beside the cell there is nothing to part
        if _LEAST_PART <= share <= 1 - _LEAST_PART:
            out[side] = self.number
        return out


def _known_cells(bench: Workbench, state: State) -> set[int]:
    return set(bench.cells(state)["cell_id"].astype(int)) | set(range(1, state.next_ids["cell"]))


def _remeasure(bench: Workbench, state: State, cells_of: Mapping[int, set[int]]) -> State:
    """Rows of some cells in some frames, measured on the label planes as they are now."""
    frames = {}
    mothers = bench.cells(state).dropna(subset=["mother_id"]).groupby("cell_id")["mother_id"].first().to_dict()
    for frame, ids in cells_of.items():
        rows = bench.cells_in(state, frame)
        new = _measured(bench, state, frame, ids)
        if len(new):
            new["mother_id"] = pd.array([mothers.get(int(one), pd.NA) for one in new["cell_id"]], dtype="Int64")
        kept = rows[~rows["cell_id"].isin(list(ids))]
        parts = [part for part in (kept, finish(bench.base, "cells", new) if len(new) else kept[:0]) if len(part)]
        frames[frame] = pd.concat(parts, ignore_index=True).sort_values("cell_id") if parts else rows[:0]
    return replace(state, cells={**state.cells, **frames})


def _measured(bench: Workbench, state: State, frame: int, ids: set[int]) -> pd.DataFrame:
    base = bench.base
    plane = bench.labels.plane(state, "cells", frame)
    labels = np.where(np.isin(plane, list(ids)), plane, 0).astype(np.int32)
    if not labels.any():
        return pd.DataFrame()
    table = measure_cells(labels, _above_background(bench, frame), base.calibration).rename(
        columns={"label": "cell_id"}
    )
    drift = bench.drift(frame)
    return table.assign(
        frame=frame, y_stage_um=table["y_um"] - drift[0], x_stage_um=table["x_um"] - drift[1], speed_um_per_min=np.nan
    )


def _above_background(bench: Workbench, frame: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Channels above the background under the cells, as in pass 1; none without images."""
    movie, model = bench.recording.movie, bench.recording.model
    if movie is None or model is None:
        return {}
    out = {}
    for role in movie.roles:
        plane = bench.recording.plane(frame, role)
        if plane is None:
            return {}
        image, half_variance = clean_plane(plane.astype(np.float32), model.noise[role])
        out[role] = above_bowl(image, half_variance, bench.base.calibration.px(_BACKGROUND_UM))
    return out


def _renamed(
    bench: Workbench,
    before: State,
    after: State,
    ids: Mapping[int, int],
    first: int,
    ids_of: Callable[[Piece], Mapping[int, int]],
) -> Step:
    """Fibers and migrasomes that name cells with other ids, from a frame on."""
    fiber_frames, fiber_ids = {}, set()
    for frame in range(first, bench.base.n_frames):
        rows = bench.fibers_in(before, frame)
        mine = rows["cell_id"].isin(list(ids))
        if mine.any():
            fiber_frames[frame] = rows.assign(cell_id=rows["cell_id"].replace(dict(ids)).astype("Int64"))
            fiber_ids |= set(rows.loc[mine, "fiber_id"].astype(int))
    after = replace(after, fibers={**after.fibers, **fiber_frames})
    pieces: dict[int, Piece | None] = {}
    for number in bench.naming_cells(before, set(ids)):
        piece = bench.piece(before, number)
        site, changes = renamed_cells(piece, dict(ids_of(piece)))
        if changes:
            life = site.existence
            engulfer = life.engulfed_by if life is not None and life.engulfed_by else None
            parent = site.parent if site.parent is not None else pd.NA
            pieces[number] = replace(
                piece,
                site=site,
                track=piece.track.assign(
                    cell_id=pd.array([parent], dtype="Int64"), engulfed_by_cell_id=pd.array([engulfer], dtype="Int64")
                ),
                rows=piece.rows.assign(cell_id=pd.array([parent] * len(piece.rows), dtype="Int64")),
            )
    after = after.with_pieces(pieces).with_status("edited", *(n for n in pieces if before.status.get(n) != "added"))
    touched = Touched(
        frozenset(pieces),
        frozenset(ids) | frozenset(ids.values()),
        frozenset(fiber_ids),
        frozenset(range(first, bench.base.n_frames)),
        frozenset({"cells"}),
    )
    return after, touched
