"""A real dask scheduler with two worker processes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_fakes
import pandas as pd
import pytest

from migradetect.batch import _dask, dask_executor, run_batch
from migradetect.errors import ParamsError
from migradetect.io import find_movies
from migradetect.params import load_params

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
    # distributed leaves sockets of a lost worker to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

PARAMS = load_params(environ={})
SRC = Path(batch_fakes.__file__).parent


class Cluster:
    """Scheduler and workers as processes, as a user would start them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
        self.workers = [self.add_worker(k) for k in range(2)]

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self.file), *arguments]
        environ = os.environ | {
            "PYTHONPATH": str(SRC),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "60s",
        }
        log = (self.folder / f"{kind}{len(self.processes)}.log").open("w")
        process = subprocess.Popen(command, cwd=self.folder, env=environ, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def add_worker(self, number: int) -> subprocess.Popen:
        where = self.folder / f"w{number}"
        return self._start(
            "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--local-directory",
            str(where), "--name", f"w{number}",
        )  # fmt: skip

    def wait(self) -> None:
        deadline = time.monotonic() + 90
        while not self.file.exists():
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.1)
        with distributed.Client(scheduler_file=str(self.file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=90)

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    running = Cluster(folder)
    try:
        running.wait()
        yield running
    finally:
        running.close()


def tables(out: Path) -> dict[str, bytes]:
    files = [path for path in sorted(out.rglob("*")) if path.suffix in (".parquet", ".csv", ".tif")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_movies_on_a_cluster_survive_the_death_of_a_worker(cluster, tmp_path, monkeypatch):
    batch_fakes.make_movies(tmp_path / "in", "a", "b", "bug", "second_c", "z")
    # relative paths: workers have another working folder
    monkeypatch.chdir(tmp_path)
    entries = find_movies(["in"])
    events = []

    def watch(event):
        events.append(event)
        # the worker that has this movie is killed while it is at it
        if event.movie_id == "second_c" and event.kind == "start" and not killed:
            pid = int((tmp_path / "in" / "second_c.pid").read_text())
            assert pid in [worker.pid for worker in cluster.workers], "test invalid: not a worker of the cluster"
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    killed: list[int] = []
    with dask_executor(str(cluster.file)) as (executor, notes):
        summary = run_batch(
            entries, tmp_path / "out", PARAMS, executor=executor, analyze=batch_fakes.analyze, progress=watch
        )
    assert not notes
    assert killed
    assert (tmp_path / "in" / "second_c.pid").read_text() != str(killed[0]), "it was run again elsewhere"
    local = run_batch(entries, tmp_path / "local", PARAMS, workers=0, analyze=batch_fakes.analyze)
    assert [(o.movie_id, o.status) for o in summary.outcomes] == [(o.movie_id, o.status) for o in local.outcomes]
    assert tables(tmp_path / "out") == tables(tmp_path / "local")
    assert len(tables(tmp_path / "out")) > 30, "test invalid: hardly any result"
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [".migradetect.lock"]


def test_threads_are_limited_in_the_workers(cluster, tmp_path):
    entries = find_movies([batch_fakes.make_movies(tmp_path / "in", "report_threads")])
    with dask_executor(str(cluster.file)) as (executor, _):
        run_batch(entries, tmp_path / "out", PARAMS, executor=executor, analyze=batch_fakes.analyze)
    assert (tmp_path / "in" / "report_threads.txt").read_text() == "1 1 1"


def test_ctrl_c_stops_movies_on_the_cluster(cluster, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "slow1", "slow2", "z")
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [
        sys.executable, str(tmp_path / "driver.py"), "run", "in", "--out", "out", "--executor", "dask", "--scheduler",
        str(cluster.file),
    ]  # fmt: skip
    environ = os.environ | {"PYTHONPATH": str(SRC)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, **pipes) as process:
        err = ""
        while not ("slow1: started" in err and "slow2: started" in err):
            line = process.stderr.readline()
            assert line, err
            err += line
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, err + rest
    # long before the movies would have ended, which take a minute
    assert time.monotonic() - sent < 45
    assert "Traceback" not in err + rest + out
    movies = pd.read_parquet(tmp_path / "out" / "movies.parquet").set_index("movie_id")["status"]
    assert movies["slow1"] == movies["slow2"] == "skipped"
    # the workers notice, and are free for the next run
    with dask_executor(str(cluster.file)) as (executor, _):
        entries = [entry for entry in find_movies([tmp_path / "in"]) if entry.movie_id in ("a", "z")]
        started = time.monotonic()
        again = run_batch(entries, tmp_path / "out", PARAMS, executor=executor, analyze=batch_fakes.analyze)
    assert [outcome.status for outcome in again.outcomes] == ["done", "done"]
    assert time.monotonic() - started < 45
    assert not (tmp_path / "out" / "slow1").exists()


def test_errors_of_the_event_loop_go_to_the_log_and_not_to_the_console(cluster, tmp_path, capfd):
    def fail():
        try:
            raise OSError("connection cut")
        except OSError:
            logging.getLogger("tornado.application").exception("Exception in callback")

    entries = find_movies([batch_fakes.make_movies(tmp_path / "in", "a")])
    with dask_executor(str(cluster.file)) as (executor, _):
        options = {"executor": executor, "analyze": batch_fakes.analyze}
        run_batch(entries, tmp_path / "out", PARAMS, progress=lambda event: fail(), **options)
    fail()
    said = capfd.readouterr()
    assert "Exception in callback" not in said.out + said.err
    log = (tmp_path / "out" / "migradetect.log").read_text()
    assert "OSError: connection cut" in log


def test_a_scheduler_that_goes_is_told(cluster, tmp_path):
    entries = find_movies([batch_fakes.make_movies(tmp_path / "in", "deaf")])

    def end_it(event):
        if event.kind == "start":
            cluster.close()

    with dask_executor(str(cluster.file)) as (executor, _):
        summary = run_batch(
            entries, tmp_path / "out", PARAMS, executor=executor, analyze=batch_fakes.analyze, progress=end_it
        )
    assert summary.outcomes[0].status == "failed"
    # the worker goes with its scheduler, and on a busy machine that may be noticed first
    error = summary.outcomes[0].error
    assert "cluster" in error or "worker process died" in error


DRIVER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from functools import partial

import batch_fakes
import migradetect.batch

migradetect.batch.run_batch = partial(migradetect.batch.run_batch, analyze=batch_fakes.analyze)
from migradetect.cli import main

main()
"""


def test_no_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr(_dask, "_ANSWER_S", 1)
    with (
        pytest.raises(ParamsError, match=r"expected a dask scheduler at tcp://127\.0\.0\.1:9, got no answer"),
        dask_executor("tcp://127.0.0.1:9"),
    ):
        pass


def test_no_dask_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ParamsError, match=r'pip install "migradetect\[dask\]"'), dask_executor("tcp://x:1"):
        pass
