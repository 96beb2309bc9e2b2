from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from migradetect.lifetimes import Existence, Trace, find_existence
from migradetect.tables import FATES

Array = NDArray[np.float64]

N = 50
FRAMES = np.arange(N)


def exists(
    amplitude: Array,
    seen: tuple[int, int],
    cell: NDArray[np.int64] | None = None,
    in_field: NDArray[np.bool_] | None = None,
    error: float = 1.0,
    covered: Array | None = None,
    uptake_frames: float = np.inf,
    full_um: float = np.nan,
) -> Existence:
    n = amplitude.size
    trace = Trace(
        amplitude,
        np.full(n, error),
        np.zeros(n, np.int64) if cell is None else cell,
        np.ones(n, bool) if in_field is None else in_field,
        covered,
        None if covered is None else np.full(n, 2.0),
    )
    return find_existence(trace, *seen, uptake_frames=uptake_frames, full_um=full_um)


def noise(seed: int = 0, n: int = N) -> Array:
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("seed", range(4))
def test_step_up_and_down_is_a_rupture_at_its_frames(seed: int) -> None:
    amplitude = np.where((FRAMES >= 10) & (FRAMES <= 35), 15.0, 0.0) + noise(seed)
    found = exists(amplitude, (13, 33))
    assert (found.first, found.last, found.fate, found.engulfed_by) == (10, 35, "rupture", 0)


def test_detections_that_ran_on_are_taken_back() -> None:
    amplitude = np.where((FRAMES >= 10) & (FRAMES <= 35), 15.0, 0.0) + noise(1)
    found = exists(amplitude, (8, 37))
    assert (found.first, found.last) == (10, 35)


def test_growth_starts_before_it_is_detected() -> None:
    ramp = 20 * (1 - np.exp(-np.clip(FRAMES - 12, 0, None) / 4)) ** 2
    found = exists(ramp + noise(2), (18, N - 1))
    assert 12 < found.first <= 16
    assert (found.last, found.fate) == (N - 1, "persist")


@pytest.mark.parametrize("seed", range(4))
def test_a_large_one_begins_at_half_a_micrometre_whatever_its_plateau(seed: int) -> None:
    diameter_um = 2 * (1 - np.exp(-np.clip(FRAMES - 12, 0, None) / 8))
    amplitude = 200 * (diameter_um / 2) ** 2 + noise(seed)
    reached = int(np.argmax(diameter_um >= 0.5))
    assert abs(exists(amplitude, (22, N - 1), full_um=2.0).first - reached) <= 1
    # without its size a quarter of the plateau is what it takes, which this one has at 1 um
    assert exists(amplitude, (22, N - 1)).first >= reached + 2


def test_a_small_one_begins_at_a_quarter_of_its_plateau() -> None:
    amplitude = 20 * (1 - np.exp(-np.clip(FRAMES - 12, 0, None) / 4)) ** 2 + noise(2)
    assert exists(amplitude, (18, N - 1), full_um=0.7) == exists(amplitude, (18, N - 1))


def test_slow_fall_is_a_fade() -> None:
    amplitude = 20 * np.clip((42 - FRAMES) / 16, 0, 1)
    found = exists(amplitude + noise(3), (0, 33))
    assert found.fate == "fade"
    assert 33 <= found.last <= 42
    assert found.first == 0


def test_present_to_the_end_persists() -> None:
    found = exists(np.full(N, 15.0) + noise(4), (0, N - 1))
    assert found == Existence(0, N - 1, "persist", 0)
    found = exists(np.where(FRAMES >= 20, 15.0, 0.0) + noise(5), (22, N - 5))
    assert found == Existence(20, N - 1, "persist", 0)


def covered_from_30(seen_through: float) -> Existence:
    cell = np.where(FRAMES >= 30, 4, 0)
    amplitude = np.where(cell > 0, np.nan, np.where(FRAMES >= 10, 15.0, 0.0)) + noise(6)
    covered = np.where(cell > 0, seen_through + 2 * noise(13), np.nan)
    return exists(amplitude, (12, 29), cell, covered=covered)


def test_cell_over_the_site_for_good_takes_up_what_is_not_seen_through_it() -> None:
    found = covered_from_30(0.0)
    assert (found.first, found.fate, found.engulfed_by) == (10, "engulfed", 4)
    assert 29 <= found.last <= 31


def test_seen_through_the_cell_that_stays_it_persists() -> None:
    assert covered_from_30(14.0) == Existence(10, N - 1, "persist", 0)


def test_nothing_known_of_a_site_under_a_cell_is_no_uptake() -> None:
    # most cells pass over migrasomes and leave them where they are
    assert covered_from_30(float("nan")) == Existence(10, N - 1, "persist", 0)


def test_taken_up_a_while_after_the_cell_came() -> None:
    cell = np.where((FRAMES >= 25) & (FRAMES < 42), 4, 0)
    amplitude = np.where(cell > 0, np.nan, np.where(FRAMES < 25, 15.0, 0.0)) + noise(14)
    covered = np.where(cell > 0, np.where(FRAMES < 33, 15.0, 0.0) + 2 * noise(15), np.nan)
    found = exists(amplitude, (0, 24), cell, covered=covered)
    assert (found.fate, found.engulfed_by) == ("engulfed", 4)
    assert 31 <= found.last <= 33


def test_end_long_after_a_cell_came_is_its_own() -> None:
    cell = np.where(FRAMES >= 15, 4, 0)
    amplitude = np.where(cell > 0, np.nan, 15.0) + noise(18)
    covered = np.where(cell > 0, np.where(FRAMES < 35, 15.0, 0.0) + noise(19), np.nan)
    late = exists(amplitude, (0, 14), cell, covered=covered, uptake_frames=12)
    assert (late.fate, late.engulfed_by) == ("rupture", 0)
    assert 33 <= late.last <= 35
    assert exists(amplitude, (0, 14), cell, covered=covered, uptake_frames=25).fate == "engulfed"


@pytest.mark.parametrize("seed", range(3))
def test_fiber_that_is_laid_first_is_not_the_birth(seed: int) -> None:
    growth = 10 * (1 - np.exp(-np.clip(FRAMES - 30, 0, None) / 3)) ** 2
    amplitude = np.where(FRAMES >= 15, 4.0, 0.0) + growth + 0.5 * noise(seed + 20)
    assert 29 <= exists(amplitude, (15, N - 1), error=0.5).first <= 32


def test_piece_left_behind_after_a_cell_passed_is_not_the_migrasome() -> None:
    cell = np.where((FRAMES >= 30) & (FRAMES < 36), 4, 0)
    amplitude = np.where(cell > 0, np.nan, np.where(FRAMES < 30, 30.0, 9.0)) + noise(16)
    found = exists(amplitude, (0, N - 1), cell)
    assert (found.last, found.fate) == (29, "engulfed")


def test_detections_on_the_bare_fiber_before_birth_are_taken_back() -> None:
    amplitude = np.where(FRAMES < 25, 5.0, 40.0) + noise(17)
    assert exists(amplitude, (0, N - 1)).first == 25


def test_site_empty_after_a_cell_passed_was_taken_up() -> None:
    cell = np.where((FRAMES >= 30) & (FRAMES < 36), 4, 0)
    amplitude = np.where(cell > 0, np.nan, np.where(FRAMES < 30, 15.0, 0.0)) + noise(7)
    found = exists(amplitude, (0, 29), cell)
    assert (found.last, found.fate, found.engulfed_by) == (29, "engulfed", 4)


def test_still_there_after_a_cell_passed_was_not_taken_up() -> None:
    cell = np.where((FRAMES >= 30) & (FRAMES < 36), 4, 0)
    amplitude = np.where(cell > 0, np.nan, 15.0) + noise(8)
    assert exists(amplitude, (0, 29), cell) == Existence(0, N - 1, "persist", 0)


def test_covered_only_at_the_very_end_persists() -> None:
    cell = np.where(FRAMES >= N - 3, 4, 0)
    amplitude = np.where(cell > 0, np.nan, 15.0) + noise(9)
    assert exists(amplitude, (0, N - 4), cell) == Existence(0, N - 1, "persist", 0)


def test_site_out_of_the_field_has_left() -> None:
    in_field = FRAMES < 30
    amplitude = np.where(in_field, 15.0, np.nan) + noise(10)
    found = exists(amplitude, (0, 29), None, in_field)
    assert found == Existence(0, 29, "left_field", 0)


@pytest.mark.parametrize("out_from", [N - 1, N - 2, N - 3])
def test_site_that_leaves_the_field_in_the_last_frames_does_not_persist(out_from: int) -> None:
    in_field = out_from > FRAMES
    amplitude = np.where(in_field, 15.0, np.nan) + noise(10)
    found = exists(amplitude, (0, out_from - 1), None, in_field)
    assert found == Existence(0, out_from - 1, "left_field", 0)


def test_covered_and_then_out_of_the_field_has_left() -> None:
    in_field, cell = FRAMES < N - 4, np.where(FRAMES >= N - 8, 4, 0)
    amplitude = np.where(in_field & (cell == 0), 15.0, np.nan) + noise(10)
    found = exists(amplitude, (0, N - 9), cell, in_field)
    assert found == Existence(0, N - 5, "left_field", 0)


def test_gone_when_the_field_comes_back_was_not_seen_to_end() -> None:
    in_field = (FRAMES < 30) | (FRAMES >= 36)
    amplitude = np.where(FRAMES < 30, 15.0, np.where(in_field, 0.0, np.nan)) + noise(10)
    found = exists(amplitude, (0, 29), None, in_field)
    assert found == Existence(0, 29, "left_field", 0)


def test_one_wild_frame_does_not_extend_a_life() -> None:
    amplitude = np.where((FRAMES >= 10) & (FRAMES <= 30), 15.0, 0.0) + noise(11)
    amplitude[44] = 500.0
    assert exists(amplitude, (12, 28)).last == 30
    amplitude[44] = -500.0
    assert exists(amplitude, (12, 28)).last == 30


def test_dropout_within_a_life_does_not_end_it() -> None:
    amplitude = np.full(N, 15.0) + noise(12)
    amplitude[[20, 21]] = 0.0
    assert exists(amplitude, (5, 15)).last == N - 1


def test_unreadable_site_keeps_its_detections() -> None:
    nothing = np.full(N, np.nan)
    assert exists(nothing, (10, 20)) == Existence(10, 20, "fade", 0)
    assert exists(nothing, (10, N - 2)).fate == "persist"


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_does_not_run_over_the_movie(seed: int) -> None:
    found = exists(noise(seed, 200), (90, 100))
    assert found.last - found.first < 100


def test_single_frame_and_two_frames() -> None:
    assert exists(np.array([10.0]), (0, 0)) == Existence(0, 0, "persist", 0)
    assert exists(np.array([10.0, 10.0]), (0, 1)) == Existence(0, 1, "persist", 0)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_trace_gives_a_stretch_inside_the_movie(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first, n - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    amplitude = rng.normal(2, 5, n)
    amplitude[rng.random(n) < 0.2] = np.nan
    cell = rng.integers(0, 3, n) * (rng.random(n) < 0.3)
    in_field = rng.random(n) > 0.1
    # every third frame can be read
    amplitude[::3], cell[::3], in_field[::3] = rng.normal(2, 5, amplitude[::3].size), 0, True
    before = amplitude.copy(), cell.copy()
    found = exists(amplitude, (first, last), cell, in_field)
    assert 0 <= found.first <= found.last <= n - 1
    assert found.fate in FATES
    assert (found.engulfed_by > 0) == (found.fate == "engulfed")
    np.testing.assert_array_equal(amplitude, before[0])
    np.testing.assert_array_equal(cell, before[1])
