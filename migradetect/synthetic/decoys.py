"""What is not a migrasome but looks like one: endosomes, filopodia, static and floating debris."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.cells import Cell
from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["Debris", "Endosome", "Filopodium", "Speck", "draw_debris", "new_endosome", "new_filopodium"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Speck:
    """Disc to be drawn: place in um (stage), size, and brightness relative to a cell body."""

    y_um: float
    x_um: float
    diameter_um: float
    tspan4: float
    wga: float
    is_shell: bool = False


@dataclass
class Endosome:
    """Vesicle inside a cell, in body coordinates; WGA is endocytosed, so that they multiply and brighten."""

    number: int
    cell_id: int
    forward: float
    lateral: float
    diameter_um: float
    tspan4: float
    wga: float
    ends_at: float

    def step(self, dt_min: float, rng: Rng, radius_um: float) -> None:
        """Jitter, drawn slowly to the place beside the nucleus."""
        jump = 0.35 * np.sqrt(dt_min) * rng.normal(size=2)
        self.forward += float(jump[0]) - 0.01 * dt_min * (self.forward + 0.15 * radius_um)
        self.lateral += float(jump[1]) - 0.01 * dt_min * self.lateral
        self.wga = min(self.wga * (1.0 + 0.002 * dt_min), 2.0)

    def speck(self, cell: Cell) -> Speck:
        """Where it is now."""
        place = cell.to_stage(np.array([self.forward]), np.array([self.lateral]))[0]
        return Speck(float(place[0]), float(place[1]), self.diameter_um, self.tspan4, self.wga)


def new_endosome(number: int, cell: Cell, now: float, rng: Rng, at: Floats | None = None) -> Endosome:
    """Endosome at a place of the body (um, body coordinates), or around the nucleus."""
    radius = cell.radius_um
    if at is None:
        # a cloud around the nucleus that reaches into the lamella
        distance, angle = radius * min(0.75, float(rng.gamma(3.0)) * 0.14), float(rng.uniform(-np.pi, np.pi))
        at = np.array([-0.12 * radius + distance * np.cos(angle), distance * np.sin(angle)])
    return Endosome(
        number=number,
        cell_id=cell.cell_id,
        forward=float(at[0]),
        lateral=float(at[1]),
        diameter_um=float(rng.uniform(0.3, 1.0)),
        tspan4=float(rng.uniform(0.0, 0.5)) * float(rng.random() < 0.6),
        wga=float(np.exp(rng.normal(-0.8, 0.5))),
        ends_at=now + float(rng.exponential(70.0)) + 5.0,
    )


@dataclass
class Filopodium:
    """Thin spike at the front or side of a cell, in body coordinates."""

    number: int
    cell_id: int
    angle: float
    length_um: float
    lean: float
    starts_at: float
    ends_at: float
    brightness: float
    tip: float

    def points(self, cell: Cell, params: SimulationParams, now: float) -> Floats:
        """Root to tip in stage coordinates, shape (2, 2)."""
        root = cell.boundary(np.array([self.angle]), params)[0]
        age = (now - self.starts_at) / (self.ends_at - self.starts_at)
        length = self.length_um * float(np.clip(4.0 * age * (1.0 - age), 0.05, 1.0))
        heading = cell.heading + self.angle + self.lean
        return np.stack([root, root + length * np.array([np.sin(heading), np.cos(heading)])])


def new_filopodium(number: int, cell: Cell, now: float, rng: Rng) -> Filopodium:
    """Filopodium on a cell, anywhere but at the rear."""
    return Filopodium(
        number=number,
        cell_id=cell.cell_id,
        angle=float(np.clip(rng.normal(0.0, 1.0), -2.3, 2.3)),
        length_um=float(rng.uniform(2.0, 7.0)),
        lean=float(rng.normal(0.0, 0.25)),
        starts_at=now,
        ends_at=now + float(rng.uniform(3.0, 14.0)),
        brightness=float(rng.uniform(0.8, 2.0)),
        tip=float(rng.uniform(0.0, 0.5)) * float(rng.random() < 0.6),
    )


@dataclass
class Debris:
    """Dirt on the dish or in the medium: a clump of one to four specks."""

    number: int
    is_floating: bool
    y: float
    x: float
    parts: list[Speck] = field(default_factory=list)
    starts_at: float = -np.inf
    ends_at: float = np.inf
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    diffusion_um2_per_min: float = 0.0

    def step(self, dt_min: float, rng: Rng) -> None:
        """Floating debris is carried and shaken; static debris stays."""
        if self.is_floating:
            jump = self.velocity * dt_min + np.sqrt(2.0 * self.diffusion_um2_per_min * dt_min) * rng.normal(size=2)
            self.y, self.x = self.y + float(jump[0]), self.x + float(jump[1])

    def specks(self) -> list[Speck]:
        """Where its parts are now."""
        return [Speck(self.y + p.y_um, self.x + p.x_um, p.diameter_um, p.tspan4, p.wga, p.is_shell) for p in self.parts]


def draw_debris(number: int, is_floating: bool, params: SimulationParams, duration_min: float, rng: Rng) -> Debris:
    """Debris somewhere in the field."""
    height, width = params.field_um
    # dirt binds the lectin; only some of it glows in the other channel
    both = bool(rng.random() < 0.55)
    level = float(np.exp(rng.normal(-0.5, 0.6)))
    size = float(np.clip(np.exp(rng.normal(np.log(0.9), 0.4)), 0.35, 2.5))
    parts: list[Speck] = []
    for _ in range(1 + int(rng.random() < 0.35) * int(rng.integers(1, 4))):
        part = size * float(rng.uniform(0.5, 1.0))
        place = rng.normal(size=2) * 0.5 * size * (len(parts) > 0)
        tspan4 = level * float(rng.uniform(0.2, 1.0)) * both
        parts.append(Speck(float(place[0]), float(place[1]), part, tspan4, level * float(rng.uniform(0.6, 1.2))))
    debris = Debris(number, is_floating, float(rng.uniform(0, height)), float(rng.uniform(0, width)), parts)
    if is_floating:
        debris.starts_at = float(rng.uniform(-5.0, max(duration_min, 1.0)))
        debris.ends_at = debris.starts_at + float(rng.uniform(4.0, 40.0))
        heading = float(rng.uniform(-np.pi, np.pi))
        debris.velocity = float(rng.uniform(0.1, 2.5)) * np.array([np.sin(heading), np.cos(heading)])
        debris.diffusion_um2_per_min = float(rng.uniform(0.3, 3.0))
    return debris
