"""What a user would do today, each as a function from a movie to the same tables that the project writes.

=============  =====================================================================================================
``trackpy``    ``trackpy.locate`` in every frame, ``trackpy.link``, stubs left out, the nearest cell is the parent
``blob_log``   ``skimage.feature.blob_log`` outside the cells, linked with trackpy, the nearest cell is the parent
``log_ridge``  registered frames; Laplacian of Gaussian candidates outside the cells and on ridges (Sato's filter,
               hysteresis, skeleton); linked, stubs and movers left out; the last cell over the place is the parent
``nellie``     the organelle tool Nellie, objects of the size of migrasomes outside the cells; see :mod:`nellie_peer`
=============  =====================================================================================================

All lengths are in um and thresholds in units of the noise, so that one setting serves every movie. The settings are the
best of several on five short simulated movies of the seeds 501 to 503, which are no part of the benchmark.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from nellie_peer import nellie
from numpy.typing import NDArray
from peer_tables import Ending, Image, Labels, Scene, detection_role, finish, link_spots, noise_of
from scipy import ndimage as ndi
from skimage.feature import blob_log as skimage_blob_log
from skimage.filters import apply_hysteresis_threshold, gaussian, sato, threshold_otsu
from skimage.morphology import remove_small_objects, skeletonize
from skimage.registration import phase_cross_correlation

from migradetect.movie import Movie
from migradetect.results import Results

__all__ = ["PEERS", "blob_log", "log_ridge", "nellie", "trackpy_peer"]

_SPOT_COLUMNS = ("frame", "y_px", "x_px", "diameter_um", "signal", "snr", "score")


@dataclass(frozen=True)
class TrackpySettings:
    """Settings of the peer ``trackpy``; lengths in um."""

    #: ``diameter`` of trackpy: the features and their halo, as its walkthrough advises.
    diameter: float = 1.7
    search_range: float = 1.0
    memory: int = 3
    #: Shorter tracks are stubs, min.
    min_duration: float = 12.0
    #: Otsu's threshold of the mass is taken this many times: bare fibers are above it, as the user sees in an overlay.
    #: More is better where migrasomes are few (F1 0.55 with 8, 0.45 with 3) but loses most where they are many.
    over_otsu: float = 3.0
    #: Frames whose features give the threshold of the mass.
    sample: int = 5


@dataclass(frozen=True)
class BlobLogSettings:
    """Settings of the peer ``blob_log``; lengths in um, the threshold in units of the noise of a pixel."""

    min_diameter: float = 0.5
    max_diameter: float = 3.0
    n_sigma: int = 8
    threshold: float = 3.0
    search_range: float = 1.0
    memory: int = 3
    #: Shorter tracks are stubs, min.
    min_duration: float = 12.0


@dataclass(frozen=True)
class LogRidgeSettings:
    """Settings of the peer ``log_ridge``; lengths in um, thresholds in units of the noise."""

    min_diameter: float = 0.5
    max_diameter: float = 3.0
    n_sigma: int = 8
    #: Least response of a candidate, in noise and in medians of the response along the ridges of the frame: a bare
    #: fiber answers to the Laplacian too.
    threshold: float = 2.5
    over_ridge: float = 3.0
    #: Least ratio of the two curvatures, the edge test of SIFT: 0 on a line, 1 in a disc.
    roundness: float = 0.6
    background: float = 6.0
    ridge_sigmas: tuple[float, ...] = (0.15, 0.25)
    ridge_low: float = 3.0
    ridge_high: float = 6.0
    min_fiber: float = 3.0
    on_ridge: float = 0.8
    #: Longest step of the stage that is believed.
    max_step: float = 5.0
    #: Registered neighbours averaged on each side.
    average: int = 1
    search_range: float = 0.6
    memory: int = 3
    min_duration: float = 12.0
    #: A track that ends farther than this from where it began moves, and is no migrasome.
    max_shift: float = 1.2


def _spot_table(rows: list[pd.DataFrame]) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in _SPOT_COLUMNS}).astype({"frame": int})
    return pd.concat(rows, ignore_index=True)


def _stage(spots: pd.DataFrame, scene: Scene) -> pd.DataFrame:
    """Places in um with the drift taken out, for linking."""
    drift = scene.drift_px[spots["frame"].to_numpy(int)]
    return spots.assign(
        y_stage_um=(spots["y_px"] - drift[:, 0]) * scene.pixel_um,
        x_stage_um=(spots["x_px"] - drift[:, 1]) * scene.pixel_um,
    )


def _valley(movie: Movie, spots: pd.DataFrame, name: str, n_frames: int) -> float:
    """Otsu's threshold of the logarithm of a measure, over the spots of some frames; 0 where there are none."""
    sampled = np.unique(np.linspace(0, movie.n_frames - 1, n_frames).astype(int))
    values = spots.loc[spots["frame"].isin(sampled), name].to_numpy(float)
    logs = np.log(values[values > 0])
    if not logs.size:
        return 0.0
    return float(np.exp(threshold_otsu(logs) if np.ptp(logs) > 0 else logs[0]))


def _least_frames(movie: Movie, minutes: float) -> float:
    """Frames of the shortest track that is kept: at least three, because chance makes pairs, and at most a third."""
    interval = movie.calibration.frame_interval_min
    return max(3.0, min(minutes / interval, movie.n_frames / 3)) if np.isfinite(interval) else 1.0


def _score(response: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """0.5 at the threshold, towards 1 for strong ones: what a precision-recall curve needs."""
    return 1.0 - 0.5 * threshold / np.maximum(response, threshold)


def _outside(y: NDArray[np.float64], x: NDArray[np.float64], cells: Labels) -> NDArray[np.bool_]:
    at = (
        np.clip(np.round(y).astype(int), 0, cells.shape[0] - 1),
        np.clip(np.round(x).astype(int), 0, cells.shape[1] - 1),
    )
    return cells[at] == 0


# --- trackpy ---------------------------------------------------------------------------------------------------------


def trackpy_peer(movie: Movie, settings: TrackpySettings | None = None) -> Results:
    """``trackpy.locate`` and ``link``, the usual tool for spots in time-lapses.

    The user draws the histogram of the mass of a few frames and cuts above its valley: Otsu's threshold of the log
    mass of the features outside the cells, times a factor, stands for that. Diameters come from the radius of
    gyration, as of a disc.
    """
    import trackpy

    settings = settings or TrackpySettings()
    scene, role = Scene(movie), detection_role(movie)
    # an odd number of pixels, which trackpy asks for
    size = max(5, 2 * round((settings.diameter / scene.pixel_um - 1) / 2) + 1)
    trackpy.quiet()
    found = []
    for t in range(movie.n_frames):
        planes = movie.frame_stack(t)
        cells = scene.add_cells(t, planes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # trackpy 0.7 under pandas 3, and images without a feature
            spots = trackpy.locate(planes[role], size, minmass=0, engine="numba" if _has_numba() else "python")
        if len(spots):
            spots = spots[_outside(spots["y"].to_numpy(float), spots["x"].to_numpy(float), cells)]
            found.append(spots.assign(frame=t))
    spots = _spot_table(found)
    if spots.empty or "mass" not in spots:
        return finish(scene, link_spots(_spot_table([]), 1, 0, 1), Ending("nearest"), "trackpy")
    min_mass = settings.over_otsu * _valley(movie, spots, "mass", settings.sample)
    spots = spots[spots["mass"] >= min_mass].reset_index(drop=True)
    table = pd.DataFrame(
        {
            "frame": spots["frame"].astype(int),
            "y_px": spots["y"],
            "x_px": spots["x"],
            # a disc of the diameter d has the radius of gyration d / (2 sqrt 2)
            "diameter_um": 2 * np.sqrt(2) * spots["size"] * scene.pixel_um,
            "signal": spots["mass"],
            "snr": spots["signal"] / max(noise_of(movie.frame(0, role)), 1e-6),
            "score": _score(spots["mass"].to_numpy(float), min_mass),
        }
    )
    linked = link_spots(
        _stage(table, scene), settings.search_range, settings.memory, _least_frames(movie, settings.min_duration)
    )
    return finish(scene, linked, Ending("nearest"), "trackpy")


def _has_numba() -> bool:
    import importlib.util

    return importlib.util.find_spec("numba") is not None


# --- blob_log --------------------------------------------------------------------------------------------------------


def _log_spots(
    image: Image, pixel_um: float, diameters: tuple[float, float], n_sigma: int, threshold: float
) -> pd.DataFrame:
    """Blobs of one image that is in units of its noise.

    ``snr`` is the scale-normalised Laplacian, ``roundness`` the ratio of the two curvatures: 1 for a disc, 0 on a line.
    """
    # a disc of the diameter d answers most at sigma = d / (2 sqrt 2)
    low, high = (d / (2 * np.sqrt(2)) / pixel_um for d in diameters)
    low = max(low, 0.7)
    blobs = skimage_blob_log(
        image, min_sigma=low, max_sigma=high, num_sigma=n_sigma, threshold=threshold, overlap=0.5, log_scale=True
    )
    y, x, sigma = blobs.T if len(blobs) else np.empty((3, 0))
    response, roundness = np.empty(len(y)), np.empty(len(y))
    height, width = image.shape
    for one in np.unique(sigma):
        of_scale = sigma == one
        smooth = gaussian(image, one, preserve_range=True)
        # second derivatives by differences, at the blobs only
        r = np.clip(y[of_scale].astype(int), 1, height - 2)
        c = np.clip(x[of_scale].astype(int), 1, width - 2)
        centre = 2 * smooth[r, c]
        rr = smooth[r - 1, c] + smooth[r + 1, c] - centre
        cc = smooth[r, c - 1] + smooth[r, c + 1] - centre
        rc = (smooth[r + 1, c + 1] + smooth[r - 1, c - 1] - smooth[r + 1, c - 1] - smooth[r - 1, c + 1]) / 4
        middle, half = (rr + cc) / 2, np.hypot((rr - cc) / 2, rc)
        response[of_scale] = -(rr + cc) * one**2
        roundness[of_scale] = (middle + half) / np.minimum(middle - half, -1e-9)
    return pd.DataFrame(
        {
            "y_px": y,
            "x_px": x,
            "diameter_um": 2 * np.sqrt(2) * sigma * pixel_um,
            "signal": response * np.pi * 2 * sigma**2,
            "snr": response,
            "roundness": roundness,
        }
    )


def _in_noise(image: Image) -> Image:
    """Image above its median in units of the noise of its differences, which shape hardly touches."""
    noise = float(1.4826 * np.median(np.abs(np.diff(image, axis=1)))) / np.sqrt(2)
    return ((image - np.median(image)) / max(noise, 1e-6)).astype(np.float32)


def blob_log(movie: Movie, settings: BlobLogSettings | None = None) -> Results:
    """``skimage.feature.blob_log`` outside the cell mask, linked with trackpy."""
    settings = settings or BlobLogSettings()
    scene, role = Scene(movie), detection_role(movie)
    found = []
    for t in range(movie.n_frames):
        planes = movie.frame_stack(t)
        cells = scene.add_cells(t, planes)
        image = _in_noise(planes[role])
        spots = _log_spots(
            image,
            scene.pixel_um,
            (settings.min_diameter, settings.max_diameter),
            settings.n_sigma,
            settings.threshold,
        )
        spots = spots[_outside(spots["y_px"].to_numpy(), spots["x_px"].to_numpy(), cells)]
        found.append(spots.assign(frame=t, score=_score(spots["snr"].to_numpy(float), settings.threshold)))
    spots = _spot_table(found)
    linked = link_spots(
        _stage(spots, scene), settings.search_range, settings.memory, _least_frames(movie, settings.min_duration)
    )
    return finish(scene, linked.drop(columns="roundness", errors="ignore"), Ending("nearest"), "blob_log")


# --- log_ridge -------------------------------------------------------------------------------------------------------


def _still_light(planes: dict[str, Image], cells: Labels, pixel_um: float) -> tuple[Image, Image]:
    """Fine detail of a frame, and the same with the cells blanked, which move and would lead the registration."""
    total = sum(_in_noise(plane) for plane in planes.values())
    fine = gaussian(total, 1.0) - gaussian(total, 2.0 / pixel_um)
    # what is brightest moves
    fine = np.clip(fine, *np.percentile(fine, (1, 95)))
    free = np.clip(ndi.distance_transform_edt(cells == 0) * pixel_um - 1.0, 0, 1)
    return fine.astype(np.float32), (fine * free).astype(np.float32)


def _register(frames: list[tuple[Image, Image]], max_step_px: float) -> NDArray[np.float64]:
    """Drift of each frame since the first, by phase correlation of neighbours with and without their cells.

    Of the two steps and none at all, the one that makes the frames most alike is taken.
    """
    drift = np.zeros((len(frames), 2))
    for t in range(1, len(frames)):
        (before, before_still), (now, now_still) = frames[t - 1], frames[t]
        steps = [
            -phase_cross_correlation(a, b, upsample_factor=10, normalization="phase")[0]
            for a, b in ((before_still, now_still), (before, now))
        ]
        steps = [step for step in steps if np.hypot(*step) <= max_step_px]

        def unlike(step: NDArray[np.float64], a: Image = before_still, b: Image = now_still) -> float:
            return float(np.abs(ndi.shift(b, -step, order=1, mode="nearest") - a).mean())

        drift[t] = min([*steps, np.zeros(2)], key=unlike)
    return np.cumsum(drift, axis=0)


def _averaged(movie: Movie, drift: NDArray[np.float64], t: int, reach: int) -> dict[str, Image]:
    """Mean of registered neighbours, each moved onto frame `t`."""
    near = range(max(0, t - reach), min(movie.n_frames, t + reach + 1))
    planes: dict[str, Image] = {}
    for role in movie.roles:
        moved = [
            movie.frame(k, role)
            if k == t
            else ndi.shift(movie.frame(k, role), drift[t] - drift[k], order=1, mode="nearest")
            for k in near
        ]
        planes[role] = np.mean(moved, axis=0).astype(np.float32)
    return planes


def _ridges(image: Image, cells: Labels, settings: LogRidgeSettings, pixel_um: float) -> NDArray[np.bool_]:
    """Centrelines of the fibers of one image that is in units of its noise."""
    response = sato(image, [max(s / pixel_um, 1.0) for s in settings.ridge_sigmas], black_ridges=False)
    free = cells == 0
    noise = 1.4826 * float(np.median(response[free])) if free.any() else 1.0
    ridge = apply_hysteresis_threshold(response, settings.ridge_low * noise, settings.ridge_high * noise) & free
    line = skeletonize(ridge)
    with warnings.catch_warnings():
        # the name of the argument changed in scikit-image 0.26
        warnings.simplefilter("ignore")
        return np.asarray(
            remove_small_objects(line, max(2, round(settings.min_fiber / pixel_um)), connectivity=2), dtype=bool
        )


def _place_on_ridge(spots: pd.DataFrame, line: NDArray[np.bool_], named: Labels, reach_px: float) -> pd.DataFrame:
    """Keep spots near a centreline; the fiber, and tip, branch or shaft by what lies within reach."""
    if spots.empty or not line.any():
        return spots.iloc[:0].assign(fiber_id=pd.Series(dtype="Int64"), location=pd.Series(dtype=object))
    distance, index = ndi.distance_transform_edt(~line, return_indices=True)
    degree = np.where(line, ndi.convolve(line.astype(np.int8), np.ones((3, 3), np.int8), mode="constant") - 1, 0)
    to_tip = ndi.distance_transform_edt(degree != 1)
    # a crossing has three arms that reach beyond the spot: thinning leaves short spurs, which are none
    to_fork = ndi.distance_transform_edt(degree < 3)
    at = tuple(
        np.clip(np.round(spots[name].to_numpy(float)).astype(int), 0, size - 1)
        for name, size in zip(("y_px", "x_px"), line.shape, strict=True)
    )
    location = np.where(to_tip[at] <= reach_px, "tip", np.where(to_fork[at] <= reach_px, "branch", "shaft"))
    kept = spots.assign(fiber_id=named[tuple(i[at] for i in index)], location=location)
    return kept[distance[at] <= reach_px]


def log_ridge(movie: Movie, settings: LogRidgeSettings | None = None) -> Results:
    """Blobs outside the cells and on ridges, in registered and averaged frames: a good day's work.

    Both channels are used, each in units of its noise, as their mean.
    """
    settings = settings or LogRidgeSettings()
    scene = Scene(movie)
    pixel = scene.pixel_um
    background = settings.background / pixel
    still = []
    for t in range(movie.n_frames):
        planes = movie.frame_stack(t)
        still.append(_still_light(planes, scene.add_cells(t, planes), pixel))
    scene.drift_px = drift = _register(still, settings.max_step / pixel)
    del still
    found = []
    for t in range(movie.n_frames):
        planes = _averaged(movie, drift, t, settings.average)
        cells = scene.cells[t].astype(np.int32)
        flat = [_in_noise(plane - gaussian(plane, background, preserve_range=True)) for plane in planes.values()]
        image = (np.sum(flat, axis=0) / np.sqrt(len(flat))).astype(np.float32)
        line = _ridges(image, cells, settings, pixel)
        named = scene.add_fibers(t, line, cells)
        spots = _log_spots(
            image, pixel, (settings.min_diameter, settings.max_diameter), settings.n_sigma, settings.threshold
        )
        spots = spots[_outside(spots["y_px"].to_numpy(), spots["x_px"].to_numpy(), cells)]
        spots = _place_on_ridge(spots, line, named, settings.on_ridge / pixel)
        if line.any() and len(spots):
            small = max(settings.min_diameter / (2 * np.sqrt(2)) / pixel, 0.7)
            along = (-ndi.gaussian_laplace(image, small) * small**2)[line]
            least = max(settings.threshold, settings.over_ridge * float(np.median(along)))
            spots = spots[(spots["snr"] >= least) & (spots["roundness"] >= settings.roundness)]
            found.append(spots.assign(frame=t, score=_score(spots["snr"].to_numpy(float), least)))
    spots = _stage(_spot_table(found), scene)
    linked = link_spots(spots, settings.search_range, settings.memory, _least_frames(movie, settings.min_duration))
    linked = _standing(linked, settings.max_shift)
    return finish(scene, linked.drop(columns="roundness", errors="ignore"), Ending("history"), "log_ridge")


def _standing(linked: pd.DataFrame, max_shift_um: float) -> pd.DataFrame:
    """Tracks that stay where they are: migrasomes are anchored to the dish."""
    if linked.empty:
        return linked
    place = linked.sort_values("frame").groupby("particle")[["y_stage_um", "x_stage_um"]]
    shift = np.hypot(*(place.last() - place.first()).to_numpy().T)
    standing = place.first().index[shift <= max_shift_um]
    return linked[linked["particle"].isin(standing)].reset_index(drop=True)


#: The peers by name.
PEERS: Final[Mapping[str, Callable[[Movie], Results]]] = MappingProxyType(
    {"trackpy": trackpy_peer, "blob_log": blob_log, "log_ridge": log_ridge, "nellie": nellie}
)
