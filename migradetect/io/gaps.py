"""Frames that were never recorded: a place in time without pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.movie import FrameSource, Movie

__all__ = ["GappedSource", "with_gaps"]

#: Missing frames that a warning lists by number.
_LISTED = 20


@dataclass(frozen=True)
class GappedSource:
    """Planes of the frames that exist; those of missing ones hold no number.

    Parameters
    ----------
    source : FrameSource
        Hands out the recorded frames, counted without gaps.
    places : tuple of int
        Index of each recorded frame in the movie with its gaps.
    shape_yx : tuple of int
        Rows and columns.
    """

    source: FrameSource
    places: tuple[int, ...]
    shape_yx: tuple[int, int]

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel, shape (Y, X); NaN where the frame is missing."""
        if frame not in self.places:
            return np.full(self.shape_yx, np.nan, np.float32)
        return self.source.read(self.places.index(frame), channel)


def with_gaps(movie: Movie, numbers: tuple[int, ...]) -> Movie:
    """The movie with its missing frames in their place in time.

    Parameters
    ----------
    movie : Movie
        Recorded frames only.
    numbers : tuple of int
        Number of each recorded frame in the names of the files, rising; empty where nothing is missing.

    Returns
    -------
    Movie
        ``provenance["missing_frames"]`` and a warning name what is missing.
    """
    if not numbers:
        return movie
    step = int(np.gcd.reduce(np.diff(numbers)))
    places = tuple((number - numbers[0]) // step for number in numbers)
    missing = sorted(set(range(places[-1] + 1)) - set(places))
    if not missing:
        return movie
    named = [str(numbers[0] + step * place) for place in missing]
    listed = ", ".join(named[:_LISTED]) + (" ..." if len(named) > _LISTED else "")
    warning = (
        f"{movie.provenance.get('path', movie.movie_id)}: missing frame{'s' if len(missing) > 1 else ''}: {listed}"
    )
    provenance = movie.provenance | {
        "missing_frames": missing,
        "warnings": [*movie.provenance.get("warnings", ()), warning],
    }
    source = GappedSource(movie.source, places, movie.shape_yx)
    return replace(movie, n_frames=places[-1] + 1, source=source, provenance=provenance)
