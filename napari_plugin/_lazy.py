"""Planes as arrays that read what is looked at, so that a movie opens at once whatever its length."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import MigradetectError

__all__ = ["LabelPlanes", "PlaneStack"]

#: Planes kept in memory: a step back is as quick as a redraw, and 2048 x 2048 in two channels stays below 200 MB.
_KEPT = 12


class PlaneStack:
    """Array of shape (T, Y, X) whose planes are read when they are asked for.

    Parameters
    ----------
    read : callable
        Frame -> plane of shape (Y, X).
    n_frames : int
        Frames T.
    shape_yx : tuple of int
        Rows and columns.
    dtype : dtype
        Type of a plane.
    on_error : callable, optional
        Takes the line that says why a plane could not be read; such a plane is shown empty.
    """

    ndim = 3

    def __init__(
        self,
        read: Callable[[int], NDArray[Any]],
        n_frames: int,
        shape_yx: tuple[int, int],
        dtype: Any,
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        self.shape = (n_frames, *shape_yx)
        self.dtype = np.dtype(dtype)
        self.on_error = on_error
        self._read = read
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._told: set[int] = set()
        # napari may slice in another thread
        self._lock = threading.RLock()

    @property
    def size(self) -> int:
        """Number of pixels in all frames."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes that all frames would take."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def plane(self, frame: int) -> NDArray[Any]:
        """Plane of one frame, shape (Y, X); not to be written into."""
        with self._lock:
            if frame in self._kept:
                self._kept.move_to_end(frame)
                return self._kept[frame]
            plane = self._read_or_empty(frame)
            plane.flags.writeable = False
            self._kept[frame] = plane
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return plane

    def _read_or_empty(self, frame: int) -> NDArray[Any]:
        try:
            # a copy only where the type differs; a view, so that freezing it leaves the reader's array alone
            return np.asarray(self._read(frame)).astype(self.dtype, copy=False).view()
        except MigradetectError as error:
            # one bad frame must not stop the others from being looked at
            if frame not in self._told and self.on_error is not None:
                self._told.add(frame)
                self.on_error(str(error))
            return np.zeros(self.shape[1:], self.dtype)

    def forget(self, frames: Any = None) -> None:
        """Read these frames anew when they are next looked at; all of them if None."""
        with self._lock:
            if frames is None:
                self._kept.clear()
            else:
                for frame in frames:
                    self._kept.pop(int(frame), None)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis:
            first, rest = slice(None), ([Ellipsis, *rest] if rest else [])
        if isinstance(first, (int, np.integer)):
            index = int(first)
            if not -self.shape[0] <= index < self.shape[0]:
                raise IndexError(f"frame {index} of {self.shape[0]}")
            return self.plane(index % self.shape[0])[tuple(rest)] if rest else self.plane(index % self.shape[0])
        if first is None:
            return self[tuple(rest)][np.newaxis]
        frames = np.arange(self.shape[0])[first]
        if frames.ndim == 0:
            return self[(int(frames), *rest)]
        if isinstance(first, slice) and frames.size == 1:
            # what napari asks for at each step: no copy
            return self.plane(int(frames[0]))[tuple(rest)][np.newaxis]
        if isinstance(first, slice) or not rest:
            inner = [self.plane(int(frame))[tuple(rest)] for frame in frames]
            return np.stack(inner) if inner else np.empty((0, *self.plane(0)[tuple(rest)].shape), self.dtype)
        # point-wise indexing, as napari does it to read values below the cursor
        indices = np.broadcast_arrays(
            frames, *[np.arange(n)[part] for n, part in zip(self.shape[1:], rest, strict=True)]
        )
        out = np.empty(indices[0].shape, self.dtype)
        for frame in np.unique(indices[0]):
            here = indices[0] == frame
            out[here] = self.plane(int(frame))[tuple(part[here] for part in indices[1:])]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


class LabelPlanes(PlaneStack):
    """Label planes that can be painted on; what is painted lives here until it is taken as a correction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.painted: dict[int, NDArray[Any]] = {}
        # planes that were painted on, as they were before, and how often that was
        self._before: dict[int, NDArray[Any]] = {}
        self._writes: dict[int, int] = {}
        #: Called after each write.
        self.on_write: Callable[[], None] | None = None

    def plane(self, frame: int) -> NDArray[Any]:
        """Plane of one frame as painted, shape (Y, X)."""
        painted = self.painted.get(frame)
        return super().plane(frame) if painted is None else painted

    def snapshot(self, frame: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Plane of a frame before it was painted on, a copy as painted, and how often it was written to."""
        return self._before[frame], self.painted[frame].copy(), self._writes[frame]

    def n_writes(self, frame: int) -> int:
        """How often a frame was written to since it was last read; 0 where it was not."""
        return self._writes.get(frame, 0)

    def rebase(self, frame: int, plane: NDArray[Any]) -> None:
        """What was painted so far counts as it is; only what comes after it is new."""
        self._before[frame] = plane

    def settle(self, frame: int, plane: NDArray[Any]) -> None:
        """What was painted on a frame is what a reader would give now."""
        self._drop(frame)
        with self._lock:
            plane.flags.writeable = False
            self._kept[frame] = plane

    def reread(self, frames: Any) -> None:
        """Read these frames anew, and keep what was painted on them."""
        super().forget(frames)

    def forget(self, frames: Any = None) -> None:
        """Read these frames anew, without what was painted on them."""
        for frame in list(self.painted) if frames is None else frames:
            self._drop(int(frame))
        super().forget(frames)

    def _drop(self, frame: int) -> None:
        for kept in (self.painted, self._before, self._writes):
            kept.pop(frame, None)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        # napari paints on the slice that it is handed
        return np.array(super().__getitem__(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        first, *rest = key if isinstance(key, tuple) else (key,)
        frames = np.atleast_1d(np.arange(self.shape[0])[first])
        if isinstance(first, slice) or np.ndim(first) == 0:
            for k, frame in enumerate(frames):
                has_time = isinstance(first, slice) and np.ndim(value) == 3
                self._paintable(int(frame))[tuple(rest) or ...] = value[k] if has_time else value
        else:
            for frame in np.unique(frames):
                # point-wise, as strokes of a brush may come
                here = frames == frame
                where = tuple(np.broadcast_to(part, here.shape)[here] for part in rest)
                self._paintable(int(frame))[where] = np.broadcast_to(value, here.shape)[here]
        if self.on_write is not None:
            self.on_write()

    def _paintable(self, frame: int) -> NDArray[Any]:
        if frame not in self.painted:
            self._before[frame] = super().plane(frame)
            self.painted[frame] = np.array(self._before[frame])
        self._writes[frame] = self._writes.get(frame, 0) + 1
        return self.painted[frame]
