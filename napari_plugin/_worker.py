"""Work that takes long, off the thread of the window, with progress and cancel; errors come back as one line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEventLoop, QObject, Qt, Signal
from qtpy.QtWidgets import QApplication, QProgressDialog

from migradetect.errors import CancelledError, MigradetectError, printable

__all__ = ["Task", "run_movies", "work_with_dialog"]


#: Kept until their threads have ended, even if nobody else waits for them.
_running: set[Task] = set()


class Task(QObject):
    """One piece of work in a thread of its own.

    Signals are delivered in the thread of the window, where they are connected to methods of its widgets; a bare
    function might be called in the other thread. `work` takes this task: it calls :meth:`tell` and asks
    :meth:`is_cancelled`.
    """

    progress = Signal(object)
    done = Signal(object)
    failed = Signal(str)
    ended = Signal()

    def __init__(self, work: Callable[[Task], Any]) -> None:
        # without a parent, which would delete it below the feet of its thread
        super().__init__()
        self._work = work
        #: What `work` returned, and the line that says what went wrong, once it has ended.
        self.result: Any = None
        self.error: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="migradetect", daemon=True)

    def start(self) -> Task:
        """Begin."""
        _running.add(self)
        self.ended.connect(self._forget)
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Ask to stop; `ended` follows."""
        self._stop.set()

    def is_cancelled(self) -> bool:
        """Whether the user asked to stop."""
        return self._stop.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait within the work; True as soon as the user asks to stop."""
        return self._stop.wait(seconds)

    def is_running(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; False where it lasts longer."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def tell(self, value: Any) -> None:
        """Hand something to the window while the work goes on."""
        self._emit(self.progress, value)

    def _forget(self) -> None:
        _running.discard(self)

    def _emit(self, signal: Any, *values: Any) -> None:
        try:
            signal.emit(*values)
        except RuntimeError:  # the window was closed meanwhile, and nobody listens
            self._stop.set()

    def _run(self) -> None:
        try:
            self.result = self._work(self)
        except MigradetectError as error:
            self.error = printable(str(error))
        except Exception as error:  # noqa: BLE001 (a thread has nobody else to tell)
            self.error = printable(f"unexpected {type(error).__name__}: {error}")
        if self.error is not None:
            self._emit(self.failed, self.error)
        elif not self.is_cancelled():
            self._emit(self.done, self.result)
        self._emit(self.ended)


class _Waiting(QObject):
    """Shows how far a task is, and keeps the window alive until it has ended."""

    def __init__(self, title: str, task: Task) -> None:
        super().__init__()
        self._title, self._task = title, task
        self._loop = QEventLoop()
        self._dialog = QProgressDialog(title, "Cancel", 0, 0, QApplication.activeWindow())
        self._dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
        # what is there already opens without it
        self._dialog.setMinimumDuration(400)
        # it closes when the work has ended, not when a part of it has
        self._dialog.setAutoClose(False)
        self._dialog.setAutoReset(False)
        self._dialog.canceled.connect(self._on_cancel)
        task.progress.connect(self._on_progress)
        task.ended.connect(self._loop.quit)

    def _on_progress(self, told: tuple[str, int, int]) -> None:
        what, done, total = told
        if not self._task.is_cancelled():
            self._dialog.setLabelText(f"{self._title}: {what}")
            self._dialog.setMaximum(total)
            self._dialog.setValue(done)

    def _on_cancel(self) -> None:
        self._task.cancel()

    def wait(self) -> None:
        """Return when the task has ended."""
        self._task.start()
        self._loop.exec()
        self._task.wait()
        self._dialog.close()
        self._dialog.deleteLater()


def work_with_dialog(title: str, work: Callable[[Callable[[str, int, int], None]], Any]) -> Any:
    """Work in another thread while a dialog shows how far it is and offers to cancel; returns what it gave.

    Parameters
    ----------
    title : str
        What is being done.
    work : callable
        Takes a function to call with what is being done, how much of it is done, and how much there is.

    Raises
    ------
    MigradetectError
        What the work raised.
    CancelledError
        If the user stopped it.
    """

    def run(task: Task) -> Any:
        def told(what: str, done: int, total: int) -> None:
            if task.is_cancelled():
                raise CancelledError(f"{title}: stopped")
            task.tell((what, done, total))

        return work(told)

    task = Task(run)
    _Waiting(title, task).wait()
    if task.error is not None:
        raise CancelledError(task.error) if task.is_cancelled() else MigradetectError(task.error)
    return task.result


def run_movies(entries: Any, out: Any, params: Any, task: Any, command: str | None = None, workers: int = 1) -> Any:
    """Analyse movies just as ``migradetect run`` does, in processes of their own.

    Parameters
    ----------
    entries : sequence of MovieEntry
        Movies.
    out : path
        Output folder.
    params : Params
        All parameters.
    task : Task
        Takes the progress (:class:`migradetect.batch.Event`), and is asked whether to stop.
    command : str, optional
        Command line that does the same, for the record.
    workers : int
        Processes.

    Returns
    -------
    BatchSummary
    """
    from migradetect.batch import run_batch

    return run_batch(
        entries, out, params, workers=workers, progress=task.tell, cancel=task.is_cancelled, command=command
    )
