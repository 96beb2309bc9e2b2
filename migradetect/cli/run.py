"""``migradetect run``."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migradetect.cli import _options as o
from migradetect.cli._exit import ExitCode

if TYPE_CHECKING:
    from migradetect.batch import BatchSummary

NAME = "run"
EXAMPLE = "Example: [bold]migradetect run my_experiment --out results --preset strict --set spots.min_snr=5[/]"

_WHERE = "Where and how many at a time"


class ExecutorKind(StrEnum):
    """Where movies are analysed."""

    LOCAL = "local"
    DASK = "dask"


class Format(StrEnum):
    """Files per table."""

    PARQUET = "parquet"
    CSV = "csv"
    BOTH = "both"


def command(
    paths: o.Paths,
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    preset: o.Preset = None,
    config: o.Config = None,
    assignments: o.Set = None,
    channels: o.Channels = None,
    pixel_size_um: o.PixelSize = None,
    frame_interval_s: o.FrameInterval = None,
    axes: o.Axes = None,
    projection: o.Projection = None,
    pattern: o.Pattern = None,
    plate: o.Plate = None,
    allow_gaps: o.AllowGaps = False,
    workers: Annotated[
        str,
        typer.Option(
            metavar="N|auto", help="Movies analysed at a time; auto: as cores and memory allow.", rich_help_panel=_WHERE
        ),
    ] = "auto",
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only part I of N of the movies, into OUT/shards; then `migradetect merge OUT`.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ] = None,
    executor: Annotated[
        ExecutorKind, typer.Option(help="local, or dask for the workers of a cluster.", rich_help_panel=_WHERE)
    ] = ExecutorKind.LOCAL,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of the dask scheduler, such as tcp://login1:8786, or its scheduler file.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Analyse again what is complete.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be analysed.")] = False,
    table_format: Annotated[Format, typer.Option("--format", help="Files per table.")] = Format.BOTH,
    cells: Annotated[bool, typer.Option("--cells", help="Also print one row per cell.")] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html at the end.")] = True,
) -> None:
    """Analyse every movie of a folder; what is complete already is kept."""
    from migradetect.batch import dask_executor, divide, parse_shard
    from migradetect.cli._console import print_note
    from migradetect.io import scan, search_movies

    inputs = {
        "channels": channels,
        "pixel_size_um": pixel_size_um,
        "frame_interval_s": frame_interval_s,
        "axes": axes,
        "projection": projection,
        "pattern": pattern,
        "plate": plate,
        "allow_gaps": allow_gaps or None,
    }
    n_workers = _workers(workers)
    part = None if shard is None else parse_shard(shard)
    _check_executor(executor, scheduler, workers)
    params = o.resolve(preset, config, assignments, **inputs)
    found = search_movies(paths, o.input_options(params, **inputs))
    entries = found.entries
    for note in found.notes:
        print_note(f"warning: {note}")
    division = None if part is None else divide(entries, *part)
    mine = entries if division is None else division.entries
    if dry_run:
        from migradetect.cli.scan import show_scan

        raise typer.Exit(show_scan(scan(mine)))
    options: dict[str, Any] = {"shard": division, "force": force, "table_format": table_format.value}
    with contextlib.ExitStack() as stack:
        if scheduler is not None:
            options["executor"], notes = stack.enter_context(dask_executor(scheduler))
        else:
            options["workers"], notes = _planned(n_workers, mine)
        for note in notes:
            print_note(f"note: {note}")
        _run(entries, out, params, len(mine), options, cells=cells, report=report)


def _check_executor(executor: ExecutorKind, scheduler: str | None, workers: str) -> None:
    from migradetect.errors import ParamsError

    if executor is ExecutorKind.DASK and scheduler is None:
        raise ParamsError("--executor dask: expected --scheduler with the address of a dask scheduler, got none")
    if executor is ExecutorKind.LOCAL and scheduler is not None:
        raise ParamsError(f"--scheduler: expected --executor dask with it, got local; add it, or leave {scheduler} out")
    if scheduler is not None and workers != "auto":
        raise ParamsError(f"--workers: expected none with --executor dask, which has its own, got {workers}")


def _planned(workers: Any, entries: Any) -> tuple[Any, list[str]]:
    """Cores to use, and why there are not more."""
    from migradetect.batch import plan_workers

    if workers != "auto" or not entries:
        return workers, []
    plan = plan_workers(entries)
    return plan.cores_used, [plan.note] if plan.note else []


def _workers(text: str) -> Any:
    from migradetect.errors import ParamsError

    if text == "auto":
        return text
    if not (text.isascii() and text.isdigit()):
        raise ParamsError(f"--workers: expected a number of at least 1, or auto, got '{text}'; for example --workers 4")
    return int(text)


def _run(
    entries: Any, out: Path, params: Any, n_movies: int, options: dict[str, Any], *, cells: bool, report: bool
) -> None:
    import shlex

    from migradetect.batch import run_batch
    from migradetect.cli._progress import progress_display
    from migradetect.cli._stop import stop_signals

    command_line = shlex.join(["migradetect", *sys.argv[1:]])
    report = report and options["shard"] is None  # of a shard alone nothing can be compared
    if report:
        threading.Thread(target=_load_report, daemon=True).start()
    with stop_signals() as stop:
        with progress_display(n_movies) as tell:
            summary = run_batch(
                entries, out, params, progress=tell, cancel=stop.is_set, command=command_line, **options
            )
        path = make_report(summary, stop.is_set) if report else None
    finish(summary, stop.exit_code, cells, path)


def _load_report() -> None:
    """Load what the report needs while the workers are at work: a second less at the end of a short run."""
    with contextlib.suppress(Exception):  # making the report meets it again, and says so
        import migradetect.report  # noqa: F401


def make_report(summary: BatchSummary, cancel: Callable[[], bool]) -> Path | None:
    """Write the report; whatever goes wrong with it is one warning, for the results are complete."""
    from migradetect.cli._console import print_note
    from migradetect.cli._progress import count_display
    from migradetect.errors import CancelledError, MigradetectError
    from migradetect.report import REPORT_NAME, write_report

    path = summary.out / REPORT_NAME
    if summary.interrupted or summary.problem:
        return None
    if path.is_file() and all(outcome.resumed for outcome in summary.outcomes):
        return path  # nothing is new
    try:
        with count_display("report") as step:
            return write_report(summary.out, progress=step, cancel=cancel)
    except CancelledError:
        print_note("warning: no report, for it was interrupted; `migradetect report` makes it")
    except MigradetectError as error:
        print_note(f"warning: no report: {error}")
    except Exception as error:
        import logging

        from migradetect.batch._log import LOG_NAME, log_file

        with contextlib.suppress(MigradetectError), log_file(summary.out / LOG_NAME):
            logging.getLogger("migradetect.report").exception("no report")
        print_note(f"warning: no report: unexpected {type(error).__name__}; details are in {LOG_NAME}")
    return None


def finish(summary: BatchSummary, stop_code: ExitCode | None, cells: bool, report: Path | None) -> None:
    """Print how a batch ended, and leave with its exit code."""
    from migradetect.cli._console import print_error, print_line
    from migradetect.cli.status import show_cells, show_movies

    ids = [outcome.movie_id for outcome in summary.outcomes]
    movies = summary.movies[summary.movies["movie_id"].isin(ids)]
    show_movies(movies)
    if cells:
        show_cells(summary.out, movies)
    done, failed, skipped = (summary.count(status) for status in ("done", "failed", "skipped"))
    kept = sum(outcome.resumed for outcome in summary.outcomes)
    words = [f"{done} done" + (f" ({kept} kept from an earlier run)" if kept else "")]
    words += [f"{failed} failed"] if failed else []
    words += [f"{skipped} not done"] if skipped else []
    print_line(f"{', '.join(words)}. Results: {summary.out}")
    if report is not None:
        print_line(f"Report: {report}")
    if summary.problem:
        print_error(summary.problem)
    if summary.interrupted:
        print_error("interrupted; run the same command again to continue")
        raise typer.Exit(stop_code or ExitCode.INTERRUPTED)
    if failed or summary.problem:
        raise typer.Exit(ExitCode.SOME_FAILED if done else ExitCode.ALL_FAILED)
