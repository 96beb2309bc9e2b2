"""What a correction touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from migradetect.review._edit import Edit

__all__ = ["Change", "Touched"]


@dataclass(frozen=True)
class Touched:
    """Objects and frames that a correction touched.

    Parameters
    ----------
    migrasome_ids, cell_ids, fiber_ids : frozenset of int
        Objects whose rows are others now; also those that are new, and those that are gone.
    frames : frozenset of int
        Recorded frames whose rows or label planes are others now.
    planes : frozenset of str
        Label stacks with other pixels: cells, fibers, migrasomes.
    """

    migrasome_ids: frozenset[int] = frozenset()
    cell_ids: frozenset[int] = frozenset()
    fiber_ids: frozenset[int] = frozenset()
    frames: frozenset[int] = frozenset()
    planes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Change(Touched):
    """A correction that was made, taken back or made again.

    Parameters
    ----------
    edit : Edit
        Which.
    kind : {"do", "undo", "redo"}
        What happened with it.
    created : tuple of (str, int)
        Kind (migrasome, cell, fiber) and id of what is new.
    """

    edit: Edit = field(default_factory=Edit)
    kind: Literal["do", "undo", "redo"] = "do"
    created: tuple[tuple[str, int], ...] = ()
