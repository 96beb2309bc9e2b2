"""Score the library on movies of this simulator: ``python -m second_simulator.score --kinds typical dim --out DIR``.

Below DIR: ``movies``, ``truth/<movie_id>``, ``results/<movie_id>``, ``scores.csv`` (all metrics, each movie and pooled)
and ``table.txt``. What is complete is not made again, unless ``--force`` is given: after a change of the library give
another DIR or force.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from migradetect.evaluate import evaluate_many
from migradetect.io import is_complete, load_results, open_movie, write_movie, write_results

from . import KINDS, simulate

__all__ = ["COLUMNS", "main", "run_one", "score_table"]

#: Column of the table -> metric of the evaluation.
COLUMNS = {
    "prec": "precision",
    "rec": "recall",
    "F1": "f1",
    "HOTA": "hota",
    "d_err%": "diameter_error",
    "d_bias%": "diameter_bias",
    "cntMAE": "count_relative_mae",
    "parent": "parent_accuracy",
    "locMR": "location_macro_recall",
    "birthF": "birth_error_frames",
    "plat%": "plateau_diameter_error",
    "tau%": "tau_error",
    "fateMR": "fate_macro_recall",
    "SEG": "cell_seg",
    "cellF1": "cell_f1",
    "fibF1": "fiber_f1",
    "fp/frm": "false_per_frame",
}


def run_one(kind: str, seed: int, out: Path, force: bool = False) -> tuple[str, float | None, str | None]:
    """Simulate, analyse and write one movie.

    Parameters
    ----------
    kind, seed : str, int
        Which movie.
    out : Path
        Folder of the run.
    force : bool
        Make again what is there.

    Returns
    -------
    movie_id : str
    seconds : float or None
        Of the analysis; None if it was there.
    error : str or None
        One line, if it failed.
    """
    import cv2

    from migradetect.params import load_params
    from migradetect.pipeline import analyze

    cv2.setNumThreads(1)
    name = f"{kind}_{seed:05d}"
    truth, results, path = out / "truth" / name, out / "results" / name, out / "movies" / f"{name}.ome.tif"
    try:
        if force or not (is_complete(truth) and path.is_file()):
            movie, known = simulate(kind, seed)
            data = np.stack([[movie.source.read(t, c) for c in range(len(movie.roles))] for t in range(movie.n_frames)])
            path.parent.mkdir(parents=True, exist_ok=True)
            write_movie(path, data, "TCYX", movie.calibration, movie.roles)
            write_results(known, truth, "parquet")
        elif is_complete(results):
            return name, None, None
        else:
            movie = open_movie(path)
        start = time.perf_counter()
        found = analyze(movie, load_params("fixed" if kind == "fixed" else "default", environ={}))
        seconds = time.perf_counter() - start
        found.movie_id = name
        found.provenance["seconds"] = seconds
        write_results(found, results, "parquet")
    except Exception as error:  # noqa: BLE001 (one bad movie must not end the run; it is reported)
        return name, None, f"{type(error).__name__}: {error}"
    return name, seconds, None


def score_table(out: Path, names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of movies that were run: a table by kind and over all, and every metric of every movie.

    Parameters
    ----------
    out : Path
        Folder of the run.
    names : sequence of str
        Movies.

    Returns
    -------
    table, scores : pandas.DataFrame
    """
    rows, parts = [], []
    kinds = list(dict.fromkeys(name.rsplit("_", 1)[0] for name in names))
    for kind in [*kinds, "all"]:
        members = [name for name in names if kind in ("all", name.rsplit("_", 1)[0])]
        loaded = [(load_results(out / "results" / n), load_results(out / "truth" / n)) for n in members]
        scores = evaluate_many((r, t, float(t.provenance["calibration"]["pixel_size_um"])) for r, t in loaded)
        if kind != "all":
            parts.append(scores[scores["movie_id"] != "all"])
        pooled = scores[scores["movie_id"] == "all"].set_index("metric")
        parts.append(scores[scores["movie_id"] == "all"].assign(movie_id=f"pooled {kind}"))
        seconds = [float(r.provenance.get("seconds", np.nan)) for r, _ in loaded]
        row: dict[str, Any] = {"kind": kind, "n": int(pooled.loc["recall", "n"])}
        row |= {short: float(pooled.loc[metric, "value"]) for short, metric in COLUMNS.items()}
        rows.append({**row, "s": float(np.nanmean(seconds))})
    return pd.DataFrame(rows), pd.concat(parts, ignore_index=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="second_simulator.score", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=1, help="movies of each kind")
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--force", action="store_true", help="make again what is there")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    jobs = [(kind, seed) for seed in range(args.first_seed, args.first_seed + args.seeds) for kind in args.kinds]
    done = []
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run_one, kind, seed, args.out, args.force) for kind, seed in jobs]
        for future in futures:
            name, seconds, error = future.result()
            print(name, error or ("there" if seconds is None else f"{seconds:.1f} s"), flush=True)
            if error is None:
                done.append(name)
    order = [name for kind in args.kinds for name in done if name.rsplit("_", 1)[0] == kind]
    if not order:
        raise SystemExit("no movie could be scored")
    table, scores = score_table(args.out, order)
    scores.to_csv(args.out / "scores.csv", index=False)
    text = table.round(3).to_string(index=False)
    (args.out / "table.txt").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
