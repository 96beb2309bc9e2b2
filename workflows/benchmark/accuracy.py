"""Score migradetect on held-out seeds of simulated conditions.

    python workflows/benchmark/accuracy.py --conditions typical --seeds 10 --workers 2

Every movie is simulated, analysed with the default parameters and scored against its truth. Seeds start at 900 000:
nothing was tuned or trained on them. One table per movie and one pooled over each condition are printed and written.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

FIRST_SEED = 900_000
#: What is printed; the files hold every metric.
SHOWN = (
    "precision",
    "recall",
    "f1",
    "false_per_frame",
    "hota",
    "diameter_error",
    "diameter_bias",
    "parent_accuracy",
    "count_relative_mae",
    "location_macro_recall",
    "birth_error_frames",
    "birth_error_min",
    "plateau_diameter_error",
    "tau_error",
    "fate_macro_recall",
    "cell_seg",
    "cell_f1",
    "fiber_f1",
    "fiber_length_ratio",
    "empty_false_per_frame",
    "empty_false_tracks",
)


def analyse(condition: str, seed: int, method: str, out: Path) -> tuple[Path, Path, float]:
    """Simulate and analyse one movie; folders of the results and the truth, and the seconds of the analysis."""
    import cv2

    from migradetect.io import write_results
    from migradetect.params import JudgeParams, Params
    from migradetect.pipeline import analyze
    from migradetect.synthetic import simulate

    cv2.setNumThreads(1)
    simulation = simulate(condition, seed)
    start = time.perf_counter()
    results = analyze(simulation.movie(), Params(judge=JudgeParams(method=method)))
    seconds = time.perf_counter() - start
    folders = out / "results" / results.movie_id, out / "truth" / results.movie_id
    write_results(results, folders[0])
    write_results(simulation.truth, folders[1])
    return *folders, seconds


def scored(folders: list[tuple[Path, Path]]) -> pd.DataFrame:
    """Scores of the movies of one condition, and pooled as ``all``."""
    from migradetect.evaluate import evaluate_many
    from migradetect.io import load_results

    def pairs():  # type: ignore[no-untyped-def]
        for results_folder, truth_folder in folders:
            results = load_results(results_folder)
            yield results, load_results(truth_folder), results.provenance["calibration"]["pixel_size_um"]

    return evaluate_many(pairs())


def main() -> int:
    """Simulate, analyse, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", nargs="+", default=["typical"])
    parser.add_argument("--seeds", type=int, default=10, help="movies of each condition")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--judge", choices=["learned", "rules"], default="learned")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmark_output/accuracy"))
    options = parser.parse_args()
    tables = []
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = {
            condition: [
                pool.submit(analyse, condition, options.first_seed + k, options.judge, options.out)
                for k in range(options.seeds)
            ]
            for condition in options.conditions
        }
        for condition, futures in waiting.items():
            done = [future.result() for future in futures]
            tables.append(scored([(results, truth) for results, truth, _ in done]).assign(condition=condition))
            print(f"{condition}: {sum(seconds for *_, seconds in done):.0f} s of analysis", file=sys.stderr)
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(options.out / "scores.csv", index=False)
    table["movie"] = table["condition"].where(table["movie_id"] == "all", table["movie_id"])
    wide = table.pivot(index="metric", columns="movie", values="value").reindex(SHOWN).round(3)
    print(wide.drop(columns=options.conditions).to_string())
    print(f"\nPooled, {options.seeds} held-out seeds each:\n{wide[options.conditions].to_string()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
