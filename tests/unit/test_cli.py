import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import batch_fakes
import numpy as np
import pandas as pd
import pytest

import migradetect.batch
from migradetect.cli import main
from migradetect.io import write_movie
from migradetect.params import load_params, to_toml

COMMANDS = (
    "init",
    "scan",
    "preview",
    "run",
    "status",
    "merge",
    "slurm-script",
    "review",
    "report",
    "stats",
    "simulate",
    "evaluate",
    "info",
)


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Call the command line as a shell would: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MIGRADETECT_")]:
        monkeypatch.delenv(name)

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
    """Runs use the stand-in for the pipeline, in this process."""
    run_batch = migradetect.batch.run_batch
    monkeypatch.setattr(
        migradetect.batch,
        "run_batch",
        lambda *args, **options: run_batch(*args, **{**options, "workers": 0, "analyze": batch_fakes.analyze}),
    )


def error_line(err):
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(cli, command):
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert f"Example: migradetect {command}" in " ".join(out.split())


def test_help_and_version(cli):
    code, out, _ = cli("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)
    assert cli("--version")[1].startswith("migradetect ")


@pytest.mark.parametrize("arguments", [["runn"], ["run"], ["run", "in"], ["run", "in", "--out"], ["init", "--nope"]])
def test_usage_errors(cli, arguments):
    assert cli(*arguments)[0] == 2


def test_init(cli, tmp_path):
    assert cli("init", "--preset", "strict", "my.toml")[0] == 0
    assert load_params(config=tmp_path / "my.toml", environ={}) == load_params("strict", environ={})
    code, _, err = cli("init", "my.toml")
    assert code == 2
    assert "--force" in error_line(err)
    assert cli("init", "my.toml", "--force")[0] == 0
    assert cli("init", "-")[1] == to_toml(load_params(environ={}))
    assert cli("init", "--preset", "strickt", "b.toml")[0] == 2


def test_info(cli):
    code, out, _ = cli("info")
    assert code == 0
    assert "numpy" in out
    assert "python" in out


def test_scan(cli, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "b")
    code, out, _ = cli("scan", "in")
    assert code == 0
    assert "0.1 um (OME-XML)" in out
    assert "2 movies found, 2 can be analysed." in out
    assert "0.2 um (command line)" in cli("scan", "in", "--pixel-size-um", "0.2")[1]
    write_movie(tmp_path / "in" / "bare.ome.tif", np.ones((2, 1, 9, 9), np.uint16), "TCYX", None, ["tspan4"])
    code, out, _ = cli("scan", "in")
    assert code == 1
    assert "3 movies found, 2 can be analysed." in out
    code, out, _ = cli("scan", "in", "--channels", "tspan4,wga")
    assert code == 4
    assert "problem: " in out


def test_nothing_found(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments in (["scan", "empty"], ["scan", "absent"], ["run", "empty", "--out", "out"], ["status", "empty"]):
        code, _, err = cli(*arguments)
        assert code == 3
        error_line(err)
    assert not (tmp_path / "out").exists()


def test_run_to_tables(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "b")
    code, out, err = cli("run", "in", "--out", "out", "--set", "spots.min_snr=5")
    assert code == 0
    assert "[2/2] b: 0 migrasomes, 2 cells" in err
    assert "2 done. Results: out" in out
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["parameters"]["spots"]["min_snr"] == 5
    assert "--set spots.min_snr=5" in record["command"]
    code, out, _ = cli("run", "in", "--out", "out", "--set", "spots.min_snr=5", "--cells")
    assert "per 100 um fiber" in out
    assert "2 done (2 kept from an earlier run)" in out
    code, out, _ = cli("status", "out", "--cells")
    assert code == 0
    assert "2 done" in out
    assert "movies.parquet" in out


def test_formats(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    assert cli("run", "in", "--out", "out", "--format", "csv")[0] == 0
    assert (tmp_path / "out" / "movies.csv").exists()
    assert not (tmp_path / "out" / "movies.parquet").exists()
    assert cli("run", "in", "--out", "out", "--format", "xlsx")[0] == 2


def test_dry_run_computes_nothing(cli, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    code, out, _ = cli("run", "in", "--out", "out", "--dry-run")
    assert code == 0
    assert "1 movie found" in out
    assert not (tmp_path / "out").exists()


def test_some_and_all_failed(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "bug")
    code, out, err = cli("run", "in", "--out", "out")
    assert code == 1
    assert "[2/2] bug: FAILED: unexpected ZeroDivisionError" in err
    assert "1 done, 1 failed" in out
    assert cli("status", "out")[0] == 1
    batch_fakes.make_movies(tmp_path / "bad", "bug")
    assert cli("run", "bad", "--out", "out2")[0] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "spots.minsnr=5"], ["spots.minsnr", "'spots.min_snr'"]),
        (["--set", "spots.min_snr"], ["section.key=value"]),
        (["--preset", "nope"], ["default, fixed"]),
        (["--config", "absent.toml"], ["absent.toml"]),
        (["--pixel-size-um", "x"], ["input.pixel_size_um", "'x'"]),
        (["--workers", "many"], ["--workers"]),
        (["--projection", "mean"], ["one of max, sum"]),
    ],
)
def test_config_errors(cli, tmp_path, arguments, words):
    batch_fakes.make_movies(tmp_path / "in", "a")
    code, _, err = cli("run", "in", "--out", "out", *arguments)
    assert code == 2
    line = error_line(err)
    assert all(word in line for word in words)


def test_out_that_can_not_be_written(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    (tmp_path / "file").write_text("")
    code, _, err = cli("run", "in", "--out", "file/out")
    assert code == 2
    assert "--out" in error_line(err)


def test_status_of_a_run_that_died(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    cli("run", "in", "--out", "out")
    path = tmp_path / "out" / "run.json"
    record = json.loads(path.read_text())
    record["status"] = "running"
    record["movies"]["b"] = {"status": "pending", "path": "b.tif"}
    path.write_text(json.dumps(record))
    _, out, _ = cli("status", "out")
    assert "Run died" in out
    assert "1 done, 1 pending" in out
    path.write_text("{")
    assert cli("status", "out")[0] == 4


def test_simulate_and_evaluate(cli, tmp_path):
    small = ["--set", "n_frames=2", "--set", "height_px=96", "--set", "width_px=96"]
    code, out, _ = cli("simulate", "typical", "--out", "sim", "--seed", "1", "--n", "2", *small)
    assert code == 0
    assert len(list((tmp_path / "sim").glob("*.ome.tif"))) == 2
    truths = sorted((tmp_path / "sim" / "truth").iterdir())
    assert all(str(truth.relative_to(tmp_path)) in out for truth in truths)
    assert "2 movies found, 2 can be analysed." in cli("scan", "sim")[1]

    code, out, _ = cli("evaluate", "sim/truth", "sim/truth", "--out", "scores.csv")
    assert code == 0
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert set(scores["movie_id"]) == {"all", *(truth.name for truth in truths)}
    assert "metric" in out
    assert cli("evaluate", truths[0], truths[0])[0] == 0
    assert cli("evaluate", truths[0], truths[1])[0] == 0, "single folders are meant for each other"
    assert cli("evaluate", truths[0], "sim/truth")[0] == 0


@pytest.mark.parametrize("kind", ["imagej", "sequence"])
def test_simulate_other_containers(cli, kind):
    small = ["--set", "n_frames=2", "--set", "height_px=96", "--set", "width_px=96", "--kind", kind]
    assert cli("simulate", "typical", "--out", "sim", *small)[0] == 0
    assert "1 movie found, 1 can be analysed." in cli("scan", "sim")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["typical", "--set", "nframes=3"],
        ["typical", "--set", "n_frames=many"],
        ["typical", "--set", "seed=3"],
        ["typical", "--set", "n_frames"],
    ],
)
def test_simulate_errors(cli, arguments):
    code, _, err = cli("simulate", *arguments, "--out", "sim")
    assert code == 2
    error_line(err)


def test_evaluate_of_nothing(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "absent"):
        code, _, err = cli("evaluate", folder, "empty")
        assert code == 3
        error_line(err)


def test_an_unexpected_error_is_one_line_and_a_file(cli, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(*args):
        raise RuntimeError("surprise\nin two lines")

    monkeypatch.setattr("migradetect.params.preset_names", broken)
    code, _, err = cli("info")
    assert code == 4
    line = error_line(err)
    assert "surprise in two lines" in line
    log = Path(line.rsplit("details are in ", 1)[1])
    assert "Traceback" in log.read_text()


DRIVER = """
import signal
# a shell starts background jobs with SIGINT ignored, which children inherit and the program respects
signal.signal(signal.SIGINT, signal.default_int_handler)
from functools import partial

import batch_fakes
import migradetect.batch

if __name__ == "__main__":
    migradetect.batch.run_batch = partial(migradetect.batch.run_batch, analyze=batch_fakes.analyze)
    from migradetect.cli import main

    main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["slow", "deaf"])
def test_signals_stop_a_run_within_seconds(tmp_path, number, expected, name):
    psutil = pytest.importorskip("psutil")
    batch_fakes.make_movies(tmp_path / "in", "a", name, "z")
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), "run", "in", "--out", "out", "--workers", "1"]
    environ = os.environ | {"PYTHONPATH": str(Path(batch_fakes.__file__).parent)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # in a group of its own, as under a terminal, where Ctrl-C reaches the workers too
    with subprocess.Popen(command, cwd=tmp_path, env=environ, start_new_session=True, **pipes) as process:
        err = ""
        while f"{name}: started" not in err:
            line = process.stderr.readline()
            assert line, err
            err += line
        children = psutil.Process(process.pid).children(recursive=True)
        assert children, "test invalid: there is nothing to leave behind"
        sent = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        out, rest = process.communicate(timeout=120)
        took = time.monotonic() - sent
    assert process.returncode == expected, err + rest
    assert took < 10
    assert "Traceback" not in err + rest + out
    assert "interrupted" in rest
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert (tmp_path / "out" / "a" / "manifest.json").exists()
    assert not (tmp_path / "out" / name).exists()
    again = pd.read_parquet(tmp_path / "out" / "movies.parquet").set_index("movie_id")
    assert again.loc["a", "status"] == "done"
    assert again.loc[name, "status"] == "skipped"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_leaves_no_orphans(tmp_path):
    psutil = pytest.importorskip("psutil")
    batch_fakes.make_movies(tmp_path / "in", "deaf")
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), "run", "in", "--out", "out"]
    environ = os.environ | {"PYTHONPATH": str(Path(batch_fakes.__file__).parent)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert "started" in process.stderr.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def test_batch_leaves_logging_as_it_was(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a")
    logger = logging.getLogger("migradetect")
    before = (logger.level, logger.propagate, list(logger.handlers))
    cli("run", "in", "--out", "out")
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_preview(cli, monkeypatch, tmp_path):
    def preview(movie, params, frame):
        labels = np.zeros(movie.shape_yx, dtype=int)
        labels[2:6, 2:6] = 1
        return SimpleNamespace(
            images={"tspan4": movie.frame(frame, "tspan4")},
            cells=labels,
            fibers=labels * 0,
            spots=pd.DataFrame({"y_um": [0.5], "x_um": [0.7], "diameter_um": [0.6]}),
        )

    monkeypatch.setattr("migradetect.pipeline.preview", preview, raising=False)
    batch_fakes.make_movies(tmp_path / "in", "a", n_frames=5)
    code, out, _ = cli("preview", "in/a.ome.tif", "--frame", "3")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows if len(row) == 4 and row[0].isdigit()] == ["0", "2", "3", "4"]
    assert (tmp_path / "a_preview.png").read_bytes().startswith(b"\x89PNG")
    for frame in ("5", "-1", "end"):
        code, _, err = cli("preview", "in/a.ome.tif", "--frame", frame)
        assert code == 2
        assert "0 to 4" in error_line(err)


def test_hostile_names_are_shown_and_not_obeyed(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "bug")
    if sys.platform != "win32":
        (tmp_path / "in" / "a.ome.tif").rename(tmp_path / "in" / "a\x1b]0;owned\x07[bold]:bomb:\u202egnp.ome.tif")
    for arguments in (
        ["scan", "in"],
        ["run", "in", "--out", "o[red]ut\x1b[31m"],
        ["status", "o[red]ut\x1b[31m", "--cells"],
    ):
        code, out, err = cli(*arguments)
        assert code in (0, 1)
        assert not set("\x1b\x07\u202e") & set(out + err)
    assert "o[red]ut\\x1b[31m" in out
    code, _, err = cli("scan", "absent\x1b[2J[/red]\nerror: forged")
    assert code == 3
    assert "absent\\x1b[2J[/red] error: forged" in error_line(err)


def test_status_tells_what_was_lost_since(cli, fake, tmp_path):
    batch_fakes.make_movies(tmp_path / "in", "a", "b")
    cli("run", "in", "--out", "out")
    (tmp_path / "out" / "a" / "tracks.csv").unlink()
    code, out, _ = cli("status", "out")
    assert code == 1
    assert "1 done" in out
    assert "1 damaged" in out
    assert "run the same command again" in " ".join(out.split())
    assert "2 done (1 kept from an earlier run)" in cli("run", "in", "--out", "out")[1]


def test_a_movie_with_gaps_is_refused_or_warned_of(cli, fake, tmp_path):
    folder = tmp_path / "in"
    batch_fakes.make_movies(folder, "a", n_frames=2)
    data = np.random.default_rng(0).integers(90, 110, (5, 1, 16, 16), dtype=np.uint16)
    write_movie(folder / "seq", data, "TCYX", None, ["tspan4"], "sequence")
    (gone,) = folder.glob("seq/*_t3.tif")
    gone.unlink()
    told = ["--pixel-size-um", "0.1", "--frame-interval-s", "60"]
    code, _, err = cli("run", "in", "--out", "out", *told)
    assert code == 1
    assert "missing 1: frame 3" in err
    assert "--allow-gaps" in err
    code, _, err = cli("run", "in", "--out", "out", "--allow-gaps", *told)
    assert code == 0
    assert "warning: in/seq: missing frame: 3" in err
    movies = pd.read_parquet(tmp_path / "out" / "movies.parquet").set_index("movie_id")
    assert movies.loc["seq", "n_frames"] == 5
