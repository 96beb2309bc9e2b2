import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import batch_fakes
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
    (tmp_path / "out" / "a" / "edits.jsonl").write_text("{}\n")
    assert run().outcomes[0].resumed
    refused = run(params=load_params("strict", environ={})).outcomes[0]
    assert refused.status == "failed"
    assert "corrections" in refused.error


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
