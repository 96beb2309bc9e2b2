"""What a place shows before, while and after something was found there: its pictures, added up over the movie.

A single frame shows a candidate among its noise. What stands on the dish stays where it is, so its frames add up: to a
sharp picture of what it is, how it came, and what was there before and is there after. A wider picture shows the fiber
that it stands on, and the bodies around.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.filters import smoothed_for, windows

__all__ = ["NEAR_STEP_UM", "PICTURE_PX", "WIDE_STEP_UM", "Look", "SceneReader", "Scenes"]

Image = NDArray[np.float32]
Array = NDArray[np.float64]

#: Samples along the edge of a picture, and their distance in the near and the wide one, um: 4.8 and 16 um are seen.
PICTURE_PX, NEAR_STEP_UM, WIDE_STEP_UM = 32, 0.15, 0.5
#: Frames before the first and after the last sighting that are looked at; those next to them show what comes and goes.
_AROUND = 8
#: Parts of the time: before, first, middle and last third, after.
_N_PARTS = 5
#: Channels of the near pictures.
_ROLES = ("wga", "tspan4")


@dataclass(frozen=True)
class Scenes:
    """Pictures of N places, means over frames in which the place was open.

    Parameters
    ----------
    near : ndarray, shape (N, 5, 3, 32, 32)
        Before, first, middle and last third, after: WGA, TSPAN4, each above the background of the movie over the noise
        of an empty pixel, and the share of frames in which a sample was outside bodies. 0 for a missing label.
    n_looks : ndarray of int, shape (N, 5)
        Frames in each.
    wide : ndarray, shape (N, 4, 32, 32)
        While it was found: WGA, TSPAN4, bodies; and bodies before that.
    """

    near: Image
    n_looks: NDArray[np.int64]
    wide: Image


@dataclass(frozen=True)
class Look:
    """Pictures of one frame.

    Parameters
    ----------
    parts : ndarray of bool, shape (N, 5)
        Parts of the time to which the frame belongs, of places that are open in it.
    seen : ndarray of int, shape (K,)
        Places of which there is a near picture.
    near : ndarray, shape (K, 3, 1024)
        WGA, TSPAN4, open or not.
    found : ndarray of int, shape (L,)
        Places of which there is a wide picture.
    wide : ndarray, shape (L, 3, 1024)
        WGA, TSPAN4, bodies.
    earlier : ndarray of int, shape (M,)
        Places where nothing has been found yet.
    bodies_before : ndarray, shape (M, 1024)
        Bodies around these.
    """

    parts: NDArray[np.bool_]
    seen: NDArray[np.intp]
    near: Image
    found: NDArray[np.intp]
    wide: Image
    earlier: NDArray[np.intp]
    bodies_before: Image


class SceneReader:
    """Adds up the pictures of N places frame by frame.

    Parameters
    ----------
    y_stage_um, x_stage_um : ndarray, shape (N,)
        Drift-corrected places.
    first, last : ndarray of int, shape (N,)
        Frames of the first and last sighting.
    calibration : Calibration
        Pixel size.
    """

    def __init__(
        self,
        y_stage_um: Array,
        x_stage_um: Array,
        first: NDArray[np.int64],
        last: NDArray[np.int64],
        calibration: Calibration,
    ) -> None:
        n = len(first)
        self._place_um = y_stage_um, x_stage_um
        self._first, self._last, self._calibration = first, last, calibration
        self._third = np.maximum((last - first + 1) // 3, 1)
        self._near = np.zeros((n, _N_PARTS, len(_ROLES) + 1, PICTURE_PX**2), np.float32)
        self._looks = np.zeros((n, _N_PARTS), np.int64)
        self._wide = np.zeros((n, len(_ROLES) + 2, PICTURE_PX**2), np.float32)
        self._wide_looks = np.zeros((n, 2), np.int64)

    def parts(self, frame: int) -> NDArray[np.bool_]:
        """Which parts of the time of each place a frame belongs to, shape (N, 5)."""
        first, last, third = self._first, self._last, self._third
        is_in = (frame >= first) & (frame <= last)
        # so few frames are the middle as a whole
        is_short = last - first < 2
        return np.stack(
            [
                (frame < first - 1) & (frame > first - 2 - _AROUND),
                is_in & (frame < first + third),
                is_in & (((frame >= first + third) & (frame <= last - third)) | is_short),
                is_in & (frame > last - third),
                (frame > last + 1) & (frame < last + 2 + _AROUND),
            ],
            axis=1,
        )

    def look(
        self,
        frame: int,
        labels: dict[str, Image],
        weight: Image,
        bodies: NDArray[np.bool_],
        drift_um: tuple[float, float],
    ) -> Look:
        """Pictures of one frame; changes nothing, so that frames can be looked at side by side.

        Parameters
        ----------
        frame : int
            Frame.
        labels : dict of str to ndarray, shape (Y, X)
            Counts above the background over the noise of an empty pixel, by role.
        weight : ndarray, shape (Y, X)
            1 outside bodies and their blurred edges, 0 inside.
        bodies : ndarray of bool, shape (Y, X)
            Cell bodies.
        drift_um : tuple of float
            Stage drift (y, x) of the frame.

        Returns
        -------
        Look
        """
        y, x = (self._calibration.px(self._place_um[k] + drift_um[k]) for k in (0, 1))
        height, width = weight.shape
        inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
        row, column = (np.where(inside, np.rint(place), 0).astype(int) for place in (y, x))
        parts = self.parts(frame) & (inside & (weight[row, column] > 0))[:, None]
        step, wide_step = (float(self._calibration.px(um)) for um in (NEAR_STEP_UM, WIDE_STEP_UM))
        share = np.asarray(cv2.blur(bodies.astype(np.float32), (max(1, int(wide_step)),) * 2), np.float32)
        earlier = np.flatnonzero(inside & (frame < self._first))
        seen = np.flatnonzero(parts.any(axis=1))
        found = seen[parts[seen, 1:4].any(axis=1)]
        near = np.zeros((len(seen), len(_ROLES) + 1, PICTURE_PX**2), np.float32)
        wide = np.zeros((len(found), len(_ROLES) + 1, PICTURE_PX**2), np.float32)
        for k, role in enumerate(_ROLES):
            if role in labels and seen.size:
                image = labels[role] * weight
                near[:, k] = windows(smoothed_for(image, step), y[seen], x[seen], PICTURE_PX, step)
                wide[:, k] = windows(smoothed_for(image, wide_step), y[found], x[found], PICTURE_PX, wide_step)
        near[:, 2] = windows(weight, y[seen], x[seen], PICTURE_PX, step, cv2.INTER_NEAREST)
        wide[:, 2] = windows(share, y[found], x[found], PICTURE_PX, wide_step)
        return Look(
            parts, seen, near, found, wide, earlier, windows(share, y[earlier], x[earlier], PICTURE_PX, wide_step)
        )

    def add(self, look: Look) -> None:
        """Add the pictures of a frame."""
        for part in range(_N_PARTS):
            here = look.parts[look.seen, part]
            self._near[look.seen[here], part] += look.near[here]
            self._looks[look.seen[here], part] += 1
        self._wide[look.found, :3] += look.wide
        self._wide_looks[look.found, 0] += 1
        self._wide[look.earlier, 3] += look.bodies_before
        self._wide_looks[look.earlier, 1] += 1

    def scenes(self) -> Scenes:
        """Means of what was read."""
        n = len(self._first)
        near = self._near / np.maximum(self._looks, 1).astype(np.float32)[:, :, None, None]
        wide = self._wide / np.maximum(self._wide_looks, 1).astype(np.float32)[:, [0, 0, 0, 1], None]
        edge = (PICTURE_PX, PICTURE_PX)
        return Scenes(near.reshape(n, _N_PARTS, -1, *edge), self._looks.copy(), wide.reshape(n, -1, *edge))
