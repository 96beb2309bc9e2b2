from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from migradetect.stretches import join_stretches, split_stretches


def track(*odds: float, candidate_id: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"candidate_id": candidate_id, "frame": np.arange(len(odds)), "odds": odds})


def cut(table: pd.DataFrame) -> pd.DataFrame:
    return split_stretches(table.drop(columns="odds"), table["odds"].to_numpy(float))


def lengths(table: pd.DataFrame) -> list[int]:
    return [int(n) for n in table.groupby("candidate_id").size()]


def test_track_is_cut_where_the_bead_bursts() -> None:
    out = cut(track(*[3.0] * 10, *[-4.0] * 15))
    assert lengths(out) == [10, 15]
    assert out["site_id"].nunique() == 1


def test_birth_on_a_fiber_and_end_give_three_stretches() -> None:
    assert lengths(cut(track(*[-3.0] * 8, *[3.0] * 12, *[-3.0] * 7))) == [8, 12, 7]


@pytest.mark.parametrize("odds", [3.0, -3.0])
def test_wild_frames_do_not_cut(odds: float) -> None:
    values = np.full(30, odds)
    values[[7, 8, 20]] = -odds
    assert lengths(cut(track(*values))) == [30]


def test_tracks_do_not_mix_and_single_spots_stay() -> None:
    table = pd.concat([track(*[3.0] * 9), track(-2.0, candidate_id=2), track(*[-3.0] * 9, candidate_id=5)])
    out = cut(table.sample(frac=1, random_state=2))
    assert lengths(out) == [9, 1, 9]
    assert out.groupby("candidate_id")["site_id"].first().tolist() == [1, 2, 5]
    assert out["frame"].tolist() == [*range(9), 0, *range(9)]


def test_no_spots() -> None:
    out = split_stretches(pd.DataFrame({"candidate_id": [], "frame": []}), np.empty(0))
    assert {"site_id", "log_odds"} <= set(out.columns)
    assert join_stretches(out, set()).empty


def stretches(*lengths_and_sites: tuple[int, int]) -> pd.DataFrame:
    numbers: NDArray[np.int64] = np.arange(1, len(lengths_and_sites) + 1)
    n, site = np.array(lengths_and_sites).T
    return pd.DataFrame(
        {"candidate_id": np.repeat(numbers, n), "site_id": np.repeat(site, n), "frame": np.arange(int(n.sum()))}
    )


def test_stretches_of_one_bead_are_joined_over_a_short_gap_only() -> None:
    short = join_stretches(stretches((10, 1), (3, 1), (10, 1)), {1, 3})
    assert lengths(short) == [20, 3]
    long = join_stretches(stretches((10, 1), (9, 1), (10, 1)), {1, 3})
    assert lengths(long) == [10, 9, 10]


def test_neighbouring_sites_and_refused_stretches_are_not_joined() -> None:
    assert lengths(join_stretches(stretches((10, 1), (10, 2)), {1, 2})) == [10, 10]
    assert lengths(join_stretches(stretches((10, 1), (10, 1)), {2})) == [10, 10]
