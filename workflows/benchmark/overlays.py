"""Draw results beside the truth, for looking at.

    python workflows/benchmark/accuracy.py --conditions typical low_snr --seeds 1
    python workflows/benchmark/overlays.py --conditions typical low_snr

Simulates the first held-out movie of each condition again (the same seed gives the same pixels) and draws the frame
at three quarters: as recorded, with what was found, and with the truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from accuracy import FIRST_SEED


def draw(condition: str, seed: int, folder: Path, out: Path) -> Path:
    """Write one picture and return its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from migradetect.io import load_results
    from migradetect.plots import overlay
    from migradetect.synthetic import simulate

    movie = simulate(condition, seed).movie()
    frame = (3 * (movie.n_frames - 1)) // 4
    image = movie.frame(frame, movie.roles[-1])
    figure = Figure(figsize=(24, 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    overlay(panels[0], image, movie.calibration)
    panels[0].set_title(f"{condition} {seed}, frame {frame}, {movie.roles[-1]}")
    for panel, name in zip(panels[1:], ("results", "truth"), strict=True):
        tables = load_results(folder / name / movie.movie_id)
        rows = tables.migrasomes
        rows = rows[(rows["frame"] == frame) & ~rows["is_covered"]]
        overlay(
            panel,
            image,
            movie.calibration,
            cells=np.asarray(tables.labels["cells"][frame]),
            fibers=np.asarray(tables.labels["fibers"][frame]),
            spots=rows,
        )
        panel.set_title(f"{name}: {len(rows)} migrasomes in view")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{condition}_{seed}.png"
    figure.savefig(path, dpi=80)
    return path


def main() -> int:
    """Draw one picture for each condition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", nargs="+", default=["typical"])
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--folder", type=Path, default=Path("benchmark_output/accuracy"))
    parser.add_argument("--out", type=Path, default=Path("benchmark_output/overlays"))
    options = parser.parse_args()
    for condition in options.conditions:
        print(draw(condition, options.seed, options.folder, options.out))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
