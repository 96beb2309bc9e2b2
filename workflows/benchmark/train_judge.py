"""Train the judge of tracks from the simulator and write it as plain arrays.

    python workflows/benchmark/train_judge.py --movies 36 --workers 2

Simulates movies of the ``random`` condition (and a few of each named one), links their candidates, labels each
candidate by the truth, and fits gradient-boosted trees. What is shipped, ``migradetect/data/judge.npz``, holds the
trees as number arrays only: nothing in it can be executed. Seeds from 50000 on are for training; the
benchmarks use others.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd

from migradetect.tracks import FEATURES

#: Evidence that may only speak for (1) or against (-1) a migrasome. Without this the trees learn what is particular to
#: the simulator, such as that the longest records are debris, and fail on other movies.
DIRECTIONS = {
    "log_blob_snr": 1,
    "log_best_snr": 1,
    "roundness": 1,
    "roundness_best": 1,
    "log_diameter_err": -1,
    "scatter_um": -1,
    "net_um": -1,
    "log_n": 1,
    "fiber_um": -1,
    "log_fiber_length": 1,
    "blob_share": 1,
    "log_over_line": 1,
}
FIRST_SEED = 50_000
NAMED = ("no_migrasomes", "low_snr", "many_decoys", "crowded", "fine_pixels", "drifting", "fixed_frame", "typical")


def candidates_of(condition: str, seed: int, n_frames: int) -> pd.DataFrame:
    """Features of every candidate of one simulated movie, with `is_true` and `weight`."""
    import cv2

    from migradetect.params import JudgeParams, Params
    from migradetect.pipeline._frames import fit_movie_model
    from migradetect.pipeline._pass1 import run_pass1
    from migradetect.pipeline._pass2 import run_pass2
    from migradetect.synthetic import simulate

    cv2.setNumThreads(1)
    overrides = {} if condition == "fixed_frame" else {"n_frames": n_frames}
    simulation = simulate(condition, seed, **overrides)
    # the rules need no trained trees, and only their scores differ
    movie, params = simulation.movie(), Params(judge=JudgeParams(method="rules"))
    model = fit_movie_model(movie, params)
    second = run_pass2(movie, params, run_pass1(movie, params, model, lambda done: None))
    table = second.judged.copy()
    matched, judged = _match(second.linked, simulation.truth.migrasomes)
    table["n_matched"] = matched.reindex(table.index).fillna(0)
    table["n_valid"] = judged.reindex(table.index).fillna(0)
    table["movie"] = f"{condition}_{seed}"
    return table.reset_index(names="candidate_id")


def _match(linked: pd.DataFrame, truth: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Frames in which each candidate lies on its best true migrasome: all of them, and those that count."""
    valid = (truth["snr"] >= 2) & (truth["diameter_um"] >= 0.5) & ~truth["is_covered"]
    rows = []
    for frame, spots in linked.groupby("frame"):
        here = truth[truth["frame"] == frame]
        if here.empty:
            continue
        distance = np.hypot(
            spots["y_um"].to_numpy()[:, None] - here["y_um"].to_numpy(),
            spots["x_um"].to_numpy()[:, None] - here["x_um"].to_numpy(),
        )
        i, j = np.nonzero(distance <= np.maximum(0.4, here["diameter_um"].to_numpy() / 2))
        rows.append(
            pd.DataFrame(
                {
                    "candidate_id": spots["candidate_id"].to_numpy()[i],
                    "migrasome_id": here["migrasome_id"].to_numpy()[j],
                    "valid": valid.loc[here.index].to_numpy()[j],
                    "distance": distance[i, j],
                    "frame": frame,
                }
            )
        )
    if not rows:
        return pd.Series(dtype=float), pd.Series(dtype=float)
    pairs = pd.concat(rows)
    # one candidate per true migrasome and frame: the nearest; the others are doubles, which the judge should refuse
    pairs = pairs.sort_values("distance").drop_duplicates(["migrasome_id", "frame"])
    counts = pairs.groupby(["candidate_id", "migrasome_id"])["valid"].agg(["size", "sum"])
    best = counts.sort_values("size").groupby(level=0).last()
    return best["size"], best["sum"]


def fit_trees(table: pd.DataFrame, n_trees: int, n_leaves: int) -> dict[str, np.ndarray]:
    """Gradient-boosted trees as arrays: feature, threshold, left, right, value, each of shape (trees, nodes)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    share = table["n_matched"] / table["n_frames"]
    true = (share >= 0.5) & (table["n_valid"] > 0)
    # between the two lie candidates that change from one thing to another: they teach nothing
    used = table[true | (share < 0.25)]
    y = true[used.index].to_numpy()
    model = HistGradientBoostingClassifier(
        max_iter=n_trees,
        learning_rate=0.06,
        max_leaf_nodes=n_leaves,
        min_samples_leaf=60,
        l2_regularization=5,
        monotonic_cst=[DIRECTIONS.get(name, 0) for name in FEATURES],
        early_stopping=False,
        random_state=0,
    )
    # a long track is many detections: what counts is frames, but less than in proportion
    model.fit(used[list(FEATURES)], y, sample_weight=np.sqrt(used["n_frames"].to_numpy(float)))
    trees = [stage[0].nodes for stage in model._predictors]
    shape = (len(trees), max(len(nodes) for nodes in trees))
    out = {
        "feature": np.full(shape, -1, np.int16),
        "threshold": np.zeros(shape, np.float32),
        "left": np.zeros(shape, np.int16),
        "right": np.zeros(shape, np.int16),
        "value": np.zeros(shape, np.float32),
    }
    for k, nodes in enumerate(trees):
        n, leaf = len(nodes), nodes["is_leaf"].astype(bool)
        out["feature"][k, :n] = np.where(leaf, -1, nodes["feature_idx"])
        out["threshold"][k, :n] = np.where(leaf, 0, nodes["num_threshold"])
        out["left"][k, :n] = np.where(leaf, 0, nodes["left"])
        out["right"][k, :n] = np.where(leaf, 0, nodes["right"])
        out["value"][k, :n] = np.where(leaf, nodes["value"], 0)
    out["start"] = np.array(model._baseline_prediction.item(), np.float32)
    out["names"] = np.array(FEATURES)
    return out


def main() -> int:
    """Simulate, label, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=36, help="random movies; a quarter as many named ones are added")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--leaves", type=int, default=12, help="leaves of a tree")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/judge_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data/judge.npz"))
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(FIRST_SEED)
    jobs = [("random", FIRST_SEED + i, int(rng.integers(10, 30))) for i in range(options.movies)]
    jobs += [(NAMED[i % len(NAMED)], FIRST_SEED + i, 16) for i in range(options.movies // 4)]
    start = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = {}
        for job in jobs:
            place = options.cache / f"{job[0]}_{job[1]}.parquet"
            if not place.exists():
                waiting[place] = pool.submit(candidates_of, *job)
        places = {future: place for place, future in waiting.items()}
        for future in as_completed(places):
            future.result().to_parquet(places[future])
            print(f"{places[future].stem}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    names = [options.cache / f"{job[0]}_{job[1]}.parquet" for job in jobs]
    table = pd.concat([pd.read_parquet(name) for name in names if name.exists()], ignore_index=True)
    arrays = fit_trees(table, options.trees, options.leaves)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays)
    print(f"{len(table)} candidates of {table['movie'].nunique()} movies -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
