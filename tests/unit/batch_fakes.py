"""Stand-ins for the pipeline that worker processes can import; what they do depends on the movie's name."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from migradetect.errors import CancelledError, ReadError
from migradetect.io import write_movie
from migradetect.results import LabelStack, Results
from migradetect.tables import conform_table


def make_movies(folder, *names, n_frames=2):
    from migradetect import Calibration

    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        data = np.random.default_rng(seed).integers(90, 110, (n_frames, 1, 16, 16), dtype=np.uint16)
        write_movie(folder / f"{name}.ome.tif", data, "TCYX", Calibration(0.1, 60.0), ["tspan4"])
    return folder


def results_of(movie):
    summary = pd.DataFrame(
        {"cell_id": [1, 2], "n_frames": movie.n_frames, "n_migrasomes": [3, 0], "fiber_length_um": 1.0}
    ).assign(movie_id=movie.movie_id, touches_border=False)
    frames = pd.DataFrame({"frame": range(movie.n_frames), "n_cells": 2, "n_candidates": 0}).assign(
        movie_id=movie.movie_id, qc_flags=["dim", *[""] * (movie.n_frames - 1)]
    )
    tables = {name: conform_table(name, table) for name, table in (("cell_summary", summary), ("frames", frames))}
    labels = LabelStack(movie.shape_yx)
    labels.append(np.ones(movie.shape_yx, dtype=int))
    return Results(movie.movie_id, tables, {"cells": labels})


def analyze(movie, params, *, progress=None, cancel=None):
    name = movie.movie_id
    if "unreadable" in name:
        raise ReadError(f"{name}: expected pixels,\n got none; record it again")
    if "bug" in name:
        raise ZeroDivisionError("division by zero")
    if "memory" in name:
        raise MemoryError
    if "killed" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "threads" in name:
        import cv2

        movie = type(movie)(**{f: getattr(movie, f) for f in movie.__slots__} | {"movie_id": name})
        warnings.warn(f"threads {os.environ['OMP_NUM_THREADS']} {cv2.getNumThreads()}", stacklevel=1)
    if "second" in name:
        # the first time it waits to be killed, and the second time it is quick
        note = Path(movie.provenance["path"]).with_name(f"{name}.pid")
        is_first = not note.exists()
        note.write_text(str(os.getpid()))
        if is_first:
            time.sleep(60)
    if "report_threads" in name:
        import cv2
        import numba

        said = f"{os.environ['OMP_NUM_THREADS']} {cv2.getNumThreads()} {numba.get_num_threads()}"
        Path(movie.provenance["path"]).with_name(f"{name}.txt").write_text(said)
    deadline = time.monotonic() + (60 if "slow" in name or "deaf" in name else 0)
    while time.monotonic() < deadline:
        if "slow" in name and cancel is not None and cancel():
            raise CancelledError("stopped")
        time.sleep(0.02)
    if progress is not None:
        progress("detect", 1, 1)
    return results_of(movie)
