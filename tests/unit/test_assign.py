from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.assign import CellHistory, ParentEvidence, assign_parent, location_from_arms
from migradetect.calibration import Calibration
from migradetect.params import AssignParams

PARAMS = AssignParams()
CALIBRATION = Calibration(0.25, 60.0)
STILL = (0.0, 0.0)


def square(label: int, top: int, left: int, size: int = 40) -> np.ndarray:
    plane = np.zeros((160, 160), np.int32)
    plane[top : top + size, left : left + size] = label
    return plane


def evidence(**known: object) -> ParentEvidence:
    nothing = {"last_cell": 0, "frames_since": 0.0, "attached_cells": (), "nearest_cell": 0, "nearest_um": np.inf}
    return ParentEvidence(**(nothing | known))  # type: ignore[arg-type]


def test_place_that_a_cell_left_remembers_it() -> None:
    history = CellHistory((160, 160), CALIBRATION)
    history.add(0, square(3, 20, 20), STILL)
    history.add(1, square(3, 20, 80), STILL)
    # centres of the two squares, and a place where nothing ever was
    cell, frame = history.last_cell(np.array([10.0, 10.0, 35.0]), np.array([10.0, 25.0, 35.0]), 0.0)
    assert cell.tolist() == [3, 3, 0]
    assert frame.tolist() == [0, 1, -1]


def test_last_of_two_cells_counts() -> None:
    history = CellHistory((160, 160), CALIBRATION)
    history.add(0, square(1, 20, 20), STILL)
    history.add(5, square(2, 20, 20), STILL)
    history.add(9, square(1, 100, 100), STILL)
    cell, frame = history.last_cell(np.array([10.0]), np.array([10.0]), 0.5)
    assert (cell[0], frame[0]) == (2, 5)


def test_history_lives_on_the_dish_not_in_the_image() -> None:
    history = CellHistory((160, 160), CALIBRATION)
    # the stage moved by (5, -10) um: what is seen at y, x stands at y - 5, x + 10 on the dish
    history.add(0, square(1, 60, 60), (5.0, -10.0))
    inside = history.last_cell(np.array([20.0 - 5.0]), np.array([20.0 + 10.0]), 0.0)[0]
    outside = history.last_cell(np.array([20.0]), np.array([20.0]), 0.0)[0]
    assert inside[0] == 1
    assert outside[0] == 0


def test_reach_finds_a_body_beside_the_place() -> None:
    history = CellHistory((160, 160), CALIBRATION)
    history.add(0, square(1, 40, 40), STILL)
    beside = np.array([15.0]), np.array([10.0 - 1.5])
    assert history.last_cell(*beside, 0.0)[0][0] == 0
    assert history.last_cell(*beside, 2.0)[0][0] == 1
    far = np.array([500.0]), np.array([-500.0])
    assert history.last_cell(*far, 2.0)[0][0] == 0


def test_history_leaves_the_labels_alone() -> None:
    labels = square(1, 40, 40)
    before = labels.copy()
    CellHistory((160, 160), CALIBRATION).add(0, labels, (1.3, 0.2))
    assert np.array_equal(labels, before)


def test_history_gives_the_parent_though_another_cell_is_nearer() -> None:
    parent, confidence = assign_parent(evidence(last_cell=4, frames_since=3.0, nearest_cell=9, nearest_um=1.0), PARAMS)
    assert parent == 4
    assert confidence > 0.5


def test_fiber_gives_the_parent_where_the_history_is_silent() -> None:
    parent, confidence = assign_parent(evidence(attached_cells=(2, 2, 7), nearest_cell=9, nearest_um=1.0), PARAMS)
    assert parent == 2
    assert 0 < confidence < 1


def test_agreement_is_surer_than_conflict() -> None:
    agree = assign_parent(evidence(last_cell=4, attached_cells=(4, 4)), PARAMS)
    conflict = assign_parent(evidence(last_cell=4, attached_cells=(5, 5)), PARAMS)
    assert agree[0] == conflict[0] == 4
    assert agree[1] > conflict[1]


def test_fiber_overrules_a_trace_from_long_ago() -> None:
    recent = evidence(last_cell=4, frames_since=1.0, attached_cells=(5,) * 8)
    old = evidence(last_cell=4, frames_since=200.0, attached_cells=(5,) * 8)
    assert assign_parent(recent, PARAMS)[0] == 4
    assert assign_parent(old, PARAMS)[0] == 5


def test_nearest_cell_is_the_last_resort_and_far_is_unknown() -> None:
    near = assign_parent(evidence(nearest_cell=9, nearest_um=10.0), PARAMS)
    far = assign_parent(evidence(nearest_cell=9, nearest_um=PARAMS.max_cell_distance_um + 1), PARAMS)
    nobody = assign_parent(evidence(), PARAMS)
    assert near == (9, pytest.approx(0.3))
    assert far[0] == nobody[0] == 0
    assert np.isnan([far[1], nobody[1]]).all()


@given(
    st.integers(0, 3),
    st.floats(-2, 100),
    st.lists(st.integers(0, 3), max_size=6),
    st.integers(0, 3),
    st.floats(0, 200),
)
@settings(max_examples=50, deadline=None)
def test_parent_is_one_of_the_cells_named(
    last: int, since: float, attached: list[int], nearest: int, gap: float
) -> None:
    parent, confidence = assign_parent(ParentEvidence(last, since, attached, nearest, gap), PARAMS)
    assert parent in {0, last, nearest, *attached}
    assert np.isnan(confidence) if parent == 0 else 0 < confidence <= 1
    # the order in which fibers were seen plays no part
    assert assign_parent(ParentEvidence(last, since, attached[::-1], nearest, gap), PARAMS)[0] == parent


@pytest.mark.parametrize(
    ("arms", "location"),
    [
        ([], None),
        ([0, 0, 0], None),
        ([1], "tip"),
        ([2, 2, 1], "shaft"),
        ([0, 0, 0, 0, 1], "tip"),
        ([3, 5, 4, 1], "branch"),
        ([3, 4, 2, 2, 2, 5], "shaft"),
    ],
)
def test_location_follows_the_number_of_arms(arms: list[int], location: str | None) -> None:
    # [3, 4, 2, 2, 2, 5]: as many with three and more as with two; the plainer reading is taken
    assert location_from_arms(arms) == location
