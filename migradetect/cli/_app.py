"""The application and its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from migradetect._version import __version__
from migradetect.cli import (
    evaluate,
    export,
    info,
    init,
    merge,
    preview,
    report,
    review,
    run,
    scan,
    simulate,
    slurm_script,
    stats,
    status,
)

__all__ = ["app"]

app = typer.Typer(
    name="migradetect",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    # tracebacks never reach the console; see _main
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"migradetect {__version__}")
        raise typer.Exit


@app.callback(epilog="Start with: [bold]migradetect scan FOLDER[/], then [bold]migradetect run FOLDER --out OUT[/]")
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Find, follow and count migrasomes and retraction fibers in TSPAN4/WGA fluorescence time-lapses."""


_COMMANDS = (
    init,
    scan,
    preview,
    run,
    status,
    merge,
    slurm_script,
    review,
    report,
    stats,
    export,
    simulate,
    evaluate,
    info,
)
for _module in _COMMANDS:
    app.command(name=_module.NAME, epilog=_module.EXAMPLE)(_module.command)
