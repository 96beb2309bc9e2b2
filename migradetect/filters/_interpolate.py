"""Values between pixels, for compiled loops."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["bilinear"]


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
