"""When a migrasome exists, and how it ends: change-points of its site's photometry relative to its own plateau."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Existence", "find_existence"]

Array = NDArray[np.float64]

#: Present means at least this share of the plateau; a matched filter sees a growing disc as its area.
_PRESENT_SHARE = 0.25
#: A change of evidence per frame is bounded, so that one wild frame can't decide.
_MOST_EVIDENCE = 6.0


@dataclass(frozen=True)
class Existence:
    """First and last frame of a migrasome, and its fate."""

    first: int
    last: int
    fate: str
    engulfed_by: int
    """Cell that took it up; 0 for none."""


def find_existence(
    amplitude: Array,
    error: Array,
    covering_cell: NDArray[np.int64],
    is_in_field: NDArray[np.bool_],
    seen_first: int,
    seen_last: int,
    drop_frames: float = 2.0,
) -> Existence:
    """Stretch of frames in which a migrasome exists.

    Each frame gives evidence for or against a signal of at least a quarter of the plateau; the stretch with the largest
    sum of evidence that overlaps the detections is taken (maximum-likelihood change-points of a step in noise). Frames
    under a cell or outside the field say nothing.

    Parameters
    ----------
    amplitude, error : ndarray, shape (T,)
        Matched-filter photometry at the site and its standard error; NaN where it can't be read.
    covering_cell : ndarray of int, shape (T,)
        Cell over the site; 0 for none.
    is_in_field : ndarray of bool, shape (T,)
        The site lies in the image.
    seen_first, seen_last : int
        First and last frame in which a spot was linked.
    drop_frames : float
        A fall from full to nothing within this many frames is a rupture, a longer one a fade.

    Returns
    -------
    Existence
    """
    n = amplitude.size
    readable = np.isfinite(amplitude) & (error > 0) & (covering_cell == 0) & is_in_field
    inside = readable.copy()
    inside[:seen_first] = False
    inside[seen_last + 1 :] = False
    values = amplitude[inside] if inside.any() else amplitude[readable]
    plateau = float(np.median(values)) if values.size else float("nan")
    if not np.isfinite(plateau) or plateau <= 0:
        # nothing can be read at the site (always beside a body): the detections are all there is
        return Existence(seen_first, seen_last, "persist" if seen_last >= n - 2 else "fade", 0)
    base = _level_before(amplitude, readable, seen_first, plateau)
    share = np.where(readable, (amplitude - base) / (plateau - base), np.nan)
    spread = np.where(readable, np.hypot(error / (plateau - base), 0.1), 1.0)
    level = 2 * _PRESENT_SHARE
    evidence = np.where(readable, level * (np.nan_to_num(share) - level / 2) / spread**2, 0.0)
    evidence = np.clip(evidence, -_MOST_EVIDENCE, _MOST_EVIDENCE)
    full = inside & (_running_median(share) > 0.6)
    anchors = np.flatnonzero(full if full.any() else inside)
    if not anchors.size:
        anchors = np.array([seen_first, seen_last])
    first = _extend(evidence, int(anchors[0]), -1)
    last = _extend(evidence, int(anchors[-1]), 1)
    return _with_fate(share, readable, covering_cell, is_in_field, first, last, drop_frames)


def _level_before(amplitude: Array, readable: NDArray[np.bool_], seen_first: int, plateau: float) -> float:
    """What the bare fiber leaves in the filter before the swelling: the lowest running median there, at most half."""
    before = readable.copy()
    before[max(seen_first, 0) + 3 :] = False
    values = amplitude[before]
    if values.size < 5:
        return 0.0
    running = np.convolve(values, np.ones(5) / 5, mode="valid")
    return float(np.clip(running.min(), 0, 0.5 * plateau))


def _running_median(values: Array) -> Array:
    pad = np.pad(values, 1, constant_values=np.nan)
    stack = np.stack([pad[i : i + values.size] for i in range(3)])
    stack = np.where(np.isfinite(stack).any(axis=0), stack, 0.0)
    return np.asarray(np.nanmedian(stack, axis=0))


def _extend(evidence: Array, start: int, step: int) -> int:
    """Frame at which the stretch begins or ends: where the evidence, added up from `start` on, is largest."""
    outward = evidence[start + step :: step] if 0 <= start + step < evidence.size else evidence[:0]
    gain = np.concatenate([[0.0], np.cumsum(outward)])
    # the first of equal ones: a frame that says nothing does not prolong
    return start + step * int(np.argmax(gain))


def _with_fate(
    share: Array,
    readable: NDArray[np.bool_],
    covering_cell: NDArray[np.int64],
    is_in_field: NDArray[np.bool_],
    first: int,
    last: int,
    drop_frames: float,
) -> Existence:
    n = share.size
    first, last = min(first, last), max(first, last)
    after = slice(last + 1, n)
    # left alone until the record ends: covered by a cell or out of the field from here on
    if last >= n - 2:
        return Existence(first, n - 1, "persist", 0)
    if not readable[after].any():
        nothing = covering_cell[after] > 0
        if nothing.mean() < 0.5 and (~is_in_field[after]).any():
            return Existence(first, last, "left_field", 0)
        cells = covering_cell[after][nothing]
        # still under the cell when the record ends: taken up only if that has lasted a while
        by = int(np.bincount(cells).argmax()) if cells.size else 0
        if cells.size >= 5:
            return Existence(first, last + 1 if covering_cell[last + 1] == 0 else last, "engulfed", by)
        return Existence(first, n - 1, "persist", 0)
    covered_at_end = covering_cell[last + 1 : last + 4]
    if (covered_at_end > 0).any() and not (readable[last + 1 : last + 3].all()):
        return Existence(first, last, "engulfed", int(covered_at_end[covered_at_end > 0][0]))
    return Existence(first, last, "rupture" if _fall_frames(share, readable, first, last) <= drop_frames else "fade", 0)


def _fall_frames(share: Array, readable: NDArray[np.bool_], first: int, last: int) -> float:
    """Frames from 80 % to 25 % of the level before the fall."""
    smooth = np.where(readable, share, np.nan)
    earlier = smooth[max(first, last - 12) : max(first, last - 5) + 1]
    earlier = earlier[np.isfinite(earlier)]
    top = float(np.median(earlier)) if last - first > 6 and earlier.size else 1.0
    top = top if top > 0.3 else 1.0
    k = last + 1
    while k > first and not (readable[k] and smooth[k] > 0.75 * top):
        k -= 1
    end = min(last + 1, share.size - 1)
    return float(end - k)
