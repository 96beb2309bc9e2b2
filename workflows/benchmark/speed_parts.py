"""Single parts for the benchmark of speed, each in a process of its own: ``python speed_parts.py PART [MOVIE]``.

Prints one line of JSON with the seconds of the part itself, without imports and the making of its input.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

#: Of the target: candidates x frames that are linked, and fits of growth.
CANDIDATES, FRAMES, FITS = 2000, 500, 5000


def candidates(n: int, n_frames: int, seed: int = 1) -> pd.DataFrame:
    """Spots that stand still but for 0.05 um of noise, each seen in 9 of 10 frames, in a field of 287 um."""
    rng = np.random.default_rng(seed)
    frame, which = (axis.ravel() for axis in np.meshgrid(np.arange(n_frames), np.arange(n), indexing="ij"))
    place = rng.uniform(0, 287, (n, 2))[which] + rng.normal(0, 0.05, (which.size, 2))
    seen = rng.random(which.size) < 0.9
    table = pd.DataFrame(
        {
            "frame": frame,
            "y_stage_um": place[:, 0],
            "x_stage_um": place[:, 1],
            "scale_um": rng.uniform(0.4, 2.5, n)[which],
            "diameter_um": rng.uniform(0.4, 2.5, n)[which],
            "blob_snr": rng.uniform(3, 30, which.size),
        }
    )
    return table[seen].reset_index(drop=True)


def link_project() -> Callable[[], object]:
    from migradetect.linking import link_spots, merge_sites
    from migradetect.params import load_params

    spots, params = candidates(CANDIDATES, FRAMES), load_params(environ={}).linking
    link_spots(candidates(20, 3), params)  # imports, and what is compiled
    return lambda: merge_sites(link_spots(spots, params))


def link_trackpy() -> Callable[[], object]:
    import trackpy

    trackpy.quiet()
    spots = candidates(CANDIDATES, FRAMES).rename(columns={"y_stage_um": "y", "x_stage_um": "x"})
    return lambda: trackpy.link(spots, search_range=0.7, memory=3)


def growth_curves() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(2)
    time_min = np.arange(40) * 2.0
    curves = []
    for _ in range(FITS):
        plateau, tau = rng.uniform(0.8, 2.5), rng.uniform(5, 30)
        diameter = plateau * (1 - np.exp(-(time_min + 2) / tau)) + rng.normal(0, 0.05, time_min.size)
        curves.append((time_min, diameter, np.full(time_min.size, 0.05)))
    return curves


def growth_project() -> Callable[[], object]:
    from migradetect.growth import fit_growth
    from migradetect.params import load_params

    params, curves = load_params(environ={}).growth, growth_curves()
    fit_growth(*curves[0], params, False)
    return lambda: [fit_growth(*curve, params, False) for curve in curves]


def growth_curve_fit() -> Callable[[], object]:
    from scipy.optimize import curve_fit

    def grow(t: np.ndarray, plateau: float, tau: float, birth: float) -> np.ndarray:
        return plateau * (1 - np.exp(-np.maximum(t - birth, 0) / tau))

    def run() -> None:
        for t, d, e in growth_curves():
            curve_fit(grow, t, d, (d[-1], 10, -2), e, bounds=([0.1, 0.5, -30], [6, 500, 10]))

    return run


def _channel(movie: str) -> list[np.ndarray]:
    import tifffile

    stack = tifffile.memmap(movie)
    # ImageJ files are big-endian, which numba refuses
    return [stack[index, 0].astype(np.uint16) for index in range(len(stack))]


def blob_log(movie: str) -> Callable[[], object]:
    from skimage.feature import blob_log as find

    def run() -> None:
        for plane in _channel(movie):
            image = plane.astype(np.float32)
            noise = float(np.median(np.abs(np.diff(image, axis=1))) / 0.6745 / np.sqrt(2))
            find(image, min_sigma=1.5, max_sigma=9, num_sigma=7, threshold=2 * noise)

    return run


def trackpy_batch(movie: str) -> Callable[[], object]:
    import trackpy

    trackpy.quiet()

    def run() -> None:
        spots = trackpy.batch(_channel(movie), 11, processes=1)
        trackpy.link(spots, search_range=5, memory=3, adaptive_stop=1, adaptive_step=0.8)

    return run


def nellie(movie: str) -> Callable[[], object]:
    from nellie_peer import nellie as run

    from migradetect.io import InputOptions, open_movie

    opened = open_movie(movie, InputOptions(channels=("tspan4", "wga")))
    return lambda: run(opened)


PARTS: dict[str, Callable[..., Callable[[], object]]] = {
    "link_project": link_project,
    "link_trackpy": link_trackpy,
    "growth_project": growth_project,
    "growth_curve_fit": growth_curve_fit,
    "blob_log": blob_log,
    "trackpy": trackpy_batch,
    "nellie": nellie,
}


def main() -> None:
    warnings.simplefilter("ignore")
    run = PARTS[sys.argv[1]](*sys.argv[2:])
    started = time.perf_counter()
    run()
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
