"""Write movies and their truth: ``python -m second_simulator typical --seed 1 --n 2 --out DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from migradetect.io import write_movie, write_results

from . import KINDS, simulate


def main() -> None:
    """Simulate and write; movies lie in DIR, truth in DIR/truth/<movie_id>."""
    parser = argparse.ArgumentParser(prog="second_simulator", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--n", type=int, default=1, help="movies")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seed, args.seed + args.n):
        movie, truth = simulate(args.kind, seed)
        data = np.stack([[movie.source.read(t, c) for c in range(len(movie.roles))] for t in range(movie.n_frames)])
        path = args.out / f"{movie.movie_id}.ome.tif"
        write_movie(path, data, "TCYX", movie.calibration, movie.roles)
        folder = write_results(truth, args.out / "truth" / movie.movie_id)
        print(f"{path}: {len(truth.tracks)} migrasomes of {len(truth.cell_summary)} cells; truth in {folder}")


if __name__ == "__main__":
    main()
