"""Tune: parameters, live preview, and a run of the whole movie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from migradetect.errors import MigradetectError
from migradetect.params import Params, load_params, preset_names, to_toml
from migradetect_napari import _convert as convert
from migradetect_napari._command_line import command_line, input_options
from migradetect_napari._form import ParameterForm
from migradetect_napari._open import movie_entries, movie_layers
from migradetect_napari._preview import PreviewBox
from migradetect_napari._run import RunBox

if TYPE_CHECKING:
    import napari

    from migradetect.movie import Movie

__all__ = ["TuneWidget"]


class TuneWidget(QWidget):
    """Panel that finds parameters and runs the movie with them."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.movie: Movie | None = None
        self.form = ParameterForm()
        self.preview = PreviewBox(napari_viewer)
        self.run_box = RunBox()
        self.title = QLabel("No movie. Drop one on the window, or:")
        self.title.setWordWrap(True)
        self.problem = QLabel("")
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet("color: #FF8C69;")
        self.preset = QComboBox()
        self.preset.addItems(preset_names())
        self.preset.setToolTip("Start from: default, sensitive (misses less), strict (fewer false ones), fixed cells.")
        self.preset.currentTextChanged.connect(self._on_preset)
        self._lay_out()
        self.form.changed.connect(self._on_change)
        self.run_box.job = self._job
        self.run_box.finished.connect(self._on_finished)
        napari_viewer.layers.events.inserted.connect(self._find_movie)
        napari_viewer.layers.events.removed.connect(self._find_movie)
        self._find_movie()
        self._on_change()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for text, tip, slot in (
            ("Open...", "Open a movie with the values of the section Input, such as a pixel size", self._open),
            ("Load...", "Load parameters from a TOML file", self._load),
            ("Save...", "Save parameters as a commented TOML file", self._save),
            ("Copy command", "Copy the command line that does the same", self.copy_command),
        ):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(slot)
            buttons.addWidget(button)
        preset = QHBoxLayout()
        preset.addWidget(QLabel("preset"))
        preset.addWidget(self.preset, 1)
        upper, lower = QWidget(), QWidget()
        above, below = QVBoxLayout(), QVBoxLayout()
        above.addWidget(self.title)
        above.addLayout(buttons)
        above.addLayout(preset)
        above.addWidget(self.form, 1)
        below.addWidget(self.problem)
        below.addWidget(self.preview, 1)
        below.addWidget(self.run_box)
        upper.setLayout(above)
        lower.setLayout(below)
        # lines that break make the layout too optimistic about heights
        lower.setMinimumHeight(430)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(upper)
        split.addWidget(lower)
        split.setChildrenCollapsible(False)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 0)
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(split)
        self.setLayout(layout)

    # the movie

    def _find_movie(self, event: Any = None) -> None:
        """Take the movie of the layers that are there."""
        marks = [layer.metadata.get(convert.KEY) or {} for layer in self.viewer.layers]
        movie = next((mark["movie"] for mark in marks if mark.get("movie") is not None), None)
        if movie is self.movie:
            return
        self.movie = movie
        if movie is None:
            self.title.setText("No movie. Drop one on the window, or:")
        else:
            blind = next((mark["label"] for mark in marks if mark.get("label") not in (None, movie.movie_id)), None)
            time = "" if movie.calibration.frame_interval_s is None else f", {movie.calibration.frame_interval_s:g} s"
            self.title.setText(
                f"{blind or movie.movie_id}: {movie.n_frames} frames of {movie.height} x {movie.width}, "
                f"{movie.calibration.pixel_size_um:g} um{time}"
            )
            if not self.run_box.out.text():
                self.run_box.out.setText(str(Path(str(movie.provenance.get("path", "."))).parent / "results"))
        self.preview.set_movie(movie)

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a movie")
        if path:
            self.open_path(path)

    def open_path(self, path: str | Path) -> None:
        """Open a movie with what the section Input says; what is wrong is shown."""
        from migradetect.io import open_movie

        try:
            entries = movie_entries([path], input_options(self.form.params()))
            layers = movie_layers(open_movie(entries[0]), self.problem.setText)
        except MigradetectError as error:
            self.problem.setText(str(error))
            return
        self.problem.setText("")
        for layer in [one for one in self.viewer.layers if convert.role_of(one) is not None]:
            self.viewer.layers.remove(layer)
        for data, options, _ in layers:
            self.viewer.add_image(data, **options)

    # parameters

    def _on_change(self) -> None:
        params = self._params()
        if params is not None:
            self.preview.set_params(params)

    def _params(self) -> Params | None:
        try:
            params = self.form.params()
        except MigradetectError as error:
            self.problem.setText(str(error))
            return None
        self.problem.setText("")
        return params

    def _on_preset(self, name: str) -> None:
        params = load_params(name, environ={})
        self.form.set_params(params, usual=params)

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load parameters", "", "TOML (*.toml)")
        if path:
            self.load(path)

    def load(self, path: str | Path) -> None:
        """Show the parameters of a TOML file; what is wrong with it is shown instead."""
        try:
            self.form.set_params(load_params(self.preset.currentText(), path, environ={}))
        except MigradetectError as error:
            self.problem.setText(str(error))

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save parameters", "migradetect.toml", "TOML (*.toml)")
        if path:
            self.save(path)

    def save(self, path: str | Path) -> None:
        """Save the parameters as a commented TOML file."""
        from migradetect.io import atomic_write_text

        params = self._params()
        if params is None:
            return
        try:
            atomic_write_text(Path(path), to_toml(params))
        except MigradetectError as error:
            self.problem.setText(str(error))

    # the run

    def command(self) -> str | None:
        """Command line that does the same; None where a parameter does not fit or there is no movie."""
        params = self._params()
        if params is None or self.movie is None:
            return None
        path = str(self.movie.provenance.get("path", self.movie.movie_id))
        out = self.run_box.out.text().strip() or "results"
        return command_line([path], out, params, self.preset.currentText())

    def copy_command(self) -> None:
        """Put the command line that does the same on the clipboard."""
        text = self.command()
        if text is None:
            self.problem.setText(self.problem.text() or "Open a movie first.")
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)
        self.run_box.status.setText(f"copied: {text}")

    def _job(self) -> tuple[Any, Any, str]:
        params, command = self._params(), self.command()
        if params is None or command is None or self.movie is None:
            self.problem.setText(self.problem.text() or "Open a movie first.")
            return [], None, ""
        try:
            entries = movie_entries([str(self.movie.provenance["path"])], input_options(params))
        except MigradetectError as error:
            self.problem.setText(str(error))
            return [], None, ""
        return entries, params, command

    def _on_finished(self, summary: Any) -> None:
        from migradetect_napari._review import open_review

        open_review(self.viewer, summary.out, summary.outcomes[0].movie_id)

    def closeEvent(self, event: Any) -> None:
        """End what runs before the panel goes."""
        self.preview.close_down()
        self.run_box.close_down()
        super().closeEvent(event)
