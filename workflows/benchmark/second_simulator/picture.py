"""From the scene to expected electrons: bodies, fibers and beads as light, and the optics between them and the camera.

Lines and beads are clouds of points that are shared out to the four pixels around each: their centre of mass is exact
to a small part of a pixel, whatever the pixel size. 0 is the centre of pixel 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .bodies import ANGLES, Snapshot
from .settings import Settings

__all__ = ["BODY_NOISE", "Optics", "Scene", "bead_moments", "body_layers", "draw_beads", "draw_lines", "smooth_noise"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]
BODY_NOISE = 192
#: Points of a bead; small ones need fewer.
_N_POINTS = (110, 600)
_SMALL_PX = 3.0


def smooth_noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Image:
    """Noise of unit variance with a correlation length in px; made coarse and enlarged."""
    step = max(1.0, scale / 2)
    small = rng.normal(size=(int(shape[0] / step) + 4, int(shape[1] / step) + 4)).astype(np.float32)
    small = cv2.GaussianBlur(small, (0, 0), max(scale / step / 2, 0.6))
    big = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((big - big.mean()) / (big.std() + 1e-9), dtype=np.float32)


def _splat(shape: tuple[int, int], points: Array, weights: Array) -> Image:
    """Share the weight of each point out to the four pixels around it."""
    keep = (points[:, 0] > -0.99) & (points[:, 1] > -0.99) & (points[:, 0] < shape[0]) & (points[:, 1] < shape[1])
    points, weights = points[keep] + 1, weights[keep]
    wide = shape[1] + 3
    low = np.floor(points).astype(np.int64)
    fy, fx = (points - low).T
    at = low[:, 0] * wide + low[:, 1]
    n = (shape[0] + 3) * wide
    where = np.concatenate([at, at + 1, at + wide, at + wide + 1])
    parts = np.concatenate([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    total = np.bincount(where, np.tile(weights, 4) * parts, n)
    return total.reshape(shape[0] + 3, wide)[1:-2, 1:-2].astype(np.float32)


def draw_lines(
    shape: tuple[int, int], paths: list[Array], light: list[float], patch: Image, offset: Array, sigma_px: float
) -> Image:
    """Lines far thinner than the resolution, with a peak of `light` once they are blurred by `sigma_px`.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    paths : list of ndarray, shape (N, 2)
        Vertices in px.
    light : list of float
        Peak brightness.
    patch : ndarray
        Unevenness along the fibers, fixed to the dish.
    offset : ndarray, shape (2,)
        Place of the dish in px.
    sigma_px : float
        Blur of the optics in focus.
    """
    points, weights = [], []
    for path, bright in zip(paths, light, strict=True):
        length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        n = max(2, int(length[-1] / 0.4))
        along = (np.arange(n) + 0.5) * length[-1] / n
        points.append(np.stack([np.interp(along, length, path[:, k]) for k in (0, 1)], axis=1))
        weights.append(np.full(n, bright * np.sqrt(2 * np.pi) * sigma_px * length[-1] / n))
    if not points:
        return np.zeros(shape, dtype=np.float32)
    place = np.concatenate(points)
    on_dish = np.clip(np.round(place - offset).astype(int), 0, np.array(patch.shape) - 1)
    return _splat(shape, place, np.concatenate(weights) * patch[on_dish[:, 0], on_dish[:, 1]])


def _disc(n: int) -> tuple[Array, Array]:
    k = np.arange(n)
    rho = np.sqrt((k + 0.5) / n)
    turn = k * np.pi * (3 - np.sqrt(5))
    points = rho[:, np.newaxis] * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    weights = np.stack(
        [np.ones_like(rho), 1.2 * np.sqrt(1 - rho**2), 0.3 + 0.7 * np.exp(-(((rho - 0.86) / 0.12) ** 2))]
    )
    # a spiral of so many points has its centre off by little; take it out
    return points - np.average(points, axis=0), weights


_DISCS = tuple(_disc(n) for n in _N_POINTS)
_FLUX = _DISCS[1][1].mean(axis=1)
_SPREAD = (_DISCS[1][1] * (_DISCS[1][0] ** 2).mean(axis=1)).mean(axis=1) / _FLUX


def bead_moments(profile: NDArray[np.int64]) -> tuple[Array, Array]:
    """Mean brightness over the disc, and variance per axis in squared radii, of each profile."""
    return _FLUX[profile], _SPREAD[profile]


def draw_beads(
    shape: tuple[int, int],
    place_px: Array,
    radius_px: Array,
    light: Array,
    profile: NDArray[np.int64],
    aspect: Array,
    angle: Array,
) -> Image:
    """Discs, balls and rings, before the blur.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    place_px, radius_px, light, profile, aspect, angle : ndarray, shape (N, ...)
        One row per bead.
    """
    points, weights = [np.empty((0, 2))], [np.empty(0)]
    for (unit, profiles), which in zip(_DISCS, (radius_px < _SMALL_PX, radius_px >= _SMALL_PX), strict=True):
        c, s = np.cos(angle[which])[:, np.newaxis], np.sin(angle[which])[:, np.newaxis]
        stretch, radius = np.sqrt(aspect[which])[:, np.newaxis], radius_px[which]
        u, v = unit[:, 0] * stretch, unit[:, 1] / stretch
        cloud = np.stack([c * u - s * v, s * u + c * v], axis=2) * radius[:, np.newaxis, np.newaxis]
        points.append((cloud + place_px[which][:, np.newaxis]).reshape(-1, 2))
        part = light[which] * np.pi * radius**2 / len(unit)
        weights.append((profiles[profile[which]] * part[:, np.newaxis]).ravel())
    return _splat(shape, np.concatenate(points), np.concatenate(weights))


@dataclass
class Scene:
    """Bodies of a frame: light of each channel and labels."""

    light: list[Image]
    labels: NDArray[np.int32]


def body_layers(
    bodies: list[Snapshot],
    settings: Settings,
    offset_px: Array,
    shape: tuple[int, int],
    frame: int,
    noise: dict[int, Image],
) -> Scene:
    """Draw the cell bodies.

    A body is a film whose thickness rises from the edge, with membrane, grain that moves along, a nucleus that is
    darker or brighter, and ruffles at the front. Where two bodies overlap, light adds up in part, and the label is that
    of the cell whose middle is nearer in its own measure.
    """
    light = [np.zeros(shape, dtype=np.float32) for _ in range(2)]
    labels = np.zeros(shape, dtype=np.int32)
    depth = np.full(shape, np.inf, dtype=np.float32)
    px = settings.pixel_um
    for body in bodies:
        outline = body.outline / px + offset_px
        low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 3, 0)
        high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 4, shape)
        if (high - low < 2).any():
            continue
        # padded, so that the edge of the image is no edge of the cell
        full_low = np.floor(outline.min(axis=0)).astype(int) - 3
        full_high = np.ceil(outline.max(axis=0)).astype(int) + 4
        size = tuple((full_high - full_low).tolist())
        polygon = np.round((outline - full_low)[:, ::-1] * 16).astype(np.int32)
        mask = cv2.fillPoly(np.zeros(size, np.uint8), [polygon], 255, lineType=cv2.LINE_AA, shift=4)
        view = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, full_low, strict=True))
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        inside = cv2.fillPoly(np.zeros(size, np.uint8), [polygon], 1, lineType=cv2.LINE_8, shift=4) > 0
        inside &= mask > 127
        edge = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3) * px
        grid_y, grid_x = np.indices(size, dtype=np.float32)
        centre = (body.centre / px + offset_px - full_low).astype(np.float32)
        dy, dx = (grid_y - centre[0]) * px, (grid_x - centre[1]) * px
        turn = np.arctan2(dy, dx) - body.axis
        reach = np.interp(turn.ravel(), ANGLES, body.radii, period=2 * np.pi).reshape(size)
        rho = np.hypot(dy, dx) / reach
        layers = _film(body, settings, edge, rho, turn, dy, dx, frame, noise)
        nearer = (rho < depth_view(depth, window, view, size))[view] & inside[view]
        was = labels[window] > 0
        for channel, layer in enumerate(layers):
            part = (layer * (mask / np.float32(255)))[view]
            there = light[channel][window]
            light[channel][window] = np.where(
                was & (mask[view] > 0), np.maximum(there, part) + 0.4 * np.minimum(there, part), there + part
            )
        labels[window][nearer] = body.cell_id
        depth[window] = np.where(nearer, rho[view], depth[window])
    return Scene(light, labels)


def depth_view(depth: Image, window: tuple[slice, ...], view: tuple[slice, ...], size: tuple[int, ...]) -> Image:
    """Depth so far in the frame of a padded window."""
    out = np.full(size, np.inf, dtype=np.float32)
    out[view] = depth[window]
    return out


def _film(
    body: Snapshot,
    s: Settings,
    edge: Image,
    rho: Image,
    turn: Image,
    dy: Image,
    dx: Image,
    frame: int,
    noise: dict[int, Image],
) -> list[Image]:
    rng = np.random.default_rng(body.seed)
    if body.seed not in noise:
        shape = (BODY_NOISE, BODY_NOISE)
        fine = smooth_noise(shape, 3, rng) * 0.6 + smooth_noise(shape, 9, rng) + 0.8 * smooth_noise(shape, 30, rng)
        noise[body.seed] = (fine / fine.std()).astype(np.float32)
    nuc_shift, nuc_size = rng.normal(0, 0.12, 2), rng.uniform(0.32, 0.45)
    radius = np.sqrt(s.area_um2 / np.pi)
    c, q = np.cos(body.axis), np.sin(body.axis)
    along, across = c * dx + q * dy, c * dy - q * dx
    scale = 1 / 0.15  # noise px per um
    grain = cv2.remap(
        noise[body.seed],
        (along * scale + BODY_NOISE / 2).astype(np.float32),
        (across * scale + BODY_NOISE / 2).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    nucleus = np.exp(
        -((np.hypot(along / radius - nuc_shift[0], across / radius - nuc_shift[1]) / nuc_size) ** 4)
    ).astype(np.float32)
    thickness = 1 - np.exp(-edge / s.edge_um)
    dome = np.clip(1 - rho**2, 0, 1)
    rim = np.exp(-edge / 0.45)
    phase = rng.uniform(0, 6, 2)
    waves = 0.6 + 0.4 * np.sin(3 * turn + phase[0] + 0.4 * frame) * np.sin(5 * turn + phase[1] - 0.23 * frame)
    front = np.exp(-edge / 1.1) * np.exp(-((np.angle(np.exp(1j * turn)) / 1.0) ** 2)) * waves
    out = []
    for channel in range(2):
        membrane = np.clip(s.membrane + (0.15 if channel else -0.1), 0, 1)
        flat = 0.35 + 0.65 * thickness
        film = (1 - membrane) * thickness * (0.45 + 0.75 * dome) + membrane * (0.55 * flat + 0.9 * rim)
        film = film * np.exp(s.grain * (grain if channel == 0 else 0.8 * grain + 0.15))
        film = film * (1 - s.nucleus * (1 if channel == 0 else 0.7) * nucleus) + 1.2 * s.ruffle * front * 0.8
        film = film * body.brightness * (1 + 0.9 * body.roundness)
        out.append((film * 1.25).astype(np.float32))
    return out


class Optics:
    """Blur, haze and illumination of one movie.

    Parameters
    ----------
    settings : Settings
        Numbers of the movie.
    rng : numpy.random.Generator
        Source of chance.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        s = self.settings = settings
        n = s.size_px
        y, x = np.indices((n, n), dtype=np.float32) / n - 0.5
        self.light, self.glow = [], []
        for _ in range(2):
            mid = rng.normal(0, 0.12, 2)
            lobe = 1 - s.vignette * ((y - mid[0]) ** 2 + (x - mid[1]) ** 2) / 0.35
            slope = rng.normal(0, 1, 2)
            field = lobe * (1 + 0.35 * s.unevenness * (slope[0] * y + slope[1] * x))
            self.light.append(np.clip(field, 0.2, 2).astype(np.float32))
            self.glow.append(np.exp(0.3 * s.unevenness * smooth_noise((n, n), n / 3, rng)).astype(np.float32))

    def sigma(self, channel: int, defocus_px: float) -> float:
        """Width of the core of the PSF in px."""
        return float(np.hypot(self.settings.psf_px[channel], defocus_px))

    def image(self, sharp: Image, channel: int, defocus_px: float) -> Image:
        """Blur light: a core, a pedestal around it, and out-of-focus haze."""
        s = self.settings
        sigma = self.sigma(channel, defocus_px)
        core = cv2.GaussianBlur(sharp, (0, 0), sigma)
        if s.pedestal > 0.02:
            core = (1 - s.pedestal) * core + s.pedestal * cv2.GaussianBlur(core, (0, 0), 2.2 * sigma)
        if s.haze > 0.01:
            small = cv2.resize(sharp, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), max(0.6, s.haze_um / s.pixel_um / 8))
            core = core + s.haze * cv2.resize(small, sharp.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return core
