"""Noise and PSF of a movie, from a handful of its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.filters import NoiseModel, estimate_noise
from migradetect.movie import DETECTION_ROLES, FrameSource, Movie
from migradetect.params import Params
from migradetect.pipeline._bowl import empty_level
from migradetect.pipeline._frames import Cleaner
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._psf import fiber_widths_um, psf_from_widths, usual_psf_um
from migradetect.pipeline._window import averaged
from migradetect.profiles import ProfileLibrary

__all__ = ["MovieNoise", "fit_movie_model", "measure_noise", "sampled_parts"]

#: Relative error of a PSF that needs no better look, and of one that counts as measured.
_CLEAR_PSF, _MEASURED_PSF = 0.02, 0.15
#: Edge of the part of a frame in which fibers are measured: a larger one would tell no more.
_PART_PX = 1024
#: Place of that part in each frame, as a share of what is left of its rows and columns: the corners and the middle.
_PARTS = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0))


@dataclass(frozen=True)
class MovieNoise:
    """Noise of a movie, which no parameter changes; by role."""

    noise: dict[str, NoiseModel]
    """Gain and read noise."""
    sigma: dict[str, float]
    """Noise of an empty pixel, counts."""
    level: dict[str, float]
    """Level of an empty pixel, counts."""


def measure_noise(movie: Movie) -> MovieNoise:
    """Noise from a handful of frames spread over the movie."""
    noise, sigma, level = {}, {}, {}
    pixel = movie.calibration.pixel_size_um
    for role in movie.roles:
        images = [movie.frame(i, role) for i in _indices(movie)]
        noise[role] = estimate_noise(images, usual_psf_um(pixel) / pixel)
        level[role] = float(np.median([empty_level(image) for image in images]))
        sigma[role] = float(np.sqrt(noise[role].variance(np.full((1, 1), level[role], np.float32))[0, 0]))
    return MovieNoise(noise, sigma, level)


def _indices(movie: Movie) -> list[int]:
    return sorted({round(i * (movie.n_frames - 1) / 4) for i in range(5)})


def fit_movie_model(
    movie: Movie,
    params: Params,
    known: MovieNoise | None = None,
    cleaner: Cleaner | None = None,
    executor: Executor | None = None,
) -> MovieModel:
    """Noise and PSF from a handful of frames spread over the movie.

    Parameters
    ----------
    movie : Movie
        Any number of frames.
    params : Params
        `optics` may give the PSF.
    known : MovieNoise, optional
        Noise, where it was measured before.
    cleaner : callable, optional
        Where clean frames come from; called with parts of the movie too, in the threads of `executor`.
    executor : concurrent.futures.Executor, optional
        Threads that look at several frames at a time; the result is the same.

    Returns
    -------
    MovieModel
    """
    roles = tuple(role for role in movie.roles if role in DETECTION_ROLES)
    found = known or measure_noise(movie)
    noise, sigma, level = found.noise, found.sigma, found.level
    look = _Look(params, cleaner, executor)
    pixel = movie.calibration.pixel_size_um
    psf = params.optics.psf_fwhm_um / 2.3548 if params.optics.psf_fwhm_um else usual_psf_um(pixel)
    model = MovieModel(roles, noise, sigma, level, psf, False, ProfileLibrary.build(pixel, psf))
    if not params.optics.psf_fwhm_um:
        psf, error = _psf_on_fibers(movie, 0, look, model)
        if error > _CLEAR_PSF and movie.n_frames > 1:
            # fibers too dim to be read in one frame are read in the average of registered ones
            psf, error = _psf_on_fibers(movie, 2, look, model)
        model = replace(
            model, psf_sigma_um=psf, is_psf_measured=error < _MEASURED_PSF, library=ProfileLibrary.build(pixel, psf)
        )
    return model


@dataclass(frozen=True)
class _Look:
    """How frames are looked at."""

    params: Params
    cleaner: Cleaner | None
    executor: Executor | None

    def map(self, work: Callable[[int], _Widths], items: Iterable[int]) -> list[_Widths]:
        """Results in order."""
        return list(map(work, items) if self.executor is None else self.executor.map(work, items))


_Widths = tuple[NDArray[np.float64], NDArray[np.float64]]


def _psf_on_fibers(movie: Movie, half: int, look: _Look, model: MovieModel) -> tuple[float, float]:
    pixel, parts = movie.calibration.pixel_size_um, sampled_parts(movie)

    def widths_in(k: int) -> _Widths:
        part, index = parts[k]
        image = averaged(part, index, half, look.params, model, look.cleaner)[1]
        return fiber_widths_um(image, index, pixel)

    widths = look.map(widths_in, range(len(parts)))
    sigma, error = (np.concatenate([pair[k] for pair in widths]) for k in (0, 1))
    return psf_from_widths(sigma, error, pixel)


@dataclass(frozen=True)
class _PartSource:
    """Planes of a part of the field."""

    source: FrameSource
    box: tuple[slice, slice]

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel, shape (Y, X) of the part."""
        return self.source.read(frame, channel)[self.box]

    def margin(self, frame: int) -> NDArray[np.bool_] | None:
        """What was not recorded of a frame, shape (Y, X) of the part; None where all was."""
        read = getattr(self.source, "margin", None)
        margin = None if read is None else read(frame)
        return None if margin is None else margin[self.box]


def sampled_parts(movie: Movie) -> list[tuple[Movie, int]]:
    """A handful of frames spread over the movie, of a large field a part each, as movies of that part."""
    return [(_part_of(movie, *_PARTS[k % len(_PARTS)]), index) for k, index in enumerate(_indices(movie))]


def _part_of(movie: Movie, down: float, right: float) -> Movie:
    """A part of a large field as a movie of its own; a small field as it is."""
    size = [min(n, _PART_PX) for n in movie.shape_yx]
    if tuple(size) == movie.shape_yx:
        return movie
    start = [round(share * (n - m)) for share, n, m in zip((down, right), movie.shape_yx, size, strict=True)]
    box = slice(start[0], start[0] + size[0]), slice(start[1], start[1] + size[1])
    return replace(movie, height=size[0], width=size[1], source=_PartSource(movie.source, box))
