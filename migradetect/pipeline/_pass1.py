"""Pass 1: every frame once, in a sliding window of registered neighbours; memory does not grow with the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from migradetect.calibration import Calibration
from migradetect.fibers import line_strength, measure_fibers
from migradetect.filters import nearest_label, sample
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._detect import FrameResult, detect
from migradetect.pipeline._frames import FrameData, prepare_frame
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._ordered import InOrder
from migradetect.pipeline._spot_stack import SpotStack, compact
from migradetect.pipeline._window import Window
from migradetect.results import LabelStack
from migradetect.spots import SpotImage

__all__ = ["Pass1", "place_spots", "run_pass1"]


@dataclass
class Pass1:
    """What pass 1 leaves: tables with one row per frame and object; label planes and spots in temporary files."""

    cell_labels: LabelStack
    fiber_labels: LabelStack
    frames: list[dict[str, float]] = field(default_factory=list)
    cells: list[pd.DataFrame] = field(default_factory=list)
    fibers: list[pd.DataFrame] = field(default_factory=list)
    spots: SpotStack = field(default_factory=SpotStack)


def run_pass1(
    movie: Movie,
    params: Params,
    model: MovieModel,
    step: Callable[[int], None],
    observe: Callable[[SpotImage, pd.DataFrame], None] | None = None,
    threads: int = 1,
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
    observe : callable, optional
        Called with each averaged frame and its candidates, such as to collect what a judge is trained on.
    threads : int
        While one frame is prepared, others are searched in further threads; the results are the same.

    Returns
    -------
    Pass1
    """
    out = Pass1(LabelStack(movie.shape_yx), LabelStack(movie.shape_yx))
    half = min(params.preprocess.average_frames, movie.n_frames - 1)
    window = Window(half)

    def keep(seen: _Seen) -> None:
        _keep(out, seen, movie.calibration)
        if observe is not None:
            observe(seen.image, seen.spots)
        step(len(out.frames))

    before: FrameData | None = None
    with InOrder(threads, keep) as ordered:
        for index in range(movie.n_frames + half):
            if index < movie.n_frames:
                before, signal = prepare_frame(movie, index, params, model, before)
                window.push(before, signal)
                del signal  # the window has a copy
            if index >= half:
                centre = index - half
                # taken once, and gone as soon as it is done with
                present = [window.present(centre)].pop if half else None
                ordered.do(partial(_look, *window.average(centre), present, params, movie.calibration, model))
                del present
    return out


@dataclass(frozen=True)
class _Seen:
    """What was found in one frame, with the image that it was found in."""

    frame: FrameData
    image: SpotImage
    found: FrameResult
    fibers: pd.DataFrame
    spots: pd.DataFrame


def _look(
    frame: FrameData,
    image: SpotImage,
    present: Callable[[], SpotImage] | None,
    params: Params,
    calibration: Calibration,
    model: MovieModel,
) -> _Seen:
    found = detect(image, params, calibration, model, present)
    fibers = measure_fibers(found.fibers, found.ridge, frame.cells, calibration)
    return _Seen(frame, image, found, fibers, place_spots(found, frame, fibers, calibration))


def _keep(out: Pass1, seen: _Seen, calibration: Calibration) -> None:
    """Add what was found in a frame to the tables and label planes."""
    frame, found = seen.frame, seen.found
    out.cell_labels.append(frame.cells)
    out.fiber_labels.append(found.fibers)
    cells = frame.cell_table
    out.cells.append(cells.assign(frame=frame.index))
    out.fibers.append(seen.fibers.assign(frame=frame.index))
    out.spots.append(seen.spots)
    row: dict[str, float] = {
        "frame": frame.index,
        "drift_y_um": calibration.um(frame.drift_px[0]),
        "drift_x_um": calibration.um(frame.drift_px[1]),
        "focus": frame.focus,
        "registration_confidence": frame.registration_confidence,
        "n_cells": len(cells),
        "n_candidates": len(found.spots),
        "n_cut": found.n_cut,
    }
    area = cells["area_um2"]
    for role, (background, noise) in frame.level.items():
        row[f"background_{role}"], row[f"noise_{role}"] = background, noise
        row[f"body_{role}"] = float((cells[f"mean_{role}"] * area).sum() / max(area.sum(), 1e-9))
    out.frames.append(row)


def place_spots(found: FrameResult, frame: FrameData, fibers: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Candidates of a frame with their places in um and what stands around them."""
    spots = found.spots.assign(frame=frame.index)
    y, x = spots["y_px"].to_numpy(), spots["x_px"].to_numpy()
    spots["y_um"], spots["x_um"] = calibration.um(y), calibration.um(x)
    spots["y_stage_um"] = spots["y_um"] - calibration.um(frame.drift_px[0])
    spots["x_stage_um"] = spots["x_um"] - calibration.um(frame.drift_px[1])
    spots["cell_um"] = calibration.um(nearest_label(frame.cells, y, x)[0])
    gap, fiber = nearest_label(found.fibers, y, x)
    spots["fiber_um"] = calibration.um(gap)
    strength = line_strength(found.fibers, found.ridge, calibration)
    spots["line_snr"] = strength[np.rint(y).astype(int), np.rint(x).astype(int)].astype(float)
    colour = frame.colour
    spots["colour"] = np.nan if colour is None else sample(colour, (y - 0.5) / 2, (x - 0.5) / 2)
    length = np.zeros(int(found.fibers.max()) + 1)
    length[fibers["label"].to_numpy(int)] = fibers["length_um"]
    spots["fiber_length_um"] = length[fiber]
    return compact(spots)
