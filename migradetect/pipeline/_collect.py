"""From site traces to tables: existence, growth, parent, location, fate."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.assign import location_from_arms
from migradetect.fibers import ATTACH_UM
from migradetect.growth import GrowthFit, fit_growth
from migradetect.lifetimes import Existence, Trace, find_existence
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._parents import find_parents
from migradetect.pipeline._pass2 import Pass2, accepted_candidates
from migradetect.pipeline._pass3 import CLEAR_UM
from migradetect.results import LabelStack

__all__ = ["Clock", "Life", "collect_sites", "read_trace", "site_rows", "track_row"]

Array = NDArray[np.float64]

#: A migrasome is found in most frames of its life: at least this share of those in which it can be seen.
_LEAST_FOUND = 0.5
#: A cell takes up what it runs into within minutes of contact; five times that is no longer this.
_UPTAKE_MIN = 25.0
#: Frames after birth in which fibers tell the location.
_AFTER_BIRTH = 10


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
    """What one site's trace says."""

    existence: Existence
    fit: GrowthFit
    diameter_um: Array
    diameter_err_um: Array
    location: str | None


def collect_sites(
    movie: Movie,
    params: Params,
    second: Pass2,
    traces: pd.DataFrame,
    planes: tuple[LabelStack, LabelStack],
    clock: Clock,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of ``tracks`` and ``migrasomes``.

    Parameters
    ----------
    movie, params, second : Movie, Params, Pass2
        Results so far.
    traces : pandas.DataFrame
        From pass 3, one row per site and frame.
    planes : (LabelStack, LabelStack)
        Cells and fibers; label value = identity.
    clock : Clock
        When each frame was taken, and which are blurred.

    Returns
    -------
    tracks : pandas.DataFrame
        One row per migrasome.
    migrasomes : pandas.DataFrame
        One row per migrasome per frame in which it exists.
    """
    accepted = accepted_candidates(second)
    if accepted.empty:
        return pd.DataFrame(), pd.DataFrame()
    found = second.linked.groupby("candidate_id")["frame"].agg(set).to_dict()
    reached = second.fibers[second.fibers["is_attached"]]
    attached = frozenset(zip(reached["frame"].astype(int), reached["fiber_id"].astype(int), strict=True))
    by_site = {int(str(number)): rows for number, rows in traces.groupby("migrasome_id")}
    tracks, parts, births = [], [], []
    for number, candidate in enumerate(accepted.itertuples(), start=1):
        trace = by_site[number].sort_values("frame").reset_index(drop=True)
        seen = (int(candidate.frame_first), int(candidate.frame_last))  # type: ignore[arg-type]
        score = float(candidate.score)  # type: ignore[arg-type]
        life = read_trace(movie, params, trace, seen, found[candidate.Index], clock)
        births.append(life.existence.first)
        rows = site_rows(trace, life, attached, params)
        parts.append(rows.assign(score=score, is_measured=rows["frame"].isin(found[candidate.Index])))
        tracks.append(track_row(movie, number, life, clock.time_min) | {"score": score})
    track_table, migrasomes = pd.DataFrame(tracks), pd.concat(parts, ignore_index=True)
    sites = track_table[["migrasome_id"]].assign(
        y_stage_um=accepted["y_stage_um"].to_numpy(),
        x_stage_um=accepted["x_stage_um"].to_numpy(),
        diameter_um=accepted["diameter_um"].fillna(0.0).to_numpy(),
        birth_frame=births,
    )
    parents = find_parents(sites, traces, second.cells, planes, second.drift_um, movie.calibration, params.assign)
    for table in (track_table, migrasomes):
        table["cell_id"] = table["migrasome_id"].map(parents["cell_id"]).astype("Int64")
    track_table["cell_id_confidence"] = track_table["migrasome_id"].map(parents["confidence"])
    return track_table, migrasomes


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
    single = movie.n_frames == 1
    # out of focus a bead is dimmer and wider than it is: such frames neither begin nor end it, nor tell its size
    sharp = ~clock.is_blurred[trace["frame"].to_numpy(int)]
    existence = held or (Existence(0, 0, "persist", 0) if single else _exists(movie, trace, sharp, seen, found))
    alive = slice(existence.first, existence.last + 1)
    time = trace["frame"].to_numpy(float) if single else clock.time_min[trace["frame"].to_numpy(int)]
    diameter, spread = trace["diameter_um"].to_numpy(float).copy(), trace["diameter_err_um"].to_numpy(float)
    poor = ~((trace["snr"].to_numpy(float) > params.photometry.min_snr) & (spread < 0.6 * diameter))
    diameter[poor | ~sharp] = np.nan
    # below the resolution a bead on a line has no diameter of its own: the curve is extrapolated to its start
    clear = (diameter > params.growth.min_diameter_um) & (trace["cell_um"].to_numpy(float) > CLEAR_UM)
    sized = np.where(clear, diameter, np.nan)
    fit = fit_growth(time[alive], sized[alive], spread[alive], params.growth, existence.first == 0)
    value, error = _smooth_diameter(diameter, spread, existence, fit, time)
    early = trace[
        trace["frame"].between(existence.first, existence.first + _AFTER_BIRTH) & (trace["covering_cell"] == 0)
    ]
    near_fiber = early["fiber_um"] <= params.assign.fiber_reach_um + early["diameter_um"].fillna(0.5) / 2
    location = location_from_arms(int(trace["n_arms"].iloc[0]), bool(near_fiber.any()))
    return Life(existence, fit, value, error, location)


def _exists(
    movie: Movie, trace: pd.DataFrame, sharp: NDArray[np.bool_], seen: tuple[int, int], found: Set[int]
) -> Existence:
    existence = find_existence(
        Trace(
            trace["amplitude"].where((trace["cell_um"] > CLEAR_UM) & sharp).to_numpy(float),
            trace["amplitude_err"].to_numpy(float),
            trace["covering_cell"].to_numpy(np.int64),
            trace["is_in_field"].to_numpy(bool),
            trace["covered"].to_numpy(float),
            trace["covered_err"].to_numpy(float),
        ),
        *seen,
        uptake_frames=_UPTAKE_MIN / movie.calibration.frame_interval_min,
    )
    return _keep_to_detections(existence, trace[sharp], seen, found)


def _keep_to_detections(existence: Existence, trace: pd.DataFrame, seen: tuple[int, int], found: Set[int]) -> Existence:
    """Undo an extension over frames in which hardly any spot was found: a bare fiber holds some signal everywhere."""
    life = trace[trace["frame"].between(existence.first, existence.last) & (trace["covering_cell"] == 0)]
    if life["frame"].isin(found).mean() >= _LEAST_FOUND:
        return existence
    first, last = max(existence.first, seen[0]), min(existence.last, seen[1])
    if first > last:
        first, last = seen
    fate = existence.fate if last == existence.last else "fade"
    return Existence(first, last, fate, existence.engulfed_by if fate == "engulfed" else 0)


def _smooth_diameter(
    diameter: Array, spread: Array, existence: Existence, fit: GrowthFit, time: Array
) -> tuple[Array, Array]:
    """Diameter of each frame from itself and its neighbours, weighted by their errors; gaps from the growth fit."""
    value, error = np.full(diameter.size, np.nan), np.full(diameter.size, np.nan)
    inside = np.arange(existence.first, existence.last + 1)
    for t in inside:
        near = inside[np.abs(inside - t) <= 3]
        ok = near[np.isfinite(diameter[near])]
        if ok.size == 0:
            continue
        e = np.hypot(spread[ok], 0.02 * diameter[ok])
        w = np.exp(-0.5 * ((ok - t) / 1.5) ** 2) / e**2
        value[t] = np.average(diameter[ok], weights=w)
        error[t] = np.sqrt((w**2 * e**2).sum()) / w.sum()
        # a local straight line where there are points on both sides, so that growth is not flattened
        if ok.size >= 4 and ok.min() < t < ok.max():
            x = (ok - t).astype(float)
            centre = np.average(x, weights=w)
            slope = (w * (x - centre) * diameter[ok]).sum() / (w * (x - centre) ** 2).sum()
            value[t] -= slope * centre
    missing = inside[~np.isfinite(value[inside])]
    known = inside[np.isfinite(value[inside])]
    if missing.size:
        near = np.interp(missing, known, value[known]) if known.size else np.full(missing.size, fit.plateau_um)
        model = fit.diameter(time[missing])
        value[missing] = np.where(model > 0, np.minimum(model, near), near)
    return value, error


def site_rows(trace: pd.DataFrame, life: Life, attached: frozenset[tuple[int, int]], params: Params) -> pd.DataFrame:
    """Rows of ``migrasomes``: the frames in which it exists."""
    alive = slice(life.existence.first, life.existence.last + 1)
    rows = trace.iloc[alive].copy()
    rows["diameter_um"], rows["diameter_err_um"] = life.diameter_um[alive], life.diameter_err_um[alive]
    on_fiber = rows["fiber_um"] <= params.assign.fiber_reach_um + rows["diameter_um"].fillna(0.5) / 2
    rows["is_on_fiber"] = on_fiber
    rows["fiber_id"] = rows["nearest_fiber"].where(on_fiber & (rows["nearest_fiber"] > 0)).astype("Int64")
    keys = zip(rows["frame"].astype(int), rows["nearest_fiber"].astype(int), strict=True)
    led = np.array([key in attached for key in keys], bool)
    rows["is_attached"] = (on_fiber & led) | (rows["cell_um"] <= ATTACH_UM)
    rows["location"] = life.location
    rows["is_covered"] = rows["covering_cell"] > 0
    rows["distance_to_cell_um"] = rows["cell_um"].where(np.isfinite(rows["cell_um"]))
    return rows


def track_row(movie: Movie, number: int, life: Life, time_min: Array) -> dict[str, object]:
    existence, fit = life.existence, life.fit
    single = movie.n_frames == 1
    left, right = existence.first == 0, existence.last >= movie.n_frames - 1
    birth = fit.birth_min if np.isfinite(fit.birth_min) else float(time_min[existence.first])
    birth = np.nan if left or single else max(birth, 0.0)
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
        "location": life.location,
        "fate": pd.NA if single else existence.fate,
        "engulfed_by_cell_id": existence.engulfed_by or pd.NA,
        "n_frames": existence.last - existence.first + 1,
        "kind": "migrasome",
    }
