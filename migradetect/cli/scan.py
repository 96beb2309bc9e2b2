"""``migradetect scan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from migradetect.cli import _options as o
from migradetect.cli._exit import ExitCode

if TYPE_CHECKING:
    import pandas as pd

NAME = "scan"
EXAMPLE = "Example: [bold]migradetect scan my_experiment --pixel-size-um 0.108[/]"


def command(
    paths: o.Paths,
    channels: o.Channels = None,
    pixel_size_um: o.PixelSize = None,
    frame_interval_s: o.FrameInterval = None,
    axes: o.Axes = None,
    projection: o.Projection = None,
    pattern: o.Pattern = None,
    config: o.Config = None,
) -> None:
    """List the movies found, how they are read and what is wrong, before any computing."""
    from migradetect.io import find_movies, scan

    inputs = {
        "channels": channels,
        "pixel_size_um": pixel_size_um,
        "frame_interval_s": frame_interval_s,
        "axes": axes,
        "projection": projection,
        "pattern": pattern,
    }
    params = o.resolve(None, config, None, **inputs)
    table = scan(find_movies(paths, o.input_options(params, **inputs)))
    show_scan(table)
    bad = int(table["problem"].notna().sum())
    if bad:
        raise typer.Exit(ExitCode.ALL_FAILED if bad == len(table) else ExitCode.SOME_FAILED)


def show_scan(table: pd.DataFrame) -> None:
    """Print what was found."""
    from migradetect.cli._console import print_table, stdout

    print_table(table, {name: name for name in table.columns})
    stdout().print(f"{len(table)} movies")
