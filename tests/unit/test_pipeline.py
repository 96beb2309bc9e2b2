from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import AxesError, CancelledError, ReadError
from migradetect.movie import Movie
from migradetect.params import JudgeParams, Params, SpotParams
from migradetect.pipeline import analyze, preview
from migradetect.pipeline._assemble import draw_migrasomes
from migradetect.pipeline._fit_model import fit_movie_model
from migradetect.results import LABEL_NAMES, MOVIE_TABLES, Results
from migradetect.synthetic import Simulation, simulate
from migradetect.tables import validate_table

#: The rules need no training: the numbers here do not move with the learned judge.
RULES = Params(judge=JudgeParams(method="rules"))
PIXEL_UM = 0.2
SIZE = {"height_px": 256, "width_px": 256, "pixel_size_um": PIXEL_UM, "frame_interval_s": 120.0}


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate("clean", 7, n_frames=8, warmup_min=150.0, migrasomes_per_100um=12.0, n_tails=4.0, **SIZE)


@pytest.fixture(scope="module")
def results(simulation: Simulation) -> Results:
    return analyze(simulation.movie(), RULES)


def from_array(data: NDArray[np.generic], roles: tuple[str, ...] = ("tspan4", "wga"), movie_id: str = "m") -> Movie:
    interval = 120.0 if data.ndim == 4 and data.shape[0] > 1 else None
    return Movie.from_array(data, Calibration(PIXEL_UM, interval), roles, movie_id)


def constant_and_noise(n_frames: int = 4, roles: int = 2) -> NDArray[np.uint16]:
    rng = np.random.default_rng(1)
    return (rng.poisson(40, (n_frames, roles, 160, 160)) + 100).astype(np.uint16)


def test_a_cell_that_the_border_always_cuts_needs_less_in_view() -> None:
    # three discs of 5 um radius: a whole one of 79 um2, a half of 39 um2 and three quarters of 63 um2 at the border
    movie = constant_and_noise().astype(float)
    rows, columns = np.mgrid[:160, :160] * PIXEL_UM
    for y, x in ((16.0, 16.0), (16.0, 0.0), (2.0, 16.0)):
        movie[:, :, np.hypot(rows - y, columns - x) < 5.0] += 400.0
    found = analyze(from_array(movie.astype(np.uint16)), RULES).cells
    assert found["cell_id"].nunique() == 1
    assert found["y_um"].max() < 5.0
    assert len(found) == 4


def test_every_table_keeps_its_schema_and_names_the_movie(simulation: Simulation, results: Results) -> None:
    movie_id = simulation.movie().movie_id
    for name in MOVIE_TABLES:
        table = results.tables[name]
        validate_table(name, table)
        assert (table["movie_id"] == movie_id).all(), name
    assert len(results.frames) == 8
    for name in ("cells", "fibers", "migrasomes", "site_traces", "tracks", "cell_summary"):
        assert len(results.tables[name]) > 0, name


def test_finds_most_of_what_is_there(simulation: Simulation, results: Results) -> None:
    truth = simulation.truth
    assert results.cell_summary["cell_id"].nunique() == pytest.approx(truth.cell_summary["cell_id"].nunique(), abs=2)
    real = truth.migrasomes.query("frame == 4 and diameter_um > 0.7 and distance_to_cell_um > 2")
    found = results.migrasomes.query("frame == 4")[["y_um", "x_um"]].to_numpy()
    assert len(real) > 10, "test invalid"
    gap = [np.hypot(*(found - place).T).min() for place in real[["y_um", "x_um"]].to_numpy()]
    assert np.mean(np.array(gap) < 0.6) > 0.5


def test_labels_agree_with_the_tables(simulation: Simulation, results: Results) -> None:
    assert set(results.labels) == set(LABEL_NAMES)
    assert all(len(stack) == 8 for stack in results.labels.values())
    for frame in (0, 5):
        for stack, table, key in (("cells", "cells", "cell_id"), ("fibers", "fibers", "fiber_id")):
            drawn = set(np.unique(results.labels[stack][frame]).tolist()) - {0}
            assert drawn == set(results.tables[table].query("frame == @frame")[key]), stack
        drawn = set(np.unique(results.labels["migrasomes"][frame]).tolist()) - {0}
        assert drawn <= set(results.migrasomes.query("frame == @frame")["migrasome_id"])
        assert drawn


def test_tables_refer_to_each_other(results: Results) -> None:
    tracks = results.tracks.set_index("migrasome_id")
    cells = set(results.cell_summary["cell_id"])
    assert set(results.migrasomes["migrasome_id"]) == set(tracks.index)
    assert set(tracks["cell_id"].dropna()) <= cells
    assert set(results.cells["cell_id"]) == cells
    assert results.migrasomes.groupby("migrasome_id").size().equals(tracks["n_frames"].rename(None).sort_index())
    counted = tracks["cell_id"].value_counts()
    for row in results.cell_summary.itertuples():
        assert row.n_migrasomes == counted.get(row.cell_id, 0)
    traces = results.site_traces.groupby("migrasome_id").size()
    assert (traces == 8).all()
    assert set(results.fibers["cell_id"].dropna()) <= cells


def test_missing_is_null_and_never_a_marker(results: Results) -> None:
    assert (results.migrasomes["diameter_um"].dropna() > 0).all()
    assert (results.cells["cell_id"] > 0).all()
    assert not (results.tracks["cell_id"].dropna() <= 0).any()
    assert results.tracks.loc[results.tracks["is_left_censored"], "birth_time_min"].isna().all()
    assert results.tracks.loc[results.tracks["is_right_censored"], "end_time_min"].isna().all()
    assert results.tracks["score"].between(0, 1).all()
    assert (results.candidates["kind"] != "migrasome").all()
    assert results.candidates["reason"].notna().all()


def test_provenance_tells_how_the_numbers_came_about(simulation: Simulation, results: Results) -> None:
    told = results.provenance
    assert told["calibration"]["pixel_size_um"] == PIXEL_UM
    assert told["n_frames"] == 8
    assert Params.model_validate(told["params"]) == RULES
    assert 0.1 < told["psf_fwhm_um"] < 1.0
    assert set(told["noise"]) == set(simulation.roles)


def test_same_movie_same_numbers_and_pixels_unchanged() -> None:
    data = simulate("clean", 6, n_frames=3, warmup_min=90.0, **SIZE).data
    before = data.copy()
    one, two = (analyze(from_array(data), RULES) for _ in range(2))
    assert np.array_equal(data, before)
    for name in MOVIE_TABLES:
        pd.testing.assert_frame_equal(one.tables[name], two.tables[name])
    for name in LABEL_NAMES:
        for frame in range(3):
            assert np.array_equal(one.labels[name][frame], two.labels[name][frame])


def test_threads_share_the_frames_and_change_nothing(simulation: Simulation, results: Results) -> None:
    seen: list[tuple[str, int]] = []
    shared = analyze(
        simulation.movie(), RULES, threads=3, progress=lambda stage, done, total: seen.append((stage, done))
    )
    for name, table in results.tables.items():
        pd.testing.assert_frame_equal(table, shared.tables[name])
    for name, planes in results.labels.items():
        assert all(np.array_equal(one, other) for one, other in zip(planes, shared.labels[name], strict=True))
    # told of in the order of the frames
    assert [done for stage, done in seen if stage == "detect"] == list(range(1, 9))


def test_an_error_in_a_thread_ends_the_analysis(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ReadError("broken on purpose")

    monkeypatch.setattr("migradetect.pipeline._pass1.detect", broken)
    with pytest.raises(ReadError, match="on purpose"):
        analyze(simulation.movie(), threads=2)


def test_progress_runs_over_all_frames_of_each_stage() -> None:
    calls: list[tuple[str, int, int]] = []
    analyze(from_array(constant_and_noise()), RULES, progress=lambda *call: calls.append(call))
    assert {total for _, _, total in calls} == {4}
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert len(stages) >= 3
    for stage in stages[1:]:
        assert [done for name, done, _ in calls if name == stage] == [1, 2, 3, 4]


@pytest.mark.parametrize("after", [0, 2, 6])
def test_cancel_stops_where_it_is(after: int) -> None:
    asked = []

    def cancel() -> bool:
        asked.append(1)
        return len(asked) > after

    with pytest.raises(CancelledError, match="m: stopped"):
        analyze(from_array(constant_and_noise()), RULES, cancel=cancel)
    assert len(asked) == after + 1


@pytest.mark.parametrize("n_frames", [1, 4])
def test_empty_movie_has_no_cells_and_no_migrasomes(n_frames: int) -> None:
    # with the parameters that ship: frames averaged with their neighbours share their noise, which the rules don't know
    found = analyze(from_array(constant_and_noise(n_frames)))
    for name in MOVIE_TABLES:
        validate_table(name, found.tables[name])
    for name in ("cells", "cell_summary", "migrasomes", "tracks", "site_traces"):
        assert found.tables[name].empty, name
    assert found.frames["frame"].tolist() == list(range(n_frames))
    assert all(len(stack) == n_frames for stack in found.labels.values())
    assert all(not plane.any() for plane in found.labels["migrasomes"])


@pytest.mark.parametrize("value", [0, 100])
def test_movie_without_any_light_is_empty_not_an_error(value: int) -> None:
    found = analyze(from_array(np.full((3, 1, 128, 128), value, np.uint16), ("wga",)), RULES)
    assert found.cells.empty
    assert found.tracks.empty


@pytest.mark.parametrize("role", ["tspan4", "wga"])
def test_one_channel_is_enough(simulation: Simulation, role: str) -> None:
    plane = simulation.data[:3, [simulation.roles.index(role)]]
    found = analyze(from_array(plane, (role,)), RULES)
    other = {"tspan4": "wga", "wga": "tspan4"}[role]
    assert len(found.cells) > 0
    assert found.cells[f"mean_{role}"].notna().all()
    assert found.cells[f"mean_{other}"].isna().all()
    assert found.migrasomes[f"{other}_signal"].isna().all()


def test_channel_of_another_role_is_measured_and_plays_no_part(simulation: Simulation) -> None:
    data = simulation.data[:3]
    extra = np.random.default_rng(0).integers(0, 5000, data[:, :1].shape).astype(data.dtype)
    plain = analyze(from_array(data, simulation.roles), RULES)
    more = analyze(from_array(np.concatenate([data, extra], axis=1), (*simulation.roles, "dapi")), RULES)
    for name in ("tracks", "cell_summary"):
        pd.testing.assert_frame_equal(plain.tables[name], more.tables[name])
    assert more.cells["mean_dapi"].notna().all()


def test_single_frame_has_counts_and_no_times(simulation: Simulation) -> None:
    found = analyze(from_array(simulation.data[4], simulation.roles), RULES)
    for name in MOVIE_TABLES:
        validate_table(name, found.tables[name])
    assert len(found.cell_summary) > 0
    assert found.cell_summary["n_migrasomes"].notna().all()
    times = ["observed_min", "path_um", "net_um", "mean_speed_um_per_min", "persistence"]
    assert found.cell_summary[times].isna().all(axis=None)
    assert found.cells[["time_min", "speed_um_per_min"]].isna().all(axis=None)
    assert len(found.tracks) > 0
    lives = ["birth_time_min", "end_time_min", "lifetime_min", "tau_min", "growth_rate_um_per_min", "fate"]
    assert found.tracks[lives].isna().all(axis=None)
    assert (found.tracks["n_frames"] == 1).all()
    assert found.migrasomes["diameter_um"].notna().any()


def as_uint8(data: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return (data / data.max() * 255).astype(np.uint8)


def as_float(data: NDArray[np.uint16]) -> NDArray[np.float32]:
    return data.astype(np.float32)


def as_unit_float(data: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (data / 65535).astype(np.float32)


@pytest.mark.parametrize("convert", [as_uint8, as_float, as_unit_float])
def test_other_types_of_pixels_give_the_same_cells(
    simulation: Simulation, convert: Callable[[NDArray[np.uint16]], NDArray[np.generic]]
) -> None:
    data = simulation.data[:3]
    straight = analyze(from_array(data, simulation.roles), RULES)
    found = analyze(from_array(convert(data), simulation.roles), RULES)
    assert len(found.cells) == len(straight.cells) > 0
    np.testing.assert_allclose(found.cells["area_um2"], straight.cells["area_um2"], rtol=0.1)
    if convert is as_float:
        pd.testing.assert_frame_equal(found.tracks, straight.tracks)


def test_preview_of_a_frame_shows_what_is_there(simulation: Simulation) -> None:
    movie = simulation.movie()
    shown = preview(movie, RULES, 4)
    assert shown.frame == 4
    assert shown.cells.shape == shown.fibers.shape == movie.shape_yx
    assert shown.cells.max() > 0
    assert shown.fibers.max() > 0
    assert set(shown.images) == set(simulation.roles)
    assert np.array_equal(shown.images["wga"], movie.frame(4, "wga"))
    assert {"y_um", "x_um", "diameter_um", "snr", "score"} <= set(shown.spots.columns)
    assert len(shown.spots) > 0


@pytest.mark.parametrize("frame", [-1, 4])
def test_preview_of_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    with pytest.raises(AxesError, match=f"expected a frame from 0 to 3, got {frame}"):
        preview(from_array(constant_and_noise()), RULES, frame)


def test_preview_of_an_empty_movie_is_empty() -> None:
    shown = preview(from_array(constant_and_noise()), RULES, 2)
    assert shown.spots.empty
    assert shown.cells.max() == 0


def test_psf_of_a_dim_movie_is_read_from_averaged_frames() -> None:
    psf_um, pixel_um = 0.24, 0.16
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:220, :220] * pixel_um
    lines = sum(
        np.exp(-((y - slope * x - offset) ** 2) / (1 + slope**2) / (2 * psf_um**2))
        for slope, offset in ((0.2, 3), (0.2, 9), (-0.3, 20), (-0.3, 28), (0.1, 14), (0.4, 18))
    )
    frames = [rng.poisson(100 + 12 * lines) for _ in range(9)]
    movie = Movie.from_array(np.array(frames, np.uint16)[:, np.newaxis], Calibration(pixel_um, 120.0), ("wga",), "m")
    single = Movie.from_array(np.array(frames[:1], np.uint16)[:, np.newaxis], movie.calibration, ("wga",), "single")
    assert not fit_movie_model(single, Params()).is_psf_measured, "test invalid: one frame is enough"
    model = fit_movie_model(movie, Params())
    assert model.is_psf_measured
    assert model.psf_sigma_um == pytest.approx(psf_um, rel=0.15)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 5), (1, 300), (33, 16)])
@pytest.mark.parametrize("n_frames", [1, 3])
def test_tiny_pictures_hold_nothing_and_break_nothing(shape: tuple[int, int], n_frames: int) -> None:
    data = np.random.default_rng(0).poisson(100, (n_frames, 2, *shape)).astype(np.uint16)
    found = analyze(from_array(data))
    for name in MOVIE_TABLES:
        validate_table(name, found.tables[name])
    assert found.tracks.empty
    assert len(found.frames) == n_frames
    assert all(len(stack) == n_frames for stack in found.labels.values())


@pytest.mark.parametrize("scale", [1e-6, 1e30, -500.0])
def test_numbers_that_no_camera_counts(scale: float) -> None:
    data = (np.random.default_rng(0).normal(1, 0.01, (3, 1, 64, 64)) * scale).astype(np.float32)
    found = analyze(from_array(data, ("wga",)))
    assert found.tracks.empty
    assert (found.frames["qc_flags"].eq("not_finite") == (scale > 1e6)).all()


def test_too_many_candidates_are_cut_and_told_of() -> None:
    params = Params(spots=SpotParams(min_snr=0.5, max_per_frame=40))
    found = analyze(from_array(constant_and_noise(3, 1), ("wga",)), params)
    assert (found.frames["n_candidates"] <= 40).all()
    assert found.frames["qc_flags"].str.contains("too_many_candidates").all()


def test_a_cell_that_leaves_no_empty_place_is_found_or_doubted() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    data = rng.poisson(100 + 2000 * (np.hypot(y - 64, x - 64) < 85), (3, 1, 128, 128)).astype(np.uint16)
    found = analyze(from_array(data, ("wga",)))
    doubted = found.frames["qc_flags"].str.contains("no_cell_in_uneven_light")
    assert (doubted | found.frames["frame"].isin(found.cells["frame"])).all()


def test_more_migrasomes_than_16_bits_hold_are_drawn_with_their_number() -> None:
    movie = from_array(constant_and_noise(1))
    table = pd.DataFrame({"frame": 0, "migrasome_id": [70001], "y_um": 10.0, "x_um": 12.0, "diameter_um": 1.0})
    drawn = draw_migrasomes(movie, table)[0]
    assert set(np.unique(drawn)) == {0, 70001}
