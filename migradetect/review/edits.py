"""The corrections that can be made, one class each.

``frame`` counts frames as recorded, from 0. Places (``y_um``, ``x_um``) are in the image as recorded, in the frame that
the correction names. Every class is frozen, checks its values (:class:`~migradetect.errors.EditError`) and becomes one
JSON object by :meth:`~migradetect.review._edit.Edit.to_dict`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from migradetect.review._edit import Edit, parse_edit
from migradetect.review._paint import PaintCells

__all__ = [
    "Accept",
    "Add",
    "AssignFiber",
    "CutFiber",
    "Edit",
    "JoinFibers",
    "Merge",
    "MergeCells",
    "Move",
    "PaintCells",
    "Promote",
    "Reject",
    "Relink",
    "RelinkCells",
    "Resize",
    "SetBirth",
    "SetEnd",
    "SetFate",
    "SetLocation",
    "SetParent",
    "Split",
    "SplitCell",
    "parse_edit",
]

Id = Annotated[int, Field(ge=1)]
Frame = Annotated[int, Field(ge=0)]
Um = float
#: Largest diameter that is taken for one, um: a migrasome has 0.5 to 3.
DiameterUm = Annotated[float, Field(gt=0, le=20)]


def _apart(ids: tuple[int, ...]) -> tuple[int, ...]:
    if len(ids) < 2 or len(set(ids)) != len(ids):
        raise ValueError("expected two or more different ids")
    return ids


Ids = Annotated[tuple[Id, ...], AfterValidator(_apart)]


class _OfMigrasome(Edit):
    ids: ClassVar[dict[str, str]] = {"migrasome_id": "migrasome"}

    migrasome_id: Id


class Accept(_OfMigrasome):
    """It is a migrasome; one that was rejected is taken back.

    Parameters
    ----------
    migrasome_id : int
        Which.
    """

    op: ClassVar[str] = "accept"


class Reject(_OfMigrasome):
    """It is no migrasome: it goes to the candidates, with the reason.

    Parameters
    ----------
    migrasome_id : int
        Which.
    reason : str
        Why; one of :data:`migradetect.tables.KINDS` also becomes its ``kind``.
    """

    op: ClassVar[str] = "reject"

    reason: str = ""


class Promote(Edit):
    """A candidate that was not accepted is a migrasome.

    Parameters
    ----------
    candidate_id : int
        Row of the table ``candidates``.
    reason : str
        Why.
    """

    op: ClassVar[str] = "promote"
    ids: ClassVar[dict[str, str]] = {"candidate_id": "candidate"}

    candidate_id: Annotated[int, Field(ge=0)]
    reason: str = ""


class Add(Edit):
    """A migrasome that was not found.

    Parameters
    ----------
    frame : int
        Frame in which it is seen.
    y_um, x_um : float
        Place in that frame.
    diameter_um : float
        Full-grown size, as well as it can be told; it is measured where the images are there.
    """

    op: ClassVar[str] = "add"

    frame: Frame
    y_um: Um
    x_um: Um
    diameter_um: DiameterUm


class Move(_OfMigrasome):
    """It is at another place, in all frames: migrasomes stand still on the dish.

    Parameters
    ----------
    migrasome_id : int
        Which.
    frame : int
        Frame of the place.
    y_um, x_um : float
        New place in that frame.
    """

    op: ClassVar[str] = "move"

    frame: Frame
    y_um: Um
    x_um: Um


class Resize(_OfMigrasome):
    """It has another size; its curve of growth keeps its shape and is scaled.

    Parameters
    ----------
    migrasome_id : int
        Which.
    diameter_um : float
        New diameter.
    frame : int, optional
        Frame of this diameter; by default it is that of the plateau.
    """

    op: ClassVar[str] = "resize"

    diameter_um: DiameterUm
    frame: Frame | None = None


class Merge(Edit):
    """Several are one migrasome: the first id stays, from the first frame of all to the last.

    Parameters
    ----------
    migrasome_ids : tuple of int
        Two or more; place and size are those of the first.
    """

    op: ClassVar[str] = "merge"
    ids: ClassVar[dict[str, str]] = {"migrasome_ids": "migrasome"}

    migrasome_ids: Ids


class Split(_OfMigrasome):
    """From a frame on it is another migrasome, with a new id.

    Parameters
    ----------
    migrasome_id : int
        Which.
    frame : int
        First frame of the new one.
    """

    op: ClassVar[str] = "split"

    frame: Frame


class Relink(Edit):
    """From a frame on the record belongs to another migrasome.

    Parameters
    ----------
    migrasome_id : int
        Gives its frames from `frame` on; it vanishes where none are left.
    to_id : int
        Takes them: it exists from its first frame to the last one that it is given.
    frame : int
        First frame that is given.
    """

    op: ClassVar[str] = "relink"
    ids: ClassVar[dict[str, str]] = {"migrasome_id": "migrasome", "to_id": "migrasome"}

    migrasome_id: Id
    to_id: Id
    frame: Frame


class SetParent(_OfMigrasome):
    """Cell that left it.

    Parameters
    ----------
    migrasome_id : int
        Which.
    cell_id : int or None
        None where the cell was never in view, or can't be told.
    """

    op: ClassVar[str] = "set_parent"
    ids: ClassVar[dict[str, str]] = {"migrasome_id": "migrasome", "cell_id": "cell"}

    cell_id: Id | None


class SetLocation(_OfMigrasome):
    """Where on its fiber it formed.

    Parameters
    ----------
    migrasome_id : int
        Which.
    location : {"tip", "branch", "shaft"} or None
        None where it can't be seen.
    """

    op: ClassVar[str] = "set_location"

    location: Literal["tip", "branch", "shaft"] | None


class SetBirth(_OfMigrasome):
    """First frame in which it exists.

    Parameters
    ----------
    migrasome_id : int
        Which.
    frame : int
        First frame; 0 says that it was there from the start.
    """

    op: ClassVar[str] = "set_birth"

    frame: Frame


class SetEnd(_OfMigrasome):
    """Last frame in which it exists.

    Parameters
    ----------
    migrasome_id : int
        Which.
    frame : int or None
        Last frame; None, or the last of the movie, says that it outlasts the movie.
    """

    op: ClassVar[str] = "set_end"

    frame: Frame | None


class SetFate(_OfMigrasome):
    """How its record ends.

    Parameters
    ----------
    migrasome_id : int
        Which.
    fate : {"persist", "rupture", "fade", "engulfed", "left_field"} or None
        None where it can't be told.
    engulfed_by_cell_id : int or None
        Cell that took it up; only with the fate engulfed.
    """

    op: ClassVar[str] = "set_fate"
    ids: ClassVar[dict[str, str]] = {"migrasome_id": "migrasome", "engulfed_by_cell_id": "cell"}

    fate: Literal["persist", "rupture", "fade", "engulfed", "left_field"] | None
    engulfed_by_cell_id: Id | None = None


class MergeCells(Edit):
    """Several are one cell: the first id stays.

    Parameters
    ----------
    cell_ids : tuple of int
        Two or more.
    """

    op: ClassVar[str] = "merge_cells"
    ids: ClassVar[dict[str, str]] = {"cell_ids": "cell"}

    cell_ids: Ids


class SplitCell(Edit):
    """Two cells were taken for one: a straight cut, from one point to another, parts its outline.

    The larger part keeps the id and the other gets a new one.

    Parameters
    ----------
    cell_id : int
        Which.
    frame : int
        First frame that is cut.
    y0_um, x0_um, y1_um, x1_um : float
        Two points of the line, in each of the frames that are cut.
    last_frame : int, optional
        Last frame that is cut; by default `frame`.
    """

    op: ClassVar[str] = "split_cell"
    ids: ClassVar[dict[str, str]] = {"cell_id": "cell"}

    cell_id: Id
    frame: Frame
    y0_um: Um
    x0_um: Um
    y1_um: Um
    x1_um: Um
    last_frame: Frame | None = None


class RelinkCells(Edit):
    """From a frame on two cells exchange their ids, or one gets a new id.

    Migrasomes that were born before the frame keep their cell.

    Parameters
    ----------
    cell_id : int
        One.
    other_id : int or None
        The other; None for a new id.
    frame : int
        First frame.
    """

    op: ClassVar[str] = "relink_cells"
    ids: ClassVar[dict[str, str]] = {"cell_id": "cell", "other_id": "cell"}

    cell_id: Id
    other_id: Id | None
    frame: Frame


class CutFiber(Edit):
    """Two fibers were taken for one: it is cut at a place, in every frame in which it passes there.

    The piece that reaches a cell keeps the id, or the longest; others get new ids.

    Parameters
    ----------
    fiber_id : int
        Which.
    frame : int
        Frame of the place.
    y_um, x_um : float
        Place in that frame.
    """

    op: ClassVar[str] = "cut_fiber"
    ids: ClassVar[dict[str, str]] = {"fiber_id": "fiber"}

    fiber_id: Id
    frame: Frame
    y_um: Um
    x_um: Um


class JoinFibers(Edit):
    """Several are one fiber: the first id stays. Nothing is drawn into the gap.

    Parameters
    ----------
    fiber_ids : tuple of int
        Two or more.
    """

    op: ClassVar[str] = "join_fibers"
    ids: ClassVar[dict[str, str]] = {"fiber_ids": "fiber"}

    fiber_ids: Ids


class AssignFiber(Edit):
    """Cell that left a fiber.

    Parameters
    ----------
    fiber_id : int
        Which.
    cell_id : int or None
        None where it can't be told.
    """

    op: ClassVar[str] = "assign_fiber"
    ids: ClassVar[dict[str, str]] = {"fiber_id": "fiber", "cell_id": "cell"}

    fiber_id: Id
    cell_id: Id | None
