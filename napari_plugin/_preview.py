"""Live preview: what the parameters find in the frame that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from migradetect_napari import _compat as compat
from migradetect_napari import _convert as convert
from migradetect_napari._canvas import Canvas
from migradetect_napari._colours import PALETTE
from migradetect_napari._figures import draw_threshold
from migradetect_napari._worker import Task

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from migradetect.movie import Movie
    from migradetect.params import Params
    from migradetect.pipeline import FramePreview

__all__ = ["PreviewBox"]

#: A pause in turning a knob, ms: the preview starts after it.
_PAUSE_MS = 200
_THRESHOLDS = np.linspace(0, 1, 201)
_ROLES = ("preview_cells", "preview_fibers", "preview_spots")


class PreviewBox(QWidget):
    """Switch, counts, and the curve of counts against the threshold."""

    shown = Signal(object)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.movie: Movie | None = None
        self._previewer: Any = None
        self._params: Params | None = None
        self._task: Task | None = None
        self._is_stale = False
        self.live = QCheckBox("Live preview of the frame that is shown")
        self.live.toggled.connect(self.request)
        self.counts = QLabel("Open a movie, then switch on the live preview.")
        self.counts.setWordWrap(True)
        self.counts.setMaximumHeight(36)
        self.canvas = Canvas(165)
        self.three = QPushButton("Count first, middle and last frame")
        self.three.clicked.connect(self.count_three)
        self.three_counts = QLabel("")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._start)
        row = QHBoxLayout()
        row.addWidget(self.three)
        row.addWidget(self.three_counts, 1)
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.live, self.counts, self.canvas):
            layout.addWidget(part)
        layout.addLayout(row)
        self.setLayout(layout)
        viewer.dims.events.current_step.connect(self._on_step)

    def set_movie(self, movie: Movie | None) -> None:
        """Preview another movie."""
        from migradetect.pipeline import Previewer

        self._stop()
        self._remove_layers()
        self.movie = movie
        self._previewer = None if movie is None else Previewer(movie)
        self.three_counts.setText("")
        self.request()

    def set_params(self, params: Params) -> None:
        """Preview other parameters."""
        self._params = params
        self.request()

    @property
    def frame(self) -> int:
        """Frame that is shown."""
        if self.movie is None or self.viewer.dims.ndim < 3:
            return 0
        interval = self.movie.calibration.frame_interval_min
        step = self.viewer.dims.point[0] / (interval if np.isfinite(interval) else 1.0)
        return int(np.clip(round(step), 0, self.movie.n_frames - 1))

    def _on_step(self, event: Any = None) -> None:
        self.request()

    def request(self, *_: Any) -> None:
        """Preview soon."""
        if not self.live.isChecked():
            self._remove_layers()
            return
        if self.movie is not None and self._params is not None:
            self._timer.start()

    def _start(self) -> None:
        if self._task is not None and self._task.is_running():
            # it ends at its next step, and this request follows it
            self._is_stale = True
            self._task.cancel()
            return
        self._is_stale = False
        previewer, params, frame = self._previewer, self._params, self.frame

        def work(task: Task) -> None:
            for found in previewer.steps(params, frame):
                if task.is_cancelled():
                    return
                task.tell(found)

        self._task = Task(work)
        self._task.progress.connect(self.show_found)
        self._task.failed.connect(self.counts.setText)
        self._task.ended.connect(self._again)
        self._task.start()

    def _again(self) -> None:
        if self._is_stale:
            self._timer.start()

    def show_found(self, found: FramePreview) -> None:
        """Show a preview in the viewer, the counts and the curve."""
        if self.movie is None or not self.live.isChecked():
            return
        self._show_layers(found)
        numbers = found.counts
        text = (
            f"Frame {found.frame}: {numbers['cells']} cells, {numbers['fibers']} fibers, "
            f"{numbers['candidates']} migrasome candidates"
        )
        self.counts.setText(text + ("" if found.is_final else " ... (first sight)"))
        if found.is_final and self._params is not None:
            current = self._params.judge.min_score
            draw_threshold(
                self.canvas.figure, _THRESHOLDS, found.counts_at(_THRESHOLDS), current, numbers["candidates"]
            )
            self.canvas.draw_idle()
            self.shown.emit(found)

    def _show_layers(self, found: FramePreview) -> None:
        assert self.movie is not None
        mark = {"movie_id": self.movie.movie_id, "preview": True}
        for data, options, kind in convert.preview_layers(found, self.movie.n_frames, self.movie.calibration, mark):
            role = options["metadata"][convert.KEY]["role"]
            layer = next((one for one in self.viewer.layers if convert.role_of(one) == role), None)
            if layer is None:
                active = self.viewer.layers.selection.active
                if kind == "labels":
                    # napari's own colours have some that are too dark for thin lines on a dark image
                    options = options | {"colormap": compat.label_colours(PALETTE)}
                layer = getattr(self.viewer, f"add_{kind}")(data, **options)
                if role == "preview_cells":
                    layer.contour = 2
                self.viewer.layers.selection.active = active
            elif kind == "points":
                compat.replace_points(layer, data, options)
            else:
                layer.data = data

    def _remove_layers(self) -> None:
        for layer in [one for one in self.viewer.layers if convert.role_of(one) in _ROLES]:
            self.viewer.layers.remove(layer)

    def count_three(self) -> None:
        """Count on the first, the middle and the last frame."""
        movie, params = self.movie, self._params
        if movie is None or params is None:
            return
        self.three.setEnabled(False)
        self.three_counts.setText("counting ...")

        def work(task: Task) -> list[str]:
            from migradetect.pipeline import Previewer

            # of its own, so that it does not disturb the live one
            previewer = Previewer(movie)
            lines = []
            for frame in sorted({0, (movie.n_frames - 1) // 2, movie.n_frames - 1}):
                if task.is_cancelled():
                    break
                lines.append(f"{frame}: {previewer.final(params, frame).counts['candidates']}")
            return lines

        task = Task(work)
        task.done.connect(self._on_counted)
        task.failed.connect(self.three_counts.setText)
        task.ended.connect(self._on_counting_ended)
        self._counting = task.start()

    def _on_counted(self, lines: list[str]) -> None:
        self.three_counts.setText("frame " + ",  ".join(lines))

    def _on_counting_ended(self) -> None:
        self.three.setEnabled(True)

    def _stop(self) -> None:
        self._timer.stop()
        if self._task is not None:
            self._task.cancel()
            self._is_stale = False

    def close_down(self) -> None:
        """End what runs; the panel is going."""
        self._stop()
        self.viewer.dims.events.current_step.disconnect(self._on_step)
        for task in (self._task, getattr(self, "_counting", None)):
            if task is not None:
                task.cancel()
                task.wait(30)
