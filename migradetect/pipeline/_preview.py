"""One frame, for choosing parameters before a run."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from migradetect.doubles import resolve_doubles
from migradetect.errors import AxesError
from migradetect.fibers import measure_fibers
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._channels import aligned_movie, channel_shifts
from migradetect.pipeline._detect import FrameResult, detect
from migradetect.pipeline._fit_model import MovieNoise, fit_movie_model, measure_noise
from migradetect.pipeline._frames import CleanFrame, FrameData, clean_frame, prepare_frame
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._pass1 import place_spots
from migradetect.pipeline._pass2 import judge_sites, link_coloured
from migradetect.pipeline._second_look import look_at, scene_reader, with_second_look, worth_a_look
from migradetect.pipeline._usable import filled_movie
from migradetect.pipeline._window import Window, averaged
from migradetect.spots import SpotImage

__all__ = ["FramePreview", "Previewer", "preview"]

#: Room for clean frames, bytes: seven of 2048 x 2048, 27 of 1024 x 1024, in two channels.
_MOST_BYTES = 600 * 2**20
#: More threads than frames in which the PSF is measured are of no use.
_THREADS = max(1, min(5, os.cpu_count() or 1))
_SPOT_COLUMNS = ["y_um", "x_um", "diameter_um", "snr", "score"]


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
    scores : ndarray, shape (N,)
        Scores of all that would be accepted if `judge.min_score` were 0, descending.
    is_final : bool
        False for a first sight, from this frame without its neighbours.
    """

    frame: int
    images: dict[str, NDArray[np.float32]]
    cells: NDArray[np.int32]
    fibers: NDArray[np.int32]
    spots: pd.DataFrame
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    is_final: bool = True

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells, fibers and migrasome candidates."""
        return {
            "cells": int(np.unique(self.cells[self.cells > 0]).size),
            "fibers": int(np.unique(self.fibers[self.fibers > 0]).size),
            "candidates": len(self.spots),
        }

    def counts_at(self, min_scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many migrasome candidates other values of `judge.min_score` would accept in this frame."""
        return np.searchsorted(-self.scores, -np.asarray(min_scores), side="right").astype(np.int64)


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
    return Previewer(movie).final(params, frame)


class Previewer:
    """Previews of one movie that keep what a change of parameters leaves as it was.

    Parameters
    ----------
    movie : Movie
        Any number of frames.
    """

    def __init__(self, movie: Movie) -> None:
        self.movie = movie
        #: As it is analysed: filled in where nothing was recorded, channels laid upon each other, and by how much.
        self._seen = self._filled = filled_movie(movie)
        self._shifts: dict[str, tuple[int, int]] = {}
        self._noise: MovieNoise | None = None
        self._clean = _CleanFrames()
        self._model: tuple[str, MovieModel] | None = None
        self._averaged: tuple[str, FrameData, SpotImage, SpotImage | None] | None = None
        self._found: tuple[str, FrameResult, pd.DataFrame] | None = None
        self._judged: tuple[str, pd.DataFrame] | None = None

    def steps(self, params: Params, frame: int) -> Iterator[FramePreview]:
        """First sights where the full answer takes long, then the full answer, equal to that of :func:`preview`.

        Parameters
        ----------
        params : Params
            All parameters.
        frame : int
            Frame index, 0 to T - 1.

        Yields
        ------
        FramePreview
            The last one has `is_final`.
        """
        self._check(frame)
        if self._model is not None and (self._averaged is None or self._averaged[0] != _window_key(params, frame)):
            yield from self._first_sights(params, frame, self._model[1])
        yield self.final(params, frame)

    def final(self, params: Params, frame: int) -> FramePreview:
        """The full answer; quick where only parameters of later stages changed."""
        self._check(frame)
        model = self._fit(params)
        middle, image, present = self._average(params, frame, model)
        key = _key(_window_key(params, frame), params.fibers, params.spots)
        if self._found is None or self._found[0] != key:
            self._found = (key, *self._detect(params, middle, model, image, present))
        _, found, spots = self._found
        # all that a threshold may accept, so that it can change without a new look
        generous = _generous(params)
        key = _key(key, params.linking, generous.judge)
        if self._judged is None or self._judged[0] != key:
            self._judged = (key, self._judge(generous, middle, model, spots))
        return self._result(params, middle, found, self._judged[1])

    def _check(self, frame: int) -> None:
        if not 0 <= frame < self.movie.n_frames:
            raise AxesError(f"{self.movie.movie_id}: expected a frame from 0 to {self.movie.n_frames - 1}, got {frame}")

    def _fit(self, params: Params) -> MovieModel:
        key = _model_key(params)
        if self._model is None or self._model[0] != key:
            shifts = channel_shifts(self._filled, params.registration)
            if shifts != self._shifts:
                self._seen, self._shifts = aligned_movie(self._filled, shifts), shifts
                self._clean, self._noise = _CleanFrames(), None
            if self._noise is None:
                self._noise = measure_noise(self._seen)
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="migradetect-preview") as threads:
                self._model = (key, fit_movie_model(self._seen, params, self._noise, self._clean, threads))
        return self._model[1]

    def _average(self, params: Params, frame: int, model: MovieModel) -> tuple[FrameData, SpotImage, SpotImage | None]:
        key = _window_key(params, frame)
        if self._averaged is None or self._averaged[0] != key:
            half = params.preprocess.average_frames
            self._averaged = (key, *averaged(self._seen, frame, half, params, model, self._clean))
        return self._averaged[1:]

    def _first_sights(self, params: Params, frame: int, model: MovieModel) -> Iterator[FramePreview]:
        """Bodies first, then what this frame shows without its neighbours, with the noise and PSF of before."""
        alone, signal = prepare_frame(self._seen, frame, params, model, None, self._clean)
        window = Window(0)
        window.push(alone, signal)
        nothing = pd.DataFrame({name: pd.Series(dtype="float64") for name in _SPOT_COLUMNS})
        yield FramePreview(frame, self._images(frame), alone.cells, np.zeros_like(alone.cells), nothing, is_final=False)
        image = window.average(frame)[1]
        found, spots = self._detect(params, alone, model, image)
        judged = self._judge(_generous(params), alone, model, spots)
        yield replace(self._result(params, alone, found, judged), is_final=False)

    def _detect(
        self, params: Params, middle: FrameData, model: MovieModel, image: SpotImage, present: SpotImage | None = None
    ) -> tuple[FrameResult, pd.DataFrame]:
        calibration = self.movie.calibration
        found = detect(image, params, calibration, model, None if present is None else lambda: present)
        fibers = measure_fibers(found.fibers, found.ridge, middle.cells, calibration)
        return found, place_spots(found, middle, fibers, calibration)

    def _judge(self, params: Params, middle: FrameData, model: MovieModel, spots: pd.DataFrame) -> pd.DataFrame:
        """Candidates that are accepted, after a second look."""
        judged = judge_sites(link_coloured(spots, params), params, 1, float("nan"))[1]
        worth = worth_a_look(judged, params.judge)
        if len(worth):
            calibration = self.movie.calibration
            reader = scene_reader(worth, calibration)
            counts = self._clean(self._seen, middle.index, model).raw
            drift = calibration.um(np.asarray(middle.drift_px))
            reader.add(look_at(reader, middle.index, counts, middle.cells, (drift[0], drift[1]), model, calibration))
            judged = resolve_doubles(with_second_look(judged, worth, reader, params, calibration, 1))
        return judged[judged["kind"] == "migrasome"]

    def _result(self, params: Params, middle: FrameData, found: FrameResult, possible: pd.DataFrame) -> FramePreview:
        accepted = possible.loc[possible["score"] >= params.judge.min_score, _SPOT_COLUMNS]
        scores = np.sort(possible["score"].to_numpy(dtype=np.float64))[::-1]
        images = self._images(middle.index)
        return FramePreview(middle.index, images, middle.cells, found.fibers, accepted.reset_index(drop=True), scores)

    def _images(self, frame: int) -> dict[str, NDArray[np.float32]]:
        return {role: self.movie.frame(frame, role) for role in self.movie.roles}


class _CleanFrames:
    """Clean frames that were made before, as many as there is room for; several threads may ask.

    They are told apart by the part of the field and the frame: noise is the same for all parameters.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[str, int], CleanFrame] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, movie: Movie, index: int, model: MovieModel) -> CleanFrame:
        # a part of the field is told by its box, the whole field by none
        key = str(getattr(movie.source, "box", "")), index
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        clean = clean_frame(movie, index, model)
        with self._lock:
            self._kept[key] = clean
            while len(self._kept) * clean.nbytes > self._most and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return clean


def _generous(params: Params) -> Params:
    """Parameters by which all is accepted that some threshold may accept: it takes no part in any other test."""
    return params.model_copy(update={"judge": params.judge.model_copy(update={"min_score": 0.0})})


def _key(*parts: BaseModel | str) -> str:
    return "\n".join(part if isinstance(part, str) else part.model_dump_json() for part in parts)


def _model_key(params: Params) -> str:
    """What the noise and PSF of the movie depend on."""
    return _key(params.optics, params.preprocess, params.cells, params.registration)


def _window_key(params: Params, frame: int) -> str:
    """What the registered average around a frame depends on."""
    return _key(str(frame), _model_key(params))
