"""What can be corrected: one command each, with its key; no Qt.

A command makes an edit out of what is selected, the frame that is shown and the place of the mouse. Some need two
places or objects: the first press remembers one, and the second makes the edit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from migradetect.errors import EditError
from migradetect.review import edits
from migradetect.tables import FATES, LOCATIONS

if TYPE_CHECKING:
    from migradetect_napari._scene import Scene

__all__ = ["COMMANDS", "REASONS", "Command", "Desk", "NotYet"]

#: Why something is no migrasome; those that are kinds of candidates become its kind.
REASONS = (
    "debris_static",
    "debris_floating",
    "endosome",
    "filopodium",
    "fiber",
    "transient",
    "subresolution",
    "noise",
    "part of a cell",
    "out of focus",
    "other",
)
_UNKNOWN = "unknown"
#: A click on a fiber may miss it by this much, um.
_FIBER_REACH_UM = 1.5
#: One press makes a migrasome larger or smaller by this factor.
_STEP = 1.1


class NotYet(Exception):
    """The command waits for something; the text says for what."""


class Ask(Protocol):
    """Asks the user to choose; None if the user does not want to."""

    def __call__(self, title: str, options: Sequence[str], current: str | None) -> str | None:
        """Choose one of the options."""


@dataclass
class Desk:
    """What a command works with.

    Parameters
    ----------
    scene : Scene
        Movie under review.
    ask : callable
        Asks the user to choose.
    reason : str
        Why things are rejected, as chosen in the panel.
    marked : list of int
        Rows that are selected in the table, for merging.
    """

    scene: Scene
    ask: Ask
    reason: str = REASONS[0]
    marked: list[int] = field(default_factory=list)
    pending: tuple[str, Any] | None = None

    def migrasome(self) -> int:
        """Migrasome that is selected."""
        chosen = self.scene.selection
        if chosen is None or chosen.kind != "migrasome":
            raise NotYet("select a migrasome first: click its ring or its row")
        return chosen.id

    def two(self, name: str, item: Any, what: str) -> Any:
        """The item of the first press, at the second; the first press is told what comes next."""
        if self.pending is None or self.pending[0] != name:
            self.pending = (name, item)
            raise NotYet(f"{what}, then press the key again")
        first, self.pending = self.pending[1], None
        return first

    def cell(self) -> int:
        """Cell under the mouse."""
        found = self.scene.label_at("cells", *self.scene.cursor_um)
        if found is None:
            raise NotYet("point the mouse at a cell, then press the key")
        return found

    def fiber(self) -> int:
        """Fiber under the mouse."""
        found = self.scene.label_at("fibers", *self.scene.cursor_um, reach_um=_FIBER_REACH_UM)
        if found is None:
            raise NotYet("point the mouse at a fiber, then press the key")
        return found


@dataclass(frozen=True)
class Command:
    """One correction.

    Parameters
    ----------
    name : str
        Short name.
    group : str
        Part of the panel: migrasome, cell, fiber, history.
    key : str
        Key, as napari spells it.
    label : str
        On the button.
    help : str
        What it does, as tooltip.
    make : callable
        Desk -> edit; None where the user chose nothing.
    """

    name: str
    group: str
    key: str
    label: str
    help: str
    make: Callable[[Desk], edits.Edit | None]


def _accept(desk: Desk) -> edits.Edit:
    chosen = desk.scene.selection
    if chosen is not None and chosen.kind == "candidate":
        before = desk.scene.rejected_id(chosen.id)
        return edits.Promote(candidate_id=chosen.id) if before is None else edits.Accept(migrasome_id=before)
    return edits.Accept(migrasome_id=desk.migrasome())


def _reject(desk: Desk) -> edits.Edit:
    return edits.Reject(migrasome_id=desk.migrasome(), reason=desk.reason)


def _add(desk: Desk) -> edits.Edit:
    y, x = desk.scene.cursor_um
    usual = desk.scene.session.tables["tracks"]["plateau_diameter_um"].median()
    size = float(usual) if np.isfinite(usual) else 1.4
    return edits.Add(frame=desk.scene.frame, y_um=y, x_um=x, diameter_um=size)


def _move(desk: Desk) -> edits.Edit:
    y, x = desk.scene.cursor_um
    return edits.Move(migrasome_id=desk.migrasome(), frame=desk.scene.frame, y_um=y, x_um=x)


def _resize(factor: float) -> Callable[[Desk], edits.Edit]:
    def make(desk: Desk) -> edits.Edit:
        number = desk.migrasome()
        rows = desk.scene.rows(number)
        here = rows[rows["frame"] == desk.scene.frame]["diameter_um"].dropna()
        if here.empty:
            raise NotYet("it has no size in this frame: go to one in which it exists")
        return edits.Resize(migrasome_id=number, frame=desk.scene.frame, diameter_um=float(here.iloc[0]) * factor)

    return make


def _under_mouse(desk: Desk, other_than: int) -> int:
    found = desk.scene.nearest(*desk.scene.cursor_um)
    if found is None or found.kind != "migrasome" or found.id == other_than:
        raise NotYet("point the mouse at the other migrasome, then press the key")
    return found.id


def _merge(desk: Desk) -> edits.Edit:
    number = desk.migrasome()
    marked = [one for one in desk.marked if one != number]
    return edits.Merge(migrasome_ids=(number, *(marked or [_under_mouse(desk, number)])))


def _split(desk: Desk) -> edits.Edit:
    return edits.Split(migrasome_id=desk.migrasome(), frame=desk.scene.frame)


def _relink(desk: Desk) -> edits.Edit:
    number = desk.migrasome()
    to = [one for one in desk.marked if one != number]
    if not to:
        found = desk.scene.nearest(*desk.scene.cursor_um)
        to = [found.id] if found is not None and found.kind == "migrasome" and found.id != number else []
    if not to:
        # the other one does not exist in this frame, so it can't be pointed at: it is the nearest on the dish
        to = [_nearest_on_dish(desk.scene, number)]
    return edits.Relink(migrasome_id=number, to_id=to[0], frame=desk.scene.frame)


def _nearest_on_dish(scene: Scene, number: int) -> int:
    places = scene.session.tables["migrasomes"].groupby("migrasome_id")[["y_stage_um", "x_stage_um"]].median()
    others = places.drop(index=number, errors="ignore")
    if number not in places.index or others.empty:
        raise NotYet("there is no other migrasome to link to")
    gap = ((others - places.loc[number]) ** 2).sum(axis=1).to_numpy()
    return int(others.index[int(np.argmin(gap))])


def _parent(desk: Desk) -> edits.Edit | None:
    number = desk.migrasome()
    found = desk.scene.label_at("cells", *desk.scene.cursor_um)
    if found is not None:
        return edits.SetParent(migrasome_id=number, cell_id=found)
    ids = sorted(desk.scene.session.tables["cells"]["cell_id"].unique())
    now = desk.scene.session.tables["tracks"].set_index("migrasome_id")["cell_id"].get(number)
    answer = desk.ask(f"Parent cell of migrasome {number}", [_UNKNOWN, *map(str, ids)], str(now))
    return None if answer is None else edits.SetParent(migrasome_id=number, cell_id=_number(answer))


def _number(answer: str) -> int | None:
    return None if answer == _UNKNOWN else int(answer)


def _chosen(desk: Desk, title: str, column: str, options: Sequence[str]) -> tuple[int, str | None, bool]:
    number = desk.migrasome()
    now = desk.scene.session.tables["tracks"].set_index("migrasome_id")[column].get(number)
    answer = desk.ask(f"{title} of migrasome {number}", [*options, _UNKNOWN], str(now))
    return number, None if answer == _UNKNOWN else answer, answer is None


def _location(desk: Desk) -> edits.Edit | None:
    number, location, is_cancelled = _chosen(desk, "Location", "location", LOCATIONS)
    return None if is_cancelled else edits.SetLocation(migrasome_id=number, location=location)


def _fate(desk: Desk) -> edits.Edit | None:
    number, fate, is_cancelled = _chosen(desk, "Fate", "fate", FATES)
    if is_cancelled:
        return None
    # a migrasome that is taken up is taken up by the cell under the mouse
    eater = desk.scene.label_at("cells", *desk.scene.cursor_um) if fate == "engulfed" else None
    return edits.SetFate(migrasome_id=number, fate=fate, engulfed_by_cell_id=eater)


def _birth(desk: Desk) -> edits.Edit:
    return edits.SetBirth(migrasome_id=desk.migrasome(), frame=desk.scene.frame)


def _end(desk: Desk) -> edits.Edit:
    return edits.SetEnd(migrasome_id=desk.migrasome(), frame=desk.scene.frame)


def _paint(desk: Desk) -> None:
    scene = desk.scene
    layer = scene.layer("cells")
    if layer is None:
        raise NotYet("the layer of cells is gone: open the movie again")
    found = scene.label_at("cells", *scene.cursor_um)
    layer.selected_label = scene.session.next_id("cell") if found is None else found
    layer.mode = "paint"
    layer.brush_size = max(5, round(scene.session.base.calibration.px(2.0)))
    scene.viewer.layers.selection.active = layer
    what = "a new cell" if found is None else f"cell {found}"
    raise NotYet(f"painting {what}: each stroke is kept; E erases, Z ends painting")


def _merge_cells(desk: Desk) -> edits.Edit:
    cell = desk.cell()
    first = desk.two("merge_cells", cell, f"cell {cell}: point at the other cell")
    return edits.MergeCells(cell_ids=(first, cell))


def _split_cell(desk: Desk) -> edits.Edit:
    y1, x1 = desk.scene.cursor_um
    found = desk.scene.label_at("cells", y1, x1, reach_um=5.0)
    cell, frame, y0, x0 = desk.two(
        "split_cell", (found, desk.scene.frame, y1, x1), "one end of the cut: point at the other end"
    )
    cell = _crossed(desk.scene, (y0, x0), (y1, x1)) or cell or found
    if cell is None:
        raise EditError("split cell: the line crosses no cell; start and end beside the cell that is to be cut")
    if frame != desk.scene.frame:
        raise EditError("split cell: both ends of the cut must be in one frame")
    return edits.SplitCell(cell_id=cell, frame=frame, y0_um=y0, x0_um=x0, y1_um=y1, x1_um=x1)


def _crossed(scene: Scene, start: tuple[float, float], end: tuple[float, float]) -> int | None:
    """Cell that most of a line lies in."""
    plane = scene.session.labels["cells"][scene.frame]
    places = np.linspace(np.array(start), np.array(end), 200)
    rows = np.rint(scene.session.base.calibration.px(places)).astype(int)
    inside = ((rows >= 0) & (rows < plane.shape)).all(axis=1)
    found = plane[tuple(rows[inside].T)]
    ids, counts = np.unique(found[found > 0], return_counts=True)
    return int(ids[np.argmax(counts)]) if ids.size else None


def _relink_cells(desk: Desk) -> edits.Edit:
    cell = desk.cell()
    first = desk.two("relink_cells", cell, f"cell {cell}: point at the cell to exchange ids with, or again at this one")
    other = None if first == cell else cell
    return edits.RelinkCells(cell_id=first, other_id=other, frame=desk.scene.frame)


def _cut_fiber(desk: Desk) -> edits.Edit:
    y, x = desk.scene.cursor_um
    return edits.CutFiber(fiber_id=desk.fiber(), frame=desk.scene.frame, y_um=y, x_um=x)


def _join_fibers(desk: Desk) -> edits.Edit:
    fiber = desk.fiber()
    first = desk.two("join_fibers", fiber, f"fiber {fiber}: point at the other fiber")
    return edits.JoinFibers(fiber_ids=(first, fiber))


def _assign_fiber(desk: Desk) -> edits.Edit:
    if desk.pending is None or desk.pending[0] != "assign_fiber":
        fiber = desk.fiber()
        desk.two("assign_fiber", fiber, f"fiber {fiber}: point at its cell, or beside all cells for none")
    fiber = desk.two("assign_fiber", None, "")
    return edits.AssignFiber(fiber_id=fiber, cell_id=desk.scene.label_at("cells", *desk.scene.cursor_um))


def _commands() -> tuple[Command, ...]:
    m, c, f = "migrasome", "cell", "fiber"
    return (
        Command("accept", m, "K", "Keep", "It is a migrasome; a candidate becomes one.", _accept),
        Command("reject", m, "J", "Junk", "It is none, for the reason chosen above.", _reject),
        Command("add", m, "G", "Add", "A migrasome at the mouse that was not found; it is measured.", _add),
        Command("move", m, "H", "Move", "It is at the place of the mouse.", _move),
        Command("smaller", m, ",", "Smaller", "Its diameter in this frame is 10 % less.", _resize(1 / _STEP)),
        Command("larger", m, ".", "Larger", "Its diameter in this frame is 10 % more.", _resize(_STEP)),
        Command("merge", m, "W", "Merge", "It and the one under the mouse, or all selected rows, are one.", _merge),
        Command("split", m, "Shift-S", "Split", "From this frame on it is another one.", _split),
        Command("relink", m, "Shift-R", "Relink", "From this frame on it belongs to the one under the mouse.", _relink),
        Command(
            "parent", m, "Shift-C", "Parent cell", "The cell under the mouse left it; beside cells: asks.", _parent
        ),
        Command("location", m, "Shift-T", "Location", "Tip, branch or shaft.", _location),
        Command("birth", m, "Shift-B", "Birth", "This frame is the first in which it exists.", _birth),
        Command("end", m, "Shift-E", "End", "This frame is the last in which it exists.", _end),
        Command("fate", m, "Shift-F", "Fate", "How it ends; engulfed: by the cell under the mouse.", _fate),
        Command("paint", c, "Shift-D", "Paint", "Paint the outline of the cell under the mouse, or a new one.", _paint),
        Command("merge_cells", c, "Shift-G", "Merge cells", "Two cells are one: press on each.", _merge_cells),
        Command("split_cell", c, "Shift-H", "Split cell", "Cut along a line: press at both ends.", _split_cell),
        Command(
            "relink_cells", c, "Shift-I", "Relink cells", "Exchange ids from here on: press on each.", _relink_cells
        ),
        Command("cut_fiber", f, "Shift-X", "Cut fiber", "Two fibers were taken for one: cut at the mouse.", _cut_fiber),
        Command("join_fibers", f, "Shift-J", "Join fibers", "Two are one: press on each.", _join_fibers),
        Command("assign_fiber", f, "Shift-O", "Assign fiber", "Press on the fiber, then on its cell.", _assign_fiber),
    )


COMMANDS = _commands()
