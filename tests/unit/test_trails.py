from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from migradetect.calibration import Calibration
from migradetect.fibers import branch_paths
from migradetect.trails import MAX_COST_UM, FiberBranches, trail_costs

Box = tuple[float, float, float, float]
Line = tuple[tuple[float, float], ...]
FIELD_UM = 40.0
UNKNOWN = (np.nan, np.nan)


def costs(
    lines: list[Line],
    boxes: dict[int, Box],
    places: list[tuple[float, float]],
    rears: dict[int, tuple[float, float]] | None = None,
    pixel_um: float = 0.2,
) -> dict[tuple[int, int], float]:
    """Cost by (place, cell); lines and places in um, bodies as (top, left, bottom, right) in um."""
    calibration = Calibration(pixel_um)
    size = round(FIELD_UM / pixel_um)
    drawn, cells = np.zeros((size, size), np.uint8), np.zeros((size, size), np.int32)
    for line in lines:
        corners = np.rint(np.array(line)[:, ::-1] / pixel_um).astype(np.int32)
        cv2.polylines(drawn, [corners], False, 1, 1)
    for cell, box in boxes.items():
        top, left, bottom, right = (round(edge / pixel_um) for edge in box)
        cells[top:bottom, left:right] = cell
    rows = []
    for cell, (top, left, bottom, right) in boxes.items():
        rear = (rears or {}).get(cell, UNKNOWN)
        rows.append((cell, (top + bottom) / 2, (left + right) / 2, *rear))
    bodies = pd.DataFrame(rows, columns=["cell_id", "y_um", "x_um", "rear_y", "rear_x"])
    branches = FiberBranches.from_paths(branch_paths(drawn.astype(np.int32), calibration), cells, calibration)
    y, x = np.array(places).T
    table = trail_costs(branches, bodies, y, x, np.full(len(places), 0.8))
    return {(int(p), int(c)): float(v) for p, c, v in table.itertuples(index=False)}


LEFT_CELL, TOP_CELL = (14.0, 0.0, 26.0, 5.0), (0.0, 14.0, 5.0, 26.0)
ACROSS: Line = ((20.0, 5.5), (20.0, 36.0))
DOWN: Line = ((5.5, 20.0), (36.0, 20.0))


def test_crossing_is_followed_straight_on() -> None:
    right, below = (20.0, 34.0), (34.0, 20.0)
    got = costs([ACROSS, DOWN], {1: LEFT_CELL, 2: TOP_CELL}, [right, below], {1: (0.0, 1.0), 2: (1.0, 0.0)})
    # both ways are as long; a turn of 90 degrees costs as much as 10 um
    assert got[0, 1] < got[1, 1] - 6
    assert got[1, 2] < got[0, 2] - 6
    assert got[0, 1] == pytest.approx(got[1, 2], abs=1.0)


@pytest.mark.parametrize(("gap_um", "is_reached"), [(1.5, True), (2.2, True), (4.0, False)])
def test_short_gap_is_jumped(gap_um: float, is_reached: bool) -> None:
    lines: list[Line] = [((20.0, 5.5), (20.0, 18.0)), ((20.0, 18.0 + gap_um), (20.0, 36.0))]
    got = costs(lines, {1: LEFT_CELL}, [(20.0, 34.0), (20.0, 12.0)])
    assert (1, 1) in got, "test invalid"
    assert ((0, 1) in got) == is_reached


def test_gap_is_not_jumped_round_a_corner() -> None:
    lines: list[Line] = [((20.0, 5.5), (20.0, 18.0)), ((21.5, 18.0), (36.0, 18.0))]
    assert (0, 1) not in costs(lines, {1: LEFT_CELL}, [(34.0, 18.0)])


def test_fiber_at_the_front_costs_more_than_at_the_rear() -> None:
    lines: list[Line] = [((20.0, 3.0), (20.0, 13.0)), ((20.0, 27.0), (20.0, 37.0))]
    places = [(20.0, 5.0), (20.0, 35.0)]
    body = {1: (13.5, 13.5, 26.5, 26.5)}
    backward = costs(lines, body, places, {1: (0.0, 1.0)})
    assert backward[1, 1] < backward[0, 1] - 20
    unknown = costs(lines, body, places)
    assert unknown[0, 1] == pytest.approx(unknown[1, 1], abs=0.5)
    assert backward[1, 1] < unknown[1, 1] < backward[0, 1]


def test_fiber_that_runs_on_beneath_a_body_is_followed() -> None:
    lines: list[Line] = [((20.0, 5.5), (20.0, 14.5)), ((20.0, 25.5), (20.0, 37.0))]
    bodies = {1: LEFT_CELL, 2: (8.0, 15.0, 32.0, 25.0)}
    # cell 2 moves away from the far piece or towards it
    hers = costs(lines, bodies, [(20.0, 34.0)], {1: (0.0, 1.0), 2: (0.0, 1.0)})
    not_hers = costs(lines, bodies, [(20.0, 34.0)], {1: (0.0, 1.0), 2: (0.0, -1.0)})
    assert hers[0, 2] < hers[0, 1]
    assert not_hers[0, 1] > 25
    assert not_hers[0, 2] > hers[0, 2] + 20
    bent: list[Line] = [lines[0], ((32.5, 20.0), (39.0, 20.0))]
    assert (0, 1) not in costs(bent, bodies, [(37.0, 20.0)])


def test_fiber_at_a_tail_costs_less_than_at_a_flat_side() -> None:
    calibration = Calibration(0.2)
    cells, drawn = np.zeros((200, 200), np.int32), np.zeros((200, 200), np.int32)
    cells[60:140, 60:140] = 1
    cells[95:105, 140:165] = 1
    drawn[100, 168:195] = drawn[100, 10:58] = 1
    bodies = pd.DataFrame({"cell_id": [1], "y_um": [20.0], "x_um": [20.0], "rear_y": [np.nan], "rear_x": [np.nan]})
    branches = FiberBranches.from_paths(branch_paths(drawn, calibration), cells, calibration)
    # as far from the near end of the line on either side
    got = trail_costs(branches, bodies, np.array([20.0, 20.0]), np.array([36.6, 8.6]), np.array([0.5, 0.5]))
    at_tail, at_side = got.set_index("place")["cost_um"]
    assert at_tail < at_side - 5


def test_pixel_size_plays_no_part() -> None:
    lines, places = [ACROSS, DOWN], [(20.0, 34.0), (34.0, 20.0), (20.0, 10.0)]
    fine, coarse = (costs(lines, {1: LEFT_CELL}, places, {1: (0.0, 1.0)}, pixel) for pixel in (0.1, 0.25))
    assert fine.keys() == coarse.keys()
    assert all(fine[key] == pytest.approx(coarse[key], abs=1.5) for key in fine)


def test_cost_of_a_straight_way_is_its_length() -> None:
    near, far = (20.0, 15.0), (20.0, 33.0)
    got = costs([ACROSS], {1: LEFT_CELL}, [near, far], {1: (0.0, 1.0)})
    # each place is reached at the nearest point within 0.8 um
    assert got[1, 1] - got[0, 1] == pytest.approx(18.0, abs=0.5)


def test_nothing_where_no_fiber_leads() -> None:
    place = [(34.0, 20.0)]
    assert costs([ACROSS], {1: LEFT_CELL}, place) == {}
    assert costs([], {1: LEFT_CELL}, place) == {}
    assert costs([DOWN], {}, place) == {}
    # a line that touches nobody
    assert costs([((30.0, 20.0), (38.0, 20.0))], {1: LEFT_CELL}, place) == {}


def test_no_places() -> None:
    calibration = Calibration(0.2)
    drawn, cells = np.zeros((100, 100), np.int32), np.zeros((100, 100), np.int32)
    drawn[50, 20:90], cells[40:60, :18] = 1, 3
    bodies = pd.DataFrame({"cell_id": [3], "y_um": [10.0], "x_um": [1.8], "rear_y": [0.0], "rear_x": [1.0]})
    branches = FiberBranches.from_paths(branch_paths(drawn, calibration), cells, calibration)
    before = cells.copy()
    none = trail_costs(branches, bodies, np.empty(0), np.empty(0), np.empty(0))
    one = trail_costs(branches, bodies, np.array([10.0]), np.array([15.0]), np.array([1.0]))
    assert none.empty
    assert list(none.columns) == list(one.columns) == ["place", "cell_id", "cost_um"]
    assert one["cell_id"].tolist() == [3]
    assert one["cost_um"].iloc[0] < MAX_COST_UM
    assert np.array_equal(cells, before)
