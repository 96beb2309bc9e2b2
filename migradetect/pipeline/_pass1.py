"""Pass 1: every frame once, in a sliding window of registered neighbours; memory does not grow with the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from migradetect.cells import measure_cells
from migradetect.fibers import measure_fibers
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.photometry import nearest_labels
from migradetect.pipeline._frames import FrameData, MovieModel, Window, detect, prepare_frame
from migradetect.results import LabelStack

__all__ = ["Pass1", "run_pass1"]


@dataclass
class Pass1:
    """What pass 1 leaves: tables with one row per frame and object, and label planes in a temporary file."""

    cell_labels: LabelStack
    fiber_labels: LabelStack
    frames: list[dict[str, float]] = field(default_factory=list)
    cells: list[pd.DataFrame] = field(default_factory=list)
    fibers: list[pd.DataFrame] = field(default_factory=list)
    spots: list[pd.DataFrame] = field(default_factory=list)


def run_pass1(
    movie: Movie, params: Params, model: MovieModel, step: Callable[[int], None]
) -> Pass1:
    """Bodies, drift, fibers and candidates of every frame.

    Parameters
    ----------
    movie : Movie
        Read frame by frame.
    params : Params
        All parameters.
    model : MovieModel
        Noise and PSF.
    step : callable
        Called with the number of frames done; may raise to stop.

    Returns
    -------
    Pass1
    """
    out = Pass1(LabelStack(movie.shape_yx), LabelStack(movie.shape_yx))
    half = _half_width(movie, params)
    window = Window(half)
    before: FrameData | None = None
    for index in range(movie.n_frames + half):
        if index < movie.n_frames:
            before = prepare_frame(movie, index, params, model, before)
            window.push(before)
        centre = index - half
        if centre < 0:
            continue
        _one_frame(out, *_detect(window, centre, params, movie, model), movie)
        step(centre + 1)
    return out


def _half_width(movie: Movie, params: Params) -> int:
    return min(params.preprocess.average_frames, max(0, movie.n_frames - 1))


def _detect(window, centre, params, movie, model):  # type: ignore[no-untyped-def]
    frame, image = window.average(centre)
    return frame, detect(image, params, movie.calibration, model)


def _one_frame(out: Pass1, frame: FrameData, found, movie: Movie) -> None:  # type: ignore[no-untyped-def]
    calibration = movie.calibration
    t = frame.index
    drift_um = tuple(calibration.um(d) for d in frame.drift_px)
    out.cell_labels.append(frame.cells)
    out.fiber_labels.append(found.fibers)
    cells = measure_cells(frame.cells, frame.above, calibration)
    cells.insert(0, "frame", t)
    out.cells.append(cells)
    fibers = measure_fibers(found.fibers, found.ridge, frame.cells, calibration)
    fibers.insert(0, "frame", t)
    out.fibers.append(fibers)
    spots = found.spots
    spots.insert(0, "frame", t)
    y, x = spots["y_px"].to_numpy(), spots["x_px"].to_numpy()
    spots["y_um"], spots["x_um"] = calibration.um(y), calibration.um(x)
    spots["y_stage_um"], spots["x_stage_um"] = spots["y_um"] - drift_um[0], spots["x_um"] - drift_um[1]
    spots["cell_um"] = calibration.um(nearest_labels(frame.cells, y, x)[0])
    spots["fiber_um"] = calibration.um(nearest_labels(found.fibers, y, x)[0])
    spots["neighbours"] = _neighbours(spots)
    out.spots.append(spots)
    row: dict[str, float] = {
        "frame": t,
        "drift_y_um": drift_um[0],
        "drift_x_um": drift_um[1],
        "focus": frame.focus,
        "registration_confidence": frame.registration_confidence,
        "n_cells": len(cells),
        "n_candidates": len(spots),
    }
    for role, (background, noise) in frame.level.items():
        row[f"background_{role}"], row[f"noise_{role}"] = background, noise
        row[f"body_{role}"] = float((cells[f"mean_{role}"] * cells["area_um2"]).sum() / max(cells["area_um2"].sum(), 1e-9))
    out.frames.append(row)


def _neighbours(spots: pd.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
    if spots.empty:
        return np.zeros(0)
    tree = cKDTree(spots[["y_um", "x_um"]])
    return np.asarray(tree.query_ball_point(spots[["y_um", "x_um"]], 2.0, return_length=True)) - 1.0
