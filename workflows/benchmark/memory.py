"""Peak memory of a run against the number of frames.

    python workflows/benchmark/memory.py --frames 30 120 --size 1024

Simulates one short movie, writes it forwards and backwards to files of the wanted lengths, analyses each with the
command line in a process of its own, and prints the largest resident memory that any process of the run reached.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def peak_of(command: list[str]) -> tuple[float, float]:
    """Largest resident memory of a process tree in MB, and its seconds."""
    import psutil

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        for one in [root, *_children(root)]:
            try:
                peak = max(peak, one.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return peak / 1e6, time.perf_counter() - start


def _children(root):  # type: ignore[no-untyped-def]
    import psutil

    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def main() -> int:
    """Simulate, write, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[30, 120])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--simulated-frames", type=int, default=30)
    options = parser.parse_args()
    from migradetect.batch import peak_bytes
    from migradetect.io import write_movie
    from migradetect.synthetic import simulate

    size = {"height_px": options.size, "width_px": options.size}
    simulation = simulate("typical", 910_000, n_frames=options.simulated_frames, **size)
    there_and_back = np.concatenate([np.arange(options.simulated_frames), np.arange(options.simulated_frames)[-2:0:-1]])
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for n in options.frames:
            path = Path(folder) / f"movie_{n}.tif"
            data = simulation.data[np.resize(there_and_back, n)]
            write_movie(path, data, "TCYX", simulation.calibration, list(simulation.roles), kind="imagej")
            out = Path(folder) / f"out_{n}"
            command = [sys.executable, "-m", "migradetect", "run", str(path), "--out", str(out), "--workers", "1",
                       "--channels", ",".join(simulation.roles)]  # fmt: skip
            peak, seconds = peak_of(command)
            peaks.append(peak)
            expected = peak_bytes(options.size, options.size, n) / 1e6
            words = f"peak {peak:.0f} MB (`--workers auto` reckons with {expected:.0f}), {seconds:.0f} s"
            print(f"{n} frames of {options.size} x {options.size} x 2: {words}", flush=True)
    print(f"largest over smallest: {max(peaks) / min(peaks):.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
