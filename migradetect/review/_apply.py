"""From a correction to the next state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migradetect.errors import EditError
from migradetect.review import _apply_cells as of_cells
from migradetect.review import _apply_fibers as of_fibers
from migradetect.review import _apply_migrasomes as of_migrasomes
from migradetect.review import edits
from migradetect.review._change import Touched
from migradetect.review._edit import Edit
from migradetect.review._state import State
from migradetect.review._workbench import Workbench

__all__ = ["Applied", "apply_edit"]

_STEPS: dict[type[Edit], Callable[..., tuple[State, Touched]]] = {
    edits.Accept: of_migrasomes.accept,
    edits.Reject: of_migrasomes.reject,
    edits.Promote: of_migrasomes.promote,
    edits.Add: of_migrasomes.add,
    edits.Move: of_migrasomes.move,
    edits.Resize: of_migrasomes.resize,
    edits.Merge: of_migrasomes.merge,
    edits.Split: of_migrasomes.split,
    edits.Relink: of_migrasomes.relink,
    edits.SetParent: of_migrasomes.set_parent,
    edits.SetLocation: of_migrasomes.set_location,
    edits.SetBirth: of_migrasomes.set_birth,
    edits.SetEnd: of_migrasomes.set_end,
    edits.SetFate: of_migrasomes.set_fate,
    edits.PaintCells: of_cells.paint,
    edits.MergeCells: of_cells.merge,
    edits.SplitCell: of_cells.split,
    edits.RelinkCells: of_cells.relink,
    edits.CutFiber: of_fibers.cut,
    edits.JoinFibers: of_fibers.join,
    edits.AssignFiber: of_fibers.assign,
}


@dataclass(frozen=True)
class Applied:
    """What came of a correction.

    Parameters
    ----------
    state : State
        After it.
    touched : Touched
        What is other now.
    created : tuple of (str, int)
        Kind and id of what is new.
    """

    state: State
    touched: Touched
    created: tuple[tuple[str, int], ...]


def apply_edit(bench: Workbench, state: State, edit: Edit, who: str) -> Applied:
    """Make a correction; the given state stays as it is.

    Parameters
    ----------
    bench : Workbench
        What it is made with.
    state : State
        Before.
    edit : Edit
        Which.
    who : str
        Reviewer, for ``edit_source``.

    Returns
    -------
    Applied

    Raises
    ------
    EditError
        If it names what is not there, or changes nothing that it could.
    """
    step = _STEPS.get(type(edit))
    if step is None:
        raise EditError(f"expected a correction, got {type(edit).__name__}")
    try:
        after, touched = step(bench, state, edit)
    except EditError as error:
        raise EditError(f"{edit.op}: {error}") from error
    created = tuple(
        (kind, number) for kind in after.next_ids for number in range(state.next_ids[kind], after.next_ids[kind])
    )
    source = f"{who}: {edit.op}"
    cells = touched.cell_ids if "cells" in touched.planes else frozenset()
    for kind, ids in (
        ("migrasome", touched.migrasome_ids),
        ("cell", cells),
        # counts, paths or fibers of these cells are others
        ("summary", touched.cell_ids),
        ("fiber", touched.fiber_ids),
    ):
        after = after.with_source(source, kind, ids)
    return Applied(after, touched, created)
