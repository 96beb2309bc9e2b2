"""Parts of a recording that were decoded once, kept for the next correction nearby."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.frame_quality import RUN_PX, fill_plane, find_margins, may_have_margin
from migradetect.movie import DETECTION_ROLES, Movie

__all__ = ["WindowCache"]

#: Bytes that are kept in all.
_MOST_BYTES = 384 * 2**20
#: So many places, each in all frames, share them.
_PLACES = 2
#: In place of the number of a channel, for what was not recorded.
_MARGIN = -1

_Box = tuple[slice, slice]


class WindowCache:
    """Reads parts of planes; several threads may ask.

    A compressed plane in one piece must be decoded whole for a few of its pixels. So more of it than was asked for is
    kept: as much around the place as there is room for in all frames. A second correction there is as quick as on an
    uncompressed movie. Planes whose rows can be read by themselves are read again each time.

    Parameters
    ----------
    movie : Movie
        Recording.
    most_bytes : int
        Room in memory.
    """

    def __init__(self, movie: Movie, most_bytes: int = _MOST_BYTES) -> None:
        self._movie, self._most = movie, most_bytes
        self._lock = threading.Lock()
        # frame and channel, box and pixels, by a running number; and those of each frame and channel
        self._kept: OrderedDict[int, tuple[tuple[int, int], _Box, NDArray[np.generic]]] = OrderedDict()
        self._of: dict[tuple[int, int], list[int]] = {}
        self._bytes = 0
        self._serial = 0
        self._by_rows: bool | None = None
        self._margins: dict[tuple[int, int], bool] = {}
        itemsize = 4 if movie.dtype.startswith("float") else np.dtype(movie.dtype).itemsize
        share = most_bytes / _PLACES / (movie.n_frames * len(movie.roles) * itemsize)
        #: Edge of what is kept around a place, px.
        self.side_px = math.isqrt(int(share))

    def read(self, frame: int, channel: int, rows: slice, columns: slice) -> NDArray[np.generic]:
        """A part of a plane as the passes saw it, shape as asked for.

        Raises
        ------
        ReadError
            If the plane can't be read.
        """
        if self._is_by_rows(frame, channel) and not self._may_have_margin(frame, channel):
            source: Any = self._movie.source
            return np.asarray(source.read_rows(frame, channel, rows.start, rows.stop)[:, columns])
        return self._part(
            frame, channel, (rows, columns), lambda: fill_plane(np.asarray(self._movie.source.read(frame, channel)))
        )

    def margin(self, frame: int, rows: slice, columns: slice) -> NDArray[np.generic]:
        """Which pixels of a part of a frame were not recorded, shape as asked for.

        Raises
        ------
        ReadError
            If a plane can't be read.
        """

        def find() -> NDArray[np.generic]:
            source, roles = self._movie.source, self._movie.roles
            searched = [channel for channel, role in enumerate(roles) if role in DETECTION_ROLES]
            margin = find_margins(np.asarray(source.read(frame, channel)) for channel in searched)
            return np.zeros(self._movie.shape_yx, np.bool_) if margin is None else margin

        return self._part(frame, _MARGIN, (rows, columns), find)

    def _part(
        self, frame: int, channel: int, asked: _Box, read: Callable[[], NDArray[np.generic]]
    ) -> NDArray[np.generic]:
        """A part of a plane from what is kept; else the plane is read, and what is around the part kept."""
        with self._lock:
            for serial in self._of.get((frame, channel), ()):
                box, part = self._kept[serial][1:]
                if _holds(box, asked):
                    self._kept.move_to_end(serial)
                    return part[_inside(asked[0], box[0]), _inside(asked[1], box[1])]
        box = self._around(*asked)
        part = np.array(read()[box])
        self._keep(frame, channel, box, part)
        return part[_inside(asked[0], box[0]), _inside(asked[1], box[1])]

    def _is_by_rows(self, frame: int, channel: int) -> bool:
        """Whether rows can be read by themselves; asked of one plane, because those of a movie are stored alike."""
        if self._by_rows is None:
            source: Any = self._movie.source
            # holes are filled from their surroundings, which may be any part of a plane
            self._by_rows = hasattr(source, "read_rows") and not self._movie.dtype.startswith("float")
            if self._by_rows and hasattr(source, "has_rows"):
                self._by_rows = bool(source.has_rows(frame, channel))
        return self._by_rows

    def _may_have_margin(self, frame: int, channel: int) -> bool:
        """Whether a plane whose rows can be read may have a margin, which is filled from its surroundings as well."""
        key = frame, channel
        if key not in self._margins:
            source: Any = self._movie.source
            height = self._movie.height
            n = min(height // 2, RUN_PX)
            ends = [np.asarray(source.read_rows(*key, start, start + n)) for start in (0, height - n)]
            self._margins[key] = may_have_margin(np.concatenate(ends))
        return self._margins[key]

    def _around(self, rows: slice, columns: slice) -> _Box:
        """What is kept around a part: as much as there is room for, and the part at least."""
        height, width = self._movie.shape_yx
        return _wider(rows, self.side_px, height), _wider(columns, self.side_px, width)

    def _keep(self, frame: int, channel: int, box: _Box, part: NDArray[np.generic]) -> None:
        with self._lock:
            self._serial += 1
            self._kept[self._serial] = (frame, channel), box, part
            self._of.setdefault((frame, channel), []).append(self._serial)
            self._bytes += part.nbytes
            while self._bytes > self._most and self._kept:
                serial, (plane, _, gone) = self._kept.popitem(last=False)
                self._of[plane].remove(serial)
                self._bytes -= gone.nbytes


def _holds(box: _Box, part: _Box) -> bool:
    return all(a.start <= b.start and b.stop <= a.stop for a, b in zip(box, part, strict=True))


def _inside(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _wider(part: slice, size: int, end: int) -> slice:
    """A range of `size` around a smaller one, moved so that it lies in 0 to `end`."""
    size = min(max(size, part.stop - part.start), end)
    start = min(max(0, (part.start + part.stop - size) // 2), end - size)
    return slice(start, start + size)
