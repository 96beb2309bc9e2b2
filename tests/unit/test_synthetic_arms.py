from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.synthetic import simulate
from migradetect.synthetic.arm_truth import REACH_UM, ArmTruth, count_arms
from migradetect.synthetic.fibers import Piece

HERE = np.array([20.0, 30.0])


def line(
    start: tuple[float, float],
    end: tuple[float, float],
    nodes: tuple[int | None, int | None] = (None, None),
    body: tuple[float, float] | None = None,
) -> Piece:
    """Straight piece between two places (y, x) relative to the site, um."""
    points = HERE + np.linspace(np.array(start), np.array(end), 12)
    return Piece(0, 1, nodes, points, 1.0, body is not None, None if body is None else HERE + np.array(body))


def ray(angle_deg: float, length_um: float = 5.0, node: int | None = 0, end: int | None = None) -> Piece:
    angle = np.radians(angle_deg)
    return line((0, 0), (length_um * np.sin(angle), length_um * np.cos(angle)), (node, end))


@pytest.mark.parametrize(
    ("angles", "n_arms"),
    [
        ((), 0),
        ((70,), 1),
        ((0, 180), 2),
        ((10, 130, 250), 3),
        ((0, 90, 180, 270), 4),
        # closer than can be told apart, also across 0 degrees
        ((350, 10, 180), 2),
        ((0, 20), 1),
        ((0, 40), 2),
    ],
)
@pytest.mark.parametrize("radius_um", [0.1, 0.6, 1.4])
def test_arms_that_start_at_the_site(angles: tuple[float, ...], n_arms: int, radius_um: float) -> None:
    assert count_arms(HERE, radius_um, [ray(angle) for angle in angles]) == n_arms


def test_segment_that_runs_through_has_two_arms() -> None:
    assert count_arms(HERE, 0.5, [line((-1, -6), (1, 6))]) == 2


def test_what_passes_by_counts_only_where_it_touches_the_rim() -> None:
    passes = [line((away, -6), (away, 6)) for away in (1.2, 0.6)]
    assert count_arms(HERE, 0.5, passes[:1]) == 0
    assert count_arms(HERE, 0.5, passes[1:]) == 2
    # the same line beside a larger bead
    assert count_arms(HERE, 1.1, passes[:1]) == 2


def test_stub_within_reach_is_no_arm() -> None:
    assert count_arms(HERE, 0.5, [ray(0), ray(180, 0.5 + REACH_UM - 0.1)]) == 1
    assert count_arms(HERE, 0.5, [ray(0), ray(180, 0.5 + REACH_UM + 0.1)]) == 2


def test_branch_point_within_reach_leads_on() -> None:
    fork = [ray(180), ray(0, 0.9, end=1), line((0, 0.9), (4, 3), (1, None)), line((0, 0.9), (-4, 3), (1, None))]
    assert count_arms(HERE, 0.4, fork) == 3
    # not joined, the two others are fibers that end nearby
    apart = [fork[0], fork[1], line((0, 0.9), (4, 3)), line((0, 0.9), (-4, 3))]
    assert count_arms(HERE, 0.4, apart) == 1


def test_link_to_a_cell_counts_below_the_body_too() -> None:
    short = line((0, 0), (0, 0.6), (0, None), body=(0, 9))
    assert count_arms(HERE, 0.4, [ray(180), short]) == 2
    # the same stretch without a cell at its end is a stub
    assert count_arms(HERE, 0.4, [ray(180), line((0, 0), (0, 0.6), (0, None))]) == 1


@given(st.lists(st.floats(0, 359), max_size=5), st.floats(0, 360))
@settings(max_examples=50, deadline=None)
def test_arms_do_not_depend_on_the_direction_of_view(angles: list[float], turn: float) -> None:
    gaps = np.diff(np.sort(angles), append=min(angles, default=0) + 360)
    if np.any(np.abs(gaps - 30) < 1):
        return
    counts = [count_arms(HERE, 0.5, [ray(a + b) for a in angles]) for b in (0.0, turn)]
    assert counts[0] == counts[1] <= len(angles)


def look(truth: ArmTruth, frames: range, *angles: float) -> None:
    for frame in frames:
        truth.add(frame, 1, HERE, 0.8, [ray(angle) for angle in angles])


def test_location_is_what_most_frames_around_birth_show() -> None:
    truth = ArmTruth(frame_interval_min=5.0)
    assert truth.location(1) is None
    # born in frame 3; it counts until 20 min later
    look(truth, range(3, 6), 0, 180)
    look(truth, range(6, 8), 0)
    assert truth.location(1) == "shaft"
    look(truth, range(8, 30), 0)
    assert truth.location(1) == "shaft"


@pytest.mark.parametrize(("n_arms", "location"), [(0, None), (1, "tip"), (2, "shaft"), (3, "branch"), (5, "branch")])
def test_name_of_the_location(n_arms: int, location: str | None) -> None:
    truth = ArmTruth(frame_interval_min=2.0)
    look(truth, range(1), *(72.0 * k for k in range(n_arms)))
    assert truth.location(1) == location


def test_truth_of_a_movie_is_what_is_there_and_keeps_where_it_was_drawn() -> None:
    rich = {"migrasomes_per_100um": 10.0, "tip_probability": 0.9, "branch_point_probability": 0.9}
    size = {"height_px": 300, "width_px": 300, "n_frames": 2, "pixel_size_um": 0.2, "warmup_min": 120.0}
    cells = {"n_tails": 4.0, "cell_density_per_mm2": 600.0}
    truth = simulate("clean", 0, **rich, **size, **cells).truth
    tracks, rows = truth.tracks, truth.migrasomes
    same = (tracks["location"] == tracks["nucleated_at"]).fillna(False)
    # most bear out what they were drawn for; breaks, crossings and narrow forks change some
    assert 0.5 < same.mean() < 1.0
    assert set(tracks["location"].dropna()) == {"tip", "shaft", "branch"}
    one_each = rows.merge(tracks[["migrasome_id", "location"]], on="migrasome_id")
    assert one_each["location_x"].equals(one_each["location_y"])


def test_surroundings_that_the_border_cuts_off_are_not_counted() -> None:
    rich = {"migrasomes_per_100um": 20.0, "n_tails": 4.0, "cell_density_per_mm2": 900.0}
    size = {"height_px": 200, "width_px": 200, "n_frames": 1, "pixel_size_um": 0.2, "warmup_min": 200.0}
    rows = simulate("clean", 0, **rich, **size).truth.migrasomes
    place = rows[["y_um", "x_um"]].to_numpy()
    gap = np.minimum(place.min(axis=1), 40.0 - place.max(axis=1)) - rows["diameter_um"].to_numpy() / 2
    at_border = gap < REACH_UM - 0.2
    assert at_border.sum() > 1
    assert rows["location"][at_border].isna().all()
    assert rows["location"][~at_border].notna().mean() > 0.5
