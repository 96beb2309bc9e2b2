"""Which cell left a migrasome, and where on the fiber it formed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.params import AssignParams

__all__ = ["CellHistory", "ParentEvidence", "assign_parent", "location_from_arms"]

Labels = NDArray[np.int32]
Array = NDArray[np.float64]

_COARSE_UM = 0.5
_MARGIN_UM = 40.0


class CellHistory:
    """Map of the dish: which cell was here last, and in which frame.

    The map is coarse (0.5 um) and holds only the last cell, so its size does not depend on the number of frames.

    Parameters
    ----------
    shape_yx : tuple of int
        Rows and columns of the image.
    calibration : Calibration
        Pixel size.
    """

    def __init__(self, shape_yx: tuple[int, int], calibration: Calibration) -> None:
        self._calibration = calibration
        rows, columns = (int(np.ceil((calibration.um(float(n)) + 2 * _MARGIN_UM) / _COARSE_UM)) for n in shape_yx)
        self._cell = np.zeros((rows, columns), np.int32)
        self._frame = np.full((rows, columns), -1, np.int32)

    def add(self, frame: int, cells: Labels, drift_um: tuple[float, float]) -> None:
        """Note the bodies of a frame.

        Parameters
        ----------
        frame : int
            Frame index, rising.
        cells : ndarray of int, shape (Y, X)
            Label value = cell_id.
        drift_um : tuple of float
            Stage drift (y, x).
        """
        step = self._calibration.pixel_size_um / _COARSE_UM
        transform = np.array(
            [
                [step, 0, (_MARGIN_UM - drift_um[1]) / _COARSE_UM],
                [0, step, (_MARGIN_UM - drift_um[0]) / _COARSE_UM],
            ]
        )
        size = self._cell.shape[::-1]
        coarse = cv2.warpAffine(cells.astype(np.float32), transform, size, flags=cv2.INTER_NEAREST).astype(np.int32)
        here = coarse > 0
        self._cell[here] = coarse[here]
        self._frame[here] = frame

    def last_cell(self, y_stage_um: Array, x_stage_um: Array, reach_um: float) -> tuple[NDArray[np.int64], ...]:
        """Cell that was last within reach of each place, and when.

        Parameters
        ----------
        y_stage_um, x_stage_um : ndarray, shape (N,)
            Drift-corrected places.
        reach_um : float
            A body this close counts as having been there.

        Returns
        -------
        cell_id, frame : ndarray of int, shape (N,)
            0 and -1 where no cell has been.
        """
        reach = max(0, round(reach_um / _COARSE_UM))
        cell = np.zeros(len(y_stage_um), np.int64)
        frame = np.full(len(y_stage_um), -1, np.int64)
        for i, (y, x) in enumerate(zip(y_stage_um, x_stage_um, strict=True)):
            row, column = round((y + _MARGIN_UM) / _COARSE_UM), round((x + _MARGIN_UM) / _COARSE_UM)
            window = (slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1))
            when = self._frame[window]
            if when.size and when.max() >= 0:
                at = np.unravel_index(int(np.argmax(when)), when.shape)
                cell[i], frame[i] = self._cell[window][at], when[at]
        return cell, frame


@dataclass(frozen=True)
class ParentEvidence:
    """What is known of one migrasome around its birth; 0 stands for no cell.

    Parameters
    ----------
    last_cell : int
        Cell that last lay over the place before the birth.
    frames_since : float
        Frames since it left.
    attached_cells : sequence of int
        Cells that fibers led to, one entry per frame in which one did.
    nearest_cell : int
        Nearest body at birth.
    nearest_um : float
        Its distance.
    """

    last_cell: int
    frames_since: float
    attached_cells: Sequence[int]
    nearest_cell: int
    nearest_um: float


def assign_parent(evidence: ParentEvidence, params: AssignParams) -> tuple[int, float]:
    """Cell that left a migrasome.

    The history of the bodies comes first: a migrasome stands where its cell has been. Then the fiber that leads to a
    cell. The nearest cell is right in barely half of the cases and is only taken when it is close and nothing else is
    known.

    Parameters
    ----------
    evidence : ParentEvidence
        Around birth.
    params : AssignParams
        Reach in um.

    Returns
    -------
    cell_id : int
        0 where the parent can't be told.
    confidence : float
        0 to 1.
    """
    votes: dict[int, float] = {}
    if evidence.last_cell:
        # the trace of a cell that left a long time ago may have been crossed by another
        votes[evidence.last_cell] = 1.0 + 1.0 * float(np.exp(-max(evidence.frames_since, 0) / 20))
    attached = [c for c in evidence.attached_cells if c]
    for cell in attached:
        votes[cell] = votes.get(cell, 0.0) + 1.2 / len(attached)
    if not votes:
        if evidence.nearest_cell and evidence.nearest_um <= params.max_cell_distance_um:
            return evidence.nearest_cell, 0.3
        return 0, float("nan")
    best = max(sorted(votes), key=lambda c: votes[c])
    return best, float(votes[best] / (sum(votes.values()) + 0.3))


def location_from_arms(n_arms: Sequence[int]) -> str | None:
    """Tip, shaft or branch, from the number of fiber arms in the frames around birth.

    Parameters
    ----------
    n_arms : sequence of int
        Arms seen in each frame; frames with none say nothing.

    Returns
    -------
    str or None
        None where no fiber was seen.
    """
    seen = [min(n, 3) for n in n_arms if n > 0]
    if not seen:
        return None
    counts = np.bincount(seen, minlength=4)
    return {1: "tip", 2: "shaft", 3: "branch"}[int(np.argmax(counts))]
