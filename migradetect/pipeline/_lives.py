"""What the traces of the sites say: when each holds a migrasome, how large it is, and where on a fiber it lies."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.assign import location_from_arms
from migradetect.growth import GrowthFit, fit_growths
from migradetect.lifetimes import Existence, Trace, find_existence
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._pass3 import CLEAR_UM

__all__ = ["Seen", "read_lives", "read_locations", "read_sizes"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: A migrasome is found in most frames of its life: at least this share of those in which it can be seen.
_LEAST_FOUND = 0.5
#: A cell takes up what it runs into within minutes of contact; five times that is no longer this.
_UPTAKE_MIN = 25.0
#: Largest error of a diameter that counts, over the diameter.
_MOST_ERROR = 0.6
#: Quantile of the diameters of a life that stands for its plateau.
_FULL_QUANTILE = 0.7
#: Frames after birth in which fibers tell the location.
_AFTER_BIRTH = 10


@dataclass(frozen=True)
class Seen:
    """Traces of N sites over T frames; arrays of shape (N, T) but the last.

    Parameters
    ----------
    amplitude, amplitude_err, covered, covered_err, snr : ndarray
        Photometry.
    diameter_um, diameter_err_um : ndarray
        As measured.
    cell_um, fiber_um : ndarray
        Distance from the nearest body and fiber.
    covering_cell : ndarray of int
        Cell over the site; 0 for none.
    is_in_field, is_found : ndarray of bool
        The site lies in the image; a spot was linked there.
    is_sharp : ndarray of bool, shape (T,)
        Measurements in the frame can be trusted.
    """

    amplitude: Array
    amplitude_err: Array
    covered: Array
    covered_err: Array
    snr: Array
    diameter_um: Array
    diameter_err_um: Array
    cell_um: Array
    fiber_um: Array
    covering_cell: NDArray[np.int64]
    is_in_field: Flags
    is_found: Flags
    is_sharp: Flags

    @classmethod
    def from_table(cls, ordered: pd.DataFrame, is_found: Flags, is_blurred: Flags) -> Seen:
        """Columns of traces in order of site and frame."""
        kinds = {"covering_cell": np.int64, "is_in_field": bool}
        names = [field.name for field in fields(cls) if field.name not in ("is_found", "is_sharp")]
        columns = {name: ordered[name].to_numpy(kinds.get(name, np.float64)) for name in names}
        return cls(
            **{name: one.reshape(is_found.shape) for name, one in columns.items()},
            is_found=is_found,
            is_sharp=~is_blurred,
        )

    def is_sized(self, min_snr: float) -> Flags:
        """Where a diameter can be trusted: bright, sized with some certainty, and in focus; shape (N, T)."""
        with np.errstate(invalid="ignore"):
            is_certain = self.diameter_err_um < _MOST_ERROR * self.diameter_um
            return np.asarray((self.snr > min_snr) & is_certain & self.is_sharp)

    @property
    def reach_um(self) -> Array:
        """Radius as measured in the frame; that of a small one where it is not known."""
        return np.asarray(np.where(np.isfinite(self.diameter_um), self.diameter_um, 0.5) / 2)


def read_lives(movie: Movie, seen: Seen, accepted: pd.DataFrame, params: Params) -> list[Existence]:
    """When each site holds a migrasome."""
    # out of focus a bead is dimmer and wider than it is: such frames neither begin nor end it, nor tell its size
    amplitude = np.where((seen.cell_um > CLEAR_UM) & seen.is_sharp, seen.amplitude, np.nan)
    sized = np.where(seen.is_sized(params.photometry.min_snr), seen.diameter_um, np.nan)
    uptake = _UPTAKE_MIN / movie.calibration.frame_interval_min
    out = []
    spans = zip(accepted["frame_first"].astype(int), accepted["frame_last"].astype(int), strict=True)
    for i, span in enumerate(spans):
        life = Existence(0, 0, "persist", 0)
        if movie.n_frames > 1:
            trace = Trace(
                amplitude[i],
                seen.amplitude_err[i],
                seen.covering_cell[i],
                seen.is_in_field[i],
                seen.covered[i],
                seen.covered_err[i],
            )
            full_um = _full_size(sized[i, span[0] : span[1] + 1])
            life = find_existence(trace, *span, uptake_frames=uptake, full_um=full_um)
        is_open = seen.is_sharp & (seen.covering_cell[i] == 0)
        out.append(_keep_to_detections(life, is_open, span, seen.is_found[i]))
    return out


def _full_size(sized: Array) -> float:
    """Diameter at the plateau: high among those that are known, because growth pulls the middle down; um."""
    known = sized[np.isfinite(sized)]
    return float(np.quantile(known, _FULL_QUANTILE)) if known.size else float("nan")


def _keep_to_detections(existence: Existence, is_open: Flags, seen: tuple[int, int], found: Flags) -> Existence:
    """Undo an extension over frames in which hardly any spot was found: a bare fiber holds some signal everywhere."""
    life = slice(existence.first, existence.last + 1)
    n_open = int(is_open[life].sum())
    if n_open and (found[life] & is_open[life]).sum() / n_open >= _LEAST_FOUND:
        return existence
    first, last = max(existence.first, seen[0]), min(existence.last, seen[1])
    if first > last:
        first, last = seen
    fate = existence.fate if last == existence.last else "fade"
    return Existence(first, last, fate, existence.engulfed_by if fate == "engulfed" else 0)


def read_sizes(seen: Seen, lives: list[Existence], time: Array, params: Params) -> tuple[list[GrowthFit], Array, Array]:
    """Growth of each site, and its diameter in each frame with its error."""
    spread = seen.diameter_err_um
    diameter = np.where(seen.is_sized(params.photometry.min_snr), seen.diameter_um, np.nan)
    with np.errstate(invalid="ignore"):
        # below the resolution a bead on a line has no diameter of its own: the curve is extrapolated to its start
        clear = (diameter > params.growth.min_diameter_um) & (seen.cell_um > CLEAR_UM)
    sized = np.where(clear, diameter, np.nan)
    spans = [slice(life.first, life.last + 1) for life in lives]
    curves = [(time[span], sized[i, span], spread[i, span]) for i, span in enumerate(spans)]
    fits = fit_growths(curves, params.growth, [life.first == 0 for life in lives])
    first, last = (np.array([getattr(life, end) for life in lives]) for end in ("first", "last"))
    value, error = _smoothed(diameter, spread, first, last)
    for i, span in enumerate(spans):
        _fill_gaps(value[i, span], fits[i], time[span])
    return fits, value, error


@njit(cache=True, nogil=True)
def _smoothed(
    diameter: Array, spread: Array, first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[Array, Array]:  # pragma: no cover (numba)
    """Diameter of each frame from itself and its neighbours, weighted by their errors; NaN where none is known."""
    value, error = np.full(diameter.shape, np.nan), np.full(diameter.shape, np.nan)
    for i in range(len(diameter)):
        for t in range(first[i], last[i] + 1):
            n, low, high = 0, t, t
            sum_w = sum_d = sum_x = sum_e = 0.0
            for k in range(max(t - 3, first[i]), min(t + 3, last[i]) + 1):
                d = diameter[i, k]
                if not np.isfinite(d):
                    continue
                e = np.hypot(spread[i, k], 0.02 * d)
                w = np.exp(-0.5 * ((k - t) / 1.5) ** 2) / e**2
                sum_w, sum_d, sum_x, sum_e = sum_w + w, sum_d + w * d, sum_x + w * (k - t), sum_e + (w * e) ** 2
                n, low, high = n + 1, min(low, k), max(high, k)
            if n == 0:
                continue
            value[i, t], error[i, t] = sum_d / sum_w, np.sqrt(sum_e) / sum_w
            # a local straight line where there are points on both sides, so that growth is not flattened
            if n >= 4 and low < t < high:
                centre = sum_x / sum_w
                shared = square = 0.0
                for k in range(max(t - 3, first[i]), min(t + 3, last[i]) + 1):
                    d = diameter[i, k]
                    if np.isfinite(d):
                        w = np.exp(-0.5 * ((k - t) / 1.5) ** 2) / np.hypot(spread[i, k], 0.02 * d) ** 2
                        shared += w * (k - t - centre) * d
                        square += w * (k - t - centre) ** 2
                value[i, t] -= shared / square * centre
    return value, error


def _fill_gaps(value: Array, fit: GrowthFit, time: Array) -> None:
    """Fill the gaps of one life from the growth fit, no larger than what was measured around; in place."""
    known = np.isfinite(value)
    if known.all():
        return
    missing, frames = ~known, np.arange(value.size)
    near = np.full(int(missing.sum()), fit.plateau_um)
    if known.any():
        near = np.interp(frames[missing], frames[known], value[known])
    model = fit.diameter(time[missing])
    value[missing] = np.where(model > 0, np.minimum(model, near), near)


def read_locations(
    seen: Seen, first: NDArray[np.int64], n_arms: NDArray[np.int64], params: Params
) -> NDArray[np.object_]:
    """Where on a fiber each site lies, from the frames after its birth."""
    frame = np.arange(seen.is_sharp.size)
    is_early = (frame >= first[:, None]) & (frame <= first[:, None] + _AFTER_BIRTH) & (seen.covering_cell == 0)
    near_fiber = (is_early & (seen.fiber_um <= params.assign.fiber_reach_um + seen.reach_um)).any(axis=1)
    out = np.empty(first.size, object)
    out[:] = [location_from_arms(*one) for one in zip(n_arms.tolist(), near_fiber.tolist(), strict=True)]
    return out
