"""Runs a small batch again and again, breaks it at its n-th file operation, and checks what is left.

``python tests/unit/fault_driver.py --help``. One process imports everything and never computes; each run is a fork of
it, so that a point costs tenths of a second. Every file operation of migradetect below the output folder counts:
opening for writing, each write, fsync, rename, mkdir, chmod, remove.
"""

from __future__ import annotations

import argparse
import builtins
import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import batch_fakes
import numpy as np
import pandas as pd

import migradetect.io.atomic
from migradetect import Calibration
from migradetect.batch import run_batch
from migradetect.errors import MigradetectError
from migradetect.io import find_movies, is_complete, write_movie
from migradetect.params import load_params

KINDS = ("kill", "full", "stays-full", "short")
_EVENTS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "shutil.copyfile")


class Faults:
    """Counts the operations below a folder and breaks one of them."""

    def __init__(self, root: Path, at: int = 0, kind: str = "kill") -> None:
        self.root, self.at, self.kind, self.count = str(root), at, kind, 0

    def arm(self) -> None:
        sys.addaudithook(self._hook)
        real_fsync, real_open = os.fsync, builtins.open

        def fsync(handle: int) -> None:
            self.hit()
            real_fsync(handle)

        os.fsync = fsync
        migradetect.io.atomic.open = lambda name, mode: _File(real_open(name, mode), self)

    def _hook(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            path, writes = (arguments or ("",))[0], event in _EVENTS
        if writes and isinstance(path, str | Path) and str(path).startswith(self.root):
            self.hit()

    def is_due(self) -> bool:
        self.count += 1
        return self.count == self.at or (self.kind == "stays-full" and 0 < self.at <= self.count)

    def hit(self) -> None:
        if self.is_due():
            self.strike()

    def strike(self) -> None:
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _File:
    """A file whose n-th write breaks in the middle."""

    def __init__(self, file, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, data) -> int:
        if self._faults.is_due():
            half = memoryview(data).cast("B")[: len(data) // 2]
            self._file.write(half)
            self._file.flush()
            if self._faults.kind == "short":  # takes half and says so, as the system call may
                return len(half)
            self._faults.strike()
        return self._file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def make_movies(folder: Path) -> None:
    """Two movies of 64 x 64 pixels and 3 frames, with bright bodies, lines and beads."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:64, :64]
    for seed, name in enumerate(("a", "b")):
        rng = np.random.default_rng(seed)
        scene = 400.0 * (np.hypot(y - 20, x - 18 - 3 * seed) < 12)
        scene += 60 * np.exp(-((y - 20 - 0.6 * (x - 20)) ** 2) / 2) * (x > 20)
        scene += 300 * np.exp(-((y - 44) ** 2 + (x - 60) ** 2) / 8)
        data = np.stack([rng.poisson(scene + 100) for _ in range(3)])[:, np.newaxis].astype(np.uint16)
        write_movie(folder / f"{name}.ome.tif", data, "TCYX", Calibration(0.2, 120.0), ["tspan4"])


def fingerprint(out: Path) -> dict[str, str]:
    """Checksum of every table and label stack."""
    files = [path for path in sorted(out.rglob("*")) if path.suffix in (".parquet", ".csv", ".tif")]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Sweep:
    """Break a run at one operation, look at what is left, run again, compare."""

    def __init__(self, folder: Path, real: bool) -> None:
        self.folder, self.real = folder, real
        self.movies, self.out = folder / "movies", folder / "out"
        make_movies(self.movies)
        self.inputs = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.movies.iterdir()}

    def batch(self, preset: str = "default", faults: Faults | None = None) -> int:
        """Run in a fork; exit code 0 done, 1 some failed, 2 refused, 3 anything else, -9 killed."""
        sys.stdout.flush()
        child = os.fork()
        if not child:
            code = 3
            try:
                if faults is not None:
                    faults.arm()
                analyze = None if self.real else batch_fakes.analyze
                found = find_movies([self.movies])
                summary = run_batch(found, self.out, load_params(preset, environ={}), workers=0, analyze=analyze)
                code = int(summary.count("done") < len(found) or summary.problem is not None)
                for outcome in summary.outcomes:
                    assert outcome.status == "done" or outcome.error, outcome
            except MigradetectError as error:
                sys.stdout.write(f"  refused: {error}\n")
                code = 2
            except Exception:  # noqa: BLE001 (it must not return into the loop of its parent)
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                if faults is not None:
                    (self.folder / "count").write_text(str(faults.count))
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def reset(self, is_replacing: bool) -> None:
        """An output folder that is absent, or one with results of other parameters."""
        shutil.rmtree(self.out, ignore_errors=True)
        if is_replacing:
            shutil.copytree(self.folder / "earlier", self.out)

    def check_rest(self) -> None:
        """Nothing that is left looks complete without being so."""
        assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.movies.iterdir()} == self.inputs
        if not self.out.exists():
            return
        visible = [path for path in self.out.iterdir() if path.is_dir() and not path.name.startswith(".")]
        for path in visible:
            assert is_complete(path, verify=True), path
        if (self.out / "run.json").exists():
            json.loads((self.out / "run.json").read_text())
        for path in self.out.glob("movies.*"):
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
            assert len(table) in (0, 2), path

    def sweep(self, kind: str, is_replacing: bool, n_points: int) -> tuple[int, int]:
        """Number of points, and of operations."""
        self.reset(is_replacing)
        counter = Faults(self.out)
        assert self.batch(faults=counter) == 0
        total = int((self.folder / "count").read_text())
        expected = fingerprint(self.out)
        assert len(expected) > 30, "test invalid: hardly any result"
        points = sorted({round(k) for k in np.linspace(1, total, min(n_points, total))})
        for at in points:
            self.reset(is_replacing)
            code = self.batch(faults=Faults(self.out, at, kind))
            assert code == -9 if kind == "kill" else code in (0, 1, 2), (kind, at, code)
            self.check_rest()
            again = self.batch()
            assert again == 0, (kind, at, again)
            assert fingerprint(self.out) == expected, (kind, at)
            left = [path.name for path in self.out.iterdir() if path.name.startswith(".")]
            assert left == [".migradetect.lock"], (kind, at, left)
        return len(points), total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new folder to work in")
    parser.add_argument("--points", type=int, default=4, help="points per kind of fault and state of the output")
    parser.add_argument("--real", action="store_true", help="with the real analysis instead of a stand-in")
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    sweep = Sweep(options.folder, options.real)
    if options.real:
        # compiled and cached once, not in every fork
        sweep.batch()
        sweep.reset(False)
    assert sweep.batch("strict") == 0
    shutil.copytree(sweep.out, sweep.folder / "earlier")
    for kind in options.kinds.split(","):
        for is_replacing in (False, True):
            started = time.monotonic()
            points, total = sweep.sweep(kind, is_replacing, options.points)
            state = "replacing earlier results" if is_replacing else "into a new folder"
            took = time.monotonic() - started
            sys.stdout.write(f"{kind}, {state}: {points} of {total} operations, {took:.0f} s: all the same\n")


if __name__ == "__main__":
    main()
