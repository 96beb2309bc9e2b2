"""Cell bodies of one frame: found on a coarse grid, outlined on a fine one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.calibration import Calibration
from migradetect.cells._drawn import drawn, spread
from migradetect.cells._grid import Grid, disc, grey_opening, nearest, padded, to_shape
from migradetect.cells._haze import without_haze
from migradetect.cells._outline import outline
from migradetect.cells._part import part
from migradetect.filters import gaussian, quantile, resize
from migradetect.params import CellParams

__all__ = ["COARSE_UM", "Bodies", "coarse_signal", "find_bodies", "segment_cells"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

#: Pixel size at which bodies are found, and the largest at which their outlines are drawn: the outline passes between
#: its pixels, and no part of a body is thinner than three of them.
COARSE_UM = 0.4
_FINE_UM = 0.28
#: Part of the area of a cell that a sliver of it at the border has at least: 1 / this.
_SLIVER = 6


def segment_cells(
    signal: Image, params: CellParams, calibration: Calibration, previous: Labels | None = None
) -> tuple[Labels, Mask]:
    """Label the cell bodies of one frame.

    Parameters
    ----------
    signal : ndarray, shape (Y, X)
        Sum of the channels above background, each divided by its noise: unit noise per pixel.
    params : CellParams
        Sizes in um, thresholds in SNR.
    calibration : Calibration
        Pixel size.
    previous : ndarray of int, shape (Y, X), optional
        Labels of the frame before; they part touching cells and hold whole ones together.

    Returns
    -------
    labels : ndarray of int32, shape (Y, X)
        0 background, 1 to N cells.
    thick : ndarray of bool, shape (Y, X)
        Everything too thick for a fiber and too large for a migrasome: the cells, and parts of bodies at the border
        that are too small to count.
    """
    shape = signal.shape
    found = find_bodies(signal, params, calibration)
    if found is None:
        return np.zeros(shape, np.int32), np.zeros(shape, bool)
    before = None if previous is None else nearest(previous, found.coarse.shape)
    parts = part(found.on_coarse, before, found.image, found.coarse, params)
    fine, mask = found.fine, found.mask
    labels = _choose(spread(parts, mask, COARSE_UM / fine.pixel_um), fine, params)
    return (labels, mask) if fine.shape == shape else drawn(labels, mask, found.height, shape)


@dataclass(frozen=True)
class Bodies:
    """All bodies of a frame, not parted yet."""

    mask: Mask
    """On the fine grid."""
    height: Image
    """How far a pixel of the fine grid lies above the level of the outline, see :func:`outline`."""
    fine: Grid
    image: Image
    """Signal, smoothed, on the coarse grid."""
    coarse: Grid

    @property
    def on_coarse(self) -> Mask:
        """The mask on the coarse grid."""
        return to_shape(self.mask, self.coarse.shape)


def find_bodies(signal: Image, params: CellParams, calibration: Calibration) -> Bodies | None:
    """Bodies of one frame within their outlines; None where nothing is bright and thick.

    Parameters
    ----------
    signal, params, calibration
        As for :func:`segment_cells`.

    Returns
    -------
    Bodies or None
    """
    shape = signal.shape
    pixel_um = calibration.pixel_size_um
    coarse = Grid.of(shape, pixel_um, COARSE_UM)
    fine = Grid.shrunk(shape, pixel_um, _FINE_UM)
    shrunk = resize(signal, fine.shape) if fine.shape != shape else signal
    small = _smooth(shrunk, fine, pixel_um, coarse, params.smoothing_um)
    opened = grey_opening(small, coarse.px(params.opening_um))
    regions, least, body_level = _find(small, opened, coarse, params)
    if not regions.any():
        return None
    sharp = _smooth(shrunk, fine, pixel_um, fine, _needed_blur_um(body_level, calibration))
    # what was shrunk already is coarse enough for the steps towards the outline
    middle = fine if fine.shape != shape else fine.halved()
    mask, height, edge = outline(sharp, regions, least, fine, middle, params)
    mask = without_haze(mask, edge, fine, opened, coarse, params)
    return Bodies(_fill(mask, sharp, fine, params), height, fine, small, coarse)


def coarse_signal(signal: Image, params: CellParams, calibration: Calibration) -> Image:
    """Signal as bodies are found and parted in it, on the coarse grid."""
    pixel_um = calibration.pixel_size_um
    fine = Grid.shrunk(signal.shape, pixel_um, _FINE_UM)
    shrunk = resize(signal, fine.shape) if fine.shape != signal.shape else signal
    return _smooth(shrunk, fine, pixel_um, Grid.of(signal.shape, pixel_um, COARSE_UM), params.smoothing_um)


def _smooth(image: Image, own: Grid, pixel_um: float, grid: Grid, sigma_um: float) -> Image:
    """Image on another grid than its own, blurred in all by `sigma_um`; shrinking by areas is a part of that."""
    shrunk = resize(image, grid.shape) if grid.shape != own.shape else image
    box = (grid.pixel_um**2 - pixel_um**2) / 12
    return gaussian(shrunk, grid.px(float(np.sqrt(max(sigma_um**2 - box, 0)))))


def _needed_blur_um(level: float, calibration: Calibration) -> float:
    """Gaussian sigma at which the noise at the edge is an eighth of its height, um."""
    # white noise of 1 per pixel has 1 / (2 sqrt(pi) sigma) after a blur of sigma pixels
    sigma_px = 8 / (2 * np.sqrt(np.pi) * max(level, 0.5))
    return float(np.clip(calibration.um(sigma_px), 0.08, 0.5))


def _find(small: Image, opened: Image, grid: Grid, params: CellParams) -> tuple[Mask, Image, float]:
    """Thick and bright regions, and the level of the dimmer ones of them."""
    # empty pixels scatter about 0, whatever part of the field they are
    below = small[small < 0]
    spread = float(np.sqrt(np.mean(below**2))) if below.size else 0.0
    floor = max(params.min_snr * spread, 0.35 * params.min_snr)
    # a dim cell beside a bright one is judged by itself; the haze and blur of the bright one, by the bright one
    around = disc(max(1.0, grid.px(params.local_um) / 2))
    half = resize(opened, tuple(max(1, n // 2) for n in opened.shape))
    local = resize(np.asarray(cv2.dilate(half, around), np.float32), opened.shape)
    regions = opened > np.maximum(floor, params.body_fraction * local)
    least = np.maximum(floor, params.least_fraction * local).astype(np.float32)
    if not regions.any():
        return regions, least, 0.0
    return regions, least, quantile(opened[regions], 0.25)


def _fill(mask: Mask, fine: Image, grid: Grid, params: CellParams) -> Mask:
    """Fill holes that are not dark: of a nucleus or vacuole the light above and below remains, of the dish nothing."""
    framed = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(framed, None, (0, 0), 1)
    inside = framed[1:-1, 1:-1] == 0
    if not inside.any():
        return mask
    _, holes = cv2.connectedComponents(inside.view(np.uint8), connectivity=4)
    out = mask.copy()
    for one, box in enumerate(ndi.find_objects(holes), start=1):
        window = padded(box, 3, mask.shape)
        hole = holes[window] == one
        ring = (cv2.dilate(hole.astype(np.uint8), disc(3)) > 0) & mask[window]
        is_tiny = hole.sum() * grid.pixel_um**2 < 0.3
        if is_tiny or np.median(fine[window][hole]) > params.hole_fraction * np.median(fine[window][ring]):
            out[window] |= hole
    return out


def _choose(labels: Labels, grid: Grid, params: CellParams) -> Labels:
    """Bodies large enough to count, one connected piece each, numbered from 1; the rest stays thick."""
    out = np.zeros_like(labels)
    count = 0
    for label, box in enumerate(ndi.find_objects(labels), start=1):
        if box is None:
            continue
        _, pieces = cv2.connectedComponents((labels[box] == label).astype(np.uint8), connectivity=4)
        size = np.bincount(pieces.ravel())[1:]
        largest = 1 + int(np.argmax(size))
        at_rim = any(s.start == 0 or s.stop == m for s, m in zip(box, labels.shape, strict=True))
        # of a cell that enters or leaves, a sliver will do: linking tells whether it is of a cell
        least = params.min_area_um2 / (_SLIVER if at_rim else 1)
        if size[largest - 1] * grid.pixel_um**2 >= least:
            count += 1
            out[box][pieces == largest] = count
    return out
