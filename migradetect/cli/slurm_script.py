"""``migradetect slurm-script``."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migradetect.cli import _options as o
from migradetect.cli.run import Format

if TYPE_CHECKING:
    from migradetect.batch import Work

NAME = "slurm-script"
EXAMPLE = (
    "Example: [bold]migradetect slurm-script my_screen --out results --cpus 4 --partition short > screen.sh[/], then "
    "[bold]bash screen.sh[/]"
)
_SLURM = "SLURM"
#: Beside what the processes need: the parent, and files that are being written.
_SPARE_BYTES = 800_000_000
_LEAST_MINUTES = 30
#: Times the estimate that a job may take before SLURM ends it.
_PATIENCE = 3


def command(
    paths: o.Paths,
    out: Annotated[Path, typer.Option(help="Folder for the results; all nodes must see it.", show_default=False)],
    shards: Annotated[str, typer.Option(metavar="N|auto", help="Jobs of the array.", rich_help_panel=_SLURM)] = "auto",
    minutes: Annotated[
        float, typer.Option(min=1, help="Minutes of work in a shard, for --shards auto.", rich_help_panel=_SLURM)
    ] = 60,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of a job.", rich_help_panel=_SLURM)] = 4,
    partition: Annotated[str | None, typer.Option(show_default=False, rich_help_panel=_SLURM)] = None,
    account: Annotated[str | None, typer.Option(show_default=False, rich_help_panel=_SLURM)] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            help="Further option for sbatch, such as --qos=long; may be repeated.",
            show_default=False,
            rich_help_panel=_SLURM,
        ),
    ] = None,
    setup: Annotated[
        list[str] | None,
        typer.Option(
            help="Line of shell that makes migradetect available, such as 'source ~/migra/bin/activate'; may be "
            "repeated.",
            show_default=False,
            rich_help_panel=_SLURM,
        ),
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
    table_format: Annotated[Format, typer.Option("--format", help="Files per table.")] = Format.BOTH,
) -> None:
    """Print a script that runs a batch as a SLURM job array and merges it; nothing is submitted."""
    from migradetect.batch import SlurmJob, estimate_work, slurm_script
    from migradetect.cli._console import print_note
    from migradetect.io import search_movies
    from migradetect.params import ENV_PREFIX

    inputs = {
        "channels": channels,
        "pixel_size_um": pixel_size_um,
        "frame_interval_s": frame_interval_s,
        "axes": axes,
        "projection": projection,
        "pattern": pattern,
        "plate": None if plate is None else str(Path(plate).absolute()),
        "allow_gaps": allow_gaps or None,
    }
    params = o.resolve(preset, config, assignments, **inputs)
    found = search_movies(paths, o.input_options(params, **inputs))
    work = estimate_work(found.entries)
    n_shards = _shards(shards, work, minutes, cpus, len(found.entries))
    needed = work.minutes(n_shards, cpus)
    job = SlurmJob(
        shards=n_shards,
        cpus=cpus,
        mem_mb=math.ceil((work.peak_bytes * cpus + _SPARE_BYTES) / 2**20 / 256) * 256,
        minutes=max(_LEAST_MINUTES, math.ceil(needed * _PATIENCE / 10) * 10),
        partition=partition,
        account=account,
        options=tuple(sbatch or ()),
        setup=tuple(setup or ()),
        environ={name: value for name, value in os.environ.items() if name.upper().startswith(ENV_PREFIX)},
    )
    run = ["migradetect", "run", *(str(path.absolute()) for path in paths), "--out", str(out.absolute())]
    run += _given("--preset", preset) + _given("--config", None if config is None else str(config.absolute()))
    for text in assignments or ():
        run += ["--set", text]
    for name, value in inputs.items():
        option = f"--{name.replace('_', '-')}"
        run += [option] if value is True else _given(option, value)
    run += [] if table_format is Format.BOTH else ["--format", table_format.value]
    typer.echo(slurm_script(job, run, out.absolute()), nl=False)
    skipped = len(found.entries) - work.n_movies
    unread = f", {skipped} of which can't be read" if skipped else ""
    print_note(
        f"{len(found.entries)} movies{unread}: {n_shards} shards of up to {needed:.0f} minutes on {cpus} cores, "
        f"{job.mem_mb / 1024:.1f} GB each. Submit with `bash FILE`."
    )


def _given(option: str, value: str | None) -> list[str]:
    # one word, so that a value that begins with a dash stays one
    return [] if value is None else [f"{option}={value}"]


def _shards(text: str, work: Work, minutes: float, cpus: int, n_movies: int) -> int:
    from migradetect.errors import ParamsError

    if text == "auto":
        return work.shards(minutes, cpus)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ParamsError(f"--shards: expected a number of at least 1, or auto, got '{text}'; for example --shards 40")
    return min(int(text), n_movies)
