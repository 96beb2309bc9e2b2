"""Scores and Markdown of the benchmark, from numbers made up here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "benchmark"))

from bench_movies import ABLATIONS, PROJECT, MovieSpec, ablations
from bench_scores import load_tally, pooled_scores, save_tally, tally_movie
from bench_tables import conditions_table, fill_section, headline_table, lever_table, metric_tables

from migradetect.evaluate import evaluate_many
from migradetect.synthetic import CONDITIONS, Simulation, simulate


@pytest.fixture(scope="module")
def simulations() -> list[Simulation]:
    size = {"height_px": 192, "width_px": 192, "pixel_size_um": 0.2, "frame_interval_s": 120.0}
    return [
        simulate("clean", seed, n_frames=3, warmup_min=150.0, migrasomes_per_100um=12.0, n_tails=4.0, **size)
        for seed in (7, 8)
    ]


def scores_of(values: dict[tuple[str, str], float], metric: str = "f1") -> pd.DataFrame:
    rows = [(m, c, "all", metric, v) for (m, c), v in values.items()]
    return pd.DataFrame(rows, columns=["method", "condition", "movie_id", "metric", "value"])


def test_pooled_scores_are_those_of_evaluate(simulations: list[Simulation], tmp_path: Path) -> None:
    pairs = [(s.truth, s.truth, s.calibration.pixel_size_um) for s in simulations]
    expected = evaluate_many(pairs)
    expected = expected[expected["movie_id"] == "all"].set_index("metric")["value"]
    tallies = []
    for k, pair in enumerate(pairs):
        save_tally(tally_movie(*pair), tmp_path / f"{k}.npz", "key")
        tallies.append(load_tally(tmp_path / f"{k}.npz", "key"))
    found, _ = pooled_scores([t for t in tallies if t is not None], "all")
    found = found.set_index("metric")["value"]
    assert found.index.is_unique
    np.testing.assert_allclose(found[expected.index].to_numpy(float), expected.to_numpy(float), equal_nan=True)


def test_a_tally_of_another_key_is_not_used(simulations: list[Simulation], tmp_path: Path) -> None:
    one = simulations[0]
    save_tally(tally_movie(one.truth, one.truth, one.calibration.pixel_size_um), tmp_path / "a.npz", "old")
    assert load_tally(tmp_path / "a.npz", "old") is not None
    assert load_tally(tmp_path / "a.npz", "new") is None
    assert load_tally(tmp_path / "none.npz", "old") is None


def test_truth_against_itself_has_perfect_precision_in_every_bin(simulations: list[Simulation]) -> None:
    one = simulations[0]
    table, tally = pooled_scores([tally_movie(one.truth, one.truth, one.calibration.pixel_size_um)], "all")
    by_bin = table[table["metric"].str.match(r"precision_|f1_")]["value"].dropna().astype(float)
    assert len(by_bin)
    assert (by_bin == 1.0).all()
    assert tally.counts["curve_said"][0] == tally.counts["curve_tp"][0] == tally.count("curve_truth")


def test_tables_have_every_condition() -> None:
    scores = scores_of({(m, c): 0.5 for c in CONDITIONS for m in (PROJECT, "trackpy")})
    tables = metric_tables(scores, [PROJECT, "trackpy"], list(CONDITIONS))
    own = conditions_table(scores, list(CONDITIONS))
    for condition in CONDITIONS:
        assert f"| {condition} | 0.50 | 0.50 |" in tables
        assert f"| {condition} |" in own


def test_best_is_bold_and_unknown_is_a_dash() -> None:
    scores = scores_of({(PROJECT, "all conditions"): 0.8, ("trackpy", "all conditions"): 0.3})
    line = headline_table(scores, [PROJECT, "trackpy", "blob_log"], {"all conditions": "all"}).splitlines()[-1]
    assert line == "| F1 | **0.80** | 0.30 | - |"
    tables = metric_tables(scores_of({(PROJECT, c): 0.8 for c in CONDITIONS}), [PROJECT], list(CONDITIONS))
    assert "| crowded | 0.80 | 0.90 |" in tables
    assert "| random | 0.80 | - |" in tables
    bias = scores_of({(PROJECT, "all conditions"): -4.0, ("trackpy", "all conditions"): 3.0}, "diameter_bias")
    line = headline_table(bias, [PROJECT, "trackpy"], {"all conditions": "all"}).splitlines()[-1]
    assert "**3**" in line, "the smaller bias is the better one, whatever its sign"


def test_lever_is_compared_with_the_same_movies() -> None:
    everything = "all conditions"
    scores = scores_of({("off", everything): 0.6, (f"{PROJECT} for off", everything): 0.7, (PROJECT, everything): 0.9})
    assert "| off | 0.70 | 0.60 | -0.10 |" in lever_table(scores, ["off"], ["typical"])


def test_section_is_replaced_and_words_around_it_stay() -> None:
    once = fill_section("# A\n\nbefore\n", "x", "one")
    assert "before" in once
    assert "one" in once
    twice = fill_section(once + "\nafter\n", "x", "two")
    assert "one" not in twice
    assert twice.index("before") < twice.index("two") < twice.index("after")
    assert fill_section(twice, "x", "two") == twice


def test_key_changes_with_what_a_movie_depends_on() -> None:
    keys = {
        MovieSpec("typical", 1).key(),
        MovieSpec("typical", 2).key(),
        MovieSpec("clean", 1).key(),
        MovieSpec("typical", 1, (("n_frames", 5),)).key(),
    }
    assert len(keys) == 4
    assert MovieSpec("typical", 1).key() in keys


def test_levers_that_the_project_lacks_are_named() -> None:
    methods, missing = ablations()
    assert len(methods) + len(missing) == len(ABLATIONS)
    assert any(m.name == "judge: rules" for m in methods)
