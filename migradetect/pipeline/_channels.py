"""Channels that lie beside each other, by the colour error of the lens or two cameras, laid upon each other.

Detection adds the channels up, so that a spot would be smeared by a shift, and the signal of the second one read beside
its place. Shifts are whole pixels: what is left is less than the PSF, and no pixel is made of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.movie import DETECTION_ROLES, FrameSource, Movie
from migradetect.params import RegistrationParams
from migradetect.pipeline._fit_model import sampled_parts
from migradetect.pipeline._usable import recorded_detail
from migradetect.registration import estimate_shift

__all__ = ["aligned_movie", "channel_shifts"]

#: Largest shift that is believed, um.
_MOST_UM = 3.0
#: Least height of the peak of the correlation over its scatter: 40 to 140 where both labels show the same fibers.
_SURE = 20.0
#: Frames differ by less than this, pixels.
_ALIKE_PX = 0.5


@dataclass(frozen=True)
class _AlignedSource:
    """Planes, those of some channels shifted by whole pixels; the border repeats what lies along it."""

    source: FrameSource
    shifts: tuple[tuple[int, int], ...]

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel, shape (Y, X)."""
        plane = self.source.read(frame, channel)
        if self.shifts[channel] == (0, 0):
            return plane
        rows, columns = (
            np.clip(np.arange(n) + shift, 0, n - 1) for n, shift in zip(plane.shape, self.shifts[channel], strict=True)
        )
        return plane[rows][:, columns]

    def margin(self, frame: int) -> NDArray[np.bool_] | None:
        """What was not recorded of a frame, shape (Y, X); None where all was."""
        read = getattr(self.source, "margin", None)
        return None if read is None else read(frame)


def channel_shifts(movie: Movie, params: RegistrationParams) -> dict[str, tuple[int, int]]:
    """How far WGA lies beside TSPAN4, by their fine detail.

    Fibers and migrasomes carry both labels, and stand still: a handful of frames have to say the same.

    Parameters
    ----------
    movie : Movie
        Usable frames.
    params : RegistrationParams
        Whether channels are to be aligned.

    Returns
    -------
    dict of str to (int, int)
        Role to rows and columns, pixels: what stands at (y, x) in TSPAN4 stands that much further in this channel.
        Empty where that is less than half a pixel, or can't be told.
    """
    if not params.align_channels or not set(DETECTION_ROLES) <= set(movie.roles):
        return {}
    search = params.model_copy(update={"max_jump_um": _MOST_UM})
    found = []
    for part, index in sampled_parts(movie):
        one, other = (recorded_detail(part.frame(index, role), part) for role in DETECTION_ROLES)
        found.append(estimate_shift(one, other, search, movie.calibration))
    sure = np.array([(y, x) for y, x, confidence in found if confidence >= _SURE])
    if 2 * len(sure) <= len(found):
        return {}
    typical = np.median(sure, axis=0)
    if np.median(np.abs(sure - typical).max(axis=1)) > _ALIKE_PX:
        return {}
    rows, columns = (int(np.rint(value)) for value in typical)
    return {DETECTION_ROLES[1]: (rows, columns)} if rows or columns else {}


def aligned_movie(movie: Movie, shifts: Mapping[str, tuple[int, int]]) -> Movie:
    """The movie with its channels laid upon each other; itself where none is shifted.

    Parameters
    ----------
    movie : Movie
        Any frames.
    shifts : mapping of str to (int, int)
        From :func:`channel_shifts`.

    Returns
    -------
    Movie
    """
    if not shifts:
        return movie
    by_channel = tuple(shifts.get(role, (0, 0)) for role in movie.roles)
    return replace(movie, source=_AlignedSource(movie.source, by_channel))
