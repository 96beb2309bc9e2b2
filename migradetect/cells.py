"""Cell bodies: thick and bright, cut off from the fibers and migrasomes that are thin or small.

The outline lies where the mean gradient along the contour is steepest, found for each body on its own: at a blurred
edge that is half the height of the edge, whatever the brightness of the cell. Touching bodies are parted at their
necks, or by where they were in the frame before.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.measure import regionprops_table
from skimage.segmentation import watershed

from migradetect.calibration import Calibration
from migradetect.filters import gaussian, resize
from migradetect.params import CellParams

__all__ = ["measure_cells", "segment_cells"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

#: Pixel size at which bodies are found; outlines are drawn at full resolution.
_COARSE_UM = 0.4


def segment_cells(
    signal: Image, params: CellParams, calibration: Calibration, previous: Labels | None = None
) -> tuple[Labels, NDArray[np.bool_]]:
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
        Labels of the frame before, moved by the drift; they part touching cells and hold whole ones together.

    Returns
    -------
    labels : ndarray of int32, shape (Y, X)
        0 background, 1 to N cells.
    thick : ndarray of bool, shape (Y, X)
        Everything too thick for a fiber and too large for a migrasome: the cells, and parts of bodies at the border
        that are too small to count.
    """
    smooth = gaussian(signal, calibration.px(params.smoothing_um))
    shape = tuple(max(1, round(n * calibration.pixel_size_um / _COARSE_UM)) for n in signal.shape)
    coarse = resize(smooth, shape)
    size_um = calibration.pixel_size_um * signal.shape[0] / shape[0]
    radius = max(1, round(params.opening_um / size_um))
    opened: Image = np.asarray(
        cv2.morphologyEx(coarse, cv2.MORPH_OPEN, _disc(radius), borderType=cv2.BORDER_REFLECT), dtype=np.float32
    )
    threshold = _body_threshold(opened, params.min_snr)
    bodies = _fill(opened > threshold)
    regions, n_regions = ndi.label(bodies)
    if n_regions == 0:
        return np.zeros(signal.shape, np.int32), np.zeros(signal.shape, bool)
    before = None if previous is None else _shrink_labels(previous, shape)
    seeds = np.zeros(shape, np.int32)
    for one in range(1, n_regions + 1):
        region = regions == one
        if region.sum() * size_um**2 < 0.4 * _least_area(region, params):
            continue
        for part in _split(region, before, params, size_um):
            seeds[part] = seeds.max() + 1
    labels = _draw_outlines(smooth, seeds, threshold, params, calibration)
    large = _larger_than(regions, n_regions, (1.5 * params.opening_um) ** 2 * np.pi / size_um**2)
    thick = cv2.resize(large.astype(np.uint8), signal.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return labels, thick | (labels > 0)


def _least_area(region: NDArray[np.bool_], params: CellParams) -> float:
    """Smallest area that counts: of a cell that enters or leaves, a part will do."""
    rim = region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any()
    return params.min_area_um2 / 3 if rim else params.min_area_um2


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), dtype=np.uint8)


def _larger_than(regions: Labels, n: int, area: float) -> NDArray[np.bool_]:
    kept = np.bincount(regions.ravel(), minlength=n + 1) >= area
    kept[0] = False
    return np.asarray(kept[regions])


def _fill(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(ndi.binary_fill_holes(mask))


def _body_threshold(opened: Image, min_snr: float) -> float:
    """Level between background and bodies: a fifth of the way, in an image freed of thin structures."""
    background = float(np.median(opened[opened <= np.quantile(opened, 0.6)]))
    spread = 1.4826 * float(np.median(np.abs(opened[opened <= np.quantile(opened, 0.6)] - background)))
    floor = background + max(min_snr * spread, 0.35 * min_snr)
    above = opened[opened > floor]
    if above.size < 10:
        return floor
    # bodies differ in brightness by several times: the dimmest quarter of body pixels sets the scale
    return max(floor, background + 0.2 * (float(np.quantile(above, 0.6)) - background))


def _shrink_labels(labels: Labels, shape: tuple[int, ...]) -> Labels:
    small = cv2.resize(labels.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return small.astype(np.int32)


def _split(
    region: NDArray[np.bool_], before: Labels | None, params: CellParams, size_um: float
) -> list[NDArray[np.bool_]]:
    """Part one region into bodies: by the cells of the frame before where they tell, else at its necks."""
    distance = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 5) * size_um
    markers = np.zeros(region.shape, np.int32)
    if before is not None:
        inside = before * region
        area = np.bincount(before.ravel())
        overlap = np.bincount(inside.ravel(), minlength=area.size)
        kept = [i for i in range(1, area.size) if overlap[i] > 0.4 * area[i] and area[i] > 0]
        covered = sum(int(overlap[i]) for i in kept)
        if kept and covered > 0.6 * region.sum():
            if len(kept) == 1:
                return [region]
            for i in kept:
                # only the core of the cell before: where the cut runs, the neck of *this* frame decides
                depth = cv2.distanceTransform((inside == i).astype(np.uint8), cv2.DIST_L2, 5)
                markers[depth > 0.6 * depth.max()] = i
    if not markers.any():
        markers = _neck_markers(distance, params.split_um)
    if markers.max() == 0 or np.unique(markers[markers > 0]).size < 2:
        return [region]
    parts = watershed(-gaussian(distance.astype(np.float32), 1.0), markers, mask=region)
    pieces = [parts == i for i in np.unique(parts[parts > 0])]
    enough = [piece for piece in pieces if piece.sum() * size_um**2 >= 0.5 * params.min_area_um2]
    return enough if len(enough) >= 2 else [region]


def _neck_markers(distance: Image, depth_um: float) -> Labels:
    """Summits of the distance map that a neck of at least this depth (um) parts (h-maxima)."""
    from skimage.morphology import h_maxima

    summits, _ = ndi.label(h_maxima(gaussian(distance.astype(np.float32), 1.0), depth_um))
    return np.asarray(summits, dtype=np.int32)


def _draw_outlines(
    smooth: Image, seeds: Labels, threshold: float, params: CellParams, calibration: Calibration
) -> Labels:
    """Full-resolution outline of each seed at the level of steepest mean gradient."""
    shape = smooth.shape
    gradient_y, gradient_x = np.gradient(smooth)
    gradient = np.hypot(gradient_y, gradient_x).astype(np.float32)
    full = cv2.resize(seeds.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST).astype(np.int32)
    reach = calibration.px(1.2)
    out = np.zeros(shape, np.int32)
    pad = int(np.ceil(reach)) + 2
    radius = max(1, round(calibration.px(params.opening_um * 0.6)))
    for label, box in enumerate(ndi.find_objects(full), start=1):
        if box is None:
            continue
        window = tuple(slice(max(0, s.start - pad), min(n, s.stop + pad)) for s, n in zip(box, shape, strict=True))
        seed = full[window] == label
        others = (full[window] > 0) & ~seed
        near = cv2.distanceTransform((~seed).astype(np.uint8), cv2.DIST_L2, 5) <= reach
        allowed = near & ~others
        level = _steepest_level(smooth[window], gradient[window], allowed, seed, threshold)
        mask = allowed & (smooth[window] > level)
        # narrow parts are fibers; opened at full resolution so that the outline keeps the lamellipodium
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disc(radius), borderValue=0) > 0
        mask = _fill(mask)
        pieces, n_pieces = ndi.label(mask)
        if n_pieces == 0:
            continue
        mask = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        whole = np.zeros(shape, bool)
        whole[window] = mask
        if calibration.um2(float(mask.sum())) >= _least_area(whole, params):
            out[window][mask & (out[window] == 0)] = label
    return _consecutive(out)


def _steepest_level(
    smooth: Image, gradient: Image, allowed: NDArray[np.bool_], seed: NDArray[np.bool_], threshold: float
) -> float:
    interior = float(np.quantile(smooth[seed], 0.5))
    low = max(0.5 * threshold, 0.06 * interior)
    levels = np.geomspace(low, max(0.65 * interior, 1.2 * low), 16)
    values, slopes = smooth[allowed], gradient[allowed]
    best, best_slope = threshold, -1.0
    for k, level in enumerate(levels[:-1]):
        band = (values > level) & (values <= levels[k + 1])
        if band.sum() < 20:
            continue
        # weighed against height: a dim lamellipodium has a shallower but no less real edge than the bright centre
        slope = float(slopes[band].mean()) / np.sqrt(level)
        if slope > best_slope:
            best, best_slope = float(np.sqrt(level * levels[k + 1])), slope
    return best


def _consecutive(labels: Labels) -> Labels:
    present = np.unique(labels)
    lut = np.zeros(int(labels.max()) + 1, np.int32)
    lut[present[present > 0]] = np.arange(1, (present > 0).sum() + 1)
    return lut[labels]


def measure_cells(labels: Labels, channels: dict[str, Image], calibration: Calibration) -> pd.DataFrame:
    """Size, shape and brightness of each body.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        From :func:`segment_cells`.
    channels : dict of str to ndarray, each of shape (Y, X)
        Counts above background, by role.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    pandas.DataFrame
        One row per label: label, y_um, x_um, area_um2, perimeter_um, eccentricity, orientation_rad, mean_<role>,
        touches_border.
    """
    properties = ("label", "bbox", "centroid", "area", "perimeter", "eccentricity", "orientation")
    columns = regionprops_table(labels, properties=properties)
    table = pd.DataFrame(
        {
            "label": columns["label"].astype(np.int64),
            "y_um": calibration.um(np.asarray(columns["centroid-0"], float)),
            "x_um": calibration.um(np.asarray(columns["centroid-1"], float)),
            "area_um2": calibration.um2(np.asarray(columns["area"], float)),
            "perimeter_um": calibration.um(np.asarray(columns["perimeter"], float)),
            "eccentricity": np.asarray(columns["eccentricity"], float),
            "orientation_rad": np.asarray(columns["orientation"], float),
        }
    )
    for role, image in channels.items():
        mean = ndi.mean(image, labels, table["label"].to_numpy()) if len(table) else []
        table[f"mean_{role}"] = np.asarray(mean, float)
    table["touches_border"] = (
        (columns["bbox-0"] == 0)
        | (columns["bbox-1"] == 0)
        | (columns["bbox-2"] == labels.shape[0])
        | (columns["bbox-3"] == labels.shape[1])
    )
    return table
