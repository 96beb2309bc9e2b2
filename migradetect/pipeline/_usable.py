"""The usable frames of a movie as a movie of their own, and the way back to the frames as recorded.

A frame that can't be used takes no part in the analysis, as if it had never been recorded. So it can't end a track,
begin one, or pull a fit. All passes count the usable frames; here is what knows their true numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.filters import quantile
from migradetect.frame_quality import FrameFacts, Quality, fill_plane, find_margins, judge_frames, measure_frame
from migradetect.movie import DETECTION_ROLES, FrameSource, Movie
from migradetect.params import Params
from migradetect.pipeline._ordered import InOrder
from migradetect.pipeline._progress import Step
from migradetect.registration import anchored_detail, estimate_shift
from migradetect.results import LabelStack

__all__ = ["Timeline", "assess", "filled_movie", "margin_in", "recorded_detail", "usable_movie"]


@dataclass(frozen=True)
class _UsableSource:
    """Planes of the usable frames, with what was not recorded filled in."""

    source: FrameSource
    numbers: tuple[int, ...]
    channels: tuple[int, ...]
    """Those that are searched."""
    has_margin: frozenset[int] | None = None
    """Frames as recorded that have a margin; None where that is not known."""

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one usable frame, shape (Y, X)."""
        return fill_plane(self.source.read(self.numbers[frame], channel))

    def margin(self, frame: int) -> NDArray[np.bool_] | None:
        """What was not recorded of a usable frame, shape (Y, X); None where all was."""
        number = self.numbers[frame]
        if self.has_margin is not None and number not in self.has_margin:
            return None
        return find_margins(self.source.read(number, channel) for channel in self.channels)


def margin_in(movie: Movie, frame: int) -> NDArray[np.bool_] | None:
    """What was not recorded of a frame of a movie from :func:`usable_movie`, shape (Y, X); None where all was."""
    read = getattr(movie.source, "margin", None)
    return None if read is None else read(frame)


def assess(movie: Movie, params: Params, step: Step, threads: int = 1) -> Quality:
    """Look at every frame once.

    Parameters
    ----------
    movie : Movie
        ``provenance["missing_frames"]`` names frames that were never recorded.
    params : Params
        Largest jump of the stage that is followed.
    step : callable
        Called with the number of frames done; may raise to stop.
    threads : int
        While one frame is read, others are looked at in further threads.

    Returns
    -------
    Quality
    """
    facts: dict[str, list[FrameFacts]] = {role: [] for role in movie.roles if role in DETECTION_ROLES}

    def keep(seen: dict[str, FrameFacts]) -> None:
        for role, one in seen.items():
            facts[role].append(one)
        step(len(next(iter(facts.values()))))

    with InOrder(threads, keep) as ordered:
        for frame in range(movie.n_frames):
            planes = {role: movie.frame(frame, role) for role in facts}
            ordered.do(partial(_look, planes))
    missing = frozenset(int(frame) for frame in movie.provenance.get("missing_frames", ()))
    role = next(iter(facts))

    def anchored(before: int, after: int) -> float:
        one, other = (recorded_detail(movie.frame(frame, role), movie) for frame in (before, after))
        return estimate_shift(one, other, params.registration, movie.calibration)[2]

    return judge_frames(facts, movie.height * movie.width, anchored, missing)


def _look(planes: dict[str, NDArray[np.float32]]) -> dict[str, FrameFacts]:
    return {role: measure_frame(image) for role, image in planes.items()}


def recorded_detail(image: NDArray[np.float32], movie: Movie) -> NDArray[np.float32]:
    """Fine detail of a frame that nothing is known of yet, bodies and all."""
    image = np.asarray(fill_plane(image), np.float32)
    above = image - quantile(image)
    spread = quantile(np.abs(above)) / 0.6745
    return anchored_detail(above / np.float32(spread or 1.0), np.ones_like(image), movie.calibration)


def usable_movie(movie: Movie, quality: Quality) -> Movie:
    """The movie without the frames that can't be used; at least one frame must be left."""
    numbers = tuple(int(number) for number in quality.numbers)
    has_margin = frozenset(frame for frame, flags in enumerate(quality.flags) if "margin" in flags)
    source = _UsableSource(movie.source, numbers, _searched(movie), has_margin)
    return replace(movie, n_frames=len(numbers), source=source)


def filled_movie(movie: Movie) -> Movie:
    """The movie with what was not recorded filled in, as :func:`usable_movie` does where all frames can be used."""
    return replace(movie, source=_UsableSource(movie.source, tuple(range(movie.n_frames)), _searched(movie)))


def _searched(movie: Movie) -> tuple[int, ...]:
    return tuple(k for k, role in enumerate(movie.roles) if role in DETECTION_ROLES)


@dataclass(frozen=True)
class Timeline:
    """Numbers of the usable frames among all frames.

    Parameters
    ----------
    numbers : ndarray of int, shape (U,)
        Index of each usable frame in the movie as recorded.
    n_frames : int
        Frames as recorded, T.
    """

    numbers: NDArray[np.int64]
    n_frames: int

    @property
    def is_whole(self) -> bool:
        """Every frame is usable."""
        return self.numbers.size == self.n_frames

    @property
    def lost(self) -> NDArray[np.int64]:
        """Frames that can't be used."""
        return np.setdiff1d(np.arange(self.n_frames), self.numbers)

    def renumber(self, table: pd.DataFrame, *names: str) -> pd.DataFrame:
        """Replace the numbers of usable frames by those as recorded."""
        if self.is_whole or table.empty:
            return table
        return table.assign(**{name: self.numbers[table[name].to_numpy(int)] for name in names})

    def with_lost_frames(
        self, table: pd.DataFrame, key: str, shared: list[str], between: list[str], everywhere: bool = False
    ) -> pd.DataFrame:
        """Rows for the lost frames inside each record: what is known without looking, and null for the rest.

        Parameters
        ----------
        table : pandas.DataFrame
            One row per `key` and frame as recorded.
        key : str
            Column that names the record.
        shared : list of str
            Columns that hold for all rows of a record.
        between : list of str
            Columns that are interpolated between the frames before and after.
        everywhere : bool
            Also before and after the record.

        Returns
        -------
        pandas.DataFrame
            With the further rows, in order of key and frame; other columns of these are null.
        """
        if self.is_whole or table.empty:
            return table
        parts = []
        for number, rows in table.groupby(key):
            frame = rows["frame"].to_numpy(int)
            lost = self.lost
            if not everywhere:
                lost = lost[(lost > frame.min()) & (lost < frame.max())]
            new = pd.DataFrame({key: number, "frame": lost}).assign(**{name: rows[name].iloc[0] for name in shared})
            for name in between:
                new[name] = np.interp(lost, frame, rows[name].to_numpy(float))
            parts.append(new)
        added = pd.concat(parts, ignore_index=True)
        if added.empty:
            return table
        merged = pd.concat([table.astype(_nullable(table)), added], ignore_index=True)
        return merged.sort_values([key, "frame"], kind="stable", ignore_index=True)

    def spread(self, stack: LabelStack) -> LabelStack:
        """Label planes of all frames; those of the lost ones are empty."""
        if self.is_whole:
            return stack
        whole, empty = LabelStack(stack.shape_yx), np.zeros(stack.shape_yx, np.uint8)
        place = {int(number): k for k, number in enumerate(self.numbers)}
        for frame in range(self.n_frames):
            whole.append(stack[place[frame]] if frame in place else empty)
        stack.close()
        return whole


def _nullable(table: pd.DataFrame) -> dict[str, str]:
    """Types that can hold null, for the columns that can't."""
    kinds = {"bool": "boolean", "int64": "Int64", "int32": "Int64"}
    return {str(name): kinds[str(kind)] for name, kind in table.dtypes.items() if str(kind) in kinds}
