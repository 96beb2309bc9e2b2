"""Train the network that sees where two bodies meet from both simulators and write it as plain arrays.

    python workflows/benchmark/train_borders.py --workers 2

Simulates one frame each of many movies, finds their bodies, and fits the network to tell where two true cells meet.
What is shipped, ``migradetect/data/borders.npz``, holds number arrays only. Seeds from 65000 on, of the second
simulator from 52000 on, are for this training; the benchmarks use others. Needs PyTorch. Frames are kept in a folder,
so that a run that was stopped goes on where it was. 10 minutes for the frames and 9 for the network on two cores.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np
from both_simulators import SINGLE, simulated

FIRST_SEED, FIRST_SECOND_SEED = 65_000, 52_000
#: Frames of each condition of the simulator, and of each kind of the second one.
FRAMES = {
    "random": 240,
    "crowded": 50,
    "clean": 12,
    "typical": 12,
    "low_snr": 12,
    "drifting": 12,
    "many_decoys": 12,
    "fine_pixels": 12,
    "coarse_pixels": 12,
    "fixed_frame": 12,
    "no_migrasomes": 12,
    "z_stack": 12,
}
SECOND_FRAMES = 20
#: Of movies that are no single images the first frames will do, for noise and PSF.
MOVIE_FRAMES = 3


def make(source: str, kind: str, seed: int, path: Path) -> None:
    """Simulate a movie and write the bodies of its first frame on the coarse grid."""
    from migradetect.cells._segment import find_bodies
    from migradetect.params import load_params
    from migradetect.pipeline._fit_model import fit_movie_model, measure_noise
    from migradetect.pipeline._frames import clean_frame

    cv2.setNumThreads(1)
    frames = {} if kind in SINGLE else {"n_frames": MOVIE_FRAMES}
    movie, truth = simulated(source, kind, seed, **frames)
    params = load_params("fixed" if kind in SINGLE else "default", environ={})
    model = fit_movie_model(movie, params, measure_noise(movie))
    found = find_bodies(clean_frame(movie, 0, model).body, params.cells, movie.calibration)
    shape = (1, 1) if found is None else found.coarse.shape
    plane = np.asarray(truth.labels["cells"][0]).astype(np.float32)
    cells = cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_NEAREST)
    unfinished = path.with_suffix(".part.npz")
    np.savez_compressed(
        unfinished,
        image=np.zeros(shape, np.float32) if found is None else found.image,
        mask=np.zeros(shape, bool) if found is None else found.on_coarse,
        truth=cells.astype(np.uint8),
        pixel_um=1.0 if found is None else found.coarse.pixel_um,
    )
    unfinished.replace(path)


def main() -> int:
    """Simulate, find bodies, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8_000, help="steps of the optimizer")
    parser.add_argument("--cache", type=Path, default=Path("benchmark_output/border_training"))
    parser.add_argument("--out", type=Path, default=Path("migradetect/data/borders.npz"))
    options = parser.parse_args()
    from second_simulator import KINDS

    jobs = [("own", condition, FIRST_SEED + k) for condition, n in FRAMES.items() for k in range(n)]
    jobs += [("second", kind, FIRST_SECOND_SEED + k) for kind in KINDS for k in range(SECOND_FRAMES)]
    paths = [options.cache / "{}_{}_{}.npz".format(*job) for job in jobs]
    options.cache.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.workers) as pool:
        waiting = [pool.submit(make, *job, path) for job, path in zip(jobs, paths, strict=True) if not path.exists()]
        for n, future in enumerate(as_completed(waiting), start=1):
            future.result()
            print(f"{n} of {len(waiting)} frames", file=sys.stderr)
    from border_training import Example, train_network

    arrays = train_network([Example.load(path) for path in paths], options.steps)
    np.savez_compressed(options.out, **arrays)
    print(f"{sum(one.size for one in arrays.values())} weights from {len(paths)} frames -> {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
