"""Progress of a batch: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from migradetect.cli._console import dash, stderr
from migradetect.errors import printable

if TYPE_CHECKING:
    from migradetect.batch import Event, Outcome

__all__ = ["Remaining", "count_display", "progress_display"]

#: Shares of the time of a movie, by stage; see docs/performance.md. The noise and PSF are a part of "detect".
_SHARES = {"calibrate": 0.0, "check": 0.04, "detect": 0.78, "look": 0.04, "measure": 0.12, "write": 0.02}


class Remaining:
    """How much of a batch is done, movies at work included, and how long the rest takes at that pace.

    Parameters
    ----------
    n_movies : int
        Movies of the batch.
    clock : callable, optional
        Seconds; by default of a clock that only goes forward.
    """

    def __init__(self, n_movies: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._n_movies, self._clock = n_movies, clock
        self._start: float | None = None
        self._parts: dict[str, float] = {}
        self._kept = self._ended = 0

    def add(self, event: Event) -> None:
        """Take note of an event."""
        if self._start is None:
            self._start = self._clock()
        if event.kind == "end" and event.outcome is not None:
            self._parts.pop(event.movie_id, None)
            # what was kept took no time, and says nothing about the pace
            self._kept += event.outcome.resumed
            self._ended += not event.outcome.resumed
        elif event.kind == "step" and event.stage in _SHARES:
            before = sum(share for stage, share in _SHARES.items() if _order(stage) < _order(event.stage))
            inside = event.done / event.total if event.total else 0.0
            self._parts[event.movie_id] = before + _SHARES[event.stage] * min(1.0, inside)

    @property
    def done(self) -> float:
        """Movies done, with the parts of those at work."""
        return self._kept + self._ended + sum(self._parts.values())

    def seconds(self) -> float | None:
        """Seconds that are left; None as long as too little is done to tell."""
        worked = self.done - self._kept
        if self._start is None or worked < 0.1:
            return None
        return (self._clock() - self._start) / worked * (self._n_movies - self.done)

    def text(self) -> str:
        """The same for people."""
        left = self.seconds()
        if left is None:
            return ""
        if left < 90:
            return f"{left:.0f} s left"
        return f"{left / 60:.0f} min left" if left < 5400 else f"{left / 3600:.1f} h left"


def _order(stage: str) -> int:
    return list(_SHARES).index(stage)


@contextlib.contextmanager
def progress_display(n_movies: int) -> Iterator[Callable[[Event], None]]:
    """Show progress on stderr while the block runs.

    Parameters
    ----------
    n_movies : int
        Movies to come.

    Yields
    ------
    callable
        Takes the events of :func:`migradetect.batch.run_batch`.
    """
    display = _bars if sys.stderr.isatty() else _lines
    with display(n_movies) as report:
        yield report


@contextlib.contextmanager
def count_display(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show how far something has come, on stderr, while the block runs.

    Parameters
    ----------
    label : str
        What is being made.

    Yields
    ------
    callable
        Takes number done, number in all, and the name of what comes.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[stage]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task(label, total=None, stage="")
        yield lambda done, total, name: progress.update(
            task, completed=done, total=total, stage=escape(printable(name))
        )


def _sentence(outcome: Outcome, index: int, n_movies: int) -> str:
    head = printable(f"[{index}/{n_movies}] {outcome.movie_id}: ")
    if outcome.status == "failed":
        return f"{head} FAILED: {printable(str(outcome.error))}"
    if outcome.status == "skipped":
        return f"{head} {printable(str(outcome.error))}"
    counts = f"{_count(outcome, 'migrasome')}, {_count(outcome, 'cell')}"
    return f"{head} {counts}" + (", kept from an earlier run" if outcome.resumed else f" ({outcome.seconds:.1f} s)")


def _warnings(outcome: Outcome) -> list[str]:
    name = outcome.movie_id
    return [printable(f"warning: {line if f'{name}: ' in line else f'{name}: {line}'}") for line in outcome.warnings]


def _count(outcome: Outcome, thing: str) -> str:
    number = outcome.row.get(f"n_{thing}s")
    return f"{dash(number)} {thing}{'' if number == 1 else 's'}"


@contextlib.contextmanager
def _lines(n_movies: int) -> Iterator[Callable[[Event], None]]:
    console = stderr()
    finished = 0
    remaining = Remaining(n_movies)

    def report(event: Event) -> None:
        nonlocal finished
        remaining.add(event)
        if event.kind == "start":
            console.print(f"{event.movie_id}: started", markup=False, soft_wrap=True)
        if event.kind == "end" and event.outcome is not None:
            finished += 1
            left = remaining.text() if finished < n_movies else ""
            sentence = _sentence(event.outcome, finished, n_movies) + (f"; {left}" if left else "")
            console.print(sentence, markup=False, soft_wrap=True)
            for line in _warnings(event.outcome):
                console.print(line, markup=False, soft_wrap=True)

    yield report


@contextlib.contextmanager
def _bars(n_movies: int) -> Iterator[Callable[[Event], None]]:
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TextColumn("[dim]{task.fields[stage]}"),
        TimeElapsedColumn(),
    )
    finished = 0
    remaining = Remaining(n_movies)
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=stderr(), transient=True) as progress:
        overall = progress.add_task("[bold]movies", total=n_movies, stage="", count=f"0/{n_movies}")

        def report(event: Event) -> None:
            nonlocal finished
            remaining.add(event)
            finished += event.kind == "end"
            count = f"{finished}/{n_movies}"
            progress.update(overall, completed=remaining.done, count=count, stage=remaining.text())
            if event.kind == "end" and event.outcome is not None:
                if event.movie_id in tasks:
                    progress.remove_task(tasks.pop(event.movie_id))
                style = {"failed": "red", "skipped": "yellow"}.get(event.outcome.status, "")
                text = escape(_sentence(event.outcome, finished, n_movies))
                progress.console.print(f"[{style}]{text}[/]" if style else text, soft_wrap=True)
                for line in _warnings(event.outcome):
                    progress.console.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)
                return
            if event.movie_id not in tasks:
                tasks[event.movie_id] = progress.add_task(escape(event.movie_id), total=None, stage="", count="")
            if event.kind == "step":
                count = f"{event.done}/{event.total}" if event.total else ""
                progress.update(
                    tasks[event.movie_id],
                    completed=event.done,
                    total=event.total or None,
                    stage=event.stage,
                    count=count,
                )

        yield report
