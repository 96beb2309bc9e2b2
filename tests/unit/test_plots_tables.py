"""Plots of tables: they return the axis they were given, show what is there, and take names as they are."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from migradetect import Calibration, plots
from migradetect.errors import OutputError, ParamsError, TableError
from migradetect.tables import empty_table

HOSTILE = "_$x^2$ <b>&'\"\n\x1b[31m"


@pytest.fixture
def axes():
    return plots.new_axes()


@pytest.fixture
def tables():
    """Two movies of two conditions, with ten migrasomes each whose growth is known."""
    rng = np.random.default_rng(0)
    frames, tracks, rows = [], [], []
    for movie, condition in (("a", "control"), ("b", HOSTILE)):
        for frame in range(40):
            frames.append({"movie_id": movie, "frame": frame, "time_min": 2.0 * frame, "n_cells": 3, "qc_flags": ""})
        for number in range(1, 11):
            birth = 4.0 * number
            tracks.append(
                {
                    "movie_id": movie,
                    "migrasome_id": number,
                    "birth_time_min": birth,
                    "end_time_min": 60.0 if number > 5 else np.nan,
                    "lifetime_min": 60.0 - birth if number > 5 else 78 - birth,
                    "is_left_censored": False,
                    "is_right_censored": number <= 5,
                    "plateau_diameter_um": 2.0,
                    "tau_min": 10.0,
                    "fate": "rupture" if number > 5 else "persist",
                    "location": "tip" if number > 5 else None,
                    "condition": condition,
                }
            )
            for frame in range(int(birth / 2), 31 if number > 5 else 40):
                age = 2.0 * frame - birth
                size = 2 * (1 - np.exp(-age / 10)) + 0.01 * rng.normal()
                rows.append(
                    {
                        "movie_id": movie,
                        "migrasome_id": number,
                        "frame": frame,
                        "time_min": 2.0 * frame,
                        "diameter_um": max(size, 0.02),
                        "diameter_err_um": 0.005,
                        "tspan4_signal": 100 * size**2,
                        "snr": 10.0,
                        "is_covered": False,
                        "condition": condition,
                    }
                )
    conditions = {"a": "control", "b": HOSTILE}
    frame_table = pd.DataFrame(frames)
    frame_table["condition"] = frame_table["movie_id"].map(conditions)
    return pd.DataFrame(rows), pd.DataFrame(tracks), frame_table


def cells():
    rng = np.random.default_rng(1)
    rows = [
        {
            "condition": condition,
            "replicate": str(replicate),
            "n_migrasomes": int(rng.poisson(3)),
            "mean_speed_um_per_min": rng.random(),
            "persistence": rng.random(),
        }
        for condition in ("drug", "control")
        for replicate in range(3)
        for _ in range(20)
    ]
    return pd.DataFrame(rows)


def test_growth_median_follows_the_truth(tables, axes):
    migrasomes, tracks, _ = tables
    assert plots.growth_curves(migrasomes, tracks, axes) is axes
    t, middle = axes.lines[0].get_data()
    inside = (t > 4) & (t < 30)
    np.testing.assert_allclose(middle[inside], 2 * (1 - np.exp(-t[inside] / 10)), atol=0.03)
    assert len(axes.collections[0].get_segments()) == 20
    assert "n = 20 migrasomes, 2 movies" in [text.get_text() for text in axes.texts]


def test_unsure_diameters_are_not_drawn(tables, axes):
    migrasomes, tracks, _ = tables
    wild = migrasomes.copy()
    wild.loc[wild.index[::5], ["diameter_um", "diameter_err_um"]] = 9.0, 8.0
    wild.loc[wild.index[1::5], ["diameter_um", "is_covered"]] = 9.0, True
    plots.growth_curves(wild, tracks, axes)
    assert max(segment[:, 1].max() for segment in axes.collections[0].get_segments()) < 2.2


def test_lines_are_thinned_out_and_the_median_is_of_all(tables, axes):
    migrasomes, tracks, _ = tables
    plots.growth_curves(migrasomes, tracks, axes, max_lines=5)
    assert len(axes.collections[0].get_segments()) == 5
    assert any("n = 20" in text.get_text() for text in axes.texts)


def test_signal_and_diameter_end_at_their_plateau(tables, axes):
    migrasomes, tracks, _ = tables
    assert plots.diameter_and_tspan4(migrasomes, tracks, axes) is axes
    for line in axes.lines[:2]:
        assert line.get_ydata()[-5:].mean() == pytest.approx(100, abs=8)
    # the signal goes with the square of the diameter, so it comes later
    diameter, signal = (line.get_data() for line in axes.lines[:2])
    assert np.interp(10, *signal) < np.interp(10, *diameter) - 10


def test_one_migrasome(tables, axes):
    migrasomes, tracks, _ = tables
    assert plots.one_migrasome(migrasomes, tracks, axes, movie_id="a", migrasome_id=3) is axes
    assert len(axes.figure.axes) == 2
    empty = plots.one_migrasome(migrasomes, tracks, plots.new_axes(), movie_id="a", migrasome_id=99)
    assert [text.get_text() for text in empty.texts] == ["no such migrasome"]


def test_survival_steps_where_migrasomes_end(axes):
    tracks = pd.DataFrame(
        {
            "lifetime_min": [10.0, 20.0, 30.0, 40.0],
            "is_left_censored": False,
            "is_right_censored": [False, False, True, True],
            "fate": ["rupture", "fade", "persist", "persist"],
        }
    )
    assert plots.survival_curves(tracks, axes) is axes
    t, share = axes.lines[0].get_data()
    assert np.interp(15, t, share, left=1) == pytest.approx(0.75, abs=0.13)
    assert list(axes.lines[1].get_xdata()) == [30, 40], "what is followed no further is marked"
    assert any("n = 4 migrasomes, 2 ended" in text.get_text() for text in axes.texts)


def test_births_per_hour_by_hand(tables, axes):
    _, tracks, frames = tables
    quiet = frames[frames.movie_id == "a"].assign(movie_id="c")  # nothing is born there, and it counts
    assert plots.births_per_hour(tracks, pd.concat([frames, quiet]), axes) is axes
    # 4 to 28 min: 7 births in half an hour in each of two movies of three
    assert axes.lines[-1].get_ydata()[0] == pytest.approx(2 * 14 / 3)
    assert np.isnan(axes.lines[-1].get_ydata()).sum() == 0


def test_counts_have_gaps_where_a_frame_was_not_used_and_0_where_there_was_none(tables, axes):
    migrasomes, _, frames = tables
    frames = frames[frames.movie_id == "a"].astype({"n_cells": "Int64"})
    frames.loc[frames.frame == 20, "n_cells"] = pd.NA
    assert plots.count_over_time(migrasomes, frames, axes) is axes
    n = axes.lines[0].get_ydata()
    assert n[0] == 0
    assert np.isnan(n[20])
    assert n[39] == 5


def test_fiber_length(tables, axes):
    _, _, frames = tables
    fibers = pd.DataFrame({"movie_id": ["a", "a"], "frame": [3, 3], "length_um": [400.0, 600.0]})
    assert plots.fiber_length(fibers, frames[frames.movie_id == "a"], axes) is axes
    assert axes.lines[0].get_ydata()[3] == 1
    assert axes.lines[0].get_ydata()[4] == 0


def test_superplot_shows_cells_replicates_and_n(axes):
    table = cells()
    assert plots.superplot(table, "n_migrasomes", axes) is axes
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["control\nn = 3 replicates\n60 cells", "drug\nn = 3 replicates\n60 cells"]
    points = sum(len(line.get_xdata()) for line in axes.lines if line.get_markersize() == 3)
    assert points == 120
    large = sorted(float(line.get_ydata()[0]) for line in axes.lines if line.get_markersize() == 7)
    np.testing.assert_allclose(large, sorted(table.groupby(["condition", "replicate"])["n_migrasomes"].mean()))
    assert any("Welch on replicate means" in text.get_text() for text in axes.texts)


def test_counts_against_speed(axes):
    table = cells()
    assert plots.count_against(table, "mean_speed_um_per_min", axes, by="condition") is axes
    assert "n = 60 cells" in axes.get_legend().get_texts()[0].get_text()
    with pytest.raises(TableError, match="did you mean 'persistence'"):
        plots.count_against(table, "persistance", axes)


def test_shares_add_up_and_show_what_is_unknown(tables, axes):
    _, tracks, _ = tables
    assert plots.shares(tracks, axes, by="condition") is axes
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(200)
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["tip", "branch", "shaft", "unknown"]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in axes.patches}) == 4
    with pytest.raises(ParamsError, match="location or fate"):
        plots.shares(tracks, axes, column="kind")


def test_plate_map_puts_wells_in_their_places(axes):
    wells = pd.DataFrame({"row": [1, 7], "column": [2, 11], "n_cells": [5.0, np.nan]})
    assert plots.plate_map(wells, "n_cells", axes, outlined=pd.Series([True, False])) is axes
    grid = axes.images[0].get_array()
    assert grid.shape == (8, 12)
    assert grid[1, 2] == 5
    assert np.ma.masked_invalid(grid).count() == 1
    assert axes.lines[0].get_xydata().tolist() == [[11, 7]], "a well without a value has a cross, not a 0"


def test_quality_curves_mark_flagged_frames():
    frames = pd.DataFrame(
        {
            "frame": range(5),
            "time_min": np.arange(5) * 2.0,
            "qc_flags": ["", "", "out_of_focus", "", ""],
            "drift_y_um": 0.1,
            "drift_x_um": 0.2,
            "bleaching_tspan4": 1.0,
            "bleaching_wga": np.nan,
            "focus": 1.0,
        }
    )
    for draw in (plots.drift, plots.bleaching, plots.focus):
        axes = plots.new_axes()
        assert draw(frames, axes) is axes
        assert len(axes.patches) == 1
    assert len(plots.bleaching(frames, plots.new_axes()).lines) == 1, "an absent channel is not drawn"


def test_life_strip(axes):
    windows = {
        role: np.random.default_rng(0).normal(100, 5, (6, 21, 21)).astype(np.float32) for role in ("tspan4", "wga")
    }
    windows["tspan4"][0, :5] = np.nan  # outside the field
    calibration = Calibration(0.1, 60.0)
    assert plots.life_strip(windows, range(6), calibration, axes, birth_min=2.0, end_min=4.0) is axes
    bars = [patch for patch in axes.patches if patch.get_width() == 21]
    assert len(bars) == 3
    with pytest.raises(TableError, match="5 windows"):
        plots.life_strip(windows, range(5), calibration, axes)


def test_groups_differ_in_more_than_colour(tables):
    migrasomes, tracks, frames = tables
    for draw in (
        lambda axes: plots.survival_curves(tracks, axes, by="condition"),
        lambda axes: plots.count_over_time(migrasomes, frames, axes, by="condition"),
        lambda axes: plots.births_per_hour(tracks, frames, axes, by="condition"),
    ):
        axes = draw(plots.new_axes())
        named = [line for line in axes.lines if not line.get_label().startswith("_")]
        assert len({line.get_linestyle() for line in named}) == len(named)


def test_names_are_drawn_as_they_are(tables):
    migrasomes, tracks, frames = tables
    table = cells().replace({"condition": {"drug": HOSTILE}})
    wide = pd.Series({"condition": "x" * 200})
    for axes in (
        plots.growth_curves(migrasomes, tracks, plots.new_axes(), by="condition"),
        plots.superplot(table, "n_migrasomes", plots.new_axes()),
        plots.superplot(table.assign(condition=wide["condition"]), "n_migrasomes", plots.new_axes()),
        plots.shares(tracks, plots.new_axes(), by="condition"),
        plots.count_against(table, "persistence", plots.new_axes(), by="condition"),
        plots.count_over_time(migrasomes, frames, plots.new_axes(), by="condition"),
    ):
        svg = plots.to_svg(axes.figure)
        assert "<b>" not in svg
        assert "\x1b" not in svg
        plots.to_png(axes.figure)


def test_letters_that_the_font_lacks_are_no_warning(tables):
    _, tracks, _ = tables
    axes = plots.shares(tracks.assign(condition="対照"), plots.new_axes(), by="condition")
    assert "対照" in plots.to_svg(axes.figure)
    assert plots.to_pixels(axes.figure).shape[2] == 3


def test_vector_files_keep_text_as_text(tables, tmp_path):
    _, tracks, _ = tables
    axes = plots.survival_curves(tracks, plots.new_axes())
    svg = plots.to_svg(axes.figure)
    assert ">share that still exists</text>" in svg
    assert svg == plots.to_svg(axes.figure), "the same each time"
    assert plots.save_figure(axes.figure, tmp_path / "a.svg").read_text().count("<text") > 5
    pdf = plots.save_figure(axes.figure, tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf, "a TrueType font, which can be edited, instead of outlines"
    assert b"/Type3" not in pdf
    with pytest.raises(OutputError, match="xyz"):
        plots.save_figure(axes.figure, tmp_path / "a.xyz")


def test_nothing_to_draw_is_said():
    tables = {
        name: empty_table(name) for name in ("migrasomes", "tracks", "frames", "fibers", "site_traces", "cell_summary")
    }
    t = tables
    for axes in (
        plots.growth_curves(t["migrasomes"], t["tracks"], plots.new_axes()),
        plots.diameter_and_tspan4(t["site_traces"], t["tracks"], plots.new_axes()),
        plots.survival_curves(t["tracks"], plots.new_axes()),
        plots.births_per_hour(t["tracks"], t["frames"], plots.new_axes()),
        plots.count_over_time(t["migrasomes"], t["frames"], plots.new_axes()),
        plots.fiber_length(t["fibers"], t["frames"], plots.new_axes()),
        plots.shares(t["tracks"], plots.new_axes()),
        plots.count_against(t["cell_summary"], "persistence", plots.new_axes()),
        plots.drift(t["frames"], plots.new_axes()),
    ):
        assert len(axes.texts) == 1
        plots.to_png(axes.figure)
    with pytest.raises(TableError, match="none of 0"):
        plots.superplot(t["cell_summary"].assign(condition=None), "n_migrasomes", plots.new_axes())


def test_inputs_are_not_changed(tables, axes):
    before = [table.copy() for table in tables]
    migrasomes, tracks, frames = tables
    plots.growth_curves(migrasomes, tracks, axes, by="condition")
    plots.births_per_hour(tracks, frames, Figure().subplots(), by="condition")
    plots.count_over_time(migrasomes, frames, Figure().subplots(), by="condition")
    for table, copy in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, copy)
