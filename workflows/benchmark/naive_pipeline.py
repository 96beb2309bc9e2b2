"""What a good user would write with scikit-image and trackpy: the same job, without anything of this project.

    python naive_pipeline.py MOVIE.tif OUT --pixel-size-um 0.14 --frame-interval-s 120

Per frame: background by a wide Gaussian (a rolling ball of that size takes 25 s a frame), cells by Otsu's threshold and
a watershed, fibers by Sato's filter, hysteresis and a skeleton, migrasomes by blob_log outside of the cells, tables by
regionprops. Then links by trackpy, growth by curve_fit, the nearest cell as the parent, counts per cell. Tables and
label stacks are written. One frame is read at a time, and nothing is computed twice.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import trackpy
from scipy import ndimage as ndi
from scipy.optimize import curve_fit
from skimage.feature import blob_log, peak_local_max
from skimage.filters import apply_hysteresis_threshold, gaussian, sato, threshold_otsu
from skimage.measure import label, regionprops_table
from skimage.morphology import remove_small_objects, skeletonize
from skimage.segmentation import watershed

BACKGROUND_PX = 50
RIDGE_SIGMAS = (1.5, 2.0, 3.0)
BLOB_SIGMAS = (1.5, 9.0, 7)
BLOB_SNR, RIDGE_SNR = 4.0, (3.0, 6.0)
CELL_PROPERTIES = ("label", "centroid", "area", "perimeter", "eccentricity", "orientation", "intensity_mean")


def noise_of(image: np.ndarray) -> float:
    """Standard deviation of the noise, from the differences of neighbours."""
    return float(np.median(np.abs(np.diff(image, axis=1))) / 0.6745 / np.sqrt(2))


def segment_cells(image: np.ndarray, pixel_um: float) -> np.ndarray:
    smooth = gaussian(image, 2)
    mask = smooth > threshold_otsu(smooth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the argument has another name in scikit-image 0.26
        mask = remove_small_objects(ndi.binary_fill_holes(ndi.binary_opening(mask, iterations=3)), 100 / pixel_um**2)
    distance = ndi.distance_transform_edt(mask)
    peaks = peak_local_max(gaussian(distance, 3), min_distance=round(6 / pixel_um), labels=label(mask))
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, seeds, mask=mask)


def find_fibers(image: np.ndarray, cells: np.ndarray) -> np.ndarray:
    ridge = sato(image, sigmas=RIDGE_SIGMAS, black_ridges=False)
    ridge[ndi.binary_dilation(cells > 0, iterations=3)] = 0
    noise = float(np.median(ridge[ridge > 0])) if (ridge > 0).any() else 1.0
    mask = apply_hysteresis_threshold(ridge, RIDGE_SNR[0] * noise, RIDGE_SNR[1] * noise)
    lines = label(skeletonize(mask), connectivity=2)
    sizes = np.bincount(lines.ravel())
    lines[sizes[lines] < 15] = 0
    return label(lines > 0, connectivity=2)


def find_spots(image: np.ndarray, cells: np.ndarray) -> np.ndarray:
    low, high, number = BLOB_SIGMAS
    spots = blob_log(image, min_sigma=low, max_sigma=high, num_sigma=number, threshold=BLOB_SNR * noise_of(image) / 2)
    outside = cells[spots[:, 0].astype(int), spots[:, 1].astype(int)] == 0
    return spots[outside]


def one_frame(planes: np.ndarray, frame: int, pixel_um: float):  # type: ignore[no-untyped-def]
    flat = [plane - gaussian(plane, BACKGROUND_PX) for plane in planes.astype(np.float32)]
    both = sum(plane / noise_of(plane) for plane in flat)
    cells = segment_cells(flat[-1], pixel_um)
    fibers = find_fibers(both, cells)
    spots = find_spots(flat[0], cells)
    about = pd.DataFrame(regionprops_table(cells, flat[0], properties=CELL_PROPERTIES)).assign(frame=frame)
    lines = pd.DataFrame(regionprops_table(fibers, both, properties=("label", "area", "intensity_mean")))
    lines = lines.rename(columns={"area": "length_px"}).assign(frame=frame)
    table = pd.DataFrame(spots, columns=["y", "x", "sigma"]).assign(frame=frame)
    gap, (near_y, near_x) = ndi.distance_transform_edt(cells == 0, return_indices=True)
    y, x = table["y"].astype(int), table["x"].astype(int)
    table["cell_um"] = gap[y, x] * pixel_um
    table["cell"] = cells[near_y[y, x], near_x[y, x]]
    table["fiber_um"] = ndi.distance_transform_edt(fibers == 0)[y, x] * pixel_um
    table["signal"] = ndi.map_coordinates(gaussian(flat[0], 1.5), [table["y"], table["x"]], order=1)
    table["diameter_um"] = 2 * np.sqrt(2) * table["sigma"] * pixel_um
    return cells, fibers, about, lines, table


def grow(t: np.ndarray, plateau: float, tau: float, birth: float) -> np.ndarray:
    return plateau * (1 - np.exp(-np.maximum(t - birth, 0) / tau))


def fit_tracks(spots: pd.DataFrame, interval_min: float) -> pd.DataFrame:
    rows = []
    for particle, track in spots.groupby("particle"):
        t, d = track["frame"].to_numpy() * interval_min, track["diameter_um"].to_numpy()
        plateau, tau = float(np.median(d)), np.nan
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = (plateau, 10.0, t[0] - interval_min)
                limits = ([0.1, 0.5, t[0] - 30], [6, 500, t[0] + interval_min])
                (plateau, tau, _), _ = curve_fit(grow, t, d, start, bounds=limits)
        except (RuntimeError, ValueError):
            pass
        rows.append((particle, track["cell"].mode().iloc[0], t[0], t[-1], plateau, tau, len(track)))
    return pd.DataFrame(rows, columns=["particle", "cell", "birth_min", "end_min", "plateau_um", "tau_min", "n_frames"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("movie", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pixel-size-um", type=float, required=True)
    parser.add_argument("--frame-interval-s", type=float, required=True)
    options = parser.parse_args()
    pixel, interval_min = options.pixel_size_um, options.frame_interval_s / 60
    options.out.mkdir(parents=True, exist_ok=True)
    cells, fibers, spots = [], [], []
    with (
        tifffile.TiffFile(options.movie) as file,
        tifffile.TiffWriter(options.out / "cells.tif", bigtiff=True) as cell_file,
        tifffile.TiffWriter(options.out / "fibers.tif", bigtiff=True) as fiber_file,
    ):
        series = file.series[0]
        n_channels = series.shape[-3]
        n_frames = series.size // (n_channels * series.shape[-1] * series.shape[-2])
        stack = tifffile.memmap(options.movie).reshape(n_frames, n_channels, *series.shape[-2:])
        for frame in range(n_frames):
            masks, lines, about, lengths, table = one_frame(np.asarray(stack[frame]), frame, pixel)
            cell_file.write(masks.astype(np.uint16), compression="zlib", contiguous=False)
            fiber_file.write(lines.astype(np.uint16), compression="zlib", contiguous=False)
            cells.append(about)
            fibers.append(lengths)
            spots.append(table)
    trackpy.quiet()
    linked = pd.concat(spots, ignore_index=True)
    if len(linked):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            linked = trackpy.link(linked, search_range=5, memory=3, adaptive_stop=1, adaptive_step=0.8)
            linked = trackpy.filter_stubs(linked, min(4, n_frames)).reset_index(drop=True)
    bodies = pd.concat(cells, ignore_index=True)
    if len(bodies):
        moving = bodies.rename(columns={"centroid-0": "y", "centroid-1": "x"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bodies = trackpy.link(moving, search_range=40, memory=1, adaptive_stop=5, adaptive_step=0.8)
        names = bodies.set_index(["frame", "label"])["particle"]
        if len(linked):
            keys = pd.MultiIndex.from_frame(linked[["frame", "cell"]])
            linked["cell"] = names.reindex(keys).to_numpy()
    tracks = fit_tracks(linked.dropna(subset="cell"), interval_min) if len(linked) else pd.DataFrame()
    counts = tracks.groupby("cell").size() if len(tracks) else pd.Series(dtype=int)
    known = bodies["particle"].unique() if len(bodies) else []
    summary = pd.DataFrame({"cell": known, "n_migrasomes": counts.reindex(known, fill_value=0).to_numpy()})
    for name, table in {
        "cells": bodies,
        "fibers": pd.concat(fibers, ignore_index=True),
        "spots": linked,
        "tracks": tracks,
        "summary": summary,
    }.items():
        table.to_parquet(options.out / f"{name}.parquet")
        table.to_csv(options.out / f"{name}.csv", index=False)
    print(f"{len(tracks)} migrasomes, {len(known)} cells")


if __name__ == "__main__":
    main()
