"""Statistics: against scipy, against hand calculation, and against what is known of no effect."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from migradetect.errors import ParamsError, TableError
from migradetect.stats import (
    bootstrap_groups,
    compare,
    compare_lifetimes,
    compare_readouts,
    fit_model,
    group_values,
    n_text,
    permuted_p_values,
    select_cells,
    survival,
)


def experiment(seed, effect=0.0, replicates=3, cells=40, between=1.0, within=2.0):
    """Cells of two conditions whose replicates differ as dishes do."""
    rng = np.random.default_rng(seed)
    rows = []
    for condition in ("control", "drug"):
        for replicate in range(replicates):
            level = 10 + between * rng.normal() + (effect if condition == "drug" else 0)
            rows += [
                {"condition": condition, "replicate": str(replicate), "n_migrasomes": value}
                for value in level + within * rng.normal(size=cells)
            ]
    return pd.DataFrame(rows)


def test_welch_on_replicate_means_is_that_of_scipy():
    table = experiment(1, effect=3)
    means = table.groupby(["condition", "replicate"])["n_migrasomes"].mean()
    expected = scipy_stats.ttest_ind(means["drug"], means["control"], equal_var=False)
    found = compare(table, "n_migrasomes")
    row = found.table.iloc[0]
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["difference"] == pytest.approx(means["drug"].mean() - means["control"].mean())
    low, high = expected.confidence_interval(0.95)
    assert (row["t_ci_low"], row["t_ci_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["n"] == "control: n = 3 replicates, 120 cells; drug: n = 3 replicates, 120 cells"
    assert "n = 3 replicates, 120 cells" in found.text()
    assert "Welch" in found.text()


def test_a_replicate_with_many_cells_weighs_as_one():
    table = pd.DataFrame(
        {
            "condition": ["a"] * 102 + ["b"] * 2,
            "replicate": ["1"] * 100 + ["2"] * 2 + ["1", "2"],
            "n_migrasomes": [1.0] * 100 + [3.0] * 2 + [5.0, 6.0],
        }
    )
    assert compare(table, "n_migrasomes").table.iloc[0]["mean_a"] == 2


def test_missing_is_not_zero_and_is_told():
    table = experiment(2)
    table.loc[:4, "n_migrasomes"] = np.nan
    table.loc[5:6, "condition"] = None
    groups = group_values(table, "n_migrasomes")
    assert groups.n_values("control") == 113
    assert any("5 of 240 cells without n_migrasomes" in note for note in groups.notes)
    assert any("2 of 240 cells without condition" in note for note in groups.notes)


def test_what_counts_as_a_replicate_is_told():
    table = experiment(3).rename(columns={"replicate": "movie_id"})
    found = compare(table, "n_migrasomes")
    assert "n = 3 movies, 120 cells" in found.text()
    assert "each movie counts as one" in found.text()
    with pytest.raises(TableError, match="did you mean 'movie_id'"):
        compare(table, "n_migrasomes", replicate="movie")


def test_the_same_well_of_two_plates_is_two_wells():
    table = pd.DataFrame({"plate": ["P1", "P2"], "well": ["A01", "A01"], "condition": ["a", "a"], "x": [1.0, 2.0]})
    assert group_values(table, "x").n_replicates("a") == 2


def test_one_replicate_is_not_tested():
    found = compare(experiment(4, replicates=1), "n_migrasomes")
    assert found.table["p"].isna().all()
    assert "repeat the experiment" in found.text()


def test_equal_values_are_not_tested_rather_than_p_0():
    table = experiment(4, between=0, within=0)
    assert compare(table, "n_migrasomes").table["p"].isna().all()


@pytest.mark.parametrize("test", ["student", "mannwhitney", "permutation", "paired"])
def test_other_tests(test):
    table = experiment(5, effect=8, replicates=5)
    means = table.groupby(["condition", "replicate"])["n_migrasomes"].mean()
    x, y = means["control"].to_numpy(), means["drug"].to_numpy()
    expected = {
        "student": lambda: scipy_stats.ttest_ind(y, x).pvalue,
        "mannwhitney": lambda: scipy_stats.mannwhitneyu(y, x).pvalue,
        "paired": lambda: scipy_stats.ttest_rel(y, x).pvalue,
        "permutation": lambda: 2 / 252,  # the most extreme of 10 over 5, both sides
    }[test]()
    assert compare(table, "n_migrasomes", test=test).table.iloc[0]["p"] == pytest.approx(expected)


def test_cells_as_independent_are_warned_of():
    found = compare(experiment(6), "n_migrasomes", level="cells")
    assert any("not" in note and "p is too small" in note for note in found.notes)


def test_many_comparisons_are_corrected():
    table = pd.concat([experiment(seed).assign(condition=lambda t, s=seed: t.condition + str(s)) for seed in (7, 8)])
    found = compare(table, "n_migrasomes")
    assert len(found.table) == 6
    expected = scipy_stats.false_discovery_control(found.table["p"])
    np.testing.assert_allclose(found.table["p_adjusted"], expected)
    assert np.isfinite(found.overall_p)
    holm = compare(table, "n_migrasomes", correction="holm").table
    ordered = holm.sort_values("p")
    by_hand = np.minimum(1, np.maximum.accumulate(ordered["p"] * np.arange(6, 0, -1)))
    np.testing.assert_allclose(ordered["p_adjusted"], by_hand)
    against = compare(table, "n_migrasomes", control="control7").table
    assert set(against["a"]) == {"control7"}
    assert len(against) == 3


def test_readouts_are_corrected_together():
    table = experiment(9)
    table["persistence"] = np.random.default_rng(0).random(len(table))
    out, notes = compare_readouts(table)
    assert list(out["value"]) == ["n_migrasomes", "persistence"]
    np.testing.assert_allclose(out["p_adjusted"], scipy_stats.false_discovery_control(out["p"]))
    assert any("2 comparisons" in note for note in notes)


def test_effect_size_and_limits_of_a_known_effect():
    inside = []
    for seed in range(40):
        row = compare(experiment(seed, effect=4, replicates=8, cells=30), "n_migrasomes", n_boot=400).table.iloc[0]
        inside.append(row["difference_ci_low"] <= 4 <= row["difference_ci_high"])
        assert row["ratio_ci_low"] <= row["ratio"] <= row["ratio_ci_high"]
    assert row["hedges_g"] == pytest.approx(2, abs=1)  # 4 over a standard deviation of 2
    assert np.mean(inside) > 0.85
    assert np.mean(inside) < 1


def test_bootstrap_draws_replicates_then_cells():
    rng = np.random.default_rng(0)
    replicates = {str(i): np.full(20, float(i)) for i in range(4)}  # no spread within, all of it between
    mean, variance = bootstrap_groups(replicates, 4000, rng)
    assert variance.max() == 0
    assert mean.std() == pytest.approx(np.arange(4).std() / 2, rel=0.05)
    cells = {"0": rng.normal(size=200)}  # all spread within
    mean, variance = bootstrap_groups(cells, 4000, rng)
    assert mean.std() == pytest.approx(cells["0"].std() / np.sqrt(200), rel=0.05)
    assert variance.mean() == pytest.approx(cells["0"].var(ddof=1), rel=0.05)


def test_the_same_input_gives_the_same_limits():
    first, second = (compare(experiment(10), "n_migrasomes").table for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_shuffled_labels_give_5_percent_on_replicates_and_far_more_on_cells():
    by_replicates, by_cells = [], []
    for seed in range(40):
        table = experiment(seed, replicates=6)
        by_replicates.append(permuted_p_values(table, "n_migrasomes", n=200, seed=seed))
        by_cells.append(permuted_p_values(table, "n_migrasomes", level="cells", n=20, seed=seed))
    assert 0.03 < (np.concatenate(by_replicates) < 0.05).mean() < 0.07
    assert (np.concatenate(by_cells) < 0.05).mean() > 0.3


def test_experiments_without_effect_give_at_most_5_percent_with_three_replicates():
    p = [compare(experiment(seed), "n_migrasomes", n_boot=10).table["p"].iloc[0] for seed in range(200)]
    assert 0.0 < np.mean(np.array(p) < 0.05) < 0.08
    with_effect = [compare(experiment(s, effect=8), "n_migrasomes", n_boot=10).table["p"].iloc[0] for s in range(20)]
    assert np.mean(np.array(with_effect) < 0.05) > 0.9


def test_bad_requests_are_one_line_with_a_remedy():
    table = experiment(11)
    for options, text in (
        ({"test": "welsh"}, "did you mean 'welch'"),
        ({"level": "cell"}, "did you mean 'cells'"),
        ({"correction": "fdr"}, "bh, holm, none"),
        ({"test": "paired", "level": "cells"}, "partners"),
    ):
        with pytest.raises(ParamsError, match=text):
            compare(table, "n_migrasomes", **options)
    with pytest.raises(TableError, match="did you mean 'n_migrasomes'"):
        compare(table, "n_migrasome")
    with pytest.raises(TableError, match="did you mean 'control'"):
        compare(table, "n_migrasomes", control="contrl")
    with pytest.raises(TableError, match="two or more groups"):
        compare(table[table.condition == "drug"], "n_migrasomes")
    with pytest.raises(TableError, match="none of 240"):
        compare(table.assign(n_migrasomes=np.nan), "n_migrasomes")


def test_n_text():
    assert n_text(3, 412) == "n = 3 replicates, 412 cells"
    assert n_text(1, 1, "migrasomes", "movie_id") == "n = 1 movie, 1 migrasome"


def test_select_cells():
    cells = pd.DataFrame({"observed_min": [10.0, 90.0, np.nan], "touches_border": [False, True, False]})
    assert len(select_cells(cells)) == 3
    assert list(select_cells(cells, min_observed_min=60).index) == [1]
    assert list(select_cells(cells, exclude_border=True).index) == [0, 2]


@pytest.mark.parametrize("kind", ["mixed", "gee"])
def test_models_find_a_known_effect_and_name_their_limits(kind):
    rng = np.random.default_rng(0)
    rows = []
    for condition, rate in (("a='b' + 1", 4.0), ("drug", 8.0)):  # a name that a formula would run
        for replicate in range(6):
            level = rate * np.exp(0.15 * rng.normal())
            rows += [
                {"condition": condition, "replicate": replicate, "n_migrasomes": n} for n in rng.poisson(level, 40)
            ]
    found = fit_model(pd.DataFrame(rows), "n_migrasomes", kind=kind)
    row = found.table.iloc[0]
    truth = {"mixed": 4.0, "gee": 2.0}[kind]
    assert row["effect_ci_low"] < truth < row["effect_ci_high"]
    assert row["p"] < 0.001
    assert "n = 6 replicates, 240 cells" in row["n"]
    assert any("12 replicates in all" in note for note in found.notes)


def test_warnings_of_a_model_are_shown():
    table = experiment(12, between=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes = fit_model(table, "n_migrasomes").notes
    assert any(note.startswith("statsmodels: ") for note in notes), "a singular fit warns"


def lifetimes(rate, n, rng, horizon=100.0):
    true = rng.exponential(1 / rate, n)
    ended = true < horizon
    return pd.DataFrame(
        {
            "lifetime_min": np.minimum(true, horizon),
            "is_left_censored": False,
            "is_right_censored": ~ended,
            "fate": np.where(ended, "rupture", "persist"),
        }
    )


def test_survival_by_hand():
    tracks = pd.DataFrame(
        {
            "lifetime_min": [10.0, 20.0, 30.0, 40.0, 99.0],
            "is_left_censored": [False, False, False, False, True],
            "is_right_censored": [False, False, True, False, False],
            "fate": ["rupture", "left_field", "persist", "fade", "rupture"],
        }
    )
    curve = survival(tracks)
    assert (curve.n, curve.n_ended) == (4, 2)
    np.testing.assert_allclose(curve.share, [1, 0.75, 0.75, 0.75, 0])
    assert list(curve.censored_min) == [20, 30]
    assert curve.median_min == 40
    assert curve.mean_until(20) == pytest.approx(10 + 0.75 * 10)
    assert survival(tracks.iloc[:0]).share.tolist() == [1]


def test_survival_of_censored_lifetimes_is_unbiased_and_their_mean_is_not():
    tracks = lifetimes(0.01, 4000, np.random.default_rng(0))
    curve = survival(tracks)
    at_50 = curve.share[np.searchsorted(curve.time_min, 50, side="right") - 1]
    assert at_50 == pytest.approx(np.exp(-0.5), abs=0.03)
    assert tracks["lifetime_min"].mean() < 70, "the naive mean is far below 100"


def test_lifetimes_are_compared():
    rng = np.random.default_rng(1)
    parts = []
    for condition, rate in (("control", 0.01), ("drug", 0.03)):
        for replicate in range(4):
            parts.append(lifetimes(rate, 40, rng).assign(condition=condition, replicate=str(replicate)))
    tracks = pd.concat(parts, ignore_index=True)
    found = compare_lifetimes(tracks)
    samples = [
        scipy_stats.CensoredData.right_censored(t["lifetime_min"], t["is_right_censored"])
        for _, t in tracks.groupby("condition")
    ]
    assert found.table.iloc[0]["p"] == pytest.approx(scipy_stats.logrank(*samples).pvalue)
    assert "4 replicates, 160 migrasomes" in found.table.iloc[0]["n"]
    assert found.by_replicate is not None
    assert found.by_replicate.table.iloc[0]["p"] < 0.01
    assert found.by_replicate.table.iloc[0]["difference"] < 0
    log_rank, means = found.lines()
    assert "4 replicates, 160 migrasomes" in log_rank
    assert "n = 4 and 4 replicates" in means
    with pytest.raises(ParamsError, match="ends"):
        compare_lifetimes(tracks, ends=("vanish",))
