"""One movie from kind and seed: the scene, its picture, its truth."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.movie import Movie
from migradetect.results import Results

from .camera import Camera
from .picture import Optics, bead_moments, body_layers, draw_beads, draw_lines, smooth_noise
from .settings import Settings, draw_settings
from .truth import FrameTruth, Recorder
from .vesicles import Beads, decoys, migrasomes
from .world import grow_world

__all__ = ["simulate"]

Array = NDArray[np.float64]
_ROLES = ("tspan4", "wga")
_RING = np.stack([np.sin(np.arange(12) * np.pi / 6), np.cos(np.arange(12) * np.pi / 6)], axis=1)


def simulate(kind: str, seed: int, **overrides: Any) -> tuple[Movie, Results]:
    """Simulate a movie.

    Parameters
    ----------
    kind : str
        One of :data:`second_simulator.KINDS`.
    seed : int
        The same kind, seed and overrides give the same movie.
    **overrides
        Fields of :class:`second_simulator.Settings`.

    Returns
    -------
    movie : Movie
        In memory.
    truth : Results
        Tables and labels as they would come from a perfect analysis.

    Notes
    -----
    The true ``snr`` of a bead is that of a matched filter, the best that any linear detector can do:
    :math:`F / \\sqrt{4 \\pi s^2 V}`, where F is the light of the bead in electrons, s the width of its image (PSF,
    focus and own size; the energy of a Gaussian of the same variance) and V the noise variance of a pixel (shot noise
    of what surrounds it, read noise, rounding), averaged over a ring around it. The better channel counts.
    """
    settings = draw_settings(kind, seed, **overrides)
    rng = np.random.default_rng([seed, crc32(kind.encode()), 7])
    world = grow_world(settings, rng)
    life, beads = migrasomes(world, rng)
    others, shafts = decoys(world, life, rng)
    movie_id = f"{kind}_{seed:05d}"
    recorder = Recorder(movie_id, world, life, beads, others)
    data = _Shooting(settings, rng).run(world, Beads.join([beads, others]), shafts, recorder)
    interval = settings.interval_min * 60 if settings.n_frames > 1 else None
    calibration = Calibration(settings.pixel_um, interval, "simulation", "simulation")
    movie = Movie.from_array(data, calibration, settings.roles, movie_id)
    block = {
        "pixel_size_um": settings.pixel_um,
        "frame_interval_s": interval,
        "pixel_size_source": "simulation",
        "frame_interval_source": "simulation",
    }
    return movie, recorder.results({"kind": kind, "seed": seed, "calibration": block})


class _Shooting:
    """Takes the frames of one movie."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self.s, self.rng = settings, rng
        self.optics = Optics(settings, rng)
        n = settings.size_px
        self.patch = np.exp(0.3 * smooth_noise((n, n), 2.5 / settings.pixel_um, rng)).clip(0.35, 2.2)
        self.shift = settings.shift_px * _unit(rng) if len(settings.roles) == 2 else np.zeros(2)
        self.drift = _drift(settings, rng)
        self.focus = _focus(settings, rng)
        self.noise: dict[int, Any] = {}

    def run(self, world: Any, beads: Beads, shafts: list[Any], recorder: Recorder) -> NDArray[Any]:
        """All frames, shape (T, C, Y, X), while the recorder takes down what is true."""
        s, rng = self.s, self.rng
        channels = [c for c in (0, 1) if _ROLES[c] in s.roles]
        camera: Camera | None = None
        frames = []
        for frame in range(s.n_frames):
            paths = world.paths(frame)
            expected, scene = self._expose(world, paths, beads, shafts, frame)
            if camera is None:
                bright = tuple(float(np.percentile(e, 99.7)) for e in expected)
                camera = Camera(s, bright, rng)
            frames.append(np.stack([camera.shoot(expected[c], c, rng) for c in channels]))
            recorder.add(frame, self._truth(frame, expected, scene, paths, beads, camera))
        return np.stack(frames)

    def _expose(
        self, world: Any, paths: list[Any], beads: Beads, shafts: list[Any], frame: int
    ) -> tuple[list[NDArray[np.float32]], Any]:
        s = self.s
        shape = (s.size_px, s.size_px)
        offset = self.drift[frame] / s.pixel_um
        scene = body_layers(world.snapshots[frame], s, offset, shape, frame, self.noise)
        lines = [path / s.pixel_um for _, path, _ in paths] + [p / s.pixel_um for f, p, _ in shafts if f == frame]
        bright = [b for _, _, b in paths] + [b for f, _, b in shafts if f == frame]
        there = np.isfinite(beads.place[:, frame, 0])
        self.flux = np.zeros((len(beads), 2))
        flick = np.exp(s.flicker * self.rng.normal(size=2))
        expected = []
        for c in (0, 1):
            at = offset + (self.shift if c == 1 else 0)
            sharp = draw_lines(
                shape,
                [line + at for line in lines],
                [b * s.fiber_fraction[c] for b in bright],
                self.patch,
                at,
                s.psf_px[c],
            )
            radius = beads.diameter[there, frame] / 2 / s.pixel_um
            spots = (
                radius,
                beads.light[there, frame, c],
                beads.profile[there],
                beads.aspect[there],
                beads.angle[there],
            )
            where = beads.place[there, frame] / s.pixel_um + at
            soft = beads.blur_um[there] > 0.1
            sharp += draw_beads(shape, where[~soft], *(v[~soft] for v in spots))
            if soft.any():
                sharp += _soften(draw_beads(shape, where[soft], *(v[soft] for v in spots)), 0.5 / s.pixel_um)
            sharp += scene.light[c]
            scale = s.body_e[c] * (1 - s.bleach[c]) ** frame
            image = self.optics.image(sharp, c, self.focus[frame]) * np.float32(scale)
            field = self.optics.light[c] * np.float32(flick[c])
            expected.append((image + s.background_e[c] * self.optics.glow[c]) * field)
            self.flux[there, c] = np.pi * radius**2 * spots[1] * bead_moments(spots[2])[0] * scale * flick[c]
        return expected, scene

    def _truth(
        self, frame: int, expected: list[Any], scene: Any, paths: list[Any], beads: Beads, camera: Camera
    ) -> FrameTruth:
        s = self.s
        place = np.nan_to_num(beads.place[:, frame] + self.drift[frame], nan=-99.0) / s.pixel_um
        radius = beads.diameter[:, frame] / 2 / s.pixel_um
        spread = bead_moments(beads.profile)[1]
        snr, counts = np.zeros((len(beads), 2)), np.zeros((len(beads), 2))
        backgrounds, noises, noises_e, bodies = [], [], [], []
        on = [c for c in (0, 1) if _ROLES[c] in s.roles]
        top = s.size_px - 1
        middle = np.clip(np.round(place).astype(int), 0, top)
        for c in (0, 1):
            channel = on.index(c) if c in on else 0
            sigma = self.optics.sigma(c, self.focus[frame])
            width2 = sigma**2 + spread * radius**2 + (beads.blur_um / s.pixel_um) ** 2
            reach = radius + 2.5 * sigma
            ring = np.clip(np.round(place[:, np.newaxis] + reach[:, np.newaxis, np.newaxis] * _RING), 0, top).astype(
                int
            )
            around = expected[c][ring[..., 0], ring[..., 1]]
            variance = camera.variance_e(around, channel).mean(axis=1)
            light = self.flux[:, c] * self.optics.light[c][middle[:, 0], middle[:, 1]] * (1 - s.pedestal)
            snr[:, c] = light / np.sqrt(4 * np.pi * width2 * variance)
            unit = camera.e_per_count[channel]
            counts[:, c] = self.flux[:, c] * self.optics.light[c][middle[:, 0], middle[:, 1]] / unit * s.pixel_um**2
            empty = expected[c][scene.labels == 0]
            base = float(np.median(empty[::37])) if empty.size else float(expected[c].min())
            noise = float(np.sqrt(camera.variance_e(np.array(base), channel)))
            backgrounds.append(base / unit + camera.offset)
            noises.append(noise / unit)
            noises_e.append(noise)
            bodies.append((expected[c] - base) / unit)
        peaks = [s.fiber_fraction[c] * s.body_e[c] for c in (0, 1)]
        return FrameTruth(
            scene.labels,
            paths,
            self.drift[frame],
            snr,
            counts,
            bodies,
            backgrounds,
            noises,
            [peaks[c] for c in on],
            [noises_e[c] for c in on],
            s.psf_px[0],
        )


def _soften(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def _unit(rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.sin(angle), np.cos(angle)])


def _drift(s: Settings, rng: np.random.Generator) -> Array:
    """Slow drift, vibration and jumps in um; 0 in the first frame."""
    n = s.n_frames
    slow = s.drift_um * np.arange(n)[:, np.newaxis] * _unit(rng)
    shake = np.cumsum(rng.normal(0, s.walk_um / 2, (n, 2)), axis=0) * 0.5 + rng.normal(0, s.walk_um, (n, 2))
    jumps = (rng.random(n) < s.jumps)[:, np.newaxis] * rng.normal(0, s.jump_um / np.sqrt(2), (n, 2))
    total = slow + shake + np.cumsum(jumps, axis=0)
    # the stage is brought back before much of the field is lost
    total = 10 * np.tanh(total / 10)
    return np.asarray(total - total[0])


def _focus(s: Settings, rng: np.random.Generator) -> Array:
    """Blur by defocus in px: a slow wave and a walk."""
    n = s.n_frames
    wave = np.sin(2 * np.pi * (np.arange(n) / rng.uniform(15, 80) + rng.random()))
    walk = np.cumsum(rng.normal(0, 0.15, n))
    return np.asarray(s.focus * np.abs(wave + walk) * s.psf_px[0])
