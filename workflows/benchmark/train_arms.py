"""Train the count of arms of fiber around a migrasome from both simulators and write it as plain arrays.

    python workflows/benchmark/train_arms.py --workers 2

Simulates and analyses varied movies, matches the migrasomes that were found to the true ones, describes the light along
the rays around each, and fits gradient-boosted trees to tell tips from shafts and branches, and branches from both. The
accuracy that is printed is cross-validated over movies. What is shipped, ``migradetect/data/arms2.npz`` and
``arms3.npz``, holds the trees as number arrays only. Most movies are those of ``train_parent.py``, in the same folder,
and some of the second simulator, seeds from 53000 on; the benchmarks use others.
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
from train_parent import FIRST_SEED, MOVIES

from migradetect.assign import ARM_FEATURES, Rays, arm_features, learned_arms, rule_arms

FIRST_SECOND_SEED = 53_000
#: Movies of each kind of the second simulator, and most of each condition of the first.
SECOND_MOVIES, MOST_MOVIES = 2, 8
#: Classes by the number of arms.
ARMS = {"tip": 1, "shaft": 2, "branch": 3}
#: Evidence that may only speak for (1) more arms, by physics.
DIRECTIONS = {"snr_2": 1, "snr_3": 1, "share_2": 1, "share_3": 1}
#: Rays of a recorded site lie this close to the migrasome, um.
_SAME_UM = 0.3


def sites_of(folder: Path, movie_id: str) -> pd.DataFrame:
    """One row per found migrasome whose true place on the fiber is known: features, true number of arms, by_rules."""
    found = matched(folder, movie_id)
    with np.load(folder / "rays" / f"{movie_id}.npz", allow_pickle=False) as stored:
        kept = dict(stored)
    if found is None or not kept:
        return pd.DataFrame()
    results, truth, same = found
    place = kept.pop("place_um")
    rays = Rays(**kept)
    by_rules = rule_arms(rays)
    true = truth.tracks.set_index("migrasome_id")["location"].astype(object).map(ARMS).astype("float64")
    stands = results.migrasomes.groupby("migrasome_id")[["y_stage_um", "x_stage_um"]].median()
    rows, labels = [], []
    for true_id, found_id in zip(same["truth_id"], same["pred_id"], strict=True):
        away = np.hypot(*(place - stands.loc[found_id].to_numpy(float)).T)
        k = int(np.argmin(away))
        if away[k] < _SAME_UM and np.isfinite(true[true_id]) and not rays.is_cut[k] and by_rules[k] > 0:
            rows.append(k)
            labels.append(int(true[true_id]))
    table = arm_features(rays, by_rules).iloc[rows]
    return table.assign(true=labels, by_rules=np.minimum(by_rules[rows], 3), movie=movie_id).reset_index(drop=True)


def classifier(n_trees: int, n_leaves: int) -> Any:
    """Untrained trees."""
    return untrained_trees(ARM_FEATURES, DIRECTIONS, n_trees, n_leaves, learning_rate=0.05)


def fitted(sites: pd.DataFrame, n_trees: int, n_leaves: int) -> list[Any]:
    """Trees for more than one and for more than two arms; classes and movies count alike, as in the macro recall."""
    x = sites[list(ARM_FEATURES)].to_numpy(np.float32)
    per_movie = sites.groupby("movie")["true"].transform("size").to_numpy(float) ** -0.5
    weight = per_movie / sites.assign(w=per_movie).groupby("true")["w"].transform("sum").to_numpy(float)
    return [
        classifier(n_trees, n_leaves).fit(x, sites["true"] > k, sample_weight=weight / weight.mean()) for k in (1, 2)
    ]


def counted(models: list[Any], sites: pd.DataFrame) -> np.ndarray:
    """Arms by trees that are not written yet, as :func:`migradetect.assign.learned_arms` counts them."""
    x = sites[list(ARM_FEATURES)].to_numpy(np.float32)
    one, two = (model.predict_proba(x)[:, 1] > 0.5 for model in models)
    return 1 + one + (one & two)


def macro_recall(true: np.ndarray, found: np.ndarray) -> float:
    """Mean over the classes of the share that was counted rightly."""
    return float(np.mean([(found[true == k] == k).mean() for k in np.unique(true)]))


def main() -> int:
    """Simulate, analyse, describe, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trees", type=int, default=60)
    parser.add_argument("--leaves", type=int, default=4, help="leaves of a tree")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/assign_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data"), help="folder of the trees")
    options = parser.parse_args()
    from second_simulator import KINDS

    jobs = [("own", condition, FIRST_SEED + k) for condition, n in MOVIES.items() for k in range(min(n, MOST_MOVIES))]
    jobs += [("second", kind, FIRST_SECOND_SEED + k) for kind in KINDS for k in range(SECOND_MOVIES)]
    with ProcessPoolExecutor(options.workers) as pool:
        names = analyse_missing(jobs, options.cache, pool)
        tables = [future.result() for future in [pool.submit(sites_of, options.cache, name) for name in names]]
    sites = pd.concat([table for table in tables if len(table)], ignore_index=True)
    true, is_second = sites["true"].to_numpy(), sites["movie"].str.startswith("second").to_numpy()
    part = pd.factorize(sites["movie"])[0] % 8
    crossed, unseen = np.zeros(len(sites), int), np.zeros(len(sites), int)
    for k in range(8):
        if (part == k).any():
            crossed[part == k] = counted(fitted(sites[part != k], options.trees, options.leaves), sites[part == k])
    for seen in (is_second, ~is_second):
        if seen.any() and not seen.all():
            unseen[~seen] = counted(fitted(sites[seen], options.trees, options.leaves), sites[~seen])
    for name, own in (("first simulator", ~is_second), ("second simulator", is_second)):
        if own.any():
            print(
                f"{name}, {own.sum()} migrasomes, macro recall: "
                f"rules {macro_recall(true[own], sites['by_rules'].to_numpy()[own]):.3f}, "
                f"trees {macro_recall(true[own], crossed[own]):.3f}, "
                f"trees that saw only the other simulator {macro_recall(true[own], unseen[own]):.3f}"
            )
    for k, model in zip((2, 3), fitted(sites, options.trees, options.leaves), strict=True):
        np.savez_compressed(options.out / f"arms{k}.npz", **arrays_of(model, ARM_FEATURES))
    again = learned_arms(sites, np.ones(len(sites), np.int64))
    print(f"{len(sites)} migrasomes of {sites['movie'].nunique()} movies -> {options.out}; "
          f"macro recall on what was learned {macro_recall(true, again):.3f}")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
