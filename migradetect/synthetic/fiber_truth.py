"""Truth of the fibers: which pieces hang together, and what of them can be seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.fibers import Piece

__all__ = ["FiberTracker", "SeenFiber", "fibers_by_segment"]

Floats = NDArray[np.float64]

#: Shorter visible remains are not called a fiber.
SHORTEST_UM = 1.0


@dataclass
class SeenFiber:
    """One connected fiber in one frame; lengths of what lies in the field and outside the bodies."""

    fiber_id: int
    cell_id: int
    length_um: float
    euclidean_um: float
    is_attached: bool
    n_branches: int
    n_tips: int
    mean_brightness: float
    pieces: list[int] = field(default_factory=list)


class FiberTracker:
    """Follows connected fibers from frame to frame, so that an id stays with most of its length."""

    def __init__(self, pixel_size_um: float, shape_yx: tuple[int, int]) -> None:
        self.pixel_size_um, self.shape_yx = pixel_size_um, shape_yx
        self._before: dict[int, int] = {}
        self._next = 1

    def track(
        self, pieces: list[Piece], drift_um: Floats, labels: NDArray[np.int32]
    ) -> tuple[list[SeenFiber], NDArray[np.int32]]:
        """Fibers of one frame, and their one-pixel centrelines with fiber ids, shape (Y, X)."""
        lines = [self._place(piece, drift_um) for piece in pieces]
        seen = [self._visible(line, labels) for line in lines]
        picture = np.zeros(self.shape_yx, np.int32)
        found: list[SeenFiber] = []
        taken: set[int] = set()
        now: dict[int, int] = {}
        groups = sorted(_connected(pieces), key=lambda g: -sum(seen[i][0] for i in g))
        for group in groups:
            length = sum(seen[i][0] for i in group)
            fiber_id = self._name(group, pieces, seen, taken)
            taken.add(fiber_id)
            for i in group:
                segment = pieces[i].segment
                if segment is not None:
                    now[segment] = fiber_id
            if length < SHORTEST_UM:
                continue
            points = np.concatenate([seen[i][1] for i in group])
            weights = np.array([max(seen[i][0], 1e-9) for i in group])
            nodes, tips = _topology([pieces[i] for i in group])
            found.append(
                SeenFiber(
                    fiber_id,
                    pieces[group[0]].cell_id,
                    length,
                    _extent(points) * self.pixel_size_um,
                    any(pieces[i].is_link for i in group),
                    nodes,
                    tips,
                    float(np.average([pieces[i].brightness for i in group], weights=weights)),
                    group,
                )
            )
            for i in group:
                vertices = np.round(lines[i][:, ::-1] * 16).astype(np.int32)
                cv2.polylines(picture, [vertices], False, fiber_id, 1, cv2.LINE_8, 4)
        self._before = now
        picture[labels > 0] = 0
        return found, picture

    def _place(self, piece: Piece, drift_um: Floats) -> Floats:
        points = piece.points
        if piece.body is not None:
            # the thin tail goes on from the link into the body
            points = np.concatenate(
                [points, points[-1] + np.linspace(0.05, 1, 20)[:, None] * (piece.body - points[-1])]
            )
        return (points + drift_um) / self.pixel_size_um

    def _visible(self, line: Floats, labels: NDArray[np.int32]) -> tuple[float, Floats]:
        """Length in um and points of what is in the field and outside of bodies."""
        middle = 0.5 * (line[1:] + line[:-1])
        step = np.hypot(*(line[1:] - line[:-1]).T)
        grid = np.round(middle).astype(int)
        inside = np.all((grid >= 0) & (grid < np.array(self.shape_yx)), axis=1)
        grid = np.clip(grid, 0, np.array(self.shape_yx) - 1)
        free = inside & (labels[grid[:, 0], grid[:, 1]] == 0)
        return float(step[free].sum() * self.pixel_size_um), middle[free]

    def _name(self, group: list[int], pieces: list[Piece], seen: list[tuple[float, Floats]], taken: set[int]) -> int:
        votes: dict[int, float] = defaultdict(float)
        for i in group:
            segment = pieces[i].segment
            if segment is not None and segment in self._before:
                votes[self._before[segment]] += seen[i][0] + 1e-6
        for fiber_id, _ in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
            if fiber_id not in taken:
                return fiber_id
        self._next += 1
        return self._next - 1


def fibers_by_segment(pieces: list[Piece], seen: list[SeenFiber]) -> dict[int, SeenFiber]:
    """Fiber that each segment belongs to, where it can be seen."""
    found: dict[int, SeenFiber] = {}
    for fiber in seen:
        for i in fiber.pieces:
            segment = pieces[i].segment
            if segment is not None:
                found[segment] = fiber
    return found


def _connected(pieces: list[Piece]) -> list[list[int]]:
    """Groups of pieces that share nodes."""
    parent = list(range(len(pieces)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    at: dict[int, int] = {}
    for i, piece in enumerate(pieces):
        for node in piece.nodes:
            if node is None:
                continue
            if node in at:
                parent[root(i)] = root(at[node])
            else:
                at[node] = i
    groups: dict[int, list[int]] = defaultdict(list)
    for i in range(len(pieces)):
        groups[root(i)].append(i)
    return list(groups.values())


def _topology(pieces: list[Piece]) -> tuple[int, int]:
    """Number of branches between ends and junctions, and of free tips."""
    degree: dict[int, int] = defaultdict(int)
    broken, held = 0, 0
    for piece in pieces:
        for node in piece.nodes:
            if node is not None:
                degree[node] += 1
            elif piece.is_link:
                held += 1
            else:
                broken += 1
    tips = sum(1 for d in degree.values() if d == 1) + broken
    ends = sum(d for d in degree.values() if d != 2) + broken + held
    return max(1, ends // 2), tips


def _extent(points: Floats) -> float:
    """Largest distance between two points, px."""
    if len(points) < 2:
        return 0.0
    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2)
    apart = hull[:, None] - hull[None]
    return float(np.sqrt((apart**2).sum(axis=2).max()))
