"""One site at a time: what a review repeats after a correction, by the same steps as for all sites."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.growth import GrowthFit
from migradetect.lifetimes import Existence
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._collect import alive_rows
from migradetect.pipeline._collect import track_row as _track_row
from migradetect.pipeline._lives import Seen, read_lives, read_locations, read_sizes

__all__ = ["Clock", "Life", "read_trace", "site_rows", "track_row"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """Frames that the analysis saw.

    Parameters
    ----------
    time_min : ndarray, shape (T,)
        Time since the first frame as recorded.
    is_blurred : ndarray of bool, shape (T,)
        Measurements in the frame would lie.
    """

    time_min: Array
    is_blurred: NDArray[np.bool_]


@dataclass(frozen=True)
class Life:
    """What the trace of one site says; arrays of shape (T,)."""

    existence: Existence
    fit: GrowthFit
    diameter_um: Array
    diameter_err_um: Array
    location: str | None


def read_trace(
    movie: Movie,
    params: Params,
    trace: pd.DataFrame,
    seen: tuple[int, int],
    found: Set[int],
    clock: Clock,
    held: Existence | None = None,
) -> Life:
    """Existence, growth and location of one site.

    Parameters
    ----------
    movie, params : Movie, Params
        Of the frames that are used.
    trace : pandas.DataFrame, T rows
        From pass 3.
    seen : tuple of int
        First and last frame in which it was found.
    found : set of int
        All frames in which it was found.
    clock : Clock
        When each frame was taken.
    held : Existence, optional
        Taken as it is, instead of what the photometry says.

    Returns
    -------
    Life
    """
    is_found = np.isin(trace["frame"].to_numpy(int), list(found))[None]
    site = Seen.from_table(trace, is_found, clock.is_blurred[trace["frame"].to_numpy(int)])
    spans = pd.DataFrame({"frame_first": [seen[0]], "frame_last": [seen[1]]})
    existence = read_lives(movie, site, spans, params)[0] if held is None else held
    time = clock.time_min[trace["frame"].to_numpy(int)] if movie.n_frames > 1 else np.arange(1.0)
    fits, diameter, error = read_sizes(site, [existence], time, params)
    arms = trace["n_arms"].to_numpy(int)[:1].astype(np.int64)
    location = read_locations(site, np.array([existence.first]), arms, params)[0]
    return Life(existence, fits[0], diameter[0], error[0], location)


def site_rows(trace: pd.DataFrame, life: Life, attached: Set[tuple[int, int]], params: Params) -> pd.DataFrame:
    """Rows of ``migrasomes`` of one site; `attached` holds frame and number of the fibers that lead to a cell."""
    frame = np.arange(len(trace))
    is_alive = ((frame >= life.existence.first) & (frame <= life.existence.last))[None]
    index = pd.MultiIndex.from_tuples(sorted(attached), names=["frame", "fiber_id"]) if attached else _NO_FIBER
    rows = alive_rows(trace, is_alive, (life.diameter_um[None], life.diameter_err_um[None]), index, params)
    return rows.assign(location=life.location)


#: No fiber leads to a cell.
_NO_FIBER = pd.MultiIndex.from_arrays([np.zeros(0, np.int64), np.zeros(0, np.int64)], names=["frame", "fiber_id"])


def track_row(movie: Movie, number: int, life: Life, time_min: Array) -> dict[str, object]:
    """Row of ``tracks`` of one site."""
    return _track_row(movie, number, life.existence, life.fit, life.location, time_min)
