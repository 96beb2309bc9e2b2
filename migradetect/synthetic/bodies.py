"""Pictures of cell bodies: outline to mask, thickness, membrane rim, nucleus, ruffles and texture."""

from __future__ import annotations

from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.cells import Cell
from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["BodyPainter"]

Image = NDArray[np.float32]

#: Grid of the texture tile.
TILE_UM = 0.15
TILE_SIZE = 512
#: Tails thinner than this are left to the fibers when a body is outlined by hand.
OPENING_UM = 1.1


def _tile(rng: Rng) -> Image:
    """Periodic texture with detail at three scales, zero mean, unit variance."""
    tile = np.zeros((TILE_SIZE, TILE_SIZE), np.float32)
    for scale_um, weight in ((0.22, 0.45), (0.7, 0.7), (2.5, 1.0)):
        noise = rng.standard_normal((TILE_SIZE, TILE_SIZE)).astype(np.float32)
        spectrum = np.fft.rfft2(noise)
        fy, fx = np.fft.fftfreq(TILE_SIZE)[:, None], np.fft.rfftfreq(TILE_SIZE)[None]
        sigma = scale_um / TILE_UM
        smooth = np.fft.irfft2(spectrum * np.exp(-2.0 * (np.pi * sigma) ** 2 * (fy**2 + fx**2)), s=noise.shape)
        tile += weight * (smooth / smooth.std()).astype(np.float32)
    return (tile / tile.std()).astype(np.float32)


@numba.njit(cache=True)
def _sample(tile: Any, v: float, u: float) -> float:
    n = tile.shape[0]
    fv, fu = np.floor(v), np.floor(u)
    a, b = v - fv, u - fu
    i, j = int(fv) % n, int(fu) % n
    k, m = (i + 1) % n, (j + 1) % n
    return (1 - a) * ((1 - b) * tile[i, j] + b * tile[i, m]) + a * ((1 - b) * tile[k, j] + b * tile[k, m])


@numba.njit(cache=True)
def _shade(out: Any, dist: Any, origin: Any, pixel_um: float, body: Any, look: Any, phases: Any, tiles: Any) -> None:
    """Brightness of every pixel of a body; ``out`` (2, H, W), ``dist`` (H, W) um to the outline, 0 outside.

    ``body`` holds y, x, heading, radius, nucleus forward, lateral and radius, texture v and u, time weight;
    ``look`` holds membrane fraction per channel, edge width, texture, nucleus shadow, ruffle, roundness.
    """
    y, x, heading, radius, n_f, n_l, n_r, tex_v, tex_u, mix = body
    mem_t, mem_w, edge, rough, shadow, ruffle, roundness = look
    c, s = np.cos(heading), np.sin(heading)
    scale = 1.0 / 0.15
    for i in range(dist.shape[0]):
        dy = origin[0] + i * pixel_um - y
        for j in range(dist.shape[1]):
            d = dist[i, j]
            if d <= 0.0:
                continue
            dx = origin[1] + j * pixel_um - x
            forward, lateral = dy * s + dx * c, dy * c - dx * s
            height = 1.0 - np.exp(-d / edge)
            r2 = (forward - n_f) ** 2 + (lateral - n_l) ** 2
            dome = np.exp(-r2 / (2.0 * (0.5 * radius) ** 2))
            nucleus = 1.0 / (1.0 + np.exp(7.0 * (np.sqrt(r2) / n_r - 1.0)))
            g2 = (forward - n_f + 1.15 * n_r) ** 2 + (lateral - n_l - 0.3 * n_r) ** 2
            golgi = np.exp(-g2 / (2.0 * (0.55 * n_r) ** 2))
            v, u = (lateral + tex_v) * scale, (forward + tex_u) * scale
            grain = mix * _sample(tiles[0], v, u) + np.sqrt(1.0 - mix * mix) * _sample(tiles[1], v, u)
            grain_w = 0.6 * grain + 0.8 * _sample(tiles[0], v + 171.0, u + 53.0)
            angle = np.arctan2(lateral, forward)
            front = max(0.0, np.cos(angle)) ** 0.5 if np.cos(angle) > 0 else 0.0
            wave = 0.0
            for k in range(phases.shape[0]):
                wave += np.cos((k + 3) * angle + phases[k])
            wave = max(0.0, 0.35 + 0.4 * wave)
            at = (d - 0.9 - 0.5 * np.cos(5.0 * angle + phases[0])) / 0.55
            ruffles = ruffle * front * wave * np.exp(-at * at) * (1.0 - roundness)
            rim = np.exp(-d / 0.45)
            for channel in range(2):
                m = mem_t if channel == 0 else mem_w
                g = grain if channel == 0 else grain_w
                cytosol = height * (0.22 + 0.85 * dome) * (1.0 - 0.6 * shadow * nucleus)
                membrane = height * (0.6 + 0.15 * dome) * (1.0 - shadow * nucleus) + 0.3 * rim
                base = m * membrane + (1.0 - m) * cytosol
                base = base * np.exp(rough * g) + 0.5 * golgi * height * max(0.0, 0.5 + 0.5 * g)
                out[channel, i, j] = (base + ruffles * (0.4 + 0.6 * m)) * (1.0 + 0.9 * roundness * height)


class BodyPainter:
    """Paints bodies into a frame.

    Parameters
    ----------
    params : SimulationParams
        Physics.
    rng : numpy.random.Generator
        Draws the texture.
    """

    def __init__(self, params: SimulationParams, rng: Rng) -> None:
        self.params = params
        self.tiles = np.stack([_tile(rng), _tile(rng)])

    def paint(
        self, cells: list[Cell], drift_um: tuple[float, float], now: float
    ) -> tuple[Image, NDArray[np.int32], NDArray[np.int32]]:
        """Bodies of one frame.

        Parameters
        ----------
        cells : list of Cell
            In stage coordinates.
        drift_um : tuple of float
            Added to every place.
        now : float
            Time, min.

        Returns
        -------
        image : ndarray, shape (2, Y, X), float32
            Brightness, TSPAN4 and WGA; 1 is the plateau of a typical body.
        labels, footprint : ndarray, shape (Y, X), int32
            Bodies as outlined by hand, without thin tails; and all that the bodies cover. Values are cell ids.
        """
        p = self.params
        shape = (p.height_px, p.width_px)
        image = np.zeros((2, *shape), np.float32)
        labels, footprint = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        depth = np.zeros(shape, np.float32)
        for cell in cells:
            outline = (cell.outline(p) + np.array(drift_um)) / p.pixel_size_um
            low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 3, 0)
            high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 4, shape)
            if np.any(high - low < 3):
                continue
            window = (slice(low[0], high[0]), slice(low[1], high[1]))
            mask, dist = self._distance(outline, low, high)
            part = np.zeros((2, *mask.shape), np.float32)
            self._shade_cell(part, dist, low, cell, drift_um, now)
            image[:, low[0] : high[0], low[1] : high[1]] += part
            closer = (mask > 0) & (dist > depth[window])
            footprint[window][closer] = cell.cell_id
            body = self._body(mask)
            labels[window][(body > 0) & closer] = cell.cell_id
            depth[window] = np.maximum(depth[window], dist)
        return image, labels, footprint

    def _distance(self, outline: NDArray[np.float64], low: Any, high: Any) -> tuple[NDArray[np.uint8], Image]:
        """Mask of the window, and the distance to the outline in um."""
        # padded, so that the edge of the image is no outline
        pad = int(6.0 / self.params.pixel_size_um)
        mask = np.zeros(tuple(high - low + 2 * pad), np.uint8)
        points = np.round((outline[:, ::-1] - low[::-1] + pad) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, shift=4)
        dist = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        inner = (slice(pad, -pad), slice(pad, -pad))
        return mask[inner].copy(), (dist[inner] * self.params.pixel_size_um).astype(np.float32)

    def _body(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Mask without thin tails: opening, then its largest part."""
        size = 2 * round(0.5 * OPENING_UM / self.params.pixel_size_um) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        # replicated border: a body cut by the image edge is not thin there
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
        _, parts = cv2.connectedComponents(opened, connectivity=4)
        counts = np.bincount(parts.ravel())
        if len(counts) < 2:
            return np.zeros_like(mask)
        return (parts == 1 + int(np.argmax(counts[1:]))).astype(np.uint8)

    def _shade_cell(
        self, part: Image, dist: Image, low: Any, cell: Cell, drift_um: tuple[float, float], now: float
    ) -> None:
        p = self.params
        mix = float(np.cos(2 * np.pi * now / 240.0))  # texture renews itself within about an hour
        body = np.array(
            [
                cell.y + drift_um[0],
                cell.x + drift_um[1],
                cell.heading,
                cell.radius_um,
                *cell.nucleus,
                *cell.texture_yx,
                mix,
            ]
        )
        look = np.array(
            [
                p.membrane_fraction,
                min(1.0, p.membrane_fraction + 0.25),
                p.edge_width_um,
                p.texture,
                p.nucleus_shadow,
                p.ruffle,
                cell.roundness,
            ]
        )
        origin = np.asarray(low, dtype=float) * p.pixel_size_um
        _shade(part, dist, origin, p.pixel_size_um, body, look, cell.ruffle_phase, self.tiles)
        part *= np.array(cell.brightness, np.float32)[:, None, None]
