"""What the benchmark of speed runs, and how a process is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from nellie_peer import has_nellie
from speed_movies import CALIBRATION, Field, make_noise_movie

__all__ = ["Case", "Measured", "cases", "measure"]

HERE = Path(__file__).parent
PROJECT, NAIVE = "migradetect", "naive"
#: One thread per library for all: cores are compared, not thread pools.
_ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "TIFFFILE", "BLOSC")
}


@dataclass(frozen=True)
class Case:
    """One process to measure.

    Parameters
    ----------
    name : str
        What it is compared as: by size, frames, workers, or a part.
    method : str
        The project or a peer.
    size_px, n_frames, n_movies, workers : int
        The work; 0 where there is no movie.
    command : tuple of str
        Its last word may be ``{out}``, a new folder for each run.
    channels : int
        Channels that are analysed, for the number of pixels.
    """

    name: str
    method: str
    size_px: int
    n_frames: int
    command: tuple[str, ...]
    n_movies: int = 1
    workers: int = 1
    channels: int = 2

    @property
    def megapixels(self) -> float:
        """Frames x height x width x channels x movies / 10^6."""
        return self.size_px**2 * self.n_frames * self.channels * self.n_movies / 1e6

    @property
    def key(self) -> str:
        """Name of the case in the table of runs."""
        return f"{self.name}|{self.method}|{self.size_px}|{self.n_frames}|{self.n_movies}|{self.workers}"


@dataclass(frozen=True)
class Measured:
    """One run of a case: seconds of the wall and of all processors, and memory in MB.

    `peak_mb` is that of the largest process, as the system counts it; `peak_all_mb` that of all processes together,
    looked at ten times a second. `part_s` is what a part took without imports; NaN for others.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    peak_all_mb: float
    part_s: float


def measure(command: list[str], log: Path) -> Measured:
    """Run a process and count what it and its children used.

    Raises
    ------
    RuntimeError
        If it fails; the log has its words.
    """
    environ = os.environ | _ONE_THREAD
    report = log.with_suffix(".json")
    launcher = [sys.executable, "-S", str(HERE / "speed_launch.py"), str(report)]
    with log.open("w+", encoding="utf-8") as file:
        process = subprocess.Popen([*launcher, *command], env=environ, stdout=file, stderr=file, cwd=HERE)
        watch = _Watch(process.pid)
        process.wait()
        watch.stop()
        file.seek(0)
        said = file.read()
    used = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {"code": process.returncode}
    code = used.pop("code")
    if code:
        raise RuntimeError(f"exit code {code}: {' '.join(said.split())[-300:]}")
    part = float("nan")
    last = said.strip().splitlines()[-1:] or [""]
    if last[0].startswith('{"seconds"'):
        part = float(json.loads(last[0])["seconds"])
    return Measured(**used, peak_all_mb=watch.peak_bytes / 1e6, part_s=part)


class _Watch(threading.Thread):
    """Memory of a process and those below it, together."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._end, self.peak_bytes = pid, threading.Event(), 0
        self.start()

    def run(self) -> None:
        import psutil

        while not self._end.wait(0.1):
            try:
                root = psutil.Process(self._pid)
                total = 0
                for one in (root, *root.children(recursive=True)):
                    try:
                        total += one.memory_info().rss
                    except psutil.Error:
                        continue
                self.peak_bytes = max(self.peak_bytes, total)
            except psutil.Error:
                continue

    def stop(self) -> None:
        self._end.set()
        self.join()


def _run(paths: list[Path], workers: int = 1) -> tuple[str, ...]:
    files = map(str, paths)
    return (sys.executable, "-m", "migradetect", "run", *files, "--workers", str(workers), "--channels", "tspan4,wga",
            "--out", "{out}")  # fmt: skip


def _naive(path: Path) -> tuple[str, ...]:
    interval = CALIBRATION.frame_interval_s or 0
    return (sys.executable, "naive_pipeline.py", str(path), "--pixel-size-um", str(CALIBRATION.pixel_size_um),
            "--frame-interval-s", str(interval), "{out}")  # fmt: skip


def _part(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "speed_parts.py", name, *arguments)


def cases(
    field: Field,
    sizes: list[int],
    frames: list[int],
    workers: list[int],
    *,
    size_frames: int,
    peer_frames: int,
    time_size: int,
    naive_frames: list[int],
    is_quick: bool = False,
) -> list[Case]:
    """All cases; movies are made where absent.

    Parameters
    ----------
    field : Field
        Where movies come from.
    sizes, frames, workers : list of int
        Of the three comparisons.
    size_frames : int
        Frames of the project's movies in the comparison of sizes.
    peer_frames : int
        Frames of the peers there, which take as long for each.
    time_size : int
        Size of the movies in the comparison of lengths and of workers.
    naive_frames : list of int
        Lengths at which the naive pipeline takes part there.
    is_quick : bool
        Leave out the parts that take minutes.
    """
    found = []
    for size in sizes:
        (whole,), (few,) = field.movie(size, size_frames), field.movie(size, peer_frames)
        found.append(Case("size", PROJECT, size, size_frames, _run([whole])))
        found.append(Case("size", NAIVE, size, peer_frames, _naive(few)))
        for peer in ("trackpy", "blob_log"):
            found.append(Case("size", peer, size, peer_frames, _part(peer, str(few)), channels=1))
    for n in frames:
        (movie,) = field.movie(time_size, n)
        found.append(Case("frames", PROJECT, time_size, n, _run([movie])))
        if n in naive_frames:
            found.append(Case("frames", NAIVE, time_size, n, _naive(movie)))
    copies = field.movie(time_size, min(frames), max(workers))
    for number in workers:
        command = _run(copies, number)
        found.append(Case("workers", PROJECT, time_size, min(frames), command, len(copies), number))
    found.append(Case("start", "help", 0, 0, (sys.executable, "-m", "migradetect", "--help")))
    (one,) = field.movie(min(sizes), 1)
    found.append(Case("start", "smallest run", min(sizes), 1, _run([one])))
    (largest,) = field.movie(max(sizes), 1)
    preview = (sys.executable, "-m", "migradetect", "preview", str(largest), "--channels", "tspan4,wga", "--out")
    found.append(Case("start", "preview", max(sizes), 1, (*preview, "{out}.png")))
    if not is_quick:
        for part in ("link_project", "link_trackpy", "growth_project", "growth_curve_fit"):
            found.append(Case("part", part, 0, 0, _part(part)))
    noise = make_noise_movie(field.folder, max(sizes))
    found.append(Case("noise", PROJECT, max(sizes), 3, _run([noise])))
    if has_nellie():
        (small,) = field.movie(min(sizes), 3)
        found.append(Case("size", "nellie", min(sizes), 3, _part("nellie", str(small)), channels=1))
    return found
