"""``migradetect simulate``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "simulate"
EXAMPLE = "Example: [bold]migradetect simulate typical --out simulated --seed 1 --n 2 --set n_frames=30[/]"


class Kind(StrEnum):
    """Container of a simulated movie."""

    OME = "ome-tiff"
    IMAGEJ = "imagej"
    SEQUENCE = "sequence"


def command(
    condition: Annotated[str, typer.Argument(help="Imaging condition, such as typical.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the movies; truth goes to its subfolder truth.")],
    seed: Annotated[int, typer.Option(help="First seed; each further movie takes the next.", min=0)] = 0,
    n: Annotated[int, typer.Option("--n", help="Number of movies.", min=1)] = 1,
    kind: Annotated[Kind, typer.Option(help="How the movie is stored.")] = Kind.OME,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the condition.", show_default=False),
    ] = None,
) -> None:
    """Write simulated movies and their ground truth."""
    from dataclasses import asdict

    from migradetect.cli._console import print_line
    from migradetect.errors import OutputError
    from migradetect.io import write_movie, write_results
    from migradetect.synthetic import simulate

    overrides = _overrides(assignments or ())
    try:
        (out / "truth").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: expected a folder that can be written, got {error.strerror}") from error
    for number in range(seed, seed + n):
        simulation = simulate(condition, number, **overrides)
        truth = simulation.truth
        name = truth.movie_id
        path = out / (name if kind is Kind.SEQUENCE else f"{name}{'.ome' if kind is Kind.OME else ''}.tif")
        write_movie(
            path,
            simulation.data,
            simulation.axes,
            simulation.calibration,
            simulation.roles,
            kind.value,
            simulation.params.z_step_um if "Z" in simulation.axes else None,
        )
        # label stacks and `evaluate` need the pixel size without the movie beside them
        truth.provenance["calibration"] = asdict(simulation.calibration)
        write_results(truth, out / "truth" / name)
        print_line(
            f"{path}: {len(truth.tracks)} migrasomes of {len(truth.cell_summary)} cells; "
            f"truth in {out / 'truth' / name}"
        )


def _overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """Values of ``--set``, each of the kind that the simulation takes."""
    from dataclasses import asdict

    from migradetect.errors import ParamsError, nearest_name
    from migradetect.synthetic import SimulationParams

    defaults = asdict(SimulationParams())
    overrides = {}
    for key, value in map(_assignment, assignments):
        if key not in defaults:
            near = nearest_name(key, defaults)
            raise ParamsError(f"--set: expected a value of the simulation, got '{key}'{near}; see SimulationParams")
        default = defaults[key]
        if isinstance(default, tuple):
            value = tuple(value) if isinstance(value, list) else tuple(str(value).split(","))
        elif isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(default):
            raise ParamsError(f"--set: expected a value like {default} for {key}, got '{value}'")
        overrides[key] = value
    return overrides


def _assignment(text: str) -> tuple[str, Any]:
    """``key=value`` with the value read as TOML, or as text where it is none."""
    import tomllib

    from migradetect.errors import ParamsError

    key, equals, value = text.partition("=")
    if not equals or not key.strip().isidentifier():
        raise ParamsError(f"--set: expected key=value, got '{text}'; for example --set n_frames=30")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
