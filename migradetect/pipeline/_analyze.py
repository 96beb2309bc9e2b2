"""The stages composed for one movie."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

import cv2
import numpy as np
import pandas as pd

from migradetect._version import __version__
from migradetect.errors import CancelledError
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._collect import collect_sites
from migradetect.pipeline._frames import MovieModel, fit_movie_model
from migradetect.pipeline._pass1 import Pass1, run_pass1
from migradetect.pipeline._pass2 import Pass2, run_pass2
from migradetect.pipeline._pass3 import accepted_sites, run_pass3
from migradetect.results import LabelStack, Results
from migradetect.summary import summarize_cells
from migradetect.tables import conform_table

__all__ = ["Cancel", "Progress", "analyze"]

Progress = Callable[[str, int, int], None]
Cancel = Callable[[], bool]


def analyze(
    movie: Movie, params: Params | None = None, *, progress: Progress | None = None, cancel: Cancel | None = None
) -> Results:
    """Find and follow cells, fibers and migrasomes in one movie.

    Parameters
    ----------
    movie : Movie
        Read frame by frame, twice; never changed.
    params : Params, optional
        Default parameters if not given.
    progress : callable, optional
        Called with (stage, frames done, frames in all).
    cancel : callable, optional
        Asked after every frame; the analysis stops when it returns True.

    Returns
    -------
    Results
        All tables of :mod:`migradetect.tables` but ``movies``, and the label stacks cells, fibers and migrasomes.

    Raises
    ------
    CancelledError
        If `cancel` returned True.
    """
    params = params or Params()

    def step(stage: str) -> Callable[[int], None]:
        def report(done: int) -> None:
            if cancel is not None and cancel():
                raise CancelledError(f"{movie.movie_id}: stopped in {stage} at frame {done} of {movie.n_frames}")
            if progress is not None:
                progress(stage, done, movie.n_frames)

        return report

    clock = {}
    start = time.perf_counter()
    step("calibrate")(0)
    model = fit_movie_model(movie, params)
    first = run_pass1(movie, params, model, step("detect"))
    clock["detect_s"] = time.perf_counter() - start
    second = run_pass2(movie, params, first)
    clock["link_s"] = time.perf_counter() - start - clock["detect_s"]
    sites = accepted_sites(second)
    traces, cell_planes, fiber_planes = run_pass3(movie, params, model, first, second, sites, step("measure"))
    tracks, migrasomes = collect_sites(movie, params, second, traces, (cell_planes, fiber_planes))
    results = _assemble(movie, params, model, first, second, tracks, migrasomes, traces)
    results.labels.update(
        cells=cell_planes, fibers=fiber_planes, migrasomes=_draw_migrasomes(movie, results.migrasomes)
    )
    clock["total_s"] = time.perf_counter() - start
    # last, because the stages take time as counted from the first frame
    results.annotate(movie.provenance.get("annotations", {}))
    results.provenance["timings"] = {name: round(value, 3) for name, value in clock.items()}
    return results


def _assemble(
    movie: Movie,
    params: Params,
    model: MovieModel,
    first: Pass1,
    second: Pass2,
    tracks: pd.DataFrame,
    migrasomes: pd.DataFrame,
    traces: pd.DataFrame,
) -> Results:
    interval = movie.calibration.frame_interval_min

    def finish(name: str, table: pd.DataFrame) -> pd.DataFrame:
        if table.empty:
            return conform_table(name, {})
        table = table.copy()
        table["movie_id"] = movie.movie_id
        if "frame" in table.columns:
            table["time_min"] = table["frame"] * interval
        return conform_table(name, table)

    track_table = finish("tracks", tracks)
    cells = finish("cells", second.cells.drop(columns="label"))
    fibers = finish("fibers", second.fibers.drop(columns=["label", "cell_label", "attached_cell"]))
    internal = [
        "amplitude",
        "amplitude_err",
        "nearest_cell",
        "covering_cell",
        "nearest_fiber",
        "cell_um",
        "fiber_um",
        "n_arms",
        "covered",
        "covered_err",
    ]
    if len(migrasomes):
        drift = second.drift_um[migrasomes["frame"].to_numpy(int)]
        migrasomes["y_stage_um"] = migrasomes["y_um"] - drift[:, 0]
        migrasomes["x_stage_um"] = migrasomes["x_um"] - drift[:, 1]
        migrasomes = migrasomes.drop(columns=internal)
    if len(traces):
        traces = traces.assign(is_covered=traces["covering_cell"] > 0).drop(columns=internal)
    tables = {
        "frames": finish("frames", _frame_table(movie, first, second)),
        "cells": cells,
        "fibers": fibers,
        "migrasomes": finish("migrasomes", migrasomes),
        "candidates": finish("candidates", _candidate_table(second)),
        "site_traces": finish("site_traces", traces),
        "tracks": track_table,
        "cell_summary": finish("cell_summary", summarize_cells(cells, fibers, track_table, movie.calibration)),
    }
    provenance = {
        "movie_id": movie.movie_id,
        "version": __version__,
        "calibration": asdict(movie.calibration),
        "n_frames": movie.n_frames,
        "shape_yx": list(movie.shape_yx),
        "channels": list(movie.roles),
        "psf_fwhm_um": round(2.3548 * model.psf_sigma_um, 4),
        "psf_source": "measured on fibers" if model.is_psf_measured else "parameter or default",
        "noise": {role: asdict(noise) for role, noise in model.noise.items()},
        "params": params.model_dump(mode="json"),
        "input": dict(movie.provenance),
        "qc_flags": list(movie.provenance.get("qc_flags", ())),
    }
    return Results(movie.movie_id, tables, {}, provenance)


def _frame_table(movie: Movie, first: Pass1, second: Pass2) -> pd.DataFrame:
    table = pd.DataFrame(first.frames)
    table["drift_y_um"], table["drift_x_um"] = second.drift_um[:, 0], second.drift_um[:, 1]
    typical = table["focus"].median()
    table["focus"] = table["focus"] / typical if typical > 0 else np.nan
    for role in movie.roles:
        body = table.pop(f"body_{role}")
        start = body[body > 0].iloc[0] if (body > 0).any() else np.nan
        table[f"bleaching_{role}"] = body.where(body > 0) / start
    lost = (table.pop("registration_confidence") < 6) & (table["frame"] > 0) & (movie.n_frames > 1)
    blurred = table["focus"] < 0.5
    flags = [
        ",".join(name for name, on in (("drift_unknown", a), ("out_of_focus", b)) if on)
        for a, b in zip(lost, blurred, strict=True)
    ]
    table["qc_flags"] = pd.array(flags, dtype="string")
    return table


def _candidate_table(second: Pass2) -> pd.DataFrame:
    rejected = second.judged[second.judged["kind"] != "migrasome"]
    return rejected.reset_index(names="candidate_id")


def _draw_migrasomes(movie: Movie, migrasomes: pd.DataFrame) -> LabelStack:
    """Discs of the measured diameter, label value = migrasome_id."""
    stack = LabelStack(movie.shape_yx)
    frame = migrasomes["frame"].to_numpy(int)
    px = movie.calibration.px(migrasomes[["y_um", "x_um", "diameter_um"]].to_numpy(float))
    identity = migrasomes["migrasome_id"].to_numpy(int)
    for t in range(movie.n_frames):
        plane = np.zeros(movie.shape_yx, np.int32)
        for i in np.flatnonzero(frame == t):
            y, x, diameter = px[i]
            radius = max(1, round(diameter / 2)) if np.isfinite(diameter) else 1
            cv2.circle(plane, (round(x), round(y)), radius, int(identity[i]), -1)
        stack.append(plane)
    return stack
