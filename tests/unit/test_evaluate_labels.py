"""Scores made from label images: cells, fibers, parents and counts per cell, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from migradetect.errors import TableError
from migradetect.evaluate import evaluate, scores_as_dict
from migradetect.results import LabelStack, Results
from migradetect.tables import conform_table

Plane = NDArray[np.uint32]
Boxes = dict[int, tuple[int, int, int, int]]
SHAPE = (60, 60)


def boxes(places: Boxes) -> Plane:
    """Rectangles by label: first row, end row, first column, end column."""
    plane = np.zeros(SHAPE, dtype=np.uint32)
    for label, (top, bottom, left, right) in places.items():
        plane[top:bottom, left:right] = label
    return plane


def stack(planes: Sequence[Plane]) -> LabelStack:
    labels = LabelStack(planes[0].shape)
    for plane in planes:
        labels.append(plane)
    return labels


def scored(pred: Results, truth: Results, pixel_size_um: float = 1.0) -> dict[str, float]:
    return scores_as_dict(evaluate(pred, truth, pixel_size_um))


def cells(*planes: Boxes) -> Results:
    return Results("m", labels={"cells": stack([boxes(plane) for plane in planes])})


BODY = (20, 30, 20, 30)  # 100 px, away from the border


# --- cells -----------------------------------------------------------------------------------------------------------


def test_perfect_cells_under_other_numbers() -> None:
    truth = cells({1: BODY, 2: (40, 55, 40, 50)}, {1: BODY, 2: (40, 55, 40, 50)})
    pred = cells(*[{4_000_000_000: BODY, 7: (40, 55, 40, 50)}] * 2)
    names = ["cell_seg", "cell_f1", "cell_precision", "cell_recall", "cell_link_f1"]
    for scores in (scored(pred, truth), scored(truth, pred)):
        assert {name: scores[name] for name in names} == dict.fromkeys(names, 1.0)


def test_seg_and_f1() -> None:
    truth = cells({1: BODY, 2: (40, 50, 40, 50)})
    assert scored(cells({1: (20, 28, 20, 30)}), truth)["cell_seg"] == pytest.approx((0.8 + 0) / 2)
    assert scored(cells({1: (20, 28, 20, 30)}), truth)["cell_f1"] == pytest.approx(2 / 3)
    # exactly half of the body is not more than half
    half = scored(cells({1: (20, 25, 20, 30)}), truth)
    assert (half["cell_seg"], half["cell_f1"]) == (0.0, 0.0)
    # covers all of the body, at an IoU of 100 / 400
    large = scored(cells({1: (10, 30, 10, 30)}), truth)
    assert large["cell_seg"] == pytest.approx(0.25 / 2)
    assert large["cell_f1"] == 0.0
    assert np.isnan(large["cell_link_f1"])


def test_link_is_lost_when_the_number_changes() -> None:
    truth = cells({1: BODY}, {1: BODY}, {1: BODY})
    scores = scored(cells({1: BODY}, {1: BODY}, {2: BODY}), truth)
    assert scores["cell_f1"] == 1.0
    assert scores["cell_link_f1"] == pytest.approx(2 * 1 / (2 + 1))


def test_swapped_cells_lose_their_links() -> None:
    other = (40, 50, 40, 50)
    truth = cells({1: BODY, 2: other}, {1: BODY, 2: other})
    scores = scored(cells({1: BODY, 2: other}, {2: BODY, 1: other}), truth)
    assert (scores["cell_f1"], scores["cell_link_f1"]) == (1.0, 0.0)


def test_slivers_do_not_count() -> None:
    sliver = (0, 4, 20, 30)  # 40 um2 at the border
    truth = cells({1: BODY, 2: sliver})
    for pred in (cells({1: BODY}), cells({1: BODY, 2: sliver}), cells({1: BODY, 2: (0, 6, 20, 30)})):
        scores = scored(pred, truth)
        assert (scores["cell_seg"], scores["cell_precision"], scores["cell_recall"]) == (1.0, 1.0, 1.0)
    assert scored(cells({1: BODY}), cells({1: BODY, 2: (0, 5, 20, 30)}))["cell_recall"] == 0.5  # 50 um2
    assert scored(cells({1: BODY}), cells({1: BODY, 2: (1, 5, 20, 30)}))["cell_recall"] == 0.5  # not at the border
    assert scored(cells({1: BODY, 2: (1, 5, 20, 30)}), cells({1: BODY}))["cell_precision"] == 0.5


def test_predicted_sliver_still_matches() -> None:
    truth, pred = cells({1: (0, 6, 20, 30)}), cells({1: (0, 4, 20, 30)})  # 60 and 40 um2, IoU 2 / 3
    assert scored(pred, truth)["cell_f1"] == 1.0


def test_labels_are_optional_but_must_agree() -> None:
    truth = cells({1: BODY})
    assert np.isnan(scored(Results("m"), truth)["cell_seg"])
    assert np.isnan(scored(truth, Results("m"))["cell_seg"])
    assert scored(cells({}), truth)["cell_seg"] == 0.0
    with pytest.raises(TableError, match="one size"):
        scored(cells({1: BODY}, {1: BODY}), truth)


# --- fibers ----------------------------------------------------------------------------------------------------------


def line(row: int, start: int = 0, stop: int = 60, label: int = 1) -> Plane:
    plane = np.zeros(SHAPE, dtype=np.uint32)
    plane[row, start:stop] = label
    return plane


def fibers(plane: Plane, body: Boxes | None = None) -> Results:
    labels = {"fibers": stack([plane])}
    if body is not None:
        labels["cells"] = stack([boxes(body)])
    return Results("m", labels=labels)


def test_centreline_within_the_tolerance() -> None:
    truth = fibers(line(20))
    for row, value in ((20, 1.0), (23, 1.0), (24, 0.0)):  # 0.1 um per pixel
        scores = scored(fibers(line(row, label=9)), truth, 0.1)
        assert (scores["fiber_precision"], scores["fiber_recall"], scores["fiber_f1"]) == (value, value, value)
        assert scores["fiber_length_ratio"] == 1.0


def test_half_a_fiber() -> None:
    scores = scored(fibers(line(20, 0, 30)), fibers(line(20)), 0.1)
    recall = 33 / 60  # three more pixels are within the tolerance of its end
    assert (scores["fiber_precision"], scores["fiber_recall"]) == (1.0, recall)
    assert scores["fiber_f1"] == pytest.approx(2 * recall / (1 + recall))
    assert scores["fiber_length_ratio"] == pytest.approx(29 / 59)


def test_length_of_a_diagonal() -> None:
    diagonal = np.eye(60, dtype=np.uint32)
    scores = scored(fibers(diagonal), fibers(line(20)), 0.1)
    assert scores["fiber_length_ratio"] == pytest.approx(np.sqrt(2))


def test_length_of_a_staircase() -> None:
    stairs = np.eye(60, dtype=np.uint32) | np.eye(60, k=1, dtype=np.uint32)  # 119 pixels side by side
    scores = scored(fibers(stairs), fibers(line(20)), 0.1)
    assert scores["fiber_length_ratio"] == pytest.approx(118 / 59)


def test_fibers_at_cells_do_not_count() -> None:
    body: Boxes = {1: (10, 30, 0, 20)}
    truth = fibers(
        line(20, 25, 60), body
    )  # leaves the body at column 20; 0.5 um are 5 px: columns up to 24 are left out
    assert scored(fibers(line(20)), truth, 0.1)["fiber_precision"] == 1.0
    assert scored(fibers(line(20)), fibers(line(20, 25, 60)), 0.1)["fiber_precision"] < 1.0, "test invalid"
    far = scored(fibers(line(20, 0, 45)), fibers(line(20, 0, 25), body), 0.1)
    # all of the true fiber lies in what is left out; what is predicted beyond 0.3 um of it is false
    assert np.isnan(far["fiber_recall"])
    assert np.isnan(far["fiber_f1"])
    assert far["fiber_precision"] == pytest.approx(3 / 20)


def test_no_fiber_found() -> None:
    scores = scored(fibers(np.zeros(SHAPE, dtype=np.uint32)), fibers(line(20)), 0.1)
    assert np.isnan(scores["fiber_precision"])
    assert (scores["fiber_recall"], scores["fiber_f1"], scores["fiber_length_ratio"]) == (0.0, 0.0, 0.0)


# --- parents and counts ----------------------------------------------------------------------------------------------


def with_parents(planes: Sequence[Boxes], parents: Sequence[int | None], counts: dict[int, int]) -> Results:
    """One migrasome, 9 um apart, for each parent, in every frame."""
    rows = [
        {"movie_id": "m", "frame": frame, "migrasome_id": number, "y_um": 0.0, "x_um": 9.0 * number}
        | {"is_on_fiber": True, "is_attached": True, "is_measured": True, "is_covered": False}
        for number in range(len(parents))
        for frame in range(len(planes))
    ]
    flags: dict[str, Any] = {"is_left_censored": True, "is_right_censored": True, "n_frames": len(planes)}
    tracks = [{"movie_id": "m", "migrasome_id": n, "cell_id": cell, **flags} for n, cell in enumerate(parents)]
    summary = [
        {"movie_id": "m", "cell_id": cell, "n_frames": 1, "n_migrasomes": n, "touches_border": False}
        for cell, n in counts.items()
    ]
    track_table = pd.DataFrame(tracks)
    track_table["cell_id"] = track_table["cell_id"].astype("Int64")
    return Results(
        "m",
        {
            "migrasomes": conform_table("migrasomes", pd.DataFrame(rows)),
            "tracks": conform_table("tracks", track_table),
            "cell_summary": conform_table("cell_summary", pd.DataFrame(summary)),
        },
        {"cells": stack([boxes(plane) for plane in planes])},
    )


A, B, C = (5, 15, 5, 15), (25, 35, 25, 35), (45, 55, 45, 55)


def test_parents_through_the_cells() -> None:
    truth = with_parents([{1: A, 2: B}] * 3, [1, 1, 2, 2, None, None], {1: 2, 2: 2})
    pred = with_parents([{12: A, 11: B}] * 3, [12, 11, 11, None, None, 12], {11: 2, 12: 2})
    scores = scored(pred, truth)
    assert scores["parent_accuracy"] == 0.5
    assert scores["parent_missing"] == 0.25
    assert scores["parent_null_accuracy"] == 0.5
    # the same numbers without the cells would mean something else
    same = with_parents([{1: B, 2: A}] * 3, [1, 1, 2, 2, None, None], {1: 2, 2: 2})
    assert scored(same, truth)["parent_accuracy"] == 0.0


def test_cell_is_named_by_most_of_its_frames() -> None:
    truth = with_parents([{1: A, 2: B}] * 3, [1, 2], {1: 1, 2: 1})
    pred = with_parents([{1: A, 2: B}, {1: A, 2: B}, {2: A, 1: B}], [1, 2], {1: 1, 2: 1})
    assert scored(pred, truth)["parent_accuracy"] == 1.0


def test_fragments_keep_the_parent_but_not_the_count() -> None:
    truth = with_parents([{1: A}] * 3, [1, 1, 1], {1: 3})
    pred = with_parents([{1: A}, {1: A}, {2: A}], [1, 1, 2], {1: 2, 2: 1})
    scores = scored(pred, truth)
    assert scores["parent_accuracy"] == 1.0
    assert scores["count_mae"] == 1.0


def test_counts_per_cell() -> None:
    truth = with_parents([{1: A, 2: B, 3: C}], [1], {1: 4, 2: 2, 3: 3})
    pred = with_parents([{7: A, 8: B}], [7], {7: 5, 8: 0})
    scores = scored(pred, truth)  # +1, -2, and the cell that was not found -3
    assert scores["count_mae"] == pytest.approx(2.0)
    assert scores["count_relative_mae"] == pytest.approx(6 / 9)
    assert scores["count_bias"] == pytest.approx(-4 / 3)
    assert scores["count_relative_bias"] == pytest.approx(-4 / 9)
    assert scores["count_correlation"] == pytest.approx(np.corrcoef([4, 2, 3], [5, 0, 0])[0, 1])


def test_cell_that_barely_touches_is_another_cell() -> None:
    truth = with_parents([{1: A}], [1], {1: 3})
    graze = with_parents([{1: (14, 24, 5, 15)}], [1], {1: 3})  # IoU 10 / 190
    assert scored(graze, truth)["count_mae"] == 3.0
    assert scored(graze, truth)["parent_accuracy"] == 0.0


def test_counts_of_zero_are_scored() -> None:
    sides = [with_parents([{1: A}], [None], {1: 0}) for _ in range(2)]
    scores = scored(*sides)
    assert scores["count_mae"] == 0.0
    assert np.isnan(scores["count_relative_mae"])
    assert np.isnan(scores["count_correlation"])
