"""Retraction fibers: anchored nodes joined by nearly straight, slightly wavy segments that break and fade.

A fiber is under tension between its adhesions, so that each stretch between two anchors is a chord with a small wave
that straightens in time; kinks sit at the anchors.

References
----------
.. [1] Ma L. et al. Discovery of the migrasome, an organelle mediating release of cytoplasmic contents during cell
   migration. Cell Res. 25, 24-38 (2015). DOI 10.1038/cr.2014.135
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["GONE", "FiberNetwork", "Piece", "Segment"]

Floats = NDArray[np.float64]

#: A stretch that has lost this share of its label is no longer there for a viewer.
GONE = 0.8
#: A broken stretch recoils to its anchors at this speed.
RECOIL_UM_PER_MIN = 1.2


@dataclass
class Segment:
    """Stretch of fiber between two nodes."""

    start: int
    end: int
    cell_id: int
    laid_at: float
    brightness: float
    waves: Floats
    wave_rate: float
    breaks_at: float
    break_s: float


@dataclass(frozen=True)
class Piece:
    """Part of a segment that is there at a moment; ``segment`` is None for the link to a cell's tail."""

    segment: int | None
    cell_id: int
    nodes: tuple[int | None, int | None]
    points: Floats
    brightness: float
    is_link: bool = False
    #: Centre of the cell that a link leads to.
    body: Floats | None = None


@dataclass
class FiberNetwork:
    """All nodes and segments of a movie, in stage coordinates."""

    params: SimulationParams
    rng: Rng
    nodes: list[Floats] = field(default_factory=list)
    degree: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    by_node: list[list[int]] = field(default_factory=list)
    #: Kinks that are still being pulled straight: node, its two neighbours, and the time left in min.
    kinks: list[list[float]] = field(default_factory=list)

    def add_node(self, yx: Floats) -> int:
        """New node; returns its index."""
        self.nodes.append(np.array(yx, dtype=float))
        self.degree.append(0)
        self.by_node.append([])
        return len(self.nodes) - 1

    def add_segment(self, start: int, end: int, cell_id: int, now: float, brightness: float | None = None) -> int:
        """Join two nodes; returns the index of the segment."""
        p, rng = self.params, self.rng
        length = self.chord(start, end)
        # short stretches can't sag far: the wave grows with the length up to the given amplitude
        sag = p.wave_um * min(1.0, length / 10.0)
        waves = sag * rng.normal(size=3) * np.array([0.8, 0.4, 0.2])
        life_h = rng.exponential(1.0 / max(p.break_rate_per_h, 1e-9))
        if brightness is None:
            brightness = self.draw_brightness()
        self.segments.append(
            Segment(
                start,
                end,
                cell_id,
                now,
                float(np.clip(brightness, 0.3, 2.6)),
                waves,
                float(rng.normal() * 0.25),
                now + 60.0 * life_h,
                float(rng.uniform(0.05, 0.95)),
            )
        )
        index = len(self.segments) - 1
        for node in (start, end):
            self.degree[node] += 1
            self.by_node[node].append(index)
        return index

    def draw_brightness(self) -> float:
        """Brightness of a new fiber, 1 is typical; now and then two or three fibers share a line."""
        strands = 1 + int(self.rng.random() < 0.2) + int(self.rng.random() < 0.05)
        return strands**0.8 * float(np.exp(self.params.fiber_cv * self.rng.normal()))

    def pull_straight(self, dt_min: float) -> None:
        """Fresh anchors give way to the tension, so that sharp kinks open within minutes."""
        for kink in self.kinks:
            node, before, after = int(kink[0]), int(kink[1]), int(kink[2])
            kink[3] -= dt_min
            one, two = self.nodes[node] - self.nodes[before], self.nodes[after] - self.nodes[node]
            bent = 1.0 - float(one @ two) / max(float(np.hypot(*one) * np.hypot(*two)), 1e-9)
            # up to about 25 degrees the adhesion holds
            if bent > 0.1 and self.degree[node] == 2:
                middle = 0.5 * (self.nodes[before] + self.nodes[after])
                self.nodes[node] += (middle - self.nodes[node]) * (1.0 - np.exp(-dt_min / 6.0))
        self.kinks = [kink for kink in self.kinks if kink[3] > 0]

    def chord(self, start: int, end: int) -> float:
        """Distance between two nodes, um."""
        return float(np.hypot(*(self.nodes[end] - self.nodes[start])))

    def point(self, index: int, s: Floats | float, now: float) -> Floats:
        """Places along a segment, s from 0 to 1, shape (..., 2) in um."""
        seg = self.segments[index]
        a, b = self.nodes[seg.start], self.nodes[seg.end]
        along = np.asarray(s, dtype=float)
        chord = b - a
        length = max(float(np.hypot(chord[0], chord[1])), 1e-9)
        normal = np.array([-chord[1], chord[0]]) / length
        # tension straightens the sag, a part of it stays and sways
        decay = 0.25 + 0.75 * np.exp(-(now - seg.laid_at) / self.params.straighten_min)
        sway = 1.0 + 0.25 * np.sin(seg.wave_rate * now)
        offset = decay * (
            seg.waves[0] * sway * np.sin(np.pi * along)
            + seg.waves[1] * np.sin(2 * np.pi * along)
            + seg.waves[2] * np.sin(3 * np.pi * along)
        )
        return a + along[..., None] * chord + offset[..., None] * normal

    def strength(self, index: int, now: float) -> float:
        """Share of the first brightness that is left."""
        return float(np.exp(-(now - self.segments[index].laid_at) / (60.0 * self.params.fiber_fade_h)))

    def intervals(self, index: int, now: float) -> list[tuple[float, float]]:
        """Stretches of s that are there: one while whole, two after a break, none once gone."""
        seg = self.segments[index]
        if self.strength(index, now) < 1.0 - GONE:
            return []
        if now < seg.breaks_at:
            return [(0.0, 1.0)]
        length = max(self.chord(seg.start, seg.end), 1e-6)
        gap = (0.2 + RECOIL_UM_PER_MIN * (now - seg.breaks_at)) / length
        # a stub that still holds on an adhesion stays for good
        low, high = max(seg.break_s - gap, 0.0), min(seg.break_s + gap, 1.0)
        found = []
        if low * length > 0.3:
            found.append((0.0, low))
        if (1.0 - high) * length > 0.3:
            found.append((high, 1.0))
        return found

    def is_there(self, index: int, s: float, now: float) -> bool:
        """Whether the fiber is still there at a place of a segment."""
        return any(low - 1e-9 <= s <= high + 1e-9 for low, high in self.intervals(index, now))

    def pieces(self, now: float) -> list[Piece]:
        """Everything there at a moment."""
        found = []
        for index, seg in enumerate(self.segments):
            if seg.laid_at > now:
                continue
            for low, high in self.intervals(index, now):
                count = max(3, int(self.chord(seg.start, seg.end) * (high - low) / 0.5) + 1)
                points = self.point(index, np.linspace(low, high, count), now)
                ends = (seg.start if low == 0.0 else None, seg.end if high == 1.0 else None)
                brightness = seg.brightness * self.strength(index, now)
                found.append(Piece(index, seg.cell_id, ends, points, brightness))
        return found

    def add_side_branch(self, node: int, away: Floats, cell_id: int, now: float) -> tuple[int, int]:
        """Short branch to an adhesion beside the fiber; returns its segment and its tip node.

        Parameters
        ----------
        node : int
            Where it leaves the fiber.
        away : ndarray, shape (2,)
            Direction away from the cell.
        cell_id : int
            Cell that leaves it.
        now : float
            Time, min.
        """
        rng = self.rng
        turn = float(rng.uniform(0.3, 1.1) * rng.choice([-1.0, 1.0]))
        length = max(1.5, self.params.side_branch_um * float(rng.gamma(3.0) / 3.0))
        heading = np.arctan2(away[0], away[1]) + turn
        tip = self.add_node(self.nodes[node] + length * np.array([np.sin(heading), np.cos(heading)]))
        return self.add_segment(node, tip, cell_id, now), tip
