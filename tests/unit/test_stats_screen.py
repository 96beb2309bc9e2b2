"""Screens: scores by hand, hits that are hits, and plates with an edge."""

import numpy as np
import pandas as pd
import pytest

from migradetect.errors import TableError
from migradetect.stats import analyse_screen, well_table
from migradetect.stats._screen import well_position


def plate(name="P1", seed=0, edge=1.0):
    """96 wells: the first two columns negative, the last positive controls, three compounds of known effect."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in range(8):
        for column in range(12):
            outer = row in (0, 7) or column in (0, 11)
            factor = edge if outer else 1.0
            condition = {0: "DMSO", 1: "DMSO", 11: "ROCK inhibitor"}.get(column, f"compound {row * 12 + column}")
            rows.append(
                {
                    "plate": name,
                    "well": f"{'ABCDEFGH'[row]}{column + 1:02d}",
                    "row": row,
                    "column": column,
                    "condition": condition,
                    "migrasomes_per_cell": (2.0 if column == 11 else 8.0) * factor + 0.4 * rng.normal(),
                    "fiber_um_per_cell": 100 + 5 * rng.normal(),
                    "n_cells": 50 + int(3 * rng.normal()),
                    "speed_um_per_min": 0.5 + 0.02 * rng.normal(),
                }
            )
    wells = pd.DataFrame(rows).set_index("well", drop=False)
    wells.loc["C05", "migrasomes_per_cell"] = 3.0  # the one that is looked for
    wells.loc["D06", ["migrasomes_per_cell", "fiber_um_per_cell"]] = 3.0, 40.0  # does not migrate
    wells.loc["E07", ["migrasomes_per_cell", "n_cells"]] = 3.0, 12  # toxic
    wells.loc["F08", ["migrasomes_per_cell", "fiber_um_per_cell", "speed_um_per_min"]] = np.nan
    wells.loc["F08", "n_cells"] = 0
    wells.loc["G09", "fiber_um_per_cell"] = np.nan
    return wells.reset_index(drop=True)


def test_hits_have_fewer_migrasomes_but_not_fewer_fibers_or_cells():
    screen = analyse_screen(plate(), "DMSO", "ROCK inhibitor")
    assert list(screen.hits["well"]) == ["C05"]
    wells = screen.wells.set_index("well")
    assert wells.loc["D06", "reason"] == "fewer fibers too"
    assert wells.loc["E07", "reason"] == "fewer cells"
    assert wells.loc["F08", "reason"] == "fewer cells"
    assert wells.loc["G09", "is_hit"] is pd.NA
    assert wells.loc["A01", "reason"] == "control"


def test_scores_by_hand():
    wells = plate()
    screen = analyse_screen(wells, "DMSO", "ROCK inhibitor")
    n = wells.loc[wells.condition == "DMSO", "migrasomes_per_cell"]
    p = wells.loc[wells.condition == "ROCK inhibitor", "migrasomes_per_cell"]
    line = screen.quality.set_index("readout").loc["migrasomes_per_cell"]
    assert line["z_prime"] == pytest.approx(1 - 3 * (n.std() + p.std()) / abs(n.mean() - p.mean()))
    assert line["ssmd"] == pytest.approx((p.mean() - n.mean()) / np.sqrt(n.var() + p.var()))
    mad = 1.4826 * (n - n.median()).abs().median()
    c05 = screen.wells.set_index("well").loc["C05"]
    assert c05["z_migrasomes_per_cell"] == pytest.approx((3.0 - n.median()) / mad)
    assert "16 negative and 8 positive" in line["n"]


def test_each_plate_is_scored_against_its_own_controls():
    second = plate("P2", seed=1)
    second["migrasomes_per_cell"] *= 3  # stained brighter: more is found everywhere
    screen = analyse_screen(pd.concat([plate(), second]), "DMSO", "ROCK inhibitor")
    assert {"P1C05", "P2C05"} <= set(screen.hits["plate"] + screen.hits["well"])
    alone = analyse_screen(plate("P2", seed=1), "DMSO", "ROCK inhibitor").wells
    together = screen.wells[screen.wells["plate"] == "P2"].reset_index(drop=True)
    # a scale that the whole plate shares cancels
    np.testing.assert_allclose(together["z_migrasomes_per_cell"], alone["z_migrasomes_per_cell"])


def test_an_edge_effect_is_found_and_absent_where_there_is_none():
    screen = analyse_screen(plate(edge=0.8), "DMSO")
    line = screen.quality.set_index("readout").loc["migrasomes_per_cell"]
    assert line["edge_p"] < 1e-3
    assert line["edge_difference"] == pytest.approx(-1.6, abs=0.5)
    assert any("edge and inner wells" in note for note in screen.notes)
    p = [analyse_screen(plate(seed=s), "DMSO", "ROCK inhibitor").quality["edge_p"].iloc[1] for s in range(40)]
    assert 0.0 <= np.mean(np.array(p) < 0.05) < 0.15


def test_too_few_controls_give_no_score_rather_than_a_wild_one():
    wells = plate()
    wells = wells[(wells.condition != "DMSO") | wells.well.isin(["C01", "D02"])]
    screen = analyse_screen(wells, "DMSO")
    assert screen.wells["z_migrasomes_per_cell"].isna().all()
    assert screen.wells["is_hit"].fillna(False).sum() == 0
    assert any("2 negative controls" in note for note in screen.notes)
    with pytest.raises(TableError, match="condition 'dmso'"):
        analyse_screen(wells, "dmso")


def test_wells_of_a_batch():
    cells = pd.DataFrame(
        {
            "movie_id": ["m1", "m1", "m2", "m3"],
            "plate": ["P", "P", "P", "P"],
            "well": ["B03", "B03", "B03", "C04"],
            "condition": ["x", "x", "x", None],
            "n_migrasomes": [1, 0, 5, 2],
            "fiber_length_um": [10.0, 0.0, 50.0, 5.0],
            "mean_speed_um_per_min": [0.5, np.nan, 0.7, np.nan],
        }
    )
    movies = pd.DataFrame(
        {
            "movie_id": ["m1", "m2", "m3", "m4", "m5"],
            "plate": ["P"] * 5,
            "well": ["B03", "B03", "C04", "C05", "C06"],
            "condition": ["x", "x", None, "y", "y"],
            "status": ["done"] * 4 + ["failed"],
        }
    )
    wells = well_table(cells, movies).set_index("well")
    assert list(wells.index) == ["B03", "C04", "C05"], "a failed movie is no empty well"
    assert wells.loc["B03", "n_cells"] == 3
    assert wells.loc["B03", "migrasomes_per_cell"] == 2
    assert wells.loc["B03", "speed_um_per_min"] == pytest.approx(0.6)
    assert (wells.loc["B03", "row"], wells.loc["B03", "column"]) == (1, 2)
    assert wells.loc["C05", "n_cells"] == 0
    assert np.isnan(wells.loc["C05", "migrasomes_per_cell"])
    with pytest.raises(TableError, match="well"):
        well_table(cells.drop(columns="well"))


@pytest.mark.parametrize(
    ("text", "place"), [("A1", (0, 0)), ("P24", (15, 23)), ("aa02", (26, 1)), ("A00", None), ("x", None)]
)
def test_well_position(text, place):
    assert well_position(text) == place
