"""Plots of what is selected: growth, counts per cell, history of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QWidget

from migradetect_napari._canvas import Canvas
from migradetect_napari._figures import draw_counts, draw_growth, draw_hint, draw_site
from migradetect_napari._scene import Scene, scene_of

if TYPE_CHECKING:
    import napari

__all__ = ["PlotsWidget"]

_NA = pd.NA
#: Several changes at a time redraw once, ms.
_PAUSE_MS = 80


class PlotsWidget(QWidget):
    """Three plots side by side; a click on the time axis goes to that frame."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self._scene: Scene | None = None
        self.canvases = (Canvas(170), Canvas(170), Canvas(170))
        layout = QHBoxLayout()
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(4)
        for canvas in self.canvases:
            layout.addWidget(canvas, 1)
            canvas.mpl_connect("button_press_event", self._on_press)
        self.setLayout(layout)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self.draw)
        napari_viewer.dims.events.current_step.connect(self._on_step)
        napari_viewer.layers.events.inserted.connect(self._soon)
        napari_viewer.layers.events.removed.connect(self._soon)
        self._soon()

    def _soon(self, *_: Any) -> None:
        self._timer.start()

    def draw(self) -> None:
        """Draw for what is selected now."""
        scene = scene_of(self.viewer)
        if scene is not self._scene:
            self._scene = scene
            if scene is not None:
                scene.selected.connect(self._soon)
                scene.changed.connect(self._soon)
        growth, counts, site = self.canvases
        if scene is None:
            for canvas in self.canvases:
                draw_hint(canvas.figure, "Open results to see plots.")
        else:
            tables = scene.session.tables
            chosen = scene.selection
            number = chosen.id if chosen is not None and chosen.kind == "migrasome" else None
            track = tables["tracks"].set_index("migrasome_id")
            cell = track["cell_id"].get(number) if number is not None else None
            draw_growth(growth.figure, tables, number)
            draw_counts(counts.figure, tables, None if cell is None or cell is _NA else int(cell))
            draw_site(site.figure, tables, number)
            if chosen is not None and chosen.kind == "candidate":
                row = tables["candidates"].set_index("candidate_id").loc[chosen.id]
                why: str = "" if pd.isna(row["reason"]) else f": {row['reason']}"
                draw_hint(
                    growth.figure, f"candidate {chosen.id}{why}\n(score {row['score']:.2f}); K makes it a migrasome"
                )
        for canvas in self.canvases:
            canvas.draw_idle()
        self._on_step()

    def _on_step(self, *_: Any) -> None:
        scene = scene_of(self.viewer)
        for canvas in self.canvases:
            canvas.set_now(None if scene is None else scene.now_min)

    def _on_press(self, event: Any) -> None:
        scene = scene_of(self.viewer)
        if scene is not None and event.xdata is not None:
            scene.go_to_minute(float(event.xdata))

    def closeEvent(self, event: Any) -> None:
        """Let go of the viewer."""
        self._timer.stop()
        self.viewer.dims.events.current_step.disconnect(self._on_step)
        super().closeEvent(event)
