"""Truth of a simulated movie, in the tables that the pipeline writes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops

from migradetect.calibration import Calibration
from migradetect.results import LABEL_NAMES, LabelStack, Results
from migradetect.synthetic.arm_truth import REACH_UM, ArmTruth
from migradetect.synthetic.camera import Camera
from migradetect.synthetic.fiber_truth import FiberTracker, SeenFiber, fibers_by_segment
from migradetect.synthetic.migrasomes import Bead
from migradetect.synthetic.optics import Patch, psf_sigma_px
from migradetect.synthetic.parameters import SimulationParams
from migradetect.synthetic.scene import Scene
from migradetect.synthetic.summary_truth import candidate_rows, summary_rows, track_rows
from migradetect.synthetic.world import World
from migradetect.tables import conform_table

__all__ = ["TruthRecorder"]

#: A smaller piece of a body at the border has no row.
SLIVER_UM2 = 20.0
CHANNELS = ("tspan4", "wga")


class TruthRecorder:
    """Collects the truth frame by frame.

    Parameters
    ----------
    movie_id : str
        Goes into every row.
    params : SimulationParams
        Physics.
    calibration : Calibration
        Pixel size and frame interval.
    camera : Camera
        Gives the noise variance.
    """

    def __init__(self, movie_id: str, params: SimulationParams, calibration: Calibration, camera: Camera) -> None:
        self.movie_id, self.params, self.calibration, self.camera = movie_id, params, calibration, camera
        shape = (params.height_px, params.width_px)
        self.labels = {name: LabelStack(shape) for name in LABEL_NAMES}
        self.fibers = FiberTracker(params.pixel_size_um, shape)
        self.arms = ArmTruth(params.frame_interval_min)
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.sightings: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        self.kept: dict[int, Bead] = {}
        self._last_place: dict[int, tuple[int, float, float]] = {}

    @property
    def _is_single(self) -> bool:
        return self.params.n_frames == 1

    def add_frame(self, frame: int, scene: Scene, world: World) -> None:
        """Record one frame."""
        now = float("nan") if self._is_single else frame * self.params.frame_interval_min
        base = {"movie_id": self.movie_id, "frame": frame, "time_min": now}
        light = scene.light_e.max(axis=0)
        variance = np.stack([self.camera.variance_e(light[c]) for c in range(2)])
        self._add_cells(base, scene, world, light)
        seen, centrelines = self.fibers.track(scene.pieces, scene.drift_um, scene.labels)
        self._add_fibers(base, scene, seen, variance)
        discs = self._add_beads(base, scene, world, seen, variance)
        for kind, number, speck, patch in scene.decoys:
            self._sight(kind, number, frame, speck.y_um, speck.x_um, speck.diameter_um, scene, patch, variance)
        self._add_frame_row(base, frame, scene)
        for name, plane in zip(LABEL_NAMES, (scene.labels, centrelines, discs), strict=True):
            self.labels[name].append(plane)

    def _counts(self, expected_e: float) -> float:
        return expected_e * self.params.gain_count_per_e

    def _level(self, expected_e: float) -> float:
        return self.params.offset_count + self._counts(expected_e)

    def _per_channel(self, prefix: str, values: tuple[float, float], suffix: str = "") -> dict[str, float]:
        """Columns per channel; null where the channel is not recorded."""
        return {
            f"{prefix}{name}{suffix}": value if name in self.params.roles else float("nan")
            for name, value in zip(CHANNELS, values, strict=True)
        }

    def _add_cells(self, base: dict[str, Any], scene: Scene, world: World, light: NDArray[np.float32]) -> None:
        p, frame = self.params, base["frame"]
        mothers = {c.cell_id: c.mother_id for c in world.cells}
        glow = [float(b) * float(s.mean()) for b, s in zip(self._background_e(), scene.shading, strict=True)]
        for region in regionprops(scene.labels):
            area = self.calibration.um2(float(region.area))
            if area < SLIVER_UM2:
                continue
            y, x = (self.calibration.um(float(v)) for v in region.centroid)
            ys, xs = y - float(scene.drift_um[0]), x - float(scene.drift_um[1])
            speed = float("nan")
            last = self._last_place.get(region.label)
            if last is not None and last[0] == frame - 1:
                speed = float(np.hypot(ys - last[1], xs - last[2])) / p.frame_interval_min
            self._last_place[region.label] = (frame, ys, xs)
            window = (slice(region.bbox[0], region.bbox[2]), slice(region.bbox[1], region.bbox[3]))
            inside = region.image
            means = [self._counts(float(light[c][window][inside].mean()) - glow[c]) for c in range(2)]
            top, left, bottom, right = region.bbox
            self.rows["cells"].append(
                base
                | {
                    "cell_id": region.label,
                    "y_um": y,
                    "x_um": x,
                    "y_stage_um": ys,
                    "x_stage_um": xs,
                    "area_um2": area,
                    "perimeter_um": self.calibration.um(float(region.perimeter)),
                    "eccentricity": float(region.eccentricity),
                    "orientation_rad": float(region.orientation),
                    "speed_um_per_min": speed,
                    "mother_id": mothers.get(region.label),
                    "touches_border": bool(top == 0 or left == 0 or bottom == p.height_px or right == p.width_px),
                }
                | self._per_channel("mean_", (means[0], means[1]))
            )

    def _background_e(self) -> tuple[float, float]:
        return self.params.background_e_tspan4, self.params.background_e_wga

    def _best(self, tspan4: float, wga: float) -> float:
        return max(v for v, name in zip((tspan4, wga), CHANNELS, strict=True) if name in self.params.roles)

    def _add_fibers(
        self, base: dict[str, Any], scene: Scene, seen: list[SeenFiber], variance: NDArray[np.float32]
    ) -> None:
        p = self.params
        noise = [float(np.sqrt(np.median(variance[c]))) for c in range(2)]
        ridge = [p.fiber_fraction_tspan4 * p.cell_e_tspan4, p.fiber_fraction_wga * p.cell_e_wga]
        # out of focus the ridge is lower and wider
        sharp = [psf_sigma_px(p, c) / scene.sigmas_px[c] * float(scene.shading[c].mean()) for c in range(2)]
        for fiber in seen:
            snr = [ridge[c] * sharp[c] * fiber.mean_brightness / noise[c] for c in range(2)]
            self.rows["fibers"].append(
                {key: base[key] for key in ("movie_id", "frame", "time_min")}
                | {
                    "fiber_id": fiber.fiber_id,
                    "cell_id": fiber.cell_id,
                    "length_um": fiber.length_um,
                    "euclidean_um": fiber.euclidean_um,
                    "is_attached": fiber.is_attached,
                    "n_branches": fiber.n_branches,
                    "n_tips": fiber.n_tips,
                    "mean_snr": self._best(snr[0], snr[1]),
                }
            )

    def _signals(self, scene: Scene, patch: Patch, variance: NDArray[np.float32]) -> tuple[float, float, float]:
        """Integrated signal of each channel in photoelectrons, and the matched-filter SNR."""
        window, inner = patch.windows(scene.labels.shape)
        signal = patch.light[:, inner[0], inner[1]] * scene.shading[:, window[0], window[1]]
        power = signal**2 / variance[:, window[0], window[1]]
        used = [c for c, name in enumerate(CHANNELS) if name in self.params.roles]
        return float(signal[0].sum()), float(signal[1].sum()), float(np.sqrt(power[used].sum()))

    def _in_field(self, y_um: float, x_um: float) -> bool:
        y, x = self.calibration.px(y_um), self.calibration.px(x_um)
        return -0.5 <= y < self.params.height_px - 0.5 and -0.5 <= x < self.params.width_px - 0.5

    def _add_beads(
        self,
        base: dict[str, Any],
        scene: Scene,
        world: World,
        seen: list[SeenFiber],
        variance: NDArray[np.float32],
    ) -> NDArray[np.int32]:
        discs = np.zeros(scene.labels.shape, np.int32)
        fiber_at = fibers_by_segment(scene.pieces, seen)
        distance = None
        if scene.labels.any():
            distance = cv2.distanceTransform((scene.labels == 0).astype(np.uint8), cv2.DIST_L2, 5)
        pixel_um2 = self.calibration.um2(1.0)
        for index, bead, patch, place in scene.beads:
            y, x = (float(v) for v in place + scene.drift_um)
            if not self._in_field(y, x):
                continue
            diameter = bead.diameter(world.now)
            if bead.kind != "migrasome":
                ys, xs = float(place[0]), float(place[1])
                self._sight(bead.kind, index, base["frame"], ys, xs, diameter, scene, patch, variance)
                continue
            self.kept[index] = bead
            at = (round(self.calibration.px(y)), round(self.calibration.px(x)))
            at = (min(max(at[0], 0), self.params.height_px - 1), min(max(at[1], 0), self.params.width_px - 1))
            fiber = next((fiber_at[s] for s in self._segments(bead, world) if s in fiber_at), None)
            is_covered = bool(scene.footprint[at] > 0)
            # where the border cuts off the surroundings nobody can count arms
            reach = 0.5 * diameter + REACH_UM
            if not is_covered and self._in_field(y - reach, x - reach) and self._in_field(y + reach, x + reach):
                self.arms.add(base["frame"], index + 1, place, diameter, scene.pieces)
            tspan4, wga, snr = self._signals(scene, patch, variance)
            self.rows["migrasomes"].append(
                base
                | {
                    "migrasome_id": index + 1,
                    "cell_id": bead.cell_id,
                    "fiber_id": None if fiber is None else fiber.fiber_id,
                    "y_um": y,
                    "x_um": x,
                    "y_stage_um": float(place[0]),
                    "x_stage_um": float(place[1]),
                    "diameter_um": diameter,
                    "diameter_err_um": 0.0,
                    "snr": snr,
                    "is_on_fiber": fiber is not None,
                    "is_attached": fiber is not None and fiber.is_attached,
                    "distance_to_cell_um": np.nan if distance is None else self.calibration.um(float(distance[at])),
                    "is_measured": True,
                    "is_covered": is_covered,
                    "score": 1.0,
                    "is_shell": bead.is_shell,
                }
                | self._per_channel("", (self._counts(tspan4) * pixel_um2, self._counts(wga) * pixel_um2), "_signal")
            )
            centre = (round(self.calibration.px(x) * 16), round(self.calibration.px(y) * 16))
            radius = max(round(self.calibration.px(0.5 * diameter) * 16), 8)
            cv2.circle(discs, centre, radius, index + 1, -1, cv2.LINE_8, 4)
        return discs

    def _segments(self, bead: Bead, world: World) -> list[int]:
        """Segments on which a bead can sit; at a node any that meet there."""
        if world.network.is_there(bead.segment, bead.s, world.now):
            return [bead.segment]
        if bead.s not in (0.0, 1.0):
            return []
        seg = world.network.segments[bead.segment]
        around = world.network.by_node[seg.start if bead.s == 0.0 else seg.end]
        return [i for i in around if i != bead.segment]

    def _sight(
        self,
        kind: str,
        number: int,
        frame: int,
        y_stage: float,
        x_stage: float,
        diameter: float,
        scene: Scene,
        patch: Patch,
        variance: NDArray[np.float32],
    ) -> None:
        y, x = y_stage + float(scene.drift_um[0]), x_stage + float(scene.drift_um[1])
        if self._in_field(y, x):
            self.sightings[kind, number].append(
                {
                    "frame": frame,
                    "y_um": y,
                    "x_um": x,
                    "y_stage_um": y_stage,
                    "x_stage_um": x_stage,
                    "diameter_um": diameter,
                    "snr": self._signals(scene, patch, variance)[2],
                }
            )

    def _add_frame_row(self, base: dict[str, Any], frame: int, scene: Scene) -> None:
        p = self.params
        loss = ((1.0 - p.bleaching_per_frame_tspan4) ** frame, (1.0 - p.bleaching_per_frame_wga) ** frame)
        glow = [b * float(np.median(s)) for b, s in zip(self._background_e(), scene.shading, strict=True)]
        noise = [self._counts(float(np.sqrt(self.camera.excess * g + p.read_noise_e**2))) for g in glow]
        self.rows["frames"].append(
            base
            | {
                "drift_y_um": float(scene.drift_um[0]),
                "drift_x_um": float(scene.drift_um[1]),
                "focus": float(np.mean([(psf_sigma_px(p, c) / scene.sigmas_px[c]) ** 2 for c in range(2)])),
                "n_cells": sum(1 for row in self.rows["cells"] if row["frame"] == frame),
                "n_candidates": len(scene.beads) + len(scene.decoys),
                "qc_flags": "",
            }
            | self._per_channel("background_", (self._level(glow[0]), self._level(glow[1])))
            | self._per_channel("noise_", (noise[0], noise[1]))
            | self._per_channel("bleaching_", loss)
        )

    def results(self, provenance: dict[str, Any]) -> Results:
        """All tables and labels."""
        rows = dict(self.rows)
        rows["cell_summary"], observed = summary_rows(self.movie_id, self.rows, self.params)
        for row in rows.get("migrasomes", []) + rows.get("fibers", []):
            if row["cell_id"] not in observed:
                # its cell was never in view, so nobody could name it
                row["cell_id"] = None
        for row in rows.get("migrasomes", []):
            row["location"] = self.arms.location(row["migrasome_id"])
        rows["tracks"] = track_rows(self.movie_id, self.kept, rows.get("migrasomes", []), observed, self.params)
        rows["candidates"] = candidate_rows(self.movie_id, self.sightings)
        tables = {name: conform_table(name, pd.DataFrame(found)) for name, found in rows.items() if found}
        return Results(self.movie_id, tables, dict(self.labels), provenance)
