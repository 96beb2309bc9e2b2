"""Retraction fibers: anchors that a moving rear lets go of, and the line from there to the outline.

The line is laid down by its moving end. Some vertices stick to the dish (pinned), the rest are pulled straight between
them in the course of time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .bodies import ANGLES, Body, radius_towards
from .settings import Settings

__all__ = ["Tether", "pull_tethers"]

Array = NDArray[np.float64]
_VERTEX_UM = 0.9


@dataclass
class Tether:
    """One fiber from its anchor (first vertex) to where it ends."""

    number: int
    cell_id: int
    anchor: Array
    brightness: float
    merge_um: float = np.inf
    twin: Tether | None = None
    state: str = "hidden"
    vertices: list[Array] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    pinned: list[bool] = field(default_factory=list)
    next_pin: float = 0.0
    laid_um: float = 0.0
    end: Array | None = None
    freed: float = np.inf
    ended: float = np.inf
    root: int = -1
    merge_vertex: int = -1
    cut: tuple[float, int] | None = None
    ends: dict[int, Array] = field(default_factory=dict)

    def path(self, time: float, frame: int, straighten_min: float) -> Array:
        """Vertices at a time, shape (N, 2); empty before it is free."""
        if time < self.freed:
            return np.empty((0, 2))
        n = int(np.searchsorted(self.times, time, side="right"))
        if time >= self.ended and self.state == "broken":
            stuck = np.flatnonzero(self.pinned[:n])
            n = int(stuck[-1]) + 1 if stuck.size else 1
        points = np.array(self.vertices[:n])
        pins = np.array(self.pinned[:n])
        moving = self.ends.get(frame) if time < self.ended else None
        if moving is not None:
            points = np.vstack([points, moving])
            pins = np.append(pins, True)
        if len(points) < 2:
            return np.empty((0, 2))
        pins[0] = pins[-1] = True
        at = np.flatnonzero(pins)
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        straight = np.stack([np.interp(along, along[at], points[at, k]) for k in (0, 1)], axis=1)
        age = time - np.append(self.times[:n], time)[: len(points)]
        slack = np.exp(-np.maximum(age, 0) / straighten_min)
        points = straight + slack[:, np.newaxis] * (points - straight)
        if self.cut is not None and time >= self.cut[0]:
            return points[min(self.cut[1], len(points) - 1) :] if len(points) > self.cut[1] + 1 else np.empty((0, 2))
        return points

    def lay(self, point: Array, time: float, is_pinned: bool) -> None:
        """Add a vertex."""
        if self.vertices:
            self.laid_um += float(np.hypot(*(point - self.vertices[-1])))
        self.vertices.append(np.array(point))
        self.times.append(time)
        self.pinned.append(is_pinned)


def pull_tethers(
    body: Body,
    mine: list[Tether],
    radii: Array,
    settings: Settings,
    time: float,
    dt: float,
    first_number: int,
    rng: np.random.Generator,
) -> list[Tether]:
    """Drop new anchors behind a cell, and draw out, merge or break the fibers that hang on it; return the new ones."""
    outline = body.outline(radii)
    new = _drop_anchors(body, radii, settings, dt, first_number, rng)
    for tether in mine:
        if tether.state == "hidden":
            distance, reach = radius_towards(tether.anchor[np.newaxis], body.centre, body.axis, radii)
            if distance[0] > reach[0] + 0.3:
                tether.state, tether.freed = "attached", time
                tether.lay(tether.anchor, time, True)
                tether.next_pin = float(rng.exponential(settings.pin_um))
    hanging = [tether for tether in mine if tether.state == "attached"]
    if not hanging:
        return new
    last = np.array([tether.vertices[-1] for tether in hanging])
    # |p|^2 - 2 p.q orders the points q as the distance does; about the centre, lest digits are lost
    near = outline - body.centre
    nearest = outline[np.argmin((near**2).sum(axis=1) - 2 * (last - body.centre) @ near.T, axis=1)]
    for tether, point in zip(hanging, nearest, strict=True):
        # the end slides along the membrane, it does not hop
        tether.end = point if tether.end is None else 0.75 * point + 0.25 * tether.end
        if np.hypot(*(tether.end - tether.vertices[-1])) > _VERTEX_UM:
            pin = tether.laid_um > tether.next_pin
            tether.lay(tether.end, time, pin)
            if pin:
                tether.next_pin = tether.laid_um + 2 + float(rng.exponential(settings.pin_um))
    _merge(hanging, time, rng)
    for tether in hanging:
        if tether.state == "attached" and rng.random() < settings.breaks_per_h * dt / 60:
            tether.state, tether.ended = "broken", time
            if rng.random() < 0.3 and len(tether.vertices) > 12:
                tether.cut = (time, int(rng.integers(2, len(tether.vertices) // 2)))
    return new


def _drop_anchors(
    body: Body, radii: Array, settings: Settings, dt: float, number: int, rng: np.random.Generator
) -> list[Tether]:
    new: list[Tether] = []
    is_rounding = body.plan in ("round", "divide") and body.roundness < 0.5
    n = int(rng.poisson(settings.anchors_per_um * float(np.hypot(*body.step))))
    if is_rounding and rng.random() < 0.5 * dt:
        n += 2
    for _ in range(n):
        angle = np.pi + rng.normal(0, settings.anchor_spread) + (body.heading - body.axis)
        if is_rounding:
            angle = rng.uniform(-np.pi, np.pi)
        spots = [angle]
        if rng.random() < settings.fork:
            spots.append(angle + rng.choice([-1, 1]) * rng.uniform(0.12, 0.35))
        for k, where in enumerate(spots):
            r = float(np.interp(where, ANGLES, radii, period=2 * np.pi)) * rng.uniform(0.82, 0.97)
            place = body.centre + r * np.array([np.sin(where + body.axis), np.cos(where + body.axis)])
            bright = float(np.exp(rng.normal(0, settings.fiber_spread)))
            tether = Tether(number + len(new), body.cell_id, place, bright)
            tether.root = tether.number
            if k:
                tether.twin, tether.merge_um = new[-1], float(rng.uniform(1.5, 7))
            new.append(tether)
    return new


def _merge(hanging: list[Tether], time: float, rng: np.random.Generator) -> None:
    """Zip fibers together at the cell: one of them ends on the other, which is how branch points come about."""
    for i, tether in enumerate(hanging):
        partner = tether.twin if tether.twin in hanging and tether.laid_um > tether.merge_um else None
        if partner is None and tether.laid_um > 2.5:
            for other in hanging[:i]:
                near = other.state == "attached" and np.hypot(*(other.end - tether.end)) < 0.5
                if near and rng.random() < 0.15:
                    partner = other
                    break
        if partner is None or partner.state != "attached" or tether.state != "attached" or partner.laid_um < 1.0:
            continue
        partner.lay(partner.end, time, True)
        tether.lay(partner.end, time, True)
        tether.state, tether.ended, tether.root = "merged", time, partner.number
        tether.merge_vertex = len(tether.vertices) - 1
