"""Margins that no camera recorded: what registering, turning and stitching leave around the field, and round masks.

Filled with one value they are a field without noise beside a sharp edge, by which noise, background and bodies would
be told wrongly. So they are found, and filled with what might have been recorded there: the level beside them, and
noise.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.filters import doubled, halved

__all__ = [
    "LARGEST",
    "RUN_PX",
    "fill_gaps",
    "fill_margin",
    "fill_plane",
    "find_margin",
    "find_margins",
    "is_count",
    "may_have_margin",
]

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: A margin holds a corner of the frame, and from there so many pixels along an edge: hardly ever by chance, even where
#: most counts are 0.
RUN_PX = 32
#: What is narrower is no margin, unless it lies along the edge.
_LEAST_PX = 5
#: Beside a margin pixels are a mixture with it, where the frame was turned or shifted by a part of a pixel.
_MIXED_PX = 2
#: More of a frame is never margin.
_MOST = 0.9
#: Share of its convex hull that the recorded part fills: shifted, turned and round ones are convex, a dark field with
#: cells is not.
_CONVEX = 0.9
#: Share of the step from the margin to the typical count that is made at once: light fades more slowly.
_STEP = 0.5
#: Means of squares with this power of 2 pixels along an edge hold hardly any noise: they tell the range of the
#: background. From the second one on squares hold no more than that.
_FREE_OF_NOISE, _LARGE = 3, 5
#: No sum of camera counts is as large; beyond it arithmetic overflows.
LARGEST = 1e12
#: Pairs of pixels that tell the noise, and how far apart they are: neighbours share some where a frame was turned.
_N_PAIRS, _APART_PX = 4096, 2


def may_have_margin(plane: NDArray[Any]) -> bool:
    """Whether a plane holds one value along an edge from some corner on: if not, it has no margin.

    Its first and last :data:`RUN_PX` rows alone, one below the other, tell as much.
    """
    return bool(_corner_values(plane))


def find_margins(planes: Iterable[NDArray[Any]]) -> Mask | None:
    """Pixels that were not recorded in one of several planes of a frame, as :func:`find_margin` finds them."""
    found = [margin for margin in map(find_margin, planes) if margin is not None]
    return np.logical_or.reduce(found) if found else None


def find_margin(plane: NDArray[Any]) -> Mask | None:
    """Pixels of a plane that were not recorded.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        Counts, or numbers and NaN.

    Returns
    -------
    ndarray of bool, shape (Y, X), or None
        None where all were recorded.
    """
    # infinite and absurd numbers are damage
    values = [value for value in _corner_values(plane) if np.isnan(value) or is_count(value)]
    if not values:
        return None
    numbers = [value for value in values if not np.isnan(value)]
    one_value = np.isnan(plane) if np.issubdtype(plane.dtype, np.floating) else np.zeros(plane.shape, np.bool_)
    for value in numbers:
        one_value |= plane == value
    # outside the frame is margin as well, so that a narrow one along an edge is wide enough
    pad = _LEAST_PX - 1
    wide = cv2.copyMakeBorder(one_value.view(np.uint8), pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=1)
    wide = cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((_LEAST_PX, _LEAST_PX), np.uint8))
    labels = cv2.connectedComponents(wide, connectivity=4)[1]
    margin = (labels[pad:-pad, pad:-pad] == labels[0, 0]).astype(np.uint8)
    share = float(margin.mean())
    if not 0 < share <= _MOST:
        return None
    margin = np.asarray(cv2.dilate(margin, np.ones((2 * _MIXED_PX + 1, 2 * _MIXED_PX + 1), np.uint8)), np.uint8)
    if not numbers or (_is_convex(margin == 0) and _is_steep(plane, margin, numbers[0])):
        return margin.view(np.bool_)
    return None


def fill_plane(plane: NDArray[Any]) -> NDArray[Any]:
    """A plane as it is analysed: what was not recorded, and pixels without a number, are filled in.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        Counts, or numbers and NaN.

    Returns
    -------
    ndarray, shape (Y, X)
        Float32 where something was filled in or the plane was of floats; else the same plane. A margin holds the level
        beside it, smoother with the distance, and white noise: the same in each call, and other in each frame.
    """
    margin = find_margin(plane)
    if margin is None:
        return fill_gaps(plane.astype(np.float32, copy=False)) if np.issubdtype(plane.dtype, np.floating) else plane
    return fill_margin(plane, margin)


def fill_margin(plane: NDArray[Any], margin: Mask) -> Image:
    """As :func:`fill_plane`, where the margin, shape (Y, X), was found already."""
    image = fill_gaps(np.where(margin, np.float32(np.nan), plane.astype(np.float32)))
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(plane).tobytes()))
    image[margin] = _level(image, ~margin)[margin] + rng.choice(_noise(image, ~margin, rng), np.count_nonzero(margin))
    return image


def fill_gaps(image: Image) -> Image:
    """A plane whose pixels without a number hold the median of the others; the same plane where there are none."""
    good = is_count(image)
    if good.all():
        return image
    return np.where(good, image, np.median(image[good]) if good.any() else np.float32(0)).astype(np.float32)


def is_count(image: Any) -> Any:
    """Whether pixels, or one, hold a number that a camera could have counted."""
    return np.abs(image) < LARGEST  # false for NaN too


def _corner_values(plane: NDArray[Any]) -> list[Any]:
    """Values that are held along an edge from a corner on."""
    if min(plane.shape) < 2 * RUN_PX:
        return []
    out = []
    for y, rows in ((0, slice(RUN_PX)), (-1, slice(-RUN_PX, None))):
        for x, columns in ((0, slice(RUN_PX)), (-1, slice(-RUN_PX, None))):
            value = plane[y, x]
            if any(
                np.array_equal(run, np.full_like(run, value), equal_nan=True)
                for run in (plane[y, columns], plane[rows, x])
            ):
                out.append(value)
    return out


def _is_convex(recorded: Mask) -> bool:
    """Whether the recorded part hardly differs from its convex hull."""
    rows = np.flatnonzero(recorded.any(axis=1))
    first, last = recorded[rows].argmax(axis=1), recorded.shape[1] - 1 - recorded[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)]).astype(np.int32)
    hull = cv2.contourArea(cv2.convexHull(ends))
    return bool(np.count_nonzero(recorded) >= _CONVEX * hull)


def _is_steep(plane: NDArray[Any], margin: NDArray[np.uint8], value: Any) -> bool:
    """Whether the counts beside the margin are nearer to the typical ones than to its value."""
    beside = cv2.dilate(margin, np.ones((5, 5), np.uint8)) > margin
    if not beside.any():
        return False
    step = float(np.median(plane[beside])) - float(value)
    whole = float(np.median(plane[margin == 0])) - float(value)
    return whole != 0 and step / whole > _STEP


def _level(image: Image, recorded: Mask) -> Image:
    """What is recorded, and where nothing is the mean of the smallest square of a pyramid that holds something.

    A body that a margin cuts goes on for the width of small squares, so that its outline does not follow the margin.
    Large ones hold the level of the background.
    """
    share = recorded.astype(np.float32)
    total = image * share
    finer: list[tuple[Image, Image]] = []
    most = np.float32(np.inf)
    while max(total.shape) > 1:
        if len(finer) == _FREE_OF_NOISE:
            low, middle = np.quantile(total[share > 0] / share[share > 0], (0.05, 0.5))
            most = np.float32(2 * middle - low)
        if len(finer) >= _LARGE:
            total = np.minimum(total, most * share)
        finer.append((total, share))
        total, share = halved(total), halved(share)
    level = total / share
    for total, share in reversed(finer):
        level = total + (1 - share) * doubled(level, total.shape)
    return level


def _noise(image: Image, recorded: Mask, rng: np.random.Generator) -> Image:
    """Deviations of single pixels where the image is dim, from what pixels differ by that share no noise."""
    height, width = image.shape
    y, x = rng.integers(0, height, _N_PAIRS), rng.integers(0, width - _APART_PX, _N_PAIRS)
    is_pair = recorded[y, x] & recorded[y, x + _APART_PX]
    a, b = image[y, x][is_pair], image[y, x + _APART_PX][is_pair]
    dim = a + b <= np.median(a + b) if a.size else np.zeros(0, np.bool_)
    return (a - b)[dim] / np.float32(np.sqrt(2)) if dim.any() else np.zeros(1, np.float32)
