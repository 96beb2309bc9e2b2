"""What the pictures of a place change in the judgement."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from migradetect.errors import CancelledError
from migradetect.params import JudgeParams, Params
from migradetect.pipeline import _second_look as module
from migradetect.pipeline import analyze, preview
from migradetect.pipeline._fit_model import fit_movie_model
from migradetect.pipeline._pass1 import Pass1, run_pass1
from migradetect.pipeline._pass2 import Pass2, join_accepted, run_pass2
from migradetect.pipeline._second_look import look_again, worth_a_look
from migradetect.synthetic import Simulation, simulate
from migradetect.tracks import with_scene

PARAMS = Params()
SIZE = {"height_px": 224, "width_px": 224, "pixel_size_um": 0.2, "warmup_min": 150.0, "n_tails": 4.0}


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate("typical", 7, n_frames=7, frame_interval_s=180.0, migrasomes_per_100um=10.0, **SIZE)


@pytest.fixture(scope="module")
def stages(simulation: Simulation):
    movie = simulation.movie()
    model = fit_movie_model(movie, PARAMS)
    first = run_pass1(movie, PARAMS, model, lambda done: None)
    return movie, model, first, run_pass2(movie, PARAMS, first)


def looked(stages, params: Params = PARAMS, threads: int = 1, step=lambda done: None) -> Pass2:
    movie, model, first, second = stages
    return look_again(movie, params, model, first, second, step, threads)


def test_scores_change_and_with_them_what_is_accepted(stages) -> None:
    before, after = stages[3].judged, looked(stages).judged
    worth = worth_a_look(before, PARAMS.judge)
    assert len(worth) > 8, "test invalid"
    assert (after.loc[worth.index, "score"] != before.loc[worth.index, "score"]).mean() > 0.9
    rest = before.index.difference(worth.index)
    pd.testing.assert_frame_equal(after.loc[rest], before.loc[rest])
    accepted = after[after["kind"] == "migrasome"]
    assert (accepted["score"] >= PARAMS.judge.min_score).all()
    assert accepted["reason"].isna().all()
    assert after.loc[after["kind"] != "migrasome", "reason"].notna().all()
    pd.testing.assert_frame_equal(before, stages[3].judged)


@pytest.mark.parametrize("log_odds", [-8.0, 8.0])
def test_a_sure_network_decides_what_the_judge_leaves_open(stages, monkeypatch, log_odds: float) -> None:
    monkeypatch.setattr(module, "scene_log_odds", lambda scenes, *_: np.full(len(scenes.near), log_odds))
    before, after = stages[3].judged, looked(stages).judged
    is_open = before["score"].between(0.1, 0.95) & before["reason"].fillna("score").str.contains("score|line")
    assert is_open.sum() >= 3, "test invalid"
    kinds = set(after.loc[is_open, "kind"])
    assert ("migrasome" in kinds) == (log_odds > 0)


def test_threads_share_the_frames_and_change_nothing(stages) -> None:
    done: list[int] = []
    pd.testing.assert_frame_equal(looked(stages, threads=3, step=done.append).judged, looked(stages).judged)
    assert done == list(range(1, 8))


def test_of_long_movies_some_frames_will_do(stages, monkeypatch) -> None:
    monkeypatch.setattr(module, "_MOST_FRAMES", 3)
    read: list[int] = []
    real = module.look_at
    monkeypatch.setattr(module, "look_at", lambda reader, frame, *a: (read.append(frame), real(reader, frame, *a))[1])
    done: list[int] = []
    looked(stages, step=done.append)
    assert read == [0, 3, 6]
    assert done == [3, 6, 7]


def test_of_a_crowd_of_candidates_the_likeliest_are_looked_at(stages, monkeypatch) -> None:
    judged = stages[3].judged
    monkeypatch.setattr(module, "_MOST_SCENES", 10)
    worth = worth_a_look(judged, PARAMS.judge)
    assert len(worth) == 10
    assert worth["score"].min() >= judged["score"].nlargest(11).iloc[-1]
    assert worth.index.is_monotonic_increasing


def test_rules_no_wish_and_nothing_to_look_at_leave_all_as_it_was(stages) -> None:
    movie, model, first, second = stages
    for params in (JudgeParams(method="rules"), JudgeParams(second_look=False)):
        assert look_again(movie, Params(judge=params), model, first, second, lambda done: None) is second
    nothing = Pass2(**{**vars(second), "judged": second.judged.assign(score=0.0)})
    assert look_again(movie, PARAMS, model, first, nothing, lambda done: None) is nothing


def test_it_can_be_stopped(stages) -> None:
    def stop(done: int) -> None:
        raise CancelledError("stopped on purpose")

    assert isinstance(stages[2], Pass1)
    with pytest.raises(CancelledError, match="on purpose"):
        looked(stages, step=stop)


def test_the_preview_of_an_image_is_what_a_run_finds() -> None:
    movie = simulate("fixed_frame", 11, height_px=320, width_px=320, pixel_size_um=0.15).movie()
    params = Params(judge=JudgeParams(min_score=0.4))
    found, seen = analyze(movie, params).migrasomes, preview(movie, params, 0).spots
    assert len(found) > 3, "test invalid"
    one, two = (np.sort(table["score"].to_numpy(float)) for table in (found, seen))
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_agreement_makes_sure_and_doubt_makes_unsure() -> None:
    score, scene = np.array([0.9, 0.9, 0.1, 0.5, 1.0, 0.0]), np.array([3.0, -3.0, -3.0, 0.0, 8.0, -8.0])
    both = with_scene(score, scene)
    assert both[0] > 0.9
    assert both[1] < 0.9
    assert both[2] < 0.1
    assert np.isfinite(both).all()
    assert ((both >= 0) & (both <= 1)).all()
    assert (np.diff(with_scene(np.full(5, 0.6), np.linspace(-2, 2, 5))) > 0).all()


def test_what_is_accepted_late_is_one_with_what_stood_there_before(stages) -> None:
    """Three short stretches of a site, of which the first and last were accepted, then all."""
    movie, _, _, second = stages
    spots = second.linked[second.linked["candidate_id"] == second.linked["candidate_id"].mode()[0]]
    assert len(spots) >= 6, "test invalid"
    stretch = 7 + np.arange(len(spots)) * 3 // len(spots)
    linked = spots.assign(candidate_id=stretch, stretch_id=stretch)
    judged = second.judged.iloc[:3].set_axis([7, 8, 9]).assign(score=[0.9, 0.8, 0.95], reason=None)
    judged["kind"] = ["migrasome", "noise", "migrasome"]
    apart = join_accepted(linked, judged)
    assert set(apart[0]["candidate_id"]) == {7, 8}
    joined, anew = join_accepted(linked, judged.assign(kind="migrasome"))
    assert set(joined["candidate_id"]) == {7}
    assert anew.index.tolist() == [7]
    assert anew.loc[7, "score"] == 0.95
    assert anew.loc[7, "n_frames"] == len(spots)
    assert anew.loc[7, "kind"] == "migrasome"
    again = join_accepted(joined, anew)
    assert again[0] is joined
    assert movie.n_frames == 7


def test_a_refused_whole_keeps_its_parts(stages) -> None:
    spots = stages[3].linked.groupby("candidate_id").head(2).iloc[:4]
    linked = spots.assign(candidate_id=[4, 4, 4, 6], stretch_id=[4, 4, 5, 6])
    judged = stages[3].judged.iloc[:2].set_axis([4, 6]).assign(kind="noise", reason="score below the threshold")
    same, table = join_accepted(linked, judged)
    assert same is linked
    assert table is judged
