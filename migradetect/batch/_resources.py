"""How many movies this computer, or the part of it that a job was given, can analyse at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migradetect.errors import MigradetectError

if TYPE_CHECKING:
    from migradetect.io import MovieEntry

__all__ = ["WorkerPlan", "auto_workers", "available_bytes", "available_cores", "peak_bytes", "plan_workers"]

#: Peak memory of a worker: libraries and tables, and per pixel of a frame the images of the sliding window. Measured by
#: `workflows/benchmark/memory.py` (0.43 GB at 512 x 512 x 2, 0.52 at 1024, 1.0 at 2048), rounded up by a fifth.
BASE_BYTES, BYTES_PER_PIXEL = 460_000_000, 175
#: Linking sees the candidates of all frames; bytes for each pixel of each frame. 500 frames of 2048 x 2048 x 2 take
#: 1.6 GB, 200 take 0.94.
BYTES_PER_PIXEL_AND_FRAME = 0.6
#: Movies that are opened to see how large a frame is: those with the largest files, and some spread over the others.
_LOOKED_AT = 64
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """Number of processes, and why not more.

    Parameters
    ----------
    workers : int
        Processes.
    cores : int
        Cores that may be used.
    available_bytes : int or None
        Memory that is free; None where the system does not tell.
    peak_bytes : int or None
        Estimated peak of a worker; None where no movie could be opened.
    """

    workers: int
    cores: int
    available_bytes: int | None
    peak_bytes: int | None

    @property
    def cores_used(self) -> int:
        """Cores that are put to use: all of them where only the number of movies limits the processes."""
        is_short = self.note is not None
        return self.workers if is_short else max(self.workers, self.cores)

    @property
    def note(self) -> str | None:
        """One line where memory allows fewer processes than cores and movies would; else None."""
        if (
            self.available_bytes is None
            or self.peak_bytes is None
            or self.available_bytes >= self.peak_bytes * (self.workers + 1)
        ):
            return None
        free, peak = self.available_bytes / 1e9, self.peak_bytes / 1e9
        if free < peak:
            return f"a movie may need {peak:.1f} GB and {free:.1f} GB of memory are free; close other programs"
        return (
            f"{self.workers} of {self.cores} cores used: {free:.1f} GB of memory are free and a movie may need "
            f"{peak:.1f} GB; --workers sets another number"
        )


def plan_workers(entries: Sequence[MovieEntry]) -> WorkerPlan:
    """Processes that suit these movies and this computer.

    Parameters
    ----------
    entries : sequence of MovieEntry
        Movies; of many some are opened.

    Returns
    -------
    WorkerPlan
    """
    peak = _largest_peak(entries)
    cores, free = available_cores(), available_bytes()
    return WorkerPlan(auto_workers(len(entries), peak), cores, free, peak)


def auto_workers(n_movies: int, peak: int | None = None) -> int:
    """One process per core it may use and movie, and no more than fit into the free memory; at least 1.

    Parameters
    ----------
    n_movies : int
        Movies to analyse.
    peak : int, optional
        Memory that one of them needs, bytes.
    """
    count = min(available_cores(), n_movies)
    free = available_bytes() if peak else None
    if peak and free is not None:
        count = min(count, free // peak)
    return max(1, count)


def peak_bytes(height_px: int, width_px: int, n_frames: int = 1) -> int:
    """Estimated peak memory of a worker, bytes: that of images, or from about 290 frames on that of linking.

    Two channels are assumed; one needs a little less.
    """
    return BASE_BYTES + round(height_px * width_px * max(BYTES_PER_PIXEL, BYTES_PER_PIXEL_AND_FRAME * n_frames))


def _largest_peak(entries: Sequence[MovieEntry]) -> int | None:
    from migradetect.batch._shards import size_bytes
    from migradetect.io import open_movie

    by_size = sorted(entries, key=lambda entry: (-size_bytes(entry), entry.movie_id))
    few = by_size[: _LOOKED_AT // 2]
    rest = by_size[_LOOKED_AT // 2 :]
    few += rest[:: max(1, len(rest) // (_LOOKED_AT // 2))]
    peaks = []
    for entry in few:
        with contextlib.suppress(MigradetectError):  # it will fail by itself, and say why
            movie = open_movie(entry)
            peaks.append(peak_bytes(movie.height, movie.width, movie.n_frames))
    return max(peaks, default=None)


def available_cores() -> int:
    """Cores that this process may use: affinity, as set by a scheduler, and the quota of its container."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows and macOS
        cores = os.cpu_count() or 1
    quotas = []
    for folder in _cgroups("cpu"):
        with contextlib.suppress(OSError, ValueError):
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text()
            if quota not in ("max", "-1"):
                quotas.append(max(1, int(quota) // int(period)))
    return max(1, min([cores, *quotas]))


def available_bytes() -> int | None:
    """Memory that this process may still take: of the computer, of its container, of its SLURM job."""
    import psutil

    limits = [int(psutil.virtual_memory().available)]
    for folder in _cgroups("memory"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            limits.append(_left_in_cgroup(folder))
    with contextlib.suppress(KeyError, ValueError):
        limits.append(_slurm_bytes())
    return min(limits)


def _left_in_cgroup(folder: Path) -> int:
    is_v2 = (folder / "memory.max").exists()
    limit = (folder / ("memory.max" if is_v2 else "memory.limit_in_bytes")).read_text().strip()
    used = int((folder / ("memory.current" if is_v2 else "memory.usage_in_bytes")).read_text())
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    # files that were read count as used until somebody needs the room
    cache = int(stat["inactive_file" if is_v2 else "total_inactive_file"])
    return max(0, int(limit) - used + cache)


def _slurm_bytes() -> int:
    """What the job asked for, MB in SLURM's variables; where it is not enforced by a cgroup, exceeding it kills."""
    environ = os.environ
    if "SLURM_MEM_PER_NODE" in environ:
        return int(environ["SLURM_MEM_PER_NODE"]) * 2**20 or 2**62  # 0 asks for all of the node
    return int(environ["SLURM_MEM_PER_CPU"]) * int(environ["SLURM_CPUS_ON_NODE"]) * 2**20


def _cgroups(controller: str) -> list[Path]:
    """Folders of the control groups of this process, its own and those above it."""
    try:
        lines = [line.split(":", 2) for line in _OWN_CGROUP.read_text().splitlines()]
    except OSError:  # not Linux
        return []
    folders: list[Path] = []
    for _, names, path in lines:
        if names and controller not in names.split(","):
            continue
        root = _CGROUPS / names if names else _CGROUPS
        inside = root / path.lstrip("/")
        # in a container the path may be that of the host, and only the root is in view
        chain = [inside, *inside.parents]
        folders += [folder for folder in chain[: chain.index(root) + 1] if folder.is_dir()]
    return folders
