"""Values between pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["bilinear", "sample"]


@njit(cache=True, nogil=True)
def bilinear(image: NDArray[np.float32], y_px: float, x_px: float) -> float:  # pragma: no cover (numba)
    """Bilinear value of an image of shape (Y, X) at a place with 0 <= y < Y - 1 and 0 <= x < X - 1, in pixels."""
    y0, x0 = int(np.floor(y_px)), int(np.floor(x_px))
    fy, fx = y_px - y0, x_px - x0
    return (
        image[y0, x0] * (1 - fy) * (1 - fx)
        + image[y0, x0 + 1] * (1 - fy) * fx
        + image[y0 + 1, x0] * fy * (1 - fx)
        + image[y0 + 1, x0 + 1] * fy * fx
    )


def sample(image: NDArray[np.float32], y_px: NDArray[np.float64], x_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear values of an image of shape (Y, X) at N places; beyond its edges they go on as they end."""
    if not len(y_px):
        return np.zeros(0)
    # OpenCV takes at most 32767 rows at once
    rows = [np.resize(one.astype(np.float32), (-(-one.size // 64), 64)) for one in (y_px, x_px)]
    values = cv2.remap(image, rows[1], rows[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float64).ravel()[: len(y_px)]
