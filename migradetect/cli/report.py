"""``migradetect report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "report"
EXAMPLE = "Example: [bold]migradetect report results[/], or in detail [bold]migradetect report results --movie dish1[/]"


def command(
    out: Annotated[Path, typer.Argument(help="Output folder of a run.", show_default=False)],
    movie: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Write the report of this movie, in detail; may be repeated.", show_default=False
        ),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Whose corrections, where several have reviewed.", show_default=False)
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Write the report of every movie, and that of all.")] = False,
    negative: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Negative controls of a screen.", show_default="by name, such as DMSO"),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Positive controls of a screen.", show_default=False)
    ] = None,
) -> None:
    """Write report.html: one file that shows what was found, and how far it can be trusted."""
    from migradetect.cli._console import print_line
    from migradetect.cli._progress import count_display
    from migradetect.cli._stop import stop_signals
    from migradetect.errors import CancelledError
    from migradetect.io import load
    from migradetect.report import write_movie_report, write_report

    with stop_signals() as stop:
        try:
            names = list(load(out).movie_ids) if each else list(movie or ())
            with count_display("reports of movies") as step:
                for number, name in enumerate(names):
                    step(number, len(names), name)
                    print_line(str(write_movie_report(out, name, reviewer=reviewer, cancel=stop.is_set)))
            if not names or each:
                with count_display("report") as step:
                    path = write_report(
                        out,
                        negative=negative,
                        positive=positive,
                        reviewer=reviewer,
                        progress=step,
                        cancel=stop.is_set,
                    )
                print_line(str(path))
        except CancelledError:
            from migradetect.cli._console import print_error
            from migradetect.cli._exit import ExitCode

            print_error("interrupted; run the same command again")
            raise typer.Exit(stop.exit_code or ExitCode.INTERRUPTED) from None
