"""Shards, merge, the SLURM script, workers and the time that is left, from the command line."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import batch_fakes
import pytest

import migradetect.batch
from migradetect.batch import Event, Outcome, _resources, auto_workers, available_cores, peak_bytes, plan_workers
from migradetect.cli import main
from migradetect.cli._progress import Remaining, progress_display
from migradetect.io import find_movies

BASH = shutil.which("bash")


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def cli(*arguments):
        monkeypatch.setattr(sys, "argv", ["migradetect", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    return cli


@pytest.fixture
def fake(monkeypatch):
    run_batch = migradetect.batch.run_batch
    monkeypatch.setattr(
        migradetect.batch,
        "run_batch",
        lambda *args, **options: run_batch(*args, **{**options, "workers": 0, "analyze": batch_fakes.analyze}),
    )


def test_shards_and_merge(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "b", "bug")
    listed = [cli("run", "in", "--out", "out", "--shard", f"{k}/2", "--dry-run")[1] for k in (1, 2)]
    assert sum(text.count(" found, ") for text in listed) == 2
    assert {"1 movie", "2 movies"} == {text.splitlines()[-1].split(" found")[0] for text in listed}
    codes = [cli("run", "in", "--out", "out", "--shard", f"{k}/2")[0] for k in (1, 2)]
    assert sorted(codes)[0] in (0, 1)
    code, out, _ = cli("status", "out")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines() if "/2" in line] == [["1/2", "finished"], ["2/2", "finished"]]
    assert "migradetect merge out" in out
    code, out, _ = cli("merge", "out")
    assert code == 1, "as a run with one failed movie"
    assert "2 done, 1 failed. Results: out" in out
    assert cli("status", "out")[0] == 1
    code, out, _ = cli("merge", "out", "--cells")
    assert "2 done (2 kept from an earlier run), 1 failed" in out
    assert "per 100 um fiber" in out


def test_merge_errors_are_one_line(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "b")
    (tmp_path / "out").mkdir()
    code, _, err = cli("merge", "out")
    assert code == 3
    assert len(err.strip().splitlines()) == 1
    cli("run", "in", "--out", "out", "--shard", "1/2")
    code, _, err = cli("merge", "out")
    assert code == 2
    assert "none for 2" in err
    code, _, err = cli("run", "in", "--out", "out", "--shard", "3/2")
    assert code == 2
    assert "--shard 3/40" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--executor", "dask"], "--scheduler"),
        (["--scheduler", "tcp://x:1"], "--executor dask"),
        (["--executor", "dask", "--scheduler", "tcp://x:1", "--workers", "3"], "--workers"),
    ],
)
def test_executor_options_that_contradict(cli, tmp_path, arguments, words):
    batch_fakes.make_movies(tmp_path / "in", "a")
    code, _, err = cli("run", "in", "--out", "out", *arguments)
    assert code == 2
    assert words in err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def slurm(cli, tmp_path):
    """The printed script of three movies, with a name that a shell would trip over."""
    folder = tmp_path / "my 'screen' $HOME"
    batch_fakes.make_movies(folder, "a", "b", "c")

    def make(*arguments):
        code, out, err = cli("slurm-script", folder.name, "--out", "my out", "--shards", "2", *arguments)
        assert code == 0, err
        path = tmp_path / "job.sh"
        path.write_text(out)
        return path, err

    return make


@pytest.mark.skipif(BASH is None, reason="no bash")
def test_slurm_script_runs_shards_and_merges(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("MIGRADETECT_SPOTS__MIN_SNR", "5.25")
    path, said = slurm("--cpus", "1", "--partition", "short", "--setup", "export SITE='a b'", "--sbatch=--qos=x y")
    assert "3 movies: 2 shards" in said
    assert subprocess.run([BASH, "-n", str(path)], capture_output=True, text=True).stderr == ""
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-S", "warning", str(path)], check=True)
    environ = with_commands(tmp_path)
    del environ["MIGRADETECT_SPOTS__MIN_SNR"]  # sites that hand on no environment
    for task in ("1", "2"):
        done = subprocess.run(
            [BASH, str(path)], env=environ | {"SLURM_ARRAY_TASK_ID": task}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    done = subprocess.run([BASH, str(path), "merge"], env=environ, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "3 done. Results: " in done.stdout
    assert '"min_snr": 5.25' in (tmp_path / "my out" / "run.json").read_text()


@pytest.mark.skipif(BASH is None, reason="no bash")
def test_slurm_script_submits_the_array_and_the_merge_after_it(slurm, tmp_path):
    path, _ = slurm("--partition", "short", "--account", "lab", "--sbatch=--qos=x y")
    environ = with_commands(tmp_path)
    done = subprocess.run([BASH, str(path)], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "shards 77, merge 77" in done.stdout
    array, merge = (tmp_path / "sbatch.log").read_text().splitlines()
    assert "--array=1-2" in array
    assert "[--qos=x y]" in array
    assert "[--partition=short] [--account=lab]" in merge
    assert array.endswith("[shard]")
    assert "--dependency=afterany:77" in merge
    assert merge.endswith("[merge]")
    assert (tmp_path / "my out" / "slurm").is_dir()
    assert subprocess.run([BASH, str(path), "nonsense"], env=environ, capture_output=True).returncode == 2
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    assert subprocess.run([BASH, str(path)], env=environ, capture_output=True).returncode == 1


@pytest.mark.skipif(BASH is None, reason="no bash")
def test_a_setup_that_fails_stops_the_job(slurm, tmp_path):
    path, _ = slurm("--setup", "false", "--setup", "true")
    environ = with_commands(tmp_path) | {"SLURM_ARRAY_TASK_ID": "1"}
    assert subprocess.run([BASH, str(path)], env=environ, capture_output=True).returncode != 0
    assert not (tmp_path / "my out").exists()


def with_commands(tmp_path: Path) -> dict[str, str]:
    """Environment with a stand-in for sbatch, and a migradetect that uses the stand-in for the analysis."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "sbatch.log"
    scripts = {
        "sbatch": f"#!{BASH}\nprintf '[%s] ' \"$@\" | sed 's/ $//' >> '{log}'; echo >> '{log}'; echo '77;cluster'\n",
        "migradetect": f"#!{BASH}\nexec {sys.executable} '{tmp_path}/driver.py' \"$@\"\n",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755 | stat.S_IXUSR)
    (tmp_path / "driver.py").write_text(
        "from functools import partial\nimport batch_fakes, migradetect.batch\n"
        "if __name__ == '__main__':\n"
        "    run = partial(migradetect.batch.run_batch, analyze=batch_fakes.analyze)\n"
        "    migradetect.batch.run_batch = run\n"
        "    from migradetect.cli import main\n    main()\n"
    )
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environ = os.environ | {"PATH": path, "PYTHONPATH": str(Path(batch_fakes.__file__).parent)}
    return {name: value for name, value in environ.items() if not name.startswith("SLURM_")}


def test_slurm_script_errors(cli, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    assert cli("slurm-script", "in", "--out", "out", "--shards", "0")[0] == 2
    assert cli("slurm-script", "absent", "--out", "out")[0] == 3
    assert cli("slurm-script", "in", "--out", "out", "--preset", "nope")[0] == 2


def test_auto_workers_by_memory(monkeypatch):
    monkeypatch.setattr(_resources, "available_cores", lambda: 8)
    monkeypatch.setattr(_resources, "available_bytes", lambda: 10_000)
    assert auto_workers(100) == 8
    assert auto_workers(100, peak=3_000) == 3
    assert auto_workers(2, peak=3_000) == 2
    assert auto_workers(100, peak=50_000) == 1
    monkeypatch.setattr(_resources, "available_bytes", lambda: None)
    assert auto_workers(100, peak=3_000) == 8


def test_long_movies_need_more_memory():
    # 0.94 and 1.6 GB as measured
    assert peak_bytes(2048, 2048, 200) == peak_bytes(2048, 2048, 1) > 0.94e9
    assert 1.6e9 < peak_bytes(2048, 2048, 500) < 2e9


def test_plan_tells_why_not_more(monkeypatch, tmp_path):
    monkeypatch.setattr(_resources, "available_cores", lambda: 8)
    batch_fakes.make_movies(tmp_path / "in", "a", "b", "c")
    (tmp_path / "in" / "bad.tif").write_bytes(b"no tiff")
    entries = find_movies([tmp_path / "in"])
    peak = peak_bytes(16, 16)
    monkeypatch.setattr(_resources, "available_bytes", lambda: 2 * peak + 1)
    plan = plan_workers(entries)
    assert plan.workers == 2
    assert plan.cores_used == 2
    assert plan.note.startswith("2 of 8 cores used")
    monkeypatch.setattr(_resources, "available_bytes", lambda: peak // 2)
    assert plan_workers(entries).workers == 1
    assert "close other programs" in plan_workers(entries).note
    monkeypatch.setattr(_resources, "available_bytes", lambda: 100 * peak)
    assert plan_workers(entries).note is None
    # four movies, so the other cores share their frames
    assert (plan_workers(entries).workers, plan_workers(entries).cores_used) == (4, 8)


def test_limits_of_containers_and_jobs(monkeypatch, tmp_path):
    own, root = tmp_path / "cgroup", tmp_path / "sys"
    monkeypatch.setattr(_resources, "_OWN_CGROUP", own)
    monkeypatch.setattr(_resources, "_CGROUPS", root)
    inner = root / "job" / "step"
    inner.mkdir(parents=True)
    own.write_text("0::/job/step\n")
    files = {
        "memory.max": "max\n",
        "memory.current": "5\n",
        "memory.stat": "inactive_file 1\n",
        "cpu.max": "max 100000\n",
    }
    for name, text in files.items():
        (inner / name).write_text(text)
    assert _resources.available_bytes() > 1_000_000
    assert available_cores() >= 1
    files |= {"memory.max": "900000\n", "memory.current": "500000\n", "memory.stat": "inactive_file 100000\nx 1\n"}
    for name, text in (files | {"cpu.max": "100000 100000\n"}).items():
        (inner.parent / name).write_text(text)
    assert _resources.available_bytes() == 500_000, "the group above limits those below"
    assert available_cores() == 1
    # version 1
    own.write_text("4:memory:/job\n1:cpu,cpuacct:/\n")
    old = root / "memory" / "job"
    old.mkdir(parents=True)
    for name, text in {
        "memory.limit_in_bytes": "70000",
        "memory.usage_in_bytes": "60000",
        "memory.stat": "total_inactive_file 20000",
    }.items():
        (old / name).write_text(text)
    assert _resources.available_bytes() == 30_000
    own.unlink()
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")
    assert _resources.available_bytes() == 2**20


def test_time_left():
    now = [0.0]
    remaining = Remaining(4, lambda: now[0])
    assert remaining.seconds() is None
    remaining.add(Event("a", "start"))
    now[0] = 10.0
    remaining.add(Event("a", "end", outcome=Outcome("a", "done", resumed=True)))
    assert remaining.seconds() is None, "what was kept tells nothing about the pace"
    remaining.add(Event("b", "step", "detect", 5, 10))
    assert remaining.done == pytest.approx(1 + 0.04 + 0.39)
    remaining.add(Event("b", "end", outcome=Outcome("b", "done")))
    assert remaining.done == 2
    assert remaining.seconds() == pytest.approx(20.0)
    assert remaining.text() == "20 s left"
    now[0] = 3600.0
    assert remaining.text() == "2.0 h left"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_shows_movies_and_the_time_left(monkeypatch, capsys, is_terminal):
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr("migradetect.cli._progress.Remaining", lambda n: Remaining(n, lambda: float(next(clock))))
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    with progress_display(2) as report:
        report(Event("a", "start"))
        report(Event("a", "step", "detect", 3, 10))
        report(Event("a", "end", outcome=Outcome("a", "done", row={"n_migrasomes": 1, "n_cells": 2}, seconds=60.0)))
        report(Event("b", "start"))
        report(Event("b", "end", outcome=Outcome("b", "done", row={"n_migrasomes": 1, "n_cells": 2}, seconds=60.0)))
    err = capsys.readouterr().err
    assert "[1/2] a:" in err
    assert "1 migrasome, 2 cells (60.0 s)" in err
    if not is_terminal:
        assert "s left" in err.splitlines()[1]
        assert "left" not in err.splitlines()[-1]


def test_workers_of_a_pool_take_one_thread_each(tmp_path):
    from migradetect.batch import run_batch
    from migradetect.params import load_params

    entries = find_movies([batch_fakes.make_movies(tmp_path / "in", "report_threads")])
    run_batch(entries, tmp_path / "out", load_params(environ={}), workers=1, analyze=batch_fakes.analyze)
    assert (tmp_path / "in" / "report_threads.txt").read_text() == "1 1 1"
