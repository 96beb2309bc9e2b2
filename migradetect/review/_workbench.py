"""What corrections are made with: stored photometry, the images, label planes, and surroundings of places."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.errors import EditError
from migradetect.filters import nearest_label
from migradetect.lifetimes import Existence
from migradetect.pipeline.sites import find_parents, trace_branches
from migradetect.review._base import Base
from migradetect.review._images import Recording
from migradetect.review._planes import Plane, PlaneChange, Planes
from migradetect.review._site import Piece, Site, build
from migradetect.review._state import State
from migradetect.trails import FiberBranches

__all__ = ["Workbench", "with_parent"]

#: Label planes that are kept in memory, bytes.
_PLANE_BYTES = 256 * 2**20
_ROLES = ("tspan4", "wga")


class Workbench:
    """Reads and measures for the corrections of one movie.

    Parameters
    ----------
    base : Base
        Automatic results.
    recording : Recording
        The images.
    """

    def __init__(self, base: Base, recording: Recording) -> None:
        self.base, self.recording = base, recording
        #: Before any correction.
        self.start = State(next_ids=_first_free(base))
        self._planes: OrderedDict[tuple[str, int, tuple[int, ...]], Plane] = OrderedDict()
        self._branches: OrderedDict[tuple[int, tuple[int, ...]], FiberBranches] = OrderedDict()

    # label planes

    def plane(self, state: State, name: str, frame: int) -> Plane:
        """Reviewed label plane of a recorded frame; not to be written to."""
        changes = [c for c in state.plane_changes if c.name == name and c.first <= frame <= c.last]
        key = (name, frame, tuple(c.serial for c in changes))
        if key in self._planes:
            self._planes.move_to_end(key)
            return self._planes[key]
        stack = self.base.results.labels.get(name)
        if changes:
            earlier = replace(state, plane_changes=_without(state.plane_changes, changes[-1]))
            plane = changes[-1].apply(self.plane(earlier, name, frame), frame)
        elif stack is None or frame >= len(stack):
            plane = np.zeros(self.base.shape_yx, np.uint32)
        else:
            plane = stack[frame]
        plane.flags.writeable = False
        self._planes[key] = plane
        while len(self._planes) > 2 and len(self._planes) * plane.nbytes > _PLANE_BYTES:
            self._planes.popitem(last=False)
        return plane

    def planes(self, state: State, name: str) -> Planes:
        """Reviewed label planes by recorded frame."""
        return Planes(lambda frame: self.plane(state, name, frame), self.base.n_frames, self.base.shape_yx)

    def usable_planes(self, state: State, name: str) -> Planes:
        """Reviewed label planes by usable frame."""
        numbers = self.base.timeline.numbers
        return Planes(lambda k: self.plane(state, name, int(numbers[k])), numbers.size, self.base.shape_yx)

    def attached(self, state: State) -> frozenset[tuple[int, int]]:
        """Usable frame and id of the fibers that reach a body."""
        fibers = self.fibers(state)
        reached = fibers[fibers["is_attached"]]
        frames = np.searchsorted(self.base.timeline.numbers, reached["frame"].to_numpy(int))
        return frozenset(zip(frames.tolist(), reached["fiber_id"].astype(int).tolist(), strict=True))

    # tables by frame

    def fibers(self, state: State) -> pd.DataFrame:
        """Reviewed table ``fibers`` without the columns of the review."""
        return with_frames(self.base.results.fibers, state.fibers)

    def cells(self, state: State) -> pd.DataFrame:
        """Reviewed table ``cells`` without the columns of the review."""
        return with_frames(self.base.results.cells, state.cells)

    def cells_in(self, state: State, frame: int) -> pd.DataFrame:
        """Reviewed rows of ``cells`` of one frame."""
        found = state.cells.get(frame)
        return found if found is not None else self.base.cells_in.get(frame, self.base.results.cells.iloc[:0])

    def fibers_in(self, state: State, frame: int) -> pd.DataFrame:
        """Reviewed rows of ``fibers`` of one frame."""
        found = state.fibers.get(frame)
        return found if found is not None else self.base.fibers_in.get(frame, self.base.results.fibers.iloc[:0])

    # places

    def drift(self, frame: int) -> NDArray[np.float64]:
        """Stage drift (y, x) of a recorded frame, um."""
        return np.asarray(self.base.drift_um[frame])

    def check_frame(self, frame: int) -> None:
        """Refuse a frame that the movie does not have."""
        if not self.base.timeline.numbers.size:
            raise EditError("no frame of this movie could be used")
        if not 0 <= frame < self.base.n_frames:
            raise EditError(f"expected a frame from 0 to {self.base.n_frames - 1}, got {frame}")

    def check_place(self, y_um: float, x_um: float) -> None:
        """Refuse a place out of the image."""
        height, width = (self.base.calibration.um(float(n)) for n in self.base.shape_yx)
        if not (0 <= y_um <= height and 0 <= x_um <= width):
            raise EditError(f"expected a place in the image ({height:.4g} by {width:.4g} um), got {y_um:g}, {x_um:g}")

    def check_cell(self, state: State, cell_id: int | None) -> None:
        """Refuse a cell that is not there."""
        if cell_id is not None and cell_id not in set(self.cells(state)["cell_id"]):
            raise EditError(f"cell {cell_id}: there is none with this id")

    def surroundings(self, state: State, y_stage_um: float, x_stage_um: float) -> pd.DataFrame:
        """Nearest body and fiber of a place in each usable frame, as of pass 3."""
        numbers = self.base.timeline.numbers
        return self.surroundings_in(state, np.array([[y_stage_um, x_stage_um]]), numbers).drop(columns="site")

    def surroundings_in(self, state: State, stage_um: NDArray[np.float64], frames: NDArray[np.int64]) -> pd.DataFrame:
        """Nearest body and fiber of several places; columns site (position in `stage_um`) and frame (usable)."""
        calibration = self.base.calibration
        parts = []
        for frame in frames:
            place = np.asarray(calibration.px(stage_um + self.drift(int(frame))))
            out: dict[str, Any] = {"site": np.arange(len(stage_um)), "frame": self.base.to_usable(int(frame))}
            for name, gap_name, label_name in (
                ("cells", "cell_um", "nearest_cell"),
                ("fibers", "fiber_um", "nearest_fiber"),
            ):
                gap, label = nearest_label(self.plane(state, name, int(frame)), place[:, 0], place[:, 1])
                out[gap_name], out[label_name] = calibration.um(gap), label
            out["covering_cell"] = np.where(out["cell_um"] <= 0, out["nearest_cell"], 0)
            parts.append(pd.DataFrame(out))
        return pd.concat(parts, ignore_index=True)

    def warm_up(self, state: State) -> None:
        """Do what the first corrections would wait for: open the images, compile, trace fibers."""
        base = self.base
        if not base.timeline.numbers.size:
            return
        _ = self.recording.model, self._around_all, base.traces_of, base.rows_of, base.tracks_of
        place = np.array(base.shape_yx) * base.calibration.pixel_size_um / 2
        middle = base.usable.n_frames // 2
        site = Site(
            0,
            float(place[0]),
            float(place[1]),
            1.0,
            None,
            (middle, middle),
            frozenset(),
            np.nan,
            by_hand=frozenset({"place"}),
        )
        self.measure(state, site, int(base.timeline.numbers[middle]))

    # migrasomes

    def piece(self, state: State, migrasome_id: int) -> Piece:
        """Rows of a migrasome, with what they rest on.

        Raises
        ------
        EditError
            If there is no such migrasome.
        """
        if migrasome_id in state.pieces:
            found = state.pieces[migrasome_id]
            if found is not None:
                return found
        elif migrasome_id in self.base.tracks_of:
            return self._stored(state, migrasome_id)
        what = "it was rejected" if migrasome_id in state.rejected else "there is none with this id"
        raise EditError(f"migrasome {migrasome_id}: {what}")

    def has(self, state: State, migrasome_id: int) -> bool:
        """Whether there is such a migrasome."""
        if migrasome_id in state.pieces:
            return state.pieces[migrasome_id] is not None
        return migrasome_id in self.base.tracks_of

    def ids(self, state: State) -> list[int]:
        """Migrasomes that there are."""
        stored = [number for number in self.base.tracks_of if number not in state.pieces]
        return sorted(stored + [number for number, piece in state.pieces.items() if piece is not None])

    def places(self, state: State) -> pd.DataFrame:
        """Stage place, first and last recorded frame and size of each migrasome, by id."""
        known = self.base.places
        kept = known[~known.index.isin(list(state.pieces))]
        numbers = self.base.timeline.numbers
        rows = {}
        for number, piece in state.pieces.items():
            if piece is None or piece.site.existence is None:
                continue
            site, life = piece.site, piece.site.existence
            rows[number] = {
                "y_stage_um": site.y_stage_um,
                "x_stage_um": site.x_stage_um,
                "frame_first": int(numbers[life.first]),
                "frame_last": int(numbers[life.last]),
                "diameter_um": site.diameter_um * site.scale,
            }
        if not rows:
            return kept
        new = pd.DataFrame.from_dict(rows, orient="index").astype(known.dtypes.to_dict())
        return pd.concat([kept, new]).sort_index() if len(kept) else new.sort_index()

    def naming_cells(self, state: State, cells: set[int]) -> list[int]:
        """Migrasomes whose parent, or the cell that took them up, is one of some cells."""
        tracks = self.base.results.tracks
        named = tracks["cell_id"].isin(list(cells)) | tracks["engulfed_by_cell_id"].isin(list(cells))
        found = set(tracks.loc[named, "migrasome_id"].astype(int)) - set(state.pieces)
        for number, piece in state.pieces.items():
            if piece is None:
                continue
            life = piece.site.existence
            if piece.site.parent in cells or (life is not None and life.engulfed_by in cells):
                found.add(number)
        return sorted(found)

    def on_fibers(self, state: State, fibers: set[int]) -> list[int]:
        """Migrasomes that sit on one of some fibers in any frame."""
        rows = self.base.results.migrasomes
        found = set(rows.loc[rows["fiber_id"].isin(list(fibers)), "migrasome_id"].astype(int)) - set(state.pieces)
        for number, piece in state.pieces.items():
            if piece is not None and piece.rows["fiber_id"].isin(list(fibers)).any():
                found.add(number)
        return sorted(found)

    def _stored(self, state: State, migrasome_id: int) -> Piece:
        base = self.base
        track, rows = base.tracks_of[migrasome_id], base.rows_of[migrasome_id]
        traces = base.traces_of[migrasome_id]
        one = track.iloc[0]
        known: dict[Any, Any] = base.places.loc[migrasome_id].to_dict()
        used = rows[rows["frame"].isin(base.timeline.numbers)]
        numbers = np.searchsorted(base.timeline.numbers, used["frame"].to_numpy(int))
        first, last = int(numbers.min()), int(numbers.max())
        engulfer = 0 if pd.isna(one["engulfed_by_cell_id"]) else int(one["engulfed_by_cell_id"])
        fate = "" if pd.isna(one["fate"]) else str(one["fate"])
        site = Site(
            migrasome_id,
            float(known["y_stage_um"]),
            float(known["x_stage_um"]),
            float(known["diameter_um"]) if np.isfinite(known["diameter_um"]) else 1.0,
            Existence(first, last, fate, engulfer),
            (first, last),
            frozenset(numbers[used["is_measured"].to_numpy(bool)].tolist()),
            float(one["score"]),
            None if pd.isna(one["location"]) else str(one["location"]),
            None if pd.isna(one["cell_id"]) else int(one["cell_id"]),
            float(one["cell_id_confidence"]),
        )
        trace = traces[traces["frame"].isin(base.timeline.numbers)].sort_values("frame").reset_index(drop=True)
        trace = trace.assign(frame=np.arange(len(trace)))
        around = self._around_stored(state, migrasome_id).drop(columns="frame")
        empty = dict.fromkeys(("amplitude", "amplitude_err", "covered", "covered_err"), np.nan)
        trace = pd.concat([trace, around], axis=1).assign(n_arms=-1, **empty)
        return Piece(site, trace, track, rows, traces)

    @cached_property
    def _around_all(self) -> dict[int, pd.DataFrame]:
        """Surroundings of all stored migrasomes in the stored label planes: one look at each frame serves all."""
        places = self.base.places
        stage = places[["y_stage_um", "x_stage_um"]].to_numpy(float)
        if not len(stage):
            return {}
        table = self.surroundings_in(self.start, stage, self.base.timeline.numbers)
        ids = places.index.to_numpy(int)
        return {
            int(ids[int(str(k))]): rows.drop(columns="site").reset_index(drop=True) for k, rows in table.groupby("site")
        }

    def _around_stored(self, state: State, migrasome_id: int) -> pd.DataFrame:
        around = self._around_all[migrasome_id]
        numbers = self.base.timeline.numbers
        for change in state.plane_changes:
            within = np.flatnonzero((numbers >= change.first) & (numbers <= change.last))
            if not within.size:
                continue
            names = ("nearest_cell", "covering_cell") if change.name == "cells" else ("nearest_fiber",)
            around = around.copy()
            if change.renamed is not None:
                for name in names:
                    around.loc[within, name] = around.loc[within, name].replace(dict(change.renamed))
                continue
            place = self.base.places.loc[[migrasome_id], ["y_stage_um", "x_stage_um"]].to_numpy(float)
            # with all changes on it: later ones find nothing more to do there
            fresh = self.surroundings_in(state, place, numbers[within]).drop(columns=["site", "frame"])
            around.loc[within, fresh.columns] = fresh.to_numpy()
        return around

    def rebuild(self, state: State, piece: Piece, site: Site) -> Piece:
        """Rows of a migrasome after something else was decided about it; its photometry stays."""
        return build(self.base, site, piece.trace, self.attached(state))

    def measure(self, state: State, site: Site, first_seen: int) -> Piece:
        """Rows of a migrasome whose place is new: photometry, existence, growth, location and parent.

        Parameters
        ----------
        state : State
            For outlines and fibers.
        site : Site
            Its `existence`, `location` and `parent` are taken where they are set by hand, else found.
        first_seen : int
            Recorded frame around which arms of fiber are counted.
        """
        base = self.base
        trace, measured = self._trace(state, site, first_seen)
        if not measured and site.existence is None:
            # without images nobody knows more than the one who saw it
            fate = "persist" if site.seen[1] >= base.usable.n_frames - 1 else ""
            site = replace(site, existence=Existence(*site.seen, fate, 0))
        piece = build(base, site, trace, self.attached(state))
        if "parent" in site.by_hand:
            return piece
        parent, confidence = self._parent(state, piece)
        return with_parent(piece, parent, confidence)

    def _trace(self, state: State, site: Site, first_seen: int) -> tuple[pd.DataFrame, bool]:
        base = self.base
        numbers = base.timeline.numbers
        around = self.surroundings(state, site.y_stage_um, site.x_stage_um)
        stage = np.array([site.y_stage_um, site.x_stage_um])
        places = stage + base.drift_um[numbers]
        cells = {int(frame): self.plane(state, "cells", int(frame)) for frame in numbers}
        out = self.recording.measure(places, numbers, site.diameter_um, cells, first_seen)
        measured = out is not None
        if out is None:
            height, width = base.shape_yx
            y, x = (np.asarray(base.calibration.px(places[:, k])) for k in (0, 1))
            inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
            names = ["amplitude", "amplitude_err", "snr", "diameter_um", "diameter_err_um", "covered", "covered_err"]
            names += [f"{role}_{what}" for role in _ROLES for what in ("signal", "err")]
            out = pd.DataFrame(dict.fromkeys(names, np.nan), index=range(numbers.size))
            out = out.assign(is_in_field=inside, n_arms=-1)
        out = out.drop(columns=[name for name in ("shape",) if name in out]).reset_index(drop=True)
        out["migrasome_id"], out["y_um"], out["x_um"] = site.migrasome_id, places[:, 0], places[:, 1]
        return pd.concat([out, around], axis=1), measured

    def _parent(self, state: State, piece: Piece) -> tuple[int | None, float]:
        base, site = self.base, piece.site
        numbers = base.timeline.numbers
        cells = self.cells(state)
        cells = cells[cells["frame"].isin(numbers)]
        cells = cells.assign(frame=np.searchsorted(numbers, cells["frame"].to_numpy(int)))
        if cells.empty or site.existence is None:
            return None, float("nan")
        places = pd.DataFrame(
            {
                "migrasome_id": [site.migrasome_id],
                "y_stage_um": [site.y_stage_um],
                "x_stage_um": [site.x_stage_um],
                "diameter_um": [site.diameter_um],
                "birth_frame": [site.existence.first],
            }
        )
        stacks = self.usable_planes(state, "cells"), self.usable_planes(state, "fibers")
        trace = piece.trace[["migrasome_id", "frame", "cell_um", "nearest_cell", "fiber_um"]]
        found = find_parents(
            places,
            trace,
            cells,
            stacks,
            base.drift_um[numbers],
            base.calibration,
            base.params.assign,
            lambda frame: self._traced(state, frame),
        )
        if found.empty:
            return None, float("nan")
        return int(found["cell_id"].iloc[0]), float(found["confidence"].iloc[0])

    def _traced(self, state: State, frame: int) -> FiberBranches:
        number = int(self.base.timeline.numbers[frame])
        key = frame, tuple(c.serial for c in state.plane_changes if c.first <= number <= c.last)
        if key not in self._branches:
            stacks = self.usable_planes(state, "cells"), self.usable_planes(state, "fibers")
            self._branches[key] = trace_branches(stacks, frame, self.base.calibration)
            while len(self._branches) > 1000:
                self._branches.popitem(last=False)
        return self._branches[key]


def with_parent(piece: Piece, parent: int | None, confidence: float) -> Piece:
    """The same migrasome with another parent; nothing but the columns of the parent rests on it."""
    number = pd.NA if parent is None else parent
    confidence = confidence if parent is not None else np.nan
    track = piece.track.copy()
    track["cell_id"] = pd.array([number], dtype="Int64")
    track["cell_id_confidence"] = confidence
    rows = piece.rows.copy()
    rows["cell_id"] = pd.array([number] * len(rows), dtype="Int64")
    return replace(piece, site=replace(piece.site, parent=parent, confidence=confidence), track=track, rows=rows)


def _first_free(base: Base) -> dict[str, int]:
    """Smallest id above all that are taken, by kind."""
    tables = base.results.tables

    def after(*columns: pd.Series[Any]) -> int:
        return 1 + max((int(column.max()) for column in columns if len(column.dropna())), default=0)

    return {
        "migrasome": after(tables["tracks"]["migrasome_id"]),
        "cell": after(tables["cells"]["cell_id"], tables["cells"]["mother_id"]),
        "fiber": after(tables["fibers"]["fiber_id"]),
        # no candidate is made; those that were migrasomes are numbered from here on
        "candidate": after(tables["candidates"]["candidate_id"]),
    }


def _without(changes: tuple[PlaneChange, ...], one: PlaneChange) -> tuple[PlaneChange, ...]:
    return tuple(change for change in changes if change is not one)


def with_frames(table: pd.DataFrame, frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """A table with the rows of some frames replaced."""
    if not frames:
        return table
    kept = table[~table["frame"].isin(list(frames))]
    parts = [part for part in (kept, *frames.values()) if len(part)]
    if not parts:
        return table.iloc[:0]
    return pd.concat(parts, ignore_index=True).sort_values(
        ["frame", "fiber_id" if "fiber_id" in table else "cell_id"],
        kind="stable",
        ignore_index=True,
    )
