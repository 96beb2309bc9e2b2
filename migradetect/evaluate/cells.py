"""Scores of cell bodies and their links, and which predicted cell is which true cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import TableError
from migradetect.evaluate.matching import assign
from migradetect.evaluate.tally import IntArray, Score, Tally, f1, ratio
from migradetect.results import LabelStack, Results

__all__ = ["SLIVER_AREA_UM2", "CellOverlap", "label_frames", "overlap_cells", "scores_cells", "tally_cells"]

#: A body at the border with less area in view is a sliver: its outline and number are arbitrary.
SLIVER_AREA_UM2 = 50.0
#: Overlap that makes two bodies the same one; above one half it can hold for one partner only.
MIN_IOU = 0.5
#: A body found at all, if badly outlined or merged with another, still tells which cell is meant.
MIN_NAMING_IOU = 0.1
_GROUP = "cells"
#: Two labels in one number: the true one above, the predicted one below.
_SHIFT = np.uint64(32)
_LOW = np.uint64(2**32 - 1)


@dataclass(frozen=True)
class CellOverlap:
    """Overlap of true and predicted cell bodies.

    Parameters
    ----------
    truth, pred : pandas.DataFrame
        One row per body and frame: ``frame``, ``cell_id``, ``area_px2``, ``is_ignored``.
    pairs : pandas.DataFrame
        One row per overlapping pair: ``frame``, ``truth_id``, ``pred_id``, ``iou``, ``share`` (of the true body),
        ``is_ignored`` (the true body is).
    """

    truth: pd.DataFrame
    pred: pd.DataFrame
    pairs: pd.DataFrame

    def _naming(self) -> pd.DataFrame:
        """Pairs of cells with their IoU summed over the frames."""
        near = self.pairs[self.pairs["iou"] >= MIN_NAMING_IOU]
        return near.groupby(["truth_id", "pred_id"])["iou"].sum().reset_index()

    def names(self) -> dict[int, int]:
        """Predicted cell -> the true cell that it overlaps most over the movie; several may have the same."""
        named = self._naming().sort_values("iou", kind="stable").drop_duplicates("pred_id", keep="last")
        return dict(zip(named["pred_id"].astype(int), named["truth_id"].astype(int), strict=True))

    def partners(self) -> dict[int, int]:
        """True cell -> its one predicted cell, by the assignment with the largest summed IoU."""
        named = self._naming()
        chosen = named.iloc[
            assign(
                named["truth_id"].to_numpy(dtype=np.int64),
                named["pred_id"].to_numpy(dtype=np.int64),
                named["iou"].to_numpy(dtype=np.float64),
            )
        ]
        return dict(zip(chosen["truth_id"].astype(int), chosen["pred_id"].astype(int), strict=True))


def label_frames(results: Results, truth: Results, name: str, frames: IntArray) -> tuple[LabelStack, LabelStack] | None:
    """Label stacks of prediction and truth; None where one of them is absent.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth.
    name : str
        Which labels.
    frames : ndarray of int
        Frames that will be read.

    Returns
    -------
    tuple of LabelStack or None

    Raises
    ------
    TableError
        If the stacks differ in size, or lack frames.
    """
    stacks = results.labels.get(name), truth.labels.get(name)
    if stacks[0] is None or stacks[1] is None or not len(stacks[0]) or not len(stacks[1]):
        return None
    sizes = [(len(stack), *stack.shape_yx) for stack in stacks if stack is not None]
    if sizes[0] != sizes[1] or (frames.size and int(frames.max()) >= sizes[0][0]):
        raise TableError(
            f"{results.movie_id}: expected {name} labels of one size for the frames to {int(frames.max())}, "
            f"got {sizes[0]} predicted and {sizes[1]} true (T, Y, X); score results against the truth of the same movie"
        )
    return stacks[0], stacks[1]


def _bodies(joint: pd.DataFrame, name: str, border: NDArray[np.uint32], min_area_px2: float) -> pd.DataFrame:
    """Bodies of one frame from the joint label counts."""
    area = joint[joint[name] > 0].groupby(name)["n"].sum()
    ids = area.index.to_numpy(dtype=np.int64)
    pixels = area.to_numpy(dtype=np.int64)
    return pd.DataFrame(
        {"cell_id": ids, "area_px2": pixels, "is_ignored": np.isin(ids, border) & (pixels < min_area_px2)}
    )


def _border(labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))


def _overlap_frame(
    truth: NDArray[np.uint32], pred: NDArray[np.uint32], min_area_px2: float
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Bodies and overlapping pairs of one frame."""
    is_body = (truth > 0) | (pred > 0)
    code = (truth[is_body].astype(np.uint64) << _SHIFT) | pred[is_body]
    # hashing, because labels may be any numbers and sorting four million pixels is ten times slower
    codes, found = pd.factorize(code)
    found = np.asarray(found, dtype=np.uint64)
    labels = (found >> _SHIFT).astype(np.int64), (found & _LOW).astype(np.int64)
    joint = pd.DataFrame({"truth_id": labels[0], "pred_id": labels[1], "n": np.bincount(codes, minlength=found.size)})
    true_bodies = _bodies(joint, "truth_id", _border(truth), min_area_px2)
    pred_bodies = _bodies(joint, "pred_id", _border(pred), min_area_px2)
    pairs = joint[(joint["truth_id"] > 0) & (joint["pred_id"] > 0)]
    pairs = pairs.merge(true_bodies, left_on="truth_id", right_on="cell_id").drop(columns="cell_id")
    pairs = pairs.merge(
        pred_bodies[["cell_id", "area_px2"]], left_on="pred_id", right_on="cell_id", suffixes=("", "_pred")
    )
    pairs["iou"] = pairs["n"] / (pairs["area_px2"] + pairs["area_px2_pred"] - pairs["n"])
    pairs["share"] = pairs["n"] / pairs["area_px2"]
    # A body drawn mostly over slivers, which don't count, is not a false one.
    in_sliver = pairs[pairs["is_ignored"]].groupby("pred_id")["n"].sum().reindex(pred_bodies["cell_id"], fill_value=0)
    mostly = in_sliver.to_numpy(dtype=np.float64) > 0.5 * pred_bodies["area_px2"].to_numpy(dtype=np.float64)
    pred_bodies["is_ignored"] |= mostly
    return true_bodies, pred_bodies, pairs[["truth_id", "pred_id", "iou", "share", "is_ignored"]]


def overlap_cells(results: Results, truth: Results, calibration: Calibration, frames: IntArray) -> CellOverlap | None:
    """Overlap of all cell bodies, read plane by plane.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth.
    calibration : Calibration
        For the area of a sliver.
    frames : ndarray of int
        Frames that are scored.

    Returns
    -------
    CellOverlap or None
        None where one of them has no cell labels.
    """
    stacks = label_frames(results, truth, "cells", frames)
    if stacks is None or not frames.size:
        return None
    parts = []
    for frame in frames.tolist():
        tables = _overlap_frame(stacks[1][frame], stacks[0][frame], calibration.px2(SLIVER_AREA_UM2))
        parts.append([table.assign(frame=frame) for table in tables])
    true_bodies, pred_bodies, pairs = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))
    return CellOverlap(true_bodies, pred_bodies, pairs)


def _links(bodies: pd.DataFrame) -> pd.DataFrame:
    """Bodies that count in two consecutive frames under one number; ``frame`` is the first."""
    counted = bodies.loc[~bodies["is_ignored"], ["frame", "cell_id"]]
    return counted.merge(counted.assign(frame=counted["frame"] - 1), on=["frame", "cell_id"])


def tally_cells(overlap: CellOverlap | None) -> Tally:
    """Count for SEG, F1 of bodies and F1 of links.

    Parameters
    ----------
    overlap : CellOverlap or None
        None: there are no labels, nothing can be counted.

    Returns
    -------
    Tally
    """
    tally = Tally()
    if overlap is None:
        return tally
    pairs = overlap.pairs[~overlap.pairs["is_ignored"]]
    same = pairs.loc[pairs["iou"] > MIN_IOU, ["frame", "truth_id", "pred_id"]]
    matched_pred = pd.MultiIndex.from_frame(same[["frame", "pred_id"]])
    is_matched = pd.MultiIndex.from_frame(overlap.pred[["frame", "cell_id"]]).isin(matched_pred)
    # A matched body counts, whatever its size: it may be a sliver only because its outline is bad.
    pred = overlap.pred.assign(is_ignored=overlap.pred["is_ignored"].to_numpy(dtype=bool) & ~is_matched)
    n_true = int((~overlap.truth["is_ignored"]).sum())

    true_links, pred_links = _links(overlap.truth), _links(pred)
    after = same.assign(frame=same["frame"] - 1)
    kept = same.merge(after, on=["frame", "truth_id", "pred_id"])
    tally.add(
        seg=pairs.loc[pairs["share"] > 0.5, "iou"].sum(),
        cell_truth=n_true,
        cell_tp=len(same),
        cell_fp=int((~pred["is_ignored"]).sum()) - len(same),
        link_tp=len(kept),
        link_truth=len(true_links),
        link_pred=len(pred_links),
    )
    return tally


def scores_cells(tally: Tally) -> list[Score]:
    """SEG, F1 of bodies at an IoU above 0.5, F1 of consecutive-frame links.

    SEG is the mean Jaccard index over the true bodies, each with the predicted one that covers more than half of it, or
    0 [1]_. A link is one cell in two consecutive frames; it is right if both bodies are matched and the predicted
    number stays. Divisions are not links. Slivers, bodies at the border with less than 50 um2 in view, don't count.

    Parameters
    ----------
    tally : Tally
        Counts of one movie, or of many.

    Returns
    -------
    list of Score

    References
    ----------
    .. [1] Ulman et al. 2017, An objective comparison of cell-tracking algorithms, :doi:`10.1038/nmeth.4473`
    """
    truth, tp, fp = (tally.count(f"cell_{name}") for name in ("truth", "tp", "fp"))
    link_tp, link_truth, link_pred = (tally.count(f"link_{name}") for name in ("tp", "truth", "pred"))
    return [
        ratio(_GROUP, "cell_seg", tally.count("seg"), truth),
        ratio(_GROUP, "cell_precision", tp, tp + fp),
        ratio(_GROUP, "cell_recall", tp, truth),
        f1(_GROUP, "cell_f1", tp, tp + fp, truth),
        f1(_GROUP, "cell_link_f1", link_tp, link_pred, link_truth),
    ]
