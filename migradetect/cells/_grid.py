"""Grids on which bodies are found and outlined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.filters import resize

__all__ = ["Grid", "depth_um", "disc", "grey_opening", "nearest", "padded", "to_shape"]

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
    small = cv2.resize(labels.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return small.astype(np.int32)


def padded(box: tuple[slice, ...], margin: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Box with a margin, within the image."""
    return tuple(slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, shape, strict=True))
