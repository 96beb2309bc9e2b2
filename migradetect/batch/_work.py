"""How much work a batch is, from the headers of its files: how many shards, and what to ask a scheduler for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migradetect.batch._resources import peak_bytes
from migradetect.errors import MigradetectError

if TYPE_CHECKING:
    from migradetect.io import MovieEntry

__all__ = ["Work", "estimate_work"]

#: Pixels (frames x height x width x channels) that one core analyses in a second, on the careful side: a shard that
#: ends early costs nothing, one that meets its time limit does.
PIXELS_PER_SECOND = 3e6


@dataclass(frozen=True, slots=True)
class Work:
    """Size of a batch.

    Parameters
    ----------
    n_movies : int
        Movies that can be opened.
    pixels : int
        Frames x height x width x channels of all of them.
    largest_movie_pixels : int
        The same of the largest: no shard can take less time.
    peak_bytes : int
        Estimated peak memory of one worker.
    """

    n_movies: int
    pixels: int
    largest_movie_pixels: int
    peak_bytes: int

    def shards(self, minutes: float, cores: int) -> int:
        """Number of shards of about so many minutes of work on so many cores."""
        wanted = math.ceil(self.pixels / (PIXELS_PER_SECOND * cores * minutes * 60))
        return max(1, min(wanted, self.n_movies))

    def minutes(self, n_shards: int, cores: int) -> float:
        """Minutes that the longest shard takes, as far as can be told."""
        # a movie is analysed by one core, and at worst the largest begins last (Graham 1966)
        longest = self.pixels / n_shards / cores + self.largest_movie_pixels
        return longest / PIXELS_PER_SECOND / 60


def estimate_work(entries: Sequence[MovieEntry]) -> Work:
    """Open every movie, without reading its planes, and add up.

    Parameters
    ----------
    entries : sequence of MovieEntry
        Movies; those that can't be opened count nothing.

    Returns
    -------
    Work
    """
    from migradetect.io import open_movie

    pixels, peaks = [], []
    for entry in entries:
        try:
            movie = open_movie(entry)
        except MigradetectError:
            continue  # it will fail by itself, and say why
        pixels.append(movie.n_frames * movie.height * movie.width * len(movie.channels))
        peaks.append(peak_bytes(movie.height, movie.width, movie.n_frames))
    return Work(len(pixels), sum(pixels), max(pixels, default=0), max(peaks, default=peak_bytes(1, 1)))
