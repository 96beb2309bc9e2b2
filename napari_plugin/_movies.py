"""The movies of a folder, in their order or, for a blind review, in a shuffled one without names; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migradetect.errors import NoMoviesError, nearest_name
from migradetect_napari._open import find_results

if TYPE_CHECKING:
    from migradetect.review import ReviewSession

__all__ = ["MovieList"]


@dataclass
class MovieList:
    """Movies to review.

    Parameters
    ----------
    out_dir : Path
        Output folder.
    movie_ids : tuple of str
        In the order in which they are shown.
    names : tuple of str
        What they are called on the screen.
    index : int
        The one that is shown.
    is_blind : bool
        Names and conditions are hidden.
    """

    out_dir: Path
    movie_ids: tuple[str, ...]
    names: tuple[str, ...]
    index: int = 0
    is_blind: bool = False

    @classmethod
    def of(
        cls, out_dir: str | Path, movie_id: str | None = None, blind: bool = False, reviewer: str | None = None
    ) -> MovieList:
        """Movies of an output folder; each reviewer sees an order of their own in a blind review.

        Raises
        ------
        NoMoviesError
            If there are no results, or none of that name.
        """
        place = find_results(out_dir)
        if place is None or not place.movie_ids:
            raise NoMoviesError(f"{out_dir}: expected results of `migradetect run`, got none; run it first")
        ids = place.movie_ids
        wanted = movie_id or place.movie_id
        if wanted is not None and wanted not in ids:
            raise NoMoviesError(f"{out_dir}: expected one of its movies, got '{wanted}'{nearest_name(wanted, ids)}")
        if blind:
            from migradetect.review import blind_order

            # the same each time, so that a review can go on tomorrow
            order = [one for one in blind_order(place.out_dir, reviewer or 0) if one.movie_id in ids]
            ids, names = tuple(one.movie_id for one in order), tuple(one.name for one in order)
        else:
            names = ids
        return cls(place.out_dir, ids, names, ids.index(wanted) if wanted is not None else 0, blind)

    @property
    def name(self) -> str:
        """What the movie is called on the screen."""
        return self.names[self.index]

    def open(
        self,
        reviewer: str | None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ReviewSession:
        """Reviewed state of the movie that is shown; corrections made before are made again, which may be stopped."""
        from migradetect.review import ReviewSession

        return ReviewSession.open(self.out_dir, self.movie_ids[self.index], reviewer, progress=progress, cancel=cancel)
