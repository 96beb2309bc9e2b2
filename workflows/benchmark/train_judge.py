"""Train the judge of tracks from the simulator and write it as plain arrays.

    python workflows/benchmark/train_judge.py --movies 36 --workers 2

Simulates movies of the ``random`` condition (and a few of each named one), links their candidates, labels each
candidate by the truth, and fits gradient-boosted trees. What is shipped, ``migradetect/data/judge.npz``, holds the
trees as number arrays only: nothing in it can be executed. Seeds from 50000 on are for training; the
benchmarks use others. The candidates of each movie are kept, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd
from boosted_arrays import arrays_of
from sklearn.ensemble import HistGradientBoostingClassifier

from migradetect.tracks import FEATURES, track_features

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
    "log_contrast": 1,
    "line_ratio": -1,
    "line_ratio_best": -1,
    "opposite_ratio": -1,
    "valley_ratio": -1,
    "log_misfit": -1,
    "inside": -1,
    "contains": -1,
}
FIRST_SEED = 50_000
NAMED = (
    "typical",
    "low_snr",
    "many_decoys",
    "crowded",
    "fine_pixels",
    "drifting",
    "fixed_frame",
    "coarse_pixels",
    "no_migrasomes",
    "clean",
    "z_stack",
)


def candidates_of(condition: str, seed: int, n_frames: int, folder: Path) -> None:
    """Simulate one movie; write its linked candidates and the true migrasomes."""
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
    folder.mkdir(parents=True, exist_ok=True)
    simulation.truth.migrasomes.to_parquet(folder / "truth.parquet")
    # written last: its presence says that the movie is done
    second.linked.to_parquet(folder / "linked.parquet")


def labelled(folder: Path) -> pd.DataFrame:
    """Features of every candidate of one movie, with how many of its frames lie on a true migrasome."""
    linked, truth = (pd.read_parquet(folder / f"{name}.parquet") for name in ("linked", "truth"))
    table = track_features(linked)
    matched, valid = _match(linked, truth)
    table["n_matched"] = matched.reindex(table.index).fillna(0)
    table["n_valid"] = valid.reindex(table.index).fillna(0)
    table["movie"] = folder.name
    return table.reset_index(names="candidate_id")


def _match(linked: pd.DataFrame, truth: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Frames in which each candidate lies on its best true migrasome: all of them, and those that count."""
    is_valid = (truth["snr"] >= 2) & (truth["diameter_um"] >= 0.5) & ~truth["is_covered"].astype(bool)
    rows = []
    for frame, spots in linked.groupby("frame"):
        here = truth[truth["frame"] == frame]
        if here.empty:
            continue
        diameter = here["diameter_um"].to_numpy(float)
        gate = np.maximum(0.4, diameter / 2)
        distance = (
            np.hypot(
                spots["y_um"].to_numpy()[:, None] - here["y_um"].to_numpy(),
                spots["x_um"].to_numpy()[:, None] - here["x_um"].to_numpy(),
            )
            / gate
        )
        # of a small candidate and a large one at the same place the one of the right size is meant
        size = np.abs(
            np.log(np.clip(spots["diameter_um"].to_numpy(float)[:, None], 0.1, 9) / np.clip(diameter, 0.1, 9))
        )
        i, j = np.nonzero(distance <= 1)
        rows.append(
            pd.DataFrame(
                {
                    "candidate_id": spots["candidate_id"].to_numpy()[i],
                    "migrasome_id": here["migrasome_id"].to_numpy()[j],
                    "valid": is_valid.loc[here.index].to_numpy()[j],
                    "misfit": (distance + np.nan_to_num(size, nan=2.0))[i, j],
                    "frame": frame,
                }
            )
        )
    if not rows:
        return pd.Series(dtype=float), pd.Series(dtype=float)
    pairs = pd.concat(rows)
    # one candidate per true migrasome and frame; the others are doubles, which the judge should refuse
    pairs = pairs.sort_values("misfit").drop_duplicates(["migrasome_id", "frame"])
    counts = pairs.groupby(["candidate_id", "migrasome_id"])["valid"].agg(["size", "sum"])
    best = counts.sort_values("size").groupby(level=0).last()
    return best["size"], best["sum"]


def examples(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Candidates that teach, whether each is a migrasome, and its weight."""
    share = table["n_matched"] / table["n_frames"]
    is_true = (share >= 0.5) & (table["n_valid"] > 0)
    # between the two lie candidates that change from one thing to another: they teach nothing
    used = table[is_true | (share < 0.25)]
    # a long track is many detections: what counts is frames, but less than in proportion; and one movie with a
    # thousand of them should not drown the others
    weight = np.sqrt(used["n_frames"].to_numpy(float))
    of_movie = is_true[used.index].groupby(used["movie"]).transform("sum").to_numpy(float)
    return used, is_true[used.index].to_numpy(), weight / np.sqrt(of_movie + 10)


def fit(
    x: pd.DataFrame, is_true: np.ndarray, weight: np.ndarray, options: argparse.Namespace
) -> HistGradientBoostingClassifier:
    """Fit trees in which each piece of evidence acts in its direction."""
    model = HistGradientBoostingClassifier(
        max_iter=options.trees,
        learning_rate=0.06,
        max_leaf_nodes=options.leaves,
        min_samples_leaf=60,
        l2_regularization=5,
        monotonic_cst=[DIRECTIONS.get(name, 0) for name in FEATURES],
        early_stopping=False,
        random_state=0,
    )
    # weights of one on average, so that the regularization means the same for any number of movies
    return model.fit(x, is_true, sample_weight=weight / weight.mean())


def report(table: pd.DataFrame, options: argparse.Namespace) -> None:
    """Cross-validate over movies; print the F1 of detections, frame by frame, at several scores."""
    from sklearn.model_selection import GroupKFold

    used, is_true, weight = examples(table)
    x = used[list(FEATURES)]
    score = np.zeros(len(used))
    for train, test in GroupKFold(5).split(used, groups=used["movie"]):
        model = fit(x.iloc[train], is_true[train], weight[train], options)
        score[test] = model.predict_proba(x.iloc[test])[:, 1]
    frames, valid = used["n_frames"].to_numpy(float), used["n_valid"].to_numpy(float)
    wrong = np.where(is_true, 0.0, frames)
    condition = used["movie"].str.rsplit("_", n=1).str[0].to_numpy()
    for name in ("all", *sorted(set(condition))):
        here = (condition == name) | (name == "all")
        line = []
        for least in (0.3, 0.4, 0.5, 0.6, 0.7):
            taken = here & (score >= least)
            right, total = valid[taken].sum(), valid[here].sum()
            precision = right / max(right + wrong[taken].sum(), 1)
            recall = right / max(total, 1)
            line.append(f"{2 * precision * recall / max(precision + recall, 1e-9):.3f}")
        print(f"{name:15s} F1 of linked candidates at score 0.3 0.4 0.5 0.6 0.7: {' '.join(line)}")


def main() -> int:
    """Simulate, label, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=36, help="random movies; a third as many named ones are added")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trees", type=int, default=250)
    parser.add_argument("--leaves", type=int, default=12, help="leaves of a tree")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/judge_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data/judge.npz"))
    options = parser.parse_args()
    rng = np.random.default_rng(FIRST_SEED)
    jobs = [("random", FIRST_SEED + i, int(rng.integers(10, 30))) for i in range(options.movies)]
    jobs += [(NAMED[i % len(NAMED)], FIRST_SEED + i, 20) for i in range(options.movies // 3)]
    folders = [options.cache / f"{job[0]}_{job[1]}" for job in jobs]
    start = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = {
            pool.submit(candidates_of, *job, folder): folder
            for job, folder in zip(jobs, folders, strict=True)
            if not (folder / "linked.parquet").exists()
        }
        for future in as_completed(waiting):
            future.result()
            print(f"{waiting[future].name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    table = pd.concat([labelled(folder) for folder in folders], ignore_index=True)
    report(table, options)
    used, is_true, weight = examples(table)
    model = fit(used[list(FEATURES)], is_true, weight, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays_of(model, FEATURES))
    print(f"{len(table)} candidates of {table['movie'].nunique()} movies -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
