"""Everything round: migrasomes with their growth and fate, and all that resembles them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .world import World

__all__ = ["Beads", "Migrasome", "decoys", "migrasomes"]

Array = NDArray[np.float64]


@dataclass
class Migrasome:
    """What is true of one migrasome over its whole life; times in min since the first frame."""

    place: Array
    cell_id: int
    tether: int
    role: str
    birth: float
    end: float
    fate: str
    plateau: float
    tau: float
    engulfed_by: int | None = None


@dataclass
class Beads:
    """Round things over the frames: N things, T frames, C channels; NaN places where a thing is absent.

    Parameters
    ----------
    kind : ndarray of str, shape (N,)
        As in the candidates table.
    place : ndarray, shape (N, T, 2)
        y, x in um on the stage.
    diameter : ndarray, shape (N, T)
        In um.
    light : ndarray, shape (N, T, C)
        Surface brightness relative to the reference body of the channel.
    profile : ndarray of int, shape (N,)
        0 flat disc, 1 full ball, 2 hollow.
    aspect, angle : ndarray, shape (N,)
        Slight ellipse.
    blur_um : ndarray, shape (N,)
        Further blur, of what floats out of focus.
    """

    kind: NDArray[np.str_]
    place: Array
    diameter: Array
    light: Array
    profile: NDArray[np.int64]
    aspect: Array
    angle: Array
    blur_um: Array

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def make(
        cls, kind: str, place: Array, diameter: Array, light: Array, rng: np.random.Generator, hollow: float = 0.0
    ) -> Beads:
        """Things of one kind with random looks."""
        n = len(place)
        profile = np.where(rng.random(n) < hollow, 2, rng.integers(0, 2, n))
        return cls(
            np.full(n, kind),
            place,
            diameter,
            light,
            profile,
            np.exp(rng.normal(0, 0.06, n)),
            rng.uniform(0, np.pi, n),
            np.zeros(n),
        )

    @classmethod
    def join(cls, parts: list[Beads]) -> Beads:
        """All parts in one."""
        names = ("kind", "place", "diameter", "light", "profile", "aspect", "angle", "blur_um")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def only(self, keep: NDArray[np.bool_]) -> Beads:
        """Some of them."""
        return replace(self, **{name: value[keep] for name, value in vars(self).items()})


def migrasomes(world: World, rng: np.random.Generator) -> tuple[list[Migrasome], Beads]:
    """Let migrasomes grow on the fibers.

    Sites are tips, branch points and places along the shaft. Each is born some time after the cell has let go of it,
    grows to its plateau, and ruptures, fades, is taken up by a passing cell, or stays.

    Parameters
    ----------
    world : World
        Cells and fibers.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    life : list of Migrasome
    beads : Beads
        The same, in the same order, as they look in each frame.
    """
    s = world.settings
    found = [_life(world, place, tether, role, start, rng) for place, tether, role, start in _sites(world, rng)]
    life = _apart([one for one in found if one is not None], rng)
    _engulf(world, life, rng)
    n, n_t = len(life), s.n_frames
    time = np.arange(n_t) * s.interval_min
    place = np.full((n, n_t, 2), np.nan)
    diameter, light = np.zeros((n, n_t)), np.zeros((n, n_t, 2))
    for i, one in enumerate(life):
        alive = (time >= one.birth) & (time <= one.end)
        place[i, alive] = one.place
        age = np.maximum(time - one.birth, 0)
        wobble = 1 + 0.025 * _walk(n_t, 4, rng)
        diameter[i] = one.plateau * (1 - np.exp(-age / one.tau)) * wobble
        look = np.array(s.contrast) * np.exp(rng.normal(0, s.contrast_spread, 2) * 0.6 + rng.normal(0, 0.5) * 0.5)
        light[i] = look
        if rng.random() < s.late:
            light[i, :, 0] *= 0.1 + 0.9 * (1 - np.exp(-np.maximum(age - rng.exponential(s.late_min), 0) / s.late_min))
        if one.fate == "fade":
            light[i] *= np.clip((one.end - time) / rng.uniform(15, 50), 0.12, 1)[:, np.newaxis]
        elif one.fate == "rupture" and rng.random() < 0.4:
            # leaks before it bursts
            light[i] *= np.clip(0.35 + (one.end - time) / rng.uniform(4, 12), 0, 1)[:, np.newaxis]
    beads = Beads.make("migrasome", place, diameter, light, rng, s.hollow)
    return life, beads


def _sites(world: World, rng: np.random.Generator) -> list[tuple[Array, int, str, float]]:
    s, sites = world.settings, []
    for tether in world.tethers:
        if not tether.vertices or tether.laid_um < 1.2:
            continue
        if rng.random() < s.at_tip:
            sites.append((tether.vertices[0], tether.number, "tip", tether.freed + 2))
        if tether.state == "merged" and rng.random() < s.at_branch:
            sites.append((tether.vertices[-1], tether.number, "branch", tether.ended + 1))
        n = int(rng.poisson(s.per_100um * tether.laid_um / 100))
        if n and len(tether.vertices) > 5:
            for index in rng.integers(2, len(tether.vertices) - 2, n):
                tether.pinned[index] = True
                sites.append((tether.vertices[index], tether.number, "shaft", tether.times[index] + 2))
    return sites


def _life(
    world: World, place: Array, number: int, role: str, start: float, rng: np.random.Generator
) -> Migrasome | None:
    s, tether = world.settings, world.tethers[number]
    birth = start + rng.exponential(s.delay_min)
    if birth > world.time(s.n_frames - 1):
        return None
    end, fate = np.inf, "persist"
    for name, rate in (("rupture", s.ruptures_per_h), ("fade", s.fades_per_h)):
        when = birth + 8 + rng.exponential(60 / rate)
        if when < end:
            end, fate = when, name
    if end < 0:
        return None
    plateau = float(np.clip(s.plateau_um * np.exp(rng.normal(0, s.plateau_spread)), 0.55, 3.2))
    tau = float(np.clip(s.tau_min * np.exp(rng.normal(0, 0.4)), 3, 45))
    return Migrasome(np.array(place), tether.cell_id, number, role, float(birth), float(end), fate, plateau, tau)


def _apart(life: list[Migrasome], rng: np.random.Generator) -> list[Migrasome]:
    """Few pairs overlap: a membrane tube feeds one swelling at a time."""
    if not life:
        return []
    places = np.array([one.place for one in life])
    sizes = np.array([one.plateau for one in life])
    kept = np.zeros(len(life), dtype=bool)
    for i in range(len(life)):
        gap = np.hypot(*(places[kept] - places[i]).T) / (sizes[kept] + sizes[i])
        kept[i] = not (gap < 0.45).any() and (not (gap < 0.6).any() or rng.random() < 0.5)
    return [one for one, keep in zip(life, kept, strict=True) if keep]


def _engulf(world: World, life: list[Migrasome], rng: np.random.Generator) -> None:
    """A cell that comes over a migrasome may take it up."""
    if not life:
        return
    places = np.array([one.place for one in life])
    before = world.covering(places, world.first)
    for frame in range(world.first + 1, world.settings.n_frames):
        now, time = world.covering(places, frame), world.time(frame)
        for i in np.flatnonzero((now > 0) & (before == 0)):
            one = life[i]
            if one.birth + 5 < time < one.end and rng.random() < world.settings.engulf:
                one.end, one.fate, one.engulfed_by = world.time(frame - 0.5), "engulfed", int(now[i])
        before = now
    life[:] = [one for one in life if one.end >= 0]


def _walk(n: int, memory: float, rng: np.random.Generator) -> Array:
    """Ornstein-Uhlenbeck path of unit variance."""
    keep, out = np.exp(-1 / memory), np.empty(n)
    value = rng.normal()
    for i in range(n):
        out[i] = value
        value = keep * value + np.sqrt(1 - keep**2) * rng.normal()
    return out


def decoys(
    world: World, life: list[Migrasome], rng: np.random.Generator
) -> tuple[Beads, list[tuple[int, Array, float]]]:
    """Make all that could be taken for a migrasome.

    Returns
    -------
    beads : Beads
        Endosomes, debris, puncta, transient beads, tips of filopodia.
    filopodia : list of (frame, vertices, brightness)
        Their shafts.
    """
    parts = [_endosomes(world, rng), _floating(world, rng), *_on_fibers(world, life, rng), *_debris(world, rng)]
    tips, shafts = _filopodia(world, rng)
    return Beads.join([part for part in [*parts, tips] if len(part)] or [parts[0]]), shafts


def _endosomes(world: World, rng: np.random.Generator) -> Beads:
    s = world.settings
    ids = sorted({body.cell_id for frame in range(s.n_frames) for body in world.snapshots[frame]})
    n_t, parts = s.n_frames, []
    hours = n_t * s.interval_min / 60
    strength = np.exp(rng.normal(-0.6, 0.5)), np.exp(rng.normal(0, 0.4))
    for cell_id in ids:
        n = int(rng.poisson(s.endosomes + s.endosome_growth_per_h * hours))
        share = s.endosomes / (s.endosomes + s.endosome_growth_per_h * hours + 1e-9)
        appear = np.where(rng.random(n) < share, -1, rng.uniform(0, n_t, n))
        depth = 0.8 * rng.beta(1.6, 1.8, n)[:, np.newaxis] + 0.05 * rng.normal(size=(n, n_t))
        angle = rng.uniform(-np.pi, np.pi, n)[:, np.newaxis] + np.cumsum(
            rng.normal(0, 0.09 * np.sqrt(s.interval_min), (n, n_t)), axis=1
        )
        depth = np.clip(depth, 0.02, 0.92)
        place = np.full((n, n_t, 2), np.nan)
        for frame in range(n_t):
            for body in world.snapshots[frame]:
                if body.cell_id == cell_id:
                    reach = (
                        np.interp(
                            angle[:, frame],
                            np.linspace(-np.pi, np.pi, 256, endpoint=False),
                            body.radii,
                            period=2 * np.pi,
                        )
                        * depth[:, frame]
                    )
                    turn = angle[:, frame] + body.axis
                    place[:, frame] = body.centre + reach[:, np.newaxis] * np.stack([np.sin(turn), np.cos(turn)], 1)
        place[np.arange(n_t) < appear[:, np.newaxis]] = np.nan
        size = np.repeat(rng.lognormal(np.log(0.55), 0.35, n)[:, np.newaxis], n_t, 1)
        look = rng.lognormal(0, 0.5, (n, 1, 2)) * np.array(strength) * 0.7
        parts.append(Beads.make("endosome", place, size, np.repeat(look, n_t, 1), rng, 0.15))
    return Beads.join(parts)


def _floating(world: World, rng: np.random.Generator) -> Beads:
    s = world.settings
    n, n_t = int(rng.poisson(s.floating)), s.n_frames
    flow = rng.normal(0, 0.6, 2)
    steps = rng.normal(0, 1.2, (n, n_t, 2)) * np.sqrt(s.interval_min) + flow * rng.random((n, 1, 1))
    start = rng.uniform(0, world.field_um, (n, 1, 2))
    place = start + np.cumsum(steps, axis=1)
    first = rng.integers(0, n_t, n)
    length = rng.integers(2, max(3, n_t // 2 + 1), n)
    frames = np.arange(n_t)
    gone = (frames < first[:, np.newaxis]) | (frames >= (first + length)[:, np.newaxis])
    place[gone] = np.nan
    size = np.repeat(rng.uniform(0.6, 2.2, (n, 1)), n_t, 1)
    beads = Beads.make("debris_floating", place, size, np.repeat(rng.lognormal(-0.4, 0.5, (n, 1, 2)), n_t, 1), rng)
    beads.blur_um = rng.uniform(0, 0.6, n)
    return beads


def _debris(world: World, rng: np.random.Generator) -> list[Beads]:
    """Dirt on the dish, there before the cells came: dots, clumps of dots, some in one channel only."""
    s = world.settings
    n_t, parts = s.n_frames, []
    for _ in range(int(rng.poisson(s.debris * max(1.0, (world.field_um / 100) ** 2)))):
        n = 1 if rng.random() < 0.6 else int(rng.integers(2, 6))
        place = rng.uniform(0, world.field_um, 2) + rng.normal(0, 0.6, (n, 2))
        tint = rng.lognormal(-0.3, 0.6, 2) * rng.choice([[1, 1], [1, 0.08], [0.08, 1]])
        late = 0 if rng.random() < 0.75 else int(rng.integers(0, n_t))
        parts.append(_still("debris_static", place, rng.lognormal(np.log(0.7), 0.45, n), tint, late, n_t, n_t, rng))
    return parts


def _still(
    kind: str, place: Array, size: Array, tint: Array, first: int, last: int, n_t: int, rng: np.random.Generator
) -> Beads:
    n = len(place)
    where = np.repeat(place[:, np.newaxis], n_t, 1)
    where[:, :first] = np.nan
    where[:, last:] = np.nan
    look = rng.lognormal(0, 0.25, (n, 1, 1)) * tint * np.exp(0.05 * rng.normal(size=(n, n_t, 1)))
    return Beads.make(kind, where, np.repeat(size[:, np.newaxis], n_t, 1), look, rng, 0.1)


def _on_fibers(world: World, life: list[Migrasome], rng: np.random.Generator) -> list[Beads]:
    s, n_t, parts = world.settings, world.settings.n_frames, []
    sites = np.array([one.place for one in life] or [[-99.0, -99.0]])
    lines = [tether for tether in world.tethers if len(tether.vertices) > 5]
    contrast = np.array(s.contrast)
    for tether in lines:
        spots: list[tuple[str, float]] = []
        spots += [("subresolution", 0.0)] * int(rng.poisson(s.puncta_per_100um * tether.laid_um / 100))
        spots += [("transient", 0.0)] * int(rng.poisson(s.transients_per_100um * tether.laid_um / 100))
        for kind, _ in spots:
            index = int(rng.integers(1, len(tether.vertices) - 1))
            place = tether.vertices[index]
            if np.min(np.hypot(*(sites - place).T)) < 1.0:
                continue
            tether.pinned[index] = True
            born = max(0, int(np.ceil((tether.times[index] + rng.exponential(10)) / s.interval_min)))
            if born >= n_t:
                continue
            if kind == "subresolution":
                size, last = np.array([rng.uniform(0.18, 0.42)]), n_t
            else:
                born = int(rng.integers(born, n_t))
                size = np.array([rng.uniform(0.5, 1.1)])
                last = born + max(1, round(rng.uniform(1, 6) / s.interval_min))
            parts.append(
                _still(kind, place[np.newaxis], size, contrast * rng.lognormal(-0.2, 0.4), born, last, n_t, rng)
            )
    for _ in range(int(rng.poisson(s.debris_on_fiber)) if lines else 0):
        tether = lines[int(rng.integers(len(lines)))]
        index = int(rng.integers(len(tether.vertices)))
        place = tether.vertices[index]
        if np.min(np.hypot(*(sites - place).T)) > 1.0:
            # a single dot that was there no later than its fiber would be told from a migrasome by nobody: such dirt
            # is a clump, or dim in one channel
            came_first = tether.times[index] > 2 * s.interval_min
            n = 1 if came_first or rng.random() < 0.3 else int(rng.integers(2, 5))
            tint = contrast * rng.lognormal(-0.1, 0.4, 2)
            if n == 1 and not came_first:
                tint = tint * rng.permutation([1.0, 0.05])
            spots_at = place + rng.normal(0, 0.25 if n == 1 else 0.5, (n, 2))
            size = rng.lognormal(np.log(0.65), 0.3, n)
            parts.append(_still("debris_static", spots_at, size, tint, 0, n_t, n_t, rng))
    return parts


def _filopodia(world: World, rng: np.random.Generator) -> tuple[Beads, list[tuple[int, Array, float]]]:
    s, n_t = world.settings, world.settings.n_frames
    places, sizes, looks, shafts = [], [], [], []
    minutes = max(n_t * s.interval_min, 8.0)
    ids = sorted({body.cell_id for frame in range(n_t) for body in world.snapshots[frame]})
    for cell_id in ids:
        for _ in range(int(rng.poisson(s.filopodia_per_h * minutes / 60))):
            start, life = rng.uniform(-6, minutes), rng.uniform(3, 14)
            angle, reach = rng.normal(0, 0.9), rng.uniform(1.5, 6.5)
            bright = rng.lognormal(0, 0.3)
            lean = rng.normal(0, 0.3)
            place = np.full((n_t, 2), np.nan)
            for frame in range(n_t):
                phase = (frame * s.interval_min - start) / life
                body = next((b for b in world.snapshots[frame] if b.cell_id == cell_id), None)
                if not 0 < phase < 1 or body is None:
                    continue
                length = reach * np.sin(np.pi * phase) ** 0.7
                r = np.interp(angle, np.linspace(-np.pi, np.pi, 256, endpoint=False), body.radii, period=2 * np.pi)
                foot = body.centre + (r - 0.5) * np.array([np.sin(angle + body.axis), np.cos(angle + body.axis)])
                turn = angle + body.axis + lean
                place[frame] = foot + (length + 0.5) * np.array([np.sin(turn), np.cos(turn)])
                shafts.append((frame, np.array([foot, place[frame]]), float(bright)))
            if np.isfinite(place).any() and rng.random() < 0.7:
                places.append(place)
                sizes.append(np.full(n_t, rng.uniform(0.3, 0.7)))
                looks.append(np.tile(rng.lognormal(-0.6, 0.5, 2), (n_t, 1)))
    if not places:
        return Beads.make("filopodium", np.zeros((0, n_t, 2)), np.zeros((0, n_t)), np.zeros((0, n_t, 2)), rng), shafts
    return Beads.make("filopodium", np.array(places), np.array(sizes), np.array(looks), rng), shafts
