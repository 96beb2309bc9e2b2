"""Run the whole movie, as ``migradetect run`` does, with progress and cancel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QProgressBar, QPushButton, QVBoxLayout, QWidget

from migradetect_napari._worker import Task, run_movies

if TYPE_CHECKING:
    from migradetect.params import Params

__all__ = ["RunBox"]


class RunBox(QWidget):
    """Output folder, Run and Cancel, progress."""

    finished = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.out = QLineEdit()
        self.out.setPlaceholderText("output folder")
        self.out.setToolTip("Folder for the results. What is complete there already is kept.")
        browse = QPushButton("...")
        browse.setToolTip("Choose the output folder")
        browse.clicked.connect(self._browse)
        self.button = QPushButton("Run whole movie")
        self.button.clicked.connect(self._on_button)
        self.bar = QProgressBar()
        self.bar.setVisible(False)
        self.status = QLabel("")
        self.status.setWordWrap(True)
        #: What is run: entries, parameters and the command line that does the same.
        self.job: Any = None
        self.task: Task | None = None
        row = QHBoxLayout()
        for part in (self.out, browse, self.button):
            row.addWidget(part)
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        self.setLayout(layout)

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Output folder", self.out.text())
        if folder:
            self.out.setText(folder)

    def _on_button(self) -> None:
        if self.task is not None and self.task.is_running():
            self.task.cancel()
            self.status.setText("stopping ...")
            return
        if self.job is None:
            self.status.setText("Open a movie first.")
            return
        entries, params, command = self.job()
        if entries:
            self.start(entries, params, command)

    def start(self, entries: Any, params: Params, command: str) -> None:
        """Run movies; results are written as on the command line."""
        out = Path(self.out.text().strip() or "results").expanduser()

        self.task = Task(lambda task: run_movies(entries, out, params, task, command))
        self.task.progress.connect(self._on_event)
        self.task.done.connect(self._on_done)
        self.task.failed.connect(self.status.setText)
        self.task.ended.connect(self._on_end)
        self.button.setText("Cancel")
        self.bar.setVisible(True)
        self.bar.setRange(0, 0)
        self.status.setText("starting ...")
        self.task.start()

    def _on_event(self, event: Any) -> None:
        if event.kind == "step":
            self.bar.setRange(0, max(event.total, 1))
            self.bar.setValue(event.done)
            self.status.setText(f"{event.movie_id}: {event.stage} {event.done} of {event.total}")

    def _on_done(self, summary: Any) -> None:
        failed = [outcome for outcome in summary.outcomes if outcome.status == "failed"]
        if failed:
            self.status.setText(f"failed: {failed[0].error}")
            return
        row = summary.outcomes[0].row
        kept = " (kept from an earlier run)" if summary.outcomes[0].resumed else ""
        self.status.setText(
            f"{row.get('n_migrasomes')} migrasomes, {row.get('n_cells')} cells{kept}. Results: {summary.out}"
        )
        self.finished.emit(summary)

    def _on_end(self) -> None:
        self.bar.setVisible(False)
        self.button.setText("Run whole movie")
        if self.task is not None and self.task.is_cancelled():
            self.status.setText("Stopped; running again continues.")

    def close_down(self) -> None:
        """End what runs; the panel is going."""
        if self.task is not None and self.task.is_running():
            self.task.cancel()
            self.task.wait(30)
