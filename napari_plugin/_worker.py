"""Work that takes long, off the thread of the window, with progress and cancel; errors come back as one line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from migradetect.errors import MigradetectError, printable

__all__ = ["Task", "run_movies"]


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
