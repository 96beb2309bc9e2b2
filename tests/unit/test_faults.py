"""Runs that are killed, run out of space, are stopped or repeated elsewhere; see also docs/promises.md."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_fakes
import pytest
from fault_driver import fingerprint, make_movies

from migradetect.io import is_complete

HERE = Path(__file__).parent
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "NUMBA")}
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX signals")


def drive(folder: Path, *options: str) -> list[str]:
    command = [sys.executable, str(HERE / "fault_driver.py"), str(folder), *options]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.endswith("all the same")]


@posix
def test_faults_at_some_file_operations(tmp_path: Path) -> None:
    lines = drive(tmp_path / "sweep", "--points", "3", "--kinds", "kill,full")
    assert len(lines) == 4
    assert all(" 3 of " in line for line in lines)


@posix
@pytest.mark.slow
def test_all_kinds_of_faults_at_many_operations(tmp_path: Path) -> None:
    lines = drive(tmp_path / "sweep", "--points", "60")
    assert len(lines) == 8


@posix
@pytest.mark.slow
def test_kill_sweep_with_the_real_analysis(tmp_path: Path) -> None:
    lines = drive(tmp_path / "sweep", "--points", "30", "--kinds", "kill", "--real")
    assert sum(int(line.split(": ")[1].split()[0]) for line in lines) >= 60


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "migradetect", "run", "movies", "--out", *options]


def real_run(folder: Path, *options: str, **environ: str) -> None:
    done = subprocess.run(
        command(*options), cwd=folder, env=os.environ | environ, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@posix
@pytest.mark.slow
def test_kills_at_any_time_with_two_workers(tmp_path: Path) -> None:
    make_movies(tmp_path / "movies")
    started = time.monotonic()
    real_run(tmp_path, "whole", "--workers", "2")
    whole = time.monotonic() - started
    expected = fingerprint(tmp_path / "whole")
    moments = random.Random(1)
    hit = 0
    for _ in range(12):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(
            command("out", "--workers", "2"), cwd=tmp_path, start_new_session=True, **quiet
        ) as process:
            time.sleep(moments.uniform(0.3, 1.0) * whole)
            process.kill()  # the parent alone: its workers must leave by themselves
            hit += process.wait() == -signal.SIGKILL
        real_run(tmp_path, "out", "--workers", "2")
        assert fingerprint(tmp_path / "out") == expected
        assert [path.name for path in (tmp_path / "out").glob(".*")] == [".migradetect.lock"]
    assert hit > 6, "test invalid: most runs were over before the kill"


def test_same_tables_wherever_and_however_it_runs(tmp_path: Path) -> None:
    make_movies(tmp_path / "movies")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "movies").iterdir()}
    real_run(tmp_path, "one", "--workers", "1", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C", OMP_NUM_THREADS="1")
    elsewhere = {"PYTHONHASHSEED": "2", "TZ": "Asia/Kolkata", "LC_ALL": "de_DE.ISO-8859-1", "LANG": "tr_TR"}
    real_run(tmp_path, "two", "--workers", "2", OMP_NUM_THREADS="3", OPENBLAS_NUM_THREADS="2", **elsewhere)
    one, two = fingerprint(tmp_path / "one"), fingerprint(tmp_path / "two")
    assert len(one) > 30, "test invalid: hardly any result"
    assert one == two
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "movies").iterdir()} == before


@posix
def test_a_signal_to_all_processes_stops_the_run(tmp_path: Path) -> None:
    batch_fakes.make_movies(tmp_path / "in", "a", "slow", "z")
    (tmp_path / "driver.py").write_text(
        "from functools import partial\nimport batch_fakes, migradetect.batch\n"
        "if __name__ == '__main__':\n"
        "    migradetect.batch.run_batch = partial(migradetect.batch.run_batch, analyze=batch_fakes.analyze)\n"
        "    from migradetect.cli import main\n    main()\n"
    )
    environ = os.environ | {"PYTHONPATH": str(HERE)}
    run = [sys.executable, "driver.py", "run", "in", "--out", "out", "--workers", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(run, cwd=tmp_path, env=environ, **pipes) as process:
        err = ""
        while "slow: started" not in err:
            line = process.stderr.readline()
            assert line, err
            err += line
        sent = time.monotonic()
        os.killpg(process.pid, signal.SIGTERM)
        out, rest = process.communicate(timeout=60)
    assert process.returncode == 143, err + rest
    assert time.monotonic() - sent < 10
    assert "Traceback" not in err + rest + out
    assert is_complete(tmp_path / "out" / "a", verify=True)
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [".migradetect.lock"]


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_other_time_is_one_line(tmp_path: Path, number: int, code: int) -> None:
    # a shell starts background jobs with SIGINT ignored, which children inherit
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    start += "from migradetect.cli import main\nprint('up', flush=True)\nmain()"
    run = [sys.executable, "-c", start, "simulate", "typical", "--out", "sim", "--n", "9"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(run, cwd=tmp_path, **pipes) as process:
        assert process.stdout.readline() == "up\n"
        time.sleep(0.4)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert err.strip() == "error: interrupted"
