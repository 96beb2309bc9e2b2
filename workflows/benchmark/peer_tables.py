"""What all peers share: cells by Otsu's threshold, linked by overlap, and spots turned into the tables of a result.

Written with scikit-image, SciPy and trackpy as a user would write it in a notebook; nothing here is taken from the
stages of the library, so that the comparison is with something else.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.optimize import curve_fit, linear_sum_assignment
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import isotropic_opening
from skimage.segmentation import watershed

from migradetect.movie import Movie
from migradetect.results import LabelStack, Results
from migradetect.summary import summarize_cells
from migradetect.tables import conform_table

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

#: Gaussian sigma before Otsu's threshold, um: wider than a fiber, narrower than a body.
CELL_SMOOTHING_UM = 0.7
#: Opening radius, um: takes off fibers and migrasomes, which are narrower.
CELL_OPENING_UM = 1.8
#: Bodies smaller than this are debris, um2.
CELL_AREA_UM2 = 100.0
#: Least distance of two peaks of the distance transform that part touching cells, um.
CELL_SPACING_UM = 8.0
#: Overlap over union from which two outlines of successive frames are one cell.
CELL_IOU = 0.2
#: A site this close to a body is under its blurred edge, um.
COVER_UM = 0.3
#: Frames at either end in which a track that begins or ends there counts as cut off by the movie.
CENSOR_FRAMES = 1


def detection_role(movie: Movie) -> str:
    """Channel that a user would look at: TSPAN4 marks migrasomes; otherwise the only one."""
    return "tspan4" if "tspan4" in movie.roles else movie.roles[0]


def noise_of(image: Image) -> float:
    """Standard deviation of the noise by the median absolute deviation, which bright objects hardly move."""
    return float(1.4826 * np.median(np.abs(image - np.median(image)))) or 1.0


def segment_cells(planes: list[Image], pixel_um: float) -> Labels:
    """Cell bodies of one frame: Otsu on the smoothed channels, opened, filled, parted at necks.

    The threshold is taken on the logarithm: bodies differ several times in brightness, and Otsu on counts loses the
    dim ones.
    """
    total = np.zeros(planes[0].shape, np.float32)
    for plane in planes:
        smooth = gaussian(plane, CELL_SMOOTHING_UM / pixel_um, preserve_range=True)
        base = np.percentile(smooth, 5)
        total += np.log1p(np.clip(smooth - base, 0, None) / max(noise_of(smooth), 1e-6)).astype(np.float32)
    mask = isotropic_opening(total > threshold_otsu(total), CELL_OPENING_UM / pixel_um)
    mask = ndi.binary_fill_holes(mask)
    distance = ndi.distance_transform_edt(mask)
    smooth = gaussian(distance, 1.0 / pixel_um, preserve_range=True)
    peaks = peak_local_max(
        smooth, min_distance=max(1, round(CELL_SPACING_UM / pixel_um)), labels=label(mask), exclude_border=False
    )
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = np.asarray(watershed(-smooth, seeds, mask=mask), dtype=np.int32)
    small = np.bincount(labels.ravel()) * pixel_um**2 < CELL_AREA_UM2
    labels[small[labels]] = 0
    return labels


def link_outlines(before: Labels, now: Labels, following: int) -> tuple[Labels, int]:
    """Give outlines the numbers of the ones that they overlap most, one to one; others get new numbers."""
    old, new = np.unique(before[before > 0]), np.unique(now[now > 0])
    name = np.zeros(int(now.max()) + 1, np.int32)
    if old.size and new.size:
        joint = np.zeros((int(before.max()) + 1, int(now.max()) + 1))
        np.add.at(joint, (before.ravel(), now.ravel()), 1)
        area_old, area_new = joint.sum(axis=1), joint.sum(axis=0)
        shared = joint[np.ix_(old, new)]
        iou = shared / (area_old[old][:, None] + area_new[new] - shared)
        for i, j in zip(*linear_sum_assignment(-iou), strict=True):
            if iou[i, j] >= CELL_IOU:
                name[new[j]] = old[i]
    for one in new:
        if not name[one]:
            name[one] = following
            following += 1
    return name[now], following


@dataclass
class Scene:
    """What is found in a movie, filled frame by frame.

    Parameters
    ----------
    movie : Movie
        What is analysed.
    cells, fibers : LabelStack
        Linked outlines, and one-pixel centrelines.
    drift_px : ndarray, shape (T, 2)
        Displacement of the stage since the first frame; zeros unless a peer registers.
    """

    movie: Movie
    cells: LabelStack = field(init=False)
    fibers: LabelStack = field(init=False)
    drift_px: NDArray[np.float64] = field(init=False)
    cell_rows: list[dict[str, Any]] = field(default_factory=list)
    fiber_rows: list[dict[str, Any]] = field(default_factory=list)
    _last: Labels | None = None
    _next_cell: int = 1
    _next_fiber: int = 1

    def __post_init__(self) -> None:
        self.cells, self.fibers = LabelStack(self.movie.shape_yx), LabelStack(self.movie.shape_yx)
        self.drift_px = np.zeros((self.movie.n_frames, 2))

    @property
    def pixel_um(self) -> float:
        return self.movie.calibration.pixel_size_um

    def add_cells(self, frame: int, planes: dict[str, Image]) -> Labels:
        """Segment, link and keep the bodies of the next frame."""
        labels = segment_cells(list(planes.values()), self.pixel_um)
        if self._last is not None:
            labels, self._next_cell = link_outlines(self._last, labels, self._next_cell)
        else:
            self._next_cell = int(labels.max()) + 1
        self._last = labels
        self.cells.append(labels)
        height, width = labels.shape
        for region in regionprops(labels):
            top, left, bottom, right = region.bbox
            y, x = region.centroid
            inside = labels[region.slice] == region.label
            means = {f"mean_{role}": float(plane[region.slice][inside].mean()) for role, plane in planes.items()}
            self.cell_rows.append(
                {
                    "frame": frame,
                    "cell_id": region.label,
                    "y_um": y * self.pixel_um,
                    "x_um": x * self.pixel_um,
                    "area_um2": region.area * self.pixel_um**2,
                    "perimeter_um": region.perimeter * self.pixel_um,
                    "eccentricity": region.eccentricity,
                    "orientation_rad": region.orientation,
                    "touches_border": top == 0 or left == 0 or bottom == height or right == width,
                }
                | means
            )
        return labels

    def add_fibers(self, frame: int, skeleton: NDArray[np.bool_], cells: Labels) -> Labels:
        """Keep the centrelines of the next frame; each connected piece is a fiber, of the cell that it reaches."""
        pieces = label(skeleton, connectivity=2).astype(np.int32)
        # the mask ends inside the blurred edge, so a fiber that ends this near reaches the cell
        grown = ndi.maximum_filter(cells, 2 * max(1, round(0.8 / self.pixel_um)) + 1)
        neighbours = ndi.convolve(skeleton.astype(np.int8), np.ones((3, 3), np.int8), mode="constant") - 1
        for region in regionprops(pieces):
            rows, columns = region.coords.T
            touched = grown[rows, columns]
            touched = touched[touched > 0]
            degree = neighbours[rows, columns]
            n_tips = int((degree == 1).sum())
            extent = np.ptp(rows), np.ptp(columns)
            self.fiber_rows.append(
                {
                    "frame": frame,
                    "fiber_id": self._next_fiber + region.label - 1,
                    "cell_id": int(np.bincount(touched).argmax()) if touched.size else None,
                    # a step along a thinned line is 1 px or sqrt(2) px; half of each is the usual estimate
                    "length_um": float(region.area) * 1.12 * self.pixel_um,
                    "euclidean_um": float(np.hypot(*extent)) * self.pixel_um,
                    "is_attached": bool(touched.size),
                    "n_branches": max(1, int((degree >= 3).sum()) + 1),
                    "n_tips": n_tips,
                }
            )
        named = np.where(pieces > 0, pieces + self._next_fiber - 1, 0).astype(np.int32)
        self._next_fiber += int(pieces.max())
        self.fibers.append(named)
        return named


def link_spots(spots: pd.DataFrame, search_range_um: float, memory: int, min_frames: float) -> pd.DataFrame:
    """Link spots with trackpy and leave out stubs; in a single frame each spot is its own track."""
    if spots.empty:
        return spots.assign(particle=pd.Series(dtype=np.int64))
    if spots["frame"].nunique() == 1:
        return spots.assign(particle=np.arange(len(spots)))
    import trackpy

    trackpy.quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trackpy 0.7 under pandas 3 warns at each call
        linked = trackpy.link(
            spots.reset_index(drop=True),
            search_range=search_range_um,
            memory=memory,
            pos_columns=["y_stage_um", "x_stage_um"],
            # without it a crowded frame stops the user with SubnetOversizeException
            adaptive_stop=search_range_um / 4,
            adaptive_step=0.8,
        )
        linked = linked.reset_index(drop=True)
    length = linked.groupby("particle")["frame"].transform("size")
    return linked[length >= min_frames].reset_index(drop=True)


def _nearest_cell(cells: Labels) -> tuple[NDArray[np.float64], Labels]:
    """Distance to the nearest body and its number, for each pixel; infinite where there is none."""
    if not cells.any():
        return np.full(cells.shape, np.inf), cells
    distance, index = ndi.distance_transform_edt(cells == 0, return_indices=True)
    return distance, cells[tuple(index)]


def _growth(time_min: NDArray[np.float64], diameter_um: NDArray[np.float64]) -> tuple[float, float]:
    """Plateau and time constant of a saturating growth curve by least squares; the median and NaN where it fails."""
    plateau = float(np.nanmedian(diameter_um[len(diameter_um) // 2 :]))
    if len(time_min) < 6 or not np.isfinite(diameter_um).all():
        return plateau, float("nan")
    t = time_min - time_min[0]

    def curve(t: NDArray[np.float64], top: float, tau: float, start: float) -> NDArray[np.float64]:
        return top * (1 - np.exp(-np.clip(t - start, 0, None) / tau))

    span = max(float(t[-1]), 1e-3)
    bounds = ([0.2, 0.5, -3 * span], [4.0, 2 * span + 1, 1e-6])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the covariance is unknown, which is not used
            (top, tau, _), _ = curve_fit(
                curve, t, diameter_um, p0=[np.clip(plateau, 0.3, 3.9), 0.2 * span + 0.6, -0.2 * span], bounds=bounds
            )
    except (RuntimeError, ValueError):
        return plateau, float("nan")
    return float(top), float(tau)


@dataclass(frozen=True)
class Ending:
    """Rules that turn linked spots into tables.

    Parameters
    ----------
    parent : {"nearest", "history"}
        Parent cell: the nearest at the first frame, or the last one that lay over the place before it, else the
        nearest.
    max_parent_um : float
        Farther cells are not taken as parents.
    """

    parent: str
    max_parent_um: float = 60.0


def finish(scene: Scene, linked: pd.DataFrame, ending: Ending, name: str) -> Results:
    """Tables of a peer.

    Parameters
    ----------
    scene : Scene
        Cells of every frame, and fibers where the peer finds them.
    linked : pandas.DataFrame
        ``frame, y_px, x_px, diameter_um, signal, snr, score, particle``; ``location`` and ``fiber_id`` where known.
    ending : Ending
        Rules for the parent.
    name : str
        Name of the peer, for the provenance.
    """
    movie = scene.movie
    calibration, pixel = movie.calibration, scene.pixel_um
    spots = linked.copy()
    numbers, spots["migrasome_id"] = np.unique(spots.pop("particle").to_numpy(np.int64), return_inverse=True)
    spots["migrasome_id"] += 1
    n = numbers.size
    order = np.lexsort((spots["frame"], spots["migrasome_id"]))
    spots = spots.iloc[order].reset_index(drop=True)
    covered_by, near_id, near_um = _look_up_cells(scene, spots, n)
    frame = spots["frame"].to_numpy(int)
    site = spots["migrasome_id"].to_numpy(int) - 1
    spots["is_covered"] = covered_by[site, frame] > 0
    spots["distance_to_cell_um"] = np.where(np.isfinite(near_um[site, frame]), near_um[site, frame], np.nan)
    tracks = [
        _track(movie, rows, covered_by[i - 1], near_id[i - 1], near_um[i - 1], ending)
        for i, rows in spots.groupby("migrasome_id")
    ]
    track_table = pd.DataFrame(tracks)
    if n:
        of_site = track_table.set_index("migrasome_id")
        spots["cell_id"] = of_site["cell_id"].reindex(spots["migrasome_id"]).to_numpy()
        spots["location"] = of_site["location"].reindex(spots["migrasome_id"]).to_numpy()
    role = detection_role(movie)
    spots[f"{role}_signal"] = spots["signal"] * pixel**2
    spots["y_um"], spots["x_um"] = spots["y_px"] * pixel, spots["x_px"] * pixel
    attached = {row["fiber_id"] for row in scene.fiber_rows if row["is_attached"]}
    fiber = spots["fiber_id"] if "fiber_id" in spots else pd.Series(pd.NA, index=spots.index)
    spots = spots.assign(
        fiber_id=fiber.astype("Int64"),
        is_on_fiber=fiber.notna(),
        is_attached=fiber.isin(attached),
        is_measured=True,
    ).drop(columns=["y_px", "x_px", "signal"])

    def table(kind: str, rows: Any) -> pd.DataFrame:
        frame = pd.DataFrame(rows)
        if frame.empty:
            return conform_table(kind, {})
        frame["movie_id"] = movie.movie_id
        if "frame" in frame.columns:
            frame["time_min"] = frame["frame"] * calibration.frame_interval_min
        return conform_table(kind, frame)

    fibers = table("fibers", scene.fiber_rows)
    drift_um = scene.drift_px * pixel
    for row in scene.cell_rows:
        row["y_stage_um"] = row["y_um"] - drift_um[row["frame"], 0]
        row["x_stage_um"] = row["x_um"] - drift_um[row["frame"], 1]
    cells = table("cells", scene.cell_rows)
    final_tracks = table("tracks", track_table)
    tables = {
        "frames": table("frames", _frame_rows(drift_um, cells, frame)),
        "cells": cells,
        "fibers": fibers,
        "migrasomes": table("migrasomes", spots),
        "tracks": final_tracks,
        "cell_summary": table("cell_summary", summarize_cells(cells, fibers, final_tracks, calibration)),
    }
    labels = {"cells": scene.cells}
    if len(scene.fibers):
        labels["fibers"] = scene.fibers
    provenance = {
        "peer": name,
        "calibration": {"pixel_size_um": pixel, "frame_interval_s": calibration.frame_interval_s},
        "channels": list(movie.roles),
    }
    return Results(movie.movie_id, tables, labels, provenance)


def _frame_rows(
    drift_um: NDArray[np.float64], cells: pd.DataFrame, spot_frame: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Rows of ``frames``; `drift_um` has shape (T, 2), `spot_frame` the frame of each spot."""
    return [
        {
            "frame": t,
            "drift_y_um": drift_um[t, 0],
            "drift_x_um": drift_um[t, 1],
            "n_cells": int((cells["frame"] == t).sum()),
            "n_candidates": int((spot_frame == t).sum()),
            "qc_flags": "",
        }
        for t in range(len(drift_um))
    ]


def _look_up_cells(
    scene: Scene, spots: pd.DataFrame, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """For each track and frame: the body over its place, the nearest body, and the distance to it in um."""
    movie, pixel = scene.movie, scene.pixel_um
    shape = (n, movie.n_frames)
    covered, nearest, distance = np.zeros(shape, int), np.zeros(shape, int), np.full(shape, np.inf)
    if not n:
        return covered, nearest, distance
    drift = scene.drift_px[spots["frame"].to_numpy(int)]
    stage = spots[["y_px", "x_px"]].to_numpy(float) - drift
    place = pd.DataFrame(stage).groupby(spots["migrasome_id"].to_numpy()).median().to_numpy()
    for t in range(movie.n_frames):
        away, who = _nearest_cell(scene.cells[t].astype(np.int32))
        at = np.round(place + scene.drift_px[t]).astype(int)
        y, x = np.clip(at[:, 0], 0, movie.height - 1), np.clip(at[:, 1], 0, movie.width - 1)
        distance[:, t], nearest[:, t] = away[y, x] * pixel, who[y, x]
    covered = np.where(distance <= COVER_UM, nearest, 0)
    return covered, nearest, distance


def _track(
    movie: Movie,
    rows: pd.DataFrame,
    covered: NDArray[np.int64],
    nearest: NDArray[np.int64],
    distance_um: NDArray[np.float64],
    ending: Ending,
) -> dict[str, Any]:
    """One row of ``tracks``."""
    interval = movie.calibration.frame_interval_min
    single = movie.n_frames == 1
    first, last = int(rows["frame"].iloc[0]), int(rows["frame"].iloc[-1])
    final = movie.n_frames - 1
    left, right = first <= CENSOR_FRAMES, last >= final - CENSOR_FRAMES
    parent, confidence = None, np.nan
    if ending.parent == "history":
        before = np.flatnonzero(covered[: first + 1])
        if before.size:
            parent, confidence = int(covered[before[-1]]), 0.8
    if parent is None and distance_um[first] <= ending.max_parent_um:
        parent, confidence = int(nearest[first]), 0.5
    fate, eater = None, None
    if not single:
        after = covered[last + 1 : last + 4]
        signal = rows["signal"].to_numpy(float)
        if right:
            fate = "persist"
        elif (after > 0).any():
            fate, eater = "engulfed", int(after[after > 0][0])
        else:
            # still half as bright as ever when last seen: it went at once
            fate = "rupture" if signal[-1] > 0.5 * np.median(signal) else "fade"
    time_min = rows["frame"].to_numpy(float) * interval
    diameter = rows["diameter_um"].to_numpy(float)
    plateau, tau = (float(diameter[0]), np.nan) if single else _growth(time_min, diameter)
    location = None
    if "location" in rows:
        named = rows["location"].dropna().head(10)
        location = named.mode().iloc[0] if len(named) else None
    return {
        "migrasome_id": int(rows["migrasome_id"].iloc[0]),
        "cell_id": parent,
        "cell_id_confidence": confidence,
        "birth_time_min": np.nan if left or single else first * interval,
        "end_time_min": np.nan if right or single else last * interval,
        "lifetime_min": np.nan if single else (last - first) * interval,
        "is_left_censored": left,
        "is_right_censored": right,
        "plateau_diameter_um": plateau,
        "tau_min": tau,
        "location": location,
        "fate": fate,
        "engulfed_by_cell_id": eater,
        "n_frames": len(rows),
        "score": float(rows["score"].median()),
        "kind": "migrasome",
    }
