from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.frame_quality import Quality, fill_plane, measure_frame
from migradetect.movie import Movie
from migradetect.params import JudgeParams, Params
from migradetect.pipeline import analyze
from migradetect.pipeline._assemble import blurred_frames
from migradetect.pipeline._pass1 import Pass1
from migradetect.pipeline._usable import assess
from migradetect.results import MOVIE_TABLES, LabelStack, Results
from migradetect.synthetic import Simulation, simulate
from migradetect.tables import validate_table

Data = NDArray[np.float32]
PIXEL_UM = 0.2
CALIBRATION = Calibration(PIXEL_UM, 120.0)
SIZE = {"height_px": 256, "width_px": 256, "pixel_size_um": PIXEL_UM, "frame_interval_s": 120.0}
RULES = Params(judge=JudgeParams(method="rules"))
#: Frame that is spoilt; one with frames on both sides, in which migrasomes exist.
BAD = 4


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate("clean", 7, n_frames=8, warmup_min=150.0, migrasomes_per_100um=12.0, n_tails=4.0, **SIZE)


@pytest.fixture
def data(simulation: Simulation) -> Data:
    return simulation.data.astype(np.float32)


@pytest.fixture(scope="module")
def undisturbed(simulation: Simulation) -> Results:
    return analyze(movie(simulation.data), RULES)


def movie(data: NDArray[np.generic]) -> Movie:
    return Movie.from_array(data, CALIBRATION, ("tspan4", "wga"), "m")


def judged(data: NDArray[np.generic]) -> Quality:
    return assess(movie(data), Params(), lambda done: None)


def lost(quality: Quality) -> list[int]:
    return np.flatnonzero(~quality.is_usable).tolist()


def zero(frame: Data) -> Data:
    return frame * 0


def constant(frame: Data) -> Data:
    return frame * 0 + 117


def no_numbers(frame: Data) -> Data:
    return frame * np.nan


def half_infinite(frame: Data) -> Data:
    out = frame.copy()
    out[:, : out.shape[1] // 2] = np.inf
    return out


def flash(frame: Data) -> Data:
    return np.full_like(frame, 65535) - (np.arange(frame.size).reshape(frame.shape) % 3 == 0)


def defocus(frame: Data) -> Data:
    noise = np.random.default_rng(0).normal(0, 8, frame.shape)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 8) for plane in frame]) + noise.astype(np.float32)


def bright_lamp(frame: Data) -> Data:
    return 100 + 2.5 * (frame - 100)


def lamp_off(frame: Data) -> Data:
    return np.random.default_rng(0).normal(100, 5, frame.shape).astype(np.float32)


def room_light(frame: Data) -> Data:
    return frame + 3000


@cache
def other_field() -> Data:
    return simulate("clean", 11, n_frames=1, warmup_min=150.0, n_tails=4.0, **SIZE).data[0].astype(np.float32)


def elsewhere(frame: Data) -> Data:
    return other_field().copy()


SPOILT = [
    (zero, "all_zero"),
    (constant, "constant"),
    (no_numbers, "not_finite"),
    (half_infinite, "not_finite"),
    (flash, "saturated"),
    (defocus, "out_of_focus"),
    (bright_lamp, "illumination_jump"),
    (lamp_off, "illumination_jump"),
    (room_light, "illumination_jump"),
    (elsewhere, "stage_jump"),
]


def test_an_ordinary_movie_has_no_flags(simulation: Simulation) -> None:
    quality = judged(simulation.data)
    assert quality.flags == ((),) * 8
    assert quality.is_usable.all()


@pytest.mark.parametrize(("spoil", "flag"), SPOILT)
def test_a_spoilt_frame_is_named_and_only_that(data: Data, spoil: Callable[[Data], Data], flag: str) -> None:
    data[BAD] = spoil(data[BAD])
    quality = judged(data)
    assert flag in quality.flags[BAD]
    assert lost(quality) == [BAD]
    assert not any(quality.flags[t] for t in range(8) if t != BAD)


def test_two_frames_elsewhere_and_back(data: Data) -> None:
    data[3:5] = [elsewhere(frame) for frame in data[3:5]]
    assert lost(judged(data)) == [3, 4]


def test_a_stage_that_never_comes_back_leaves_the_longer_part(data: Data) -> None:
    data[5:] = [elsewhere(frame) for frame in data[5:]]
    quality = judged(data)
    assert lost(quality) == [5, 6, 7]
    assert quality.flags[5] == ("stage_jump",)


def test_a_lamp_that_stays_brighter_is_told_of_and_used(data: Data) -> None:
    data[4:] = bright_lamp(data[4:])
    quality = judged(data)
    assert quality.flags[4] == ("illumination_jump",)
    assert quality.is_usable.all()
    assert not any(quality.flags[:4] + quality.flags[5:])


def test_few_saturated_pixels_are_told_of_and_used(data: Data) -> None:
    data[:, 0, 10:20, 10:60] = 65535
    quality = judged(data)
    assert quality.flags == (("saturated",),) * 8
    assert quality.is_usable.all()


def test_few_pixels_without_a_number_are_filled_in(data: Data) -> None:
    plane = data[BAD, 0]
    plane[3, 4:9] = np.nan
    before = plane.copy()
    filled = fill_plane(plane)
    assert np.array_equal(plane, before, equal_nan=True)
    assert np.isfinite(filled).all()
    assert filled[3, 4] == np.median(plane[np.isfinite(plane)])
    quality = judged(data)
    assert quality.flags[BAD] == ("not_finite",)
    assert quality.is_usable.all()


def test_a_channel_that_was_off_leaves_the_other(data: Data) -> None:
    data[:, 1] = 100
    quality = judged(data)
    assert quality.flags == (("constant",),) * 8
    assert quality.is_usable.all()


@pytest.mark.parametrize("spoil", [zero, elsewhere])
def test_a_bad_frame_neither_ends_nor_begins_anything(
    data: Data, undisturbed: Results, spoil: Callable[[Data], Data]
) -> None:
    data[BAD] = spoil(data[BAD])
    found = analyze(movie(data), RULES)
    for name in MOVIE_TABLES:
        validate_table(name, found.tables[name])
    assert found.provenance["frames_left_out"] == [BAD]
    row = found.frames.set_index("frame").loc[BAD]
    assert row[["n_cells", "n_candidates", "focus", "drift_y_um"]].isna().all()
    assert len(found.frames) == 8
    before, after = undisturbed.tracks, found.tracks
    assert len(before) > 10, "test invalid"
    assert abs(len(after) - len(before)) <= max(2, 0.1 * len(before))
    edges = [(BAD - 1) * 2.0, BAD * 2.0, (BAD + 1) * 2.0]
    for name in ("birth_time_min", "end_time_min"):
        near = [int(table[name].between(edges[0], edges[2]).sum()) for table in (before, after)]
        assert near[1] <= near[0] + 1, name
    # those that live on both sides exist in it, not measured
    here = found.migrasomes[found.migrasomes["frame"] == BAD]
    sides = [set(found.migrasomes.loc[found.migrasomes["frame"] == t, "migrasome_id"]) for t in (BAD - 1, BAD + 1)]
    assert set(here["migrasome_id"]) == sides[0] & sides[1]
    assert len(here) > 5
    assert not here["is_measured"].any()
    assert here[["snr", "tspan4_signal", "fiber_id"]].isna().all(axis=None)
    assert (
        found.migrasomes.groupby("migrasome_id")
        .size()
        .equals(after.set_index("migrasome_id")["n_frames"].rename(None).sort_index())
    )
    assert (found.site_traces.groupby("migrasome_id").size() == 8).all()
    assert found.site_traces.loc[found.site_traces["frame"] == BAD, "snr"].isna().all()
    assert BAD not in set(found.cells["frame"])
    assert len(found.labels["cells"]) == 8
    assert not found.labels["cells"][BAD].any()
    assert found.labels["migrasomes"][BAD].any()
    # the gap is as long as it was: a cell that walks steadily is as fast as before
    speeds = [table.cell_summary["mean_speed_um_per_min"].median() for table in (undisturbed, found)]
    assert speeds[1] == pytest.approx(speeds[0], rel=0.3)


def test_bad_first_and_last_frames(data: Data) -> None:
    data[0], data[-1] = zero(data[0]), no_numbers(data[-1])
    found = analyze(movie(data), RULES)
    assert found.frames["qc_flags"].iloc[[0, -1]].tolist() == ["all_zero", "not_finite"]
    early = found.migrasomes.groupby("migrasome_id")["frame"].min()
    assert early.min() == 1
    left = found.tracks.set_index("migrasome_id")["is_left_censored"]
    assert left[early[early == 1].index].all(), "they were there when the record began"
    assert found.tracks["lifetime_min"].max() == 10.0, "from frame 1 to 6"


@pytest.mark.parametrize("n_good", [0, 1])
def test_hardly_any_usable_frame(data: Data, n_good: int) -> None:
    data[n_good:] = 0
    found = analyze(movie(data[:3]), RULES)
    for name in MOVIE_TABLES:
        validate_table(name, found.tables[name])
    assert found.frames["qc_flags"].tolist() == [""] * n_good + ["all_zero"] * (3 - n_good)
    assert bool(len(found.cells)) == bool(n_good)
    assert all(len(stack) == 3 for stack in found.labels.values())


def test_frames_that_were_never_recorded(data: Data) -> None:
    data[1] = np.nan
    data[0, 0, 5, 5:9] = np.inf
    one = movie(data[:3])
    one.provenance["missing_frames"] = [1]
    found = analyze(one, RULES)
    assert found.frames["qc_flags"].tolist() == ["not_finite", "missing", ""]
    assert found.frames["time_min"].tolist() == [0.0, 2.0, 4.0]
    assert len(found.migrasomes) > 0


def test_measures_of_a_plane() -> None:
    facts = measure_frame(np.arange(100, dtype=np.float32).reshape(10, 10))
    assert (facts.low, facts.high, facts.level, facts.n_not_finite) == (0, 99, 49.5, 0)
    assert facts.share_at_top == 0.01
    assert not facts.is_empty
    assert measure_frame(np.full((1, 1), 7, np.float32)).is_empty


def test_frames_of_half_the_usual_detail_leave_fits_alone() -> None:
    first = Pass1(LabelStack((1, 1)), LabelStack((1, 1)), [{"focus": focus} for focus in (1.0, 0.9, 0.4, 1.1)])
    assert blurred_frames(first).tolist() == [False, False, True, False]
    nothing = Pass1(LabelStack((1, 1)), LabelStack((1, 1)), [{"focus": 0.0}] * 3)
    assert not blurred_frames(nothing).any()


@pytest.mark.parametrize("seed", range(3))
def test_the_inside_of_a_cell_is_textured_and_an_empty_bowl_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    bowl = 200 * (1 - 0.1 * (x**2 + y**2))
    blobs = cv2.GaussianBlur(rng.standard_normal((96, 96)), (0, 0), 6.0)
    body = bowl * (4 + blobs / blobs.std())
    empty, full = (np.stack([rng.poisson(light) for _ in range(3)])[:, None].repeat(2, 1) for light in (bowl, body))
    assert not judged(empty.astype(np.uint16)).is_uneven.any()
    assert judged(full.astype(np.uint16)).is_uneven.all()
