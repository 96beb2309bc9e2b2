"""A job-array script for SLURM: shards as an array, and a job that merges them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from migradetect.errors import ParamsError

__all__ = ["SlurmJob", "slurm_script"]


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """What is asked of SLURM for each shard.

    Parameters
    ----------
    shards : int
        Jobs in the array.
    cpus : int
        Cores, and movies at a time, of a job.
    mem_mb : int
        Memory of a job, MiB.
    minutes : int
        Time limit of a job.
    partition, account : str or None
        As the site wants them.
    options : tuple of str
        Further options of ``sbatch``.
    setup : tuple of str
        Lines of shell that make ``migradetect`` available.
    environ : mapping of str to str
        Variables that the parameters were taken from.
    """

    shards: int
    cpus: int
    mem_mb: int
    minutes: int
    partition: str | None = None
    account: str | None = None
    options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)


_TEMPLATE = """\
#!/bin/bash
# migradetect on SLURM: {shards} shards as a job array, then a job that merges them.
#
#   bash THIS_FILE           submits both
#   bash THIS_FILE merge     merges by hand, such as after shards were run again
#
# Submit it again after a failure: movies that are complete are kept.

shards={shards}
out={out}
logs="$out/slurm"
common=(--job-name=migradetect{common})
resources=(--cpus-per-task={cpus} --mem={mem_mb}M --time={time})

run_shard() {{
    # exec, so that the signal before the time limit reaches migradetect, which then stops cleanly
    exec {run} --shard "$1/$shards" --workers "${{SLURM_CPUS_PER_TASK:-{cpus}}}"
}}

run_merge() {{
    exec {merge}
}}

prepare() {{
    {setup}
}}

submit() {{
    mkdir -p "$logs" || exit 2
    array=$(sbatch --parsable "${{common[@]}}" "${{resources[@]}}" --array="1-$shards" \\
        --output="$logs/%A_%a.log" "$0" shard) || exit 1
    # afterany: a movie that fails is a row of the table, and must not keep the others from being merged
    merge=$(sbatch --parsable "${{common[@]}}" --cpus-per-task=1 --mem=2G --time=04:00:00 \\
        --dependency="afterany:${{array%%;*}}" --output="$logs/merge_%j.log" "$0" merge) || exit 1
    echo "submitted: shards ${{array%%;*}}, merge ${{merge%%;*}}; logs in $logs"
}}

mode=${{1:-}}
if [ -z "$mode" ]; then
    if [ -n "${{SLURM_ARRAY_TASK_ID:-}}" ]; then mode=shard; else mode=submit; fi
fi
case "$mode" in
    submit) submit ;;
    shard) prepare && run_shard "$SLURM_ARRAY_TASK_ID" ;;
    merge) prepare && run_merge ;;
    *) echo "usage: bash $0 [submit|shard|merge]" >&2; exit 2 ;;
esac
"""


def slurm_script(job: SlurmJob, run: Sequence[str], out: Path) -> str:
    """Text of a script for bash.

    Parameters
    ----------
    job : SlurmJob
        What is asked of SLURM.
    run : sequence of str
        The command that is sharded, without ``--shard`` and ``--workers``, with absolute paths.
    out : Path
        Output folder, absolute.

    Returns
    -------
    str

    Raises
    ------
    ParamsError
        If a value can't stand in a script.
    """
    texts = [*run, str(out), *job.options, *job.setup, *job.environ.values()]
    if any("\0" in text or "\r" in text for text in texts):
        raise ParamsError("slurm-script: expected names without control characters, got one with them; rename it")
    common = [f"--partition={job.partition}"] if job.partition else []
    common += [f"--account={job.account}"] if job.account else []
    common += job.options
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(job.environ.items())]
    return _TEMPLATE.format(
        shards=job.shards,
        out=shlex.quote(str(out)),
        common="".join(f" {shlex.quote(option)}" for option in common),
        cpus=job.cpus,
        mem_mb=job.mem_mb,
        time=f"{job.minutes // 60:02d}:{job.minutes % 60:02d}:00",
        run=shlex.join(run),
        merge=shlex.join(["migradetect", "merge", str(out)]),
        setup="\n    ".join([*exports, *(f"{line} || exit 1" for line in job.setup)]) or ":",
    )
