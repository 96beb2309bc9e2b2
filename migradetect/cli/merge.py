"""``migradetect merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "merge"
EXAMPLE = (
    "Example: [bold]migradetect merge results[/], after `migradetect run ... --out results --shard i/n` for each i"
)


def command(
    out: Annotated[Path, typer.Argument(help="Output folder of the shards.", show_default=False)],
    shards: Annotated[
        list[Path] | None,
        typer.Argument(help="Further shards, such as those of another computer.", show_default=False),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Merge what is there, without the shards that are missing.")
    ] = False,
    cells: Annotated[bool, typer.Option("--cells", help="Also print one row per cell.")] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html at the end.")] = True,
) -> None:
    """Put the shards of a batch together; the result is that of one run."""
    from migradetect.batch import merge_shards
    from migradetect.cli._stop import stop_signals
    from migradetect.cli.run import finish, make_report

    with stop_signals() as stop:
        summary = merge_shards(out, shards or (), allow_missing=allow_missing, cancel=stop.is_set)
        path = make_report(summary, stop.is_set) if report else None
    finish(summary, stop.exit_code, cells, path)
