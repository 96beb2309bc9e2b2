"""Between passes 2 and 3: what each candidate shows through the movie, and what that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.doubles import resolve_doubles
from migradetect.movie import Movie
from migradetect.params import JudgeParams, Params
from migradetect.pipeline._frames import clean_plane, outside_bodies
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._ordered import InOrder
from migradetect.pipeline._pass1 import Pass1
from migradetect.pipeline._pass2 import Pass2, join_accepted
from migradetect.scene_network import load_scene_network, scene_log_odds
from migradetect.scenes import Look, SceneReader
from migradetect.tracks import decide, with_scene

__all__ = ["look_again", "look_at", "scene_reader", "with_second_look", "worth_a_look"]

Image = NDArray[np.float32]

#: Candidates with less are not looked at: nothing would make them migrasomes.
_WORTH_SCORE = 0.03
#: Their pictures take 80 kB each: of more candidates than this the likeliest are looked at.
_MOST_SCENES = 3000
#: Of long movies every second, third ... frame will do.
_MOST_FRAMES = 80


def look_again(
    movie: Movie,
    params: Params,
    model: MovieModel,
    first: Pass1,
    second: Pass2,
    step: Callable[[int], None],
    threads: int = 1,
) -> Pass2:
    """Judge the candidates by what they show through the movie as well.

    Parameters
    ----------
    movie, params, model, first, second : Movie, Params, MovieModel, Pass1, Pass2
        Results so far.
    step : callable
        Called with the number of frames done; may raise to stop.
    threads : int
        While one frame is read, others are looked at in further threads; the results are the same.

    Returns
    -------
    Pass2
        With the candidates judged anew; `second` itself if there is to be no second look.
    """
    worth = worth_a_look(second.judged, params.judge)
    if worth.empty:
        return second
    calibration = movie.calibration
    reader = scene_reader(worth, calibration)
    frames = list(range(0, movie.n_frames, -(-movie.n_frames // _MOST_FRAMES)))
    ahead = iter([*frames[1:], movie.n_frames])

    def clean_and_look(t: int, recorded: dict[str, Image], cells: NDArray[Any], drift_um: tuple[float, float]) -> Look:
        counts = {role: clean_plane(image, model.noise[role])[0] for role, image in recorded.items()}
        return look_at(reader, t, counts, cells, drift_um, model, calibration)

    def keep(look: Look) -> None:
        reader.add(look)
        step(next(ahead))

    with InOrder(threads, keep) as ordered:
        for t in frames:
            recorded = {role: movie.frame(t, role) for role in model.roles}
            drift = (float(second.drift_um[t, 0]), float(second.drift_um[t, 1]))
            ordered.do(partial(clean_and_look, t, recorded, first.cell_labels.compact(t), drift))
    anew = with_second_look(second.judged, worth, reader, params, calibration, movie.n_frames)
    linked, judged = join_accepted(second.linked, anew)
    return replace(second, linked=linked, judged=resolve_doubles(judged))


def worth_a_look(judged: pd.DataFrame, params: JudgeParams) -> pd.DataFrame:
    """Candidates whose kind a second look may change, none if there is to be none; rows of `judged`, in its order."""
    if params.method != "learned" or not params.second_look:
        return judged.iloc[:0]
    worth = judged[judged["score"] > _WORTH_SCORE]
    return worth.loc[worth["score"].nlargest(_MOST_SCENES).index].sort_index() if len(worth) > _MOST_SCENES else worth


def scene_reader(worth: pd.DataFrame, calibration: Calibration) -> SceneReader:
    """Reader of the places of these candidates."""
    return SceneReader(
        worth["y_stage_um"].to_numpy(float),
        worth["x_stage_um"].to_numpy(float),
        worth["frame_first"].to_numpy(np.int64),
        worth["frame_last"].to_numpy(np.int64),
        calibration,
    )


def look_at(
    reader: SceneReader,
    frame: int,
    counts: dict[str, Image],
    cells: NDArray[Any],
    drift_um: tuple[float, float],
    model: MovieModel,
    calibration: Calibration,
) -> Look:
    """Pictures of one frame.

    Parameters
    ----------
    reader : SceneReader
        Places.
    frame : int
        Frame, as the reader counts.
    counts : dict of str to ndarray, shape (Y, X)
        Counts without hot pixels, by role; those of channels that take no part in detection are left alone.
    cells : ndarray of int, shape (Y, X)
        Labels of bodies.
    drift_um : tuple of float
        Stage drift (y, x) of the frame.
    model : MovieModel
        Noise and background of the movie.
    calibration : Calibration
        Pixel size and time between frames.

    Returns
    -------
    Look
    """
    labels = {
        role: (counts[role] - np.float32(model.background[role])) * np.float32(1 / model.empty_sigma[role])
        for role in model.roles
    }
    weight = outside_bodies(cells, calibration).astype(np.float32)
    return reader.look(frame, labels, weight, cells > 0, drift_um)


def with_second_look(
    judged: pd.DataFrame,
    worth: pd.DataFrame,
    reader: SceneReader,
    params: Params,
    calibration: Calibration,
    n_frames: int,
) -> pd.DataFrame:
    """Candidates judged by what was seen of them as well.

    Parameters
    ----------
    judged : pandas.DataFrame
        All candidates, from :func:`migradetect.tracks.judge`.
    worth : pandas.DataFrame
        Those that the reader has looked at.
    reader : SceneReader
        Their pictures.
    params : Params
        Thresholds.
    calibration : Calibration
        Pixel size and time between frames.
    n_frames : int
        Frames that were looked for candidates.

    Returns
    -------
    pandas.DataFrame
        `judged` with new scores, kinds and reasons; there may be doubles among the accepted ones.
    """
    scene = scene_log_odds(reader.scenes(), calibration, load_scene_network())
    interval = calibration.frame_interval_min if n_frames > 1 else float("nan")
    anew = decide(
        worth.assign(score=with_scene(worth["score"].to_numpy(float), scene)), params.judge, n_frames, interval
    )
    # what was a migrasome in each of its parts stays one as a whole, unless it does not look like one
    stays = (worth["kind"] == "migrasome") & (anew["score"] >= params.judge.min_score)
    anew.loc[stays, ["kind", "reason"]] = worth.loc[stays, ["kind", "reason"]]
    out = judged.copy()
    out.loc[worth.index, ["score", "kind", "reason"]] = anew[["score", "kind", "reason"]]
    return out
