"""Truth in the form of the result tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from migradetect.results import LabelStack, Results
from migradetect.tables import conform_table

from .settings import Settings
from .tethers import Tether
from .vesicles import Beads, Migrasome
from .world import World

__all__ = ["FrameTruth", "Recorder", "location_at"]

Array = NDArray[np.float64]
#: A cell counts as observed in a frame in which this much of it is in view.
_SLIVER_UM2 = 50.0


@dataclass
class FrameTruth:
    """What the renderer knows of one frame.

    Parameters
    ----------
    labels : ndarray, shape (Y, X)
        Cells.
    paths : list of (Tether, ndarray, float)
        Fibers on the stage in um, with their brightness.
    drift_um : ndarray, shape (2,)
        Image less stage.
    snr : ndarray, shape (N, 2)
        Of each bead and channel.
    body_light : list of ndarray
        Light of the bodies alone, in counts, by channel.
    """

    labels: NDArray[np.int32]
    paths: list[tuple[Tether, Array, float]]
    drift_um: Array
    snr: Array
    flux_counts: Array
    body_counts: list[NDArray[np.float32]]
    background: list[float]
    noise: list[float]
    fiber_peak_e: list[float]
    noise_e: list[float]
    sigma_px: float


def location_at(place: Array, paths: list[tuple[Tether, Array, float]], role: str) -> str:
    """Tip, shaft or branch from the arms that leave a circle of 1 um around a place.

    Arms closer than 40 degrees on the circle can't be told apart by light and count as one. Where no arm is seen, the
    place that the site was made for stands.

    Parameters
    ----------
    place : ndarray, shape (2,)
        In um.
    paths : list of (Tether, ndarray, float)
        Fibers of the frame.
    role : str
        What the site was made as.
    """
    angles = []
    for _, path, _ in paths:
        near = np.hypot(*(path - place).T)
        if near.min() > 4:
            continue
        length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        along = np.arange(0, length[-1], 0.05)
        fine = np.stack([np.interp(along, length, path[:, k]) for k in (0, 1)], axis=1) - place
        ring = np.abs(np.hypot(*fine.T) - 1.0) < 0.06
        angles.append(np.arctan2(fine[ring, 0], fine[ring, 1]))
    angle = np.sort(np.concatenate(angles)) if angles else np.empty(0)
    if not angle.size:
        return role
    gaps = np.diff(np.append(angle, angle[0] + 2 * np.pi))
    arms = max(1, int((gaps > np.deg2rad(40)).sum()))
    return ("tip", "shaft", "branch")[min(arms, 3) - 1]


class Recorder:
    """Collects the truth frame by frame and makes the tables of it."""

    def __init__(self, movie_id: str, world: World, life: list[Migrasome], beads: Beads, others: Beads) -> None:
        self.movie_id, self.world, self.life, self.beads, self.others = movie_id, world, life, beads, others
        s = world.settings
        self.s: Settings = s
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("frames", "cells", "fibers", "migrasomes")}
        self.labels = {name: LabelStack((s.size_px, s.size_px)) for name in ("cells", "fibers", "migrasomes")}
        self.location: list[str | None] = [None] * len(life)
        self.first_light: list[float] | None = None
        self.last_centre: dict[int, Array] = {}
        self.decoy_snr = np.zeros((len(others), s.n_frames))
        self.drift = np.zeros((s.n_frames, 2))

    def add(self, frame: int, data: FrameTruth) -> None:
        """Take in one frame."""
        s, world = self.s, self.world
        self.drift[frame] = data.drift_um
        head = {"movie_id": self.movie_id, "frame": frame}
        minutes = world.time(frame) if s.n_frames > 1 else np.nan
        on = np.array([role in s.roles for role in ("tspan4", "wga")])
        head_time = {**head, "time_min": minutes}
        outside = cv2.distanceTransform((data.labels == 0).astype(np.uint8), cv2.DIST_L2, 5) * s.pixel_um
        self._cells(head_time, data, on)
        network = self._fibers(head_time, data)
        planes = self.labels
        planes["cells"].append(data.labels)
        self._migrasomes(frame, head_time, data, on, outside, network)
        n = len(self.beads)
        self.decoy_snr[:, frame] = data.snr[n:, on].max(axis=1) if len(self.others) else 0
        row: dict[str, Any] = {
            **head_time,
            "drift_y_um": data.drift_um[0],
            "drift_x_um": data.drift_um[1],
            "focus": 1.0,
            "n_cells": int(np.unique(data.labels[data.labels > 0]).size),
            "n_candidates": int(np.isfinite(self.beads.place[:, frame, 0]).sum()),
            "qc_flags": "",
        }
        for c, role in enumerate(("tspan4", "wga")):
            if on[c]:
                row[f"background_{role}"], row[f"noise_{role}"] = data.background[c], data.noise[c]
                row[f"bleaching_{role}"] = (1 - s.bleach[c]) ** frame
        self.rows["frames"].append(row)

    def _cells(self, head: dict[str, Any], data: FrameTruth, on: NDArray[np.bool_]) -> None:
        s, labels = self.s, data.labels
        bodies = {body.cell_id: body for body in self.world.snapshots[head["frame"]]}
        for cell_id in np.unique(labels[labels > 0]).tolist():
            where = np.argwhere(labels == cell_id)
            low, high = where.min(axis=0), where.max(axis=0) + 1
            mask = np.zeros(high - low + 2, np.uint8)
            mask[tuple((where - low + 1).T)] = 1
            contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
            centre = where.mean(axis=0) * s.pixel_um
            spread = np.cov(where.T) if len(where) > 2 else np.eye(2)
            values, vectors = np.linalg.eigh(spread + 1e-6 * np.eye(2))
            body = bodies[cell_id]
            step = body.centre - self.last_centre[cell_id] if cell_id in self.last_centre else None
            self.last_centre[cell_id] = body.centre
            long = vectors[:, 1]
            row: dict[str, Any] = {
                **head,
                "cell_id": cell_id,
                "y_um": centre[0],
                "x_um": centre[1],
                "y_stage_um": centre[0] - data.drift_um[0],
                "x_stage_um": centre[1] - data.drift_um[1],
                "area_um2": len(where) * s.pixel_um**2,
                "perimeter_um": sum(cv2.arcLength(c, True) for c in contours) * s.pixel_um,
                "eccentricity": float(np.sqrt(max(0.0, 1 - values[0] / values[1]))),
                # as in the analysis: against the row axis, counter-clockwise
                "orientation_rad": float(np.arctan(long[1] / long[0]) if long[0] else np.pi / 2),
                "speed_um_per_min": float(np.hypot(*step) / s.interval_min) if step is not None else np.nan,
                "mother_id": body.mother_id if body.mother_id is not None else pd.NA,
                "touches_border": bool((low == 0).any() or (high == labels.shape).any()),
            }
            for c, role in enumerate(("tspan4", "wga")):
                row[f"mean_{role}"] = float(data.body_counts[c][tuple(where.T)].mean()) if on[c] else np.nan
            self.rows["cells"].append(row)

    def _fibers(self, head: dict[str, Any], data: FrameTruth) -> tuple[cKDTree | None, NDArray[np.int64]]:
        s, world, labels = self.s, self.world, data.labels
        plane = np.zeros(labels.shape, dtype=np.int32)
        nets: dict[int, list[tuple[Tether, Array, float, float]]] = {}
        points, owners = [], []
        top = np.array(labels.shape) - 1
        for tether, path, bright in data.paths:
            root = world.root(tether.number) + 1
            place = (path + data.drift_um) / s.pixel_um
            cv2.polylines(plane, [np.round(place[:, ::-1] * 16).astype(np.int32)], False, root, 1, cv2.LINE_8, 4)
            length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(place, axis=0).T))])
            along = np.arange(0, length[-1], 1.0)
            fine = np.stack([np.interp(along, length, place[:, k]) for k in (0, 1)], axis=1)
            near = np.round(fine).astype(int)
            seen = ((near >= 0) & (near <= top)).all(axis=1)
            fine, near = fine[seen], near[seen]
            free = labels[near[:, 0], near[:, 1]] == 0
            if free.sum() < 2:
                continue
            points.append(fine[free] * s.pixel_um)
            owners.append(np.full(int(free.sum()), root))
            nets.setdefault(root, []).append((tether, fine[free] * s.pixel_um, bright, float(free.sum())))
        plane[labels > 0] = 0
        self.labels["fibers"].append(plane)
        time = world.time(head["frame"])
        self.attached = {}
        for root, members in nets.items():
            every = np.concatenate([m[1] for m in members])
            base = world.tethers[root - 1]
            is_attached = base.state == "attached" or time < base.ended
            self.attached[root] = is_attached
            bright = float(np.average([m[2] for m in members], weights=[m[3] for m in members]))
            snr = max(p * bright / n for p, n in zip(data.fiber_peak_e, data.noise_e, strict=True))
            m = len(members)
            self.rows["fibers"].append(
                {
                    **head,
                    "fiber_id": root,
                    "cell_id": base.cell_id,
                    "length_um": sum(m[3] for m in members) * s.pixel_um,
                    "euclidean_um": float(np.hypot(*np.ptp(every, axis=0))),
                    "is_attached": is_attached,
                    "n_branches": 2 * m - 1,
                    "n_tips": m + (not is_attached),
                    "mean_snr": snr,
                }
            )
        if not points:
            return None, np.empty(0, dtype=np.int64)
        return cKDTree(np.concatenate(points)), np.concatenate(owners)

    def _migrasomes(
        self,
        frame: int,
        head: dict[str, Any],
        data: FrameTruth,
        on: NDArray[np.bool_],
        outside: NDArray[np.float32],
        network: tuple[cKDTree | None, NDArray[np.int64]],
    ) -> None:
        s, beads = self.s, self.beads
        plane = np.zeros(data.labels.shape, dtype=np.int32)
        tree, owners = network
        has_cells = bool((data.labels > 0).any())
        for i in np.flatnonzero(np.isfinite(beads.place[:, frame, 0])):
            stage = beads.place[i, frame]
            if self.location[i] is None:
                self.location[i] = location_at(stage, data.paths, self.life[i].role)
            place = stage + data.drift_um
            px = place / s.pixel_um
            near = np.round(px).astype(int)
            if (near < 0).any() or (near >= s.size_px).any():
                continue
            size = float(beads.diameter[i, frame])
            centre = np.round(px[::-1] * 16).astype(int).tolist()
            cv2.circle(plane, centre, max(8, round(size / 2 / s.pixel_um * 16)), int(i + 1), -1, cv2.LINE_8, 4)
            gap, at = tree.query(place) if tree is not None else (np.inf, 0)
            is_on = bool(gap < 1.0)
            fiber = int(owners[at]) if is_on else pd.NA
            row: dict[str, Any] = {
                **head,
                "migrasome_id": i + 1,
                "cell_id": self.life[i].cell_id,
                "fiber_id": fiber,
                "y_um": place[0],
                "x_um": place[1],
                "y_stage_um": stage[0],
                "x_stage_um": stage[1],
                "diameter_um": size,
                "diameter_err_um": 0.0,
                "snr": float(data.snr[i, on].max()),
                "location": self.location[i],
                "is_on_fiber": is_on,
                "is_attached": bool(is_on and self.attached[int(owners[at])]),
                "distance_to_cell_um": float(outside[near[0], near[1]]) if has_cells else np.nan,
                "is_measured": True,
                "is_covered": bool(data.labels[near[0], near[1]] > 0),
                "score": 1.0,
            }
            for c, role in enumerate(("tspan4", "wga")):
                row[f"{role}_signal"] = float(data.flux_counts[i, c]) if on[c] else np.nan
            self.rows["migrasomes"].append(row)
        self.labels["migrasomes"].append(plane)

    def results(self, provenance: dict[str, Any]) -> Results:
        """All tables and labels."""
        s = self.s
        tables = {name: conform_table(name, pd.DataFrame(rows)) for name, rows in self.rows.items() if rows}
        cells = tables.get("cells")
        seen: set[int] = set()
        if cells is not None:
            seen = set(cells.loc[cells["area_um2"] >= _SLIVER_UM2, "cell_id"].astype(int))
        spots = tables.get("migrasomes")
        if spots is not None:
            spots["cell_id"] = spots["cell_id"].where(spots["cell_id"].isin(seen))
            tables["migrasomes"] = spots
            tracks = self._tracks(spots, seen)
            if tracks:
                tables["tracks"] = conform_table("tracks", pd.DataFrame(tracks))
        if cells is not None:
            summary = self._summary(cells, tables.get("tracks"), tables.get("fibers"), seen)
            tables["cell_summary"] = conform_table("cell_summary", pd.DataFrame(summary))
        decoys = self._candidates()
        if decoys:
            tables["candidates"] = conform_table("candidates", pd.DataFrame(decoys))
        return Results(self.movie_id, tables, self.labels, {**provenance, "settings": s.as_dict()})

    def _tracks(self, spots: pd.DataFrame, seen: set[int]) -> list[dict[str, Any]]:
        s, rows = self.s, []
        last, is_movie = s.n_frames - 1, s.n_frames > 1
        for number, group in spots.groupby("migrasome_id"):
            one = self.life[int(number) - 1]
            can_be_seen = (group["snr"] >= 2) & (group["diameter_um"] >= 0.5) & ~group["is_covered"]
            if not can_be_seen.any():
                continue
            first, end = int(group["frame"].min()), int(group["frame"].max())
            is_left, is_right = first == 0, end == last
            lives_on = one.end > self.world.time(end + 1) or (one.fate == "persist" and not is_right)
            fate: Any = "persist" if is_right else ("left_field" if lives_on else one.fate)
            ended = np.nan if is_right else (self.world.time(end) if lives_on else one.end)
            begun = self.world.time(0) if is_left else one.birth
            until = self.world.time(last) if is_right else ended
            row: dict[str, Any] = {
                "movie_id": self.movie_id,
                "migrasome_id": int(number),
                "cell_id": one.cell_id if one.cell_id in seen else pd.NA,
                "cell_id_confidence": 1.0 if one.cell_id in seen else np.nan,
                "birth_time_min": np.nan if is_left or not is_movie else one.birth,
                "end_time_min": ended if is_movie else np.nan,
                "lifetime_min": until - begun if is_movie else np.nan,
                "is_left_censored": is_left,
                "is_right_censored": is_right,
                "growth_model": "exponential",
                "fit_r2": 1.0,
                "location": self.location[int(number) - 1],
                "fate": fate if is_movie else pd.NA,
                "engulfed_by_cell_id": one.engulfed_by if fate == "engulfed" and is_movie else pd.NA,
                "n_frames": len(group),
                "score": 1.0,
                "kind": "migrasome",
            }
            for name, value in (
                ("plateau_diameter_um", one.plateau),
                ("tau_min", one.tau),
                ("growth_rate_um_per_min", one.plateau / one.tau),
            ):
                for end_of in ("", "_ci_low", "_ci_high"):
                    row[name + end_of] = value
            rows.append(row)
        return rows

    def _summary(
        self, cells: pd.DataFrame, tracks: pd.DataFrame | None, fibers: pd.DataFrame | None, seen: set[int]
    ) -> list[dict[str, Any]]:
        s, rows = self.s, []
        counts = tracks["cell_id"].value_counts() if tracks is not None else pd.Series(dtype=int)
        longest = (
            fibers.groupby(["cell_id", "frame"])["length_um"].sum().groupby("cell_id").max()
            if fibers is not None
            else pd.Series(dtype=float)
        )
        is_movie = s.n_frames > 1
        for number, group in cells.groupby("cell_id"):
            if int(number) not in seen:
                continue
            n = int(counts.get(number, 0))
            frames = group["frame"].tolist()
            centres = np.array(
                [b.centre for f in frames for b in self.world.snapshots[f] if b.cell_id == number], dtype=float
            )
            path = float(np.hypot(*np.diff(centres, axis=0).T).sum())
            net = float(np.hypot(*(centres[-1] - centres[0])))
            length = float(longest.get(number, 0.0))
            minutes = (frames[-1] - frames[0]) * s.interval_min
            rows.append(
                {
                    "movie_id": self.movie_id,
                    "cell_id": int(number),
                    "n_frames": len(frames),
                    "observed_min": minutes if is_movie else np.nan,
                    "n_migrasomes": n,
                    "n_migrasomes_per_100um_fiber": 100 * n / length if length > 0 else np.nan,
                    "n_migrasomes_per_100um_path": 100 * n / path if path > 0 else np.nan,
                    "path_um": path if is_movie else np.nan,
                    "net_um": net if is_movie else np.nan,
                    "mean_speed_um_per_min": path / minutes if minutes > 0 else np.nan,
                    "persistence": net / path if path > 0 else np.nan,
                    "fiber_length_um": length,
                    "touches_border": bool(group["touches_border"].any()),
                }
            )
        return rows

    def _candidates(self) -> list[dict[str, Any]]:
        others, rows = self.others, []
        for i in range(len(others)):
            there = np.flatnonzero(np.isfinite(others.place[i, :, 0]) & (self.decoy_snr[i] >= 2))
            if not there.size:
                continue
            stage = others.place[i, there].mean(axis=0)
            first = others.place[i, there[0]] + self.drift[there[0]]
            rows.append(
                {
                    "movie_id": self.movie_id,
                    "candidate_id": i + 1,
                    "frame_first": int(there[0]),
                    "frame_last": int(there[-1]),
                    "n_frames": int(there.size),
                    "y_um": first[0],
                    "x_um": first[1],
                    "y_stage_um": stage[0],
                    "x_stage_um": stage[1],
                    "diameter_um": float(np.median(others.diameter[i, there])),
                    "snr": float(np.median(self.decoy_snr[i, there])),
                    "score": 0.0,
                    "kind": str(others.kind[i]),
                    "reason": "decoy",
                }
            )
        return rows
