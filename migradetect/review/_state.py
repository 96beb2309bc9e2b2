"""The reviewed state: what corrections made of the automatic results; a new one after each, sharing all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import pandas as pd

from migradetect.review._planes import PlaneChange
from migradetect.review._site import Piece

__all__ = ["State"]


@dataclass(frozen=True)
class State:
    """Differences from the automatic results.

    Parameters
    ----------
    pieces : mapping of int to (Piece or None)
        Rows of migrasomes that were changed or added, by id; None for those that are no migrasomes any more.
    rejected : mapping of int to DataFrame
        Row of ``candidates`` for each migrasome that was rejected.
    aside : mapping of int to (Piece or None)
        What a migrasome that was rejected was before; None for the stored rows.
    promoted : frozenset of int
        Candidates that became migrasomes.
    status : mapping of int to str
        ``accepted``, ``rejected``, ``edited`` or ``added``, by migrasome.
    sources : mapping of (str, int) to tuple of str
        Who did what, by kind and id of the object.
    cells, fibers : mapping of int to DataFrame
        Rows of frames that were changed.
    plane_changes : tuple of PlaneChange
        What was done to label planes, in order.
    next_ids : mapping of str to int
        Next free id by kind.
    """

    pieces: Mapping[int, Piece | None] = field(default_factory=dict)
    rejected: Mapping[int, pd.DataFrame] = field(default_factory=dict)
    aside: Mapping[int, Piece | None] = field(default_factory=dict)
    promoted: frozenset[int] = frozenset()
    status: Mapping[int, str] = field(default_factory=dict)
    sources: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    cells: Mapping[int, pd.DataFrame] = field(default_factory=dict)
    fibers: Mapping[int, pd.DataFrame] = field(default_factory=dict)
    plane_changes: tuple[PlaneChange, ...] = ()
    next_ids: Mapping[str, int] = field(default_factory=dict)

    def with_pieces(self, pieces: Mapping[int, Piece | None]) -> Self:
        """With other rows of some migrasomes."""
        return replace(self, pieces={**self.pieces, **pieces})

    def with_status(self, status: str, *ids: int) -> Self:
        """With another status of some migrasomes."""
        return replace(self, status={**self.status, **dict.fromkeys(ids, status)})

    def with_source(self, source: str, kind: str, ids: Iterable[int]) -> Self:
        """With a further source of some objects."""
        added = {(kind, one): (*self.sources.get((kind, one), ()), source) for one in ids}
        return replace(self, sources={**self.sources, **added})

    def take_id(self, kind: str) -> tuple[int, Self]:
        """A free id, and the state in which it is taken."""
        number = self.next_ids[kind]
        return number, replace(self, next_ids={**self.next_ids, kind: number + 1})

    def edited(self, kind: str) -> dict[int, str]:
        """Objects of a kind that were touched, and by what."""
        return {one: "; ".join(dict.fromkeys(who)) for (of, one), who in self.sources.items() if of == kind}
