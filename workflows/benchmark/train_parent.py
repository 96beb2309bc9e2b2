"""Train the choice of the parent cell from the simulator and write it as plain arrays.

    python workflows/benchmark/train_parent.py --workers 2

Simulates and analyses varied movies, matches the migrasomes that were found to the true ones, describes each pair of a
migrasome and a cell, and fits gradient-boosted trees to tell the pairs of a migrasome and its parent. The accuracy that
is printed is cross-validated over movies. What is shipped, ``migradetect/data/parent.npz``, holds the trees as number
arrays only. Seeds from 60000 on are for training; the benchmarks use others. Movies are kept in a folder, so that a run
that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from assign_movies import analyse_missing, matched
from boosted_arrays import arrays_of, untrained_trees

from migradetect.assign import FEATURES
from migradetect.calibration import Calibration
from migradetect.results import Results

FIRST_SEED = 60_000
#: Movies of each condition.
MOVIES = {
    "typical": 8,
    "crowded": 4,
    "drifting": 3,
    "low_snr": 3,
    "coarse_pixels": 2,
    "fine_pixels": 2,
    "fixed_frame": 4,
    "clean": 3,
    "many_decoys": 2,
    "z_stack": 2,
    "random": 16,
}
#: Evidence that may only speak for (1) or against (-1) a cell, by physics: a migrasome stands where its cell has been,
#: behind its rear, and a fiber from before is another cell's. The rest may act either way.
DIRECTIONS = {
    "visited": 1,
    "visitors_after": -1,
    "covered_after_min": -1,
    "fiber_before": -1,
    "fiber_after": 1,
    "rear_cos_visit": 1,
    "trail_um": -1,
    "trail_share": 1,
    "trail_margin_um": 1,
    "rear_cos_birth": 1,
    "path_radii": -1,
    "ray_lateral": -1,
    "path_rank": -1,
}


def pairs_of(folder: Path, movie: str) -> pd.DataFrame:
    """Evidence of every pair of a found migrasome and a cell, with `is_parent`, for those with a known true parent."""
    from migradetect.evaluate.cells import overlap_cells

    found = matched(folder, movie)
    if found is None:
        return pd.DataFrame()
    results, truth, same = found
    overlap = overlap_cells(results, truth, results.calibration, np.unique(truth.frames["frame"].to_numpy(int)))
    parent = truth.tracks.set_index("migrasome_id")["cell_id"]
    same["parent"] = same["truth_id"].map(parent)
    of_site = same.set_index("pred_id")["parent"]
    pairs = pairs_in(results, of_site.index.to_numpy())
    if pairs.empty or overlap is None:
        return pd.DataFrame()
    named = pairs["cell_id"].map(overlap.names())
    true = pairs["migrasome_id"].map(of_site).astype("Float64")
    # a parent that was never in view is none of the candidates
    return pairs.assign(
        is_parent=(named == true).fillna(False).astype(bool), has_parent=true.notna().to_numpy(bool), movie=movie
    )


def pairs_in(results: Results, migrasome_ids: np.ndarray) -> pd.DataFrame:
    """Evidence of every pair of a migrasome and a cell, from the tables and labels of a result or of a truth."""
    from migradetect.pipeline._parents import parent_pairs

    calibration, planes = results.calibration, (results.labels["cells"], results.labels["fibers"])
    drift = results.frames.set_index("frame")[["drift_y_um", "drift_x_um"]].astype(float)
    # frames that can't be used have none of their own
    drift_um = drift.reindex(range(len(planes[0]))).ffill().bfill().to_numpy(float)
    cells, migrasomes = results.cells.copy(), results.migrasomes
    migrasomes = migrasomes[migrasomes["migrasome_id"].isin(migrasome_ids)].copy()
    for table in (cells, migrasomes):
        for axis, name in enumerate(("y", "x")):
            table[f"{name}_stage_um"] = table[f"{name}_um"] - drift_um[table["frame"].to_numpy(int), axis]
    if migrasomes.empty or cells.empty:
        return pd.DataFrame()
    sites = migrasomes.groupby("migrasome_id", as_index=False).agg(
        y_stage_um=("y_stage_um", "median"),
        x_stage_um=("x_stage_um", "median"),
        birth_frame=("frame", "min"),
        diameter_um=("diameter_um", "median"),
    )
    sites = sites.fillna({"diameter_um": 1.0})
    traces = surroundings(sites, results, drift_um, calibration)
    return parent_pairs(sites, traces, cells, planes, drift_um, calibration)


def surroundings(sites: pd.DataFrame, results: Results, drift_um: np.ndarray, calibration: Calibration) -> pd.DataFrame:
    """Nearest body and fiber of each site in each frame, as pass 3 has them."""
    from migradetect.filters import nearest_label

    tables = []
    for frame in range(len(drift_um)):
        y = calibration.px(sites["y_stage_um"].to_numpy(float) + drift_um[frame, 0])
        x = calibration.px(sites["x_stage_um"].to_numpy(float) + drift_um[frame, 1])
        gap, cell = nearest_label(results.labels["cells"][frame], y, x)
        fiber, _ = nearest_label(results.labels["fibers"][frame], y, x)
        tables.append(
            pd.DataFrame(
                {
                    "migrasome_id": sites["migrasome_id"].to_numpy(),
                    "frame": frame,
                    "cell_um": calibration.um(gap),
                    "nearest_cell": cell,
                    "fiber_um": calibration.um(fiber),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def classifier(n_trees: int, n_leaves: int) -> Any:
    """Untrained trees."""
    return untrained_trees(FEATURES, DIRECTIONS, n_trees, n_leaves, learning_rate=0.06)


def movie_weights(pairs: pd.DataFrame) -> np.ndarray:
    """Weight of each pair: a movie with hundreds of migrasomes, all of a few cells, must not drown the others."""
    return 1 / np.sqrt(pairs.groupby("movie")["migrasome_id"].transform("nunique").to_numpy(float))


def cross_validated(pairs: pd.DataFrame, n_trees: int, n_leaves: int, n_parts: int = 8) -> np.ndarray:
    """Probability of each pair from trees that have not seen its movie."""
    movies = pairs["movie"].unique()
    part = pairs["movie"].map(dict(zip(movies, np.arange(len(movies)) % n_parts, strict=True))).to_numpy()
    x, y, weight = pairs[list(FEATURES)].to_numpy(np.float32), pairs["is_parent"].to_numpy(), movie_weights(pairs)
    out = np.zeros(len(pairs))
    for k in range(n_parts):
        if (part == k).any():
            seen = part != k
            model = classifier(n_trees, n_leaves).fit(x[seen], y[seen], sample_weight=weight[seen])
            out[~seen] = model.predict_proba(x[~seen])[:, 1]
    return out


def accuracy_table(pairs: pd.DataFrame, probability: np.ndarray) -> pd.DataFrame:
    """Share of migrasomes with a known parent that get it, per condition and over all movies."""
    best = pairs.assign(probability=probability).sort_values("probability").groupby(["movie", "migrasome_id"]).last()
    best = best[best["has_parent"]].reset_index()
    best["condition"] = best["movie"].str.rsplit("_", n=1).str[0]
    by_movie = best.groupby("movie")["is_parent"].mean()
    table = best.groupby("condition")["is_parent"].agg(["mean", "size"])
    table.loc["all, pooled"] = [best["is_parent"].mean(), len(best)]
    table.loc["all, mean of movies"] = [by_movie.mean(), len(best)]
    return table.rename(columns={"mean": "accuracy", "size": "migrasomes"})


def main() -> int:
    """Simulate, analyse, pair, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trees", type=int, default=250)
    parser.add_argument("--leaves", type=int, default=12, help="leaves of a tree")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/assign_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data/parent.npz"))
    options = parser.parse_args()
    jobs = [("own", condition, FIRST_SEED + k) for condition, n in MOVIES.items() for k in range(n)]
    with ProcessPoolExecutor(options.workers) as pool:
        names = analyse_missing(jobs, options.cache, pool)
        tables = [future.result() for future in [pool.submit(pairs_of, options.cache, name) for name in names]]
    pairs = pd.concat([table for table in tables if len(table)], ignore_index=True)
    print(accuracy_table(pairs, cross_validated(pairs, options.trees, options.leaves)).round(3).to_string())
    model = classifier(options.trees, options.leaves)
    model.fit(pairs[list(FEATURES)].to_numpy(np.float32), pairs["is_parent"], sample_weight=movie_weights(pairs))
    np.savez_compressed(options.out, **arrays_of(model, FEATURES))
    print(f"{len(pairs)} pairs of {pairs['movie'].nunique()} movies -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
