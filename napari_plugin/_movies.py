"""The movies of a folder, in their order or, for a blind review, in a shuffled one without names; no Qt."""

from __future__ import annotations

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
    """

    out_dir: Path
    movie_ids: tuple[str, ...]
    names: tuple[str, ...]
    index: int = 0

    @classmethod
    def of(cls, out_dir: str | Path, movie_id: str | None = None, blind: bool = False) -> MovieList:
        """Movies of an output folder.

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

            # the same folder is shuffled the same way each time, so that a review can go on tomorrow
            order = blind_order(place.out_dir, 0)
            ids = tuple(one for one in order if one in ids)
            names = tuple(f"movie {k + 1} of {len(ids)}" for k in range(len(ids)))
        else:
            names = ids
        return cls(place.out_dir, ids, names, ids.index(wanted) if wanted is not None else 0)

    @property
    def name(self) -> str:
        """What the movie is called on the screen."""
        return self.names[self.index]

    def open(self, reviewer: str | None) -> ReviewSession:
        """Reviewed state of the movie that is shown."""
        from migradetect.review import ReviewSession

        return ReviewSession.open(self.out_dir, self.movie_ids[self.index], reviewer)
