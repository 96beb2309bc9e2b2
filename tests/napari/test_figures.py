"""Plots and lists, without a window."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from migradetect_napari._figures import draw_counts, draw_growth, draw_site, draw_threshold
from migradetect_napari._lists import Filter, candidate_list, migrasome_list, next_unreviewed


@pytest.fixture
def figure():
    return Figure()


def test_growth_shows_points_fit_birth_and_signal(session, figure):
    fitted = {"birth_time_min": 4.0, "tau_min": 3.0, "plateau_diameter_um": 1.5, "growth_model": "exponential_plateau"}
    tables = {**session.tables, "tracks": session.tables["tracks"].assign(**fitted)}
    track = tables["tracks"].iloc[0]
    draw_growth(figure, tables, int(track["migrasome_id"]))
    axes = figure.axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert {"diameter", "fit", "birth", "TSPAN4"} <= set(labels)
    fit = next(one for one in axes.get_lines() if one.get_label() == "fit")
    time, diameter = fit.get_data()
    growth = 1 - np.exp(-(time - track["birth_time_min"]) / track["tau_min"])
    np.testing.assert_allclose(diameter, np.maximum(track["plateau_diameter_um"] * growth, 0), atol=1e-9)
    birth = next(one for one in axes.get_lines() if one.get_label() == "birth")
    assert birth.get_xdata()[0] == track["birth_time_min"]
    assert figure.axes[1].get_ylabel().startswith("TSPAN4")


def test_what_passed_before_does_not_flatten_the_signal(session, figure):
    tables = session.tables
    rows = tables["migrasomes"]
    number = int(rows["migrasome_id"].iloc[-1])
    rows = rows.drop(rows.index[rows["migrasome_id"] == number][0])
    site = tables["site_traces"].copy()
    mine = site["migrasome_id"] == number
    existing = mine & site["frame"].isin(rows[rows["migrasome_id"] == number]["frame"])
    site["tspan4_signal"] = np.where(existing, 80.0, 50.0)
    site.loc[site.index[mine & ~existing][0], "tspan4_signal"] = -1e4
    tables = {**tables, "migrasomes": rows, "site_traces": site.assign(is_covered=False)}
    draw_growth(figure, tables, number)
    low, high = figure.axes[1].get_ylim()
    assert low == 0.0
    assert 80 < high < 160


def test_counts_are_those_of_the_table(session, figure):
    draw_counts(figure, session.tables)
    rows = session.tables["migrasomes"]
    for line in figure.axes[0].get_lines():
        name = str(line.get_label())
        owner = rows["cell_id"].isna() if name == "parent unknown" else rows["cell_id"] == int(name.split()[1])
        assert line.get_ydata().sum() == owner.fillna(False).sum()


def test_site_bars_are_as_long_as_the_record(session, figure):
    rows = session.tables["migrasomes"]
    number = int(rows["migrasome_id"].iloc[0])
    draw_site(figure, session.tables, number)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names[-1].startswith("exists (")
    bar = figure.axes[0].collections[-1]
    spans = [path.get_extents().width for path in bar.get_paths()]
    assert sum(spans) == pytest.approx((rows["migrasome_id"] == number).sum() * 2.0)


def test_nothing_selected_is_said(session, figure):
    for draw in (draw_growth, draw_site):
        draw(figure, session.tables, None)
        assert "Select a migrasome" in figure.texts[0].get_text()


def test_threshold(figure):
    draw_threshold(figure, np.linspace(0, 1, 11), np.arange(11)[::-1], 0.55, 5)
    assert "5 accepted at 0.55" in figure.axes[0].get_title(loc="left")


def test_lists_and_filters(session):
    table = migrasome_list(session.tables)
    tracks = session.tables["tracks"]
    assert table["id"].tolist() == tracks["migrasome_id"].tolist()
    assert set(table["status"]) == {"auto"}
    assert len(Filter().apply(table)) == len(table)
    orphans = Filter(cell="unknown").apply(table)
    assert set(orphans["id"]) == set(tracks.loc[tracks["cell_id"].isna(), "migrasome_id"])
    cell = tracks["cell_id"].dropna().iloc[0]
    assert (Filter(cell=str(cell)).apply(table)["cell"] == cell).all()
    assert (Filter(fate="persist").apply(table)["fate"] == "persist").all()
    censored = Filter(flag="outlasts the movie").apply(table)
    assert set(censored["id"]) == set(tracks.loc[tracks["is_right_censored"], "migrasome_id"])
    assert (Filter(min_score=0.9).apply(table)["score"] >= 0.9).all()
    scores = candidate_list(session.tables["candidates"])["score"]
    assert scores.is_monotonic_decreasing


def test_next_unreviewed():
    table = pd.DataFrame({"id": [5, 7, 9], "status": ["auto", "accepted", "auto"]})
    assert next_unreviewed(table, None) == 5
    assert next_unreviewed(table, 5) == 9
    assert next_unreviewed(table, 9) == 5
    assert next_unreviewed(table, 7, -1) == 5
    assert next_unreviewed(table, None, -1) == 9
    assert next_unreviewed(table.assign(status="accepted"), 5) is None
    assert next_unreviewed(table.iloc[:1], 5) is None
    assert next_unreviewed(table.iloc[:0], None) is None
