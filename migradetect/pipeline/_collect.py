"""From site traces to tables: existence, growth, parent, location, fate."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.fibers import ATTACH_UM
from migradetect.growth import GrowthFit
from migradetect.lifetimes import Existence
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._lives import read_locations, read_sizes
from migradetect.pipeline._parents import find_parents
from migradetect.pipeline._pass2 import accepted_candidates
from migradetect.pipeline._settle import Settled
from migradetect.results import LabelStack

__all__ = ["alive_rows", "collect_sites", "track_row"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def collect_sites(
    movie: Movie,
    params: Params,
    settled: Settled,
    planes: tuple[LabelStack, LabelStack],
    time_min: Array,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of ``tracks`` and ``migrasomes``.

    Parameters
    ----------
    movie, params : Movie, Params
        Of the frames that are used.
    settled : Settled
        Accepted tracks and their traces.
    planes : (LabelStack, LabelStack)
        Cells and fibers; label value = identity.
    time_min : ndarray, shape (T,)
        Time of each frame since the first one as recorded.

    Returns
    -------
    tracks : pandas.DataFrame
        One row per migrasome.
    migrasomes : pandas.DataFrame
        One row per migrasome per frame in which it exists.
    """
    second, ordered, seen, lives = settled.second, settled.traces, settled.seen, settled.lives
    accepted = accepted_candidates(second)
    if accepted.empty:
        return pd.DataFrame(), pd.DataFrame()
    first, last = (np.array([getattr(life, end) for life in lives]) for end in ("first", "last"))
    time = time_min if movie.n_frames > 1 else np.arange(1.0)
    fits, diameter, error = read_sizes(seen, lives, time, params)
    location = read_locations(seen, first, ordered["n_arms"].to_numpy(int)[:: movie.n_frames], params)
    frame = np.arange(movie.n_frames)
    is_alive = (frame >= first[:, None]) & (frame <= last[:, None])
    reached = second.fibers[second.fibers["is_attached"]]
    attached = pd.MultiIndex.from_frame(reached[["frame", "fiber_id"]].astype(int))
    migrasomes = alive_rows(ordered, is_alive, (diameter, error), attached, params)
    site = np.nonzero(is_alive)[0]
    score = accepted["score"].to_numpy(float)
    migrasomes = migrasomes.assign(location=location[site], score=score[site], is_measured=seen.is_found[is_alive])
    table = pd.DataFrame(
        [track_row(movie, *one, time_min) for one in zip(count(1), lives, fits, location, strict=False)]
    ).assign(score=score)
    sites = table[["migrasome_id"]].assign(
        y_stage_um=accepted["y_stage_um"].to_numpy(),
        x_stage_um=accepted["x_stage_um"].to_numpy(),
        diameter_um=accepted["diameter_um"].fillna(0.0).to_numpy(),
        birth_frame=first,
    )
    parents = find_parents(sites, ordered, second.cells, planes, second.drift_um, movie.calibration, params.assign)
    for one in (table, migrasomes):
        one["cell_id"] = one["migrasome_id"].map(parents["cell_id"]).astype("Int64")
    table["cell_id_confidence"] = table["migrasome_id"].map(parents["confidence"])
    return table, migrasomes


def alive_rows(
    ordered: pd.DataFrame, is_alive: Flags, size: tuple[Array, Array], attached: pd.MultiIndex, params: Params
) -> pd.DataFrame:
    """Rows of ``migrasomes``: the frames in which each exists.

    Parameters
    ----------
    ordered : pandas.DataFrame
        Traces in order of site and frame, N times T rows.
    is_alive : ndarray of bool, shape (N, T)
        Frames in which each exists.
    size : (ndarray, ndarray), each of shape (N, T)
        Diameter and its error, um.
    attached : pandas.MultiIndex
        Frame and number of the fibers that lead to a cell.
    params : Params
        How far a fiber may lie.

    Returns
    -------
    pandas.DataFrame
    """
    rows = ordered[is_alive.ravel()].reset_index(drop=True)
    rows["diameter_um"], rows["diameter_err_um"] = (one[is_alive] for one in size)
    on_fiber = rows["fiber_um"] <= params.assign.fiber_reach_um + rows["diameter_um"].fillna(0.5) / 2
    rows["is_on_fiber"] = on_fiber
    rows["fiber_id"] = rows["nearest_fiber"].where(on_fiber & (rows["nearest_fiber"] > 0)).astype("Int64")
    led = pd.MultiIndex.from_frame(rows[["frame", "nearest_fiber"]].astype(int)).isin(attached)
    rows["is_attached"] = (on_fiber & led) | (rows["cell_um"] <= ATTACH_UM)
    rows["is_covered"] = rows["covering_cell"] > 0
    rows["distance_to_cell_um"] = rows["cell_um"].where(np.isfinite(rows["cell_um"]))
    return rows


def track_row(
    movie: Movie, number: int, existence: Existence, fit: GrowthFit, location: str | None, time_min: Array
) -> dict[str, object]:
    """Row of ``tracks``."""
    single = movie.n_frames == 1
    left, right = existence.first == 0, existence.last >= movie.n_frames - 1
    birth = fit.birth_min if np.isfinite(fit.birth_min) else float(time_min[existence.first])
    # it was not there in the first usable frame
    birth = np.nan if left or single else max(birth, float(time_min[0]))
    end = np.nan if right or single else float(time_min[existence.last])
    lifetime = (float(time_min[-1]) if right else end) - (float(time_min[0]) if left else birth)
    return {
        "migrasome_id": number,
        "birth_time_min": birth,
        "end_time_min": end,
        "lifetime_min": np.nan if single else max(lifetime, 0.0),
        "is_left_censored": left,
        "is_right_censored": right,
        "plateau_diameter_um": fit.plateau_um,
        "plateau_diameter_um_ci_low": fit.plateau_ci[0],
        "plateau_diameter_um_ci_high": fit.plateau_ci[1],
        "tau_min": fit.tau_min,
        "tau_min_ci_low": fit.tau_ci[0],
        "tau_min_ci_high": fit.tau_ci[1],
        "growth_rate_um_per_min": fit.rate_um_per_min,
        "growth_rate_um_per_min_ci_low": fit.rate_ci[0],
        "growth_rate_um_per_min_ci_high": fit.rate_ci[1],
        "growth_model": fit.model if fit.model else pd.NA,
        "fit_r2": fit.r2,
        "location": location,
        "fate": pd.NA if single else existence.fate,
        "engulfed_by_cell_id": existence.engulfed_by or pd.NA,
        "n_frames": existence.last - existence.first + 1,
        "kind": "migrasome",
    }
