from __future__ import annotations

from typing import Any

import pandas as pd

from migradetect.doubles import resolve_doubles


def judged(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = {
        "y_stage_um": 10.0,
        "x_stage_um": 10.0,
        "diameter_um": 1.0,
        "frame_first": 0,
        "frame_last": 19,
        "n_frames": 20,
        "score": 0.9,
        "kind": "migrasome",
        "reason": None,
    }
    table = pd.DataFrame([usual | row for row in rows])
    table.index = pd.RangeIndex(1, len(rows) + 1, name="candidate_id")
    return table.astype({"kind": "string", "reason": "string"})


def kept(table: pd.DataFrame) -> list[int]:
    return [int(i) for i in table.index[table["kind"] == "migrasome"]]


def test_better_of_two_at_one_place_stays_and_the_other_says_why() -> None:
    out = resolve_doubles(judged({"score": 0.7}, {"score": 0.9, "x_stage_um": 10.2}))
    assert kept(out) == [2]
    assert out.loc[1, "reason"] == "at the place of candidate 2, which has a higher score"


def test_touching_neighbours_both_stay() -> None:
    assert kept(resolve_doubles(judged({}, {"x_stage_um": 11.0, "score": 0.7}))) == [1, 2]


def test_clump_yields_to_its_beads_and_wins_over_doubtful_ones() -> None:
    beads = [{"x_stage_um": 9.5, "score": 0.9}, {"x_stage_um": 10.5, "score": 0.8}]
    assert kept(resolve_doubles(judged({"diameter_um": 2.2, "score": 0.6}, *beads))) == [2, 3]
    assert kept(resolve_doubles(judged({"diameter_um": 2.2, "score": 0.95}, *beads))) == [1]


def test_one_after_the_other_at_one_place_both_stay() -> None:
    first, second = {"frame_last": 8, "n_frames": 9}, {"frame_first": 9, "n_frames": 11}
    assert kept(resolve_doubles(judged(first, second))) == [1, 2]


def test_what_was_not_accepted_refuses_nothing_and_stays_as_it_was() -> None:
    table = judged({"kind": "fiber", "score": 0.99, "reason": "part of a line"}, {})
    out = resolve_doubles(table)
    pd.testing.assert_frame_equal(out, table)
    assert resolve_doubles(table.iloc[:0]).empty


def test_chain_of_neighbours_is_not_eaten_up() -> None:
    # the middle one is refused by the first; the third is free of it
    row = [{"x_stage_um": 10.0 + 0.5 * k, "score": 0.9 - 0.1 * k} for k in range(3)]
    assert kept(resolve_doubles(judged(*row))) == [1, 3]
