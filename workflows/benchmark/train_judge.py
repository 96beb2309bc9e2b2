"""Train the judge of spots and tracks from the simulator and write it as plain arrays.

    python workflows/benchmark/train_judge.py --workers 2

Simulates movies of the ``random`` condition, a few of each named one, some of the second simulator, and single images
of both, links their candidates, labels each by the truth, and fits: a small network on the surroundings of each
candidate; small trees for which candidates it is asked at all; gradient-boosted trees for single spots, which tell
where along a track a bead stands; trees for the stretches that follow; and trees that judge these again beside those
of the same movie that are sure. What is shipped, ``beads.npz``, ``glance.npz``, ``spots.npz``, ``judge.npz`` and
``company.npz`` in ``migradetect/data``, holds number arrays only: nothing in it can be executed. Seeds from 50000 on
are for training; the benchmarks use others. What is printed for the second simulator comes from models that were
fitted on movies of the first one alone. The candidates of each movie are kept, so that a run that was stopped goes on.
It needs the extra ``train`` (scikit-learn, PyTorch).
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
from both_simulators import SINGLE, simulated
from sklearn.ensemble import HistGradientBoostingClassifier

from migradetect.bead_network import bead_log_odds
from migradetect.company import COMPANY_FEATURES, company_features, company_of
from migradetect.glance import GLANCE_FEATURES, glance_features
from migradetect.movie import Movie
from migradetect.results import Results
from migradetect.spot_evidence import SPOT_FEATURES, spot_features
from migradetect.spots import SpotImage
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
    "picture": 1,
    "colour": 1,
    "colour_best": 1,
    "growth": 1,
    "visited": 1,
    "empty_before": 1,
    "colour_gap": -1,
    "brightness_gap": -1,
}
#: What the second judge of tracks looks at.
BOTH = (*FEATURES, *COMPANY_FEATURES)
#: Beads per length of fiber, over what the condition draws.
DENSER = 3.0
#: Of the candidates that are no beads the network sees this share: most are alike.
SHARE_OF_OTHERS = 0.35
#: Conditions of the second simulator begin with this.
SECOND = "second_"
#: Kinds of movies of the second simulator, one movie each.
SECOND_KINDS = ("mixed",) * 10 + (
    "typical", "dim", "crowded", "decoys", "fixed", "fixed", "coarse", "fine", "drift", "empty",
) + ("mixed",) * 6 + (
    "typical", "dim", "crowded", "decoys", "coarse", "fine", "drift", "empty",
    "typical", "dim", "decoys", "coarse", "fine", "drift",
)  # fmt: skip
#: Single images, of fixed cells or cut out of a movie: what is done to many frames never helps them, so they need
#: examples of their own.
SINGLES = ("fixed_frame", "random", "second_fixed", "second_mixed")
N_SINGLES = 44
#: Log-odds up to which the network refuses a candidate, and from which on it takes it for a likely bead.
REFUSED, LIKELY = -3.0, -1.0
FIRST_SEED = 50_000
FIRST_SINGLE_SEED = 51_000
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


def _simulated(condition: str, seed: int, n_frames: int) -> tuple[Movie, Results]:
    """A movie of the project's simulator, or of the second one where the condition says so, and its truth."""
    from migradetect.synthetic.conditions import simulation_params

    if condition.startswith(SECOND):
        kind = condition.removeprefix(SECOND)
        return simulated("second", kind, seed, **({} if kind in SINGLE else {"n_frames": n_frames}))
    drawn = simulation_params(condition, seed)
    # a movie with more of everything that grows on fibers teaches more; what grows there keeps its proportions
    overrides = {
        name: DENSER * getattr(drawn, name)
        for name in ("migrasomes_per_100um", "subresolution_per_100um", "transients_per_100um")
    }
    if condition not in SINGLE:
        overrides |= {"n_frames": n_frames, "warmup_min": drawn.warmup_min + 40.0}
    return simulated("own", condition, seed, **overrides)


def candidates_of(condition: str, seed: int, n_frames: int, folder: Path) -> None:
    """Simulate one movie; write its linked candidates and the true migrasomes."""
    import cv2

    from migradetect.bead_network import bead_patches
    from migradetect.params import Params
    from migradetect.pipeline._fit_model import fit_movie_model
    from migradetect.pipeline._pass1 import run_pass1
    from migradetect.pipeline._pass2 import link_candidates, site_gaps

    cv2.setNumThreads(1)
    movie, truth = _simulated(condition, seed, n_frames)
    params = Params()
    model = fit_movie_model(movie, params)
    seen: list[pd.DataFrame] = []
    patches: list[np.ndarray] = []

    def observe(image: SpotImage, spots: pd.DataFrame) -> None:
        y, x = spots["y_px"].to_numpy(), spots["x_px"].to_numpy()
        seen.append(spots[["frame", "y_px", "x_px"]])
        patches.append(bead_patches(image.snr, image.weight, y, x, movie.calibration).astype(np.float16))

    first = run_pass1(movie, params, model, lambda done: None, observe)
    drift, linked = link_candidates(movie, params, first)
    gaps = site_gaps(linked, first.cell_labels, drift, movie.calibration)
    places = pd.concat(seen, ignore_index=True)
    row = linked[["frame", "y_px", "x_px"]].merge(places.assign(row=places.index), how="left")["row"].to_numpy(int)
    folder.mkdir(parents=True, exist_ok=True)
    truth.migrasomes.to_parquet(folder / "truth.parquet")
    np.save(folder / "patches.npy", np.concatenate(patches)[row])
    np.savez_compressed(folder / "gaps.npz", site=np.array(list(gaps)), cell_um=np.stack(list(gaps.values())))
    # written last: its presence says that the movie is done
    linked.to_parquet(folder / "linked.parquet")


def load(folder: Path) -> pd.DataFrame:
    """Spots of one movie; `meant` is the true migrasome that a spot stands for (0: none), `counts` whether that counts.

    Of several spots at one true migrasome the one of its place and size is meant; the others are doubles, which the
    judge should refuse. `apart` is the distance from the nearest true migrasome, over the distance at which it matches.
    """
    linked, truth = (pd.read_parquet(folder / f"{name}.parquet") for name in ("linked", "truth"))
    is_valid = (truth["snr"] >= 2) & (truth["diameter_um"] >= 0.5) & ~truth["is_covered"].astype(bool)
    linked = linked.reset_index(drop=True).assign(meant=0, counts=False, apart=np.inf, movie=folder.name)
    for frame, spots in linked.groupby("frame"):
        here = truth[truth["frame"] == frame]
        if here.empty:
            continue
        diameter = here["diameter_um"].to_numpy(float)
        distance = np.hypot(
            spots["y_um"].to_numpy()[:, None] - here["y_um"].to_numpy(),
            spots["x_um"].to_numpy()[:, None] - here["x_um"].to_numpy(),
        ) / np.maximum(0.4, diameter / 2)
        linked.loc[spots.index, "apart"] = distance.min(axis=1)
        found = np.clip(spots["diameter_um"].to_numpy(float)[:, None], 0.1, 9)
        misfit = distance + np.nan_to_num(np.abs(np.log(found / np.clip(diameter, 0.1, 9))), nan=2.0)
        misfit[distance > 1] = np.inf
        best = np.argmin(misfit, axis=0)
        for k in np.flatnonzero(np.isfinite(misfit.min(axis=0))):
            row = spots.index[best[k]]
            linked.loc[row, "meant"] = here["migrasome_id"].iloc[k]
            linked.loc[row, "counts"] = bool(is_valid.loc[here.index[k]])
    return linked


def movie_weight(is_true: pd.Series[bool], movie: pd.Series[str]) -> np.ndarray:
    """Weight of each row: spots of a track are alike, so a movie counts by the root of how many true ones it has."""
    return 1 / np.sqrt(is_true.groupby(movie).transform("sum").to_numpy(float) + 50)


def fit_network(spots: pd.DataFrame, cache: Path, epochs: int) -> dict[str, np.ndarray]:
    """Network that tells a bead from whatever else by its surroundings."""
    from bead_training import train_network

    # what stands near a bead without being meant shows that bead as well: it teaches nothing
    used = spots[spots["counts"] | (spots["apart"] > 1.5)]
    used = pd.concat([used[used["counts"]], used[~used["counts"]].sample(frac=SHARE_OF_OTHERS, random_state=0)])
    used = used.sort_values(["movie", "place"])
    patches = [np.load(cache / movie / "patches.npy", mmap_mode="r")[rows["place"].to_numpy()] for movie, rows in
               used.groupby("movie", sort=False)]  # fmt: skip
    weight = movie_weight(used["counts"], used["movie"]) * np.where(used["counts"], 1.0, 1 / SHARE_OF_OTHERS)
    return train_network(np.concatenate(patches), used["counts"].to_numpy(bool), weight, epochs)


def pictures(spots: pd.DataFrame, cache: Path, network: dict[str, np.ndarray]) -> np.ndarray:
    """What the network says of each spot; the rows of each movie together."""
    parts = [
        bead_log_odds(np.load(cache / str(movie) / "patches.npy")[rows["place"].to_numpy()].astype(np.float32), network)
        for movie, rows in spots.groupby("movie", sort=False)
    ]
    return np.concatenate(parts)


def fit_spots(spots: pd.DataFrame, options: argparse.Namespace) -> HistGradientBoostingClassifier:
    """Trees that tell a bead from a line in one averaged frame."""
    used = spots[(spots["meant"] == 0) | spots["counts"]]
    weight = movie_weight(used["counts"], used["movie"])
    return fit(spot_features(used), used["counts"].to_numpy(bool), weight, SPOT_FEATURES, options, least=200)


def fit_glance(spots: pd.DataFrame) -> HistGradientBoostingClassifier:
    """Small trees that tell which candidates the network does not refuse, from numbers that cost nothing."""
    is_open = (spots["picture"] > REFUSED).to_numpy()
    model = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.15, max_leaf_nodes=12, min_samples_leaf=100, l2_regularization=5, random_state=0
    )
    return model.fit(glance_features(spots), is_open, sample_weight=movie_weight(spots["counts"], spots["movie"]))


def report_glance(spots: pd.DataFrame) -> None:
    """Cross-validate over movies; print what is kept, and what is lost, from several log-odds on."""
    part, log_odds = parts_of(spots["movie"], 4), np.zeros(len(spots))
    for k in sorted(set(part)):
        log_odds[part == k] = fit_glance(spots[part != k]).decision_function(glance_features(spots[part == k]))
    likely = (spots["picture"] > LIKELY).to_numpy()
    for least in np.arange(-7.5, -4.0, 0.5):
        kept = log_odds > least
        print(f"glance at {least:4.1f}: {kept.mean():.3f} looked at, {1 - kept[likely].mean():.4f} of the likely lost")


def stretches_of(spots: pd.DataFrame, log_odds: np.ndarray, cache: Path) -> pd.DataFrame:
    """Features of the stretches of one movie, with how many of their frames lie on a true migrasome."""
    cut = split_stretches(spots, log_odds)
    movie = str(spots["movie"].iloc[0])
    with np.load(cache / movie / "gaps.npz") as stored:
        gaps = dict(zip(stored["site"].tolist(), stored["cell_um"], strict=True))
    single = spots["frame"].nunique() == 1
    table = track_features(cut, None if single else gaps)
    meant = cut[cut["meant"] > 0].groupby(["candidate_id", "meant"])["counts"].agg(["size", "sum"])
    best = meant.sort_values("size").groupby(level=0).last()
    table["n_matched"] = best["size"].reindex(table.index).fillna(0)
    table["n_valid"] = best["sum"].reindex(table.index).fillna(0)
    table["movie"] = movie
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


def parts_of(movies: pd.Series[str], n_parts: int) -> np.ndarray:
    """Part of each row, by movie.

    The movies of the second simulator are a part of their own: what is cross-validated on them was fitted on movies of
    the other simulator alone.
    """
    names = sorted(set(movies))
    own = [name for name in names if not name.startswith(SECOND)]
    part = {name: k % (n_parts - 1) for k, name in enumerate(own)}
    return movies.map(lambda name: part.get(name, n_parts - 1)).to_numpy(int)


def cross_fitted(spots: pd.DataFrame, options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spots with what networks say that have not seen their movie; stretches cut by trees that have not seen it."""
    spots = spots.sort_values(["movie", "place"]).reset_index(drop=True)
    part = parts_of(spots["movie"], 3)
    picture = np.zeros(len(spots))
    for k in sorted(set(part)):
        network = fit_network(spots[part != k], options.cache, options.epochs)
        picture[part == k] = pictures(spots[part == k], options.cache, network)
    spots["picture"] = picture
    part = parts_of(spots["movie"], 5)
    stretches = []
    for k in sorted(set(part)):
        model = fit_spots(spots[part != k], options)
        for _, movie in spots[part == k].groupby("movie"):
            stretches.append(stretches_of(movie, model.decision_function(spot_features(movie)), options.cache))
    return spots, pd.concat(stretches, ignore_index=True)


def cross_judged(table: pd.DataFrame, names: tuple[str, ...], options: argparse.Namespace) -> np.ndarray:
    """Log-odds of every stretch by trees that have not seen its movie."""
    used, is_true, weight = examples(table)
    log_odds, part, seen = np.zeros(len(table)), parts_of(table["movie"], 5), parts_of(used["movie"], 5)
    for k in sorted(set(part)):
        model = fit(used[seen != k], is_true[seen != k], weight[seen != k], names, options)
        log_odds[part == k] = model.decision_function(table.loc[part == k, list(names)])
    return log_odds


def with_company(table: pd.DataFrame, log_odds: np.ndarray) -> pd.DataFrame:
    """Stretches with what the sure ones of their movie tell of them."""
    judged = table.assign(log_odds_alone=log_odds)
    beside = [
        company_features(movie, company_of(movie, movie["log_odds_alone"].to_numpy()))
        for _, movie in judged.groupby("movie")
    ]
    return table.join(pd.concat(beside))


def report(table: pd.DataFrame, log_odds: np.ndarray) -> None:
    """Print the F1 of detections, frame by frame, at several scores, from what was cross-validated over movies."""
    used, is_true, _ = examples(table)
    score = 1 / (1 + np.exp(-log_odds[used.index]))
    frames, valid = used["n_frames"].to_numpy(float), used["n_valid"].to_numpy(float)
    wrong = np.where(is_true, 0.0, frames)
    condition = used["movie"].str.rsplit("_", n=1).str[0].to_numpy()
    for name in ("all", *sorted(set(condition))):
        here = (condition == name) | (name == "all")
        line = []
        for least in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            taken = here & (score >= least)
            right, total = valid[taken].sum(), valid[here].sum()
            precision = right / max(right + wrong[taken].sum(), 1)
            recall = right / max(total, 1)
            line.append(f"{2 * precision * recall / max(precision + recall, 1e-9):.3f}")
        print(f"{name:18s} F1 of linked candidates at score 0.3 to 0.8: {' '.join(line)}")


def main() -> int:
    """Simulate, label, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=60, help="random movies; a third as many named ones are added")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trees", type=int, default=250)
    parser.add_argument("--leaves", type=int, default=12, help="leaves of a tree")
    parser.add_argument("--epochs", type=int, default=4, help="passes of the network over its patches")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/judge_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data"))
    options = parser.parse_args()
    rng = np.random.default_rng(FIRST_SEED)
    jobs = [("random", FIRST_SEED + i, int(rng.integers(12, 30))) for i in range(options.movies)]
    jobs += [(NAMED[i % len(NAMED)], FIRST_SEED + i, 24) for i in range(options.movies // 3)]
    rng = np.random.default_rng(7)
    jobs += [(SECOND + kind, FIRST_SEED + i, int(rng.integers(14, 28))) for i, kind in enumerate(SECOND_KINDS)]
    jobs += [(SINGLES[i % len(SINGLES)], FIRST_SINGLE_SEED + i, 1) for i in range(N_SINGLES)]
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
    spots = pd.concat([load(folder).reset_index(names="place") for folder in folders], ignore_index=True)
    options.out.mkdir(parents=True, exist_ok=True)
    spots, table = cross_fitted(spots, options)
    alone = cross_judged(table, FEATURES, options)
    report(table, alone)
    table = with_company(table, alone)
    print("and beside the sure ones of the movie, where there are enough:")
    report(table, np.where(table["brightness_gap"].notna(), cross_judged(table, BOTH, options), alone))
    used, is_true, weight = examples(table)
    report_glance(spots)
    np.savez_compressed(options.out / "glance.npz", **arrays_of(fit_glance(spots), GLANCE_FEATURES))
    np.savez_compressed(options.out / "spots.npz", **arrays_of(fit_spots(spots, options), SPOT_FEATURES))
    for name, features in (("judge.npz", FEATURES), ("company.npz", BOTH)):
        model = fit(used, is_true, weight, features, options)
        np.savez_compressed(options.out / name, **arrays_of(model, features))
    # the trees have learned how far to trust a network that has not seen the movie; the shipped one has seen them all
    np.savez_compressed(options.out / "beads.npz", **fit_network(spots, options.cache, options.epochs))
    print(f"{len(table)} candidates of {table['movie'].nunique()} movies -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
