"""How cells leave fibers: tails of the rear that anchor, split, meet and let go, and the beads that nucleate there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.cells import Cell, Tail
from migradetect.synthetic.fibers import FiberNetwork, Piece
from migradetect.synthetic.migrasomes import Bead, draw_bead
from migradetect.synthetic.parameters import Rng, SimulationParams

__all__ = ["Trails"]

Floats = NDArray[np.float64]

#: Fresh anchors yield for this long.
KINK_MIN = 15.0


@dataclass
class Trails:
    """Fibers laid so far and the beads on them; :meth:`tend` lets one cell lay more."""

    params: SimulationParams
    rng: Rng
    now: float = 0.0
    beads: list[Bead] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = FiberNetwork(self.params, self.rng)

    def tend(self, cell: Cell, now: float, dt: float) -> None:
        """Let the tails of a cell follow it, anchor, split, meet and let go."""
        self.now = now
        p, rng = self.params, self.rng
        if cell.roundness > 0.3:
            cell.tails.clear()
            return
        if len(cell.tails) < p.n_tails and rng.random() < dt / 8.0:
            self._start_tail(cell)
        for tail in list(cell.tails):
            self._drag(cell, tail, dt)
            tip = cell.tail_tip(tail, p)
            link = tip - self.network.nodes[tail.node]
            length = float(np.hypot(*link))
            back = np.array([tip[0] - cell.y, tip[1] - cell.x])
            # the cell has turned over its own fiber: this tail lets go
            if length > 3.0 and float(link @ back) > 0.25 * length * float(np.hypot(*back)):
                cell.tails.remove(tail)
                continue
            if length > tail.spacing_um:
                self._anchor(cell, tail, tip)
                if rng.random() < 0.005 * length and len(cell.tails) > 1:
                    cell.tails.remove(tail)
            elif rng.random() < p.split_rate_per_h * dt / 60.0 and len(cell.tails) < p.n_tails + 2:
                self._split(cell, tail)
        self._merge(cell)

    def _drag(self, cell: Cell, tail: Tail, dt: float) -> None:
        """The fiber holds its tail back: while the body turns, the tail keeps pointing at the last anchor."""
        forward, lateral = cell.to_body(self.network.nodes[tail.node])
        aim = float((np.arctan2(lateral, forward) + 2 * np.pi) % (2 * np.pi) - np.pi)
        aim = float(np.clip(aim, -1.15, 1.15))
        tail.offset_rad += (aim - tail.offset_rad) * (1.0 - np.exp(-dt / 6.0))

    def _spacing(self) -> float:
        return float(self.params.anchor_spacing_um * (0.4 + self.rng.gamma(3.0) / 5.0))

    def _start_tail(self, cell: Cell) -> None:
        rng, p = self.rng, self.params
        offset = float(np.clip(rng.normal(0.0, 0.38), -0.9, 0.9))
        target = p.tail_length_um * float(np.exp(0.4 * rng.normal()))
        tail = Tail(offset, 0.5, target, float(rng.uniform(0.06, 0.14)), -1, 1.5, float(rng.choice([-1.0, 1.0])))
        tail.node = self.network.add_node(cell.tail_tip(tail, p))
        tail.spacing_um = self._spacing()
        tail.brightness = self.network.draw_brightness()
        cell.tails.append(tail)

    def _split(self, cell: Cell, tail: Tail) -> None:
        turn = tail.side * float(self.rng.uniform(0.12, 0.35))
        cell.tails.append(
            Tail(
                tail.offset_rad + turn,
                0.6 * tail.length_um,
                tail.target_um * 0.9,
                tail.width_rad,
                tail.node,
                self._spacing(),
                -tail.side,
                tail.brightness,
            )
        )
        tail.side = -tail.side

    def _merge(self, cell: Cell) -> None:
        """Two tails that came close become one: their fibers meet in a branch point."""
        for first, one in enumerate(cell.tails):
            for other in cell.tails[first + 1 :]:
                near = self.network.chord(one.node, other.node) < 6.0 if one.node != other.node else False
                if near and abs(one.offset_rad - other.offset_rad) < 0.07:
                    segment = self.network.add_segment(other.node, one.node, cell.cell_id, self.now)
                    self._populate(segment, cell.cell_id, new_tip=None)
                    cell.tails.remove(other)
                    return

    def _anchor(self, cell: Cell, tail: Tail, tip: Floats) -> None:
        net = self.network
        before, is_first = tail.node, net.degree[tail.node] == 0
        away = net.nodes[before] - tip
        node = net.add_node(tip)
        if self.rng.random() < 0.12:
            tail.brightness = net.draw_brightness()
        shade = tail.brightness * float(np.exp(0.1 * self.rng.normal()))
        segment = net.add_segment(before, node, cell.cell_id, self.now, shade)
        if net.degree[before] == 2:
            joined = net.segments[net.by_node[before][0]]
            net.kinks.append([before, joined.start if joined.end == before else joined.end, node, KINK_MIN])
        tail.node, tail.spacing_um = node, self._spacing()
        self._populate(segment, cell.cell_id, new_tip=before if is_first else None)
        if self.rng.random() < self.params.side_branch_probability:
            side, end = net.add_side_branch(before, away, cell.cell_id, self.now)
            self._populate(side, cell.cell_id, new_tip=end)

    def _populate(self, segment: int, cell_id: int, new_tip: int | None) -> None:
        """Draw the beads of a new segment."""
        p, rng, net = self.params, self.rng, self.network
        seg = net.segments[segment]
        length = net.chord(seg.start, seg.end)

        def put(kind: str, s: float, location: str) -> None:
            self.beads.append(draw_bead(kind, segment, s, location, cell_id, self.now, p, rng))

        margin = min(0.45, 1.1 / max(length, 1e-6))  # within 1 um of an end it would be a tip or branch point
        for kind, rate in (
            ("migrasome", p.migrasomes_per_100um),
            ("subresolution", p.subresolution_per_100um),
            ("transient", p.transients_per_100um),
        ):
            for _ in range(int(rng.poisson(rate * length / 100.0))):
                put(kind, float(rng.uniform(margin, 1.0 - margin)), "shaft")
        if new_tip is not None and rng.random() < p.tip_probability:
            put("migrasome", 0.0 if new_tip == seg.start else 1.0, "tip")
        for s, node in ((0.0, seg.start), (1.0, seg.end)):
            if net.degree[node] == 3 and rng.random() < p.branch_point_probability:
                put("migrasome", s, "branch")

    def links(self, cells: list[Cell]) -> list[Piece]:
        """Stretches between the last anchor of a tail and the cell, as pieces."""
        found = []
        for cell in cells:
            for tail in cell.tails:
                start, centre = self.network.nodes[tail.node], np.array([cell.y, cell.x])
                tip = cell.tail_tip(tail, self.params)
                count = max(3, int(np.hypot(*(tip - start)) / 0.5) + 1)
                points = start + np.linspace(0.0, 1.0, count)[:, None] * (tip - start)
                found.append(Piece(None, cell.cell_id, (tail.node, None), points, tail.brightness, True, centre))
        return found
