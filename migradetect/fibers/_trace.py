"""Centrelines of retraction fibers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from migradetect.calibration import Calibration
from migradetect.fibers._pixels import (
    Places,
    connected,
    fill_holes,
    line_ends,
    neighbours,
    prune,
    thin,
)
from migradetect.filters import LineFilter, line_filter
from migradetect.params import FiberParams

__all__ = ["Beads", "trace_fibers"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Plane = NDArray[np.uint8]

#: Half length of the average along a line, um: fibers bend on a longer scale.
_HALF_LENGTH_UM = 0.9
#: Width of the blurred rim of a bead, um.
_FLANK_UM = 0.25
#: Side lines shorter than this are roughness of the line, not branches, um.
_SPUR_UM = 0.8
#: Reach of the filter's side lobes, um, and their share of the line that makes them.
_LOBE_UM, _LOBE_SHARE = 0.7, 0.15
#: A smaller mesh between lines is the flank of one line or bead, um2.
_SMALLEST_MESH_UM2 = 0.8
#: Share of the least response of a line down to which a ridge leads across a gap.
_BRIDGE_SHARE = 0.6
#: Crests this many pixels apart belong to one line: a crest can step aside.
_STEP_PX = 3
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Beads:
    """Round objects that fibers may run into; N of them.

    Parameters
    ----------
    y_px, x_px, radius_px : ndarray, shape (N,)
        Place and size.
    """

    y_px: NDArray[np.float64]
    x_px: NDArray[np.float64]
    radius_px: NDArray[np.float64]


def trace_fibers(
    snr_image: Image, weight: Image, beads: Beads, params: FiberParams, calibration: Calibration, psf_sigma_um: float
) -> tuple[Labels, Image]:
    """Centrelines of one frame.

    The flank of a bright bead is a ridge of its own. So lines are traced outside the beads only, and those that end at
    one are then led to its centre.

    Parameters
    ----------
    snr_image : ndarray, shape (Y, X)
        Background-free image with white noise of standard deviation 1, bodies masked out.
    weight : ndarray, shape (Y, X)
        1 outside cell bodies, 0 inside.
    beads : Beads
        Round objects; migrasomes and debris.
    params : FiberParams
        Lengths in um, thresholds in SNR.
    calibration : Calibration
        Pixel size.
    psf_sigma_um : float
        Gaussian sigma of the PSF.

    Returns
    -------
    labels : ndarray of int32, shape (Y, X)
        One-pixel centrelines; each 8-connected fiber has its own label from 1.
    response : ndarray, shape (Y, X)
        Ridge SNR averaged along the line: of the centrelines and of what is near; elsewhere it may be 0.
    """
    height, width = snr_image.shape
    sigma_px = max(1.1 * calibration.px(psf_sigma_um), 0.9)
    ridge = line_filter(snr_image, weight, sigma_px, calibration.px(_HALF_LENGTH_UM))
    response = ridge.response.ravel()
    crests = _lines(ridge, params, calibration)
    lines = _bridge(_drawn(crests, (height, width)), ridge, params, calibration)
    fill_holes(lines, _places(lines), calibration.px2(_SMALLEST_MESH_UM2))
    skeleton = prune(thin(_places(lines), width), width, round(calibration.px(_SPUR_UM)))
    outside = _outside_beads(beads, calibration.px(_FLANK_UM), (height, width))
    skeleton = skeleton[outside.ravel()[skeleton]]
    parts, n = connected(skeleton, width)
    # a bead alone is left with a few short, dim, curled rays: a fiber has somewhere a piece that is none of these
    wide = calibration.um(_diagonals(parts, n, skeleton, width)) >= 0.5 * params.min_length_um
    solid = skeleton[wide[parts] & (response[skeleton] > params.high_snr)]
    long = calibration.um(_lengths(parts, n)) >= 0.2 * params.min_length_um
    fibers = _lead_to_beads(skeleton[long[parts]], beads, calibration.px(_FLANK_UM + 0.45), (height, width))
    parts, n = connected(fibers, width)
    kept = np.zeros(n + 1, bool)
    kept[parts[np.isin(fibers, solid, assume_unique=True)]] = True
    kept &= calibration.um(_lengths(parts, n)) >= params.min_length_um
    kept[0] = False
    number = np.cumsum(kept).astype(np.int32)
    is_fiber = kept[parts]
    labels = np.zeros((height, width), np.int32)
    labels.ravel()[fibers[is_fiber]] = number[parts[is_fiber]]
    # a line across a gap or to a bead may be dimmer than what was computed before
    ridge.compute(fibers[is_fiber])
    return labels, ridge.response


def _drawn(places: Places, shape: tuple[int, int]) -> Plane:
    image = np.zeros(shape, np.uint8)
    image.ravel()[places] = 1
    return image


def _places(image: Plane) -> Places:
    """Where an image of 0 and 1 is 1, in the raveled image."""
    return np.flatnonzero(image.view(np.bool_))


def _lines(ridge: LineFilter, params: FiberParams, calibration: Calibration) -> Places:
    """Crests of the lines that are strong somewhere, followed down to where they are weak."""
    strong = ridge.follow(params.high_snr, params.low_snr, _BRIDGE_SHARE * params.low_snr)
    crests = strong[ridge.crests(strong)]
    # the filter has side lobes, which beside a bright line are far above the noise
    height = ridge.response.ravel()[crests]
    radius = max(1, round(calibration.px(_LOBE_UM)))
    disc = np.argwhere(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))) - radius
    main = ~_is_lobe(ridge.response, crests, disc)
    crests, height = crests[main], height[main]
    parts, n = connected(crests, ridge.response.shape[1], _STEP_PX)
    enough = np.bincount(parts[height > params.high_snr], minlength=n + 1) >= 3
    return crests[enough[parts]]


@njit(cache=True, nogil=True)
def _is_lobe(response: Image, places: Places, disc: Places) -> NDArray[np.bool_]:  # pragma: no cover (numba)
    """Whether a far stronger line is within a disc of each place; the disc is given by steps, shape (M, 2)."""
    height, width = response.shape
    out = np.zeros(places.size, np.bool_)
    highest = np.float32(0)
    for place in places:
        highest = max(highest, response[place // width, place % width])
    for i in range(places.size):
        y, x = places[i] // width, places[i] % width
        limit = response[y, x] / np.float32(_LOBE_SHARE)
        if highest < limit:
            continue
        for k in range(len(disc)):
            v, u = y + disc[k, 0], x + disc[k, 1]
            if 0 <= v < height and 0 <= u < width and response[v, u] >= limit:
                out[i] = True
                break
    return out


def _lengths(parts: Labels, n: int) -> NDArray[np.float64]:
    """Length of each part in px, shape (n + 1,); that of none is 0."""
    # a pixel of an 8-connected line stands for 1.1 pixels of length on average over all directions
    return 1.1 * np.bincount(parts, minlength=n + 1).astype(np.float64)


def _diagonals(parts: Labels, n: int, places: Places, width: int) -> NDArray[np.float64]:
    """Diagonal of the bounding box of each part in px, shape (n + 1,): a curl is longer than it is wide."""
    sides: list[NDArray[np.float64]] = []
    for place in (places // width, places % width):
        least, most = np.full(n + 1, np.iinfo(np.int64).max), np.full(n + 1, -1)
        np.minimum.at(least, parts, place)
        np.maximum.at(most, parts, place)
        sides.append(np.where(most >= 0, most - least + 1.0, 0.0))
    return np.hypot(sides[0], sides[1]).astype(np.float64)


def _outside_beads(beads: Beads, margin_px: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    inside = np.zeros(shape, np.uint8)
    for y, x, r in zip(beads.y_px, beads.x_px, beads.radius_px, strict=True):
        cv2.circle(inside, (round(x), round(y)), round(r + margin_px), 1, -1)
    return np.asarray(inside == 0)


def _lead_to_beads(fibers: Places, beads: Beads, reach_px: float, shape: tuple[int, int]) -> Places:
    """Draw straight from each line end near a bead to the centre of the bead."""
    ends = fibers[line_ends(neighbours(fibers, shape[1]))]
    if not ends.size or not beads.y_px.size:
        return fibers
    image = _drawn(fibers, shape)
    tree = cKDTree(np.column_stack((ends // shape[1], ends % shape[1])))
    near = tree.query_ball_point(np.column_stack((beads.y_px, beads.x_px)), beads.radius_px + reach_px)
    for y, x, of_bead in zip(beads.y_px, beads.x_px, near, strict=True):
        for k in of_bead:
            end = int(ends[k])
            cv2.line(image, (end % shape[1], end // shape[1]), (round(x), round(y)), 1, 1)
    return _places(image)


def _bridge(lines: Plane, ridge: LineFilter, params: FiberParams, calibration: Calibration) -> Plane:
    """Close gaps of a pixel or two by dilation, longer ones where a weak ridge leads across."""
    width = lines.shape[1]
    closed = np.asarray(cv2.morphologyEx(lines, cv2.MORPH_CLOSE, _SQUARE), np.uint8)
    gap = round(calibration.px(params.max_gap_um))
    pieces_at = _places(closed)
    if gap < 2 or not pieces_at.size:
        return closed
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap | 1, gap | 1))
    reach = _places(np.asarray(cv2.dilate(closed, disc), np.uint8))
    floor = _BRIDGE_SHARE * params.low_snr
    ridge.compute_new(reach, floor)
    weak = reach[(ridge.response.ravel()[reach] > floor) | closed.ravel()[reach].view(np.bool_)]
    weak = thin(weak, width)
    weak = weak[np.asarray(cv2.dilate(closed, _SQUARE)).ravel()[weak] == 0]
    gaps, n_gaps = connected(weak, width)
    pieces, n_pieces = connected(pieces_at, width)
    if n_gaps == 0:
        return closed
    # both ends on known lines, two different ones, and short: a bridge, not a spur
    touched = _highest_around(pieces_at, pieces, weak, width, 2)
    contact = touched > 0
    pairs = np.unique(gaps[contact].astype(np.int64) * (n_pieces + 1) + touched[contact])
    n_lines = np.bincount(pairs // (n_pieces + 1), minlength=n_gaps + 1)
    bridge = (n_lines >= 2) & (np.bincount(gaps, minlength=n_gaps + 1) <= gap)
    closed.ravel()[weak[bridge[gaps]]] = 1
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_CLOSE, _SQUARE), np.uint8)


@njit(cache=True, nogil=True)
def _highest_around(
    places: Places, labels: Labels, of: Places, width: int, reach: int
) -> Labels:  # pragma: no cover (numba)
    """Highest label within some rows and columns of other places, 0 where there is none; all places ascend."""
    first = np.zeros(2 * reach + 1, np.int64)
    out = np.zeros(of.size, np.int32)
    for i in range(of.size):
        y, x = of[i] // width, of[i] % width
        for row in range(2 * reach + 1):
            start = (y + row - reach) * width
            k = first[row]
            while k < places.size and places[k] < start + max(x - reach, 0):
                k += 1
            first[row] = k
            while k < places.size and places[k] <= start + min(x + reach, width - 1):
                out[i] = max(out[i], labels[k])
                k += 1
    return out
