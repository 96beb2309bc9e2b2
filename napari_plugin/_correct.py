"""Correct: a button and a key for each correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from migradetect.errors import MigradetectError
from migradetect_napari import _compat as compat
from migradetect_napari._commands import COMMANDS, REASONS, Command, Desk, NotYet
from migradetect_napari._worker import Task

if TYPE_CHECKING:
    from migradetect.review.edits import Edit
    from migradetect_napari._scene import Scene

__all__ = ["KEYS", "CorrectBox"]

#: Keys that do not correct: name -> key.
KEYS = {"next": "N", "previous": "Shift-N", "undo": "U", "redo": "Shift-U", "candidates": "Q"}
_GROUPS = {"migrasome": "Migrasome", "cell": "Cells", "fiber": "Retraction fibers"}
_PER_ROW = 4
#: Longer corrections go on in the background, s.
_AT_ONCE_S = 0.6
#: Corrections are prepared once the window has been drawn, s.
_WARM_AFTER_S = 1.5


class CorrectBox(QWidget):
    """Buttons for what is selected and where the mouse is; the keys do the same."""

    #: A decision was made about the migrasome that was selected.
    decided = Signal()

    def __init__(self, actions: dict[str, Callable[[], None]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk: Desk | None = None
        self._unbind: Callable[[], None] | None = None
        self._actions = actions
        self.reason = QComboBox()
        self.reason.addItems([name.replace("_", " ") for name in REASONS])
        self.reason.setToolTip("Why: goes to the table of candidates with what is junked.")
        self.reason.currentIndexChanged.connect(self._on_reason)
        self.advance = QCheckBox("then go to the next")
        self.advance.setToolTip("After Keep and Junk, select the next one that nobody has decided about.")
        self.advance.setChecked(True)
        self._task: Task | None = None
        self._made: Any = None
        self._warming: Task | None = None
        self._painting: tuple[Task, Callable[[Any, str | None], None]] | None = None
        self.busy = QProgressBar()
        self.busy.setVisible(False)
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("Give up the correction that is being measured; nothing is changed then.")
        self.stop_button.setVisible(False)
        self.stop_button.clicked.connect(self.stop)
        self.message = QLabel("")
        self.message.setWordWrap(True)
        self.undo_button = QPushButton(f"Undo  [{KEYS['undo']}]")
        self.redo_button = QPushButton(f"Redo  [{KEYS['redo']}]")
        self.undo_button.clicked.connect(self.undo)
        self.redo_button.clicked.connect(self.redo)
        self.marked: Callable[[], list[int]] = list
        self.setLayout(self._lay_out())

    def _lay_out(self) -> QVBoxLayout:
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        top = QHBoxLayout()
        for part in (QLabel("junk because:"), self.reason, self.advance):
            top.addWidget(part)
        layout.addLayout(top)
        for group, title in _GROUPS.items():
            grid = QGridLayout()
            grid.setContentsMargins(4, 2, 4, 2)
            grid.setSpacing(3)
            for k, command in enumerate(one for one in COMMANDS if one.group == group):
                button = QPushButton(f"{command.label}  [{command.key}]")
                button.setToolTip(f"{command.help}\nKey: {command.key}")
                button.clicked.connect(lambda _=False, command=command: self.run(command))
                button.setStyleSheet("padding: 3px 2px;")
                grid.addWidget(button, k // _PER_ROW, k % _PER_ROW)
            box = QGroupBox(title)
            box.setLayout(grid)
            layout.addWidget(box)
        bottom = QHBoxLayout()
        bottom.addWidget(self.undo_button)
        bottom.addWidget(self.redo_button)
        layout.addLayout(bottom)
        progress = QHBoxLayout()
        progress.addWidget(self.busy, 1)
        progress.addWidget(self.stop_button)
        layout.addLayout(progress)
        layout.addWidget(self.message)
        return layout

    def set_scene(self, scene: Scene | None) -> None:
        """Correct another movie."""
        if self._unbind is not None:
            self._unbind()
            self._unbind = None
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None
        # what was painted on the movie before is kept, too
        self.finish_painting()
        if scene is not None:
            session = scene.session
            scene.strokes.background = self.paint_in_background
            scene.strokes.later = lambda take: QTimer.singleShot(0, take)

            def warm_up(task: Task) -> None:
                # the window is drawn first
                if not task.pause(_WARM_AFTER_S):
                    session.warm_up(cancel=task.is_cancelled)

            # what the first corrections would wait for; errors are told when a correction meets them
            self._warming = Task(warm_up).start()
        self._desk = None if scene is None else Desk(scene, self._ask, REASONS[self.reason.currentIndex()])
        if scene is not None:
            keys = {command.key: self._runner(command) for command in COMMANDS}
            keys |= {KEYS["undo"]: self.undo, KEYS["redo"]: self.redo}
            keys |= {KEYS[name]: action for name, action in self._actions.items()}
            self._unbind = compat.bind_keys(scene.viewer, keys)
        self.update_buttons()

    def _runner(self, command: Command) -> Callable[[], None]:
        return lambda: self.run(command)

    def _on_reason(self, index: int) -> None:
        if self._desk is not None:
            self._desk.reason = REASONS[index]

    def _ask(self, title: str, options: Sequence[str], current: str | None) -> str | None:
        start = list(options).index(current) if current is not None and current in options else 0
        answer, is_ok = QInputDialog.getItem(self, "migradetect", title, list(options), start, False)
        return str(answer) if is_ok else None

    def run(self, command: Command) -> None:
        """Make a correction, or tell what is missing for it."""
        if self._desk is None:
            self.message.setText("Open results first.")
            return
        desk = self._desk
        desk.marked = self.marked()
        if desk.pending is not None and desk.pending[0] != command.name:
            desk.pending = None
        if self._task is not None:
            self.say("still measuring the correction before; then press again")
            return
        try:
            edit = command.make(desk)
        except NotYet as hint:
            self.say(str(hint))
            return
        except MigradetectError as error:
            desk.pending = None
            self.say(str(error), is_error=True)
            return
        if edit is not None:
            self._start(command, edit)

    def _start(self, command: Command, edit: Edit) -> None:
        """Make a correction; what must be measured in all frames goes on while the window lives."""
        assert self._desk is not None
        scene = self._desk.scene

        def work(task: Task) -> Any:
            return scene.compute(edit, lambda *step: task.tell(step), task.is_cancelled)

        self._begin(work, scene, command.label.lower(), f"{command.label.lower()}: kept in the log", command, edit)

    def _begin(
        self,
        work: Any,
        scene: Scene,
        doing: str,
        done: str,
        command: Command | None = None,
        edit: Edit | None = None,
    ) -> None:
        self._task, self._made = Task(work), (scene, command, done)
        self.busy.setRange(0, 0)
        self._task.progress.connect(self._on_progress)
        self._task.ended.connect(self._finish)
        self._task.start()
        # most are made at once, and then the answer should be there with the key
        if self._task.wait(_AT_ONCE_S):
            self._finish()
        else:
            self.say(f"{doing}: measuring in all frames ...")
            scene.mark_pending(edit)
            self.busy.setVisible(True)
            self.stop_button.setVisible(True)

    def _on_progress(self, step: tuple[int, int]) -> None:
        self.busy.setRange(0, step[1])
        self.busy.setValue(step[0])

    def stop(self) -> None:
        """Give up the correction that is being measured."""
        if self._task is not None:
            self._task.cancel()

    def _finish(self) -> None:
        task = self._task
        if task is None or not task.wait(1.0):
            return
        scene, command, done = self._made
        self._task = None
        scene.mark_pending(None)
        self.busy.setVisible(False)
        self.stop_button.setVisible(False)
        if task.error is not None:
            self.say(task.error, is_error=True)
            return
        if self._desk is None or scene is not self._desk.scene:
            return  # another movie is shown by now; the correction is in the log of the first
        change = task.result
        if change is None:
            self.say(f"nothing to {done}")
            return
        scene.show(change)
        self.say(done if command is not None else f"{done}: {change.edit.op.replace('_', ' ')}")
        self.update_buttons()
        if command is not None and command.name in ("accept", "reject") and self.advance.isChecked():
            self.decided.emit()

    def paint_in_background(self, work: Callable[[], Any], finish: Callable[[Any, str | None], None]) -> None:
        """Make the correction of a stroke of paint while the window lives."""
        task = Task(lambda task: work())
        self._painting = task, finish
        task.ended.connect(self._on_painted)
        task.start()

    def _on_painted(self) -> None:
        if self._painting is None or not self._painting[0].wait(1.0):
            return
        (task, finish), self._painting = self._painting, None
        finish(task.result, task.error)

    def finish_painting(self) -> None:
        """Wait until everything that was painted is in the log."""
        if self._desk is not None:
            self._desk.scene.strokes.take()
        while self._painting is not None:
            self._painting[0].wait()
            self._on_painted()

    def undo(self) -> None:
        """Take back the last correction."""
        self._step("undo")

    def redo(self) -> None:
        """Make the last correction again that was taken back."""
        self._step("redo")

    def _step(self, what: Literal["undo", "redo"]) -> None:
        if self._desk is None:
            return
        if self._task is not None:
            self.say("still measuring the correction before; then press again")
            return
        scene = self._desk.scene

        def work(task: Task) -> Any:
            return scene.compute_step(what, lambda *step: task.tell(step), task.is_cancelled)

        self._begin(work, scene, what, what)

    def update_buttons(self) -> None:
        """Undo and redo can be pressed only where there is something to undo or redo."""
        session = None if self._desk is None else self._desk.scene.session
        self.undo_button.setEnabled(session is not None and session.can_undo)
        self.redo_button.setEnabled(session is not None and session.can_redo)

    def say(self, text: str, *, is_error: bool = False) -> None:
        """One line for the user."""
        self.message.setStyleSheet("color: #FF8C69;" if is_error else "")
        self.message.setText(text)
        if self._desk is not None:
            self._desk.scene.viewer.status = text
