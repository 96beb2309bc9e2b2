"""A matplotlib figure in a panel."""

from __future__ import annotations

import qtpy.QtCore  # noqa: F401 (first: matplotlib takes the binding that is there)
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import QSize

__all__ = ["Canvas"]


class Canvas(FigureCanvasQTAgg):
    """Figure that is drawn when it is seen.

    Parameters
    ----------
    height : int
        Least height, px.
    """

    def __init__(self, height: int = 200) -> None:
        super().__init__(Figure(layout="constrained"))
        self.setMinimumHeight(height)
        self.setMinimumWidth(240)

    def sizeHint(self) -> QSize:
        """Small, so that the image keeps most of the window."""
        return QSize(320, self.minimumHeight())
