"""What parts two pieces of a body: a border that the network sees, or, by the rules, a neck or an edge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.cells._borders import border_probability
from migradetect.cells._grid import Grid, disc
from migradetect.cells._join import NO_NECK, contacts_of, summits_of
from migradetect.filters import gaussian, quantile
from migradetect.params import CellParams

__all__ = ["Evidence", "evidence_of", "slope_within"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Names = NDArray[np.int64]
Box = tuple[slice, ...]

#: Pixels that are a border rather than not, and what a border counts for where a cut is moved.
_BORDER, _BORDER_WEIGHT = 0.5, 2.0
#: Slope from which on more says no more about where the cut runs, in slopes that are usual within bodies.
_MOST_SLOPE = 4.0
#: How sure a border is that parts what was one cell in the frame before, and one that keeps apart what was two: borders
#: of cells that touch fade at times, and a cell that was cut by mistake heals.
_WAS_ONE, _WERE_TWO = 1.4, 0.5
#: Edges within a body are looked for at this Gaussian sigma, um.
_EDGE_SIGMA_UM = 0.6
#: Relative slope per um that any body has, however smooth.
_LEAST_SLOPE = 0.06


class Evidence(Protocol):
    """What is known of the places where bodies meet, in one frame."""

    def opened(self, mask: Mask) -> Mask:
        """Mask without the pixels that part bodies."""

    def landscape(self, box: Box) -> Image:
        """High where cuts should run, 0 where not."""

    def joined(self, pieces: Labels, depth: Image, names: Names, box: Box) -> Labels:
        """Pieces without the cuts that nothing speaks for; `names`, of the frame before, are updated."""


def evidence_of(image: Image, mask: Mask, grid: Grid, params: CellParams) -> Evidence:
    """Evidence by the method of the parameters.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Signal, smoothed.
    mask : ndarray of bool, shape (Y, X)
        All bodies.
    grid : Grid
        Grid of both.
    params : CellParams
        `method`, `split_border`; by the rules `split_neck`, `hold_neck`, `split_edge`.

    Returns
    -------
    Evidence
    """
    if params.method == "learned":
        return Borders(image, mask, grid, params, border_probability(image, mask, grid.pixel_um))
    return Edges(image, mask, grid, params)


@dataclass(frozen=True)
class Borders:
    """Borders as the network sees them."""

    image: Image
    mask: Mask
    grid: Grid
    params: CellParams
    probability: Image

    @cached_property
    def slope(self) -> Image:
        """See :func:`slope_within`."""
        return slope_within(self.image, self.mask, self.grid)

    def opened(self, mask: Mask) -> Mask:
        """See :class:`Evidence`."""
        return mask & (self.probability < _BORDER)

    def landscape(self, box: Box) -> Image:
        """See :class:`Evidence`."""
        # the network knows where about, the slope where exactly
        steep = np.minimum(self.slope[box], np.float32(_MOST_SLOPE))
        return np.asarray(self.probability[box] * (np.float32(_BORDER_WEIGHT) + steep), np.float32)

    def joined(self, pieces: Labels, depth: Image, names: Names, box: Box) -> Labels:
        """See :class:`Evidence`; the least likely border goes first."""
        lut = np.arange(int(pieces.max()) + 1, dtype=np.int32)
        likely = _dilated(self.probability[box])
        while True:
            now = lut[pieces]
            doubtful = []
            for a, b in contacts_of(now, depth):
                was_one = names[a] == names[b] != 0
                least = self.params.split_border * (_WAS_ONE if was_one else 1.0)
                if _were_apart(names, a, b):
                    least *= _WERE_TWO
                lacking = least - _along(now, a, b, likely)
                if lacking > 0:
                    doubtful.append((lacking, a, b))
            if not doubtful:
                return now
            _, a, b = max(doubtful)
            lut[lut == b] = a
            names[a] = names[a] or names[b]


@dataclass(frozen=True)
class Edges:
    """Edges that can be seen in the light, and necks of the outline."""

    image: Image
    mask: Mask
    grid: Grid
    params: CellParams

    @cached_property
    def slope(self) -> Image:
        """See :func:`slope_within`."""
        return slope_within(self.image, self.mask, self.grid)

    def opened(self, mask: Mask) -> Mask:
        """See :class:`Evidence`; no pixel parts bodies by itself."""
        return mask

    def landscape(self, box: Box) -> Image:
        """See :class:`Evidence`."""
        return np.asarray(self.slope[box])

    def joined(self, pieces: Labels, depth: Image, names: Names, box: Box) -> Labels:
        """See :class:`Evidence`; the widest contact goes first, and what was two stays two."""
        n = int(pieces.max()) + 1
        summit = summits_of(pieces, depth, n)
        lut = np.arange(n, dtype=np.int32)
        steepest = _dilated(self.slope[box])
        for (a, b), saddle in sorted(contacts_of(pieces, depth).items(), key=lambda item: -item[1]):
            a, b = int(lut[a]), int(lut[b])
            if a == b or _were_apart(names, a, b):
                continue
            neck = saddle / max(min(summit[a], summit[b]), 1e-6)
            was_one = names[a] == names[b] != 0
            least = self.params.hold_neck if was_one else self.params.split_neck
            if neck > least and _along(lut[pieces], a, b, steepest) < self._needed_edge(neck, was_one):
                lut[lut == b] = a
                summit[a] = max(summit[a], summit[b])
                names[a] = names[a] or names[b]
        return lut[pieces]

    def _needed_edge(self, neck: float, was_one: bool) -> float:
        """Slope along a contact that parts it: more where there is hardly a neck, and what was one does not part."""
        share = np.clip((neck - self.params.split_neck) / (NO_NECK - self.params.split_neck), 0, 1)
        return float((1 + (self.params.split_edge - 1) * share) * (1.5 if was_one else 1.0))


def slope_within(image: Image, mask: Mask, grid: Grid) -> Image:
    """Relative slope of the signal, over its typical value within bodies."""
    flat = np.asarray(cv2.medianBlur(image, 3), np.float32)
    typical = quantile(flat[mask])
    smooth = gaussian(np.log(np.maximum(flat, np.float32(0.1 * typical))), grid.px(_EDGE_SIGMA_UM))
    slope: Image = _steepness(smooth, mask, 1 / grid.pixel_um)
    inner = cv2.erode(mask.view(np.uint8), disc(grid.px(2.0)), borderValue=1) > 0
    usual = quantile(slope[inner]) if inner.any() else 0.0
    return slope / np.float32(max(usual, _LEAST_SLOPE))


def _were_apart(names: Names, a: int, b: int) -> bool:
    """Whether two pieces were two cells in the frame before."""
    return bool(names[a] != 0 and names[b] != 0 and names[a] != names[b])


def _dilated(image: Image) -> Image:
    return np.asarray(cv2.dilate(image, np.ones((3, 3), np.uint8)), np.float32)


def _along(pieces: Labels, a: int, b: int, value: Image) -> float:
    """What most of a contact reaches: texture is steep in places, a border all along."""
    contact = (_dilated((pieces == a).astype(np.float32)) > 0) & (pieces == b)
    return float(np.quantile(value[contact], 0.3)) if contact.any() else 0.0


@njit(cache=True, nogil=True)
def _steepness(image: Any, mask: Any, scale: float) -> Any:  # pragma: no cover (numba)
    """Length of the gradient within a mask and beside it, by central differences; 0 elsewhere."""
    height, width = image.shape
    out = np.zeros((height, width), np.float32)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            if mask[y, x] or mask[above, x] or mask[below, x] or mask[y, left] or mask[y, right]:
                dy = (image[below, x] - image[above, x]) / max(below - above, 1)
                dx = (image[y, right] - image[y, left]) / max(right - left, 1)
                out[y, x] = np.sqrt(dy * dy + dx * dx) * scale
    return out
