"""Movies on which the trees of :mod:`migradetect.assign` are trained: simulated, analysed, and matched to the truth."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, as_completed
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pandas as pd
from both_simulators import SINGLE, simulated

from migradetect.assign import ArmReader
from migradetect.evaluate.matching import match_migrasomes, match_tracks
from migradetect.io import load_results, write_results
from migradetect.params import AssignParams, Params, load_params
from migradetect.pipeline import analyze
from migradetect.results import Results

#: Simulator (``own`` or ``second``), kind of movie, and seed.
Job = tuple[str, str, int]


def analyse_missing(jobs: Sequence[Job], folder: Path, pool: Executor) -> list[str]:
    """Analyse what is not in the folder yet; names of all movies."""
    names = ["{}_{}_{}".format(*job) for job in jobs]
    waiting = {
        pool.submit(analyse, *job, folder): name
        for job, name in zip(jobs, names, strict=True)
        if not (folder / "truth" / name / "movie.json").exists()
    }
    for future in as_completed(waiting):
        print(f"{waiting[future]}: {future.result():.0f} s", file=sys.stderr)
    return names


def analyse(source: str, kind: str, seed: int, folder: Path) -> float:
    """Simulate and analyse one movie into `folder`; seconds taken.

    `source` is ``own`` or ``second``. Beside results and truth the light around each migrasome is kept, ``rays``.
    """
    cv2.setNumThreads(1)
    start = time.perf_counter()
    movie_id = f"{source}_{kind}_{seed}"
    movie, truth = simulated(source, kind, seed)
    readers: list[ArmReader] = []

    class Kept(ArmReader):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            self.place_um = np.stack(args[:2], axis=1)
            readers.append(self)

    # the rules need no trained trees, and all else is the same
    preset = load_params("fixed", environ={}) if source == "second" and kind in SINGLE else Params()
    params = preset.model_copy(update={"assign": AssignParams(method="rules")})
    with patch("migradetect.pipeline._pass3.ArmReader", Kept):
        results = analyze(movie, params)
    write_results(results, folder / "results" / movie_id)
    (folder / "rays").mkdir(parents=True, exist_ok=True)
    kept = {} if not readers else {"place_um": readers[-1].place_um} | vars(readers[-1].rays())
    np.savez_compressed(folder / "rays" / f"{movie_id}.npz", **kept)
    # the truth last: its presence says that the movie is complete
    write_results(truth, folder / "truth" / movie_id)
    return time.perf_counter() - start


def matched(folder: Path, movie_id: str) -> tuple[Results, Results, pd.DataFrame] | None:
    """Results, truth, and the tracks that are the same migrasome (truth_id, pred_id); None without any."""
    results, truth = load_results(folder / "results" / movie_id), load_results(folder / "truth" / movie_id)
    if results.migrasomes.empty or truth.migrasomes.empty:
        return None
    frames = np.unique(truth.frames["frame"].to_numpy(int))
    return results, truth, match_tracks(match_migrasomes(truth.migrasomes, results.migrasomes, frames))
