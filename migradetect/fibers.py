"""Retraction fibers: thin bright lines, traced as one-pixel centrelines and measured as graphs.

A fiber is narrower than the PSF, so the ridge filter has the scale of the PSF. Its response is averaged *along* the
line before any threshold: a line keeps its direction over a micrometre, noise does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from migradetect.calibration import Calibration
from migradetect.filters import line_response, nearest_label
from migradetect.params import FiberParams

__all__ = ["ATTACH_UM", "Beads", "branch_paths", "line_strength", "measure_fibers", "trace_fibers"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

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
#: A centreline that comes this close to a body outline is attached to it, um.
ATTACH_UM = 1.2


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
        Ridge SNR averaged along the line.
    """
    sigma_px = max(1.1 * calibration.px(psf_sigma_um), 0.9)
    response, crest, _ = line_response(snr_image, weight, sigma_px, calibration.px(_HALF_LENGTH_UM))
    outside = _outside_beads(beads, calibration.px(_FLANK_UM), snr_image.shape)
    lines = _hysteresis(crest & (response > _floor(response, params, calibration)), response > params.high_snr)
    lines = _fill_small_holes(_bridge(lines, response, params, calibration), calibration.px2(_SMALLEST_MESH_UM2))
    skeleton = _prune(np.asarray(skeletonize(lines)), round(calibration.px(_SPUR_UM))) & outside
    # a bead alone is left with a few short, dim, curled rays: a fiber has somewhere a piece that is none of these
    solid = _wider_than(skeleton, 0.5 * params.min_length_um, calibration) & (response > params.high_snr)
    pieces = _longer_than(skeleton, 0.2 * params.min_length_um, calibration) > 0
    labels = _longer_than(
        _lead_to_beads(pieces, beads, calibration.px(_FLANK_UM + 0.45)), params.min_length_um, calibration
    )
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[solid]] = True
    kept[0] = False
    return _renumber(labels, kept), response


def _floor(response: Image, params: FiberParams, calibration: Calibration) -> Image:
    """Least response that is followed: the parameter, or a share of a much stronger line beside it.

    The filter has side lobes, which beside a bright line are far above the noise.
    """
    radius = max(1, round(calibration.px(_LOBE_UM)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.maximum(params.low_snr, _LOBE_SHARE * np.asarray(cv2.dilate(response, disc), dtype=np.float32))


def line_strength(labels: Labels, response: Image, calibration: Calibration) -> Image:
    """Mean ridge SNR of the centrelines within about 2 um of each pixel; 0 where there are none.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines from :func:`trace_fibers`.
    response : ndarray, shape (Y, X)
        Ridge SNR.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    ndarray, shape (Y, X)
    """
    line = (labels > 0).astype(np.float32)
    size = (2 * max(1, round(calibration.px(2.0))) + 1,) * 2
    total = cv2.blur(response * line, size, borderType=cv2.BORDER_CONSTANT)
    count = cv2.blur(line, size, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.where(count > 0.5 / size[0] ** 2, total / np.maximum(count, 1e-9), 0), dtype=np.float32)


def _components(mask: NDArray[Any], connectivity: int = 8) -> tuple[Labels, int]:
    """Connected parts of a mask, numbered from 1 by their first pixel, and how many there are."""
    image = np.asarray(mask, np.uint8)
    n, labels = cv2.connectedComponentsWithAlgorithm(image, connectivity, cv2.CV_32S, cv2.CCL_WU)
    return np.asarray(labels, np.int32), n - 1


def _fill_small_holes(lines: NDArray[np.bool_], area_px: float) -> NDArray[np.bool_]:
    labels, n = _components(~lines, 4)
    small = np.bincount(labels.ravel(), minlength=n + 1) < area_px
    small[0] = False
    return np.asarray(lines | small[labels])


def _longer_than(skeleton: NDArray[np.bool_], length_um: float, calibration: Calibration) -> Labels:
    """Label the lines that are long enough, from 1."""
    labels, n = _components(skeleton)
    # a pixel of an 8-connected line stands for 1.1 pixels of length on average over all directions
    lengths = calibration.um(np.bincount(labels.ravel(), minlength=n + 1).astype(float) * 1.1)
    kept = lengths >= length_um
    kept[0] = False
    return _renumber(labels, kept)


def _wider_than(skeleton: NDArray[np.bool_], extent_um: float, calibration: Calibration) -> NDArray[np.bool_]:
    """Lines whose bounding box has at least this diagonal: a curl is longer than it is wide."""
    labels, n = _components(skeleton)
    kept = np.zeros(n + 1, bool)
    for one, (rows, columns) in enumerate(ndi.find_objects(labels), start=1):
        extent = np.hypot(rows.stop - rows.start, columns.stop - columns.start)
        kept[one] = calibration.um(float(extent)) >= extent_um
    return np.asarray(kept[labels])


def _renumber(labels: Labels, kept: NDArray[np.bool_]) -> Labels:
    lut = np.zeros(kept.size, np.int32)
    lut[kept] = np.arange(1, int(kept.sum()) + 1)
    return np.asarray(lut[labels])


def _outside_beads(beads: Beads, margin_px: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.zeros(shape, np.uint8)
    for y, x, r in zip(beads.y_px, beads.x_px, beads.radius_px, strict=True):
        cv2.circle(inside, (round(x), round(y)), round(r + margin_px), 1, -1)
    return np.asarray(inside == 0)


def _lead_to_beads(skeleton: NDArray[np.bool_], beads: Beads, reach_px: float) -> NDArray[np.bool_]:
    """Draw straight from each line end near a bead to the centre of the bead."""
    line = skeleton.astype(np.uint8)
    count = cv2.filter2D(line, cv2.CV_16S, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT)
    ends = np.argwhere((line > 0) & (count <= 2))
    if not len(ends) or not beads.y_px.size:
        return skeleton
    tree = cKDTree(ends)
    for y, x, r in zip(beads.y_px, beads.x_px, beads.radius_px, strict=True):
        for k in tree.query_ball_point((y, x), r + reach_px):
            cv2.line(line, (int(ends[k, 1]), int(ends[k, 0])), (round(x), round(y)), 1, 1)
    return np.asarray(line > 0)


def _hysteresis(low: NDArray[np.bool_], high: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # a crest can step aside by a pixel: lines are joined over the dilated crest, kept as crest
    joined = cv2.dilate(low.astype(np.uint8), np.ones((3, 3), np.uint8))
    labels, n = _components(joined)
    if n == 0:
        return low
    enough = np.bincount(labels[low & high].ravel(), minlength=n + 1) >= 3
    enough[0] = False
    return np.asarray(low & enough[labels])


def _bridge(
    lines: NDArray[np.bool_], response: Image, params: FiberParams, calibration: Calibration
) -> NDArray[np.bool_]:
    """Close gaps of a pixel or two by dilation, longer ones where a weak ridge leads across."""
    closed = cv2.morphologyEx(lines.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    gap = round(calibration.px(params.max_gap_um))
    if gap < 2:
        return closed > 0
    reach = cv2.dilate(closed, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap | 1, gap | 1)))
    weak = (response > 0.6 * params.low_snr) & (reach > 0)
    weak = np.asarray(skeletonize(weak | (closed > 0)))
    gaps, n_gaps = _components(weak & ~(cv2.dilate(closed, np.ones((3, 3), np.uint8)) > 0))
    pieces, n_pieces = _components(closed)
    if n_gaps == 0 or n_pieces == 0:
        return np.asarray(closed > 0)
    touched = cv2.dilate(pieces.astype(np.float32), np.ones((5, 5), np.uint8)).astype(np.int64)
    # both ends on known lines, two different ones, and short: a bridge, not a spur
    contact = (gaps > 0) & (touched > 0)
    pairs = np.unique(gaps[contact].astype(np.int64) * (n_pieces + 1) + touched[contact])
    n_lines = np.bincount(pairs // (n_pieces + 1), minlength=n_gaps + 1)
    bridge = (n_lines >= 2) & (np.bincount(gaps.ravel(), minlength=n_gaps + 1) <= gap)
    bridge[0] = False
    out = (closed > 0) | bridge[gaps]
    return np.asarray(cv2.morphologyEx(out.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0)


def _prune(skeleton: NDArray[np.bool_], length_px: int) -> NDArray[np.bool_]:
    """Take off side lines up to a length: shrink all free ends that far, then let the ends that are left grow back."""
    line = skeleton.astype(np.uint8)
    around = np.ones((3, 3), np.uint8)

    def ends(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        count = cv2.filter2D(image, cv2.CV_16S, around, borderType=cv2.BORDER_CONSTANT)
        return np.asarray((image > 0) & (count <= 2))

    for _ in range(length_px):
        line[ends(line)] = 0
    tips = ends(line).astype(np.uint8)
    for _ in range(length_px):
        tips = cv2.dilate(tips, around) & skeleton.astype(np.uint8) & ((line == 0) | (tips > 0)).astype(np.uint8)
    return np.asarray((line | tips) > 0)


def measure_fibers(labels: Labels, response: Image, cells: Labels, calibration: Calibration) -> pd.DataFrame:
    """Length, ends and attachment of each fiber.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines from :func:`trace_fibers`.
    response : ndarray, shape (Y, X)
        Ridge SNR.
    cells : ndarray of int, shape (Y, X)
        Cell bodies of the frame.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    pandas.DataFrame
        One row per fiber: label, length_um, euclidean_um, is_attached, cell_label (0: none), n_branches, n_tips,
        mean_snr.
    """
    columns = ("label", "length_um", "euclidean_um", "is_attached", "cell_label", "n_branches", "n_tips", "mean_snr")
    if not labels.any():
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    branches = _branches(labels, calibration)
    n = int(labels.max())
    index = np.arange(1, n + 1)
    length = np.bincount(branches["label"], weights=branches["length_um"], minlength=n + 1)[1:]
    n_branches = np.bincount(branches["label"], minlength=n + 1)[1:]
    gap_um, cell_label = _nearest_cell(labels, n, cells, calibration)
    attached = gap_um <= ATTACH_UM
    line = labels > 0
    total_snr = np.bincount(labels[line], weights=response[line], minlength=n + 1)[1:]
    n_pixels = np.bincount(labels[line], minlength=n + 1)[1:]
    return pd.DataFrame(
        {
            "label": index,
            "length_um": length,
            "euclidean_um": _extent(labels, n, calibration),
            "is_attached": attached,
            "cell_label": np.where(attached, cell_label, 0),
            "n_branches": n_branches,
            "n_tips": _count_tips(labels, n),
            "mean_snr": total_snr / np.maximum(n_pixels, 1),
        }
    )


def _nearest_cell(
    labels: Labels, n: int, cells: Labels, calibration: Calibration
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Gap between each fiber and the nearest body in um (inf: no body), and the label of that body."""
    gap, cell = np.full(n, np.inf), np.zeros(n, np.int64)
    y, x = np.nonzero(labels)
    distance, nearest = nearest_label(cells, y, x)
    order = np.lexsort((distance, labels[y, x]))
    label, first = np.unique(labels[y, x][order], return_index=True)
    gap[label - 1] = calibration.um(distance[order][first])
    cell[label - 1] = nearest[order][first]
    return gap, cell


def branch_paths(labels: Labels, calibration: Calibration) -> list[NDArray[np.float64]]:
    """Course of each branch, from one end or crossing to the next.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        Centrelines from :func:`trace_fibers`; 0 is background.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    list of ndarray, shape (points, 2)
        y, x in um, two points or more each.
    """
    import skan

    line = (labels > 0).astype(np.uint8)
    touching = cv2.filter2D(line, cv2.CV_16S, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT)
    # of single pixels no graph can be drawn
    if not (touching[line > 0] > 1).any():
        return []
    skeleton = skan.Skeleton(labels > 0)
    return [calibration.um(skeleton.path_coordinates(k).astype(float)) for k in range(skeleton.n_paths)]


def _branches(labels: Labels, calibration: Calibration) -> pd.DataFrame:
    import skan

    skeleton = skan.Skeleton(labels > 0, spacing=calibration.pixel_size_um)
    table = skan.summarize(skeleton, separator="_")
    first = skeleton.coordinates[table["node_id_src"].to_numpy()].astype(int)
    return pd.DataFrame(
        {"label": labels[first[:, 0], first[:, 1]], "length_um": table["branch_distance"].to_numpy(float)}
    )


def _count_tips(labels: Labels, n: int) -> NDArray[np.int64]:
    line = (labels > 0).astype(np.uint8)
    neighbours = cv2.filter2D(line, cv2.CV_16S, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT) - 1
    return np.bincount(labels[(line > 0) & (neighbours == 1)], minlength=n + 1)[1:]


def _extent(labels: Labels, n: int, calibration: Calibration) -> NDArray[np.float64]:
    """Largest distance between two points of each fiber, by the corners of its convex hull."""
    out = np.zeros(n)
    for one, box in enumerate(ndi.find_objects(labels), start=1):
        if box is None:
            continue
        points = np.argwhere(labels[box] == one).astype(np.float32)
        hull = cv2.convexHull(points).reshape(-1, 2)
        out[one - 1] = np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(-1).max())
    return calibration.um(out)
