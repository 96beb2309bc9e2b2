from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_shapes import draw_line
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.assign import (
    FEATURES,
    UNKNOWN_ARMS,
    ArmReader,
    Rays,
    arm_features,
    choose_parents,
    count_arms,
    learned_probability,
    location_from_arms,
    pair_features,
    rear_directions,
    rule_arms,
    rule_probability,
)
from migradetect.calibration import Calibration
from migradetect.params import AssignParams

INTERVAL = 2.0
METHODS = pytest.mark.parametrize("method", ["learned", "rules"])
#: (frame, cell or 0, distance to it in um, distance to the nearest fiber in um)
Look = tuple[int, int, float, float]


def cell(
    cell_id: int, start: tuple[float, float], step: tuple[float, float], frames: range, interval: float = INTERVAL
) -> pd.DataFrame:
    """A cell of 10 um radius that moves straight on, by `step` um in a minute."""
    t = np.array(frames)
    place = np.array(start) + interval * t[:, None] * np.array(step)
    return pd.DataFrame(
        {
            "cell_id": cell_id,
            "frame": t,
            "y_stage_um": place[:, 0],
            "x_stage_um": place[:, 1],
            "area_um2": np.pi * 100.0,
        }
    )


def pairs(
    looks: list[Look],
    cells: list[pd.DataFrame],
    birth: int,
    trails: dict[int, float] | None = None,
    interval: float = INTERVAL,
) -> pd.DataFrame:
    """Evidence of one site at (50, 50) um; `trails`: cell -> cost of the way along fibers, in every frame."""
    around = pd.DataFrame(looks, columns=["frame", "nearest_cell", "cell_um", "fiber_um"]).assign(migrasome_id=7)
    frames = around["frame"].to_numpy(np.int64)
    ways = [(t, 7, c, cost) for c, cost in (trails or {}).items() for t in frames]
    return pair_features(
        pd.DataFrame({"migrasome_id": [7], "y_stage_um": [50.0], "x_stage_um": [50.0], "birth_frame": [birth]}),
        around,
        pd.DataFrame(ways, columns=["frame", "migrasome_id", "cell_id", "cost_um"]),
        frames,
        rear_directions(pd.concat(cells, ignore_index=True), interval),
        interval,
    )


def history(visits: dict[int, range], fiber: range, n: int = 30) -> list[Look]:
    """Frames in which a cell lies on the site, and frames in which a fiber runs through it."""
    on = {t: c for c, frames in visits.items() for t in frames}
    return [(t, on.get(t, 99), 0.0 if t in on else 20.0, 0.1 if t in fiber else 5.0) for t in range(n)]


def parent(table: pd.DataFrame, method: str) -> int | None:
    chosen = choose_parents(table, AssignParams(method=method))
    return int(chosen.loc[7, "cell_id"]) if 7 in chosen.index else None


# passes over (50, 50) between frames 2 and 12, and is 30 um further at frame 20
PASSES = cell(1, (50.0, 36.0), (0.0, 1.0), range(30))
# stays 40 um away
BYSTANDER = cell(2, (90.0, 50.0), (0.0, 0.1), range(30))


def test_rear_is_against_the_motion() -> None:
    still = cell(3, (5.0, 5.0), (0.0, 0.0), range(30))
    table = rear_directions(pd.concat([PASSES, cell(2, (9.0, 5.0), (-0.6, -0.8), range(30)), still]), INTERVAL)
    rear = table.groupby("cell_id")[["rear_y", "rear_x"]].mean()
    np.testing.assert_allclose(rear.loc[1], [0, -1], atol=1e-9)
    np.testing.assert_allclose(rear.loc[2], [0.6, 0.8], atol=1e-9)
    assert table.loc[table["cell_id"] == 3, ["rear_y", "rear_x"]].isna().all(axis=None)
    assert "rear_y" not in PASSES.columns


def test_rear_of_a_turning_cell_turns_and_two_frames_tell_nothing() -> None:
    there, back = cell(1, (0.0, 0.0), (0.0, 1.0), range(20)), cell(1, (0.0, 80.0), (0.0, -1.0), range(20, 40))
    rear = rear_directions(pd.concat([there, back], ignore_index=True), INTERVAL).set_index("frame")["rear_x"]
    assert rear[5] == pytest.approx(-1)
    assert rear[35] == pytest.approx(1)
    assert rear_directions(cell(1, (0.0, 0.0), (0.0, 5.0), range(2)), INTERVAL)["rear_x"].isna().all()


def test_evidence_of_a_visit_by_hand() -> None:
    looks = history({1: range(2, 12)}, fiber=range(12, 30))
    row = pairs(looks, [PASSES, BYSTANDER], birth=15, trails={1: 12.0, 2: 60.0}).set_index("cell_id").loc[1]
    assert row["visited"] == 1
    assert row["covered_min"] == 10 * INTERVAL
    assert (row["visitors_before"], row["visitors_after"], row["n_visitors"]) == (0, 0, 1)
    assert (row["fiber_before"], row["fiber_after"]) == (0, 1)
    # last seen there in frame 11
    assert row["since_visit_min"] == 4 * INTERVAL
    # straight behind the cell, and on its path
    assert row["rear_cos_visit"] == pytest.approx(1)
    assert row["lateral_visit"] == pytest.approx(0, abs=1e-9)
    assert row["path_radii"] == pytest.approx(0, abs=1e-9)
    # at frame 15 its centroid is 16 um away
    assert row["gap_um"] == pytest.approx(6)
    assert (row["gap_rank"], row["path_rank"]) == (1, 1)
    assert (row["trail_um"], row["trail_share"], row["trail_margin_um"]) == (12, 1, 48)
    assert row["at_start"] == 0


def test_evidence_of_a_cell_that_was_never_there() -> None:
    looks = history({1: range(2, 12)}, fiber=range(12, 30))
    row = pairs(looks, [PASSES, BYSTANDER], birth=15, trails={1: 12.0}).set_index("cell_id").loc[2]
    assert (row["visited"], row["trail_share"], row["n_visitors"], row["gap_rank"]) == (0, 0, 1, 2)
    assert row[["covered_min", "since_visit_min", "fiber_before", "trail_um"]].isna().all()
    assert row["trail_margin_um"] < 0
    assert row["gap_um"] == pytest.approx(30, abs=0.5)


def test_evidence_is_in_minutes_not_in_frames() -> None:
    often, seldom = (
        pairs(
            [(t, 1, 0.0 if 8 <= t * dt < 24 else 20.0, 0.1 if t * dt >= 24 else 5.0) for t in range(int(60 / dt))],
            [cell(1, (50.0, 36.0), (0.0, 1.0), range(int(60 / dt)), dt)],
            int(36 / dt),
            interval=dt,
        )
        for dt in (1.0, 4.0)
    )
    np.testing.assert_allclose(often[list(FEATURES)], seldom[list(FEATURES)], atol=4.0)
    assert often["covered_min"].iloc[0] == seldom["covered_min"].iloc[0] == 16


@METHODS
def test_cell_that_passed_is_the_parent_though_another_is_nearer(method: str) -> None:
    near = cell(2, (62.0, 50.0), (0.0, 0.05), range(30))
    looks = history({1: range(2, 12)}, fiber=range(12, 30))
    assert parent(pairs(looks, [PASSES, near], birth=20, trails={1: 25.0}), method) == 1


@METHODS
def test_cell_that_passes_over_an_older_fiber_is_not_the_parent(method: str) -> None:
    # the fiber is there from the first frame, and leads to the rear of cell 2, which moves away from it
    owner = cell(2, (75.0, 50.0), (0.5, 0.0), range(30))
    looks = history({1: range(5, 12)}, fiber=range(30))
    with_fiber = pairs(looks, [PASSES, owner], birth=14, trails={2: 15.0, 1: 45.0})
    assert parent(with_fiber, method) == 2
    without = pairs(history({1: range(5, 12)}, fiber=range(12, 30)), [PASSES, owner], birth=14, trails={1: 10.0})
    assert parent(without, method) == 1, "test invalid"


@METHODS
def test_second_visitor_finds_the_fiber_of_the_first(method: str) -> None:
    second = cell(2, (20.0, 50.0), (1.0, 0.0), range(30))
    looks = history({1: range(2, 7), 2: range(13, 18)}, fiber=range(7, 30))
    assert parent(pairs(looks, [PASSES, second], birth=22, trails={1: 30.0, 2: 40.0}), method) == 1


@METHODS
def test_unvisited_site_goes_to_the_cell_whose_rear_its_fiber_reaches(method: str) -> None:
    nearer = cell(3, (50.0, 67.0), (0.0, -0.3), range(30))
    owner = cell(2, (80.0, 50.0), (0.5, 0.0), range(30))
    looks = history({}, fiber=range(30))
    assert parent(pairs(looks, [nearer, owner], birth=0, trails={2: 22.0, 3: 90.0}), method) == 2


@METHODS
def test_null_where_nothing_speaks_for_any_cell(method: str) -> None:
    far = [cell(k, (400.0 + 40 * k, 400.0), (0.0, -0.8), range(30)) for k in (1, 2)]
    looks = history({}, fiber=range(0))
    assert parent(pairs(looks, far, birth=10), method) is None


@METHODS
def test_single_frame_has_neither_motion_nor_history(method: str) -> None:
    cells = [cell(1, (50.0, 75.0), (0.0, 0.0), range(1)), cell(2, (80.0, 50.0), (0.0, 0.0), range(1))]
    table = pairs([(0, 1, 15.0, 0.1)], cells, birth=0, trails={2: 20.0}, interval=np.nan)
    assert table[["rear_cos_birth", "ray_lateral"]].isna().all(axis=None)
    assert table["visited"].eq(0).all()
    assert parent(table, method) == 2


@METHODS
def test_mother_that_has_divided_keeps_what_she_left(method: str) -> None:
    mother = cell(1, (50.0, 36.0), (0.0, 1.0), range(14))
    daughters = [cell(k, (50.0 + side, 36.0), (0.1 * side, 1.0), range(14, 30)) for k, side in ((2, 5.0), (3, -5.0))]
    looks = history({1: range(2, 12)}, fiber=range(12, 30))
    assert parent(pairs(looks, [mother, *daughters], birth=17), method) == 1


def test_cell_that_comes_into_view_later_is_no_candidate() -> None:
    looks = history({1: range(2, 12)}, fiber=range(12, 30))
    soon, late = cell(2, (90.0, 50.0), (0.0, 0.0), range(17, 30)), cell(3, (90.0, 50.0), (0.0, 0.0), range(19, 30))
    assert pairs(looks, [PASSES, soon, late], birth=15)["cell_id"].tolist() == [1, 2]


def test_no_sites_and_no_cells() -> None:
    nobody = pairs(history({}, range(0)), [PASSES[:0]], birth=3)
    assert nobody.empty
    assert set(FEATURES) <= set(nobody.columns)
    for method in ("learned", "rules"):
        assert choose_parents(nobody, AssignParams(method=method)).empty


@METHODS
def test_confidence_is_shared_out_among_the_cells_and_the_unknown(method: str) -> None:
    looks = history({}, fiber=range(30))
    owner, twin = (cell(k, (80.0, 50.0), (0.5, 0.0), range(30)) for k in (2, 3))
    one = choose_parents(pairs(looks, [owner], birth=0, trails={2: 20.0}), AssignParams(method=method))
    two = choose_parents(pairs(looks, [owner, twin], birth=0, trails={2: 20.0, 3: 20.0}), AssignParams(method=method))
    assert 0 < two.loc[7, "confidence"] < 0.5
    assert two.loc[7, "confidence"] < one.loc[7, "confidence"] < 1
    # of equals the first is taken, whatever the order
    assert two.loc[7, "cell_id"] == 2


def test_a_higher_limit_leaves_out_the_less_certain() -> None:
    table = pairs(history({}, fiber=range(30)), [PASSES, BYSTANDER], birth=0, trails={2: 20.0, 1: 30.0})
    named = [len(choose_parents(table, AssignParams(method="rules", min_confidence=m))) for m in (0.0, 1.0)]
    assert named == [1, 0]


#: Evidence that may only speak for (1) or against (-1) a cell.
FIXED = {"visitors_after": -1, "fiber_before": -1, "rear_cos_visit": 1, "trail_um": -1, "trail_margin_um": 1}


@pytest.mark.parametrize("name", sorted(FIXED))
@METHODS
def test_physics_gives_the_direction_of_evidence(method: str, name: str) -> None:
    looks = history({1: range(2, 12)}, fiber=range(12, 30))
    base = pairs(looks, [PASSES], birth=15, trails={1: 40.0})
    rising = pd.concat([base.assign(**{name: v}) for v in np.linspace(-1, 1, 9) * (50 if name.endswith("um") else 1)])
    p = learned_probability(rising) if method == "learned" else rule_probability(rising, 60.0)
    if name in ("trail_um", "visitors_after", "fiber_before"):
        p = p[rising[name] >= 0]
    assert (np.diff(p) * FIXED[name] >= -1e-12).all()
    if method == "rules":
        assert p[-1] != p[0]


@given(
    st.lists(st.integers(0, 3), min_size=12, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.integers(0, 11),
    st.sampled_from(["learned", "rules"]),
)
@settings(max_examples=40, deadline=None)
def test_parent_is_one_of_the_cells_and_its_confidence_a_probability(
    visitor: list[int], fiber: list[bool], birth: int, method: str
) -> None:
    looks = [
        (t, c, 0.0 if c else np.inf, 0.0 if f else 9.0) for t, (c, f) in enumerate(zip(visitor, fiber, strict=True))
    ]
    cells = [cell(k, (50.0 + 9 * k, 40.0), (0.0, 0.3 * k), range(k, 12)) for k in (1, 2, 3)]
    table = pairs(looks, cells, birth, trails={2: 30.0})
    chosen = choose_parents(table, AssignParams(method=method, min_confidence=0.0))
    assert set(chosen["cell_id"]) <= set(table["cell_id"])
    assert chosen["confidence"].between(0, 1).all()
    shuffled = choose_parents(table.iloc[::-1], AssignParams(method=method, min_confidence=0.0))
    pd.testing.assert_frame_equal(chosen, shuffled)


@pytest.mark.parametrize(
    ("arms", "is_on_fiber", "location"),
    [
        (0, False, None),
        (0, True, "tip"),
        (1, True, "tip"),
        (1, False, "tip"),
        (2, True, "shaft"),
        (3, True, "branch"),
        (5, False, "branch"),
        (UNKNOWN_ARMS, True, None),
    ],
)
def test_location_follows_the_number_of_arms(arms: int, is_on_fiber: bool, location: str | None) -> None:
    assert location_from_arms(arms, is_on_fiber) == location


# --- arms

ARMS = Calibration(0.14, 120.0)
ARMS_SHAPE = (120, 130)
#: The site, px.
HERE = (60.0, 65.0)


def fibers_to(*ends: tuple[float, float], start: tuple[float, float] = HERE, snr: float = 6.0) -> NDArray[np.float64]:
    """Lines as wide as a PSF from a start to each of the ends."""
    image = np.zeros(ARMS_SHAPE)
    for end in ends:
        image = np.maximum(image, draw_line(ARMS_SHAPE, start, end, 1.0))
    return snr * image


def bead(diameter_um: float, snr: float = 60.0, at: tuple[float, float] = HERE) -> NDArray[np.float64]:
    yy, xx = np.mgrid[: ARMS_SHAPE[0], : ARMS_SHAPE[1]]
    away = np.hypot(yy - at[0], xx - at[1]) * 0.14 - diameter_um / 2
    return snr / (1 + np.exp(away / 0.06))


def count(
    image: NDArray[np.float64],
    diameter_um: float = 1.2,
    weight: NDArray[np.float32] | None = None,
    first_seen: int = 2,
    drift_px: tuple[float, float] = (0.0, 0.0),
    noise: float = 1.0,
    method: str = "rules",
) -> int:
    """Arms at the site after twelve noisy frames; the stage moves by `drift_px` in each."""
    reader = ArmReader(
        np.array([HERE[0] * 0.14]), np.array([HERE[1] * 0.14]), np.array([diameter_um]), np.array([first_seen]), ARMS
    )
    rng = np.random.default_rng(0)
    for frame in range(12):
        dy, dx = frame * drift_px[0], frame * drift_px[1]
        moved = ndi.shift(image, (dy, dx), order=1, mode="nearest") if dy or dx else image
        seen = (moved + noise * rng.standard_normal(ARMS_SHAPE)).astype(np.float32)
        reader.read(frame, seen, np.ones(ARMS_SHAPE, np.float32) if weight is None else weight, (dy * 0.14, dx * 0.14))
    return int(count_arms(reader.rays(), method)[0])


RAYS = {
    1: ((60, 120),),
    2: ((60, 120), (60, 5)),
    3: ((60, 120), (10, 30), (110, 30)),
    4: ((60, 120), (60, 5), (5, 65), (115, 65)),
}


@pytest.mark.parametrize("diameter_um", [0.6, 1.2, 2.4])
@pytest.mark.parametrize("n_arms", [0, 1, 2, 3, 4])
def test_arms_that_lead_to_a_bead_are_counted(n_arms: int, diameter_um: float) -> None:
    image = fibers_to(*RAYS.get(n_arms, ())) + bead(diameter_um)
    assert count(image, diameter_um) == n_arms
    assert count(image, diameter_um, method="learned") == min(n_arms, 3)


def test_line_that_passes_by_is_no_arm() -> None:
    # 1 um beside the centre: a ring around the site would count it twice
    aside = fibers_to((67, 125), start=(67, 2))
    assert count(fibers_to(*RAYS[2]) + bead(1.0), 1.0) == 2
    assert count(np.maximum(fibers_to(*RAYS[2]), aside) + bead(1.0), 1.0) == 2


def test_neighbouring_bead_is_no_arm() -> None:
    assert count(fibers_to(*RAYS[2]) + bead(1.2) + bead(1.0, at=(72.0, 71.0))) == 2


def test_arms_in_haze_and_in_a_drifting_movie() -> None:
    haze = 20 + 0.5 * np.arange(ARMS_SHAPE[1])[None, :]
    assert count(fibers_to(*RAYS[3]) + bead(1.2) + haze) == 3
    assert count(fibers_to(*RAYS[3]) + bead(1.2), drift_px=(0.4, -0.7)) == 3


def test_faint_arms_add_up_over_frames() -> None:
    # below the noise in each frame
    assert count(fibers_to(*RAYS[2], snr=1.6) + bead(1.2)) == 2


def test_arm_under_a_body_is_not_seen_and_nothing_is_seen_of_a_covered_site() -> None:
    image = fibers_to(*RAYS[2]) + bead(1.2)
    weight = np.ones(ARMS_SHAPE, np.float32)
    weight[:, :62] = 0
    assert count(image, weight=weight) == 1
    assert count(image, weight=np.zeros(ARMS_SHAPE, np.float32)) == 0


def count_at_border(n_arms: int, gap_px: int, drift_px: float = 0.0) -> int:
    """Arms at a site so far from the left border of the field."""
    image = fibers_to(*RAYS[n_arms]) + bead(0.8)
    cut = int(HERE[1]) - gap_px
    reader = ArmReader(
        np.array([HERE[0] * 0.14]), np.array([gap_px * 0.14]), np.array([0.8]), np.array([2]), Calibration(0.14, 120.0)
    )
    for frame in range(8):
        # the stage moves the site away from the border
        away = round(frame * drift_px)
        seen = image[:, cut - away : cut - away + 60].astype(np.float32)
        reader.read(frame, seen, np.ones_like(seen), (0.0, away * 0.14))
    return int(count_arms(reader.rays(), "rules")[0])


def test_arms_out_of_the_field_are_unknown_not_absent() -> None:
    assert count_at_border(2, gap_px=30) == 2
    assert count_at_border(2, gap_px=6) == UNKNOWN_ARMS
    # three in view are a branch, whatever lies beyond the border
    assert count_at_border(4, gap_px=4) == 3
    # once the whole circle came into view it can be counted
    assert count_at_border(2, gap_px=6, drift_px=2.0) == 2


def test_only_frames_around_the_first_sighting_tell() -> None:
    image = fibers_to(*RAYS[2]) + bead(1.2)
    assert count(image, first_seen=10) == 2
    # 10 min of 2 min frames: from frame 7 on
    assert count(image, first_seen=17) == 0


def test_no_sites_have_no_arms() -> None:
    none = np.array([])
    reader = ArmReader(none, none, none, np.array([], np.int64), Calibration(0.1))
    reader.read(0, np.zeros(ARMS_SHAPE, np.float32), np.ones(ARMS_SHAPE, np.float32), (0.0, 0.0))
    assert count_arms(reader.rays(), "rules").size == 0
    assert count_arms(reader.rays(), "learned").size == 0


@METHODS
def test_trees_count_what_cannot_be_seen_at_all_as_none_or_unknown(method: str) -> None:
    strength = np.zeros((2, 72))
    rays = Rays(strength, np.full(2, 0.3), np.full(2, 0.5), np.array([False, True]))
    np.testing.assert_array_equal(count_arms(rays, method), [0, UNKNOWN_ARMS])


def test_what_the_trees_see_is_what_the_rays_show() -> None:
    strength = np.zeros((1, 72))
    strength[0, [0, 10, 36]] = 4.0, 1.0, 2.0
    rays = Rays(strength, np.array([0.4]), np.array([0.6]), np.array([False]))
    seen = arm_features(rays, rule_arms(rays)).iloc[0]
    assert seen[["snr_1", "snr_2", "snr_3", "snr_4"]].tolist() == [10.0, 5.0, 2.5, 0.0]
    assert (seen["share_2"], seen["apart_2"], seen["apart_3"]) == (0.5, 180.0, 50.0)
    assert (seen["straight"], seen["usual"], seen["radius_um"], seen["arms"]) == (0.5, 0.0, 0.6, 3.0)
