import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import batch_fakes
import numpy as np
import pandas as pd
import pytest

from migradetect.batch import OutputLock, auto_workers, run_batch
from migradetect.errors import NoMoviesError, OutputError
from migradetect.io import find_movies, is_complete
from migradetect.params import load_params
from migradetect.tables import validate_table

PARAMS = load_params(environ={})


@pytest.fixture
def run(tmp_path):
    def run(*names, movies="in", out="out", params=PARAMS, analyze=batch_fakes.analyze, **options):
        folder = tmp_path / movies
        if names:
            batch_fakes.make_movies(folder, *names)
        return run_batch(find_movies([folder]), tmp_path / out, params, analyze=analyze, **{"workers": 0, **options})

    return run


def by_id(summary):
    return {outcome.movie_id: outcome for outcome in summary.outcomes}


def test_results_table_and_record_are_on_disk(run, tmp_path):
    summary = run("a", "b")
    assert [o.status for o in summary.outcomes] == ["done", "done"]
    assert summary.movies["n_cells"].tolist() == [2, 2]
    assert summary.movies["n_migrasomes"].tolist() == [0, 0]
    assert summary.movies["qc_flags"].tolist() == ["dim", "dim"]
    validate_table("movies", summary.movies)
    assert is_complete(tmp_path / "out" / "a", verify=True)
    stored = pd.read_parquet(tmp_path / "out" / "movies.parquet")
    assert stored["movie_id"].tolist() == ["a", "b"]
    assert len(pd.read_csv(tmp_path / "out" / "movies.csv")) == 2
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["parameters"]["spots"]["min_snr"] == PARAMS.spots.min_snr
    assert record["movies"]["a"]["input_hash"] == by_id(summary)["a"].input_hash
    provenance = json.loads((tmp_path / "out" / "a" / "movie.json").read_text())
    assert provenance["calibration"]["pixel_size_um"] == 0.1
    assert provenance["versions"]["python"]


def test_a_failed_movie_is_one_line_and_the_others_complete(run, tmp_path):
    summary = run("a", "bug", "memory", "unreadable", "z")
    outcomes = by_id(summary)
    assert {name for name, o in outcomes.items() if o.status == "done"} == {"a", "z"}
    assert outcomes["unreadable"].error == "unreadable: expected pixels, got none; record it again"
    assert outcomes["bug"].error.startswith("unexpected ZeroDivisionError: division by zero")
    assert "memory" in outcomes["memory"].error
    assert all("\n" not in o.error for o in outcomes.values() if o.error)
    log = (tmp_path / "out" / "migradetect.log").read_text()
    assert "Traceback" in log
    assert "division by zero" in log
    assert not (tmp_path / "out" / "bug").exists()
    failed = summary.movies.set_index("movie_id").loc["bug"]
    assert failed["status"] == "failed"
    assert pd.isna(failed["n_migrasomes"]), "unknown is null, not 0"
    assert pd.isna(summary.movies.set_index("movie_id").loc["a", "error"])


def test_complete_results_are_kept(run, tmp_path):
    run("a", "b")
    before = (tmp_path / "out" / "a" / "movie.json").stat().st_mtime_ns
    again = run()
    assert all(o.resumed and o.status == "done" for o in again.outcomes)
    assert again.movies["n_cells"].tolist() == [2, 2]
    assert (tmp_path / "out" / "a" / "movie.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["parameters", "input", "damage", "force", "format"])
def test_what_changed_is_analysed_again(run, tmp_path, change):
    run("a")
    assert run().outcomes[0].resumed, "test invalid: nothing is kept even without a change"
    options = {}
    if change == "parameters":
        options["params"] = load_params("strict", environ={})
    elif change == "input":
        batch_fakes.make_movies(tmp_path / "in", "b", "a")  # other seed, other pixels
        (tmp_path / "in" / "b.ome.tif").unlink()
    elif change == "damage":
        (tmp_path / "out" / "a" / "tracks.csv").write_text("")
    elif change == "force":
        options["force"] = True
    else:
        options["table_format"] = "parquet"
    again = run(**options)
    assert again.outcomes[0].status == "done"
    assert not again.outcomes[0].resumed
    assert is_complete(tmp_path / "out" / "a", verify=True)


def test_results_of_another_file_are_not_replaced(run, tmp_path):
    run("a")
    batch_fakes.make_movies(tmp_path / "other", "b", "a")
    (tmp_path / "other" / "b.ome.tif").unlink()
    summary = run(movies="other")
    assert summary.outcomes[0].status == "failed"
    assert "--force" in summary.outcomes[0].error
    assert run(movies="other", force=True).outcomes[0].status == "done"


def test_corrections_are_not_lost(run, tmp_path):
    run("a")
    log = tmp_path / "out" / "a" / "edits.jsonl"
    log.write_text("{}\n")
    kept = run()
    assert kept.outcomes[0].resumed
    assert kept.movies["n_edits"].tolist() == [0]
    again = run(params=load_params("strict", environ={})).outcomes[0]
    assert (again.status, again.resumed) == ("done", False)
    assert log.read_text() == "{}\n"
    assert run(force=True).outcomes[0].status == "done"
    assert log.read_text() == "{}\n"


def test_earlier_movies_of_the_folder_stay_in_the_table(run, tmp_path):
    run("a")
    batch_fakes.make_movies(tmp_path / "more", "b")
    assert run(movies="more").movies["movie_id"].tolist() == ["a", "b"]


def test_pool_gives_the_same_and_limits_threads(run, tmp_path):
    events = []
    summary = run("a", "b", "bug", "threads", workers=2, progress=events.append)
    assert [o.status for o in summary.outcomes] == ["done", "done", "failed", "done"]
    assert {e.movie_id for e in events if e.kind == "start"} == {"a", "b", "bug", "threads"}
    assert [e.movie_id for e in events if e.kind == "end"].count("a") == 1
    assert "threads 1 1" in (tmp_path / "out" / "migradetect.log").read_text()
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_that_dies_fails_only_its_movie(run):
    summary = run("a", "b", "killed", "z", workers=2)
    outcomes = by_id(summary)
    assert {name for name, o in outcomes.items() if o.status == "done"} == {"a", "b", "z"}
    assert "memory" in outcomes["killed"].error


@pytest.mark.parametrize("name", ["slow", "deaf"])
def test_cancel_ends_within_seconds(run, tmp_path, name):
    begun = []
    started = time.monotonic()
    summary = run(
        "a", name, "zlater", workers=1, progress=lambda e: begun.append(e.movie_id), cancel=lambda: name in begun
    )
    assert time.monotonic() - started < 30
    outcomes = by_id(summary)
    assert summary.interrupted
    assert outcomes["a"].status == "done"
    assert outcomes[name].status == outcomes["zlater"].status == "skipped"
    assert not multiprocessing.active_children()
    assert not is_complete(tmp_path / "out" / name)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "interrupted"


def test_executor_of_the_caller_is_used(run):
    with ThreadPoolExecutor(2) as executor:
        summary = run("a", "bug", executor=executor)
    assert [o.status for o in summary.outcomes] == ["done", "failed"]


def test_second_run_into_the_folder_is_refused(run, tmp_path):
    (tmp_path / "out").mkdir()
    with OutputLock(tmp_path / "out"):
        assert OutputLock.is_held(tmp_path / "out")
        with pytest.raises(OutputError, match="another run"):
            run("a")
    assert not OutputLock.is_held(tmp_path / "out")
    assert run().outcomes[0].status == "done"


def test_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from migradetect.batch import OutputLock\n"
        "with OutputLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=str(process.pid)), OutputLock(tmp_path):
            pass
        process.kill()
        process.wait()
    with OutputLock(tmp_path):
        pass


def test_remains_of_a_killed_run_are_removed(run, tmp_path):
    left = tmp_path / "out" / ".a.xyz.part"
    left.mkdir(parents=True)
    (left / "tracks.csv").write_text("half")
    run("a")
    assert not left.exists()


def test_no_movies_and_no_place_are_errors(tmp_path):
    with pytest.raises(NoMoviesError):
        run_batch([], tmp_path / "out", PARAMS)
    batch_fakes.make_movies(tmp_path / "in", "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--out"):
        run_batch(find_movies([tmp_path / "in"]), tmp_path / "file" / "out", PARAMS)


def test_auto_workers():
    assert auto_workers(1) == 1
    assert 1 <= auto_workers(1000) <= (os.cpu_count() or 1)


def test_movies_are_left_as_they_were(run, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    before = {p: p.read_bytes() for p in Path(tmp_path / "in").iterdir()}
    run()
    assert {p: p.read_bytes() for p in Path(tmp_path / "in").iterdir()} == before


def test_a_flipped_bit_is_noticed_and_the_movie_redone(run, tmp_path):
    run("a")
    path = tmp_path / "out" / "a" / "frames.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = run().outcomes[0]
    assert again.status == "done"
    assert not again.resumed
    assert is_complete(tmp_path / "out" / "a", verify=True)


def test_a_manifest_that_lists_nothing_is_not_complete(run, tmp_path):
    run("a")
    (tmp_path / "out" / "a" / "manifest.json").write_text('{"format": 1, "files": {}}')
    assert not is_complete(tmp_path / "out" / "a")
    assert not run().outcomes[0].resumed


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_others_is_never_replaced(run, tmp_path, force):
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "thesis.docx").write_text("years of work")
    outcome = run("a", force=force).outcomes[0]
    assert outcome.status == "failed"
    assert "thesis.docx" in outcome.error
    assert (tmp_path / "out" / "a" / "thesis.docx").read_text() == "years of work"


def test_results_into_the_folder_of_the_input_leave_it_alone(tmp_path):
    from migradetect import Calibration
    from migradetect.io import InputOptions, write_movie

    data = np.random.default_rng(0).integers(90, 110, (3, 1, 16, 16), dtype=np.uint16)
    write_movie(tmp_path / "in" / "seq", data, "TCYX", Calibration(0.1, 60.0), ["tspan4"], "sequence")
    entries = find_movies([tmp_path / "in"], InputOptions(pixel_size_um=0.1, frame_interval_s=60.0))
    before = {path: path.read_bytes() for path in (tmp_path / "in").rglob("*.tif")}
    assert entries[0].movie_id == "seq", "test invalid: results go elsewhere"
    summary = run_batch(entries, tmp_path / "in", PARAMS, workers=0, analyze=batch_fakes.analyze)
    assert summary.outcomes[0].status == "failed"
    assert {path: path.read_bytes() for path in (tmp_path / "in").rglob("*.tif")} == before


@pytest.mark.parametrize("name", ["movies.csv", "run.json"])
def test_tables_of_others_are_never_replaced(run, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("title,director\n")
    with pytest.raises(OutputError, match=f"{name} of something else"):
        run("a")
    assert (tmp_path / "out" / name).read_text() == "title,director\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_notes_beside_results_outlive_a_new_run(run, tmp_path):
    run("a")
    (tmp_path / "out" / "a" / "figures").mkdir()
    (tmp_path / "out" / "a" / "figures" / "fig1.svg").write_text("<svg/>")
    run(force=True)
    assert (tmp_path / "out" / "a" / "figures" / "fig1.svg").read_text() == "<svg/>"
    assert is_complete(tmp_path / "out" / "a", verify=True)


def test_results_that_stepped_aside_come_back(run, tmp_path):
    run("a")
    aside = tmp_path / "out" / ".a.xyz.old"
    aside.mkdir()
    (tmp_path / "out" / "a").rename(aside / "old")  # killed between the two renames of a replacement
    assert run().outcomes[0].resumed
    assert not aside.exists()


def test_an_output_that_vanishes_fails_the_movie_and_is_not_made_anew(run, tmp_path):
    import shutil

    def vanish(movie, params, **options):
        shutil.rmtree(tmp_path / "out")
        return batch_fakes.analyze(movie, params, **options)

    summary = run("a", "b", analyze=vanish_once(vanish))
    assert [outcome.status for outcome in summary.outcomes] == ["failed", "failed"]
    assert all(str(tmp_path / "out") in outcome.error for outcome in summary.outcomes)
    assert summary.problem is not None
    assert not (tmp_path / "out").exists()


def vanish_once(first):
    calls = []

    def analyze(movie, params, **options):
        calls.append(movie)
        return (first if len(calls) == 1 else batch_fakes.analyze)(movie, params, **options)

    return analyze


def test_a_file_that_grows_while_it_is_analysed_is_no_result(run, tmp_path):
    def record_on(movie, params, **options):
        with (tmp_path / "in" / "a.ome.tif").open("ab") as file:
            file.write(b"more")
        return batch_fakes.analyze(movie, params, **options)

    outcome = run("a", analyze=record_on).outcomes[0]
    assert outcome.status == "failed"
    assert "change while" in outcome.error


def test_a_record_that_can_not_be_written_does_not_stop_the_movies(run, tmp_path, monkeypatch):
    from migradetect.batch import _record

    real, calls = _record.atomic_write_json, []

    def full(path, value):
        calls.append(path)
        if len(calls) > 1:
            raise OutputError(f"{path}: expected a place that can be written, got No space left on device")
        real(path, value)

    monkeypatch.setattr(_record, "atomic_write_json", full)
    summary = run("a", "b")
    assert [outcome.status for outcome in summary.outcomes] == ["done", "done"]
    assert "No space left" in summary.problem
    monkeypatch.undo()
    assert all(outcome.resumed for outcome in run().outcomes)


def test_a_damaged_record_is_made_again_from_the_folders(run, tmp_path):
    run("a")
    (tmp_path / "out" / "run.json").write_text('{"movies": {"a"')
    batch_fakes.make_movies(tmp_path / "more", "b")
    movies = run(movies="more").movies
    assert movies["movie_id"].tolist() == ["a", "b"]
    assert movies["status"].tolist() == ["done", "done"]
    assert movies["n_cells"].tolist() == [2, 2]


def test_movies_to_come_stand_in_the_table(run, tmp_path):
    seen = []

    def look(movie, params, **options):
        seen.append(pd.read_parquet(tmp_path / "out" / "movies.parquet").set_index("movie_id")["status"].to_dict())
        return batch_fakes.analyze(movie, params, **options)

    run("a", "b", analyze=look)
    assert seen == [{"a": "skipped", "b": "skipped"}, {"a": "done", "b": "skipped"}]


def test_a_table_of_the_other_format_does_not_stay_behind(run, tmp_path):
    run("a")
    run(table_format="parquet")
    assert not (tmp_path / "out" / "movies.csv").exists()


def test_other_options_of_the_input_are_another_analysis(run, tmp_path):
    from migradetect.io import InputOptions

    run("a")
    entries = find_movies([tmp_path / "in"], InputOptions(pixel_size_um=0.2))
    again = run_batch(entries, tmp_path / "out", PARAMS, workers=0, analyze=batch_fakes.analyze)
    assert not again.outcomes[0].resumed
    assert again.movies["pixel_size_um"].tolist() == [0.2]


def test_hostile_names_reach_no_table_and_no_log_line(run, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows refuses such names")
    batch_fakes.make_movies(tmp_path / "in", "a")
    evil = os.fsencode(tmp_path / "in") + b"/=1+1\x1b[2J\n[red]x\xff.ome.tif"
    os.rename(os.fsencode(tmp_path / "in" / "a.ome.tif"), evil)
    summary = run()
    assert summary.outcomes[0].status == "done", summary.outcomes[0].error
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and path.suffix in (".csv", ".json", ".log"):
            text = path.read_text(encoding="utf-8")
            assert "\x1b" not in text, path
            assert "\n[red]" not in text, path
    assert run().outcomes[0].resumed
