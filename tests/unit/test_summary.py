from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from migradetect.calibration import Calibration
from migradetect.summary import summarize_cells
from migradetect.tables import conform_table, empty_table, validate_table

MOVING = Calibration(0.2, 120.0)


def cells(paths: dict[int, list[tuple[float, float]]], border: frozenset[int] = frozenset()) -> pd.DataFrame:
    rows = [
        {
            "movie_id": "m",
            "frame": frame,
            "time_min": 2.0 * frame,
            "cell_id": cell,
            "y_um": y,
            "x_um": x,
            "y_stage_um": y,
            "x_stage_um": x,
            "area_um2": 500.0,
            "touches_border": cell in border and frame == 0,
        }
        for cell, path in paths.items()
        for frame, (y, x) in enumerate(path)
    ]
    return conform_table("cells", pd.DataFrame(rows))


def fibers(rows: list[tuple[int, int, int | None, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["frame", "fiber_id", "cell_id", "length_um"])
    table["cell_id"] = table["cell_id"].astype("Int64")
    full = table.assign(movie_id="m", is_attached=True, n_branches=1, n_tips=2, euclidean_um=1.0, mean_snr=5.0)
    return conform_table("fibers", full)


def tracks(parents: list[int | None]) -> pd.DataFrame:
    table = pd.DataFrame({"migrasome_id": range(1, len(parents) + 1), "cell_id": pd.array(parents, dtype="Int64")})
    return conform_table(
        "tracks",
        table.assign(movie_id="m", is_left_censored=False, is_right_censored=False, n_frames=5, kind="migrasome"),
    )


ROUND_TRIP = [(0.0, 0.0), (0.0, 30.0), (40.0, 30.0)]


def one(table: pd.DataFrame, cell_id: int) -> pd.Series:
    return table.set_index("cell_id").loc[cell_id]


def test_counts_rates_and_path_of_a_cell() -> None:
    table = summarize_cells(
        cells({1: ROUND_TRIP}),
        fibers([(0, 1, 1, 10.0), (1, 1, 1, 20.0), (1, 2, 1, 5.0), (2, 1, 1, 8.0), (1, 9, None, 99.0)]),
        tracks([1, 1, None]),
        MOVING,
    )
    row = one(table, 1)
    assert row["n_migrasomes"] == 2
    # largest total in one frame: not 43, the sum over all frames
    assert row["fiber_length_um"] == 25.0
    assert row["n_migrasomes_per_100um_fiber"] == pytest.approx(8.0)
    assert row["path_um"] == pytest.approx(70.0)
    assert row["net_um"] == pytest.approx(50.0)
    assert row["n_migrasomes_per_100um_path"] == pytest.approx(200 / 70)
    assert row["observed_min"] == pytest.approx(4.0)
    assert row["mean_speed_um_per_min"] == pytest.approx(17.5)
    assert row["persistence"] == pytest.approx(50 / 70)


def test_cell_without_migrasomes_has_zero_and_is_not_missing() -> None:
    table = summarize_cells(cells({1: ROUND_TRIP, 2: ROUND_TRIP}), empty_table("fibers"), tracks([2, 2]), MOVING)
    assert table["cell_id"].tolist() == [1, 2]
    assert table["n_migrasomes"].tolist() == [0, 2]
    assert one(table, 1)["n_migrasomes_per_100um_path"] == 0
    # no fiber was seen: a rate per fiber is unknown, its length is 0
    assert table["fiber_length_um"].tolist() == [0, 0]
    assert table["n_migrasomes_per_100um_fiber"].isna().all()


def test_no_migrasomes_at_all() -> None:
    table = summarize_cells(cells({1: ROUND_TRIP}), fibers([(0, 1, 1, 50.0)]), empty_table("tracks"), MOVING)
    assert one(table, 1)["n_migrasomes"] == 0
    assert one(table, 1)["n_migrasomes_per_100um_fiber"] == 0


def test_single_frame_has_counts_and_no_times() -> None:
    table = summarize_cells(cells({1: [(5.0, 5.0)]}), fibers([(0, 1, 1, 50.0)]), tracks([1]), Calibration(0.2))
    row = one(table, 1)
    assert row["n_migrasomes"] == 1
    assert row["n_migrasomes_per_100um_fiber"] == pytest.approx(2.0)
    unknown = ["observed_min", "path_um", "net_um", "mean_speed_um_per_min", "persistence"]
    assert row[[*unknown, "n_migrasomes_per_100um_path"]].isna().all()


def test_cell_that_stands_still_has_no_persistence() -> None:
    row = one(summarize_cells(cells({1: [(5.0, 5.0)] * 3}), fibers([]), tracks([1]), MOVING), 1)
    assert row["path_um"] == 0
    assert row["mean_speed_um_per_min"] == 0
    assert np.isnan(row["persistence"])
    assert np.isnan(row["n_migrasomes_per_100um_path"])


def test_frames_with_a_sliver_at_the_border_are_not_seen() -> None:
    table = cells({1: [(0.0, 0.0), *ROUND_TRIP]}, frozenset({1}))
    table.loc[table["frame"] == 0, "area_um2"] = 60.0
    row = one(summarize_cells(table, fibers([]), tracks([1]), MOVING), 1)
    plain = one(summarize_cells(cells({1: ROUND_TRIP}), fibers([]), tracks([1]), MOVING), 1)
    assert row["touches_border"]
    same = ["n_frames", "observed_min", "path_um", "net_um", "persistence", "mean_speed_um_per_min", "n_migrasomes"]
    assert row[same].tolist() == plain[same].tolist()
    # inside the field a small cell is a cell
    inside = table.assign(touches_border=False)
    assert one(summarize_cells(inside, fibers([]), tracks([1]), MOVING), 1)["n_frames"] == 4


def test_touching_the_border_once_is_enough() -> None:
    table = summarize_cells(
        cells({1: ROUND_TRIP, 2: ROUND_TRIP}, frozenset({2})), empty_table("fibers"), tracks([]), MOVING
    )
    assert table["touches_border"].tolist() == [False, True]


def test_no_cells_give_an_empty_table() -> None:
    table = summarize_cells(empty_table("cells"), empty_table("fibers"), empty_table("tracks"), MOVING)
    assert table.empty
    validate_table("cell_summary", conform_table("cell_summary", table))


def test_order_of_rows_plays_no_part_and_inputs_stay() -> None:
    table = cells({1: ROUND_TRIP, 2: ROUND_TRIP[::-1]})
    shuffled = table.sample(frac=1, random_state=1)
    before = shuffled.copy()
    straight = summarize_cells(table, fibers([]), tracks([1]), MOVING)
    pd.testing.assert_frame_equal(summarize_cells(shuffled, fibers([]), tracks([1]), MOVING), straight)
    pd.testing.assert_frame_equal(shuffled, before)


@pytest.mark.parametrize(
    ("area_um2", "parents", "is_counted"), [(110.0, [], False), (110.0, [2], True), (130.0, [], True)]
)
def test_a_cell_that_the_border_always_cuts_counts_with_enough_in_view_or_a_migrasome(
    area_um2: float, parents: list[int | None], is_counted: bool
) -> None:
    table = cells({1: ROUND_TRIP, 2: ROUND_TRIP})
    is_cut = table["cell_id"] == 2
    table.loc[is_cut, "area_um2"] = area_um2
    table["touches_border"] = is_cut
    found = summarize_cells(table, fibers([]), tracks(parents), MOVING).set_index("cell_id")["n_migrasomes"]
    assert found.to_dict() == {1: 0} | ({2: len(parents)} if is_counted else {})
