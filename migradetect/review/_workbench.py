"""What corrections are made with: stored photometry, the images, label planes, and surroundings of places."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.errors import EditError
from migradetect.lifetimes import Existence
from migradetect.pipeline.sites import find_parents, trace_branches, traced_frames
from migradetect.review._base import Base
from migradetect.review._images import Recording
from migradetect.review._label_planes import LabelPlanes
from migradetect.review._site import Piece, Site, build
from migradetect.review._state import State
from migradetect.review._watch import Watch
from migradetect.trails import FiberBranches

__all__ = ["Workbench", "with_parent"]

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
        #: Reviewed label planes of cells and fibers.
        self.labels = LabelPlanes(base)
        #: Of the correction that is being made.
        self.watch = Watch()
        # the window looks at planes, and the first corrections are prepared, while one is being made
        self._lock = threading.Lock()
        self._branches: OrderedDict[tuple[int, tuple[int, ...]], FiberBranches] = OrderedDict()
        self._attached: tuple[Any, NDArray[np.int64], NDArray[np.int64]] | None = None

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Let somebody see how far a correction is, and stop it."""
        self.watch = watch
        try:
            yield
        finally:
            self.watch = Watch()

    def attached(self, state: State, among: Collection[int] | None = None) -> frozenset[tuple[int, int]]:
        """Usable frame and id of the fibers that reach a body; of some fibers only, if they are given."""
        if self._attached is None or self._attached[0] is not state.fibers:
            fibers = self.fibers(state)
            reached = fibers[fibers["is_attached"]]
            frames = np.searchsorted(self.base.timeline.numbers, reached["frame"].to_numpy(int))
            self._attached = state.fibers, frames, reached["fiber_id"].to_numpy(np.int64)
        _, frames, ids = self._attached
        if among is not None:
            wanted = np.isin(ids, list(among))
            frames, ids = frames[wanted], ids[wanted]
        return frozenset(zip(frames.tolist(), ids.tolist(), strict=True))

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
        """Nearest body and fiber of a place in each usable frame, as of pass 3; each frame is a step."""
        numbers = self.base.timeline.numbers
        self.watch.expect(numbers.size)
        self.labels.load(state, numbers, self.watch)
        return self.surroundings_in(state, np.array([[y_stage_um, x_stage_um]]), numbers).drop(columns="site")

    def surroundings_in(self, state: State, stage_um: NDArray[np.float64], frames: NDArray[np.int64]) -> pd.DataFrame:
        """Nearest body and fiber of several places; columns site (position in `stage_um`) and frame (usable)."""
        calibration = self.base.calibration
        shape = len(frames), len(stage_um)
        gaps = {name: np.empty(shape) for name in ("cells", "fibers")}
        labels = {name: np.empty(shape, np.int64) for name in ("cells", "fibers")}
        for k, frame in enumerate(frames):
            place = np.asarray(calibration.px(stage_um + self.drift(int(frame))))
            for name in ("cells", "fibers"):
                gap, label = self.labels.runs(state, name, int(frame)).nearest(place[:, 0], place[:, 1])
                gaps[name][k], labels[name][k] = calibration.um(gap), label
        usable = np.array([self.base.to_usable(int(frame)) for frame in frames], np.int64)
        return pd.DataFrame(
            {
                "site": np.tile(np.arange(shape[1]), shape[0]),
                "frame": np.repeat(usable, shape[1]),
                "cell_um": gaps["cells"].ravel(),
                "nearest_cell": labels["cells"].ravel(),
                "fiber_um": gaps["fibers"].ravel(),
                "nearest_fiber": labels["fibers"].ravel(),
                "covering_cell": np.where(gaps["cells"] <= 0, labels["cells"], 0).ravel(),
            }
        )

    def warm_up(self, state: State, watch: Watch) -> None:
        """Do what the first corrections would wait for: open the images, read labels, trace fibers, compile."""
        base = self.base
        numbers = base.timeline.numbers
        if not numbers.size:
            return
        traced = list(traced_frames(numbers.size, base.calibration.frame_interval_min))
        watch.expect(numbers.size + len(traced))
        _ = self.recording.model, base.traces_of, base.rows_of, base.tracks_of, base.places
        self.labels.load(state, numbers, watch)
        for frame in traced:
            self._traced(state, frame)
            watch.step()
        # a place in a few frames compiles as well as one in all
        middle = numbers[numbers.size // 2 :][:2]
        place = np.array(base.shape_yx) * base.calibration.pixel_size_um / 2
        self.recording.measure(np.tile(place, (middle.size, 1)), middle, 1.0, self.bodies_in(state), int(middle[0]))

    def bodies_in(self, state: State) -> Callable[[int, slice, slice], NDArray[Any]]:
        """Reads bodies in a part of a recorded frame."""
        return lambda frame, rows, columns: self.labels.runs(state, "cells", frame).window(rows, columns)

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
        traces = base.traces_of.get(migrasome_id)
        if traces is None:
            raise EditError(f"migrasome {migrasome_id}: expected its site traces, got none; run the analysis again")
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
        around = self.surroundings(state, site.y_stage_um, site.x_stage_um).drop(columns="frame")
        empty = dict.fromkeys(("amplitude", "amplitude_err", "covered", "covered_err"), np.nan)
        trace = pd.concat([trace, around], axis=1).assign(n_arms=-1, **empty)
        return Piece(site, trace, track, rows, traces)

    def rebuild(self, state: State, piece: Piece, site: Site) -> Piece:
        """Rows of a migrasome after something else was decided about it; its photometry stays."""
        return build(self.base, site, piece.trace, self.attached(state, set(piece.trace["nearest_fiber"])))

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
        piece = build(base, site, trace, self.attached(state, set(trace["nearest_fiber"])))
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
        self.watch.expect(numbers.size)
        out = self.recording.measure(
            places, numbers, site.diameter_um, self.bodies_in(state), first_seen, watch=self.watch
        )
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
        stacks = self.labels.usable(state, "cells"), self.labels.usable(state, "fibers")
        trace = piece.trace[["migrasome_id", "frame", "cell_um", "nearest_cell", "fiber_um"]]

        def branches(frame: int) -> FiberBranches:
            self.watch.expect(1)
            found = self._traced(state, frame)
            self.watch.step()
            return found

        found = find_parents(
            places,
            trace,
            cells,
            stacks,
            base.drift_um[numbers],
            base.calibration,
            base.params.assign,
            branches,
        )
        if found.empty:
            return None, float("nan")
        return int(found["cell_id"].iloc[0]), float(found["confidence"].iloc[0])

    def _traced(self, state: State, frame: int) -> FiberBranches:
        number = int(self.base.timeline.numbers[frame])
        key = frame, tuple(c.serial for c in state.plane_changes if c.first <= number <= c.last)
        with self._lock:
            if key in self._branches:
                return self._branches[key]
        stacks = self.labels.usable(state, "cells"), self.labels.usable(state, "fibers")
        branches = trace_branches(stacks, frame, self.base.calibration)
        with self._lock:
            self._branches[key] = branches
            while len(self._branches) > 1000:
                self._branches.popitem(last=False)
        return branches


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
