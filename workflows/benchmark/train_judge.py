"""Train the judge of spots and tracks from the simulator and write it as plain arrays.

    python workflows/benchmark/train_judge.py --movies 72 --workers 2

Simulates movies of the ``random`` condition (and a few of each named one), links their candidates, labels each by the
truth, and fits gradient-boosted trees: first for single spots, which tell where along a track a bead stands, then for
the stretches that follow. What is shipped, ``spots.npz`` and ``judge.npz`` in ``migradetect/data``, holds the trees as
number arrays only: nothing in it can be executed. Seeds from 50000 on are for training; the
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

from migradetect.spot_evidence import SPOT_FEATURES, spot_features
from migradetect.stretches import split_stretches
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
    "log_snr": 1,
    "log_odds": 1,
    "log_odds_best": 1,
    "log_odds_worst": 1,
}
#: Beads per length of fiber, over what the condition draws.
DENSER = 3.0
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

    from migradetect.params import Params
    from migradetect.pipeline._frames import fit_movie_model
    from migradetect.pipeline._pass1 import run_pass1
    from migradetect.pipeline._pass2 import link_candidates
    from migradetect.synthetic import simulate
    from migradetect.synthetic.conditions import simulation_params

    cv2.setNumThreads(1)
    drawn = simulation_params(condition, seed)
    # a movie with more of everything that grows on fibers teaches more; what grows there keeps its proportions
    overrides = {
        name: DENSER * getattr(drawn, name)
        for name in ("migrasomes_per_100um", "subresolution_per_100um", "transients_per_100um")
    }
    if condition != "fixed_frame":
        overrides |= {"n_frames": n_frames, "warmup_min": drawn.warmup_min + 40.0}
    simulation = simulate(condition, seed, **overrides)
    movie, params = simulation.movie(), Params()
    model = fit_movie_model(movie, params)
    linked = link_candidates(movie, params, run_pass1(movie, params, model, lambda done: None))[1]
    folder.mkdir(parents=True, exist_ok=True)
    simulation.truth.migrasomes.to_parquet(folder / "truth.parquet")
    # written last: its presence says that the movie is done
    linked.to_parquet(folder / "linked.parquet")


def load(folder: Path) -> pd.DataFrame:
    """Spots of one movie; `meant` is the true migrasome that a spot stands for (0: none), `counts` whether that counts.

    Of several spots at one true migrasome the one of its place and size is meant; the others are doubles, which the
    judge should refuse.
    """
    linked, truth = (pd.read_parquet(folder / f"{name}.parquet") for name in ("linked", "truth"))
    is_valid = (truth["snr"] >= 2) & (truth["diameter_um"] >= 0.5) & ~truth["is_covered"].astype(bool)
    linked = linked.reset_index(drop=True).assign(meant=0, counts=False, movie=folder.name)
    for frame, spots in linked.groupby("frame"):
        here = truth[truth["frame"] == frame]
        if here.empty:
            continue
        diameter = here["diameter_um"].to_numpy(float)
        distance = np.hypot(
            spots["y_um"].to_numpy()[:, None] - here["y_um"].to_numpy(),
            spots["x_um"].to_numpy()[:, None] - here["x_um"].to_numpy(),
        ) / np.maximum(0.4, diameter / 2)
        found = np.clip(spots["diameter_um"].to_numpy(float)[:, None], 0.1, 9)
        misfit = distance + np.nan_to_num(np.abs(np.log(found / np.clip(diameter, 0.1, 9))), nan=2.0)
        misfit[distance > 1] = np.inf
        best = np.argmin(misfit, axis=0)
        for k in np.flatnonzero(np.isfinite(misfit.min(axis=0))):
            row = spots.index[best[k]]
            linked.loc[row, "meant"] = here["migrasome_id"].iloc[k]
            linked.loc[row, "counts"] = bool(is_valid.loc[here.index[k]])
    return linked


def fit_spots(spots: pd.DataFrame, options: argparse.Namespace) -> HistGradientBoostingClassifier:
    """Trees that tell a bead from a line in one averaged frame."""
    used = spots[(spots["meant"] == 0) | spots["counts"]]
    is_true = used["counts"].to_numpy(bool)
    # spots of one track are alike: each movie weighs by the root of how many true ones it has
    of_movie = used["counts"].groupby(used["movie"]).transform("sum").to_numpy(float)
    weight = 1 / np.sqrt(of_movie + 50)
    return fit(spot_features(used), is_true, weight, SPOT_FEATURES, options, least=200)


def stretches_of(spots: pd.DataFrame, log_odds: np.ndarray) -> pd.DataFrame:
    """Features of the stretches of one movie, with how many of their frames lie on a true migrasome."""
    cut = split_stretches(spots, log_odds)
    table = track_features(cut)
    meant = cut[cut["meant"] > 0].groupby(["candidate_id", "meant"])["counts"].agg(["size", "sum"])
    best = meant.sort_values("size").groupby(level=0).last()
    table["n_matched"] = best["size"].reindex(table.index).fillna(0)
    table["n_valid"] = best["sum"].reindex(table.index).fillna(0)
    table["movie"] = spots["movie"].iloc[0]
    return table.reset_index(names="candidate_id")


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
    x: pd.DataFrame,
    is_true: np.ndarray,
    weight: np.ndarray,
    names: tuple[str, ...],
    options: argparse.Namespace,
    least: int = 40,
) -> HistGradientBoostingClassifier:
    """Fit trees in which each piece of evidence acts in its direction."""
    model = HistGradientBoostingClassifier(
        max_iter=options.trees,
        learning_rate=0.06,
        max_leaf_nodes=options.leaves,
        min_samples_leaf=least,
        l2_regularization=5,
        monotonic_cst=[DIRECTIONS.get(name, 0) for name in names],
        early_stopping=False,
        random_state=0,
    )
    # weights of one on average, so that the regularization means the same for any number of movies
    return model.fit(x[list(names)], is_true, sample_weight=weight / weight.mean())


def cross_fitted(spots: pd.DataFrame, options: argparse.Namespace) -> pd.DataFrame:
    """Stretches of all movies, each cut by trees that have not seen the movie."""
    from sklearn.model_selection import GroupKFold

    parts = []
    for train, test in GroupKFold(4).split(spots, groups=spots["movie"]):
        model = fit_spots(spots.iloc[train], options)
        for _, movie in spots.iloc[test].groupby("movie"):
            parts.append(stretches_of(movie, model.decision_function(spot_features(movie))))
    return pd.concat(parts, ignore_index=True)


def report(table: pd.DataFrame, options: argparse.Namespace) -> None:
    """Cross-validate over movies; print the F1 of detections, frame by frame, at several scores."""
    from sklearn.model_selection import GroupKFold

    used, is_true, weight = examples(table)
    score = np.zeros(len(used))
    for train, test in GroupKFold(5).split(used, groups=used["movie"]):
        model = fit(used.iloc[train], is_true[train], weight[train], FEATURES, options)
        score[test] = model.predict_proba(used[list(FEATURES)].iloc[test])[:, 1]
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
    parser.add_argument("--movies", type=int, default=72, help="random movies; a third as many named ones are added")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trees", type=int, default=250)
    parser.add_argument("--leaves", type=int, default=12, help="leaves of a tree")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/judge_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data"))
    options = parser.parse_args()
    rng = np.random.default_rng(FIRST_SEED)
    jobs = [("random", FIRST_SEED + i, int(rng.integers(8, 24))) for i in range(options.movies)]
    jobs += [(NAMED[i % len(NAMED)], FIRST_SEED + i, 14) for i in range(options.movies // 3)]
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
    spots = pd.concat([load(folder) for folder in folders], ignore_index=True)
    table = cross_fitted(spots, options)
    report(table, options)
    used, is_true, weight = examples(table)
    options.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out / "spots.npz", **arrays_of(fit_spots(spots, options), SPOT_FEATURES))
    np.savez_compressed(options.out / "judge.npz", **arrays_of(fit(used, is_true, weight, FEATURES, options), FEATURES))
    print(f"{len(table)} candidates of {table['movie'].nunique()} movies -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
