"""Scores of migrasomes, tracks and what is reported about them, against values worked out by hand."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.errors import CalibrationError, TableError
from migradetect.evaluate import POOLED, evaluate, evaluate_many, scores_as_dict
from migradetect.evaluate.matching import assign, match_migrasomes
from migradetect.results import Results
from migradetect.tables import conform_table

PIXEL = 0.1
DEFAULTS = {"movie_id": "m", "diameter_um": 0.7, "snr": 10.0, "y_um": 0.0, "x_um": 0.0, "location": "tip"}
FLAGS = {"is_on_fiber": True, "is_attached": True, "is_measured": True, "is_covered": False}


def migrasomes(*rows: dict[str, Any], interval_min: float = 2.0) -> pd.DataFrame:
    """One row per dict, which names what differs from the defaults; ``id`` is the migrasome."""
    if not rows:
        return NOTHING["migrasomes"]
    table = pd.DataFrame([DEFAULTS | FLAGS | {"frame": 0, "id": 1} | row for row in rows])
    table["time_min"] = table["frame"] * interval_min
    return conform_table("migrasomes", table.rename(columns={"id": "migrasome_id"}))


def tracks(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {"movie_id": "m", "is_left_censored": False, "is_right_censored": False, "n_frames": 2}
    return conform_table("tracks", pd.DataFrame([base | row for row in rows]).rename(columns={"id": "migrasome_id"}))


NOTHING = Results("m").tables


def movie(rows: pd.DataFrame, movie_id: str = "m", **tables: pd.DataFrame) -> Results:
    return Results(movie_id, NOTHING | {"migrasomes": rows} | tables)


def score(pred: list[dict[str, Any]], truth: list[dict[str, Any]]) -> dict[str, float]:
    return scores_as_dict(evaluate(movie(migrasomes(*pred)), movie(migrasomes(*truth)), PIXEL))


def track(number: int, y: float, frames: range | list[int], **more: Any) -> list[dict[str, Any]]:
    return [{"id": number, "frame": frame, "y_um": y, **more} for frame in frames]


# --- detection -------------------------------------------------------------------------------------------------------


def test_perfect_results_score_one() -> None:
    rows = track(1, 0.0, range(4)) + track(2, 9.0, range(2, 4), location="shaft")
    scores = score(rows, rows)
    ones = ["precision", "recall", "f1", "recall_tip", "recall_shaft", "recall_0.5_0.8um", "hota", "hota_mean", "deta"]
    ones += ["assa", "alpha", "beta", "jsc", "jsc_tracks", "track_precision", "track_recall", "track_f1"]
    assert {name: scores[name] for name in ones} == pytest.approx(dict.fromkeys(ones, 1.0))
    zeros = ["false_per_frame", "position_error", "diameter_error", "diameter_bias", "id_switches_per_100"]
    assert {name: scores[name] for name in zeros} == dict.fromkeys(zeros, 0.0)


def test_counts_of_a_frame() -> None:
    truth = [{"id": 1, "y_um": 0.0}, {"id": 2, "y_um": 5.0}, {"id": 3, "y_um": 10.0}]
    pred = [{"id": 1, "y_um": 0.39}, {"id": 2, "y_um": 5.41}, {"id": 3, "y_um": 10.0}, {"id": 4, "y_um": 50.0}]
    scores = score(pred, truth)  # 5.41 lies outside the gate: one miss, two false
    assert scores["precision"] == 2 / 4
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(4 / 7)
    assert scores["false_per_frame"] == 2.0
    assert scores["position_error"] == pytest.approx(0.195)


def test_gate_is_the_radius_of_a_large_migrasome() -> None:
    assert score([{"y_um": 0.9}], [{"diameter_um": 2.0}])["recall"] == 1.0
    assert score([{"y_um": 0.9}], [{"diameter_um": 1.7}])["recall"] == 0.0


def test_a_gate_includes_its_edge() -> None:
    assert score([{"y_um": 1.4}], [{"y_um": 1.0}])["recall"] == 1.0


def test_as_many_matches_as_possible_come_before_the_nearest() -> None:
    # greedy: 0.3 takes the truth at 0.35 and leaves 0.7 (0.35 away) and the truth at 0 (0.3 away) alone
    scores = score([{"id": 1, "y_um": 0.3}, {"id": 2, "y_um": 0.7}], [{"id": 1, "y_um": 0.0}, {"id": 2, "y_um": 0.35}])
    assert scores["f1"] == 1.0
    # also where the nearest is exact and the others are far: 0 and 2.8 um away at a gate of 1.5 um
    truth = [{"id": 1, "y_um": 0.0, "diameter_um": 3.0}, {"id": 2, "y_um": 1.4, "diameter_um": 3.0}]
    assert score([{"id": 1, "y_um": 1.4}, {"id": 2, "y_um": 2.8}], truth)["f1"] == 1.0


def test_duplicate_is_false() -> None:
    assert score([{"id": 1, "y_um": 0.1}, {"id": 2, "y_um": 0.0}], [{}])["precision"] == 0.5


def test_frames_are_kept_apart() -> None:
    assert score([{"frame": 1}], [{"frame": 0}])["f1"] == 0.0


@pytest.mark.parametrize("reason", [{"snr": 1.9}, {"diameter_um": 0.49}, {"is_covered": True}])
def test_ignored_truth_counts_neither_way(reason: dict[str, Any]) -> None:
    truth = [{"id": 1, "y_um": 0.0}, {"id": 2, "y_um": 5.0, **reason}]
    missed = score([{"id": 1}], truth)
    found = score([{"id": 1}, {"id": 2, "y_um": 5.2}], truth)
    assert missed["recall"] == found["recall"] == 1.0
    assert missed["precision"] == found["precision"] == 1.0
    assert score([{"id": 1}], [truth[0], {"id": 2, "y_um": 5.0}])["recall"] == 0.5, "test invalid"
    assert score([{"id": 1}, {"id": 2, "y_um": 5.5}], truth)["precision"] == 0.5  # beyond the gate of the ignored one


def test_ignored_truth_does_not_take_a_detection_from_one_that_counts() -> None:
    truth = [{"id": 1, "y_um": 0.0}, {"id": 2, "y_um": 0.3, "snr": 1.0}]
    assert score([{"y_um": 0.3}], truth)["recall"] == 1.0
    both = score([{"id": 1, "y_um": 0.1}, {"id": 2, "y_um": 0.3}], truth)
    assert (both["precision"], both["recall"]) == (1.0, 1.0)
    # one ignored truth row absorbs one detection, not two
    three = score([{"id": 1, "y_um": 0.1}, {"id": 2, "y_um": 0.3}, {"id": 3, "y_um": 0.35}], truth)
    assert three["precision"] == 0.5


def test_covered_prediction_is_not_false_but_may_be_right() -> None:
    truth = [{"id": 1}]
    pred = [{"id": 1, "is_covered": True}, {"id": 2, "y_um": 9.0, "is_covered": True}]
    scores = score(pred, truth)
    assert (scores["precision"], scores["recall"], scores["false_per_frame"]) == (1.0, 1.0, 0.0)


def test_null_snr_and_diameter_of_hand_counts_are_scored() -> None:
    scores = score([{}], [{"snr": np.nan, "diameter_um": np.nan}])
    assert scores["recall"] == 1.0
    assert np.isnan(scores["diameter_error"])
    assert np.isnan(scores["recall_0.5_0.8um"])


def test_recall_by_size_and_location() -> None:
    truth = [
        {"id": number, "y_um": 10.0 * number, "diameter_um": diameter, "location": location}
        for number, (diameter, location) in enumerate(
            [(0.5, "tip"), (0.79, "tip"), (0.8, "branch"), (1.2, "shaft"), (2.0, "shaft"), (3.0, None)]
        )
    ]
    scores = score([truth[0], truth[3], truth[4]], truth)
    names = ["recall_0.5_0.8um", "recall_0.8_1.2um", "recall_1.2_2um", "recall_over_2um"]
    assert [scores[name] for name in names] == [0.5, 0.0, 1.0, 0.5]
    assert [scores[f"recall_{name}"] for name in ("tip", "branch", "shaft")] == [0.5, 0.0, 1.0]


def test_diameter_error_and_bias() -> None:
    truth = [{"id": n, "y_um": 9.0 * n, "diameter_um": d} for n, d in enumerate([1.0, 1.0, 2.0])]
    pred = [{"id": n, "y_um": 9.0 * n, "diameter_um": d} for n, d in enumerate([0.9, 1.2, 2.1])]
    scores = score(pred, truth)  # -10 %, +20 %, +5 %
    assert scores["diameter_error"] == pytest.approx(10.0)
    assert scores["diameter_bias"] == pytest.approx(5.0)
    assert scores["diameter_bias_0.8_1.2um"] == pytest.approx(5.0)
    assert scores["diameter_error_over_2um"] == pytest.approx(5.0)
    assert np.isnan(scores["diameter_error_0.5_0.8um"])


def test_movie_without_migrasomes() -> None:
    table = evaluate(movie(migrasomes(*track(1, 0.0, range(3)), *track(2, 9.0, [0]))), movie(migrasomes()), PIXEL)
    scores = scores_as_dict(table)
    assert scores["empty_false_per_frame"] == pytest.approx(4 / 3)
    assert scores["empty_false_tracks"] == 2.0
    assert np.isnan(scores["recall"])
    assert np.isnan(scores["f1"])
    assert np.isnan(scores["hota"])
    assert scores["precision"] == 0.0
    assert np.isnan(score([{}], [{}])["empty_false_per_frame"])


def test_nothing_predicted() -> None:
    scores = score([], track(1, 0.0, range(3)))
    assert np.isnan(scores["precision"])
    assert np.isnan(scores["position_error"])
    assert (scores["recall"], scores["f1"], scores["hota"], scores["alpha"], scores["beta"], scores["jsc"]) == (
        0.0,
    ) * 6


# --- tracking --------------------------------------------------------------------------------------------------------


def test_swapped_tracks() -> None:
    truth = track(1, 0.0, range(4)) + track(2, 9.0, range(4))
    pred = track(1, 0.0, [0, 1]) + track(1, 9.0, [2, 3]) + track(2, 9.0, [0, 1]) + track(2, 0.0, [2, 3])
    scores = score(pred, truth)
    assert scores["f1"] == 1.0
    # each match: TPA 2, FNA 2, FPA 2
    assert scores["deta"] == 1.0
    assert scores["assa"] == pytest.approx(1 / 3)
    assert scores["hota"] == pytest.approx(np.sqrt(1 / 3))
    assert scores["hota_mean"] == pytest.approx(np.sqrt(1 / 3))
    assert scores["id_switches_per_100"] == pytest.approx(100 * 2 / 8)
    # each pair of tracks gains 2 of 4 points
    assert scores["alpha"] == scores["beta"] == 0.5
    assert scores["jsc"] == pytest.approx(4 / 12)
    assert scores["jsc_tracks"] == 1.0


def test_half_a_track() -> None:
    scores = score(track(1, 0.0, [0, 1]), track(1, 0.0, range(4)))
    assert (scores["deta"], scores["assa"], scores["hota"]) == (0.5, 0.5, 0.5)
    assert (scores["alpha"], scores["beta"], scores["jsc"], scores["jsc_tracks"]) == (0.5, 0.5, 0.5, 1.0)
    assert scores["id_switches_per_100"] == 0.0


def test_track_in_two_pieces_after_a_gap() -> None:
    scores = score(track(1, 0.0, [0]) + track(2, 0.0, [2, 3]), track(1, 0.0, range(4)))
    assert scores["deta"] == 0.75
    assert scores["assa"] == pytest.approx((1 / 4 + 2 * 2 / 4) / 3)
    assert scores["id_switches_per_100"] == pytest.approx(100 / 3)
    # the longer piece is paired, the other spurious: gain 2; beta 2 / (4 + 1); JSC TP 2, FN 2, FP 1
    assert (scores["alpha"], scores["beta"], scores["jsc"], scores["jsc_tracks"]) == (0.5, 0.4, 0.4, 0.5)
    assert (scores["track_precision"], scores["track_recall"]) == (0.5, 1.0)
    assert scores["track_f1"] == pytest.approx(2 / 3)


def test_distance_within_the_gate() -> None:
    truth, pred = track(1, 0.0, range(2)), track(1, 0.2, range(2)) + track(2, 50.0, range(2))
    scores = score(pred[:2], truth)
    # similarity 1 - 0.2 / 0.8 = 0.75: 15 of the 19 thresholds hold
    assert scores["hota"] == 1.0
    assert scores["hota_mean"] == pytest.approx(15 / 19)
    assert scores["alpha"] == pytest.approx(0.5)
    assert score(pred, truth)["beta"] == pytest.approx(1 / (2 + 2))


def test_distance_beyond_the_gate_counts_for_the_mean_only() -> None:
    scores = score(track(1, 0.6, range(2)), track(1, 0.0, range(2)))  # similarity 0.25: five thresholds
    assert scores["hota"] == 0.0
    assert scores["hota_mean"] == pytest.approx(5 / 19)
    assert np.isnan(scores["assa"])
    assert np.isnan(scores["id_switches_per_100"])
    assert scores["jsc_tracks"] == 0.0


def test_similarity_at_the_gate() -> None:
    # similarity 1 - 0.38 / 0.8 = 0.525
    assert score(track(1, 0.38, range(2)), track(1, 0.0, range(2)))["hota"] == 1.0
    assert score(track(1, 0.42, range(2)), track(1, 0.0, range(2)))["hota"] == 0.0


def test_short_duplicate_does_not_break_a_track() -> None:
    # nearer in one frame, but the long track goes with the truth over the whole movie
    scores = score(track(1, 0.1, range(4)) + track(2, 0.0, [1]), track(1, 0.0, range(4)))
    assert scores["id_switches_per_100"] == 0.0
    assert scores["assa"] == 1.0
    assert scores["deta"] == pytest.approx(4 / 5)


def test_isbi_pairing_charges_for_excess_points() -> None:
    # one good point and three in excess: worth less than no pair at all
    scores = score(track(1, 0.0, [0, 2, 3, 4]), track(1, 0.0, [0, 1]))
    assert (scores["alpha"], scores["jsc"]) == (0.0, 0.0)
    assert scores["beta"] == 0.0


def test_ignored_rows_are_not_tracked() -> None:
    truth = track(1, 0.0, [0, 1], snr=1.0) + track(1, 0.0, [2, 3])
    late = score(track(1, 0.0, [2, 3]), truth)
    early = score(track(2, 0.0, [0, 1]) + track(1, 0.0, [2, 3]), truth)
    for scores in (late, early):
        assert scores["hota"] == scores["alpha"] == scores["beta"] == 1.0
        assert scores["id_switches_per_100"] == 0.0
        assert scores["track_precision"] == 1.0


def test_single_frame_has_no_tracking() -> None:
    scores = score([{}], [{}])
    assert scores["f1"] == 1.0
    for name in ("hota", "hota_mean", "alpha", "beta", "jsc", "id_switches_per_100", "track_f1", "birth_error_min"):
        assert np.isnan(scores[name])


# --- what is reported about a track ----------------------------------------------------------------------------------


def paired(pred: list[dict[str, Any]], truth: list[dict[str, Any]]) -> dict[str, float]:
    """Score tracks that match one to one by their position in the list."""
    sides = [
        movie(
            migrasomes(*[row for n in range(len(side)) for row in track(n, 9.0 * n, range(3))]),
            tracks=tracks(*[{"id": n, **row} for n, row in enumerate(side)]),
        )
        for side in (pred, truth)
    ]
    return scores_as_dict(evaluate(*sides, PIXEL))


def test_growth_errors() -> None:
    scores = paired(
        [{"plateau_diameter_um": 1.1, "tau_min": 15.0}, {"plateau_diameter_um": 1.4}, {}],
        [{"plateau_diameter_um": 1.0, "tau_min": 20.0}, {"plateau_diameter_um": 2.0, "tau_min": 9.0}, {"tau_min": 1.0}],
    )
    assert scores["plateau_diameter_error"] == pytest.approx(20.0)
    assert scores["plateau_diameter_bias"] == pytest.approx(-10.0)
    assert scores["tau_error"] == pytest.approx(25.0)


def test_location_and_fate() -> None:
    scores = paired(
        [
            {"location": "tip", "fate": "persist"},
            {"location": "tip", "fate": "fade"},
            {"location": "tip", "fate": None},
            {"location": None, "fate": "rupture"},
            {"location": "tip", "fate": "rupture"},
        ],
        [
            {"location": "tip", "fate": "persist"},
            {"location": "tip", "fate": "persist"},
            {"location": "tip", "fate": "fade"},
            {"location": "shaft", "fate": "rupture"},
            {"location": None, "fate": None},
        ],
    )
    assert scores["location_macro_recall"] == 0.5
    assert scores["location_accuracy"] == 0.75
    assert scores["fate_macro_recall"] == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert scores["fate_accuracy"] == 0.5


def test_birth_and_end() -> None:
    truth = [
        {"birth_time_min": 2.0, "end_time_min": 4.0},
        {"birth_time_min": 2.0, "end_time_min": None, "is_right_censored": True},
        {"birth_time_min": 0.0, "is_left_censored": True, "end_time_min": 4.0},
        {"birth_time_min": 2.0, "end_time_min": 4.0},
    ]
    pred = [
        {"birth_time_min": 1.0, "end_time_min": 4.0},
        {"birth_time_min": 5.0, "end_time_min": 2.0},
        {"birth_time_min": 99.0, "end_time_min": 2.0},
        {"birth_time_min": None, "end_time_min": None},
    ]
    scores = paired(pred, truth)  # two minutes a frame; errors -1, +3 and one missing; ends 0, -2 and one missing
    assert scores["birth_error_min"] == pytest.approx(2.0)
    assert scores["birth_error_frames"] == pytest.approx(1.0)
    assert scores["birth_bias_min"] == pytest.approx(1.0)
    assert scores["birth_missing"] == pytest.approx(1 / 3)
    assert scores["end_error_min"] == pytest.approx(1.0)
    assert scores["end_bias_frames"] == pytest.approx(-0.5)
    assert scores["end_missing"] == pytest.approx(1 / 3)


def test_tracks_are_matched_by_most_shared_rows() -> None:
    truth = movie(migrasomes(*track(1, 0.0, range(5))), tracks=tracks({"id": 1, "tau_min": 10.0}))
    pred = movie(
        migrasomes(*track(1, 0.0, [0, 1]), *track(2, 0.0, [2, 3, 4])),
        tracks=tracks({"id": 1, "tau_min": 10.0}, {"id": 2, "tau_min": 20.0}),
    )
    assert scores_as_dict(evaluate(pred, truth, PIXEL))["tau_error"] == pytest.approx(100.0)


def test_location_from_the_migrasomes_table_alone() -> None:
    truth = track(1, 0.0, [0, 1]) + track(2, 9.0, [0, 1], location="shaft")
    scores = score([row | {"location": "tip"} for row in truth], truth)
    assert scores["location_accuracy"] == 0.5
    assert np.isnan(scores["parent_accuracy"])
    assert np.isnan(scores["birth_error_min"])


# --- one report, many movies -----------------------------------------------------------------------------------------


def test_table_has_the_same_rows_for_every_movie() -> None:
    full = evaluate(movie(migrasomes({})), movie(migrasomes({})), PIXEL)
    empty = evaluate(Results("m"), Results("m"), PIXEL)
    assert list(full.columns) == ["movie_id", "group", "metric", "value", "n", "unit"]
    assert full["metric"].is_unique
    assert full[["group", "metric", "unit"]].equals(empty[["group", "metric", "unit"]])
    assert empty["value"].isna().all()
    for table in (full, empty):
        assert (table.loc[table["value"].isna(), "n"] == 0).all()
        assert (table.loc[table["value"].notna(), "n"] > 0).all()


def test_pooled_scores_are_of_summed_counts() -> None:
    one = [{"id": n, "y_um": 9.0 * n, "diameter_um": 1.0} for n in range(10)]
    two = one[:1]
    wrong = [row | {"diameter_um": 1.5} for row in one]
    table = evaluate_many(
        [
            (movie(migrasomes(*wrong), "a"), movie(migrasomes(*one), "a"), PIXEL),
            (movie(migrasomes({"y_um": 90.0}), "b"), movie(migrasomes(*two), "b"), PIXEL),
        ]
    )
    assert table["movie_id"].unique().tolist() == ["a", "b", POOLED]
    scores = scores_as_dict(table)
    assert scores == pytest.approx(scores_as_dict(table, POOLED), nan_ok=True)
    assert scores["recall"] == pytest.approx(10 / 11)
    assert scores["diameter_error"] == pytest.approx(50.0)
    assert scores_as_dict(table, "b")["recall"] == 0.0
    mean = (scores_as_dict(table, "a")["recall"] + scores_as_dict(table, "b")["recall"]) / 2
    assert scores["recall"] != mean, "test invalid"


def test_pooled_tracking_weighs_by_matches() -> None:
    swap = track(1, 0.0, [0, 1]) + track(1, 9.0, [2, 3]) + track(2, 9.0, [0, 1]) + track(2, 0.0, [2, 3])
    truth = track(1, 0.0, range(4)) + track(2, 9.0, range(4))
    good = track(1, 0.0, range(4))
    table = evaluate_many(
        [
            (movie(migrasomes(*swap), "a"), movie(migrasomes(*truth), "a"), PIXEL),
            (movie(migrasomes(*good), "b"), movie(migrasomes(*good), "b"), PIXEL),
        ]
    )
    scores = scores_as_dict(table)
    assert scores["assa"] == pytest.approx((8 / 3 + 4) / 12)
    assert scores["id_switches_per_100"] == pytest.approx(100 * 2 / 12)
    assert scores["alpha"] == pytest.approx((4 + 4) / 12)


def test_only_annotated_frames_are_scored() -> None:
    frames = conform_table("frames", {"movie_id": ["m"], "frame": [1], "n_cells": [0], "n_candidates": [0]})
    truth = movie(migrasomes({"frame": 1}), frames=frames)
    pred = movie(migrasomes(*track(1, 0.0, range(5))))
    assert scores_as_dict(evaluate(pred, truth, PIXEL))["precision"] == 1.0
    truth.tables.pop("frames")
    assert scores_as_dict(evaluate(pred, movie(truth.migrasomes), PIXEL))["precision"] == 0.2, "test invalid"


def test_errors_name_what_to_do() -> None:
    pair = (movie(migrasomes({})), movie(migrasomes({})), PIXEL)
    with pytest.raises(TableError, match="rename"):
        evaluate_many([pair, pair])
    with pytest.raises(TableError, match="'all'"):
        evaluate_many([(movie(migrasomes({}), "all"), pair[1], PIXEL)])
    with pytest.raises(TableError, match="got 'x'"):
        scores_as_dict(evaluate(*pair), "x")
    with pytest.raises(CalibrationError, match="pixel size"):
        evaluate(pair[0], pair[1], 0.0)


def test_inputs_are_not_changed() -> None:
    sides = [movie(migrasomes(*track(1, 0.0, range(3)), *track(2, 9.0, range(3)))) for _ in range(2)]
    before = [{name: table.copy(deep=True) for name, table in side.tables.items()} for side in sides]
    evaluate(sides[0], sides[1], PIXEL)
    for side, tables in zip(sides, before, strict=True):
        for name, table in tables.items():
            pd.testing.assert_frame_equal(side.tables[name], table)


# --- properties ------------------------------------------------------------------------------------------------------


def crowd(seed: int, n_tracks: int = 12, n_frames: int = 5, size_um: float = 4.0) -> pd.DataFrame:
    """Random, so crowded that the matching is ambiguous."""
    rng = np.random.default_rng(seed)
    number, frame = (values.ravel() for values in np.indices((n_tracks, n_frames)))
    place = rng.uniform(0, size_um, (n_tracks, 2))[number] + rng.normal(0, 0.1, (number.size, 2))
    keep = rng.random(number.size) < 0.8
    rows = {
        "id": number,
        "frame": frame,
        "y_um": place[:, 0],
        "x_um": place[:, 1],
        "snr": rng.choice([1.0, 5.0], number.size, p=[0.2, 0.8]),
        "is_covered": rng.random(number.size) < 0.1,
    }
    return migrasomes(*pd.DataFrame(rows)[keep].to_dict("records"))


def noisy(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return table.assign(y_um=table["y_um"] + rng.normal(0, 0.15, len(table)))[rng.random(len(table)) < 0.9]


def renumbered(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    numbers = np.random.default_rng(seed).permutation(table["migrasome_id"].max() + 1) + 100
    return conform_table("migrasomes", table.assign(migrasome_id=numbers[table["migrasome_id"]]))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_scores_do_not_depend_on_the_numbering(seed: int) -> None:
    truth, pred = crowd(seed), noisy(crowd(seed), seed + 1)
    scores = scores_as_dict(evaluate(movie(pred), movie(truth), PIXEL))
    again = scores_as_dict(evaluate(movie(renumbered(pred, seed)), movie(renumbered(truth, seed + 7)), PIXEL))
    assert again == pytest.approx(scores, nan_ok=True)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_roles_can_be_exchanged(seed: int) -> None:
    sides = [movie(crowd(s).assign(snr=5.0, is_covered=False)) for s in (seed, seed + 1)]
    scores, swapped = (scores_as_dict(evaluate(a, b, PIXEL)) for a, b in (sides, sides[::-1]))
    assert scores["precision"] == pytest.approx(swapped["recall"])
    for name in ("f1", "position_error", "hota", "hota_mean", "assa", "track_f1"):
        assert scores[name] == pytest.approx(swapped[name], nan_ok=True)  # nan: nothing matched


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_scores_of_oneself_are_perfect_and_bounded_otherwise(seed: int) -> None:
    truth = movie(crowd(seed))
    own = scores_as_dict(evaluate(truth, truth, PIXEL))
    other = scores_as_dict(evaluate(movie(crowd(seed + 1)), truth, PIXEL))
    for name in ("precision", "recall", "f1", "hota", "hota_mean", "alpha", "beta", "jsc", "jsc_tracks", "track_f1"):
        assert own[name] == pytest.approx(1.0)
        assert 0.0 <= other[name] <= 1.0
    assert other["f1"] < 1.0, "test invalid"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), m=st.integers(1, 6))
def test_assignment_is_that_of_the_dense_problem(seed: int, n: int, m: int) -> None:
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(seed)
    gain = rng.random((n, m)) * (rng.random((n, m)) < 0.5)
    rows, cols = np.nonzero(gain)
    chosen = assign(rows, cols, gain[rows, cols])
    assert len(set(rows[chosen])) == len(set(cols[chosen])) == chosen.size
    assert gain[rows, cols][chosen].sum() == pytest.approx(gain[linear_sum_assignment(gain, maximize=True)].sum())


def test_matching_agrees_with_one_dense_problem_per_frame() -> None:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    truth = crowd(3).assign(snr=5.0, is_covered=False)
    pred = noisy(truth, 4)
    n = 0
    for frame in range(5):
        places = [t.loc[t["frame"] == frame, ["y_um", "x_um"]].to_numpy() for t in (truth, pred)]
        distance = cdist(*places)
        cost = np.where(distance <= 0.4, distance, 1e3)
        n += int((cost[linear_sum_assignment(cost)] < 1e3).sum())
    assert match_migrasomes(truth, pred, np.arange(5)).pairs.truth.size == n


def test_a_long_crowded_movie_is_quick() -> None:
    rng = np.random.default_rng(0)
    number, frame = (values.ravel() for values in np.indices((300, 60)))
    place = rng.uniform(0, 200, (300, 2))[number]
    base = pd.DataFrame({"frame": frame, "migrasome_id": number, "y_um": place[:, 0], "x_um": place[:, 1]})
    base = base.assign(**{k: v for k, v in (DEFAULTS | FLAGS).items() if k not in base})
    truth = conform_table("migrasomes", base)
    pred = truth.assign(y_um=truth["y_um"] + rng.normal(0, 0.2, len(truth)))
    start = time.process_time()
    evaluate(movie(pred), movie(truth), PIXEL)
    assert time.process_time() - start < 2.0
