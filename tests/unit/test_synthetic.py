from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from migradetect.errors import ParamsError
from migradetect.results import MOVIE_TABLES
from migradetect.synthetic import CONDITIONS, Simulation, simulate, simulation_params
from migradetect.synthetic.camera import Camera
from migradetect.synthetic.conditions import seeded
from migradetect.synthetic.migrasomes import draw_bead
from migradetect.synthetic.optics import psf_sigma_px, speck_patch
from migradetect.tables import validate_table

SMALL = {"height_px": 192, "width_px": 192, "n_frames": 3, "pixel_size_um": 0.2, "warmup_min": 40.0}
QUIET = {
    "is_noise_free": True,
    "bit_depth": 16,
    "background_texture": 0.0,
    "haze_fraction": 0.0,
    "vignetting": 0.0,
    "chromatic_shift_px": 0.0,
    "focus_walk_um": 0.0,
    "bleaching_per_frame_tspan4": 0.0,
    "bleaching_per_frame_wga": 0.0,
    "n_debris_static": 0.0,
    "n_debris_floating": 0.0,
    "subresolution_per_100um": 0.0,
    "transients_per_100um": 0.0,
    "filopodia_per_cell": 0.0,
    "gain_count_per_e": 20.0,
}


@pytest.fixture(scope="module")
def quiet() -> Simulation:
    """A movie without noise, haze and decoys outside the cells."""
    params = {"migrasomes_per_100um": 12.0, "fiber_fraction_tspan4": 0.04, "engulf_probability": 0.1, "n_tails": 4.0}
    size = {"height_px": 400, "width_px": 400, "n_frames": 16, "pixel_size_um": 0.2, "warmup_min": 150.0}
    return simulate("clean", 4, **params, **size, **QUIET)


@pytest.mark.parametrize("condition", list(CONDITIONS))
def test_each_condition_runs_and_keeps_the_schema(condition: str) -> None:
    small = SMALL | ({"n_frames": 1} if condition == "fixed_frame" else {})
    simulation = simulate(condition, 1, **small)
    assert simulation.data.dtype == np.uint16
    assert simulation.axes == ("TCZYX" if condition == "z_stack" else "TCYX")
    assert simulation.data.shape[0] == small["n_frames"]
    assert simulation.data.shape[-2:] == (192, 192)
    assert simulation.data.std() > 0
    for name in MOVIE_TABLES:
        validate_table(name, simulation.truth.tables[name])
    assert all(len(stack) == small["n_frames"] for stack in simulation.truth.labels.values())
    movie = simulation.movie()
    assert movie.frame(0, simulation.roles[-1]).shape == (192, 192)
    assert movie.calibration.pixel_size_um == 0.2


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    one, again, other = (simulate("typical", seed, **SMALL) for seed in (5, 5, 6))
    assert np.array_equal(one.data, again.data)
    for name in MOVIE_TABLES:
        assert one.truth.tables[name].equals(again.truth.tables[name])
    assert np.array_equal(one.truth.labels["cells"][2], again.truth.labels["cells"][2])
    assert not np.array_equal(one.data, other.data)


def test_parameters_vary_within_each_condition() -> None:
    for condition in CONDITIONS:
        assert simulation_params(condition, 1) != simulation_params(condition, 2)
        params = simulation_params(condition, 3)
        assert min(params.field_um) >= 80.0
        assert 400.0 <= params.cell_area_um2 <= 1500.0


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ParamsError, match="did you mean 'crowded'"):
        simulate("crowdd")
    with pytest.raises(ParamsError, match="did you mean 'n_frames'"):
        simulate("typical", n_frame=3)
    with pytest.raises(ParamsError, match="seed"):
        simulate("typical", -1)
    with pytest.raises(ParamsError, match="roles"):
        simulation_params("typical", roles=("dapi",))


def test_no_migrasomes_has_none() -> None:
    simulation = simulate("no_migrasomes", 2, height_px=320, width_px=320, n_frames=3, pixel_size_um=0.25)
    assert len(simulation.truth.tracks) == 0
    assert len(simulation.truth.migrasomes) == 0
    assert len(simulation.truth.fibers) > 0
    assert (simulation.truth.cell_summary.n_migrasomes == 0).all()


def test_growth_law_holds_in_the_truth(quiet: Simulation) -> None:
    tracks = quiet.truth.tracks.set_index("migrasome_id")
    rows = quiet.truth.migrasomes.join(tracks[["true_birth_min", "plateau_diameter_um", "tau_min"]], on="migrasome_id")
    age = rows.time_min - rows.true_birth_min
    law = rows.plateau_diameter_um * (1 - np.exp(-age / rows.tau_min))
    assert len(rows) > 50
    late = age > 0.5 * rows.tau_min
    assert late.any()
    np.testing.assert_allclose(rows.diameter_um[late], law[late], rtol=1e-9)
    assert (rows.diameter_um >= law - 1e-9).all()  # the first small swelling only adds


def test_drawn_bead_swells_first_and_grows_to_its_plateau() -> None:
    params = simulation_params("typical", 0)
    bead = draw_bead("migrasome", 0, 0.5, "shaft", 1, 10.0, params, seeded("typical", 0, 9))
    assert bead.birth >= 10.0
    assert bead.diameter(bead.birth) == 0.0
    assert bead.diameter(bead.birth + 1e4) == pytest.approx(bead.plateau_um)
    assert not replace(bead, is_born=True).exists(bead.end)


def test_migrasome_signal_lies_at_its_place(quiet: Simulation) -> None:
    px = quiet.calibration.pixel_size_um
    background = quiet.params.offset_count + quiet.params.background_e_tspan4 * quiet.params.gain_count_per_e
    last = quiet.params.n_frames - 1
    rows = quiet.truth.migrasomes.query("frame == @last and diameter_um > 0.5 and distance_to_cell_um > 4")
    places = quiet.truth.migrasomes.query("frame == @last")[["y_um", "x_um"]].to_numpy()
    y, x = np.mgrid[:400, :400] * px
    ratios = []
    for row in rows.itertuples():
        reach = 0.5 * row.diameter_um + 4 * psf_sigma_px(quiet.params, 0) * px
        apart = np.hypot(places[:, 0] - row.y_um, places[:, 1] - row.x_um)
        border = min(row.y_um, row.x_um, 80 - row.y_um, 80 - row.x_um)
        if np.sort(apart)[1:2].min(initial=99.0) < 2 * reach + 0.5 or border < reach:
            continue
        near = np.hypot(y - row.y_um, x - row.x_um)
        total = (quiet.data[last, 0].astype(float) - background)[near < reach].sum() * px**2
        ratios.append(total / row.tspan4_signal)
    assert len(ratios) >= 3
    # never less than the truth; what is more are the fibers that pass
    assert min(ratios) > 0.97
    assert np.median(ratios) < 1.35


def test_patch_holds_the_light_and_its_centre() -> None:
    patch = speck_patch((20.3, 31.8), 8.0, (100.0, 50.0), (1.2, 1.5), 0.8, is_shell=False)
    y, x = np.mgrid[: patch.light.shape[1], : patch.light.shape[2]]
    for channel in range(2):
        light = patch.light[channel]
        assert (y * light).sum() / light.sum() + patch.top == pytest.approx(20.3, abs=0.02)
        assert (x * light).sum() / light.sum() + patch.left == pytest.approx(31.8, abs=0.02)
    assert patch.light[0].sum() == pytest.approx(2 * patch.light[1].sum(), rel=1e-3)


def test_drift_in_the_truth_moves_the_image() -> None:
    # nothing moves but the stage: no time passes between the frames
    simulation = simulate(
        "clean",
        7,
        height_px=256,
        width_px=256,
        n_frames=4,
        frame_interval_s=0.001,
        pixel_size_um=0.25,
        drift_um_per_frame=0.6,
        **QUIET,
    )
    frames = simulation.truth.frames
    assert (frames[["drift_y_um", "drift_x_um"]].iloc[0] == 0).all()
    drift = frames[["drift_y_um", "drift_x_um"]].iloc[3].to_numpy() / 0.25
    assert np.hypot(*drift) > 4, "test invalid"
    first, last = (simulation.data[t, 1, 40:-40, 40:-40].astype(float) for t in (0, 3))
    peak = np.fft.irfft2(np.fft.rfft2(last - last.mean()) * np.conj(np.fft.rfft2(first - first.mean())), s=first.shape)
    shift = np.array(np.unravel_index(np.argmax(peak), peak.shape), dtype=float)
    shift -= np.where(shift > 88, 176, 0)
    np.testing.assert_allclose(shift, drift, atol=1.5)
    rows = simulation.truth.cells
    np.testing.assert_allclose(rows.y_um - rows.y_stage_um, frames.drift_y_um.to_numpy()[rows.frame], atol=1e-9)


def test_counts_of_the_summary_equal_the_tracks(quiet: Simulation) -> None:
    tracks = quiet.truth.tracks
    counted = tracks[tracks.max_diameter_um >= 0.5].groupby("cell_id").size()
    summary = quiet.truth.cell_summary.set_index("cell_id").n_migrasomes
    assert summary.sum() > 0
    assert summary.to_dict() == {cell: int(counted.get(cell, 0)) for cell in summary.index}


def test_labels_agree_with_the_tables(quiet: Simulation) -> None:
    frame = 9
    cells = set(quiet.truth.cells.query("frame == @frame").cell_id)
    assert cells == set(np.unique(quiet.truth.labels["cells"][frame])) - {0} or cells < set(
        np.unique(quiet.truth.labels["cells"][frame])
    )
    fibers = set(np.unique(quiet.truth.labels["fibers"][frame])) - {0}
    assert fibers <= set(quiet.truth.fibers.query("frame == @frame").fiber_id)
    beads = set(np.unique(quiet.truth.labels["migrasomes"][frame])) - {0}
    assert beads <= set(quiet.truth.migrasomes.query("frame == @frame").migrasome_id)
    assert beads


def test_tracks_know_what_is_censored(quiet: Simulation) -> None:
    tracks, rows = quiet.truth.tracks, quiet.truth.migrasomes
    ends = rows.groupby("migrasome_id").frame.agg(["min", "max", "size"]).loc[tracks.migrasome_id]
    assert (tracks.is_left_censored.to_numpy() == (ends["min"] == 0).to_numpy()).all()
    assert (tracks.is_right_censored.to_numpy() == (ends["max"] == 15).to_numpy()).all()
    assert (tracks.n_frames.to_numpy() == ends["size"].to_numpy()).all()
    assert tracks.birth_time_min[tracks.is_left_censored].isna().all()
    assert tracks.end_time_min[tracks.is_right_censored].isna().all()
    assert tracks.engulfed_by_cell_id[tracks.fate != "engulfed"].isna().all()


def test_single_frame_has_no_times_and_no_fates() -> None:
    simulation = simulate(
        "fixed_frame", 3, height_px=256, width_px=256, pixel_size_um=0.2, warmup_min=50.0, roles=("wga",)
    )
    assert simulation.roles == ("wga",)
    assert simulation.data.shape == (1, 1, 256, 256)
    assert simulation.calibration.frame_interval_s is None
    assert simulation.truth.frames.time_min.isna().all()
    assert simulation.truth.tracks.fate.isna().all()
    assert simulation.truth.cells.mean_tspan4.isna().all()


@pytest.mark.parametrize(("kind", "excess"), [("scmos", 1.0), ("emccd", 2.0)])
def test_camera_noise_has_the_variance_that_the_truth_uses(kind: str, excess: float) -> None:
    params = simulation_params(
        "typical", 0, camera=kind, height_px=200, width_px=200, bit_depth=16, hot_pixel_fraction=0.0
    )
    camera = Camera(params, np.random.default_rng(1))
    light = np.full((200, 200), 80.0, np.float32)
    counts = camera.expose(light).astype(float)
    assert camera.excess == excess
    assert counts.mean() == pytest.approx(params.offset_count + 80 * params.gain_count_per_e, rel=0.01)
    expected = camera.variance_e(light).mean() * params.gain_count_per_e**2
    assert counts.var() == pytest.approx(expected, rel=0.05)


def test_saturation_clips() -> None:
    params = simulation_params("typical", 0, bit_depth=12, gain_count_per_e=3.0, height_px=64, width_px=64)
    counts = Camera(params, np.random.default_rng(0)).expose(np.full((64, 64), 1e5, np.float32))
    assert (counts == 4095).all()


def test_progress_is_reported() -> None:
    calls: list[tuple[int, int]] = []
    simulate("typical", 0, progress=lambda done, total: calls.append((done, total)), **SMALL)
    assert calls == [(1, 3), (2, 3), (3, 3)]
