"""A matplotlib figure in a panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import qtpy.QtCore  # noqa: F401 (first: matplotlib takes the binding that is there)
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import QSize

__all__ = ["Canvas"]


class Canvas(FigureCanvasQTAgg):
    """Figure with a line at the time that is shown, which moves without drawing the rest again.

    Parameters
    ----------
    height : int
        Least height, px.
    """

    def __init__(self, height: int = 200) -> None:
        super().__init__(Figure(layout="constrained"))
        self.setMinimumHeight(height)
        self.setMinimumWidth(240)
        self._now: float | None = None
        self._still: Any = None
        self.mpl_connect("draw_event", self._on_draw)

    def sizeHint(self) -> QSize:
        """Small, so that the image keeps most of the window."""
        return QSize(320, self.minimumHeight())

    def set_now(self, minute: float | None) -> None:
        """Move the line; None or NaN hides it."""
        self._now = minute
        if self._still is not None and self.isVisible():
            self.restore_region(self._still)
            self._draw_line()
            # not blit(), which paints the window at once: three times for each step, and while napari, which is in the
            # midst of removing layers, can't paint its list of them
            self.update()

    def _on_draw(self, event: Any) -> None:
        self._still = self.copy_from_bbox(self.figure.bbox)
        self._draw_line()

    def _draw_line(self) -> None:
        if self._now is None or not np.isfinite(self._now) or not self.figure.axes:
            return
        axes = self.figure.axes[0]
        low, high = axes.get_xlim()
        if axes.get_xlabel().startswith("time") and low <= self._now <= high:
            line = axes.axvline(self._now, color="#F0F1F2", lw=0.9, alpha=0.7, animated=True)
            axes.draw_artist(line)
            line.remove()
