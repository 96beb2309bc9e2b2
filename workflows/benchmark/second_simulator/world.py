"""The scene over time: cells and the fibers that they leave, before any light is thought of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bodies import Body, Snapshot, move_bodies, new_body, radius_towards
from .settings import Settings
from .tethers import Tether, pull_tethers

__all__ = ["World", "grow_world"]

Array = NDArray[np.float64]


@dataclass
class World:
    """Everything that has a place.

    Parameters
    ----------
    snapshots : dict of int to list of Snapshot
        Cells by frame; negative frames are the time before the recording.
    tethers : list of Tether
        All fibers ever made.
    field_um : float
        Edge of the field.
    """

    settings: Settings
    snapshots: dict[int, list[Snapshot]]
    tethers: list[Tether]
    field_um: float

    @property
    def first(self) -> int:
        """Earliest frame that was simulated."""
        return min(self.snapshots)

    def time(self, frame: float) -> float:
        """Minutes since the first recorded frame."""
        return frame * self.settings.interval_min

    def root(self, number: int) -> int:
        """Number of the network that a fiber belongs to."""
        while self.tethers[number].root != number:
            number = self.tethers[number].root
        return number

    def covering(self, points: Array, frame: int) -> NDArray[np.int64]:
        """Cell over each point, shape (N,); 0 where there is none. Of two cells the more central one."""
        best, cell = np.ones(len(points)), np.zeros(len(points), dtype=np.int64)
        for body in self.snapshots.get(frame, []):
            distance, reach = radius_towards(points, body.centre, body.axis, body.radii)
            depth = distance / reach
            inside = depth < best
            best[inside], cell[inside] = depth[inside], body.cell_id
        return cell

    def paths(self, frame: int) -> list[tuple[Tether, Array, float]]:
        """Fibers of a frame: which, its vertices, and how much of its brightness is left."""
        time, out = self.time(frame), []
        for tether in self.tethers:
            path = tether.path(time, frame, self.settings.straighten_min)
            left = float(np.exp(-(time - tether.freed) / 60 / self.settings.fiber_fade_h))
            if len(path) > 1 and left > 0.12:
                out.append((tether, path, left * tether.brightness))
        return out


def grow_world(settings: Settings, rng: np.random.Generator) -> World:
    """Let cells walk from well before the recording to its end.

    Parameters
    ----------
    settings : Settings
        Numbers of the movie.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    World
    """
    field_um = settings.size_px * settings.pixel_um
    # margins hold cells that come in later and those that have gone
    margin = 18.0
    scale = (field_um + 2 * margin) ** 2 / field_um**2
    # the drawn number is for a field of 100 um at most: larger fields hold more
    n_cells = max(1, round(settings.n_cells * max(1.0, (field_um / 100) ** 2) * scale**0.7))
    bodies = _place(n_cells, settings, field_um, margin, rng)
    n_before = int(np.ceil(settings.warmup_min / settings.interval_min))
    n_sub = max(1, int(np.ceil(settings.interval_min / 1.0)))
    dt = settings.interval_min / n_sub
    tethers: list[Tether] = []
    mine: dict[int, list[Tether]] = {body.cell_id: [] for body in bodies}
    snapshots: dict[int, list[Snapshot]] = {}
    n_ids = len(bodies)
    for frame in range(-n_before, settings.n_frames):
        if frame > -n_before:
            for sub in range(n_sub):
                time = (frame - 1) * settings.interval_min + (sub + 1) * dt
                dividing = move_bodies(bodies, settings, dt, field_um, rng)
                for body in bodies:
                    active = [t for t in mine[body.cell_id] if t.state in ("hidden", "attached")]
                    new = pull_tethers(body, active, body.radii(settings), settings, time, dt, len(tethers), rng)
                    tethers += new
                    mine[body.cell_id] = active + new
                for body in dividing:
                    n_ids = _divide(body, bodies, mine, settings, time, n_ids, rng)
        snapshots[frame] = [_snapshot(body, settings) for body in bodies]
        for body in bodies:
            towards = body.centre
            for tether in mine[body.cell_id]:
                if tether.state == "attached" and tether.end is not None:
                    # reaches a little below the membrane, as it does
                    inward = towards - tether.end
                    tether.ends[frame] = tether.end + 0.6 * inward / (np.hypot(*inward) + 1e-9)
    return World(settings, snapshots, tethers, field_um)


def _place(n: int, settings: Settings, field_um: float, margin: float, rng: np.random.Generator) -> list[Body]:
    """Cells at random, the first near the middle so that no movie is bare, the others not on top of each other."""
    size = np.sqrt(settings.area_um2 / np.pi)
    places = [rng.uniform(0.25, 0.75, 2) * field_um]
    for _ in range(n - 1):
        options = rng.uniform(-margin, field_um + margin, (12, 2))
        gaps = np.min(np.hypot(*(options[:, np.newaxis] - np.array(places)).T), axis=0)
        good = np.flatnonzero(gaps > 2 * size)
        places.append(options[good[0]] if good.size else options[int(np.argmax(gaps))])
    return [new_body(i + 1, place, settings, rng) for i, place in enumerate(places)]


def _snapshot(body: Body, settings: Settings) -> Snapshot:
    radii = body.radii(settings)
    return Snapshot(
        body.cell_id,
        body.centre.copy(),
        body.axis,
        radii,
        body.outline(radii),
        body.roundness,
        body.brightness,
        body.seed,
        body.mother_id,
    )


def _divide(
    body: Body,
    bodies: list[Body],
    mine: dict[int, list[Tether]],
    settings: Settings,
    time: float,
    n_ids: int,
    rng: np.random.Generator,
) -> int:
    bodies.remove(body)
    angle = rng.uniform(0, np.pi)
    away = 0.62 * np.sqrt(body.area / np.pi) * np.array([np.sin(angle), np.cos(angle)])
    for sign in (-1, 1):
        n_ids += 1
        child = new_body(n_ids, body.centre + sign * away, settings, rng, body)
        child.heading = child.axis = float(np.arctan2(sign * away[0], sign * away[1]))
        bodies.append(child)
        mine[child.cell_id] = []
    _release(mine[body.cell_id], time)
    return n_ids


def _release(tethers: Sequence[Tether], time: float) -> None:
    for tether in tethers:
        if tether.state == "attached":
            tether.state, tether.ended = "broken", time
        elif tether.state == "hidden":
            tether.state = "lost"
