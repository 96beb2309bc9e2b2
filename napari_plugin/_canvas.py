"""A matplotlib figure in a panel."""

from __future__ import annotations

import qtpy.QtCore  # noqa: F401 (first: matplotlib takes the binding that is there)
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

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
