"""A movie with what was found in it as a film, without OpenGL or a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.drawing import FrameStyle, draw_frame, output_shape
from migradetect.errors import CancelledError
from migradetect.io.video_writing import write_film
from migradetect.movie import Movie

__all__ = ["export_film"]

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


def _limits(movie: Movie) -> dict[str, tuple[float, float]]:
    roles = [role for role in movie.roles if role in ("tspan4", "wga")] or list(movie.roles[:1])
    indices = sorted({0, (movie.n_frames - 1) // 2, movie.n_frames - 1})
    out = {}
    for role in roles:
        sample = np.concatenate([movie.frame(index, role)[::2, ::2].ravel() for index in indices])
        low, high = np.nanpercentile(sample, (_BLACK, _WHITE))
        out[role] = (float(low), float(max(high, low + 1)))
    return out
