"""Label planes of cells and fibers with the corrections on them, kept as long as there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from migradetect.review._base import Base
from migradetect.review._planes import Plane, PlaneChange, Planes
from migradetect.review._runs import Runs
from migradetect.review._state import State
from migradetect.review._watch import Watch, in_threads

__all__ = ["LabelPlanes"]

#: Planes that are kept in memory, bytes: whole ones, and as runs.
_PLANE_BYTES, _RUN_BYTES = 128 * 2**20, 512 * 2**20
#: Name and frame of a plane, and the corrections on it.
_Key = tuple[str, int, tuple[int, ...]]


class LabelPlanes:
    """Reviewed label planes of one movie; several threads may ask.

    Parameters
    ----------
    base : Base
        Automatic results.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._planes: OrderedDict[_Key, Plane] = OrderedDict()
        self._runs: OrderedDict[_Key, Runs] = OrderedDict()
        self._run_bytes = 0

    def plane(self, state: State, name: str, frame: int) -> Plane:
        """Plane of a recorded frame, shape (Y, X); not to be written to."""
        key = _key(state, name, frame)
        with self._lock:
            if key in self._planes:
                self._planes.move_to_end(key)
                return self._planes[key]
        plane = self.runs(state, name, frame).plane()
        plane.flags.writeable = False
        with self._lock:
            self._planes[key] = plane
            while len(self._planes) > 2 and len(self._planes) * plane.nbytes > _PLANE_BYTES:
                self._planes.popitem(last=False)
        return plane

    def runs(self, state: State, name: str, frame: int) -> Runs:
        """The same as runs, which are kept for all frames."""
        key = _key(state, name, frame)
        with self._lock:
            if key in self._runs:
                self._runs.move_to_end(key)
                return self._runs[key]
        runs = self._made(state, name, frame)
        with self._lock:
            if key not in self._runs:
                self._runs[key] = runs
                self._run_bytes += runs.nbytes
            while len(self._runs) > 2 and self._run_bytes > _RUN_BYTES:
                self._run_bytes -= self._runs.popitem(last=False)[1].nbytes
        return runs

    def _made(self, state: State, name: str, frame: int) -> Runs:
        changes = _changes(state, name, frame)
        if changes:
            last = changes[-1]
            before = self.runs(replace(state, plane_changes=_without(state.plane_changes, last)), name, frame)
            if last.renamed is not None and all(last.renamed.values()):
                return before.renamed(last.renamed)
            return Runs.of(last.apply(before.plane(), frame))
        stack = self._base.results.labels.get(name)
        if stack is None or frame >= len(stack):
            return Runs.empty(self._base.shape_yx)
        return Runs.of(stack.compact(frame))

    def load(self, state: State, frames: NDArray[np.int64], watch: Watch) -> None:
        """Read the planes of many recorded frames at once; each frame is a step."""

        def load(frame: int) -> None:
            for name in ("cells", "fibers"):
                self.runs(state, name, frame)

        in_threads(load, [int(frame) for frame in frames], watch)

    def usable(self, state: State, name: str) -> Planes:
        """Planes by usable frame."""
        numbers = self._base.timeline.numbers
        return Planes(lambda k: self.plane(state, name, int(numbers[k])), numbers.size, self._base.shape_yx)


def _changes(state: State, name: str, frame: int) -> list[PlaneChange]:
    return [c for c in state.plane_changes if c.name == name and c.first <= frame <= c.last]


def _key(state: State, name: str, frame: int) -> _Key:
    return name, frame, tuple(c.serial for c in _changes(state, name, frame))


def _without(changes: tuple[PlaneChange, ...], one: PlaneChange) -> tuple[PlaneChange, ...]:
    return tuple(change for change in changes if change is not one)
