"""When a migrasome exists, and how it ends: change-points of its site's photometry relative to its own plateau."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Existence", "Trace", "find_existence"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Present means at least this share of the way from the empty site to the plateau. A matched filter sees a growing disc
#: as its area; one that fades is followed for longer.
_PRESENT_SHARE = 0.25
#: A migrasome begins when it is this large, um: of a large one that is a small share of its plateau, but no less than
#: what the noise and the fiber below leave to see.
_BORN_UM = 0.5
_LEAST_SHARE = 0.08
#: The site's own filter answer varies by this share of the plateau: focus, bleaching, what moves past.
_OWN_SPREAD = 0.1
#: A change of evidence per frame is bounded, so that one wild frame can't decide.
_MOST_EVIDENCE = 6.0
#: Under a body the texture stays the same for several frames: each says less.
_MOST_COVERED_EVIDENCE = 1.0
#: What is left after the end (bare fiber, a piece of membrane) is at most this share of the plateau.
_MOST_LEFT = 0.5
#: Frames that tell a level.
_LEVEL_FRAMES = 5
#: Covered for fewer frames than this at the end of the record, nothing is said about uptake.
_LEAST_COVER = 3
#: Fewest frames that tell when a growth began, and its time constants that are tried, frames.
_FEWEST_GROWTH = 6
_GROWTH_FRAMES = (0.3, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class Existence:
    """First and last frame of a migrasome, and its fate."""

    first: int
    last: int
    fate: str
    engulfed_by: int
    """Cell that took it up; 0 for none."""


@dataclass(frozen=True)
class Trace:
    """What one site's photometry says; arrays of shape (T,).

    Parameters
    ----------
    amplitude, error : ndarray
        Matched-filter photometry at the site and its standard error; NaN where it can't be read.
    covering_cell : ndarray of int
        Cell over the site; 0 for none.
    is_in_field : ndarray of bool
        The site lies in the image.
    covered, covered_error : ndarray, optional
        Photometry through the body over the site, and what the body's texture makes of it; NaN where it can't be read.
    """

    amplitude: Array
    error: Array
    covering_cell: NDArray[np.int64]
    is_in_field: Flags
    covered: Array | None = None
    covered_error: Array | None = None

    @property
    def is_readable(self) -> Flags:
        """Frames in which the site lies open."""
        return np.isfinite(self.amplitude) & (self.error > 0) & (self.covering_cell == 0) & self.is_in_field


def find_existence(
    trace: Trace,
    seen_first: int,
    seen_last: int,
    drop_frames: float = 2.0,
    uptake_frames: float = np.inf,
    full_um: float = np.nan,
) -> Existence:
    """Stretch of frames in which a migrasome exists.

    Each frame gives evidence for or against a signal of at least a quarter of the plateau, at the start of what half a
    micrometre is of it; the stretch with the largest sum of evidence around the frames in which it is full is
    taken (maximum-likelihood change-points of a step in noise). The empty site has a level of its own before and after:
    a bare fiber answers to the filter too. Frames out of the field say nothing; those under a cell say what is seen
    through it.

    Parameters
    ----------
    trace : Trace
        Photometry of the site.
    seen_first, seen_last : int
        First and last frame in which a spot was linked.
    drop_frames : float
        A fall from full to nothing within this many frames is a rupture, a longer one a fade.
    uptake_frames : float
        What is still seen so long after a cell came over it was not taken up by that cell: its end is one of its own.
    full_um : float
        Diameter at the plateau; NaN where it is not known.

    Returns
    -------
    Existence
    """
    n = trace.amplitude.size
    readable = trace.is_readable
    inside = readable.copy()
    inside[:seen_first] = False
    inside[seen_last + 1 :] = False
    usable = inside if inside.any() else readable
    plateau = _plateau(trace.amplitude, usable)
    if not usable.any() or plateau <= float(np.median(trace.error[usable])):
        # the site can't be read (always beside a body), or nothing is read there: the detections are all there is
        to_the_end = _lives_on(trace, seen_first)
        return to_the_end if seen_last >= min(to_the_end.last, n - 2) else Existence(seen_first, seen_last, "fade", 0)
    smooth = _running_median(np.where(readable, trace.amplitude, np.nan))
    full = np.flatnonzero(inside & (smooth > 0.6 * plateau))
    if not full.size:
        full = np.flatnonzero(inside) if inside.any() else np.array([seen_first, seen_last])
    born, gone = int(full[0]), int(full[-1])
    before = _level_before(trace.amplitude, readable, born, plateau)
    after = _level_after(trace.amplitude, readable, gone, plateau)
    first = _extend(_evidence(trace, readable, before, plateau, _start_share(full_um)), born, -1)
    first = max(first, _swelling_start(trace, readable, smooth, first, plateau))
    last = _extend(_evidence(trace, readable, after, plateau, _PRESENT_SHARE), gone, 1)
    level = trace.amplitude if trace.covered is None else np.where(readable, trace.amplitude, trace.covered)
    share = (level - after) / (plateau - after)
    return _with_fate(trace, readable, share, plateau, (min(first, last), max(first, last)), drop_frames, uptake_frames)


def _plateau(amplitude: Array, inside: Flags) -> float:
    """Full level: high among the smoothed values, because growth, a fade and a bare fiber pull the middle down."""
    smooth = _running_median(np.where(inside, amplitude, np.nan))[inside]
    return float(np.quantile(smooth, 0.7)) if smooth.size else float("nan")


def _level_before(amplitude: Array, readable: Flags, born: int, plateau: float) -> float:
    """What the bare fiber leaves in the filter before the swelling: the lowest running mean there."""
    before = readable.copy()
    before[born + 1 :] = False
    values = amplitude[before]
    if values.size < _LEVEL_FRAMES:
        return 0.0
    running = np.convolve(values, np.ones(_LEVEL_FRAMES) / _LEVEL_FRAMES, mode="valid")
    return float(np.clip(running.min(), 0, _MOST_LEFT * plateau))


def _level_after(amplitude: Array, readable: Flags, gone: int, plateau: float) -> float:
    """What is left at the site after the end: a level that stays, because one that falls is a fade that goes on."""
    after = readable.copy()
    after[: gone + 2] = False
    values = amplitude[after]
    if values.size < _LEVEL_FRAMES:
        return 0.0
    half = values.size // 2
    if abs(np.median(values[:half]) - np.median(values[half:])) > 0.12 * plateau:
        return 0.0
    return float(np.clip(np.median(values), 0, _MOST_LEFT * plateau))


def _swelling_start(trace: Trace, readable: Flags, smooth: Array, first: int, plateau: float) -> int:
    """First frame of the growth: a level, and from then on a disc that grows to its size.

    A fiber that is laid first, or debris on it, lifts the site well before it swells. Least squares over start and time
    constant; level and height are linear (variable projection, as in :mod:`migradetect.growth`). -1 where the record
    does not show it.
    """
    full = np.flatnonzero(readable & (smooth > 0.9 * plateau) & (np.arange(smooth.size) > first))
    if not full.size:
        return -1
    # only what follows the rise that was found: before that the site may have been emptier still
    frames = np.arange(max(first - 1, 0), min(int(full[0]) + _LEVEL_FRAMES, smooth.size))
    frames = frames[readable[frames]]
    if frames.size < _FEWEST_GROWTH or first == 0:
        return -1
    value = trace.amplitude[frames]
    weight = 1 / np.hypot(trace.error[frames], _OWN_SPREAD * np.maximum(value, 0.2 * plateau)) ** 2
    starts = np.arange(first, full[0] + 0.5, 0.5)
    start = _best_start(frames.astype(np.float64), value, weight, starts, np.array(_GROWTH_FRAMES), plateau)
    return int(np.floor(start))


@njit(cache=True, nogil=True)
def _best_start(
    frames: Array, value: Array, weight: Array, starts: Array, constants: Array, plateau: float
) -> float:  # pragma: no cover (numba)
    """Start of the growth that leaves the smallest residual of a weighted straight line; -1 for none."""
    best, start = np.inf, -1.0
    grown = np.empty(frames.size)
    sum_w, mean_y = weight.sum(), (weight * value).sum() / weight.sum()
    for t0 in starts:
        for tau in constants:
            mean_x = 0.0
            for k in range(frames.size):
                grown[k] = (1 - np.exp(-(frames[k] - t0) / tau)) ** 2 if frames[k] > t0 else 0.0
                mean_x += weight[k] * grown[k]
            mean_x /= sum_w
            spread = shared = 0.0
            for k in range(frames.size):
                off = weight[k] * (grown[k] - mean_x)
                spread += off * (grown[k] - mean_x)
                shared += off * value[k]
            height = shared / spread if spread > 0 else 0.0
            level = mean_y - height * mean_x
            if height <= 0.5 * plateau or level >= _MOST_LEFT * plateau:
                continue
            chi2 = 0.0
            for k in range(frames.size):
                chi2 += weight[k] * (value[k] - level - height * grown[k]) ** 2
            if chi2 < best:
                best, start = chi2, t0
    return start


def _start_share(full_um: float) -> float:
    """Share of the plateau at which one of this diameter begins."""
    return float(np.clip((_BORN_UM / full_um) ** 2, _LEAST_SHARE, _PRESENT_SHARE)) if full_um > 0 else _PRESENT_SHARE


def _evidence(trace: Trace, readable: Flags, empty: float, plateau: float, present: float) -> Array:
    """Log-likelihood ratio of a migrasome of at least the share `present` of the plateau against an empty site."""
    height = plateau - empty

    def ratio(amplitude: Array, error: Array, usable: Flags, most: float) -> Array:
        share = np.where(usable, (amplitude - empty) / height, 0.0)
        spread = np.where(usable, np.hypot(error / height, _OWN_SPREAD), 1.0)
        level = 2 * present
        return np.where(usable, np.clip(level * (share - level / 2) / spread**2, -most, most), 0.0)

    total = ratio(trace.amplitude, trace.error, readable, _MOST_EVIDENCE)
    if trace.covered is None or trace.covered_error is None:
        return total
    through = ~readable & np.isfinite(trace.covered) & (trace.covered_error > 0)
    # beside a body, too, the site stands out or not
    return total + ratio(trace.covered, trace.covered_error, through, _MOST_COVERED_EVIDENCE)


@njit(cache=True, nogil=True)
def _running_median(values: Array) -> Array:  # pragma: no cover (numba)
    """Median of each value and its neighbours, as far as they are known; 0 where none is."""
    out = np.zeros(values.size)
    near = np.empty(3)
    for k in range(values.size):
        n = 0
        for j in range(max(k - 1, 0), min(k + 2, values.size)):
            if np.isfinite(values[j]):
                near[n] = values[j]
                n += 1
        if n:
            out[k] = np.median(near[:n])
    return out


def _extend(evidence: Array, start: int, step: int) -> int:
    """Frame at which the stretch begins or ends: where the evidence, added up from `start` on, is largest."""
    outward = evidence[start + step :: step] if 0 <= start + step < evidence.size else evidence[:0]
    gain = np.concatenate([[0.0], np.cumsum(outward)])
    # the first of equal ones: a frame that says nothing does not prolong
    return start + step * int(np.argmax(gain))


def _with_fate(
    trace: Trace,
    readable: Flags,
    share: Array,
    plateau: float,
    life: tuple[int, int],
    drop_frames: float,
    uptake_frames: float,
) -> Existence:
    n = share.size
    first, last = life
    lives_on = _lives_on(trace, first)
    if last >= min(lives_on.last, n - 2):
        return lives_on
    after = slice(last + 1, n)
    over, outside = trace.covering_cell[after], ~trace.is_in_field[after]
    own_end = "rupture" if _fall_frames(share, first, last) <= drop_frames else "fade"
    if readable[after].any():
        open_again = int(np.argmax(readable[after]))
        over, outside = over[:open_again], outside[:open_again]
        is_gone = True
    elif outside.any() and (over > 0).mean() < 0.5:
        return Existence(first, last, "left_field", 0)
    else:
        against = _evidence(trace, readable, 0.0, plateau, _PRESENT_SHARE)[after].sum() < 0
        is_gone = (over > 0).sum() >= _LEAST_COVER and against
    if not is_gone:
        # covered to the end and nothing speaks for uptake
        return lives_on
    if (over > 0).any():
        open_before = np.flatnonzero(readable[: last + 1])
        if open_before.size and last - open_before[-1] >= uptake_frames:
            return Existence(first, last, own_end, 0)
        return Existence(first, last, "engulfed", int(np.bincount(over[over > 0]).argmax()))
    # out of the field when it went: nobody saw how
    return Existence(first, last, "left_field" if outside.size and outside.all() else own_end, 0)


def _lives_on(trace: Trace, first: int) -> Existence:
    """Life of what did not end in view: to the end of the record, or until it left the field and did not come back."""
    n, in_field = trace.is_in_field.size, np.flatnonzero(trace.is_in_field)
    if in_field.size and first <= in_field[-1] < n - 1:
        return Existence(first, int(in_field[-1]), "left_field", 0)
    return Existence(first, n - 1, "persist", 0)


def _fall_frames(share: Array, first: int, last: int) -> float:
    """Frames from 80 % to 25 % of the level before the fall."""
    earlier = share[max(first, last - 12) : max(first, last - 5) + 1]
    earlier = earlier[np.isfinite(earlier)]
    top = float(np.median(earlier)) if last - first > 6 and earlier.size else 1.0
    top = top if top > 0.3 else 1.0
    k = last + 1
    while k > first and not share[k] > 0.75 * top:
        k -= 1
    end = min(last + 1, share.size - 1)
    return float(end - k)
