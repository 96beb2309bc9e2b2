"""A movie with what was found in it as a film, without OpenGL or a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.drawing import FrameStyle, draw_frame, output_shape
from migradetect.errors import CancelledError, ParamsError
from migradetect.io import BatchResults, ExportReport, reopen_movie
from migradetect.io.exports import MovieJob, Target, export_each
from migradetect.io.video_writing import FILM_SUFFIXES, write_film
from migradetect.movie import Movie

__all__ = ["export_film", "export_films"]

#: Black and white of a channel: percentiles of three frames.
_BLACK, _WHITE = 1.0, 99.7


def export_film(
    movie: Movie,
    path: str | Path,
    *,
    tables: Mapping[str, pd.DataFrame] | None = None,
    labels: Mapping[str, Any] | None = None,
    frames: range | None = None,
    frames_per_s: float = 10.0,
    limits: Mapping[str, tuple[float, float]] | None = None,
    show_scale_bar: bool = True,
    show_time: bool = True,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write a movie as a film: channels in colour, outlines, fibers, rings, scale bar and time.

    Parameters
    ----------
    movie : Movie
        Recording.
    path : str or Path
        File that ends in ``.mp4``, ``.gif`` or ``.tif``.
    tables : mapping of str to DataFrame, optional
        Tables of its results; without them only the images are drawn.
    labels : mapping of str to object, optional
        Label planes of ``cells`` and ``fibers``, by frame.
    frames : range, optional
        Frames that are drawn; all by default.
    frames_per_s : float
        Speed.
    limits : mapping of str to (float, float), optional
        Black and white of each channel that is drawn, counts; by default tspan4 and wga, from the images.
    show_scale_bar, show_time : bool
        Draw a scale bar and the time.
    progress : callable, optional
        Takes the frames done and the frames in all.
    cancel : callable, optional
        Asked before every frame; True stops, and no file is left.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If it can't be written.
    CancelledError
        If `cancel` returned True.
    """
    chosen = range(movie.n_frames) if frames is None else frames
    style = FrameStyle(limits or _limits(movie), movie.calibration, tables is not None, show_scale_bar, show_time)
    height, width, _ = output_shape(movie.shape_yx)
    by_frame = {} if tables is None else dict(iter(tables["migrasomes"].groupby("frame")))

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for done, frame in enumerate(chosen):
            if cancel is not None and cancel():
                raise CancelledError(f"{movie.movie_id}: stopped at frame {frame} of the film")
            planes = {
                name: labels[name][frame] for name in ("cells", "fibers") if labels is not None and name in labels
            }
            picture = draw_frame(
                {role: movie.frame(frame, role) for role in style.limits},
                style,
                time_min=movie.calibration.minutes(float(frame)),
                migrasomes=by_frame.get(frame),
                **planes,
            )
            if progress is not None:
                progress(done + 1, len(chosen))
            yield picture

    return write_film(path, pictures(), len(chosen), (height, width), frames_per_s)


def export_films(
    results: BatchResults,
    out: str | Path | None = None,
    *,
    movies: Sequence[str] = (),
    suffix: str = ".mp4",
    frames_per_s: float = 10.0,
    progress: Callable[[int, int, str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write a film of each movie of an output folder, with what was found in it; see :func:`export_film`.

    Parameters
    ----------
    results : BatchResults
        What ``migradetect.load`` gives: with the corrections of a review where there are some.
    out : str or Path, optional
        Folder to write into; default: ``exports/film`` in the folder of the results.
    movies : sequence of str
        Names of movies; default: all.
    suffix : str
        ``.mp4``, ``.gif`` or ``.tif``.
    frames_per_s : float
        Speed.
    progress : callable, optional
        Takes frames done and frames in all of a movie, and its name.
    cancel : callable, optional
        Whether to stop.

    Returns
    -------
    ExportReport

    Raises
    ------
    ParamsError
        If `suffix` or `frames_per_s` can't be used.
    NoMoviesError
        If there is no such movie, or none at all.
    ReadError
        If the recording of a movie is gone.
    OutputError
        If the place can't be written, or holds something else.
    CancelledError
        If it was stopped; films that are complete by then stay.
    """
    if suffix not in FILM_SUFFIXES:
        raise ParamsError(f"film: expected one of {', '.join(FILM_SUFFIXES)}, got '{suffix}'")
    if not (np.isfinite(frames_per_s) and frames_per_s > 0):
        raise ParamsError(f"film: expected a number of frames per second above 0, got {frames_per_s:g}")

    def write(job: MovieJob, target: Target, about: dict[str, Any]) -> list[Path]:
        name = job.movie_id
        movie = reopen_movie(job.results.provenance, results.movie_folders[name], name)
        path = export_film(
            movie,
            target.path(f"{name}{suffix}", about),
            tables=job.results.tables,
            labels=job.results.labels,
            frames_per_s=frames_per_s,
            progress=None if progress is None else lambda done, total: progress(done, total, name),
            cancel=cancel,
        )
        return [path]

    return export_each(results, "film", write, out, movies=movies, cancel=cancel)


def _limits(movie: Movie) -> dict[str, tuple[float, float]]:
    roles = [role for role in movie.roles if role in ("tspan4", "wga")] or list(movie.roles[:1])
    indices = sorted({0, (movie.n_frames - 1) // 2, movie.n_frames - 1})
    out = {}
    for role in roles:
        sample = np.concatenate([movie.frame(index, role)[::2, ::2].ravel() for index in indices])
        low, high = np.nanpercentile(sample, (_BLACK, _WHITE))
        out[role] = (float(low), float(max(high, low + 1)))
    return out
