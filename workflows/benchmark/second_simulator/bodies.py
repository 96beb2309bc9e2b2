"""Cells as outlines in polar form that walk, pause, turn, round up, divide and push each other away."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .settings import Settings

__all__ = ["ANGLES", "Body", "Snapshot", "move_bodies", "new_body", "radius_towards"]

Array = NDArray[np.float64]
#: Angles of an outline in the frame of the body; 0 points to the front.
ANGLES = np.linspace(-np.pi, np.pi, 256, endpoint=False)
_MODES = np.arange(2, 11)


@dataclass
class Body:
    """One living cell.

    Parameters
    ----------
    cell_id : int
        Number, never used again.
    centre : ndarray, shape (2,)
        y, x in um on the stage.
    heading, axis : float
        Direction of the walk, and that of the outline, which follows it with a delay.
    """

    cell_id: int
    centre: Array
    heading: float
    axis: float
    area: float
    aspect: float
    brightness: float
    seed: int
    mother_id: int | None = None
    log_speed: float = 0.0
    is_paused: bool = False
    waves: Array = field(default_factory=lambda: np.zeros((2, _MODES.size)))
    lobes: Array = field(default_factory=lambda: np.zeros((0, 3)))
    roundness: float = 0.0
    plan: str = ""
    plan_left: float = 0.0
    step: Array = field(default_factory=lambda: np.zeros(2))

    def radii(self, settings: Settings) -> Array:
        """Radius at each of :data:`ANGLES`, normalised to the area."""
        style, q = settings.style, self.roundness
        along = self.aspect if style in ("spindle", "irregular", "round") else 1 / self.aspect
        if style == "round":
            along = 1 + 0.15 * (self.aspect - 1)
        c, s = np.cos(ANGLES), np.sin(ANGLES)
        r = 1 / np.sqrt((c / np.sqrt(along)) ** 2 + (s * np.sqrt(along)) ** 2)
        rear = np.pi - np.abs(ANGLES)
        if style == "spindle":
            r = r * (1 + 0.45 * np.exp(-np.abs(rear / 0.28)) + 0.3 * np.exp(-np.abs(ANGLES / 0.25)))
        elif style == "fan":
            r = r * (1 - 0.3 * np.exp(-((rear / 0.9) ** 2)))
        r = r * (1 + 0.12 * np.exp(-((ANGLES / 0.7) ** 2)))
        phase = _MODES[:, np.newaxis] * ANGLES
        r = r * np.exp(self.waves[0] @ np.cos(phase) + self.waves[1] @ np.sin(phase))
        for angle, height, width in self.lobes:
            away = np.angle(np.exp(1j * (ANGLES - angle)))
            r = r + height * np.exp(-((away / width) ** 2))
        r = r / np.sqrt(np.mean(r**2))
        size = np.sqrt(self.area / np.pi)
        return size * ((1 - q) * r + q * 0.78)

    def outline(self, radii: Array) -> Array:
        """Points of the outline, shape (K, 2)."""
        angle = ANGLES + self.axis
        return self.centre + radii[:, np.newaxis] * np.stack([np.sin(angle), np.cos(angle)], axis=1)


@dataclass(frozen=True)
class Snapshot:
    """A cell at the time of a frame."""

    cell_id: int
    centre: Array
    axis: float
    radii: Array
    outline: Array
    roundness: float
    brightness: float
    seed: int
    mother_id: int | None


def radius_towards(points: Array, centre: Array, axis: float, radii: Array) -> tuple[Array, Array]:
    """Distance of points to a centre, and the radius of the outline in their direction, both shape (N,)."""
    away = points - centre
    angle = np.arctan2(away[:, 0], away[:, 1]) - axis
    return np.hypot(away[:, 0], away[:, 1]), np.interp(angle, ANGLES, radii, period=2 * np.pi)


def new_body(
    cell_id: int, centre: Array, settings: Settings, rng: np.random.Generator, mother: Body | None = None
) -> Body:
    """A cell with its own size, shape and brightness; a daughter has half the area of its mother."""
    heading = float(rng.uniform(-np.pi, np.pi))
    area = settings.area_um2 * np.exp(rng.normal(0, 0.25)) if mother is None else mother.area * rng.uniform(0.45, 0.6)
    bright = np.exp(rng.normal(0, settings.cell_spread)) if mother is None else mother.brightness
    body = Body(
        cell_id=cell_id,
        centre=np.array(centre, dtype=float),
        heading=heading,
        axis=heading,
        area=float(area),
        aspect=float(max(1.0, settings.aspect * np.exp(rng.normal(0, 0.12)))),
        brightness=float(bright),
        seed=int(rng.integers(2**31)),
        mother_id=None if mother is None else mother.cell_id,
        roundness=0.0 if mother is None else 1.0,
    )
    body.waves = rng.normal(0, settings.roughness, (2, _MODES.size)) / (_MODES / 2)
    n = settings.lobes
    body.lobes = np.stack([rng.uniform(-2.2, 2.2, n), rng.uniform(0.15, 0.65, n), rng.uniform(0.22, 0.55, n)], axis=1)
    if mother is not None:
        body.plan, body.plan_left = "flatten", 25.0
    return body


def move_bodies(
    bodies: list[Body], settings: Settings, dt: float, field_um: float, rng: np.random.Generator
) -> list[Body]:
    """Move all cells by one time step; return those that divide now."""
    dividing = []
    for body in bodies:
        _plan(body, settings, dt, rng)
        if body.plan == "divide" and body.plan_left <= 0:
            dividing.append(body)
        _walk(body, settings, dt, field_um, rng)
        _reshape(body, settings, dt, rng)
    _repel(bodies, settings, dt)
    return dividing


def _plan(body: Body, settings: Settings, dt: float, rng: np.random.Generator) -> None:
    body.plan_left -= dt
    if not body.plan:
        if rng.random() < settings.roundups_per_h * dt / 60:
            body.plan, body.plan_left = "round", float(rng.uniform(25, 60))
        elif body.area > 0.7 * settings.area_um2 and rng.random() < settings.divisions_per_h * dt / 60:
            body.plan, body.plan_left = "divide", float(rng.uniform(30, 50))
    elif body.plan_left <= 0 and body.plan in ("round", "flatten"):
        body.plan = ""
    aim = 1.0 if body.plan in ("round", "divide") else 0.0
    body.roundness += (aim - body.roundness) * (1 - np.exp(-dt / (6.0 if aim else 14.0)))
    if body.plan == "":
        body.area += (settings.area_um2 - body.area) * dt / 1500


def _walk(body: Body, settings: Settings, dt: float, field_um: float, rng: np.random.Generator) -> None:
    body.heading += float(rng.normal(0, np.sqrt(2 * dt / settings.persistence_min)))
    body.log_speed += -body.log_speed * dt / 20 + 0.45 * np.sqrt(2 * dt / 20) * float(rng.normal())
    leave = 1 / 15 if body.is_paused else settings.pause / (1 - settings.pause) / 15
    if rng.random() < leave * dt:
        body.is_paused = not body.is_paused
    margin = 0.8 * np.sqrt(body.area)
    over = np.where(body.centre < -margin, -1, np.where(body.centre > field_um + margin, 1, 0))
    if over.any():
        home = field_um / 2 - body.centre
        turn = np.angle(np.exp(1j * (np.arctan2(home[0], home[1]) - body.heading)))
        body.heading += float(np.clip(turn, -1, 1)) * 0.12 * dt
    active = (1 - body.roundness) ** 2 * (0.15 if body.is_paused else 1.0)
    length = settings.speed * np.exp(body.log_speed) * active * dt
    body.step = length * np.array([np.sin(body.heading), np.cos(body.heading)])
    body.centre = body.centre + body.step
    turn = np.angle(np.exp(1j * (body.heading - body.axis)))
    body.axis += float(turn) * (1 - np.exp(-dt / 12)) * active


def _reshape(body: Body, settings: Settings, dt: float, rng: np.random.Generator) -> None:
    keep = np.exp(-dt / 18)
    kick = settings.roughness * np.sqrt(1 - keep**2) / (_MODES / 2)
    body.waves = keep * body.waves + kick * rng.normal(size=body.waves.shape)
    for lobe in body.lobes:
        lobe[0] += rng.normal(0, 0.03 * np.sqrt(dt))
        lobe[1] = max(0.05, lobe[1] + rng.normal(0, 0.04 * np.sqrt(dt)) + (0.35 - lobe[1]) * dt / 60)
        if rng.random() < dt / 70:
            lobe[:] = rng.uniform(-2.2, 2.2), 0.08, rng.uniform(0.22, 0.55)


def _repel(bodies: list[Body], settings: Settings, dt: float) -> None:
    """Contact inhibition: cells that touch are pushed apart and turn away, the less so the more they may cross."""
    stiff = 1 - settings.crossing
    for i, a in enumerate(bodies):
        for b in bodies[i + 1 :]:
            apart = b.centre - a.centre
            distance = float(np.hypot(*apart)) + 1e-6
            touch = 1.05 * (np.sqrt(a.area / np.pi) + np.sqrt(b.area / np.pi)) * 0.95
            if distance >= touch:
                continue
            push = stiff * (touch - distance) * 0.08 * dt / max(dt, 1)
            unit = apart / distance
            a.centre, b.centre = a.centre - push * unit, b.centre + push * unit
            for body, sign in ((a, -1), (b, 1)):
                away = np.arctan2(sign * unit[0], sign * unit[1])
                body.heading += float(np.angle(np.exp(1j * (away - body.heading)))) * 0.06 * dt * stiff
