"""A movie: lazy frames with named channels and a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import AxesError

__all__ = ["ArraySource", "Channel", "FrameSource", "Movie"]

#: Roles that detection understands. Any other role is measured, never used to detect.
DETECTION_ROLES = ("tspan4", "wga")


class FrameSource(Protocol):
    """Whatever can hand out one plane at a time.

    A source may also have ``read_rows(frame, channel, start, stop)``, some rows of a plane, where that is quicker than
    reading it whole; it may then be called from several threads.
    """

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel, shape (Y, X), after the z projection, in camera units."""


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Planes of an array in memory.

    Parameters
    ----------
    data : ndarray, shape (T, C, Y, X)
        Camera counts.
    """

    data: NDArray[Any]

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane of one frame and channel, shape (Y, X)."""
        return np.asarray(self.data[frame, channel])

    def read_rows(self, frame: int, channel: int, start: int, stop: int) -> NDArray[Any]:
        """Some rows of a plane, shape (stop - start, X)."""
        return np.asarray(self.data[frame, channel, start:stop])


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a movie.

    Parameters
    ----------
    name : str
        Name in the file, or given by the user.
    role : str
        ``"tspan4"``, ``"wga"``, or any other name: such a channel is measured but not used for detection.
    """

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Movie:
    """One field of view over time.

    Parameters
    ----------
    movie_id : str
        Unique name within a batch.
    n_frames, height, width : int
        Number of frames T, rows Y and columns X.
    dtype : str
        Data type of a plane as recorded: uint8, uint16 or float32.
    channels : tuple of Channel
        In the order of the source's channel axis; roles are unique.
    calibration : Calibration
        Pixel size and frame interval.
    source : FrameSource
        Hands out planes; it must be picklable if the movie is sent to a worker process.
    provenance : dict
        Whatever is known about the origin (path, axes as recorded, projection), for ``movie.json``.
    """

    movie_id: str
    n_frames: int
    height: int
    width: int
    dtype: str
    channels: tuple[Channel, ...]
    calibration: Calibration
    source: FrameSource
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        roles = self.roles
        if len(set(roles)) != len(roles):
            raise AxesError(
                f"{self.movie_id}: expected one channel per role, got {', '.join(roles)}; "
                "name them with --channels, for example --channels tspan4,wga"
            )
        if not any(role in DETECTION_ROLES for role in roles):
            raise AxesError(
                f"{self.movie_id}: expected a channel with the role tspan4 or wga, got {', '.join(roles)}; "
                "name them with --channels, for example --channels tspan4,wga"
            )
        if self.n_frames > 1 and self.calibration.frame_interval_s is None:
            raise AxesError(
                f"{self.movie_id}: expected a frame interval for {self.n_frames} frames, got none; "
                "give it with --frame-interval-s"
            )

    @classmethod
    def from_array(
        cls,
        data: NDArray[Any],
        calibration: Calibration,
        roles: Sequence[str],
        movie_id: str = "movie",
    ) -> Movie:
        """Movie of an array in memory.

        Parameters
        ----------
        data : ndarray, shape (T, C, Y, X) or (C, Y, X)
            Camera counts; a missing T axis is a single frame.
        calibration : Calibration
            Pixel size and frame interval.
        roles : sequence of str, length C
            Role of each channel.
        movie_id : str
            Name of the movie.

        Returns
        -------
        Movie
        """
        if data.ndim == 3:
            data = data[np.newaxis]
        if data.ndim != 4 or data.shape[1] != len(roles):
            raise AxesError(
                f"{movie_id}: expected an array of shape (T, {len(roles)}, Y, X) for the roles {', '.join(roles)}, "
                f"got shape {data.shape}; move the axes or name every channel"
            )
        return cls(
            movie_id=movie_id,
            n_frames=data.shape[0],
            height=data.shape[2],
            width=data.shape[3],
            dtype=str(data.dtype),
            channels=tuple(Channel(role, role) for role in roles),
            calibration=calibration,
            source=ArraySource(data),
        )

    @property
    def roles(self) -> tuple[str, ...]:
        """Role of each channel, in the order of the channel axis."""
        return tuple(channel.role for channel in self.channels)

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.height, self.width

    def frame(self, index: int, role: str) -> NDArray[np.float32]:
        """One plane as a new float32 array, shape (Y, X), in camera units.

        Parameters
        ----------
        index : int
            Frame, 0 to T - 1.
        role : str
            Role of the channel.
        """
        plane = self.source.read(index, self.roles.index(role))
        if plane.shape != self.shape_yx:
            raise AxesError(
                f"{self.movie_id}: expected planes of {self.shape_yx}, got {plane.shape} in frame {index} ({role}); "
                "the file changed or its frames differ in size"
            )
        return np.array(plane, dtype=np.float32, copy=True)

    def frame_stack(self, index: int) -> dict[str, NDArray[np.float32]]:
        """All channels of one frame, role -> array of shape (Y, X)."""
        return {role: self.frame(index, role) for role in self.roles}
