from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from migradetect.company import COMPANY_FEATURES, company_features, company_of


def tracks(colour: list[float], brightness: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"colour_seen": colour, "log_brightness": brightness})


def test_distance_from_the_sure_ones_by_hand() -> None:
    table = tracks([0.0, 0.4, 0.8, 1.2] * 2 + [3.0], [1.0] * 8 + [-9.0])
    company = company_of(table, np.array([2.0] * 8 + [-1.0]))
    assert company.colour == pytest.approx(0.6)
    # deviations 0.6, 0.2, 0.2, 0.6: their median is 0.4
    assert company.colour_spread == pytest.approx(1.48 * 0.4)
    assert (company.brightness, company.brightness_spread) == (1.0, 0.15)
    beside = company_features(table, company)
    assert tuple(beside.columns) == COMPANY_FEATURES
    last = beside.iloc[8]
    assert last["colour_over"] == pytest.approx(2.4)
    assert last["colour_gap"] == pytest.approx(2.4 / (1.48 * 0.4))
    # what is far off says no more than that it is far off
    assert (last["brightness_over"], last["brightness_gap"]) == (-4.0, 10.0)


def test_too_few_sure_ones_have_nothing_usual() -> None:
    table = tracks([0.0, 0.4] * 4, [1.0] * 8)
    company = company_of(table, np.array([2.0] * 7 + [0.0]))
    assert not company.is_known
    beside = company_features(table, company)
    assert beside.isna().all(axis=None)


def test_one_channel_has_a_brightness_but_no_colour() -> None:
    table = tracks([float("nan")] * 9, [1.0, 1.1, 1.1, 1.2, 1.2, 1.2, 1.3, 1.3, 2.0])
    company = company_of(table, np.full(9, 3.0))
    assert company.is_known
    beside = company_features(table, company)
    assert beside[["colour_gap", "colour_over"]].isna().all(axis=None)
    assert beside["brightness_over"].tolist() == pytest.approx([-0.2, -0.1, -0.1, 0.0, 0.0, 0.0, 0.1, 0.1, 0.8])


def test_neither_the_order_of_tracks_nor_the_unit_of_the_signal_plays_a_part() -> None:
    rng = np.random.default_rng(3)
    table = tracks(list(rng.normal(0, 1, 30)), list(rng.normal(0, 1, 30)))
    log_odds = rng.normal(1, 2, 30)
    beside = company_features(table, company_of(table, log_odds))
    order = rng.permutation(30)
    shuffled = company_features(table.iloc[order], company_of(table.iloc[order], log_odds[order]))
    pd.testing.assert_frame_equal(shuffled.sort_index(), beside)
    brighter = table.assign(log_brightness=table["log_brightness"] + np.log(7))
    pd.testing.assert_frame_equal(company_features(brighter, company_of(brighter, log_odds)), beside)


def test_no_tracks() -> None:
    table = tracks([], [])
    assert company_features(table, company_of(table, np.zeros(0))).empty
