"""From site traces to tables: existence, growth, parent, location, fate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from migradetect.assign import ParentEvidence, assign_parent, location_from_arms
from migradetect.calibration import Calibration
from migradetect.fibers import ATTACH_UM
from migradetect.growth import GrowthFit, fit_growth
from migradetect.lifetimes import Existence, find_existence
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._pass2 import Pass2
from migradetect.photometry import Sites

__all__ = ["collect_sites"]


@dataclass(frozen=True)
class _Parent:
    cell: int
    confidence: float


def collect_sites(
    movie: Movie, params: Params, second: Pass2, sites: Sites, traces: pd.DataFrame
) -> tuple[list[dict[str, object]], pd.DataFrame]:
    """Rows of ``tracks`` and ``migrasomes``.

    Parameters
    ----------
    movie, params, second : Movie, Params, Pass2
        Results so far.
    sites : Sites
        N sites.
    traces : pandas.DataFrame
        From pass 3.

    Returns
    -------
    tracks : list of dict
        One per migrasome.
    migrasomes : pandas.DataFrame
        One row per migrasome per frame in which it exists.
    """
    accepted = second.judged[second.judged["kind"] == "migrasome"].sort_values(["frame_first", "y_stage_um"])
    found = second.linked.groupby("candidate_id")["frame"].agg(set)
    tracks, parts = [], []
    owner = second.fibers.drop_duplicates("fiber_id").set_index("fiber_id")["cell_id"] if len(second.fibers) else pd.Series(dtype="Int64")
    attached_now = {(int(f), int(i)) for f, i, a in zip(second.fibers["frame"], second.fibers["fiber_id"], second.fibers["is_attached"], strict=True) if a} if len(second.fibers) else set()
    by_site = dict(list(traces.groupby("migrasome_id"))) if len(traces) else {}
    for number, (candidate, row) in enumerate(accepted.iterrows(), start=1):
        trace = by_site[number].sort_values("frame").reset_index(drop=True)
        frames_found = found[candidate]
        one = _one_site(movie.calibration, params, trace, int(row["frame_first"]), int(row["frame_last"]), movie.n_frames)
        existence, fit, smooth = one
        parent = _parent(trace, existence, owner, attached_now, params)
        life = trace[(trace["frame"] >= existence.first) & (trace["frame"] <= existence.last)].copy()
        reach = life["fiber_um"] <= params.assign.fiber_reach_um + life["diameter_um"].fillna(0.5) / 2
        life["is_on_fiber"] = reach
        life["fiber_id"] = life["nearest_fiber"].where(reach & (life["nearest_fiber"] > 0)).astype("Int64")
        led = [(int(f), int(i)) in attached_now for f, i in zip(life["frame"], life["nearest_fiber"], strict=True)]
        life["is_attached"] = (reach & np.array(led, bool)) | (life["cell_um"] <= ATTACH_UM)
        life["diameter_um"], life["diameter_err_um"] = smooth[0][life.index], smooth[1][life.index]
        location = _location(trace, existence)
        life["location"] = location
        life["cell_id"] = parent.cell or pd.NA
        life["score"] = float(row["score"])
        life["is_covered"] = life["covering_cell"] > 0
        life["is_measured"] = life["frame"].isin(frames_found)
        life["distance_to_cell_um"] = life["cell_um"].where(np.isfinite(life["cell_um"]))
        parts.append(life)
        tracks.append(_track_row(movie, number, row, existence, fit, parent, location))
    return tracks, pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _one_site(
    calibration: Calibration, params: Params, trace: pd.DataFrame, seen_first: int, seen_last: int, n_frames: int
) -> tuple[Existence, GrowthFit, tuple[np.ndarray, np.ndarray]]:  # type: ignore[type-arg]
    amplitude = trace["amplitude"].to_numpy(float)
    error = trace["amplitude_err"].to_numpy(float)
    if n_frames == 1:
        existence = Existence(0, 0, "persist", 0)
    else:
        existence = find_existence(
            amplitude,
            error,
            trace["covering_cell"].to_numpy(np.int64),
            trace["is_in_field"].to_numpy(bool),
            seen_first,
            seen_last,
        )
    alive = slice(existence.first, existence.last + 1)
    time = trace["frame"].to_numpy(float) * (calibration.frame_interval_min if n_frames > 1 else 1.0)
    diameter, spread = trace["diameter_um"].to_numpy(float).copy(), trace["diameter_err_um"].to_numpy(float).copy()
    usable = (trace["snr"] > params.photometry.min_snr).to_numpy() & np.isfinite(spread) & (spread < 0.6 * diameter)
    diameter[~usable] = np.nan
    left = existence.first == 0
    fit = fit_growth(time[alive], diameter[alive], spread[alive], params.growth, left)
    smooth = _smooth_diameter(diameter, spread, existence, fit, time)
    return existence, fit, smooth


def _smooth_diameter(diameter, spread, existence, fit, time):  # type: ignore[no-untyped-def]
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
        # a local straight line where there are enough points, so that growth is not flattened
        if ok.size >= 4 and ok.min() < t < ok.max():
            x = ok - t
            sw, sx, sxx = w.sum(), (w * x).sum(), (w * x * x).sum()
            sy, sxy = (w * diameter[ok]).sum(), (w * x * diameter[ok]).sum()
            det = sw * sxx - sx * sx
            value[t] = (sxx * sy - sx * sxy) / det if det > 0 else sy / sw
        else:
            value[t] = (w * diameter[ok]).sum() / w.sum()
        error[t] = np.sqrt((w**2 * e**2).sum()) / w.sum()
    missing = inside[~np.isfinite(value[inside])]
    if missing.size:
        model = fit.diameter(time[missing])
        known = inside[np.isfinite(value[inside])]
        near = np.interp(missing, known, value[known]) if known.size else np.full(missing.size, fit.plateau_um)
        value[missing] = np.where(np.isfinite(model) & (model > 0), np.minimum(model, near), near)
    return value, error


def _parent(trace, existence, owner, attached_now, params):  # type: ignore[no-untyped-def]
    # before birth: the frame in which it starts to swell, or the first that was recorded
    start = trace.iloc[min(existence.first, len(trace) - 1)]
    early = trace[(trace["frame"] >= existence.first - 5) & (trace["frame"] <= existence.first + 10)]
    near = early[early["fiber_um"] <= params.assign.fiber_reach_um]
    attached = []
    for frame, fiber in zip(near["frame"], near["nearest_fiber"], strict=True):
        if (int(frame), int(fiber)) in attached_now and fiber in owner.index and owner[fiber] is not pd.NA:
            attached.append(int(owner[fiber]))
    evidence = ParentEvidence(
        last_cell=int(start["last_cell"]),
        frames_since=float(existence.first - start["last_cell_frame"]),
        attached_cells=attached,
        nearest_cell=int(start["nearest_cell"]),
        nearest_um=float(start["cell_um"]),
    )
    return _Parent(*assign_parent(evidence, params.assign))


def _location(trace: pd.DataFrame, existence: Existence) -> str | None:
    early = trace[(trace["frame"] >= existence.first) & (trace["frame"] <= existence.first + 10)]
    early = early[early["covering_cell"] == 0]
    return location_from_arms(early["n_arms"].astype(int).tolist())


def _track_row(movie, number, row, existence, fit, parent, location):  # type: ignore[no-untyped-def]
    interval = movie.calibration.frame_interval_min
    single = movie.n_frames == 1
    left = existence.first == 0
    right = existence.last >= movie.n_frames - 1
    birth = fit.birth_min if np.isfinite(fit.birth_min) else existence.first * interval
    birth = float("nan") if left or single else max(birth, 0.0)
    end = float("nan") if right or single else existence.last * interval
    begin = 0.0 if left else birth
    finish = (movie.n_frames - 1) * interval if right else end
    out = {
        "migrasome_id": number,
        "cell_id": parent.cell or pd.NA,
        "cell_id_confidence": parent.confidence if parent.cell else np.nan,
        "birth_time_min": birth,
        "end_time_min": end,
        "lifetime_min": float("nan") if single else max(finish - begin, 0.0),
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
        "score": float(row["score"]),
        "kind": "migrasome",
    }
    return out
