"""One frame, for choosing parameters before a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.errors import AxesError
from migradetect.fibers import measure_fibers
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._detect import detect
from migradetect.pipeline._fit_model import fit_movie_model
from migradetect.pipeline._pass1 import place_spots
from migradetect.pipeline._pass2 import judge_sites, link_coloured
from migradetect.pipeline._window import averaged

__all__ = ["FramePreview", "preview"]


@dataclass(frozen=True)
class FramePreview:
    """What is found in one frame.

    Parameters
    ----------
    frame : int
        Frame index.
    images : dict of str to ndarray, each of shape (Y, X)
        Counts as recorded, by role.
    cells, fibers : ndarray of int, shape (Y, X)
        Labels; fibers as one-pixel centrelines.
    spots : pandas.DataFrame
        Candidates that this frame alone speaks for: y_um, x_um, diameter_um, snr, score.
    """

    frame: int
    images: dict[str, NDArray[np.float32]]
    cells: NDArray[np.int32]
    fibers: NDArray[np.int32]
    spots: pd.DataFrame


def preview(movie: Movie, params: Params, frame: int) -> FramePreview:
    """Detect in one frame and its registered neighbours, without the evidence of the rest of the movie.

    Parameters
    ----------
    movie : Movie
        Any number of frames.
    params : Params
        All parameters.
    frame : int
        Frame index, 0 to T - 1.

    Returns
    -------
    FramePreview
    """
    if not 0 <= frame < movie.n_frames:
        raise AxesError(f"{movie.movie_id}: expected a frame from 0 to {movie.n_frames - 1}, got {frame}")
    model = fit_movie_model(movie, params)
    middle, image = averaged(movie, frame, params.preprocess.average_frames, params, model)
    found = detect(image, params, movie.calibration, model)
    fibers = measure_fibers(found.fibers, found.ridge, middle.cells, movie.calibration)
    spots = place_spots(found, middle, fibers, movie.calibration)
    judged = judge_sites(link_coloured(spots, params), params, 1, float("nan"))[1]
    accepted = judged.loc[judged["kind"] == "migrasome", ["y_um", "x_um", "diameter_um", "snr", "score"]]
    images = {role: movie.frame(frame, role) for role in movie.roles}
    return FramePreview(frame, images, middle.cells, found.fibers, accepted.reset_index(drop=True))
