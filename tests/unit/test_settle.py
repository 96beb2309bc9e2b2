"""Accepted tracks judged again by their photometry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from migradetect.calibration import Calibration
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._pass2 import Pass2
from migradetect.pipeline._settle import settle

N_FRAMES = 60


def site(number: int, frames: range, diameter_um: float, covered_from: int = N_FRAMES) -> pd.DataFrame:
    """Trace of a site that holds a bead in some frames, and that a cell covers from some frame on."""
    frame = np.arange(N_FRAMES)
    covers = frame >= covered_from
    holds = np.isin(frame, list(frames)) & ~covers
    rng = np.random.default_rng(number)
    return pd.DataFrame(
        {
            "migrasome_id": number,
            "frame": frame,
            "amplitude": np.where(covers, np.nan, 20.0 * holds + rng.normal(0, 0.5, N_FRAMES)),
            "amplitude_err": 0.5,
            "covered": np.where(covers, 0.0, np.nan),
            "covered_err": np.where(covers, 1.0, np.nan),
            "snr": 40.0 * holds,
            "diameter_um": np.where(holds, diameter_um, np.nan),
            "diameter_err_um": 0.05,
            "cell_um": np.where(covers, 0.0, 20.0),
            "fiber_um": 0.1,
            "covering_cell": np.where(covers, 1, 0),
            "is_in_field": True,
        }
    )


def settled(*sites: tuple[range, float, int], interval_min: float = 2.0, apart_um: float = 5.0):
    """Judge sites of (frames, diameter, frame from which a cell covers it)."""
    places = apart_um * np.arange(len(sites))
    movie = Movie.from_array(
        np.zeros((N_FRAMES, 1, 8, 8), np.uint16), Calibration(0.2, 60 * interval_min), ("wga",), "movie"
    )
    traces = pd.concat([site(k, *one) for k, one in enumerate(sites, start=1)]).sort_values(["frame", "migrasome_id"])
    found = [
        pd.DataFrame({"candidate_id": 10 * k, "frame": [t for t in frames if t < covered]})
        for k, (frames, _, covered) in enumerate(sites, start=1)
    ]
    judged = pd.DataFrame(
        {
            "frame_first": [one["frame"].min() for one in found],
            "frame_last": [one["frame"].max() for one in found],
            "y_stage_um": places,
            "x_stage_um": 1.0,
            "diameter_um": [diameter for _, diameter, _ in sites],
            "kind": pd.array(["migrasome"] * len(found), dtype="string"),
            "reason": pd.array([None] * len(found), dtype="string"),
        },
        index=pd.Index([10 * k for k in range(1, len(found) + 1)], name="candidate_id"),
    )
    empty = pd.DataFrame()
    clear = np.zeros(N_FRAMES, bool)
    second = Pass2(np.zeros((N_FRAMES, 2)), empty, {}, empty, {}, pd.concat(found), judged, clear)
    return settle(movie, Params(), second, traces, clear)


LASTING = (range(5, N_FRAMES), 1.0, N_FRAMES)


def test_what_lasts_and_is_large_stays_as_it_is():
    out = settled(LASTING)
    assert out.second.judged["kind"].tolist() == ["migrasome"]
    assert len(out.lives) == 1
    assert out.lives[0].first == pytest.approx(5, abs=1)


def test_gone_within_minutes_is_transient_and_the_others_are_numbered_anew():
    out = settled(
        (range(3, N_FRAMES), 1.2, N_FRAMES), (range(20, 25), 1.0, N_FRAMES), (range(30, N_FRAMES), 0.8, N_FRAMES)
    )
    assert out.second.judged["kind"].tolist() == ["migrasome", "transient", "migrasome"]
    assert "12 min" in out.second.judged["reason"].iloc[1]
    assert out.traces["migrasome_id"].drop_duplicates().tolist() == [1, 2]
    assert len(out.traces) == 2 * N_FRAMES
    assert len(out.lives) == 2
    # the second that is left is the third of before
    sizes = out.traces.groupby("migrasome_id")["diameter_um"].median()
    assert sizes.tolist() == [1.2, 0.8]
    assert np.nanmedian(out.seen.diameter_um[1]) == 0.8


def test_the_same_number_of_frames_is_no_transient_where_frames_are_far_apart():
    out = settled((range(20, 25), 1.0, N_FRAMES), interval_min=5.0)
    assert out.second.judged["kind"].tolist() == ["migrasome"]


def test_what_a_cell_took_away_may_have_stayed():
    out = settled((range(20, 26), 1.0, 26))
    assert out.second.judged["kind"].tolist() == ["migrasome"]


def test_never_as_large_as_a_migrasome_is_subresolution():
    out = settled(LASTING, (range(5, N_FRAMES), 0.45, N_FRAMES))
    assert out.second.judged["kind"].tolist() == ["migrasome", "subresolution"]
    assert "0.5 um" in out.second.judged["reason"].iloc[1]


def test_two_lives_at_one_place_are_one_migrasome():
    first, later = (range(5, 42), 1.0, N_FRAMES), (range(38, N_FRAMES), 1.2, N_FRAMES)
    out = settled(first, LASTING, later, apart_um=0.4)
    # the outer ones are further from each other than from the one between, which lives longest
    assert out.second.judged["kind"].tolist() == ["noise", "migrasome", "noise"]
    assert out.second.judged["reason"].tolist()[::2] == ["the same migrasome as candidate 20"] * 2
    assert len(out.lives) == len(out.seen.amplitude) == 1
    out = settled(first, later, apart_um=0.4)
    assert out.second.judged["kind"].tolist() == ["migrasome", "noise"]
    assert (out.lives[0].first, out.lives[0].last) == (pytest.approx(5, abs=1), N_FRAMES - 1)
    assert out.lives[0].fate == "persist"
    assert out.seen.is_found[0, 5:].all()


@pytest.mark.parametrize(("apart_um", "second_from"), [(0.7, 38), (0.4, 44)])
def test_neighbours_and_successors_are_two(apart_um, second_from):
    out = settled((range(5, 42), 1.0, N_FRAMES), (range(second_from, N_FRAMES), 1.2, N_FRAMES), apart_um=apart_um)
    assert out.second.judged["kind"].tolist() == ["migrasome", "migrasome"]
    assert len(out.lives) == 2


def test_nothing_accepted():
    movie = Movie.from_array(np.zeros((3, 1, 8, 8), np.uint16), Calibration(0.2, 60.0), ("wga",), "movie")
    judged = pd.DataFrame({"kind": ["noise"], "frame_first": [0], "y_stage_um": [0.0], "x_stage_um": [0.0]})
    linked = pd.DataFrame({"candidate_id": [0], "frame": [0]})
    empty, clear = pd.DataFrame(), np.zeros(3, bool)
    second = Pass2(np.zeros((3, 2)), empty, {}, empty, {}, linked, judged, clear)
    out = settle(movie, Params(), second, pd.DataFrame(), clear)
    assert out.lives == []
    assert out.second is second
