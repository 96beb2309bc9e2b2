"""Cells: persistent random walk, outline with lamellipodium and tapering rear, rounding up and division.

References
----------
.. [1] Fürth R. Die Brownsche Bewegung bei Berücksichtigung einer Persistenz der Bewegungsrichtung.
   Z. Physik 2, 244-256 (1920). DOI 10.1007/BF01328731
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["N_ANGLES", "Cell", "Tail", "new_cell"]

Floats = NDArray[np.float64]

#: Vertices of an outline: 1 degree resolves a tail of 0.1 rad.
N_ANGLES = 360
ANGLES: Floats = np.linspace(-np.pi, np.pi, N_ANGLES, endpoint=False)
_MODES = np.arange(2, 9)


@dataclass
class Tail:
    """One taper of the rear from which a fiber is drawn out."""

    offset_rad: float
    length_um: float
    target_um: float
    width_rad: float
    node: int
    spacing_um: float
    side: float
    brightness: float = 1.0


@dataclass
class Cell:
    """State of one cell in stage coordinates (um, y before x); angles run from x towards y."""

    cell_id: int
    mother_id: int | None
    area_um2: float
    y: float
    x: float
    direction: float
    heading: float
    speed: float
    elongation: float
    brightness: tuple[float, float]
    texture_yx: tuple[float, float]
    cos_modes: Floats
    sin_modes: Floats
    bend: float = 0.0
    lamella: float = 1.0
    roundness: float = 0.0
    round_until: float = -np.inf
    divides_at: float | None = None
    born_at: float = -1e9
    nucleus: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ruffle_phase: Floats = field(default_factory=lambda: np.zeros(5))
    tails: list[Tail] = field(default_factory=list)

    def relative_radius(self, angle: Floats, shape: str) -> Floats:
        """Radius of the outline without tails, up to a factor; angle 0 is the front."""
        c, s = np.cos(angle), np.sin(angle)
        long, wide = {"spindle": (self.elongation, 1.0), "fan": (1.0, self.elongation)}.get(
            shape, (self.elongation, 1.0)
        )
        # below 2 the ellipse becomes a lens: spindles end in points
        power = 1.5 if shape == "spindle" else 2.0
        radius = ((np.abs(c) / long) ** power + (np.abs(s) / wide) ** power) ** (-1.0 / power)
        if shape == "fan":
            # the rear of a fan is pinched towards its tails
            radius = radius * (1.0 - 0.38 * ((1.0 - c) / 2.0) ** 1.5 * np.abs(s) ** 0.5)
        phase = np.multiply.outer(angle, _MODES)
        radius = radius * (1.0 + np.cos(phase) @ self.cos_modes + np.sin(phase) @ self.sin_modes)
        radius = radius + 0.35 * self.lamella * np.clip(c, 0.0, None) ** 2
        return (1.0 - self.roundness) * np.clip(radius, 0.25, None) + self.roundness

    def outline(self, params: SimulationParams) -> Floats:
        """Outline in stage coordinates, shape (N_ANGLES, 2), y before x, in um; row i lies at ``ANGLES[i]``."""
        return self.boundary(ANGLES, params)

    def boundary(self, angle: Floats, params: SimulationParams) -> Floats:
        """Points of the outline at body angles, shape (N, 2), in um."""
        full = self.relative_radius(ANGLES, params.shape)
        area = self.area_um2 * (1.0 - 0.4 * self.roundness)  # rounded cells cover less of the dish
        scale = np.sqrt(area / (np.pi * np.mean(full**2)))
        radius = self.relative_radius(angle, params.shape) * scale
        for tail in self.tails:
            away = np.abs((angle - np.pi - tail.offset_rad + np.pi) % (2 * np.pi) - np.pi)
            radius = radius + (1.0 - self.roundness) * tail.length_um * np.exp(-away / tail.width_rad)
        forward, lateral = radius * np.cos(angle), radius * np.sin(angle)
        lateral = lateral + 0.5 * self.bend * (1.0 - self.roundness) * forward**2
        return self.to_stage(forward, lateral)

    def to_stage(self, forward: Floats, lateral: Floats) -> Floats:
        """Body coordinates to stage coordinates, shape (N, 2)."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.stack([self.y + forward * s + lateral * c, self.x + forward * c - lateral * s], axis=-1)

    def to_body(self, points: Floats) -> Floats:
        """Stage coordinates, shape (N, 2), to (forward, lateral)."""
        dy, dx = points[..., 0] - self.y, points[..., 1] - self.x
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.stack([dy * s + dx * c, dy * c - dx * s], axis=-1)

    def tail_tip(self, tail: Tail, params: SimulationParams) -> Floats:
        """End of a tail in stage coordinates, shape (2,)."""
        return self.boundary(np.array([np.pi + tail.offset_rad]), params)[0]

    @property
    def radius_um(self) -> float:
        """Radius of a disc of the same area."""
        return float(np.sqrt(self.area_um2 / np.pi))

    def step(
        self, dt_min: float, now_min: float, params: SimulationParams, rng: Rng, push: Floats, turn: float
    ) -> None:
        """Advance by one step.

        Parameters
        ----------
        dt_min, now_min : float
            Step and time at its end.
        params : SimulationParams
            Physics.
        rng : numpy.random.Generator
            Source of all randomness.
        push : ndarray, shape (2,)
            Velocity that neighbours impose, um per minute.
        turn : float
            Turn that neighbours and the edge of the world impose, rad per minute.
        """
        calm = 1.0 - self.roundness
        # ref. [1] in continuous form: the direction diffuses, so that its correlation falls with the persistence time
        self.direction += np.sqrt(2.0 * dt_min / params.persistence_min) * rng.normal() + turn * dt_min
        mean = params.speed_um_per_min
        rate = dt_min / 20.0
        self.speed += rate * (mean - self.speed) + np.sqrt(2.0 * rate) * params.speed_cv * mean * rng.normal()
        self.speed = float(np.clip(self.speed, 0.1 * mean, 3.0 * mean))
        self.y += dt_min * (self.speed * calm * np.sin(self.direction) + push[0])
        self.x += dt_min * (self.speed * calm * np.cos(self.direction) + push[1])
        lag = (self.direction - self.heading + np.pi) % (2 * np.pi) - np.pi
        # the body follows its direction of motion within about 10 min
        self.heading += lag * (1.0 - np.exp(-dt_min / 10.0)) * calm
        rate = dt_min / 12.0
        sd = 0.12 / _MODES
        for modes in (self.cos_modes, self.sin_modes):
            modes += -rate * modes + np.sqrt(2.0 * rate) * sd * rng.normal(size=len(_MODES))
        self.lamella += rate * (1.0 - self.lamella) + np.sqrt(2.0 * rate) * 0.5 * rng.normal()
        self.lamella = float(np.clip(self.lamella, 0.0, 2.5))
        self.bend += -rate * self.bend + np.sqrt(2.0 * rate) * 0.012 * rng.normal()
        self.bend = float(np.clip(self.bend, -0.03, 0.03))
        goal = 1.0 if now_min < self.round_until else 0.0
        self.roundness += (goal - self.roundness) * (1.0 - np.exp(-dt_min / 5.0))
        self.ruffle_phase += dt_min * np.array([0.5, -0.35, 0.8, -0.6, 0.25])
        for tail in self.tails:
            # a tail is drawn out by the body that moves on, never pushed backwards
            grown = (tail.target_um - tail.length_um) * (1.0 - np.exp(-dt_min / 8.0))
            tail.length_um += min(grown, 0.6 * self.speed * calm * dt_min)
            tail.offset_rad += 0.02 * np.sqrt(dt_min) * rng.normal() - 0.01 * dt_min * tail.offset_rad


def new_cell(
    cell_id: int, yx: tuple[float, float], params: SimulationParams, rng: Rng, mother: Cell | None = None
) -> Cell:
    """Cell at a place, with everything else drawn; a daughter takes after its mother."""
    if mother is None:
        # 400 to 1500 um2 is the range of the adherent lines used in the field
        area = float(np.clip(params.cell_area_um2 * np.exp(params.cell_area_cv * rng.normal()), 400.0, 1500.0))
        brightness = (float(np.exp(0.25 * rng.normal())), float(np.exp(0.18 * rng.normal())))
    else:
        area = max(400.0, 0.62 * mother.area_um2)
        brightness = mother.brightness
    direction = float(rng.uniform(-np.pi, np.pi))
    sd = 0.12 / _MODES
    radius = np.sqrt(area / np.pi)
    return Cell(
        cell_id=cell_id,
        mother_id=None if mother is None else mother.cell_id,
        area_um2=area,
        y=yx[0],
        x=yx[1],
        direction=direction,
        heading=direction,
        speed=params.speed_um_per_min,
        elongation=max(1.0, params.elongation * float(np.exp(0.12 * rng.normal()))),
        brightness=brightness,
        texture_yx=(float(rng.uniform(0, 80)), float(rng.uniform(0, 80))),
        cos_modes=sd * rng.normal(size=len(_MODES)),
        sin_modes=sd * rng.normal(size=len(_MODES)),
        nucleus=(
            float(rng.uniform(-0.3, 0.05) * radius),
            float(rng.uniform(-0.12, 0.12) * radius),
            float(rng.uniform(0.3, 0.4) * radius),
        ),
        ruffle_phase=rng.uniform(0, 2 * np.pi, size=5),
    )
