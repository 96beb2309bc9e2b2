"""The dish over time: cells that move and leave fibers, beads that grow on them, and the decoys."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.cells import Cell, new_cell
from migradetect.synthetic.decoys import (
    Debris,
    Endosome,
    Filopodium,
    draw_debris,
    new_endosome,
    new_filopodium,
)
from migradetect.synthetic.migrasomes import Bead
from migradetect.synthetic.parameters import Rng, SimulationParams
from migradetect.synthetic.trails import Trails

__all__ = ["MARGIN_UM", "World"]

Floats = NDArray[np.float64]

#: The world reaches this far beyond the field, so that cells enter and leave.
MARGIN_UM = 28.0
#: Longest step: at 1 um/min a tail then moves by less than an anchor spacing.
LONGEST_STEP_MIN = 1.0
#: A covered bead is taken up after this time on average.
ENGULFMENT_MIN = 5.0
#: A cell whose edge ripples over a bead within this time is still the same passing.
PASSING_MIN = 30.0


@dataclass
class World:
    """State of the dish, in stage coordinates; :meth:`advance_to` moves it on."""

    params: SimulationParams
    rng: Rng
    now: float = 0.0
    cells: list[Cell] = field(default_factory=list)
    endosomes: list[Endosome] = field(default_factory=list)
    filopodia: list[Filopodium] = field(default_factory=list)
    debris: list[Debris] = field(default_factory=list)

    def __post_init__(self) -> None:
        p, rng = self.params, self.rng
        self.now = -p.warmup_min
        self.trails = Trails(p, rng)
        self.network, self.beads = self.trails.network, self.trails.beads
        self._next_cell, self._next_decoy = 1, 1
        self.outlines: dict[int, NDArray[np.float32]] = {}
        duration = (p.n_frames - 1) * p.frame_interval_min
        for count, floating in ((p.n_debris_static, False), (p.n_debris_floating, True)):
            # the numbers are meant for a field of 90 um, the floating ones for an hour
            scaled = count * p.field_um[0] * p.field_um[1] / 90.0**2
            if floating:
                scaled *= max(duration, 20.0) / 60.0
            for _ in range(int(rng.poisson(scaled))):
                self.debris.append(draw_debris(self._decoy_number(), floating, p, duration, rng))
        self._seed_cells()

    def _decoy_number(self) -> int:
        self._next_decoy += 1
        return self._next_decoy - 1

    def _seed_cells(self) -> None:
        p, rng = self.params, self.rng
        height, width = p.field_um
        area = (height + 2 * MARGIN_UM) * (width + 2 * MARGIN_UM)
        count = max(1, round(p.cell_density_per_mm2 * area * 1e-6))
        for index in range(count):
            best, clearest = (height / 2, width / 2), -1.0
            for _ in range(30 if index else 1):
                place = (
                    float(rng.uniform(-MARGIN_UM, height + MARGIN_UM)),
                    float(rng.uniform(-MARGIN_UM, width + MARGIN_UM)),
                )
                if index == 0:
                    # one cell starts in view, so that no movie is empty
                    place = (float(rng.uniform(0.3, 0.7)) * height, float(rng.uniform(0.3, 0.7)) * width)
                clear = min((np.hypot(place[0] - c.y, place[1] - c.x) for c in self.cells), default=1e9)
                if clear > clearest:
                    best, clearest = place, float(clear)
            self._adopt(new_cell(self._next_cell, best, p, rng))

    def _adopt(self, cell: Cell) -> None:
        self._next_cell += 1
        self.cells.append(cell)
        number = int(self.rng.poisson(self.params.endosomes_per_cell * (0.5 if cell.mother_id else 1.0)))
        self.endosomes += [new_endosome(self._decoy_number(), cell, self.now, self.rng) for _ in range(number)]
        self.outlines[cell.cell_id] = cell.outline(self.params).astype(np.float32)

    def advance_to(self, time_min: float) -> None:
        """Simulate up to a time."""
        span = time_min - self.now
        if span <= 0:
            return
        steps = max(1, int(np.ceil(span / LONGEST_STEP_MIN - 1e-9)))
        for _ in range(steps):
            self._step(span / steps)
        self.now = time_min

    def _step(self, dt: float) -> None:
        p, rng = self.params, self.rng
        self.now += dt
        for cell, (push, turn) in zip(self.cells, [self._social(c) for c in self.cells], strict=True):
            cell.step(dt, self.now, p, rng, push, turn)
        self._events(dt)
        for cell in self.cells:
            self.trails.tend(cell, self.now, dt)
        self.network.pull_straight(dt)
        self.outlines = {c.cell_id: c.outline(p).astype(np.float32) for c in self.cells}
        self._tend_decoys(dt)
        self._tend_beads()

    def _social(self, cell: Cell) -> tuple[Floats, float]:
        """Velocity and turn that the neighbours and the edge of the world impose."""
        push, turn = np.zeros(2), 0.0
        for other in self.cells:
            if other is cell:
                continue
            apart = np.array([cell.y - other.y, cell.x - other.x])
            distance = max(float(np.hypot(*apart)), 0.1)
            reach = 1.08 * (cell.radius_um + other.radius_um)
            if distance < reach:
                # contact inhibition: neighbours give way and turn aside
                push += 0.5 * self.params.speed_um_per_min * (reach - distance) / reach * 14.0 * apart / distance
                aim = float(np.arctan2(apart[0], apart[1]))
                turn += 0.1 * float(np.sin(aim - cell.direction))
        height, width = self.params.field_um
        outside = max(-MARGIN_UM - cell.y, cell.y - height - MARGIN_UM, -MARGIN_UM - cell.x, cell.x - width - MARGIN_UM)
        if outside > 0:
            aim = float(np.arctan2(height / 2 - cell.y, width / 2 - cell.x))
            turn += 0.15 * float(np.sin(aim - cell.direction))
        return push, turn

    def _events(self, dt: float) -> None:
        """Rounding up and division."""
        p, rng = self.params, self.rng
        for cell in list(self.cells):
            if cell.divides_at is not None and self.now >= cell.divides_at:
                self._divide(cell)
                continue
            if cell.roundness > 0.05 or self.now - cell.born_at < 60.0:
                continue
            if rng.random() < p.division_rate_per_h * dt / 60.0:
                cell.divides_at = self.now + float(rng.uniform(15.0, 30.0))
                cell.round_until = cell.divides_at + 5.0
            elif rng.random() < p.roundup_rate_per_h * dt / 60.0:
                cell.round_until = self.now + float(rng.uniform(10.0, 30.0))

    def _divide(self, mother: Cell) -> None:
        axis = float(self.rng.uniform(-np.pi, np.pi))
        reach = 0.45 * mother.radius_um * np.array([np.sin(axis), np.cos(axis)])
        for side in (-1.0, 1.0):
            place = (mother.y + side * float(reach[0]), mother.x + side * float(reach[1]))
            daughter = new_cell(self._next_cell, place, self.params, self.rng, mother)
            daughter.direction = daughter.heading = axis + (np.pi if side < 0 else 0.0)
            daughter.roundness, daughter.born_at = 1.0, self.now
            daughter.round_until = self.now + float(self.rng.uniform(4.0, 10.0))
            self._adopt(daughter)
        self.cells.remove(mother)
        self.endosomes = [e for e in self.endosomes if e.cell_id != mother.cell_id]
        self.filopodia = [f for f in self.filopodia if f.cell_id != mother.cell_id]

    # -- beads and decoys -----------------------------------------------------------------------------------------

    def covering(self, point: Floats) -> int | None:
        """Cell whose body lies over a place, or None."""
        for cell in self.cells:
            if (point[0] - cell.y) ** 2 + (point[1] - cell.x) ** 2 > (4.0 * cell.radius_um) ** 2:
                continue
            if cv2.pointPolygonTest(self.outlines[cell.cell_id], (float(point[0]), float(point[1])), False) >= 0:
                return cell.cell_id
        return None

    def bead_place(self, bead: Bead) -> Floats:
        """Centre of a bead in stage coordinates, shape (2,)."""
        return self.network.point(bead.segment, bead.s, self.now)

    def _is_taken(self, bead: Bead, places: dict[int, Floats]) -> bool:
        """Whether a bead that exists would, once both are full-grown, overlap with a new one; `places` is filled."""
        place = self.bead_place(bead)
        for index, other in enumerate(self.beads):
            if other is bead or not other.exists(self.now):
                continue
            if index not in places:
                places[index] = self.bead_place(other)
            reach = 0.5 * (bead.plateau_um + other.plateau_um)
            if float(np.hypot(*(places[index] - place))) < reach:
                return True
        return False

    def _tend_beads(self) -> None:
        p, rng = self.params, self.rng
        places: dict[int, Floats] = {}
        for bead in self.beads:
            if self.now < bead.birth or self.now >= bead.end:
                continue
            over = self.covering(self.bead_place(bead))
            if not bead.is_born:
                if over is not None or not self.network.is_there(bead.segment, bead.s, self.now):
                    # it waits until its place is free; a broken fiber bears no more migrasomes
                    shift = 1.0 + (self.now - bead.birth)
                    bead.birth, bead.end = bead.birth + shift, bead.end + shift
                    bead.fade_from, bead.leaks_at = bead.fade_from + shift, bead.leaks_at + shift
                    continue
                if self._is_taken(bead, places):
                    # two vesicles can't fill the same space: where one stands no other grows
                    bead.end = self.now
                    continue
                bead.is_born = True
            is_new = over is not None and self.now - bead.last_covered > PASSING_MIN
            if is_new and over is not None and rng.random() < p.engulf_probability:
                bead.end = min(bead.end, self.now + float(rng.exponential(ENGULFMENT_MIN)))
                bead.fate, bead.engulfed_by = "engulfed", over
                self._take_up(bead, over)
            if over is not None:
                bead.last_covered = self.now

    def _take_up(self, bead: Bead, cell_id: int) -> None:
        cell = next(c for c in self.cells if c.cell_id == cell_id)
        place = cell.to_body(self.bead_place(bead))
        vesicle = new_endosome(self._decoy_number(), cell, self.now, self.rng, at=place)
        vesicle.tspan4 = 0.5 * bead.contrast_tspan4
        self.endosomes.append(vesicle)

    def _tend_decoys(self, dt: float) -> None:
        p, rng = self.params, self.rng
        by_id = {c.cell_id: c for c in self.cells}
        self.endosomes = [e for e in self.endosomes if e.ends_at > self.now and e.cell_id in by_id]
        self.filopodia = [f for f in self.filopodia if f.ends_at > self.now and f.cell_id in by_id]
        # births that keep the number, plus the growth by uptake of WGA, over the mean life of an endosome
        rate = p.endosomes_per_cell / 75.0 + p.endosome_growth_per_h / 60.0
        for cell in self.cells:
            for _ in range(int(rng.poisson(rate * dt))):
                self.endosomes.append(new_endosome(self._decoy_number(), cell, self.now, rng))
            if cell.roundness < 0.3:
                for _ in range(int(rng.poisson(p.filopodia_per_cell / 8.5 * dt))):
                    self.filopodia.append(new_filopodium(self._decoy_number(), cell, self.now, rng))
        for endosome in self.endosomes:
            endosome.step(dt, rng, by_id[endosome.cell_id].radius_um)
        for debris in self.debris:
            debris.step(dt, rng)
