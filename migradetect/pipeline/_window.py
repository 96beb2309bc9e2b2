"""A window of registered frames and their average."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from migradetect.filters import add_shifted, doubled, trimmed_mean
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._frames import Cleaner, FrameData, FrameSignal, prepare_frame
from migradetect.pipeline._model import MovieModel
from migradetect.spots import SpotImage

__all__ = ["Window", "averaged"]

Image = NDArray[np.float32]


class Window:
    """The frames within reach of a centre one, and their registered average.

    Averaging comes before any maximum or threshold: what is anchored adds up, noise averages out. The extremes are left
    out, so that a filopodium that sweeps past leaves no mark.
    """

    def __init__(self, half_width: int) -> None:
        self.half_width = half_width
        self._size = 2 * half_width + 1
        self._frames: deque[FrameData] = deque(maxlen=self._size)
        # one block of memory, written in turn
        self._signal: Image | None = None
        self._is_open: NDArray[np.uint8] = np.empty((0, 0, 0), np.uint8)
        # noise variance and open share of each frame, at half the resolution
        self._noise: deque[tuple[Image, NDArray[np.uint8]]] = deque(maxlen=self._size)

    def push(self, frame: FrameData, signal: FrameSignal) -> None:
        """Add the next frame; the oldest falls out."""
        if self._signal is None:
            self._signal = np.empty((self._size, *signal.signal.shape), np.float32)
            self._is_open = np.empty(self._signal.shape, np.uint8)
        self._signal[frame.index % self._size] = signal.signal
        self._is_open[frame.index % self._size] = signal.is_open
        is_open = np.ascontiguousarray(signal.is_open[::2, ::2])
        self._noise.append((signal.half_variance * is_open, is_open))
        # what only the next frame is compared with, and in full width, would be kept for the whole window
        cells = frame.cells.astype(np.min_scalar_type(int(frame.cells.max(initial=0))))
        self._frames.append(replace(frame, cells=cells, detail=None))

    def average(self, centre: int) -> tuple[FrameData, SpotImage]:
        """Frame `centre` and the trimmed mean of all frames within reach of it, in its coordinates."""
        assert self._signal is not None
        middle = next(frame for frame in self._frames if frame.index == centre)
        near = [k for k, frame in enumerate(self._frames) if abs(frame.index - centre) <= self.half_width]
        frames = [self._frames[k] for k in near]
        places = np.array([frame.index % self._size for frame in frames])
        drift = np.array([frame.drift_px for frame in frames])
        shifts = np.rint(np.asarray(middle.drift_px) - drift).astype(np.int64)
        variance = self._mean_variance(near, shifts)
        # where the centre frame has a body the neighbours may still see the dish, but the spot is not seen *now*
        image = SpotImage(
            *trimmed_mean(self._signal, self._is_open, places, shifts, variance, self._is_open[centre % self._size])
        )
        return middle, image

    def present(self, centre: int) -> SpotImage:
        """Frame `centre` alone; a copy, which stays when the window moves on."""
        assert self._signal is not None
        variance, is_open = next(
            noise for frame, noise in zip(self._frames, self._noise, strict=True) if frame.index == centre
        )
        place = centre % self._size
        shape = self._is_open.shape[1:]
        # beside bodies the variance of the dish alone
        known = doubled(is_open.astype(np.float32), shape)
        out = np.divide(doubled(variance, shape), known, out=np.ones(shape, np.float32), where=known > 0)
        return SpotImage(self._signal[place].copy(), out, self._is_open[place].astype(np.float32))

    def _mean_variance(self, near: list[int], shifts: NDArray[np.int64]) -> Image:
        """Registered mean over the open dish, shape (Y, X)."""
        half = self._noise[near[0]][0].shape
        total, share = np.zeros(half, np.float32), np.full(half, 1e-6, np.float32)
        for k, (dy, dx) in zip(near, shifts, strict=True):
            variance, is_open = self._noise[k]
            add_shifted(total, variance, round(dy / 2), round(dx / 2))
            add_shifted(share, is_open, round(dy / 2), round(dx / 2))
        total /= share
        # nowhere open: what is written there is never read, but must not be 0
        total[share < 0.5] = 1.0
        return doubled(total, self._is_open.shape[1:])


def averaged(
    movie: Movie, index: int, half: int, params: Params, model: MovieModel, cleaner: Cleaner | None = None
) -> tuple[FrameData, SpotImage, SpotImage | None]:
    """One frame averaged with `half` registered neighbours on either side, and, if there are any, the frame alone.

    `cleaner` is that of `prepare_frame`.
    """
    near = range(max(0, index - half), min(movie.n_frames, index + half + 1))
    window = Window(half if len(near) > 1 else 0)
    before = None
    for one in near:
        before, signal = prepare_frame(movie, one, params, model, before, cleaner, is_alone=len(near) == 1)
        window.push(before, signal)
    return *window.average(index), window.present(index) if len(near) > 1 else None
