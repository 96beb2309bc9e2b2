"""Train the network that looks at each place through the movie, and write it as plain arrays.

    python workflows/benchmark/train_scenes.py --workers 2

Simulates movies of both simulators that the judge of tracks was not trained on (seeds from 54000 on), analyses them up
to that judge, adds up the pictures of each candidate, labels them by the truth, and fits. Printed are the F1 of
detections by the judge alone and with the network, of movies that the network had not seen; of the second simulator by
a network that was trained on the first alone. What is shipped, ``scenes.npz`` in ``migradetect/data``, holds number
arrays only. The pictures of each movie are kept, so that a run that was stopped goes on. It needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd
from both_simulators import SINGLE, simulated
from train_judge import DENSER, SECOND, load

from migradetect.tracks import with_scene

#: Conditions in turn with ``random``, kinds of the second simulator in turn with ``mixed``, and single images.
NAMED = (
    "clean", "typical", "low_snr", "crowded", "drifting", "many_decoys", "fine_pixels", "coarse_pixels",
    "no_migrasomes", "z_stack",
)  # fmt: skip
SECOND_KINDS = ("typical", "dim", "crowded", "decoys", "coarse", "fine", "drift", "empty")
SINGLES = ("fixed_frame", "random", "second_fixed", "second_mixed")
FIRST_SEED, FIRST_SECOND_SEED, FIRST_SINGLE_SEED = 55_000, 54_000, 56_000
#: Parts of the movies of the first simulator; the second is a part of its own.
N_PARTS = 3


def scenes_of(condition: str, seed: int, n_frames: int, is_denser: bool, folder: Path) -> None:
    """Simulate and judge one movie; write the pictures of its candidates, the candidates, and the truth."""
    import cv2
    from scene_training import save_scenes

    from migradetect.params import Params
    from migradetect.pipeline._fit_model import fit_movie_model
    from migradetect.pipeline._frames import clean_plane
    from migradetect.pipeline._pass1 import run_pass1
    from migradetect.pipeline._pass2 import run_pass2
    from migradetect.pipeline._second_look import look_at, scene_reader, worth_a_look
    from migradetect.synthetic.conditions import simulation_params

    cv2.setNumThreads(1)
    source, kind = ("second", condition.removeprefix(SECOND)) if condition.startswith(SECOND) else ("own", condition)
    overrides = {} if kind in SINGLE else {"n_frames": n_frames}
    if source == "own":
        drawn = simulation_params(kind, seed)
        if is_denser:
            names = ("migrasomes_per_100um", "subresolution_per_100um", "transients_per_100um")
            overrides |= {name: DENSER * getattr(drawn, name) for name in names}
        if kind not in SINGLE:
            overrides["warmup_min"] = drawn.warmup_min + 40.0
    movie, truth = simulated(source, kind, seed, **overrides)
    params = Params()
    model = fit_movie_model(movie, params)
    first = run_pass1(movie, params, model, lambda done: None)
    second = run_pass2(movie, params, first)
    worth = worth_a_look(second.judged, params.judge)
    readers = [scene_reader(worth, movie.calibration) for _ in range(2)]
    for t in range(movie.n_frames):
        counts = {role: clean_plane(movie.frame(t, role), model.noise[role])[0] for role in model.roles}
        drift = (float(second.drift_um[t, 0]), float(second.drift_um[t, 1]))
        reader = readers[t % 2]
        reader.add(look_at(reader, t, counts, first.cell_labels.compact(t), drift, model, movie.calibration))
    folder.mkdir(parents=True, exist_ok=True)
    truth.migrasomes.to_parquet(folder / "truth.parquet")
    second.linked.to_parquet(folder / "linked.parquet")
    save_scenes(folder / "scenes.npz", (readers[0].scenes(), readers[1].scenes()))
    # written last: its presence says that the movie is done
    worth.assign(n_movie=movie.n_frames, pixel_um=movie.calibration.pixel_size_um).to_parquet(folder / "judged.parquet")


def labelled(folder: Path) -> pd.DataFrame:
    """Candidates of one movie with how many of their frames show a true migrasome, and how many there are in all."""
    judged, truth = (pd.read_parquet(folder / f"{name}.parquet") for name in ("judged", "truth"))
    spots = load(folder)
    meant = spots[spots["meant"] > 0].groupby(["candidate_id", "meant"])["counts"].agg(["size", "sum"])
    best = meant.sort_values("size").groupby(level=0).last()
    near = spots[spots["apart"] <= 1].groupby("candidate_id").size()
    is_valid = (truth["snr"] >= 2) & (truth["diameter_um"] >= 0.5) & ~truth["is_covered"].astype(bool)
    return judged.assign(
        n_matched=best["size"].reindex(judged.index).fillna(0),
        n_valid=best["sum"].reindex(judged.index).fillna(0),
        n_near=near.reindex(judged.index).fillna(0),
        n_true=int(is_valid.sum()),
        movie=folder.name,
    )


def examples_of(folder: Path, table: pd.DataFrame):  # type: ignore[no-untyped-def]
    """Scenes of a movie with what they show, and which of them teach."""
    from scene_training import Examples, load_scenes

    from migradetect.calibration import Calibration

    share, near = (table[name] / table["n_frames"] for name in ("n_matched", "n_near"))
    is_true = ((share >= 0.5) & (table["n_valid"] > 0)).to_numpy()
    # what changes from one thing to another, or stands beside a migrasome, teaches nothing
    teaches = is_true | ((share < 0.25) & (near < 0.5)).to_numpy()
    weight = np.sqrt(table["n_frames"].to_numpy(float)) / np.sqrt(is_true.sum() + 10)
    scenes = load_scenes(folder / "scenes.npz", np.arange(len(table)))
    pixel_um = float(table["pixel_um"].iloc[0])
    return Examples(scenes, Calibration(pixel_um), is_true, weight), teaches


def report(table: pd.DataFrame, score: np.ndarray, name: str) -> None:
    """Print the F1 of detections at several thresholds, of movies and of single images of either simulator."""
    may = table["kind"].isin(["migrasome", "noise", "fiber"]) & ~table["reason"].fillna("").str.contains("place|fewer")
    for what, here in (
        ("movies", (table["n_movie"] > 1) & ~table["movie"].str.startswith(SECOND)),
        ("images", (table["n_movie"] == 1) & ~table["movie"].str.startswith(SECOND)),
        ("second, movies", (table["n_movie"] > 1) & table["movie"].str.startswith(SECOND)),
        ("second, images", (table["n_movie"] == 1) & table["movie"].str.startswith(SECOND)),
    ):
        line, rows = [], table[here]
        if rows.empty:
            continue
        total = rows.groupby("movie")["n_true"].first().sum()
        for least in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            taken = rows[may[here] & (score[here] >= least)]
            right, wrong = taken["n_valid"].sum(), (taken["n_frames"] - taken["n_matched"]).sum()
            line.append(f"{2 * right / max(right + wrong + total, 1):.3f}")
        print(f"{name}, {what}: F1 of detections at score 0.3 to 0.8: {' '.join(line)}")


def jobs(n: int) -> list[tuple[str, int, int, bool]]:
    """Condition, seed, frames, and whether more of everything grows, of each movie; three to five for each of `n`."""
    rng = np.random.default_rng(5)
    out: list[tuple[str, int, int, bool]] = []
    for i in range(n):
        out += [("random", FIRST_SEED + 2 * i + k, int(rng.integers(14, 40)), k == 0) for k in range(2)]
        out.append((NAMED[i % len(NAMED)], FIRST_SEED + i, int(rng.integers(16, 44)), bool(i // len(NAMED) % 2)))
        if 5 * i < 4 * n:
            kind = "mixed" if i % 2 else SECOND_KINDS[i // 2 % len(SECOND_KINDS)]
            out.append((SECOND + kind, FIRST_SECOND_SEED + i, int(rng.integers(14, 36)), False))
        if 3 * i < 2 * n:
            out.append((SINGLES[i % len(SINGLES)], FIRST_SINGLE_SEED + i, 1, True))
    return out


def main() -> int:
    """Simulate, look, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=60, help="rounds of three to five movies each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--parts", type=int, nargs="*", default=[0, N_PARTS], help="parts that are left out in turn, "
                        f"to see what the network says of movies that it has not seen; 0 to {N_PARTS}")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/scene_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data"))
    options = parser.parse_args()
    start = time.perf_counter()
    wanted = [(job, options.cache / f"{job[0]}_{job[1]}") for job in jobs(options.movies)]
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = {
            pool.submit(scenes_of, *job, folder): folder
            for job, folder in wanted
            if not (folder / "judged.parquet").exists()
        }
        for future in as_completed(waiting):
            future.result()
            print(f"{waiting[future].name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    from scene_training import answers, train_network, without

    tables = {folder: labelled(folder) for _, folder in wanted}
    tables = {folder: table for folder, table in tables.items() if len(table)}
    movies = {folder: examples_of(folder, table) for folder, table in tables.items()}
    own = sorted(folder for folder in movies if not folder.name.startswith(SECOND))
    part = {folder: own.index(folder) % N_PARTS if folder in own else N_PARTS for folder in movies}
    for k in options.parts:
        net = train_network([without(*movies[one]) for one in movies if part[one] != k], options.epochs)
        unseen = [one for one in movies if part[one] == k]
        table = pd.concat([tables[one] for one in unseen], ignore_index=True)
        scene = np.concatenate([answers(net, movies[one][0]) for one in unseen])
        score = table["score"].to_numpy(float)
        report(table, score, f"part {k}, judge alone")
        report(table, with_scene(score, np.clip(scene, -8, 8)), f"part {k}, with the network")
    net = train_network([without(*one) for one in movies.values()], options.epochs)
    np.savez_compressed(options.out / "scenes.npz", **net.arrays())
    print(f"{sum(map(len, tables.values()))} candidates of {len(tables)} movies -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
