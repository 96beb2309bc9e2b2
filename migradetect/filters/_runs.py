"""Runs of pixels that hold nothing, told at many pixels a time: most of a label plane is empty."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

__all__ = ["RUN_PX", "holds_any"]

#: Pixels that are looked at together.
RUN_PX = 64


@njit(cache=True, nogil=True)
def holds_any(run: NDArray[Any]) -> bool:  # pragma: no cover (numba)
    """Whether any of some integers, shape (N,) with N of 1 or more, is not 0."""
    any_set = run[0]
    for value in run:
        any_set |= value
    return bool(any_set != 0)
