"""Objects by place and time instead of by id, so that corrections outlive another run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from migradetect.errors import EditError
from migradetect.review import edits
from migradetect.review._edit import Edit
from migradetect.review._state import State
from migradetect.review._workbench import Workbench

__all__ = ["Anchors"]

#: A migrasome is the same if its place is within its radius, and at least this, um.
_RADIUS_UM = 0.5
#: Its frames may be this far apart.
_GAP_FRAMES = 2
#: A cell is the same if its centre is within the radius of a disc of its area, and at least this, um.
_CELL_UM = 3.0
#: Points along a fiber that are kept, and how near the fiber must pass to more than half of them, um.
_POINTS, _FIBER_UM = 7, 1.0


class Anchors:
    """Finds again what the lines of a log name.

    Parameters
    ----------
    bench : Workbench
        Results as they are now.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        # (results, kind) -> id as logged -> id now
        self._known: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        self._matched: set[tuple[str, str]] = set()

    # writing

    def of(self, state: State, edit: Edit) -> list[dict[str, Any]]:
        """Where and when each object that a correction names is, and how large."""
        frame = getattr(edit, "frame", None)
        out = []
        for kind, number in edit.named():
            anchor = self._anchor(state, kind, number, frame)
            if anchor:
                made = {"made": True} if number >= self._bench.start.next_ids[kind] else {}
                out.append({"kind": kind, "id": number, **made, **anchor})
        if isinstance(edit, edits.Add):
            y, x = np.array([edit.y_um, edit.x_um]) - self._bench.drift(edit.frame)
            place = {"y_stage_um": float(y), "x_stage_um": float(x), "diameter_um": edit.diameter_um}
            out.append({"kind": "new", "frame_first": edit.frame, "frame_last": edit.frame, **place})
        return out

    def summary(self, state: State, migrasome_id: int) -> dict[str, Any]:
        """What is known of a migrasome, in few values."""
        out: dict[str, Any] = {"migrasome_id": migrasome_id, "status": state.status.get(migrasome_id, "auto")}
        if not self._bench.has(state, migrasome_id):
            return out
        piece = state.pieces.get(migrasome_id)
        track = piece.track if piece is not None else self._bench.base.tracks_of[migrasome_id]
        one = track.iloc[0]
        names = ("cell_id", "location", "fate", "plateau_diameter_um", "birth_time_min", "end_time_min", "n_frames")
        place = self._place(state, migrasome_id) or {}
        return out | place | {name: None if pd.isna(one[name]) else one[name] for name in names}

    def _anchor(self, state: State, kind: str, number: int, frame: int | None) -> dict[str, Any] | None:
        if kind == "migrasome":
            return self._place(state, number)
        if kind == "candidate":
            table = self._bench.base.results.candidates
            rows = table[table["candidate_id"] == number]
            names = ["y_stage_um", "x_stage_um", "frame_first", "frame_last", "diameter_um"]
            return {name: rows[name].iloc[0] for name in names} if len(rows) else None
        if kind == "cell":
            return self._cell(state, number, frame)
        return self._fiber(state, number, frame)

    def _place(self, state: State, number: int) -> dict[str, Any] | None:
        piece = state.pieces.get(number)
        places = self._bench.base.places
        if piece is None and number in state.rejected:
            piece = state.aside.get(number)
        if piece is not None and piece.site.existence is not None:
            site, life = piece.site, piece.site.existence
            numbers = self._bench.base.timeline.numbers
            return {
                "y_stage_um": site.y_stage_um,
                "x_stage_um": site.x_stage_um,
                "frame_first": int(numbers[life.first]),
                "frame_last": int(numbers[life.last]),
                "diameter_um": site.diameter_um,
            }
        if number not in places.index:
            return None
        one: dict[Any, Any] = places.loc[number].to_dict()
        return {name: float(one[name]) for name in ("y_stage_um", "x_stage_um", "diameter_um")} | {
            name: int(one[name]) for name in ("frame_first", "frame_last")
        }

    def _cell(self, state: State, number: int, frame: int | None) -> dict[str, Any] | None:
        table = self._bench.cells(state)
        rows = table[table["cell_id"] == number]
        if rows.empty:
            return None
        frames = rows["frame"].to_numpy(int)
        wanted = frames[len(frames) // 2] if frame is None or frame not in frames else frame
        one = rows[rows["frame"] == wanted].iloc[0]
        place = {name: float(one[name]) for name in ("y_stage_um", "x_stage_um", "area_um2")}
        return {"frame": int(wanted), "frame_first": int(frames.min()), "frame_last": int(frames.max()), **place}

    def _fiber(self, state: State, number: int, frame: int | None) -> dict[str, Any] | None:
        table = self._bench.fibers(state)
        frames = np.sort(table.loc[table["fiber_id"] == number, "frame"].to_numpy(int))
        if not frames.size:
            return None
        wanted = int(frames[len(frames) // 2] if frame is None or frame not in frames else frame)
        points = np.argwhere(self._bench.labels.plane(state, "fibers", wanted) == number)
        if not len(points):
            return None
        chosen = points[np.linspace(0, len(points) - 1, min(_POINTS, len(points))).astype(int)]
        stage = self._bench.base.calibration.um(chosen.astype(float)) - self._bench.drift(wanted)
        return {"frame": wanted, "points_stage_um": np.round(stage, 3).tolist()}

    # reading

    def learn(self, line: Mapping[str, Any], created: Iterable[tuple[str, int]]) -> None:
        """Remember which ids stand now for those that a correction made when it was logged."""
        results = str(line.get("results"))
        logged, now = defaultdict(list), defaultdict(list)
        for kind, number in line.get("created") or ():
            logged[str(kind)].append(int(number))
        for kind, number in created:
            now[kind].append(number)
        for kind, numbers in logged.items():
            self._known[results, kind] |= dict(zip(numbers, now[kind], strict=False))

    def translate(self, state: State, line: Mapping[str, Any], edit: Edit, active: list[dict[str, Any]]) -> Edit:
        """The correction in the ids of the results as they are now.

        Raises
        ------
        EditError
            If what it names is not there any more.
        """
        here, there = self._bench.base.input_hash, line.get("input_hash")
        if here is not None and there is not None and here != there:
            raise EditError(f"{edit.op}: it was made on another recording")
        results = str(line.get("results"))
        if results == self._bench.base.fingerprint:
            return edit.with_ids(lambda kind, number: self._known[results, kind].get(number, number))
        anchors = {(one.get("kind"), one.get("id")): one for one in line.get("anchors") or ()}
        found_now = self._found_now(state, line, edit, anchors)
        if found_now is not None:
            return found_now
        fresh = dict(state.next_ids)

        def of(kind: str, number: int) -> int:
            self._match(results, kind, active)
            known = self._known[results, kind].get(number)
            if known is not None:
                return known
            anchor = anchors.get((kind, number))
            if anchor is None:
                if isinstance(edit, edits.PaintCells):
                    fresh[kind] += 1
                    return fresh[kind] - 1
                raise EditError(
                    f"{edit.op}: {kind} {number} can't be found, because the line does not say where it was"
                )
            found = self._find(state, kind, anchor, set(self._known[results, kind].values()))
            if found is None:
                raise EditError(f"{edit.op}: {self._why(state, kind, number, anchor)}")
            self._known[results, kind][number] = found
            return found

        return edit.with_ids(of)

    def _found_now(
        self, state: State, line: Mapping[str, Any], edit: Edit, anchors: Mapping[tuple[Any, Any], Mapping[str, Any]]
    ) -> Edit | None:
        """Accept instead, where the analysis now finds by itself what was added or promoted."""
        if isinstance(edit, edits.Add):
            anchor = anchors.get(("new", None))
        elif isinstance(edit, edits.Promote):
            anchor = anchors.get(("candidate", edit.candidate_id))
            if anchor is not None and self._find(state, "candidate", anchor, set()) is not None:
                return None
        else:
            return None
        if anchor is None:
            return None
        results = str(line.get("results"))
        number = self._find(state, "migrasome", anchor, set(self._known[results, "migrasome"].values()))
        if number is None:
            return None
        for kind, logged in line.get("created") or ():
            self._known[results, str(kind)][int(logged)] = number
        return edits.Accept(migrasome_id=number)

    def _match(self, results: str, kind: str, active: list[dict[str, Any]]) -> None:
        """Pair all migrasomes that the lines of earlier results name, one to one, the nearest first."""
        if (results, kind) in self._matched or kind not in ("migrasome", "candidate"):
            return
        self._matched.add((results, kind))
        wanted: dict[int, Mapping[str, Any]] = {}
        for line in active:
            if str(line.get("results")) != results:
                continue
            for anchor in line.get("anchors") or ():
                known = anchor.get("id") in self._known[results, kind]
                # what a correction made is looked for once that correction has been made again
                if anchor.get("kind") == kind and not known and not anchor.get("made"):
                    wanted.setdefault(int(anchor["id"]), anchor)
        places = self._places(self._bench.start, kind)
        pairs = [
            (cost, logged, int(str(now)))
            for logged, anchor in wanted.items()
            for now, cost in _costs(places, anchor).items()
        ]
        taken: set[int] = set()
        for _, logged, now in sorted(pairs):
            if logged not in self._known[results, kind] and now not in taken:
                self._known[results, kind][logged] = now
                taken.add(now)

    def _places(self, state: State, kind: str) -> pd.DataFrame:
        if kind == "migrasome":
            return self._bench.places(state)
        return self._bench.base.results.candidates.set_index("candidate_id")

    def _find(self, state: State, kind: str, anchor: Mapping[str, Any], taken: set[int]) -> int | None:
        """Object that is where another was, and not taken by another line."""
        if kind in ("migrasome", "candidate"):
            costs = _costs(self._places(state, kind), anchor).drop(index=list(taken), errors="ignore")
            return int(str(costs.idxmin())) if len(costs) else None
        frame = int(anchor["frame"])
        if frame >= self._bench.base.n_frames:
            return None
        if kind == "cell":
            rows = self._bench.cells_in(state, frame)
            rows = rows[~rows["cell_id"].isin(list(taken))]
            gap = np.hypot(rows["y_stage_um"] - anchor["y_stage_um"], rows["x_stage_um"] - anchor["x_stage_um"])
            near = gap[gap <= max(_CELL_UM, float(np.sqrt(anchor["area_um2"] / np.pi)))]
            return int(rows.loc[near.idxmin(), "cell_id"]) if len(near) else None
        points = np.array(anchor["points_stage_um"], float) + self._bench.drift(frame)
        place = np.asarray(self._bench.base.calibration.px(points))
        gap_px, label = self._bench.labels.runs(state, "fibers", frame).nearest(place[:, 0], place[:, 1])
        close = label[np.asarray(self._bench.base.calibration.um(gap_px)) <= _FIBER_UM]
        numbers, counts = np.unique(close[~np.isin(close, list(taken))], return_counts=True)
        return int(numbers[np.argmax(counts)]) if counts.size and counts.max() * 2 > len(points) else None

    def _why(self, state: State, kind: str, number: int, anchor: Mapping[str, Any]) -> str:
        what = f"{kind} {number} of earlier results"
        if kind not in ("migrasome", "candidate"):
            return f"{what} is not where it was in frame {anchor['frame']}"
        where = f"{anchor['y_stage_um']:.1f}, {anchor['x_stage_um']:.1f} um (frames {anchor['frame_first']} to "
        text = f"{what} is not there any more, at {where}{anchor['frame_last']})"
        if kind == "migrasome" and self._find(state, "candidate", anchor, set()) is not None:
            text += "; a candidate that was not accepted is"
        if kind == "candidate" and self._find(state, "migrasome", anchor, set()) is not None:
            text += "; a migrasome is"
        return text


def _costs(places: pd.DataFrame, anchor: Mapping[str, Any]) -> pd.Series[float]:
    """How ill each place fits an anchor; only those that could be the same."""
    first, last = int(anchor["frame_first"]), int(anchor["frame_last"])
    gap = np.hypot(places["y_stage_um"] - anchor["y_stage_um"], places["x_stage_um"] - anchor["x_stage_um"])
    size = anchor.get("diameter_um")
    radius = np.fmax(places["diameter_um"].to_numpy(float), float(size) if size is not None else 0.0) / 2
    radius = np.fmax(radius, _RADIUS_UM)
    shared = np.minimum(places["frame_last"], last) - np.maximum(places["frame_first"], first) + 1
    union = np.maximum(places["frame_last"], last) - np.minimum(places["frame_first"], first) + 1
    cost = gap / radius + 1 - np.maximum(shared, 0) / union
    return pd.Series(cost[(gap <= radius) & (shared > -_GAP_FRAMES)], dtype=float)
