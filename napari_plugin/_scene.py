"""One movie under review in one viewer: its layers, what is selected, and the corrections; no Qt."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from psygnal import Signal

from migradetect_napari import _compat as compat
from migradetect_napari import _convert as convert
from migradetect_napari._colours import PALETTE
from migradetect_napari._open import (
    HIDDEN,
    hidden_layer,
    lock_of,
    mark_of,
    points_of,
    result_layers,
    shown_candidates,
    token_of,
)
from migradetect_napari._strokes import Strokes

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from migradetect.review import ReviewSession
    from migradetect.review.edits import Edit

__all__ = ["Scene", "Selection", "scene_of"]

#: A click selects the nearest ring whose edge is this close, um.
_REACH_UM = 0.8
#: What napari adds to a name that is taken.
_NUMBERED = re.compile(r" \[\d+\]$")
#: Field of view around what is selected, um: wide enough to see its fiber and its cell.
_FIELD_UM = 40.0


#: Layers in which something is selected by a click, and what it is.
_KINDS: tuple[tuple[str, Literal["migrasome", "candidate"]], ...] = (
    ("migrasomes", "migrasome"),
    ("candidates", "candidate"),
)

_scenes: weakref.WeakKeyDictionary[Any, Scene] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Selection:
    """What is looked at."""

    kind: Literal["migrasome", "candidate"]
    id: int


def scene_of(viewer: ViewerModel) -> Scene | None:
    """The review that goes on in a viewer; None where there is none."""
    return _scenes.get(compat.key_of(viewer))


class Scene:
    """One movie under review.

    Parameters
    ----------
    viewer : ViewerModel
        Viewer; it may hold layers of the same movie already, as after drag and drop.
    session : ReviewSession
        Reviewed state.
    name : str, optional
        Shown instead of the movie's name, for a blind review.
    colour_by : str
        What migrasomes are coloured by.
    """

    selected = Signal(object)
    changed = Signal(object)
    closed = Signal()

    def __init__(
        self, viewer: ViewerModel, session: ReviewSession, name: str | None = None, colour_by: str = "status"
    ) -> None:
        earlier = scene_of(viewer)
        if earlier is not None:
            earlier.close()
        self.viewer, self.session, self.name = viewer, session, name or session.movie_id
        self.selection: Selection | None = None
        self.colour_by = colour_by
        self.min_candidate_score = 0.05
        self._is_showing = False
        self.strokes = Strokes(self, _warn)
        # hidden layers that show an earlier state, or nothing yet
        self._stale: set[str] = set()
        self._add_layers()
        viewer.mouse_drag_callbacks.append(self._on_click)
        viewer.dims.events.current_step.connect(self._on_step)
        _scenes[compat.key_of(viewer)] = self
        compat.show_scale_bar(viewer)
        self._on_step()

    # layers

    def _add_layers(self) -> None:
        kept = self._keep_layers()
        for data, options, kind in result_layers(
            self.session,
            name=self.name,
            colour_by=self.colour_by,
            candidates=self.candidates,
            on_error=_warn,
            is_lazy=True,
            without=kept,
        ):
            if kind == "labels":
                options = options | {"colormap": compat.label_colours(PALETTE)}
            getattr(self.viewer, {"image": "add_image", "labels": "add_labels"}.get(kind, f"add_{kind}"))(
                data, **options
            )
        for role in HIDDEN:
            layer = self.layer(role)
            if layer is not None:
                self._stale.add(role)
                layer.events.visible.connect(self._fill_shown)
        self._fill_shown()
        cells, fibers = self.layer("cells"), self.layer("fibers")
        if cells is not None:
            cells.contour = 2 if convert.is_outlined(cells) else 0
            self.strokes.watch(cells)
            compat.set_label_colours(cells, PALETTE)
        if fibers is not None:
            compat.set_label_colours(fibers, PALETTE)
            fibers.editable = False
        points = self.layer("migrasomes")
        if points is not None:
            self.viewer.layers.selection.active = points
        frame = int(self.session.tables["migrasomes"]["frame"].min()) if len(self.session.tables["migrasomes"]) else 0
        self.go_to_frame(frame)

    def _keep_layers(self) -> set[str]:
        """Roles of layers that show this session already, as after drag and drop; images serve every session."""
        kept = set()
        token = token_of(self.session)
        movie = self.session.movie
        self._adopt_recording()
        for layer in [one for one in self.viewer.layers if self._is_mine(one)]:
            role, mark = convert.role_of(layer), layer.metadata[convert.KEY]
            if mark.get("session") == token or (movie is not None and role in movie.roles):
                layer.metadata = {**layer.metadata, convert.KEY: {**mark, "session": token}}
                # as napari called it beside the layers of the movie before, which are gone
                layer.name = _NUMBERED.sub("", layer.name)
                kept.add(str(role))
            else:
                # of another session, such as that of another reviewer
                self.viewer.layers.remove(layer)
        return kept

    def _adopt_recording(self) -> None:
        """Take the images that were open before the movie was analysed: shown twice, they are too bright."""
        path = None if self.session.movie is None else self.session.movie.provenance.get("path")
        for layer in self.viewer.layers:
            mark = layer.metadata.get(convert.KEY) or {}
            recording = mark.get("movie")
            if path and recording is not None and not mark.get("out_dir") and recording.provenance.get("path") == path:
                layer.metadata = {**layer.metadata, convert.KEY: {**mark, **mark_of(self.session, self.name)}}

    def _is_mine(self, layer: Any) -> bool:
        mark = layer.metadata.get(convert.KEY) or {}
        return mark.get("movie_id") == self.session.movie_id and mark.get("out_dir") == str(
            self.session.base.folder.parent
        )

    def layer(self, role: str) -> Any:
        """Layer that shows something; None where the user removed it."""
        found = (one for one in self.viewer.layers if convert.role_of(one) == role and self._is_mine(one))
        return next(found, None)

    @property
    def is_closed(self) -> bool:
        """Whether another movie is shown by now, or none."""
        return _scenes.get(compat.key_of(self.viewer)) is not self

    def close(self) -> None:
        """Leave the viewer as it was before."""
        if self.is_closed:
            return
        del _scenes[compat.key_of(self.viewer)]
        self.viewer.dims.events.current_step.disconnect(self._on_step)
        if self._on_click in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._on_click)
        for layer in [one for one in self.viewer.layers if self._is_mine(one)]:
            self.viewer.layers.remove(layer)
        self.closed.emit()

    # where we are

    @property
    def frame(self) -> int:
        """Frame that is shown."""
        step = self.viewer.dims.point[0] / self._interval if self.viewer.dims.ndim == 3 else 0
        return int(np.clip(round(step), 0, self.session.base.n_frames - 1))

    @property
    def _interval(self) -> float:
        interval = self.session.base.calibration.frame_interval_min
        return interval if np.isfinite(interval) else 1.0

    @property
    def cursor_um(self) -> tuple[float, float]:
        """Place of the mouse (y, x), um."""
        y, x = self.viewer.cursor.position[-2:]
        return float(y), float(x)

    def go_to_frame(self, frame: int) -> None:
        """Show a frame."""
        if self.viewer.dims.ndim == 3:
            self.viewer.dims.set_point(0, frame * self._interval)

    @property
    def now_min(self) -> float:
        """Time of the frame that is shown, as in the tables; NaN for a single frame."""
        return self.frame * self.session.base.calibration.frame_interval_min + self.session.base.offset_min

    def go_to_minute(self, minute: float) -> None:
        """Show the frame of a time, as in the tables."""
        interval = self.session.base.calibration.frame_interval_min
        if np.isfinite(interval):
            frame = round((minute - self.session.base.offset_min) / interval)
            self.go_to_frame(int(np.clip(frame, 0, self.session.base.n_frames - 1)))

    def _on_step(self, event: Any = None) -> None:
        text = f"frame {self.frame}"
        if np.isfinite(self.now_min):
            hours, rest = divmod(round(self.now_min), 60)
            text = f"{hours:d}:{rest:02d} h   ({text})"
        compat.show_time(self.viewer, text)
        self._highlight()

    # what is selected

    @property
    def candidates(self) -> pd.DataFrame:
        """Candidates that are shown: those with some score, and what was rejected by hand."""
        return shown_candidates(self.session.tables["candidates"], self.min_candidate_score)

    def rejected_id(self, candidate_id: int) -> int | None:
        """Migrasome that a candidate was before a person rejected it; None for other candidates."""
        number = candidate_id - self.session.next_id("candidate")
        return number if number > 0 and self.session.status(number) == "rejected" else None

    def select(self, kind: Literal["migrasome", "candidate"], number: int, *, go: bool = True) -> None:
        """Select an object; with `go`, the camera and the frame follow.

        Parameters
        ----------
        kind : {"migrasome", "candidate"}
            What it is.
        number : int
            Its id.
        go : bool
            Move the view.
        """
        if self._is_showing:
            return
        self.selection = Selection(kind, int(number))
        self._is_showing = True
        try:
            if go:
                self._go()
            self._highlight()
            self.selected.emit(self.selection)
        finally:
            self._is_showing = False

    def place(self, selection: Selection, frame: int) -> tuple[int, float, float] | None:
        """Frame, y and x in um where an object is seen: in this frame, or the nearest in which it exists."""
        if selection.kind == "candidate":
            rows = self.session.tables["candidates"].query("candidate_id == @selection.id")
            if rows.empty:
                return None
            row = rows.iloc[0]
            at = int(np.clip(frame, row["frame_first"], row["frame_last"]))
            return at, float(row["y_um"]), float(row["x_um"])
        rows = self.rows(selection.id)
        if rows.empty:
            return None
        row = rows.iloc[int(np.argmin(np.abs(rows["frame"].to_numpy() - frame)))]
        return int(row["frame"]), float(row["y_um"]), float(row["x_um"])

    def rows(self, migrasome_id: int) -> pd.DataFrame:
        """Rows of a migrasome, by frame."""
        table = self.session.tables["migrasomes"]
        return table[table["migrasome_id"] == migrasome_id].sort_values("frame")

    def _go(self) -> None:
        place = None if self.selection is None else self.place(self.selection, self.frame)
        if place is None:
            return
        frame, y, x = place
        if frame != self.frame:
            self.go_to_frame(frame)
        compat.look_at(self.viewer, y, x, _FIELD_UM)

    def _highlight(self) -> None:
        """Mark what is selected on the canvas."""
        for role, kind in _KINDS:
            layer = self.layer(role)
            if layer is None or str(layer.mode) not in ("pan_zoom", "PAN_ZOOM"):
                continue
            here = set()
            if self.selection is not None and self.selection.kind == kind and len(layer.data):
                is_it = layer.features[f"{kind}_id"].to_numpy() == self.selection.id
                here = set(np.flatnonzero(is_it & (np.rint(layer.data[:, 0]) == self.frame)).tolist())
            if set(layer.selected_data) != here:
                layer.selected_data = here

    def nearest(self, y_um: float, x_um: float, *, reach_um: float = _REACH_UM) -> Selection | None:
        """Migrasome or shown candidate at a place of this frame; None where there is none."""
        best: tuple[float, Selection] | None = None
        for role, kind in _KINDS:
            layer = self.layer(role)
            if layer is None or not layer.visible or not len(layer.data):
                continue
            here = np.flatnonzero(np.rint(layer.data[:, 0]) == self.frame)
            pixel = self.session.base.calibration.pixel_size_um
            gap = np.hypot(*(layer.data[here, 1:] * pixel - (y_um, x_um)).T) - np.asarray(layer.size)[here] * pixel / 2
            if here.size and gap.min() < min(reach_um, best[0] if best else np.inf):
                k = int(np.argmin(gap))
                best = float(gap[k]), Selection(kind, int(layer.features[f"{kind}_id"].iloc[here[k]]))
        return None if best is None else best[1]

    def label_at(self, name: str, y_um: float, x_um: float, *, reach_um: float = 0.0) -> int | None:
        """Cell or fiber at a place of this frame, the nearest within reach; None where there is none."""
        plane = self.session.labels[name][self.frame]
        y, x, reach = (self.session.base.calibration.px(value) for value in (y_um, x_um, reach_um))
        r = int(np.ceil(reach))
        rows = slice(max(0, round(y) - r), round(y) + r + 1)
        columns = slice(max(0, round(x) - r), round(x) + r + 1)
        part = plane[rows, columns] if round(y) + r >= 0 and round(x) + r >= 0 else plane[:0]
        yy, xx = np.nonzero(part)
        if not yy.size:
            return None
        k = int(np.argmin(np.hypot(yy + rows.start - y, xx + columns.start - x)))
        return int(part[yy[k], xx[k]])

    def _on_click(self, viewer: Any, event: Any) -> Iterator[None]:
        if event.type != "mouse_press" or event.button != 1 or not compat.can_pick(viewer):
            return
        start = np.array(event.pos, dtype=float)
        yield
        while event.type == "mouse_move":
            yield
        if np.hypot(*(np.array(event.pos, dtype=float) - start)) > 4:  # it was a drag of the view
            return
        found = self.nearest(*(float(value) for value in event.position[-2:]))
        if found is not None:
            self.select(found.kind, found.id, go=False)

    # corrections

    def do(self, edit: Edit) -> Any:
        """Make a correction; it is in the log before the layers show it."""
        change = self.compute(edit)
        self.show(change)
        return change

    def compute(self, edit: Edit, progress: Any = None, cancel: Any = None) -> Any:
        """Make a correction without showing it, in whatever thread; see ``ReviewSession.do``."""
        with lock_of(self.session):
            return self.session.do(edit, progress, cancel)

    def compute_step(self, what: Literal["undo", "redo"], progress: Any = None, cancel: Any = None) -> Any:
        """Take back or make again without showing it, in whatever thread; None where there is nothing."""
        with lock_of(self.session):
            return self.session.undo() if what == "undo" else self.session.redo(progress, cancel)

    def undo(self) -> Any:
        """Take back the last correction; None where there is none."""
        with lock_of(self.session):
            change = self.session.undo()
        if change is not None:
            self.show(change)
        return change

    def redo(self) -> Any:
        """Make the last correction that was taken back again; None where there is none."""
        with lock_of(self.session):
            change = self.session.redo()
        if change is not None:
            self.show(change)
        return change

    def show(self, change: Any, *, is_drawn: bool = False) -> None:
        """Show what a correction changed; with `is_drawn`, the outlines of its frames are on the screen already."""
        planes = change.planes - ({"cells"} if is_drawn else set())
        self.refresh(
            dict.fromkeys(planes, change.frames), cells=bool(change.cell_ids), migrasomes=bool(change.migrasome_ids)
        )
        new = [number for kind, number in change.created if kind == "migrasome"]
        if new and change.kind != "undo":
            self.selection = Selection("migrasome", new[-1])
        self._highlight()
        self.changed.emit(change)

    def refresh(
        self,
        planes: Mapping[str, Iterable[int]] | None = None,
        *,
        cells: bool = True,
        migrasomes: bool = True,
    ) -> None:
        """Show the reviewed state in the layers.

        Parameters
        ----------
        planes : mapping of str to iterable of int, optional
            Frames whose labels are others now, by name.
        cells, migrasomes : bool
            Whether their rows are others now.
        """
        for name, frames in (planes or {}).items():
            layer = self.layer(name)
            if layer is not None and name in ("cells", "fibers"):
                layer.data.reread(frames)
                layer.refresh()
        if migrasomes:
            points = self.layer("migrasomes")
            if points is not None:
                made = points_of(self.session, points.metadata[convert.KEY], self.colour_by)
                compat.replace_points(points, *made[:2])
            self._stale.update(role for role in HIDDEN if self.layer(role) is not None)
            self._fill_shown()
        if cells:
            layer = self.layer("cell_tracks")
            if layer is not None:
                mark = layer.metadata[convert.KEY]
                self._replace(
                    layer, convert.cell_tracks(self.session.tables["cells"], self.session.base.calibration, mark)
                )

    def _fill_shown(self, event: Any = None) -> None:
        """Fill the layers that were hidden and are shown now."""
        for role in sorted(self._stale):
            layer = self.layer(role)
            if layer is not None and layer.visible:
                self._stale.discard(role)
                mark = layer.metadata[convert.KEY]
                self._replace(layer, hidden_layer(self.session, role, mark, self.candidates, is_lazy=False))

    def _replace(self, layer: Any, made: convert.LayerTuple | None) -> None:
        if made is None:
            self.viewer.layers.remove(layer)
        elif made[2] == "points":
            compat.replace_points(layer, *made[:2])
        else:
            compat.replace_tracks(layer, *made[:2])

    def mark_pending(self, edit: Edit | None) -> None:
        """Mark the place of a correction that is being measured, and is not in the log yet; None takes the mark away.

        Corrections without a place of their own have no mark.
        """
        earlier = next((one for one in self.viewer.layers if convert.role_of(one) == convert.PENDING), None)
        y, x = (getattr(edit, name, None) for name in ("y_um", "x_um"))
        active = self.viewer.layers.selection.active
        if earlier is not None:
            self.viewer.layers.remove(earlier)
        if y is not None and x is not None:
            mark = {"movie_id": self.session.movie_id}
            diameter = getattr(edit, "diameter_um", None)
            data, options, _ = convert.pending_point(self.frame, y, x, diameter, self.session.base.calibration, mark)
            self.viewer.add_points(data, **options)
        if active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active

    def set_colour_by(self, column: str) -> None:
        """Colour migrasomes by status, id, cell, score, location or fate."""
        self.colour_by = column
        self.refresh(cells=False)
        self._highlight()

    def set_min_candidate_score(self, score: float) -> None:
        """Show candidates from this score on."""
        self.min_candidate_score = score
        self.refresh(cells=False)
        self.changed.emit(None)


def _warn(text: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(text)
