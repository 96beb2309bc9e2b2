"""Grids on which bodies are found and outlined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from migradetect.filters import resize

__all__ = [
    "Grid",
    "areas",
    "ball",
    "depth_um",
    "disc",
    "eroded",
    "grey_opening",
    "grown",
    "nearest",
    "padded",
    "relabelled",
    "to_shape",
]

#: Pixels that still show the edge of a body, um.
_LARGE_UM = 0.3

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Grid:
    """A grid of square pixels over the frame."""

    shape: tuple[int, int]
    pixel_um: float

    @classmethod
    def of(cls, shape: tuple[int, ...], pixel_um: float, wanted_um: float) -> Grid:
        """Grid of at least `wanted_um`; the recorded one where its pixels are about as large."""
        factor = max(1.0, wanted_um / pixel_um)
        if factor < 1.3:
            factor = 1.0
        rows, columns = (max(1, round(n / factor)) for n in shape)
        return cls((rows, columns), pixel_um * shape[0] / rows)

    @classmethod
    def shrunk(cls, shape: tuple[int, ...], pixel_um: float, most_um: float) -> Grid:
        """Grid of a whole number of pixels, `most_um` at most: shrinking to it is fast and exact."""
        factor = max(1, int(most_um / pixel_um))
        rows, columns = (max(1, round(n / factor)) for n in shape)
        return cls((rows, columns), pixel_um * shape[0] / rows)

    def halved(self) -> Grid:
        """Grid of twice the pixel size; the same where its pixels are large already."""
        if self.pixel_um > _LARGE_UM:
            return self
        rows, columns = (max(1, n // 2) for n in self.shape)
        return Grid((rows, columns), self.pixel_um * self.shape[0] / rows)

    def px(self, um: float) -> float:
        """Micrometres to pixels of this grid."""
        return um / self.pixel_um


@cache
def disc(radius_px: float) -> NDArray[np.uint8]:
    """Flat disc; its radius need not be whole."""
    r = int(np.ceil(max(radius_px, 1.0)))
    yy, xx = np.mgrid[-r : r + 1, -r : r + 1]
    return (yy**2 + xx**2 <= max(radius_px, 1.0) ** 2 + 0.25).astype(np.uint8)


@cache
def ball(radius_px: float) -> NDArray[np.uint8]:
    """All places nearer than a radius."""
    r = max(int(np.ceil(radius_px)) - 1, 0)
    yy, xx = np.mgrid[-r : r + 1, -r : r + 1]
    return (yy**2 + xx**2 < max(radius_px, 1e-3) ** 2).astype(np.uint8)


def grown(mask: Mask, um: float, pixel_um: float) -> Mask:
    """Mask and what lies nearer to it than a distance."""
    return cv2.dilate(mask.view(np.uint8), ball(um / pixel_um)).view(np.bool_)


def eroded(mask: Mask, um: float, pixel_um: float) -> Mask:
    """What lies in a mask and no nearer to its outside than a distance; the border of the frame is no outside."""
    return cv2.erode(mask.view(np.uint8), ball(um / pixel_um)).view(np.bool_)


def grey_opening(image: Image, radius_px: float) -> Image:
    """Image without what is narrower than a disc and brighter than its surroundings."""
    opened = cv2.morphologyEx(image, cv2.MORPH_OPEN, disc(radius_px), borderType=cv2.BORDER_REFLECT)
    return np.asarray(opened, dtype=np.float32)


def depth_um(mask: Mask, pixel_um: float) -> Image:
    """Distance to the nearest pixel outside of a mask, um; a mask without outside is deep everywhere."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return np.minimum(distance, sum(mask.shape), dtype=np.float32) * np.float32(pixel_um)


def to_shape(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Mask on another grid, its edge between the pixels of the first."""
    if mask.shape == shape:
        return mask
    return resize(mask.astype(np.float32), shape) > 0.5


def nearest(labels: Labels, shape: tuple[int, ...]) -> Labels:
    """Labels on another grid."""
    # values are only moved, so that they may stand in for those of a type that OpenCV resizes
    small = cv2.resize(labels.view(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, np.float32).view(np.int32)


def padded(box: tuple[slice, ...], margin: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Box with a margin, within the image."""
    return tuple(slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, shape, strict=True))


@njit(cache=True, nogil=True)
def areas(labels: Any, n: int) -> Any:  # pragma: no cover (numba)
    """Pixels of each of `n` labels, as numpy.bincount and without its copy."""
    out = np.zeros(n, np.int64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            out[labels[y, x]] += 1
    return out


@njit(cache=True, nogil=True)
def relabelled(labels: Any, lut: Any) -> Any:  # pragma: no cover (numba)
    """New label, or whatever the table holds, of each pixel."""
    out = np.empty(labels.shape, lut.dtype)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            out[y, x] = lut[labels[y, x]]
    return out
