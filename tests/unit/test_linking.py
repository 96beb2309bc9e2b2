from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from migradetect.linking import (
    OverlapLinker,
    _linked_by_trackpy,
    candidate_limit,
    find_divisions,
    join_slivers,
    link_spots,
    merge_sites,
    thin_crowds,
)
from migradetect.params import LinkingParams

PARAMS = LinkingParams(search_range_um=0.6, memory_frames=2)


def spots(rows: list[tuple[int, float, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["frame", "y_stage_um", "x_stage_um"])
    return table.assign(snr=np.arange(len(table), dtype=float), scale_um=1.2)


def sites(n_frames: int, places: list[tuple[float, float]], seed: int = 0, jitter: float = 0.05) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(t, y + rng.normal(0, jitter), x + rng.normal(0, jitter)) for t in range(n_frames) for y, x in places]
    return spots(rows).assign(truth=np.tile(np.arange(len(places)), n_frames))


# --- spots


def test_standing_spots_keep_their_identity() -> None:
    table = sites(20, [(5.0, 5.0), (5.0, 7.0), (20.0, 3.0)])
    linked = link_spots(table, PARAMS)
    assert len(linked) == len(table)
    assert linked.groupby("truth")["candidate_id"].nunique().tolist() == [1, 1, 1]
    assert linked["candidate_id"].nunique() == 3
    assert linked["candidate_id"].min() == 1


def test_spot_that_jumps_too_far_is_another() -> None:
    near = link_spots(spots([(0, 0.0, 0.0), (1, 0.5, 0.0)]), PARAMS)
    far = link_spots(spots([(0, 0.0, 0.0), (1, 0.7, 0.0)]), PARAMS)
    assert near["candidate_id"].nunique() == 1
    assert far["candidate_id"].nunique() == 2


@pytest.mark.parametrize(("gap", "n_tracks"), [(1, 1), (2, 1), (3, 2)])
def test_memory_bridges_gaps_up_to_its_length(gap: int, n_tracks: int) -> None:
    other = [(t, 10.0, 10.0) for t in range(12)]
    rows = [(t, 1.0, 1.0) for t in range(12) if not 4 <= t < 4 + gap]
    linked = link_spots(spots(rows + other), PARAMS)
    assert linked[linked["y_stage_um"] < 5]["candidate_id"].nunique() == n_tracks


def test_small_bead_before_a_large_one_keeps_to_itself() -> None:
    rng = np.random.default_rng(3)
    small = sites(20, [(5.0, 5.0)], jitter=0.08).assign(scale_um=0.8, truth=0)
    large = sites(20, [(5.05, 5.05)], seed=1, jitter=0.08).assign(scale_um=2.6, truth=1)
    both = pd.concat([small, large]).sample(frac=1, random_state=rng).sort_values("frame", ignore_index=True)
    linked = link_spots(both, PARAMS)
    assert "_size" not in linked.columns
    assert linked.groupby("candidate_id")["truth"].nunique().tolist() == [1, 1]


def test_no_spots_keep_their_columns() -> None:
    linked = link_spots(spots([]), PARAMS)
    assert linked.empty
    assert [*spots([]).columns, "candidate_id"] == list(linked.columns)
    assert linked["candidate_id"].dtype == np.int64


def test_one_frame_gives_each_spot_its_own_identity() -> None:
    linked = link_spots(spots([(3, 0.0, 0.0), (3, 0.1, 0.0), (3, 5.0, 5.0)]), PARAMS)
    assert linked["candidate_id"].tolist() == [1, 2, 3]


def test_linking_keeps_other_columns_and_its_input() -> None:
    table = sites(6, [(5.0, 5.0), (5.0, 9.0)])
    table.index = table.index[::-1]
    before = table.copy()
    linked = link_spots(table, PARAMS)
    pd.testing.assert_frame_equal(table, before)
    assert sorted(linked["snr"]) == sorted(table["snr"])
    merged = linked.set_index("snr")["y_stage_um"].sort_index()
    pd.testing.assert_series_equal(merged, table.set_index("snr")["y_stage_um"].sort_index())


def test_two_crossing_paths_are_parted_by_distance() -> None:
    rows = []
    for t in range(11):
        rows += [(t, 0.2 * t, 0.0), (t, 0.2 * t, 2.0 - 0.05 * t)]
    linked = link_spots(spots(rows), PARAMS)
    left = linked[linked["x_stage_um"] == 0.0]["candidate_id"]
    assert left.nunique() == 1
    assert linked["candidate_id"].nunique() == 2


def test_dense_clump_is_linked_without_an_error() -> None:
    rng = np.random.default_rng(1)
    rows = [(t, *rng.uniform(0, 3, 2)) for t in range(4) for _ in range(150)]
    linked = link_spots(spots(rows), PARAMS)
    assert len(linked) == 600
    assert not linked.duplicated(["frame", "candidate_id"]).any()


@given(st.integers(0, 1000), st.integers(1, 8), st.integers(2, 8))
@settings(max_examples=15, deadline=None)
def test_a_candidate_is_never_twice_in_a_frame(seed: int, n: int, n_frames: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(t, *rng.uniform(0, 3, 2)) for t in range(n_frames) for _ in range(n) if rng.random() < 0.8]
    linked = link_spots(spots(rows), PARAMS)
    assert len(linked) == len(rows)
    assert not linked.duplicated(["frame", "candidate_id"]).any()
    last = linked.groupby("candidate_id")["frame"].agg(lambda f: np.diff(np.sort(f)).max(initial=1))
    assert last.max() <= PARAMS.memory_frames + 1 if len(last) else True


# --- sites


def linked_rows(*tracks: tuple[int, range, float, float]) -> pd.DataFrame:
    rows = [(number, t, y, x, 1.0, 10.0 + number) for number, frames, y, x in tracks for t in frames]
    return pd.DataFrame(rows, columns=["candidate_id", "frame", "y_stage_um", "x_stage_um", "diameter_um", "blob_snr"])


def test_two_tracks_at_one_place_one_after_the_other_are_one_site() -> None:
    merged = merge_sites(linked_rows((1, range(5), 3.0, 3.0), (2, range(20, 30), 3.1, 3.0), (3, range(5), 9.0, 9.0)))
    assert merged["candidate_id"].nunique() == 2
    assert merged[merged["y_stage_um"] < 5]["frame"].tolist() == [*range(5), *range(20, 30)]


def test_two_tracks_at_the_same_time_stay_two() -> None:
    apart = merge_sites(linked_rows((1, range(10), 3.0, 3.0), (2, range(4, 14), 3.1, 3.0)))
    assert apart["candidate_id"].nunique() == 2
    overlapping = merge_sites(linked_rows((1, range(10), 3.0, 3.0), (2, range(9, 14), 3.1, 3.0)))
    assert overlapping["candidate_id"].nunique() == 1
    assert not overlapping.duplicated(["candidate_id", "frame"]).any()
    # the clearer of the two rows of a shared frame is kept
    assert overlapping.set_index("frame").loc[9, "blob_snr"] == 12


def test_tracks_at_different_places_stay_apart() -> None:
    merged = merge_sites(linked_rows((1, range(5), 3.0, 3.0), (2, range(20, 30), 3.6, 3.0)))
    assert merged["candidate_id"].nunique() == 2


def test_sites_are_numbered_by_their_first_frame() -> None:
    merged = merge_sites(linked_rows((7, range(5, 9), 3.0, 3.0), (9, range(0, 4), 8.0, 8.0)))
    first = merged.groupby("candidate_id")["frame"].min()
    assert first.to_dict() == {1: 0, 2: 5}
    assert merge_sites(linked_rows()).empty


def test_merging_leaves_its_input_alone() -> None:
    table = linked_rows((1, range(5), 3.0, 3.0), (2, range(20, 30), 3.1, 3.0))
    before = table.copy()
    merge_sites(table)
    pd.testing.assert_frame_equal(table, before)


# --- regions


def plane(*squares: tuple[int, int, int, int]) -> NDArray[np.int64]:
    """Squares of (label, top, left, size)."""
    out = np.zeros((60, 60), np.int64)
    for label, top, left, size in squares:
        out[top : top + size, left : left + size] = label
    return out


def test_moving_region_keeps_its_identity_whatever_its_label() -> None:
    linker = OverlapLinker(2)
    assert linker.link(0, plane((5, 5, 5, 12))) == {5: 1}
    assert linker.link(1, plane((2, 5, 9, 12))) == {2: 1}
    assert linker.link(2, plane((7, 5, 13, 12), (1, 40, 40, 12))) == {7: 1, 1: 2}


def test_region_far_away_is_new() -> None:
    linker = OverlapLinker(2)
    linker.link(0, plane((1, 5, 5, 12)))
    assert linker.link(1, plane((1, 40, 40, 12))) == {1: 2}


@pytest.mark.parametrize(("lost", "identity"), [(1, 1), (2, 1), (3, 2)])
def test_lost_region_is_remembered_for_its_time(lost: int, identity: int) -> None:
    linker = OverlapLinker(2)
    linker.link(0, plane((1, 5, 5, 12)))
    for frame in range(1, lost + 1):
        assert linker.link(frame, plane()) == {}
    assert linker.link(lost + 1, plane((1, 6, 6, 12))) == {1: identity}


def test_neighbours_do_not_swap() -> None:
    linker = OverlapLinker(2)
    linker.link(0, plane((1, 5, 5, 12), (2, 5, 20, 12)))
    # both move right by 5: the right end of the first now overlaps the place of the second
    assert linker.link(1, plane((9, 5, 10, 12), (8, 5, 25, 12))) == {9: 1, 8: 2}


def test_two_regions_never_share_an_identity() -> None:
    linker = OverlapLinker(2)
    linker.link(0, plane((1, 5, 5, 20)))
    halves = linker.link(1, plane((1, 5, 5, 9), (2, 16, 5, 9)))
    assert sorted(halves.values()) == [1, 2]


# --- divisions


def cell_rows(*rows: tuple[int, int, float, float, float], border: bool = False) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["frame", "cell_id", "y_stage_um", "x_stage_um", "area_um2"])
    return table.assign(touches_border=border)


def dividing(area_left: float, area_new: float, gap: float = 10.0, border: bool = False) -> pd.DataFrame:
    rows = [(t, 1, 50.0, 50.0, 800.0) for t in range(5)]
    for t in range(5, 10):
        rows += [(t, 1, 50.0, 45.0, area_left), (t, 2, 50.0, 45.0 + gap, area_new)]
    rows += [(t, 3, 200.0, 200.0, 800.0) for t in range(10)]
    return cell_rows(*rows, border=border)


def test_division_ends_the_mother_and_starts_two_daughters() -> None:
    cells, mothers = find_divisions(dividing(420.0, 400.0))
    assert set(mothers.values()) == {1}
    assert len(mothers) == 2
    assert cells[cells["cell_id"] == 1]["frame"].tolist() == list(range(5))
    for daughter in mothers:
        assert cells[cells["cell_id"] == daughter]["frame"].tolist() == list(range(5, 10))
    assert cells[cells["cell_id"] == 3]["frame"].tolist() == list(range(10))


@pytest.mark.parametrize(
    "cells",
    [
        dividing(780.0, 400.0),  # the neighbour lost nothing
        dividing(420.0, 400.0, gap=60.0),  # too far off
        dividing(420.0, 400.0, border=True),  # came in over the border
        dividing(420.0, 60.0),  # a crumb
    ],
    ids=["no loss", "far", "border", "crumb"],
)
def test_what_is_no_division_changes_nothing(cells: pd.DataFrame) -> None:
    found, mothers = find_divisions(cells)
    assert mothers == {}
    pd.testing.assert_frame_equal(found, cells)


def test_daughter_seen_too_briefly_is_none() -> None:
    cells = dividing(420.0, 400.0)
    brief = cells[(cells["cell_id"] != 2) | (cells["frame"] < 7)]
    assert find_divisions(brief)[1] == {}
    assert len(find_divisions(brief, min_frames=2)[1]) == 2


def test_divisions_of_no_cells_and_input_unchanged() -> None:
    empty, mothers = find_divisions(cell_rows())
    assert empty.empty
    assert mothers == {}
    cells = dividing(420.0, 400.0)
    before = cells.copy()
    find_divisions(cells)
    pd.testing.assert_frame_equal(cells, before)


# --- slivers at the border


def sliver_and_cell(place: float = 50.0, begin: int = 8, end: int = 15, sliver_um2: float = 60.0) -> pd.DataFrame:
    sliver = [(t, 1, 2.0, 48.0, sliver_um2) for t in range(3)]
    return cell_rows(*sliver, *[(t, 2, 4.0, place, 300.0) for t in range(begin, end)], border=True)


@pytest.mark.parametrize(
    ("cells", "n"),
    [
        (sliver_and_cell(), 1),
        (sliver_and_cell(place=70.0), 2),  # comes in elsewhere
        (sliver_and_cell(begin=40, end=45), 2),  # much later
        (sliver_and_cell(begin=2), 2),  # beside it in one frame
        (sliver_and_cell(sliver_um2=200.0), 2),  # a cell by itself
        (sliver_and_cell().assign(touches_border=False), 2),
    ],
    ids=["same", "elsewhere", "later", "beside", "cell", "inside"],
)
def test_sliver_is_of_the_cell_that_comes_in_at_its_place(cells: pd.DataFrame, n: int) -> None:
    before = cells.copy()
    joined = join_slivers(cells, 120.0)
    pd.testing.assert_frame_equal(cells, before)
    assert joined["cell_id"].nunique() == n
    assert joined.drop(columns="cell_id").equals(cells.drop(columns="cell_id"))


def test_of_two_cells_the_nearest_in_time_has_the_sliver() -> None:
    cells = pd.concat([sliver_and_cell(), cell_rows(*[(t, 3, 4.0, 50.0, 300.0) for t in range(5, 7)], border=True)])
    joined = join_slivers(cells.reset_index(drop=True), 120.0)
    assert joined.loc[joined["frame"] < 3, "cell_id"].unique().tolist() == [3]


def test_no_slivers_of_no_cells() -> None:
    assert join_slivers(cell_rows(), 120.0).empty


# --- many spots


@pytest.mark.parametrize(("n_places", "edge_um"), [(60, 40.0), (60, 9.0), (60, 4.0)])
def test_links_are_those_of_trackpy_alone(n_places: int, edge_um: float) -> None:
    rng = np.random.default_rng(n_places)
    places = [tuple(place) for place in rng.uniform(0, edge_um, (n_places, 2))]
    table = sites(15, places, jitter=0.1)
    table = table[rng.random(len(table)) > 0.25].reset_index(drop=True)
    own = link_spots(table, PARAMS)["candidate_id"].to_numpy()
    size = np.full(len(table), 0.3 * np.log2(1.2))
    points = np.column_stack([table[["y_stage_um", "x_stage_um"]].to_numpy(), size])
    alone = _linked_by_trackpy(points, table["frame"].to_numpy(), PARAMS)
    # the same groups, whatever their numbers
    pairs = {*zip(own.tolist(), alone.tolist(), strict=True)}
    assert len(pairs) == len(set(own.tolist())) == len(set(alone.tolist()))


def test_frames_without_room_keep_their_strongest_candidates() -> None:
    limit = candidate_limit(1000.0)
    rng = np.random.default_rng(0)
    crowded = pd.DataFrame({"frame": 0, "snr": rng.uniform(4, 9, 3 * limit)})
    table = pd.concat([crowded, pd.DataFrame({"frame": 1, "snr": rng.uniform(4, 9, limit)})])
    kept = thin_crowds(table, 1000.0)
    assert kept["frame"].value_counts().to_dict() == {0: limit, 1: limit}
    assert kept.loc[kept["frame"] == 0, "snr"].min() == np.sort(crowded["snr"])[-limit]
    assert candidate_limit(1.0) > 100, "a small field may hold some"


def test_links_do_not_depend_on_how_many_are_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    # dense enough that many could be linked in several ways, with gaps in time
    frame = np.sort(rng.choice(np.delete(np.arange(40), [7, 8, 20]), 3000))
    table = pd.DataFrame(rng.random((3000, 2)) * 12, columns=["y_stage_um", "x_stage_um"]).assign(
        frame=frame, scale_um=rng.choice([0.5, 1.0], 3000)
    )
    whole = link_spots(table, LinkingParams())
    asked: list[int] = []

    monkeypatch.setattr("migradetect.linking._SLAB", 3)
    monkeypatch.setattr("migradetect.linking._BATCH", 100)
    monkeypatch.setattr(
        "migradetect.linking._linked_by_trackpy",
        lambda *given: asked.append(len(given[0])) or _linked_by_trackpy(*given),
    )
    pd.testing.assert_frame_equal(link_spots(table, LinkingParams()), whole)
    assert len(asked) > 3, "test invalid: all crowds were asked about at once"
