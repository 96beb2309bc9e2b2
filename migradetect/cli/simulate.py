"""``migradetect simulate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "simulate"
EXAMPLE = "Example: [bold]migradetect simulate easy --out simulated --seed 1 --n 2 --set n_frames=30[/]"


class Kind(StrEnum):
    """Container of a simulated movie."""

    OME = "ome-tiff"
    IMAGEJ = "imagej"
    SEQUENCE = "sequence"


def command(
    condition: Annotated[str, typer.Argument(help="Imaging condition, such as easy.", show_default=False)],
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
    from migradetect.cli._console import stdout
    from migradetect.errors import OutputError
    from migradetect.io import write_movie, write_results
    from migradetect.synthetic import simulate

    overrides = dict(_assignment(text) for text in assignments or ())
    try:
        (out / "truth").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: expected a folder that can be written, got {error.strerror}") from error
    for number in range(seed, seed + n):
        simulation = simulate(condition, number, **overrides)
        truth = simulation.truth
        name = truth.movie_id
        path = out / (name if kind is Kind.SEQUENCE else f"{name}{'.ome' if kind is Kind.OME else ''}.tif")
        write_movie(path, simulation.movie(), kind=kind.value)
        write_results(truth, out / "truth" / name)
        stdout().print(
            f"{path}: {len(truth.tracks)} migrasomes of {len(truth.cell_summary)} cells; "
            f"truth in {out / 'truth' / name}",
            soft_wrap=True,
        )


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
