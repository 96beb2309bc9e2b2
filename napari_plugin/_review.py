"""Review: lists of migrasomes and candidates, linked both ways with the canvas, and corrections."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressDialog,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from migradetect.errors import MigradetectError
from migradetect_napari import _compat as compat
from migradetect_napari import _convert as convert
from migradetect_napari._colours import COLOUR_BY
from migradetect_napari._correct import KEYS, CorrectBox
from migradetect_napari._list_boxes import CandidateBox, MigrasomeBox
from migradetect_napari._lists import candidate_list, migrasome_list, next_unreviewed
from migradetect_napari._movies import MovieList
from migradetect_napari._open import session_of, token_of
from migradetect_napari._scene import Scene, Selection

if TYPE_CHECKING:
    import napari

    from migradetect.review import ReviewSession

__all__ = ["ReviewWidget", "open_review", "show_panels"]

#: When the plots are opened after the results, ms.
_PLOTS_MS = 100

_widgets: weakref.WeakKeyDictionary[Any, ReviewWidget] = weakref.WeakKeyDictionary()


def open_review(
    viewer: napari.Viewer,
    out_dir: str | Path,
    movie_id: str | None = None,
    reviewer: str | None = None,
    blind: bool = False,
) -> ReviewWidget:
    """Show the results of a folder in the review panel of a viewer; the panel is opened where it is not."""
    widget = _panel(viewer)
    widget.open(out_dir, movie_id, reviewer, blind)
    widget.plots_due.start()
    return widget


def show_panels(viewer: napari.Viewer) -> ReviewWidget:
    """Review the results whose layers were dropped on a viewer; the panel is opened where it is not."""
    widget = _panel(viewer)
    widget.take_layers()
    widget.plots_due.start()
    return widget


def _panel(viewer: napari.Viewer) -> ReviewWidget:
    """The panel of a viewer, opened where it is not."""
    widget = _widgets.get(compat.key_of(viewer))
    if widget is None:
        widget = ReviewWidget(viewer)
        # in front of a panel that is there: below it, neither has room
        viewer.window.add_dock_widget(widget, name="Review and correct", area="right", tabify=True)
    return widget


class ReviewWidget(QWidget):
    """Panel in which results are reviewed and corrected."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.scene: Scene | None = None
        self.movies: MovieList | None = None
        _widgets[compat.key_of(napari_viewer)] = self
        #: Opens the plots, which take half a second to import, once the images are drawn.
        self.plots_due = QTimer(self)
        self.plots_due.setSingleShot(True)
        self.plots_due.setInterval(_PLOTS_MS)
        self._has_plots = False
        self.plots_due.timeout.connect(self._show_plots)
        self.title = QLabel("No results.")
        self.movie_box = QComboBox()
        self.movie_box.setToolTip("Movie under review")
        self.movie_box.activated.connect(self._on_movie)
        self.reviewer = QLineEdit()
        self.reviewer.setPlaceholderText("your name")
        self.reviewer.setToolTip("Each reviewer keeps a log of their own; leave it empty for the common one.")
        self.reviewer.editingFinished.connect(self._on_reviewer)
        self.accepted, self.rejected = MigrasomeBox(), CandidateBox(KEYS["candidates"])
        self.list, self.candidates = self.accepted.view, self.rejected.view
        self.list.picked.connect(lambda number: self._select("migrasome", number))
        self.candidates.picked.connect(lambda number: self._select("candidate", number))
        actions = {
            "next": self.next,
            "previous": self.previous,
            "candidates": self.toggle_candidates,
        }
        self.correct = CorrectBox(actions)
        self.correct.marked = self.list.selected_ids
        self.correct.decided.connect(self.next)
        self.accepted.filtered.connect(self.fill)
        self.rejected.toggled.connect(self.toggle_candidates)
        self.rejected.min_score.valueChanged.connect(self._on_candidate_score)
        self.colour = QComboBox()
        self.colour.addItems([name.replace("_", " ") for name in COLOUR_BY])
        self.colour.currentIndexChanged.connect(self._on_colour)
        for box in (self.movie_box, self.colour, self.correct.reason):
            # letters are the keys of corrections, and a box with the focus would take them
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._lay_out()
        self.take_layers()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        browse = QPushButton("Open...")
        browse.setToolTip("Open an output folder of migradetect run")
        browse.clicked.connect(self._browse)
        for part, stretch in ((browse, 0), (self.movie_box, 2), (self.reviewer, 1)):
            top.addWidget(part, stretch)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.accepted, "Migrasomes")
        self.tabs.addTab(self.rejected, "Rejected candidates")
        below = QHBoxLayout()
        for text, slot in ((f"Previous  [{KEYS['previous']}]", self.previous), (f"Next  [{KEYS['next']}]", self.next)):
            button = QPushButton(text)
            button.setToolTip("Go to one that nobody has decided about")
            button.clicked.connect(slot)
            below.addWidget(button)
        below.addWidget(QLabel("colour by"))
        below.addWidget(self.colour)
        upper, lower = QWidget(), QWidget()
        above = QVBoxLayout()
        above.setContentsMargins(2, 2, 2, 2)
        above.addLayout(top)
        above.addWidget(self.title)
        above.addWidget(self.tabs, 1)
        above.addLayout(below)
        upper.setLayout(above)
        under = QVBoxLayout()
        under.setContentsMargins(2, 2, 2, 2)
        under.addWidget(self.correct)
        under.addStretch()
        lower.setLayout(under)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(upper)
        split.addWidget(lower)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 0)
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(split)
        self.setLayout(layout)
        self.setMinimumWidth(460)

    # which movie

    def take_layers(self) -> None:
        """Review the results that were dropped on the window last, if they are not under review already."""
        mine = None if self.scene is None else token_of(self.scene.session)
        for layer in reversed(self.viewer.layers):
            mark = layer.metadata.get(convert.KEY) or {}
            if mark.get("out_dir") and mark.get("session") != mine:
                self._open_session(session_of(mark), mark["out_dir"], mark["movie_id"])
                return

    def _open_session(self, session: ReviewSession | None, out_dir: str, movie_id: str) -> None:
        """Review what layers show, in the session that they were made of where it is still there."""
        self.open(out_dir, movie_id, None if session is None else session.reviewer, session=session)

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Output folder of migradetect run")
        if folder:
            self.open(folder, None, self.reviewer.text().strip() or None)

    def _show_plots(self) -> None:
        from migradetect_napari._plots import PlotsWidget

        if self._has_plots:
            return
        self._has_plots = True
        self.viewer.window.add_dock_widget(PlotsWidget(self.viewer), name="Growth, counts and lineage", area="bottom")

    def open(
        self,
        out_dir: str | Path,
        movie_id: str | None = None,
        reviewer: str | None = None,
        blind: bool = False,
        session: ReviewSession | None = None,
    ) -> None:
        """Review the results of a folder, in a session that is open already if one is given; says what is wrong."""
        try:
            self.movies = MovieList.of(out_dir, movie_id, blind, reviewer)
        except MigradetectError as error:
            self.correct.say(str(error), is_error=True)
            return
        self.reviewer.setText(reviewer or "")
        self.movie_box.clear()
        self.movie_box.addItems(list(self.movies.names))
        self.movie_box.setCurrentIndex(self.movies.index)
        self._show_movie(session)

    def _on_movie(self, index: int) -> None:
        if self.movies is not None:
            self.movies.index = index
            self._show_movie()

    def _on_reviewer(self) -> None:
        now = None if self.scene is None else self.scene.session.reviewer
        name = self.reviewer.text().strip() or None
        if self.movies is not None and name != now:
            self.open(self.movies.out_dir, self.movies.movie_ids[self.movies.index], name, self.movies.is_blind)

    def _show_movie(self, session: ReviewSession | None = None) -> None:
        assert self.movies is not None
        # what was painted on the movie before is kept before its layers go
        self.correct.finish_painting()
        if session is None:
            session = self._opened(self.movies)
        if session is None:
            return
        self.scene = Scene(self.viewer, session, self.movies.name, COLOUR_BY[self.colour.currentIndex()])
        self.scene.selected.connect(self._on_selected)
        self.scene.changed.connect(self._on_changed)
        self.correct.set_scene(self.scene)
        cells = sorted(session.tables["cell_summary"]["cell_id"].astype(int))
        self.accepted.set_cells(cells)
        self.fill()
        lost = len(session.orphans)
        if lost:
            what = "1 earlier correction does" if lost == 1 else f"{lost} earlier corrections do"
            self.correct.say(f"{what} not apply to these results: {session.orphans[0].reason}")
        elif session.notes:
            self.correct.say(session.notes[0], is_error=True)
        else:
            self.correct.say(f"{session.n_edits} corrections so far, in {session.path.name}")

    def _opened(self, movies: MovieList) -> ReviewSession | None:
        """The movie that is chosen, with progress; None where something is wrong with it, which is said."""
        dialog = QProgressDialog("Making earlier corrections again", "Cancel", 0, 1, self)
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.setMinimumDuration(1000)

        def progress(done: int, total: int) -> None:
            dialog.setMaximum(max(total, 1))
            dialog.setValue(done)

        try:
            return movies.open(self.reviewer.text().strip() or None, progress, dialog.wasCanceled)
        except MigradetectError as error:
            self.correct.say(str(error), is_error=True)
            return None
        finally:
            dialog.close()
            dialog.deleteLater()

    # lists

    def fill(self, *_: Any) -> None:
        """List what passes the filters."""
        if self.scene is None:
            return
        chosen = self.scene.selection
        everything = migrasome_list(self.scene.session.tables)
        rows = self.accepted.filter().apply(everything)
        self.list.set_table(rows, chosen.id if chosen is not None and chosen.kind == "migrasome" else None)
        found = candidate_list(self.scene.candidates)
        self.candidates.set_table(found, chosen.id if chosen is not None and chosen.kind == "candidate" else None)
        self.tabs.setTabText(0, f"Migrasomes ({len(rows)} of {len(everything)})")
        self.tabs.setTabText(1, f"Rejected candidates ({len(found)})")
        done = int((everything["status"] != "auto").sum())
        self.title.setText(f"{self.scene.name}: {done} of {len(everything)} reviewed")

    def _select(self, kind: Any, number: int) -> None:
        if self.scene is not None:
            if kind == "candidate":
                self._show_candidates(True)
            self.scene.select(kind, number)

    def _on_selected(self, chosen: Selection | None) -> None:
        if chosen is None:
            return
        (self.list if chosen.kind == "migrasome" else self.candidates).select(chosen.id)
        self.tabs.setCurrentIndex(0 if chosen.kind == "migrasome" else 1)

    def _on_changed(self, change: Any) -> None:
        self.fill()
        self.correct.update_buttons()

    def next(self) -> None:
        """Select the next migrasome that nobody has decided about."""
        self._step(1)

    def previous(self) -> None:
        """Select the one before that nobody has decided about."""
        self._step(-1)

    def _step(self, step: int) -> None:
        if self.scene is None:
            return
        chosen = self.scene.selection
        current = chosen.id if chosen is not None and chosen.kind == "migrasome" else None
        number = next_unreviewed(self.list.table, current, step)
        if number is None:
            self.correct.say("All that are listed have been reviewed.")
        else:
            self.scene.select("migrasome", number)

    def toggle_candidates(self) -> None:
        """Show or hide the candidates that were not accepted."""
        layer = None if self.scene is None else self.scene.layer("candidates")
        if layer is not None:
            self._show_candidates(not layer.visible)

    def _show_candidates(self, is_visible: bool) -> None:
        layer = None if self.scene is None else self.scene.layer("candidates")
        if layer is not None:
            layer.visible = is_visible

    def _on_colour(self, index: int) -> None:
        if self.scene is not None:
            self.scene.set_colour_by(COLOUR_BY[index])

    def _on_candidate_score(self, score: float) -> None:
        if self.scene is not None:
            self.scene.set_min_candidate_score(score)

    def closeEvent(self, event: Any) -> None:
        """Give the keys back when the panel goes."""
        self.plots_due.stop()
        self.correct.set_scene(None)
        super().closeEvent(event)
