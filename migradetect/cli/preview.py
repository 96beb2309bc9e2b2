"""``migradetect preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migradetect.cli import _options as o

if TYPE_CHECKING:
    from migradetect.movie import Movie

NAME = "preview"
EXAMPLE = "Example: [bold]migradetect preview my_experiment/dish1.ome.tif --frame middle --out dish1.png[/]"


def command(
    movie: Annotated[Path, typer.Argument(help="A movie, or a folder with one.", show_default=False)],
    frame: Annotated[str, typer.Option(metavar="N|first|middle|last", help="Frame that is drawn.")] = "middle",
    out: Annotated[
        Path | None, typer.Option(help="PNG to write.", show_default="<movie>_preview.png", rich_help_panel=None)
    ] = None,
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
) -> None:
    """Draw what is found in one frame, and count on the first, middle and last one.

    Candidates of single frames, before the evidence over time is judged: expect more of them than `run` counts.
    """
    from migradetect.cli._console import print_note
    from migradetect.io import find_movies, open_movie

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
    params = o.resolve(preset, config, assignments, **inputs)
    entries = find_movies([movie], o.input_options(params, **inputs))
    if len(entries) > 1:
        print_note(f"{movie}: {len(entries)} movies; this is a preview of the first, {entries[0].movie_id}")
    opened = open_movie(entries[0])
    drawn = _frame_index(frame, opened.n_frames)
    _preview(opened, params, drawn, out or Path(f"{opened.movie_id}_preview.png"))


def _frame_index(text: str, n_frames: int) -> int:
    from migradetect.errors import ParamsError

    places = {"first": 0, "middle": (n_frames - 1) // 2, "last": n_frames - 1}
    index = places.get(text, int(text) if text.isascii() and text.isdigit() else -1)
    if not 0 <= index < n_frames:
        raise ParamsError(
            f"--frame: expected first, middle, last, or 0 to {n_frames - 1}, got '{text}'; for example --frame middle"
        )
    return index


def _preview(movie: Movie, params: Any, drawn: int, out: Path) -> None:
    import numpy as np
    import pandas as pd

    from migradetect.cli._console import print_line, print_table
    from migradetect.pipeline import Previewer

    last = movie.n_frames - 1
    rows = []
    # noise and PSF are those of the movie, and frames that are neighbours of several are prepared once
    previewer = Previewer(movie)
    for index in sorted({0, last // 2, last, drawn}):
        found = previewer.final(params, index)
        counts = {
            "frame": index,
            "cells": len(np.unique(found.cells[found.cells > 0])),
            "fibers": len(np.unique(found.fibers[found.fibers > 0])),
            "candidates": len(found.spots),
        }
        rows.append(counts)
        if index == drawn:
            _draw(movie, found, counts, out)
    headings = {name: name for name in rows[0]} | {"candidates": "migrasome candidates"}
    print_table(pd.DataFrame(rows), headings)
    print_line(f"Overlay of frame {drawn}: {out}")


def _draw(movie: Movie, found: Any, counts: dict[str, int], out: Path) -> None:
    from migradetect.io import atomic_write_bytes
    from migradetect.plots import preview_png

    role = "tspan4" if "tspan4" in found.images else next(iter(found.images))
    time_min = movie.calibration.minutes(float(counts["frame"]))
    when = "" if movie.n_frames == 1 else f", {time_min:g} min"
    picture = preview_png(
        found.images[role],
        movie.calibration,
        title=f"{movie.movie_id}, frame {counts['frame']}{when}, {role}",
        cells=found.cells,
        fibers=found.fibers,
        spots=found.spots,
        counts={
            "cells": f"{counts['cells']} cells",
            "fibers": f"{counts['fibers']} retraction fibers",
            "migrasomes": f"{counts['candidates']} migrasome candidates",
        },
    )
    atomic_write_bytes(out, picture)
