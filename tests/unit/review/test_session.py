import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from migradetect.errors import EditError, NoMoviesError
from migradetect.io import is_complete, load_results
from migradetect.movie import Movie
from migradetect.photometry import Sites, measure_sites, settle_shape
from migradetect.pipeline.sites import outside_bodies, site_images
from migradetect.results import MOVIE_TABLES, POINTS_IN_TIME
from migradetect.review import ReviewSession, edits
from migradetect.review._log import EditLog
from migradetect.summary import summarize_cells
from migradetect.tables import validate_table

ADDED = {"edited", "edit_source", "review_status"}


def everything(session, planes=("cells", "fibers")):
    tables = {name: session.tables[name].copy() for name in MOVIE_TABLES}
    labels = {name: [np.array(session.labels[name][t]) for t in range(len(session.labels[name]))] for name in planes}
    return tables, labels


def assert_same(one, other):
    for name in MOVIE_TABLES:
        pd.testing.assert_frame_equal(one[0][name], other[0][name], obj=name)
    for name, planes in one[1].items():
        np.testing.assert_array_equal(planes, other[1][name], err_msg=name)


def longest(session, least=4):
    tracks = session.tables["tracks"]
    sized = tracks[tracks["n_frames"] >= least].sort_values("n_frames", ascending=False)
    assert len(sized), "test invalid"
    return int(sized["migrasome_id"].iloc[0])


def row_of(session, number, name="tracks"):
    table = session.tables[name]
    return table[table["migrasome_id"] == number]


def test_without_corrections_it_is_the_automatic_result(session, analysed):
    stored = load_results(analysed / "dish")
    for name in MOVIE_TABLES:
        validate_table(name, session.tables[name])
        kept = session.tables[name].drop(columns=[c for c in ADDED if c in session.tables[name]])
        pd.testing.assert_frame_equal(kept, stored.tables[name])
    for name in ("cells", "fibers", "migrasomes"):
        for frame in range(10):
            np.testing.assert_array_equal(session.labels[name][frame], stored.labels[name][frame])
    assert not session.tables["tracks"]["edited"].any()
    assert (session.tables["tracks"]["review_status"] == "auto").all()
    assert session.undo() is None
    assert session.redo() is None
    assert not session.path.exists(), "looking leaves no trace"


def test_rows_made_anew_from_stored_photometry_are_the_stored_ones(fresh):
    session = fresh()
    bench, state = session._bench, session._state
    for number in session.tables["tracks"]["migrasome_id"].astype(int):
        piece = bench.piece(state, number)
        again = bench.rebuild(state, piece, piece.site)
        for part in ("track", "rows", "traces"):
            one, other = (getattr(p, part).reset_index(drop=True) for p in (piece, again))
            pd.testing.assert_frame_equal(one, other, obj=f"{part} of {number}")


def test_a_place_is_measured_as_pass_3_does(base, recording):
    """Small windows side by side give what the whole frames give."""
    movie, model = recording.movie, recording.model
    numbers = base.timeline.numbers
    edge_um = np.minimum(base.places[["y_stage_um", "x_stage_um"]], 41.6 - base.places[["y_stage_um", "x_stage_um"]])
    # at the very edge of the image the last half pixel is read here and not there
    one = base.places[(edge_um > 4).all(axis=1)].iloc[0]
    stage = np.array([one["y_stage_um"], one["x_stage_um"]])
    site = Sites(np.array([1]), stage[:1], stage[1:], np.array([one["diameter_um"]]), np.array([0]))
    cells = {int(t): base.results.labels["cells"][int(t)] for t in numbers}
    rows = []
    for t in numbers:
        images = {role: movie.frame(int(t), role) for role in movie.roles}
        signal, variance, channels = site_images(images, model)
        weight = outside_bodies(cells[int(t)], base.calibration)
        drift = tuple(base.drift_um[t])
        rows.append(measure_sites(site, signal, variance, weight, channels, drift, base.calibration, model.library))
    expected = settle_shape(pd.concat(rows, ignore_index=True))

    def bodies(frame, rows, columns):
        return cells[frame][rows, columns]

    found = recording.measure(stage + base.drift_um[numbers], numbers, float(one["diameter_um"]), bodies, 0, shape=0)
    assert expected["snr"].max() > 5, "test invalid"
    for name in ("amplitude", "snr", "diameter_um", "tspan4_signal", "wga_signal", "is_in_field"):
        np.testing.assert_allclose(
            found[name].to_numpy(float), expected[name].to_numpy(float), rtol=2e-4, atol=1e-3, err_msg=name
        )


def test_accept_and_reject(session):
    number = longest(session)
    before = everything(session)
    change = session.do(edits.Accept(migrasome_id=number))
    assert change.migrasome_ids == {number}
    assert (session.status(number), session.is_reviewed(number)) == ("accepted", True)
    assert not row_of(session, number)["edited"].item(), "nothing about it is other"
    assert row_of(session, number)["edit_source"].item() == "review: accept"
    cell = row_of(session, number)["cell_id"].item()
    session.do(edits.Reject(migrasome_id=number, reason="debris_static"))
    assert session.status(number) == "rejected"
    for name in ("tracks", "migrasomes", "site_traces"):
        assert row_of(session, number, name).empty
    candidate = session.tables["candidates"].iloc[-1]
    assert candidate["kind"] == "debris_static"
    assert candidate["reason"] == "rejected in review: debris_static"
    if not pd.isna(cell):
        counts = [
            t.set_index("cell_id").loc[cell, "n_migrasomes"]
            for t in (before[0]["cell_summary"], session.tables["cell_summary"])
        ]
        assert counts[1] == counts[0] - 1
    with pytest.raises(EditError, match="it was rejected"):
        session.do(edits.Resize(migrasome_id=number, diameter_um=1.0))
    session.do(edits.Accept(migrasome_id=number))
    assert row_of(session, number)["n_frames"].item() > 0
    assert len(session.tables["candidates"]) == len(before[0]["candidates"])


def test_add_measures_what_is_there(session, analysed):
    """One that the analysis found, taken away and added by hand, comes out nearly as it was."""
    tracks = session.tables["tracks"]
    rows = session.tables["migrasomes"]
    snr = rows.groupby("migrasome_id")["snr"].median()
    number = int(snr[snr.index.isin(tracks.loc[tracks["n_frames"] > 5, "migrasome_id"])].idxmax())
    old_track, old = row_of(session, number).iloc[0], row_of(session, number, "migrasomes")
    seen = old.iloc[len(old) // 2]
    session.do(edits.Reject(migrasome_id=number))
    change = session.do(
        edits.Add(frame=seen["frame"], y_um=seen["y_um"], x_um=seen["x_um"], diameter_um=seen["diameter_um"])
    )
    (new,) = change.migrasome_ids
    assert change.created == (("migrasome", new),)
    assert new not in set(tracks["migrasome_id"])
    track, mine = row_of(session, new).iloc[0], row_of(session, new, "migrasomes")
    assert session.status(new) == "added"
    assert bool(track["edited"])
    assert abs(len(mine) - len(old)) <= 2
    both = mine.merge(old, on="frame")
    assert np.nanmedian(np.abs(both["diameter_um_x"] / both["diameter_um_y"] - 1)) < 0.1
    assert np.nanmedian(np.abs(both["tspan4_signal_x"] / both["tspan4_signal_y"] - 1)) < 0.15
    assert pd.isna(track["score"])
    assert not mine["is_measured"].any()
    assert track["cell_id"] == old_track["cell_id"] or pd.isna(old_track["cell_id"])
    traces = row_of(session, new, "site_traces")
    assert len(traces) == 10
    assert (mine["condition"] == "control").all()
    assert mine["time_min"].iloc[0] == mine["frame"].iloc[0] * 2 + 30


def test_promote(session):
    candidates = session.tables["candidates"]
    one = candidates.sort_values("score").iloc[-1]
    change = session.do(edits.Promote(candidate_id=one["candidate_id"], reason="seen by eye"))
    (new,) = change.migrasome_ids
    place = row_of(session, new, "migrasomes").iloc[0]
    assert np.hypot(place["y_stage_um"] - one["y_stage_um"], place["x_stage_um"] - one["x_stage_um"]) < 0.01
    assert row_of(session, new)["score"].item() == pytest.approx(one["score"])
    assert one["candidate_id"] not in set(session.tables["candidates"]["candidate_id"])
    with pytest.raises(EditError, match="already"):
        session.do(edits.Promote(candidate_id=one["candidate_id"]))


def test_birth_end_fate_location_and_parent(session):
    number = longest(session, 8)
    session.do(edits.SetBirth(migrasome_id=number, frame=2))
    session.do(edits.SetEnd(migrasome_id=number, frame=7))
    session.do(edits.SetFate(migrasome_id=number, fate="rupture"))
    session.do(edits.SetLocation(migrasome_id=number, location="branch"))
    session.do(edits.SetParent(migrasome_id=number, cell_id=None))
    track, rows = row_of(session, number).iloc[0], row_of(session, number, "migrasomes")
    assert rows["frame"].tolist() == [2, 3, 4, 5, 6, 7], "also the frame that could not be used"
    assert not rows.loc[rows["frame"] == 4, "is_measured"].item()
    assert (track["birth_time_min"], track["end_time_min"]) == (2 * 2 + 30, 7 * 2 + 30)
    assert track["lifetime_min"] == 10
    assert not track["is_left_censored"]
    assert not track["is_right_censored"]
    assert (track["fate"], track["location"]) == ("rupture", "branch")
    assert pd.isna(track["cell_id"])
    assert pd.isna(track["cell_id_confidence"])
    assert rows["cell_id"].isna().all()
    assert (rows["location"] == "branch").all()
    session.do(edits.SetEnd(migrasome_id=number, frame=None))
    track = row_of(session, number).iloc[0]
    assert track["is_right_censored"]
    assert track["fate"] == "persist"
    session.do(edits.SetBirth(migrasome_id=number, frame=0))
    assert row_of(session, number)["is_left_censored"].item()
    with pytest.raises(EditError, match="cell 999"):
        session.do(edits.SetParent(migrasome_id=number, cell_id=999))
    with pytest.raises(EditError, match="frame from 0 to 9"):
        session.do(edits.SetBirth(migrasome_id=number, frame=10))


def test_split_merge_and_relink(session):
    number = longest(session, 8)
    before = row_of(session, number, "migrasomes")
    change = session.do(edits.Split(migrasome_id=number, frame=5))
    (new,) = (one for kind, one in change.created)
    parts = [row_of(session, one, "migrasomes")["frame"] for one in (number, new)]
    assert parts[0].max() < 5 <= parts[1].min()
    assert len(parts[0]) + len(parts[1]) == len(before) - 1, "nobody knows whose the frame is that could not be used"
    assert pd.isna(row_of(session, number)["fate"].item()), "nobody said how it ended"
    session.do(edits.Relink(migrasome_id=new, to_id=number, frame=7))
    assert row_of(session, number, "migrasomes")["frame"].max() == before["frame"].max()
    assert row_of(session, new, "migrasomes")["frame"].max() == 6
    session.do(edits.Merge(migrasome_ids=(number, new)))
    assert row_of(session, number, "migrasomes")["frame"].tolist() == before["frame"].tolist()
    assert row_of(session, new).empty
    with pytest.raises(EditError, match="expected a frame from"):
        session.do(edits.Split(migrasome_id=number, frame=0))


def test_move_and_resize(session):
    number = longest(session)
    old = row_of(session, number, "migrasomes").iloc[0]
    session.do(edits.Resize(migrasome_id=number, diameter_um=2.5))
    track = row_of(session, number).iloc[0]
    assert track["plateau_diameter_um"] == pytest.approx(2.5)
    assert pd.isna(track["plateau_diameter_um_ci_low"]), "a size that was set has no limits of a measurement"
    session.do(edits.Resize(migrasome_id=number, diameter_um=1.5, frame=int(old["frame"])))
    assert row_of(session, number, "migrasomes")["diameter_um"].iloc[0] == pytest.approx(1.5)
    session.do(edits.Move(migrasome_id=number, frame=old["frame"], y_um=old["y_um"] + 0.4, x_um=old["x_um"]))
    moved = row_of(session, number, "migrasomes").set_index("frame")
    traces = row_of(session, number, "site_traces").set_index("frame")
    assert traces.loc[old["frame"], "y_um"] == pytest.approx(old["y_um"] + 0.4)
    assert moved["y_stage_um"].std() < 1e-6
    with pytest.raises(EditError, match="place in the image"):
        session.do(edits.Move(migrasome_id=number, frame=0, y_um=-3.0, x_um=0.0))


def test_summaries_are_those_of_the_reviewed_tables(session):
    numbers = session.tables["tracks"]["migrasome_id"].astype(int).tolist()
    cells = session.tables["cell_summary"]["cell_id"].astype(int).tolist()
    session.do(edits.Reject(migrasome_id=numbers[0]))
    session.do(edits.SetParent(migrasome_id=numbers[1], cell_id=cells[-1]))
    session.do(edits.Split(migrasome_id=longest(session), frame=5))
    tables = session.tables
    expected = summarize_cells(tables["cells"], tables["fibers"], tables["tracks"], session.base.calibration)
    found = tables["cell_summary"][expected.columns]
    pd.testing.assert_frame_equal(found, expected.sort_values("cell_id", ignore_index=True), check_dtype=False)


def test_without_images_corrections_work_and_signals_are_null(out, movies):
    hidden = movies.with_name("hidden")
    movies.rename(hidden)
    try:
        session = ReviewSession.open(out, "dish")
        number = longest(session)
        old = row_of(session, number, "migrasomes").iloc[0]
        session.do(edits.SetEnd(migrasome_id=number, frame=6))
        assert not session.notes, "nothing that was stored needs the images"
        (new,) = session.do(edits.Add(frame=5, y_um=old["y_um"] + 3, x_um=old["x_um"], diameter_um=1.2)).migrasome_ids
    finally:
        hidden.rename(movies)
    rows = row_of(session, new, "migrasomes")
    assert rows["frame"].tolist() == [5]
    assert rows["tspan4_signal"].isna().all()
    assert rows["diameter_um"].tolist() == [1.2]
    assert row_of(session, new)["plateau_diameter_um"].isna().all()
    assert any("images can't be read" in note for note in session.notes)
    session.do(edits.SetBirth(migrasome_id=new, frame=2))
    assert row_of(session, new, "migrasomes")["frame"].tolist() == [2, 3, 4, 5]


def test_a_movie_at_hand_is_used(analysed, out):
    from migradetect import open_movie

    movie = open_movie(analysed.parent / "movies" / "dish.ome.tif")
    assert isinstance(movie, Movie)
    session = ReviewSession.open(out, "dish", movie=movie)
    assert session.movie is movie


def test_the_disk_has_it_before_the_screen(session, monkeypatch):
    number = longest(session)
    seen = []
    append = EditLog.append

    def spy(log, line):
        seen.append((session.status(number), line["kind"]))
        append(log, line)
        assert json.loads(session.path.read_text().splitlines()[-1])["id"] == line["id"]
        seen.append((session.status(number), "written"))

    monkeypatch.setattr(EditLog, "append", spy)
    session.do(edits.Reject(migrasome_id=number))
    session.undo()
    assert seen == [("auto", "do"), ("auto", "written"), ("rejected", "undo"), ("rejected", "written")]


def test_lines_say_what_who_and_when(session):
    number = longest(session)
    session.do(edits.SetLocation(migrasome_id=number, location="tip"))
    (line,) = [json.loads(text) for text in session.path.read_text().splitlines()]
    assert line["edit"] == {"op": "set_location", "migrasome_id": number, "location": "tip"}
    assert line["after"][0]["location"] == "tip"
    assert line["before"][0]["migrasome_id"] == number
    assert line["time"].endswith("+00:00")
    assert {"user", "version", "format", "results", "input_hash", "anchors"} <= set(line)
    assert line["anchors"][0]["kind"] == "migrasome"


def test_stored_results_are_never_changed(session, out):
    number = longest(session)
    session.do(edits.Reject(migrasome_id=number))
    session.undo()
    session.redo()
    assert is_complete(out / "dish", verify=True)


def test_two_reviewers(out):
    anna, ben = (ReviewSession.open(out, "dish", reviewer=name) for name in ("anna", "ben"))
    number = longest(anna)
    anna.do(edits.Reject(migrasome_id=number))
    assert ben.status(number) == "auto"
    ben.do(edits.SetLocation(migrasome_id=number, location="tip"))
    assert row_of(ben, number)["edit_source"].item() == "ben: set_location"
    assert ReviewSession.open(out, "dish", reviewer="Anna").status(number) == "rejected"
    assert ReviewSession.open(out, "dish").n_edits == 0


def test_names_of_movies(out):
    assert ReviewSession.open(out).movie_id == "dish"
    assert ReviewSession.open(out / "dish").movie_id == "dish"
    with pytest.raises(NoMoviesError, match="did you mean 'dish'"):
        ReviewSession.open(out, "dihs")


steps = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=5)


def some_edit(session, kind, k, frame):
    """An edit that may or may not apply."""
    numbers = sorted(set(session.tables["tracks"]["migrasome_id"].astype(int)) | {1})
    cells = sorted(set(session.tables["cells"]["cell_id"].astype(int)))
    fibers = sorted(set(session.tables["fibers"]["fiber_id"].astype(int)))
    number, other = numbers[k % len(numbers)], numbers[(k + 1 + frame) % len(numbers)]
    cell = cells[k % len(cells)]
    return [
        lambda: edits.Accept(migrasome_id=number),
        lambda: edits.Reject(migrasome_id=number, reason="debris"),
        lambda: edits.Add(frame=frame, y_um=1 + 0.7 * k, x_um=3 + 3.5 * frame, diameter_um=0.8 + 0.02 * k),
        lambda: edits.Move(migrasome_id=number, frame=frame, y_um=1 + 0.7 * k, x_um=3 + 3.5 * frame),
        lambda: edits.Resize(migrasome_id=number, diameter_um=0.5 + 0.05 * k),
        lambda: edits.Merge(migrasome_ids=(number, other)),
        lambda: edits.Split(migrasome_id=number, frame=frame),
        lambda: edits.SetEnd(migrasome_id=number, frame=frame),
        lambda: edits.PaintCells.from_patch(frame, 4 * k, 4 * k, np.full((9, 9), cell if k % 3 else 0)),
        lambda: edits.RelinkCells(cell_id=cell, other_id=cells[-1] if k % 2 else None, frame=frame),
        lambda: edits.JoinFibers(fiber_ids=(fibers[k % len(fibers)], fibers[frame])),
        lambda: edits.AssignFiber(fiber_id=fibers[k % len(fibers)], cell_id=cell),
    ][kind]()


@given(steps=steps)
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each try takes seconds
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_corrections_undone_are_none_and_a_restart_changes_nothing(fresh, tmp_path, steps):
    (tmp_path / "edits.jsonl").unlink(missing_ok=True)
    session = fresh()
    start = everything(session)
    states = [start]
    for step in steps:
        before = len(session.history)
        try:
            session.do(some_edit(session, *step))
        except EditError:
            assert len(session.history) == before
            continue
        states.append(everything(session))
        for name in MOVIE_TABLES:
            validate_table(name, session.tables[name])
    again = fresh()
    assert not again.orphans
    assert_same(everything(again), states[-1])
    for state in reversed(states[:-1]):
        assert again.undo() is not None
        assert_same(everything(again), state)
    assert not again.can_undo
    third = fresh()
    assert_same(everything(third), start)
    for state in states[1:]:
        assert third.redo() is not None
        assert_same(everything(third), state)
    assert not third.can_redo


def test_killed_in_the_middle_of_a_correction(out):
    """kill -9 between any two bytes: what was shown is there again, and the review goes on."""
    code = """
        import os, sys
        from migradetect.review import ReviewSession, edits
        from migradetect.review import _log
        session = ReviewSession.open(sys.argv[1], "dish")
        numbers = session.tables["tracks"]["migrasome_id"].astype(int).tolist()[:4]
        cut = int(sys.argv[2])
        def write(file, data, end):
            if len(session.history) == 2:
                file.write(data[:cut])
                os.kill(os.getpid(), 9)
            file.write(data)
            os.fsync(file.fileno())
        _log._write = write
        for number in numbers:
            session.do(edits.Reject(migrasome_id=number))
            print(number, flush=True)
    """
    for cut in (0, 1, 200):
        (out / "dish" / "edits.jsonl").unlink(missing_ok=True)
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(out), str(cut)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NUMBA_NUM_THREADS": "1"},
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        shown = [int(text) for text in ended.stdout.split()]
        assert len(shown) == 2
        session = ReviewSession.open(out, "dish")
        assert [edit.migrasome_id for edit in session.history] == shown
        assert len(session.notes) == (1 if cut else 0)
        left = longest(session)
        session.do(edits.Accept(migrasome_id=left))
        again = ReviewSession.open(out, "dish")
        assert [edit.migrasome_id for edit in again.history] == [*shown, left]


def test_times_are_those_of_the_plate(session):
    assert "time_offset_min" in session.tables["tracks"]
    assert session.base.offset_min == 30
    assert POINTS_IN_TIME
