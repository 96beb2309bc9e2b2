from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from migradetect import trees
from migradetect.company import COMPANY_FEATURES
from migradetect.errors import ParamsError
from migradetect.params import JudgeParams
from migradetect.tables import KINDS
from migradetect.tracks import FEATURES, judge, learned_score, movie_company, rule_score, track_features

RULES = JudgeParams(method="rules")


def spots(candidate_id: int = 1, n: int = 20, first: int = 5, **values: float) -> pd.DataFrame:
    """A round bright thing that stands still away from cells."""
    usual = {
        "y_um": 10.0,
        "x_um": 12.0,
        "y_stage_um": 10.0,
        "x_stage_um": 12.0,
        "diameter_um": 1.3,
        "diameter_err_um": 0.05,
        "blob_snr": 25.0,
        "snr": 30.0,
        "roundness": 0.8,
        "chi2": 1.0,
        "background": 0.5,
        "scale_um": 1.3,
        "contrast": 4.0,
        "resolved": 4.0,
        "line_ratio": 0.3,
        "opposite_ratio": 0.3,
        "valley_ratio": 0.1,
        "misfit": 0.1,
        "inside": -3.0,
        "contains": -3.0,
        "log_odds": 2.0,
        "picture": 3.0,
        "colour": 0.5,
        "signal": 20.0,
        "fiber_um": 0.2,
        "fiber_length_um": 30.0,
        "cell_um": 15.0,
        "line_snr": 8.0,
        "shape": 0.0,
    }
    frames = {"candidate_id": candidate_id, "frame": np.arange(first, first + n)}
    return pd.DataFrame(frames | {k: np.full(n, v) for k, v in (usual | values).items()})


def kind_of(table: pd.DataFrame, n_frames: int = 60, interval: float = 2.0) -> str:
    return str(judge(track_features(table), RULES, n_frames, interval)["kind"].iloc[0])


def test_features_of_a_track_by_hand() -> None:
    table = spots(n=4)
    table["y_stage_um"] = [10.0, 10.0, 10.0, 10.6]
    table["blob_snr"] = [10.0, 20.0, 30.0, 40.0]
    row = track_features(table.drop(index=1)).loc[1]
    assert (row["frame_first"], row["frame_last"], row["n_frames"], row["span_frames"]) == (5, 8, 3, 4)
    assert row["fill"] == pytest.approx(0.75)
    assert row["snr"] == 30
    assert row["log_blob_snr"] == pytest.approx(np.log(30))
    assert row["net_um"] == pytest.approx(0.6)
    assert row["log_n"] == pytest.approx(np.log(3))
    assert row["scatter_um"] == pytest.approx(np.std([10, 10, 10.6], ddof=1))


def test_every_feature_is_finite_also_from_gaps_and_single_spots() -> None:
    table = pd.concat([spots(1, 1), spots(2, 3, diameter_err_um=np.nan), spots(3, 2, fiber_um=np.inf, cell_um=np.inf)])
    features = track_features(table)[list(FEATURES)]
    # who was here before is not known unless it is told
    history = ["visited", "empty_before", "empty_after"]
    assert features[history].isna().all(axis=None)
    assert np.isfinite(features.drop(columns=history).to_numpy(float)).all()


def test_history_of_a_place_by_hand() -> None:
    gaps = np.full(40, 12.0, np.float32)
    gaps[2:6], gaps[6] = 0.0, 0.7
    gaps[38:] = np.nan
    table = pd.concat([spots(1, 20, first=10), spots(2, 20, first=10)]).assign(site_id=lambda t: t["candidate_id"])
    far = np.full(40, 12.0, np.float32)
    features = track_features(table, {1: gaps, 2: far})
    assert features["visited"].tolist() == [1.0, 0.0]
    # frames 0, 1, 7, 8 and 9 are clear before; 30 to 37 after, and 30 to 39
    np.testing.assert_allclose(np.expm1(features["empty_before"]), [5, 10])
    np.testing.assert_allclose(np.expm1(features["empty_after"]), [8, 10])
    first = track_features(spots(1, 20, first=0).assign(site_id=1), {1: gaps})
    assert np.isnan(first["visited"].iloc[0])


def test_growth_is_the_logarithm_of_late_over_early_size() -> None:
    table = spots(n=9)
    table["diameter_um"] = [0.5] * 3 + [0.8] * 3 + [1.0] * 3
    assert track_features(table)["growth"].iloc[0] == pytest.approx(np.log(2))


def test_no_candidates_have_every_column() -> None:
    features = track_features(spots(n=0))
    assert features.empty
    assert set(FEATURES) <= set(features.columns)
    judged = judge(features, RULES, 60, 2.0)
    assert judged.empty
    assert {"score", "kind", "reason"} <= set(judged.columns)


def test_order_of_rows_plays_no_part_and_input_stays() -> None:
    table = pd.concat([spots(1), spots(2, y_stage_um=20.0)], ignore_index=True)
    shuffled = table.sample(frac=1, random_state=3)
    before = shuffled.copy()
    pd.testing.assert_frame_equal(track_features(shuffled), track_features(table))
    pd.testing.assert_frame_equal(shuffled, before)


def test_scores_lie_between_0_and_1_and_follow_the_evidence() -> None:
    table = pd.concat([spots(1), spots(2, blob_snr=3.0), spots(3, roundness=0.05), spots(4, diameter_um=0.2)])
    score = rule_score(track_features(table))
    assert ((score >= 0) & (score <= 1)).all()
    assert score[0] > 0.8
    assert score[1:].max() < score[0] - 0.2
    assert score[2:].max() < 0.5


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("migrasome", {}),
        ("noise", {"blob_snr": 2.0}),
        ("fiber", {"roundness": 0.02, "blob_snr": 2.0}),
        ("subresolution", {"diameter_um": 0.3}),
    ],
)
def test_kind_follows_from_what_is_measured(kind: str, values: dict[str, float]) -> None:
    assert kind in KINDS
    assert kind_of(spots(**values)) == kind


def test_brief_one_is_transient_where_the_movie_is_long_enough() -> None:
    brief = spots(n=3, first=20)
    assert kind_of(brief) == "transient"
    assert kind_of(brief, n_frames=15, interval=2.0) != "transient"
    # it may have gone on before the first frame or after the last
    assert kind_of(spots(n=3, first=0)) == "migrasome"
    assert kind_of(spots(n=3, first=57)) == "migrasome"


def test_seen_in_two_frames_only_is_noise() -> None:
    assert kind_of(spots(n=2, first=0)) == "noise"
    assert kind_of(spots(n=1, first=0), n_frames=1, interval=float("nan")) == "migrasome"


def test_what_moves_is_debris_or_a_filopodium() -> None:
    walk = spots(n=20)
    walk["y_stage_um"] += np.linspace(0, 2, 20)
    assert kind_of(walk) == "debris_floating"
    walk["cell_um"] = 1.0
    assert kind_of(walk) == "filopodium"


def test_reason_is_null_for_migrasomes_only() -> None:
    table = pd.concat([spots(1), spots(2, blob_snr=2.0), spots(3, diameter_um=0.2)])
    judged = judge(track_features(table), RULES, 60, 2.0)
    assert ((judged["kind"] == "migrasome") == judged["reason"].isna()).all()
    assert set(judged["kind"]) <= set(KINDS)


def test_higher_threshold_accepts_fewer() -> None:
    table = pd.concat([spots(i, blob_snr=2.0 + i) for i in range(1, 25)])
    features = track_features(table)
    accepted = [
        (judge(features, JudgeParams(method="rules", min_score=s), 60, 2.0)["kind"] == "migrasome").sum()
        for s in (0.1, 0.5, 0.9)
    ]
    assert accepted == sorted(accepted, reverse=True)
    assert accepted[0] > accepted[2] > 0


def tiny_trees() -> dict[str, np.ndarray]:
    """Two trees: roundness above 0.5 adds 2, else -2; and, where it is round, a diameter above 1 um adds 1."""
    roundness, size = FEATURES.index("roundness"), FEATURES.index("log_diameter")
    return {
        "names": np.array(FEATURES),
        "start": np.array(-1.0),
        "feature": np.array([[roundness, -1, -1, -1, -1], [roundness, -1, size, -1, -1]]),
        "threshold": np.array([[0.5, 0, 0, 0, 0], [0.5, 0, 0.0, 0, 0]], np.float32),
        "left": np.array([[1, 0, 0, 0, 0], [1, 0, 3, 0, 0]]),
        "right": np.array([[2, 0, 0, 0, 0], [2, 0, 4, 0, 0]]),
        "value": np.array([[0, -2.0, 2.0, 0, 0], [0, 0.0, 0, 0.0, 1.0]]),
    }


@pytest.fixture
def judge_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the stored judge."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(trees.resources, "files", lambda _: tmp_path)
    trees.load_trees.cache_clear()
    yield tmp_path / "data" / "judge.npz"
    trees.load_trees.cache_clear()


def test_trees_are_walked_as_by_hand(judge_file: Path) -> None:
    both = {"names": np.array([*FEATURES, *COMPANY_FEATURES])}
    np.savez(judge_file, **tiny_trees())
    np.savez(judge_file.with_name("company.npz"), **(tiny_trees() | both))
    table = pd.concat(
        [spots(1), spots(2, roundness=0.1), spots(3, diameter_um=0.6), spots(4, roundness=0.1, diameter_um=0.6)]
    )
    expected = 1 / (1 + np.exp(-np.array([2.0, -3.0, 1.0, -3.0])))
    features = track_features(table)
    np.testing.assert_allclose(learned_score(features), expected, rtol=1e-6)
    judged = judge(features, JudgeParams(method="learned"), 60, 2.0)
    np.testing.assert_allclose(judged["score"], expected, rtol=1e-6)
    assert learned_score(track_features(spots(n=0))).shape == (0,)


def test_second_judge_sees_how_far_a_track_is_from_the_sure_ones(judge_file: Path) -> None:
    np.savez(judge_file, **tiny_trees())
    names = (*FEATURES, *COMPANY_FEATURES)
    # one tree: a colour more than two spreads from the usual one takes 3, and so does an unknown one
    gap = names.index("colour_gap")
    refuses = {
        "names": np.array(names),
        "start": np.array(1.0),
        "feature": np.array([[gap, -1, -1]]),
        "threshold": np.array([[2.0, 0, 0]], np.float32),
        "left": np.array([[1, 0, 0]]),
        "right": np.array([[2, 0, 0]]),
        "value": np.array([[0, 0.0, -3.0]]),
    }
    np.savez(judge_file.with_name("company.npz"), **refuses)
    alike = [spots(k, colour=0.5 + 0.01 * k) for k in range(1, 9)]
    features = track_features(pd.concat([*alike, spots(9, colour=2.5)]))
    likely, unlikely = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(2.0))
    np.testing.assert_allclose(learned_score(features), [likely] * 8 + [unlikely], rtol=1e-6)
    # a part of the tracks is judged beside all of them
    alone = features.loc[[9]]
    np.testing.assert_allclose(learned_score(alone, movie_company(features)), [unlikely], rtol=1e-6)


def test_few_sure_ones_leave_each_track_to_the_first_judge(judge_file: Path) -> None:
    both = {"names": np.array([*FEATURES, *COMPANY_FEATURES])}
    np.savez(judge_file, **tiny_trees())
    np.savez(judge_file.with_name("company.npz"), **(tiny_trees() | both | {"start": np.array(9.0)}))
    seven, eight = (track_features(pd.concat([spots(k) for k in range(n)])) for n in (7, 8))
    np.testing.assert_allclose(learned_score(seven), 1 / (1 + np.exp(-2.0)), rtol=1e-6)
    np.testing.assert_allclose(learned_score(eight), 1 / (1 + np.exp(-12.0)), rtol=1e-6)


def test_judge_of_other_features_is_refused_with_the_remedy(judge_file: Path) -> None:
    np.savez(judge_file, **(tiny_trees() | {"names": np.array(["brightness"])}))
    with pytest.raises(ParamsError, match=r"expected the features log_blob_snr.*got brightness.*train"):
        learned_score(track_features(spots()))
