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
    plate: o.Plate = None,
    allow_gaps: o.AllowGaps = False,
    config: o.Config = None,
) -> None:
    """List the movies found, how they are read and what is wrong, before any computing."""
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
    params = o.resolve(None, config, None, **inputs)
    found = search_movies(paths, o.input_options(params, **inputs))
    for note in found.notes:
        print_note(f"warning: {note}")
    table = scan(found.entries)
    raise typer.Exit(show_scan(table))


def show_scan(table: pd.DataFrame) -> ExitCode:
    """Print what was found; the code that a run would end with, as far as can be told."""
    from migradetect.cli._console import print_line, print_table
    from migradetect.io import SCAN_COLUMNS

    shown = table[["movie_id", "kind"]].copy()
    shown["axes"] = (table["axes"] + " " + table["shape"]).where(table["axes"].notna())
    shown["channels"] = table["channels"]
    shown["pixel"] = _with_source(table["pixel_size_um"], "um", table["pixel_size_source"])
    shown["interval"] = _with_source(table["frame_interval_s"], "s", table["frame_interval_source"])
    shown["projection"] = table["projection"]
    extra = [name for name in table.columns if name not in SCAN_COLUMNS]
    shown[extra] = table[extra]
    shown["flags"] = table["qc_flags"]
    shown["ok"] = table["problem"].isna().map({True: "yes", False: "NO"})
    headings = {
        "movie_id": "movie",
        "kind": "kind",
        "axes": "axes",
        "channels": "channels",
        "pixel": "pixel size",
        "interval": "frame interval",
        "projection": "z",
        **{name: name for name in extra},
        "flags": "flags",
        "ok": "ok",
    }
    for column, heading in (("projection", "projection"), ("qc_flags", "flags")):
        if table[column].isna().all():
            del headings[heading]
    print_table(shown, headings, styles={"ok": {"yes": "green", "NO": "bold red"}}, fold=list(headings))
    for warning in table["warnings"].dropna().str.split("\n").explode():
        print_line(f"warning: {warning}")
    for problem in table["problem"].dropna():
        print_line(f"problem: {problem}")
    good, n = int(table["problem"].isna().sum()), len(table)
    print_line(f"{n} movie{'s' if n != 1 else ''} found, {good} can be analysed.")
    return ExitCode.OK if good == n else ExitCode.SOME_FAILED if good else ExitCode.ALL_FAILED


def _with_source(values: pd.Series[float], unit: str, sources: pd.Series[str]) -> list[str | None]:
    """Value, unit and where it was read; a missing one says so, because nothing is guessed."""
    return [
        f"{value:g} {unit} ({source})" if value == value else str(source) if source == "single frame" else None
        for value, source in zip(values, sources.fillna("?"), strict=True)
    ]
