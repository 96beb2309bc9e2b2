"""Show: pictures and films of the view, or of the movie without OpenGL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from migradetect.errors import CancelledError, MigradetectError
from migradetect_napari import _compat as compat
from migradetect_napari import _convert as convert
from migradetect_napari._scene import scene_of
from migradetect_napari._worker import Task

if TYPE_CHECKING:
    import napari

__all__ = ["ExportWidget"]

_VIEW, _PLAIN = "this view, as it looks", "whole field, drawn anew"
_FILMS = "Films (*.mp4 *.gif *.tif)"


class ExportWidget(QWidget):
    """Panel that saves pictures and films."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.what = QComboBox()
        self.what.addItems([_VIEW, _PLAIN])
        self.what.setToolTip(
            "The view shows the layers, zoom and colours as on the screen. The whole field is drawn "
            "with outlines and rings, and needs no OpenGL."
        )
        self.first, self.last = QSpinBox(), QSpinBox()
        self.rate = QDoubleSpinBox()
        self.rate.setRange(0.5, 60)
        self.rate.setValue(10)
        self.bar_box, self.time_box = QCheckBox("scale bar"), QCheckBox("time")
        for box in (self.bar_box, self.time_box):
            box.setChecked(True)
        self.picture_button = QPushButton("Save picture...")
        self.picture_button.clicked.connect(self._on_picture)
        self.film_button = QPushButton("Save film...")
        self.film_button.clicked.connect(self._on_film)
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.message = QLabel("")
        self.message.setWordWrap(True)
        self.task: Task | None = None
        self._is_cancelled = False
        self._lay_out()
        napari_viewer.dims.events.range.connect(self._on_range)
        self._on_range()

    def _lay_out(self) -> None:
        frames, marks, buttons = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for part in (self.first, QLabel("to"), self.last):
            frames.addWidget(part)
        for part in (self.bar_box, self.time_box):
            marks.addWidget(part)
        for part in (self.picture_button, self.film_button):
            buttons.addWidget(part)
        form = QFormLayout()
        form.addRow("what", self.what)
        form.addRow("frames", frames)
        form.addRow("frames per second", self.rate)
        form.addRow("with", marks)
        layout = QVBoxLayout()
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.message)
        layout.addStretch()
        self.setLayout(layout)

    def _on_range(self, event: Any = None) -> None:
        steps = self.viewer.dims.nsteps[0] if self.viewer.dims.ndim == 3 else 1
        for box in (self.first, self.last):
            box.setRange(0, max(0, int(steps) - 1))
        self.last.setValue(max(0, int(steps) - 1))

    # pictures

    def _on_picture(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save picture", "view.png", "PNG (*.png)")
        if path:
            self.save_picture(path)

    def save_picture(self, path: str | Path) -> None:
        """Save what the canvas shows as PNG, with scale bar and time where they are chosen."""
        from migradetect.io import write_picture

        with _marks(self.viewer, self.bar_box.isChecked(), self.time_box.isChecked()):
            picture = compat.canvas_picture(self.viewer)
        try:
            write_picture(path, picture[..., :3])
        except MigradetectError as error:
            self.message.setText(str(error))
            return
        self.message.setText(f"saved: {path}")

    # films

    def _on_film(self) -> None:
        if self.task is not None and self.task.is_running():
            self.task.cancel()
            return
        if self.progress.isVisible():
            self._is_cancelled = True
            return
        path, _ = QFileDialog.getSaveFileName(self, "Save film", "movie.mp4", _FILMS)
        if path:
            self.save_film(path)

    def save_film(self, path: str | Path) -> None:
        """Save a film of the frames that are chosen."""
        frames = range(self.first.value(), self.last.value() + 1)
        self.progress.setVisible(True)
        self.progress.setRange(0, max(1, len(frames)))
        self.film_button.setText("Cancel")
        if self.what.currentText() == _VIEW:
            self._film_of_view(path, frames)
        else:
            self._film_of_field(path, frames)

    def _done(self, text: str) -> None:
        self.progress.setVisible(False)
        self.film_button.setText("Save film...")
        self.message.setText(text)

    def _on_frame(self, done: int) -> None:
        # a method of this panel, which Qt no longer calls once the panel is gone
        self.progress.setValue(done)

    def _on_saved(self, path: Path) -> None:
        self._done(f"saved: {path}")

    def _film_of_view(self, path: str | Path, frames: range) -> None:
        from migradetect.io import write_film

        self._is_cancelled = False
        step = self.viewer.dims.current_step
        with _marks(self.viewer, self.bar_box.isChecked(), self.time_box.isChecked()):
            try:
                # what the window still has to lay out would change the size
                QApplication.processEvents()
                first = compat.canvas_picture(self.viewer)
                height, width = (side // 2 * 2 for side in first.shape[:2])
                write_film(path, self._pictures(frames, height, width), len(frames), (height, width), self.rate.value())
                text = f"saved: {path}"
            except MigradetectError as error:
                text = str(error)
            finally:
                self.viewer.dims.current_step = step
        self._done(text)

    def _pictures(self, frames: range, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
        for done, frame in enumerate(frames):
            # OpenGL draws in the thread of the window: between frames the window may react, to Cancel too
            QApplication.processEvents()
            if self._is_cancelled:
                raise CancelledError("stopped; no film was saved")
            self.viewer.dims.set_current_step(0, frame)
            yield _fitted(compat.canvas_picture(self.viewer)[..., :3], height, width)
            self.progress.setValue(done + 1)

    def _film_of_field(self, path: str | Path, frames: range) -> None:
        from migradetect.film import export_film

        marks = [layer.metadata.get(convert.KEY) or {} for layer in self.viewer.layers]
        movie = next((mark["movie"] for mark in marks if mark.get("movie") is not None), None)
        if movie is None:
            self._done("Open a movie first.")
            return
        scene = scene_of(self.viewer)
        tables = None if scene is None else scene.session.tables
        labels = None if scene is None else scene.session.labels
        rate, bar, time = self.rate.value(), self.bar_box.isChecked(), self.time_box.isChecked()

        def work(task: Task) -> Path:
            return export_film(
                movie,
                path,
                tables=tables,
                labels=labels,
                frames=frames,
                frames_per_s=rate,
                show_scale_bar=bar,
                show_time=time,
                progress=lambda done, total: task.tell(done),
                cancel=task.is_cancelled,
            )

        self.task = Task(work)
        self.task.progress.connect(self._on_frame)
        self.task.done.connect(self._on_saved)
        self.task.failed.connect(self._done)
        self.task.start()

    def closeEvent(self, event: Any) -> None:
        """End what runs before the panel goes."""
        self._is_cancelled = True
        if self.task is not None:
            self.task.cancel()
            self.task.wait(30)
        super().closeEvent(event)


def _fitted(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The picture, cut or with a black margin where the window was resized meanwhile."""
    out = np.zeros((height, width, 3), np.uint8)
    part = picture[:height, :width]
    out[: part.shape[0], : part.shape[1]] = part
    return out


def _marks(viewer: napari.Viewer, scale_bar: bool, time: bool) -> Any:
    return compat.overlays_shown(viewer, scale_bar, time)
