"""Scores of fiber centrelines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.evaluate.cells import label_frames
from migradetect.evaluate.tally import FloatArray, IntArray, Score, Tally, ratio
from migradetect.results import Results

__all__ = ["CELL_MARGIN_UM", "TOLERANCE_UM", "scores_fibers", "tally_fibers"]

#: About one width of the point spread function: a centreline can't be placed better in a dim fiber.
TOLERANCE_UM = 0.3
#: Within the blur of a bright body nobody can say where a fiber begins.
CELL_MARGIN_UM = 0.5
_EPS = 1e-4  # distances are float32
_GROUP = "fibers"

Mask = NDArray[np.bool_]


def _distance_px(mask: Mask) -> FloatArray | NDArray[np.float32]:
    """Distance of each pixel to the nearest pixel of the mask; infinite where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    found: NDArray[np.float32] = np.asarray(
        cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    )
    return found


def _length_px(line: Mask) -> float:
    """Length of one-pixel lines: 1 for each side that two pixels share, sqrt 2 for each bare corner."""
    down, right = line[1:] & line[:-1], line[:, 1:] & line[:, :-1]
    a, b, c, d = line[:-1, :-1], line[:-1, 1:], line[1:, :-1], line[1:, 1:]
    n_corners = int((a & d & ~b & ~c).sum()) + int((b & c & ~a & ~d).sum())
    return float(int(down.sum()) + int(right.sum()) + np.sqrt(2.0) * n_corners)


def tally_fibers(results: Results, truth: Results, calibration: Calibration, frames: IntArray) -> Tally:
    """Count centreline pixels that lie on the other's centreline.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth, with ``fibers`` labels: one-pixel centrelines.
    calibration : Calibration
        For the tolerance.
    frames : ndarray of int
        Frames that are scored.

    Returns
    -------
    Tally
        Empty where one of them has no fiber labels.
    """
    tally = Tally()
    stacks = label_frames(results, truth, "fibers", frames)
    if stacks is None or not frames.size:
        return tally
    cells = truth.labels.get("cells")
    if cells is not None and len(cells) <= int(frames.max()):
        cells = None
    reach, margin = calibration.px(TOLERANCE_UM) + _EPS, calibration.px(CELL_MARGIN_UM) + _EPS
    pixels = np.zeros(4)
    length = np.zeros(2)
    for frame in frames.tolist():
        pred, true = stacks[0][frame] > 0, stacks[1][frame] > 0
        is_open = np.ones(true.shape, dtype=bool) if cells is None else _distance_px(cells[frame] > 0) > margin
        # Only the scored line is cut at the cells: a line that ends a pixel short of the cut is not an error.
        open_pred, open_true = pred & is_open, true & is_open
        pixels += (
            int((_distance_px(true)[open_pred] <= reach).sum()),
            int(open_pred.sum()),
            int((_distance_px(pred)[open_true] <= reach).sum()),
            int(open_true.sum()),
        )
        length += (_length_px(open_pred), _length_px(open_true))
    tally.add(fiber_right=pixels[0], fiber_pred=pixels[1], fiber_found=pixels[2], fiber_truth=pixels[3])
    tally.add(fiber_length_pred=length[0], fiber_length_truth=length[1])
    return tally


def scores_fibers(tally: Tally) -> list[Score]:
    """Precision, recall and F1 of the centrelines at 0.3 um, and the ratio of predicted to true length.

    Precision is the share of predicted centreline pixels within 0.3 um of a true one, recall the reverse, F1 their
    harmonic mean. Pixels in a true cell body, or within 0.5 um of one, are left out. Lengths are measured along the
    same pixels. ``n`` counts pixels.

    Parameters
    ----------
    tally : Tally
        Counts of one movie, or of many.

    Returns
    -------
    list of Score
    """
    right, pred, found, truth = (tally.count(f"fiber_{name}") for name in ("right", "pred", "found", "truth"))
    precision, recall = ratio(_GROUP, "fiber_precision", right, pred), ratio(_GROUP, "fiber_recall", found, truth)
    # 2PR / (P + R) without its two singular cases: no prediction or no overlap is 0, no truth at all is not defined
    f1 = ratio(_GROUP, "fiber_f1", 2 * right * found, right * truth + found * pred, n=truth)
    if np.isnan(f1.value) and truth > 0:
        f1 = Score(_GROUP, "fiber_f1", 0.0, int(truth), "")
    length_pred, length_truth = (tally.count(f"fiber_length_{name}") for name in ("pred", "truth"))
    return [precision, recall, f1, ratio(_GROUP, "fiber_length_ratio", length_pred, length_truth, n=truth)]
