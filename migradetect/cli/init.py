"""``migradetect init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migradetect.cli._options import Preset

NAME = "init"
EXAMPLE = "Example: [bold]migradetect init --preset sensitive my_dish.toml[/]"


def command(
    file: Annotated[Path, typer.Argument(help="File to write; - prints it.")] = Path("migradetect.toml"),
    preset: Preset = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write a commented TOML file with every parameter."""
    from migradetect.cli._console import print_line
    from migradetect.errors import OutputError
    from migradetect.io import atomic_write_text
    from migradetect.params import load_params, to_toml

    # neither environment nor command line: the file holds what the preset says
    text = to_toml(load_params(preset, environ={}))
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    if file.exists() and not force:
        raise OutputError(f"{file}: expected a new file, got one that exists; choose another name or give --force")
    atomic_write_text(file, text)
    print_line(f"Wrote {file}. Change what you need, then: migradetect run FOLDER --out OUT --config {file}")
