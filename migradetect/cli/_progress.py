"""Progress of a batch: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from migradetect.cli._console import dash, stderr
from migradetect.errors import printable

if TYPE_CHECKING:
    from migradetect.batch import Event, Outcome

__all__ = ["count_display", "progress_display"]


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

    def report(event: Event) -> None:
        nonlocal finished
        if event.kind == "start":
            console.print(f"{event.movie_id}: started", markup=False, soft_wrap=True)
        if event.kind == "end" and event.outcome is not None:
            finished += 1
            console.print(_sentence(event.outcome, finished, n_movies), markup=False, soft_wrap=True)
            for line in _warnings(event.outcome):
                console.print(line, markup=False, soft_wrap=True)

    yield report


@contextlib.contextmanager
def _bars(n_movies: int) -> Iterator[Callable[[Event], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[stage]}"),
        TimeElapsedColumn(),
    )
    finished = 0
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=stderr(), transient=True) as progress:
        overall = progress.add_task("[bold]movies", total=n_movies, stage="")

        def report(event: Event) -> None:
            nonlocal finished
            if event.kind == "end" and event.outcome is not None:
                finished += 1
                if event.movie_id in tasks:
                    progress.remove_task(tasks.pop(event.movie_id))
                progress.update(overall, completed=finished)
                style = {"failed": "red", "skipped": "yellow"}.get(event.outcome.status, "")
                text = escape(_sentence(event.outcome, finished, n_movies))
                progress.console.print(f"[{style}]{text}[/]" if style else text, soft_wrap=True)
                for line in _warnings(event.outcome):
                    progress.console.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)
                return
            if event.movie_id not in tasks:
                tasks[event.movie_id] = progress.add_task(escape(event.movie_id), total=None, stage="")
            if event.kind == "step":
                progress.update(
                    tasks[event.movie_id], completed=event.done, total=event.total or None, stage=event.stage
                )

        yield report
