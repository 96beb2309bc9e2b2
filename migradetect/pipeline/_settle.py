"""What photometry says of the accepted tracks: some were gone within minutes, too small, or part of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.doubles import find_same
from migradetect.lifetimes import Existence
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._lives import Seen, read_lives
from migradetect.pipeline._pass2 import Pass2, accepted_candidates
from migradetect.pipeline._pass3 import CLEAR_UM

__all__ = ["Settled", "settle"]

Flags = NDArray[np.bool_]

#: A size is that of the larger fifth of the measurements: the full-grown bead, and no single wrong one.
_FULL_GROWN = 0.8
#: Fewer measurements than this do not overrule the judge.
_FEWEST_SIZES = 3


@dataclass(frozen=True)
class Settled:
    """The tracks that are migrasomes after all, N of them, numbered from 1.

    Parameters
    ----------
    second : Pass2
        With the others judged anew.
    traces : pandas.DataFrame
        In order of site and frame, N times T rows.
    seen : Seen
        The same as arrays.
    lives : list of Existence
        When each exists.
    """

    second: Pass2
    traces: pd.DataFrame
    seen: Seen
    lives: list[Existence]


def settle(movie: Movie, params: Params, second: Pass2, traces: pd.DataFrame, is_blurred: Flags) -> Settled:
    """Judge the accepted tracks again by their photometry.

    Parameters
    ----------
    movie, params, second : Movie, Params, Pass2
        Results so far.
    traces : pandas.DataFrame
        From pass 3, one row per site and frame.
    is_blurred : ndarray of bool, shape (T,)
        Frames whose measurements would lie.

    Returns
    -------
    Settled
    """
    accepted = accepted_candidates(second)
    if accepted.empty:
        nothing = pd.DataFrame({field.name: [] for field in fields(Seen)})
        return Settled(second, traces, Seen.from_table(nothing, np.zeros((0, movie.n_frames), bool), is_blurred), [])
    ordered = traces.iloc[np.lexsort((traces["frame"].to_numpy(), traces["migrasome_id"].to_numpy()))]
    is_found = _found_frames(second.linked, accepted.index, movie.n_frames)
    seen = Seen.from_table(ordered, is_found, is_blurred)
    lives = read_lives(movie, seen, accepted, params)
    if movie.n_frames == 1:
        return Settled(second, ordered, seen, lives)
    least_um, least_min = params.spots.min_diameter_um, params.judge.min_duration_min
    is_small = _full_grown_um(seen, lives, params) < least_um
    is_brief = np.array([_is_brief(life, movie, least_min) for life in lives])
    same = _same_migrasomes(accepted, lives, ~(is_small | is_brief))
    keep = ~(is_small | is_brief | np.isin(np.arange(len(lives)), list(same)))
    if keep.all():
        return Settled(second, ordered, seen, lives)
    judged = second.judged.copy()
    for part, whole in same.items():
        lives[whole] = _both(lives[whole], lives[part])
        is_found[whole] |= is_found[part]
        reason = f"the same migrasome as candidate {accepted.index[whole]}"
        judged.loc[accepted.index[part], ["kind", "reason"]] = "noise", reason
    for name, reason, where in (
        ("transient", f"gone within {least_min:g} min", is_brief),
        ("subresolution", f"measured smaller than {least_um:g} um", is_small),
    ):
        judged.loc[accepted.index[where], ["kind", "reason"]] = name, reason
    return Settled(
        replace(second, judged=judged),
        _renumbered(ordered, keep),
        Seen.from_table(ordered[np.repeat(keep, movie.n_frames)], is_found[keep], is_blurred),
        [life for life, kept in zip(lives, keep, strict=True) if kept],
    )


def _found_frames(linked: pd.DataFrame, candidates: pd.Index[int], n_frames: int) -> Flags:
    """Frames in which a spot of each candidate was linked, shape (candidates, T)."""
    row = candidates.get_indexer(pd.Index(linked["candidate_id"]))
    out = np.zeros((len(candidates), n_frames), bool)
    out[row[row >= 0], linked["frame"].to_numpy(int)[row >= 0]] = True
    return out


def _full_grown_um(seen: Seen, lives: Sequence[Existence], params: Params) -> NDArray[np.float64]:
    """Diameter that the larger measurements of each life have, um, shape (N,); NaN where there are too few."""
    good = seen.is_sized(params.photometry.min_snr) & (seen.cell_um > CLEAR_UM)
    out = np.full(len(lives), np.nan)
    for i, life in enumerate(lives):
        span = slice(life.first, life.last + 1)
        sizes = seen.diameter_um[i, span][good[i, span]]
        if sizes.size >= _FEWEST_SIZES:
            out[i] = np.quantile(sizes, _FULL_GROWN)
    return out


def _is_brief(life: Existence, movie: Movie, least_min: float) -> bool:
    """Whether it came and went by itself in less time: what a cell took away might have stayed."""
    interval = movie.calibration.frame_interval_min
    if not movie.n_frames * interval >= 4 * least_min:
        return False
    is_whole = life.first > 1 and life.last < movie.n_frames - 2
    return is_whole and life.fate in ("fade", "rupture") and (life.last - life.first + 1) * interval <= least_min


def _same_migrasomes(accepted: pd.DataFrame, lives: list[Existence], is_large: Flags) -> dict[int, int]:
    """Numbers of lives that go on as another one, and of that one; of those that are migrasomes by themselves."""
    rows = np.flatnonzero(is_large)
    places = accepted[["y_stage_um", "x_stage_um"]].to_numpy(float)[rows]
    first, last = (np.array([getattr(lives[row], end) for row in rows], np.int64) for end in ("first", "last"))
    found = find_same(places, accepted["diameter_um"].to_numpy(float)[rows], first, last)
    return {int(rows[part]): int(rows[whole]) for part, whole in found.items()}


def _both(one: Existence, other: Existence) -> Existence:
    """From the first frame of two lives to the end of the one that ends later."""
    later = other if other.last > one.last else one
    return replace(later, first=min(one.first, other.first))


def _renumbered(ordered: pd.DataFrame, keep: Flags) -> pd.DataFrame:
    """Traces of the sites that stay, numbered from 1 again; `keep` has shape (N,)."""
    number = ordered["migrasome_id"].to_numpy(np.int64)
    kept = ordered[keep[number - 1]]
    return kept.assign(migrasome_id=np.cumsum(keep)[kept["migrasome_id"].to_numpy(np.int64) - 1])
