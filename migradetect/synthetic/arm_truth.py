"""Truth of the location: how many arms of fiber lead to a migrasome around its birth.

What counts is what is there to be seen, not where the bead was drawn: a fiber that broke since, one of another cell
that comes to lie across the site, or the link to a cell that is still near change what a viewer can find.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from migradetect.synthetic.fibers import Piece

__all__ = ["REACH_UM", "ArmTruth", "count_arms"]

Floats = NDArray[np.float64]

#: Fibers are followed this far from the rim of the bead, um.
REACH_UM = 1.0
#: A fiber that passes the rim this closely is seen to touch it: about half the width of a PSF, um.
_TOUCH_UM = 0.15
#: Arms closer than this run into one another in the image, degrees: 0.7 um apart where they are followed to.
_APART_DEG = 30.0
#: Spacing at which fibers are walked, um.
_STEP_UM = 0.05
#: Frames up to this long after birth, or after the first frame for those that were there before, tell; min.
_AROUND_BIRTH_MIN = 20.0


def count_arms(place: Floats, radius_um: float, pieces: list[Piece]) -> int:
    """Directions in which fibers lead from the rim of a bead to a circle 1 um around it.

    Parameters
    ----------
    place : ndarray, shape (2,)
        Centre y, x in um.
    radius_um : float
        Of the bead, in um.
    pieces : list of Piece
        Fibers and links to cells that exist at that moment, in the coordinates of the place. What a body hides is
        counted: the fiber goes on below it.

    Returns
    -------
    int
        0 or more; what only passes by is not counted.
    """
    circle = radius_um + REACH_UM
    near = [piece for piece in pieces if _comes_near(piece, place, circle)]
    groups = _Groups()
    touching: set[int] = set()
    exits: list[tuple[int, float]] = []
    for piece in near:
        points = _walk(piece) - place
        distance = np.hypot(points[:, 0], points[:, 1])
        inside = distance <= circle
        # runs of the fiber within the circle
        run = np.cumsum(np.diff(inside, prepend=False) & inside)
        names = {int(k): groups.new() for k in np.unique(run[inside])}
        for node, end in zip(piece.nodes, (0, -1), strict=True):
            if node is not None and inside[end]:
                groups.join(names[int(run[end])], node)
        touching |= {names[int(k)] for k in np.unique(run[inside & (distance <= radius_um + _TOUCH_UM)])}
        for k in np.flatnonzero(inside[1:] != inside[:-1]):
            outer = k if inside[k + 1] else k + 1
            name = names[int(run[k + 1 if inside[k + 1] else k])]
            exits.append((name, float(np.degrees(np.arctan2(points[outer, 0], points[outer, 1])))))
    reached = {groups.root(name) for name in touching}
    return _count_apart([angle for name, angle in exits if groups.root(name) in reached])


@dataclass
class ArmTruth:
    """Arms of each migrasome in the frames around its birth.

    Parameters
    ----------
    frame_interval_min : float
        Minutes between frames.
    """

    frame_interval_min: float
    _counts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _first: dict[int, int] = field(default_factory=dict)

    def add(self, frame: int, number: int, place: Floats, diameter_um: float, pieces: list[Piece]) -> None:
        """Look at a migrasome in a frame in which no body lies over it.

        Parameters
        ----------
        frame : int
            Index of the frame.
        number : int
            Name of the migrasome.
        place : ndarray, shape (2,)
            Centre y, x in um.
        diameter_um : float
            In this frame.
        pieces : list of Piece
            Fibers of the frame, in the coordinates of the place.
        """
        first = self._first.setdefault(number, frame)
        if (frame - first) * self.frame_interval_min <= _AROUND_BIRTH_MIN:
            self._counts[number].append(count_arms(place, 0.5 * diameter_um, pieces))

    def location(self, number: int) -> str | None:
        """tip, shaft or branch by what most frames show, the earlier at a tie; None where no fiber led to it."""
        counts = self._counts.get(number, [])
        if not counts:
            return None
        kinds = [min(n, 3) for n in counts]
        most = max(kinds, key=kinds.count)
        return (None, "tip", "shaft", "branch")[most]


class _Groups:
    """Runs of fiber that hang together at nodes; union-find."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._at: dict[int, int] = {}

    def new(self) -> int:
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def root(self, name: int) -> int:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def join(self, name: int, node: int) -> None:
        if node in self._at:
            self._parent[self.root(name)] = self.root(self._at[node])
        else:
            self._at[node] = name


def _comes_near(piece: Piece, place: Floats, reach_um: float) -> bool:
    points = piece.points if piece.body is None else np.vstack([piece.points, piece.body])
    # the spacing of the points is below 1 um but for the stretch below the body
    return bool(np.all(points.min(axis=0) <= place + reach_um) and np.all(points.max(axis=0) >= place - reach_um))


def _walk(piece: Piece) -> Floats:
    """Course of a piece at a fine spacing, and on below the body that a link leads to."""
    points = piece.points if piece.body is None else np.vstack([piece.points, piece.body])
    along = np.append(0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    at = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / _STEP_UM)) + 1))
    return np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1)


def _count_apart(angles_deg: list[float]) -> int:
    """Directions after those next to one another on the circle, and closer than can be told apart, are merged."""
    if not angles_deg:
        return 0
    ring = np.sort(np.mod(angles_deg, 360.0))
    gaps = np.diff(ring, append=ring[0] + 360.0)
    return max(1, int((gaps >= _APART_DEG).sum()))
