"""Painting on the outlines of cells: each stroke is one correction, made while the window lives; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import MigradetectError

if TYPE_CHECKING:
    from migradetect_napari._scene import Scene

__all__ = ["Background", "Strokes", "at_once"]

#: Does work, then hands what it gave, or the line that says what went wrong, to what follows.
Background = Callable[[Callable[[], Any], Callable[[Any, "str | None"], None]], None]
#: Calls something once what goes on now has ended.
Later = Callable[[Callable[[], None]], None]


def at_once(work: Callable[[], Any], finish: Callable[[Any, str | None], None]) -> None:
    """Work now, where there is no window that it could hold up."""
    try:
        result = work()
    except MigradetectError as error:
        finish(None, str(error))
    else:
        finish(result, None)


class Strokes:
    """What is painted on the outlines of cells becomes corrections.

    A stroke stays on the screen as it was painted while its correction is computed and written; the next stroke may
    begin meanwhile, and becomes a correction of its own after it.

    Parameters
    ----------
    scene : Scene
        Movie under review.
    warn : callable
        Takes a line that the user should see.
    """

    def __init__(self, scene: Scene, warn: Callable[[str], None]) -> None:
        self._scene, self._warn = scene, warn
        self._is_stroke = self._is_taking = False
        #: Where corrections are made; a window sets one that works in another thread.
        self.background: Background = at_once
        #: When what was written outside of strokes is taken; a window lets napari write all of it first.
        self.later: Later = lambda take: take()
        self._is_due = False

    @property
    def is_busy(self) -> bool:
        """Whether a stroke is on its way into the log."""
        return self._is_taking

    def watch(self, layer: Any) -> None:
        """Take what is painted on a layer of outlines."""
        # first, so that it is known of a stroke before anything is painted
        layer.mouse_drag_callbacks.insert(0, self.on_stroke)
        layer.data.on_write = self._on_write

    def on_stroke(self, layer: Any, event: Any) -> Iterator[None]:
        """A stroke of the brush is one correction, however often the mouse moves."""
        self._is_stroke = True
        yield
        while event.type == "mouse_move":
            yield
        self._is_stroke = False
        self.take()

    def _on_write(self) -> None:
        # outside of strokes: fill, polygon, and napari's own undo of paint, which writes for each move of the mouse
        if not self._is_stroke and not self._is_due:
            self._is_due = True
            self.later(self._take_due)

    def _take_due(self) -> None:
        self._is_due = False
        if not self._scene.is_closed and not self._is_stroke:
            self.take()

    def take(self) -> None:
        """Make a correction of what was painted, one frame at a time."""
        layer = self._scene.layer("cells")
        if layer is None or self._is_taking or not layer.data.painted:
            return
        frame = min(layer.data.painted)
        before, after, n_writes = layer.data.snapshot(frame)
        self._is_taking = True
        self.background(partial(self._make, frame, before, after), partial(self._finish, layer, frame, after, n_writes))

    def _make(self, frame: int, before: NDArray[Any], after: NDArray[Any]) -> tuple[Any, bool]:
        """The correction, and whether the frame looks as it was painted; in whatever thread."""
        from migradetect.review.edits import PaintCells

        edit = PaintCells.between(frame, before, after)
        if edit is None:
            return None, True
        change = self._scene.compute(edit)
        return change, np.array_equal(self._scene.session.labels["cells"][frame], after)

    def _finish(self, layer: Any, frame: int, after: NDArray[Any], n_writes: int, made: Any, error: str | None) -> None:
        self._is_taking = False
        if self._scene.is_closed:
            # it is in the log, or lost with its error; the layers are those of another movie
            if error is not None:
                self._warn(error)
            return
        change, is_same = (None, False) if error is not None else made
        if error is None and layer.data.n_writes(frame) != n_writes:
            # painted on meanwhile: the next correction is what differs from this one
            layer.data.rebase(frame, after)
            is_same = True
        elif is_same:
            layer.data.settle(frame, after)
        else:
            # what was not taken must not look as if it were
            layer.data.forget([frame])
            layer.refresh()
        if change is not None:
            self._scene.show(change, is_drawn=is_same)
        if error is not None:
            self._warn(error)
        if not self._is_stroke:
            self.take()
