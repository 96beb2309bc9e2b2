"""Options that several commands share, and how they become parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from migradetect.io import InputOptions
    from migradetect.params import Params

__all__ = [
    "AllowGaps",
    "Axes",
    "Channels",
    "Config",
    "FrameInterval",
    "Paths",
    "Pattern",
    "PixelSize",
    "Plate",
    "Preset",
    "Projection",
    "Set",
    "input_options",
    "resolve",
]

_INPUT = "Input (default: as the file says)"
_PARAMETERS = "Parameters"

Paths = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Folders or files with movies.", show_default=False)
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="default, sensitive (misses less), strict (fewer false ones) or fixed (single images).",
        show_default=False,
        rich_help_panel=_PARAMETERS,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="TOML file with parameters; `migradetect init` writes one.",
        show_default=False,
        rich_help_panel=_PARAMETERS,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="One parameter, such as spots.min_snr=5; may be repeated.",
        show_default=False,
        rich_help_panel=_PARAMETERS,
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        help="Roles in channel order, such as tspan4,wga; - leaves one out.",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]
PixelSize = Annotated[
    str | None,
    typer.Option(metavar="UM", help="Edge of a pixel in um.", show_default=False, rich_help_panel=_INPUT),
]
FrameInterval = Annotated[
    str | None,
    typer.Option(metavar="S", help="Seconds between frames.", show_default=False, rich_help_panel=_INPUT),
]
Axes = Annotated[
    str | None,
    typer.Option(help="Order of the planes, such as TCYX.", show_default=False, rich_help_panel=_INPUT),
]
Projection = Annotated[
    str | None,
    typer.Option(
        metavar="max|sum", help="How a z-stack becomes one plane.", show_default=False, rich_help_panel=_INPUT
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="File names: groups t, c, z count planes; others (well, condition, replicate) become columns.",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]
Plate = Annotated[
    str | None,
    typer.Option(
        metavar="CSV",
        help="Plate, well, condition, replicate of each movie; default: plate.csv in the folder.",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]
AllowGaps = Annotated[
    bool,
    typer.Option(
        "--allow-gaps",
        help="Analyse sequences with missing frames, with a warning that names them.",
        rich_help_panel=_INPUT,
    ),
]


def resolve(
    preset: str | None,
    config: Path | None,
    assignments: list[str] | None,
    **inputs: Any,
) -> Params:
    """Parameters of a command; `inputs` are the options of the input section, None where not given."""
    from migradetect.params import load_params, parse_assignment

    overrides = dict(parse_assignment(text) for text in assignments or ())
    # an option of its own wins over --set
    overrides |= {f"input.{name}": value for name, value in inputs.items() if value is not None}
    return load_params(preset, config, overrides=overrides)


def input_options(params: Params, **inputs: Any) -> InputOptions:
    """How files are read; remembers for the results which values came from the command line."""
    from dataclasses import fields

    from migradetect.io import InputOptions

    known = {field.name for field in fields(InputOptions)}
    values = {name: value for name, value in dict(params.input).items() if name in known}
    for name in ("pixel_size_um", "frame_interval_s"):
        place = "command line" if inputs.get(name) is not None else "config"
        values[f"{name.rpartition('_')[0]}_source"] = place
    return InputOptions(**values)
