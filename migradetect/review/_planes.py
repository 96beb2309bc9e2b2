"""Label planes with corrections on them: the stored plane, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

__all__ = ["Plane", "PlaneChange", "Planes"]

Plane = NDArray[np.uint32]


@dataclass(frozen=True)
class PlaneChange:
    """What a correction does to label planes.

    Parameters
    ----------
    name : str
        ``"cells"`` or ``"fibers"``.
    first, last : int
        Frames that it touches.
    apply : callable
        From plane and frame to a new plane; the given one is not changed.
    renamed : dict of int to int, optional
        Where only ids change: by which others they are replaced.
    serial : int
        Tells changes apart.
    """

    name: str
    first: int
    last: int
    apply: Callable[[Plane, int], Plane]
    renamed: Mapping[int, int] | None = None
    serial: int = field(default_factory=count().__next__)

    @classmethod
    def rename(cls, name: str, first: int, last: int, ids: Mapping[int, int]) -> PlaneChange:
        """Labels replaced by others, all at once."""

        def apply(plane: Plane, frame: int) -> Plane:
            out = plane.copy()
            for old, new in ids.items():
                out[plane == old] = new
            return out

        return cls(name, first, last, apply, ids)


class Planes:
    """Label planes of a movie by frame, read when asked for.

    Parameters
    ----------
    read : callable
        From a frame to its plane.
    n_frames : int
        Frames as recorded.
    shape_yx : tuple of int
        Rows and columns.
    """

    def __init__(self, read: Callable[[int], Plane], n_frames: int, shape_yx: tuple[int, int]) -> None:
        self._read, self._n_frames = read, n_frames
        self.shape_yx = shape_yx

    def __len__(self) -> int:
        return self._n_frames

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows and columns."""
        return (self._n_frames, *self.shape_yx)

    def __getitem__(self, frame: int) -> Plane:
        number = int(frame)
        if not -self._n_frames <= number < self._n_frames:
            raise IndexError(f"expected a frame below {self._n_frames}, got {number}")
        return self._read(number % self._n_frames)

    def __iter__(self) -> Iterator[Plane]:
        return (self[frame] for frame in range(self._n_frames))
