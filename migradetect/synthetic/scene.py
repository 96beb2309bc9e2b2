"""One frame of the world as light: bodies, fibers, beads and decoys through the optics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.bodies import BodyPainter
from migradetect.synthetic.decoys import Speck
from migradetect.synthetic.fibers import Piece
from migradetect.synthetic.migrasomes import Bead
from migradetect.synthetic.optics import (
    SHELL_UM,
    Illumination,
    Patch,
    blur,
    line_density,
    psf_sigma_px,
    section,
    speck_patch,
    splat_line,
)
from migradetect.synthetic.parameters import Rng, SimulationParams
from migradetect.synthetic.world import World

__all__ = ["Scene", "SceneRenderer"]

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

#: Height of fibers and migrasomes, and of the middle of a cell body, over the dish.
DISH_UM = 0.0
BODY_UM = 0.8


@dataclass
class Scene:
    """Light of one frame and what it is made of.

    Attributes
    ----------
    light_e : ndarray, shape (Z, 2, Y, X)
        Expected photoelectrons.
    labels, footprint : ndarray, shape (Y, X)
        Bodies as outlined by hand, and all that bodies cover.
    pieces : list of Piece
        Fibers and links, stage coordinates.
    beads : list of (index, Bead, Patch, place)
        Beads that exist; the patch is before vignetting and bleaching, the place in stage coordinates.
    decoys : list of (kind, number, Speck, Patch)
        Decoys that can be seen as a spot.
    shading : ndarray, shape (2, Y, X)
        Vignetting times bleaching.
    """

    light_e: Image
    labels: NDArray[np.int32]
    footprint: NDArray[np.int32]
    shading: Image
    drift_um: Floats
    sigmas_px: tuple[float, float]
    pieces: list[Piece] = field(default_factory=list)
    beads: list[tuple[int, Bead, Patch, Floats]] = field(default_factory=list)
    decoys: list[tuple[str, int, Speck, Patch]] = field(default_factory=list)


class SceneRenderer:
    """Draws the world as it is now.

    Parameters
    ----------
    params : SimulationParams
        Physics.
    rng : numpy.random.Generator
        Draws textures and illumination once.
    """

    def __init__(self, params: SimulationParams, rng: Rng) -> None:
        self.params = params
        self.painter = BodyPainter(params, rng)
        self.illumination = Illumination(params, rng)
        shift = params.chromatic_shift_px
        self.shift_px = ((0.0, 0.0), (0.7 * shift, -0.7 * shift))
        self.cell_e = (params.cell_e_tspan4, params.cell_e_wga)
        self.fiber = (params.fiber_fraction_tspan4, params.fiber_fraction_wga)
        middle = (params.n_planes - 1) / 2.0
        # the middle plane lies on the dish, where fibers and migrasomes are
        self.heights_um = [(plane - middle) * params.z_step_um for plane in range(params.n_planes)]

    def render(self, world: World, frame: int, drift_um: Floats, focus_um: float) -> Scene:
        """Light of one frame.

        Parameters
        ----------
        world : World
            Advanced to the time of the frame.
        frame : int
            Index, for the bleaching.
        drift_um : ndarray, shape (2,)
            Stage drift.
        focus_um : float
            Distance of the focal plane from the dish.
        """
        p = self.params
        drift = (float(drift_um[0]), float(drift_um[1]))
        bodies, labels, footprint = self.painter.paint(world.cells, drift, world.now)
        pieces = world.network.pieces(world.now) + world.trails.links(world.cells)
        lines = self._lines(world, pieces, drift_um)
        # what lies below a body is dimmed by it: light is scattered, and the section lies across the body
        lines *= np.where(footprint > 0, np.float32(0.45), np.float32(1.0))
        loss = (1.0 - p.bleaching_per_frame_tspan4, 1.0 - p.bleaching_per_frame_wga)
        shading = np.stack([self.illumination.vignette * np.float32(loss[c] ** frame) for c in range(2)])
        planes, scene_beads, scene_decoys = [], [], []
        sharpest = min(self.heights_um, key=lambda z: abs(z - focus_um))
        sigmas = (0.0, 0.0)
        for height in self.heights_um:
            low, high = height - focus_um - DISH_UM, height - focus_um - BODY_UM
            if p.n_planes == 1:
                high = low
            here = (psf_sigma_px(p, 0, low), psf_sigma_px(p, 1, low))
            pass_low = section(p, low)
            light = np.empty_like(bodies)
            for c in range(2):
                body = blur(bodies[c], psf_sigma_px(p, c, high)) * np.float32(section(p, high))
                line = blur(lines[c], here[c]) * np.float32(pass_low)
                light[c] = np.float32(self.cell_e[c]) * (body + line)
            beads = self._beads(world, drift_um, here, pass_low)
            decoys = self._decoys(world, drift_um, here, pass_low)
            for patch in [b[2] for b in beads] + [d[3] for d in decoys]:
                patch.add_to(light)
            planes.append(self._finish(light, shading, drift))
            if height == sharpest:
                scene_beads, scene_decoys, sigmas = beads, decoys, here
        return Scene(np.stack(planes), labels, footprint, shading, drift_um, sigmas, pieces, scene_beads, scene_decoys)

    def _finish(self, light: Image, shading: Image, drift_um: tuple[float, float]) -> Image:
        """Haze, background and shading."""
        p = self.params
        drift_px = (drift_um[0] / p.pixel_size_um, drift_um[1] / p.pixel_size_um)
        out = np.empty_like(light)
        for c in range(2):
            small = np.ascontiguousarray(light[c, ::4, ::4])
            hazy = blur(small, p.haze_radius_um / p.pixel_size_um / 4.0)
            haze = np.kron(hazy, np.ones((4, 4), np.float32))[: light.shape[1], : light.shape[2]]
            haze = blur(haze, 4.0)
            sky = self.illumination.background(c, drift_px)
            out[c] = (light[c] + np.float32(p.haze_fraction) * haze + sky) * shading[c]
        return out

    def _lines(self, world: World, pieces: list[Piece], drift_um: Floats) -> Image:
        """Fibers and filopodia before the PSF, relative to a body, shape (2, Y, X)."""
        p = self.params
        lines = np.zeros((2, p.height_px, p.width_px), np.float32)
        by_id = {c.cell_id: c for c in world.cells}
        drawn = [(piece.points, piece.brightness) for piece in pieces]
        for f in world.filopodia:
            drawn.append((f.points(by_id[f.cell_id], p, world.now), f.brightness))
        for points, brightness in drawn:
            place = (points + drift_um) / p.pixel_size_um
            if place.max() < -5 or np.any(place.min(axis=0) > np.array([p.height_px, p.width_px]) + 5):
                continue
            for c in range(2):
                weight = self.fiber[c] * brightness * line_density(psf_sigma_px(p, c))
                splat_line(lines[c], place + np.array(self.shift_px[c]), weight)
        return lines

    def _patch(
        self, y_um: float, x_um: float, speck: Speck, sigmas: tuple[float, float], passed: float
    ) -> Patch | None:
        p = self.params
        y, x = y_um / p.pixel_size_um, x_um / p.pixel_size_um
        reach = speck.diameter_um / p.pixel_size_um + 4.0 * max(sigmas)
        if not (-reach < y < p.height_px + reach and -reach < x < p.width_px + reach):
            return None
        light = (speck.tspan4 * self.cell_e[0] * passed, speck.wga * self.cell_e[1] * passed)
        size, wall = speck.diameter_um / p.pixel_size_um, SHELL_UM / p.pixel_size_um
        return speck_patch((y, x), size, light, sigmas, wall, speck.is_shell)

    def _beads(
        self, world: World, drift_um: Floats, sigmas: tuple[float, float], passed: float
    ) -> list[tuple[int, Bead, Patch, Floats]]:
        found = []
        for index, bead in enumerate(world.beads):
            if not bead.exists(world.now):
                continue
            place = world.bead_place(bead)
            tspan4, wga = bead.amplitude(world.now)
            speck = Speck(float(place[0]), float(place[1]), bead.diameter(world.now), tspan4, wga, bead.is_shell)
            y, x = (float(v) for v in place + drift_um)
            patch = self._patch(y, x, speck, sigmas, passed)
            if patch is not None:
                found.append((index, bead, patch, place))
        return found

    def _decoys(
        self, world: World, drift_um: Floats, sigmas: tuple[float, float], passed: float
    ) -> list[tuple[str, int, Speck, Patch]]:
        p = self.params
        by_id = {c.cell_id: c for c in world.cells}
        specks: list[tuple[str, int, Speck]] = [
            ("endosome", e.number, e.speck(by_id[e.cell_id])) for e in world.endosomes
        ]
        for f in world.filopodia:
            end = f.points(by_id[f.cell_id], p, world.now)[-1]
            specks.append(("filopodium", f.number, Speck(float(end[0]), float(end[1]), 0.35, f.tip, 0.8 * f.tip)))
        for d in world.debris:
            if d.starts_at <= world.now < d.ends_at:
                kind = "debris_floating" if d.is_floating else "debris_static"
                specks += [(kind, d.number, s) for s in d.specks()]
        found = []
        for kind, number, speck in specks:
            # what floats is out of focus
            here = (2.0 * sigmas[0], 2.0 * sigmas[1]) if kind == "debris_floating" else sigmas
            patch = self._patch(speck.y_um + drift_um[0], speck.x_um + drift_um[1], speck, here, passed)
            if patch is not None:
                found.append((kind, number, speck, patch))
        return found
