import re

import pandas as pd
import pytest

from migradetect.errors import TableError
from migradetect.tables import TABLES, conform_table, empty_table, in_order, validate_table

#: The contract of design section 2: these must be there; more are welcome.
CONTRACT = {
    "cells": "movie_id frame time_min cell_id y_um x_um area_um2 perimeter_um eccentricity orientation_rad mean_tspan4 "
    "mean_wga speed_um_per_min mother_id touches_border",
    "fibers": "movie_id frame fiber_id cell_id length_um euclidean_um is_attached n_branches n_tips mean_snr",
    "migrasomes": "movie_id frame time_min migrasome_id cell_id fiber_id y_um x_um diameter_um diameter_err_um "
    "tspan4_signal wga_signal snr location is_on_fiber is_attached distance_to_cell_um is_measured score",
    "tracks": "movie_id migrasome_id cell_id cell_id_confidence birth_time_min end_time_min lifetime_min "
    "is_left_censored is_right_censored plateau_diameter_um plateau_diameter_um_ci_low plateau_diameter_um_ci_high "
    "tau_min tau_min_ci_low tau_min_ci_high growth_rate_um_per_min growth_rate_um_per_min_ci_low "
    "growth_rate_um_per_min_ci_high growth_model fit_r2 location fate engulfed_by_cell_id n_frames score kind",
    "cell_summary": "movie_id cell_id n_frames observed_min n_migrasomes n_migrasomes_per_100um_fiber "
    "n_migrasomes_per_100um_path path_um net_um mean_speed_um_per_min persistence fiber_length_um touches_border",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_contract(name):
    assert set(CONTRACT[name].split()) <= set(TABLES[name].names)


@pytest.mark.parametrize("name", TABLES)
def test_every_table(name):
    table = TABLES[name]
    assert table.names[0] == "movie_id"
    assert set(table.key) <= set(table.names)
    assert len(set(table.names)) == len(table.names)
    assert all(column.meaning for column in table.columns)
    validate_table(name, empty_table(name))


@pytest.mark.parametrize("name", TABLES)
def test_units_agree_with_the_names(name):
    for column in TABLES[name].columns:
        plain = re.sub(r"_(ci_low|ci_high)$", "", column.name)
        for suffix, unit in {"_um": "um", "_um2": "um2", "_min": "min", "_s": "s", "_px": "px", "_rad": "rad"}.items():
            if plain.endswith(suffix) and "_per_" not in plain:
                assert column.unit == unit, column.name


def summary(**columns):
    return {"movie_id": ["m", "m"], "cell_id": [2, 1], "n_frames": [1, 1], "n_migrasomes": [0, 3]} | {
        "touches_border": [False, True],
        **columns,
    }


def test_conform_orders_sorts_and_fills_with_null():
    table = conform_table("cell_summary", summary(extra=["b", "a"]))
    assert tuple(table.columns) == (*TABLES["cell_summary"].names, "extra")
    assert table["cell_id"].tolist() == [1, 2]
    assert table["n_migrasomes"].tolist() == [3, 0], "observed none is 0"
    assert table["path_um"].isna().all(), "missing is null"
    assert table["extra"].tolist() == ["a", "b"]


def test_conform_leaves_its_input_as_it_was():
    before = pd.DataFrame(summary())
    copy = before.copy()
    conform_table("cell_summary", before)
    pd.testing.assert_frame_equal(before, copy)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n_frames": ["x", "y"]}, "n_frames"),
        ({"cell_id": [1, 1]}, "repeated"),
        ({"n_migrasomes": [None, 1]}, "n_migrasomes"),
    ],
)
def test_conform_refuses(change, word):
    with pytest.raises(TableError, match=word):
        conform_table("cell_summary", summary(**change))


def test_a_column_that_can_not_be_null_must_be_given():
    columns = summary()
    del columns["n_migrasomes"]
    with pytest.raises(TableError, match="n_migrasomes"):
        conform_table("cell_summary", columns)


def test_validate_names_column_and_value():
    table = empty_table("tracks")
    with pytest.raises(TableError, match="fate"):
        validate_table("tracks", table.drop(columns="fate"))
    with pytest.raises(TableError, match="Int64"):
        validate_table("tracks", table.astype({"cell_id": "float64"}))
    odd = pd.DataFrame({"movie_id": ["m"], "candidate_id": [1], "frame_first": [0], "frame_last": [0], "n_frames": [1]})
    with pytest.raises(TableError, match="'ghost'"):
        conform_table("candidates", odd.assign(kind="ghost"))


def test_unknown_tables_name_the_nearest():
    with pytest.raises(TableError, match="'tracks'"):
        empty_table("track")


def test_rows_in_order_are_left_as_they_are() -> None:
    table = pd.DataFrame({"a": [1, 1, 2], "b": [4, 5, 0]})
    assert in_order(table, "a", "b") is table
    mixed = table.iloc[[2, 1, 0]]
    pd.testing.assert_frame_equal(in_order(mixed, "a", "b"), table)
    # equal rows keep their order
    assert in_order(mixed.assign(a=1), "a").index.tolist() == [2, 1, 0]
