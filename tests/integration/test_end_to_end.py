"""A folder in, tables out, by the command line; and what a user meets when files are bad."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import migradetect
from migradetect.io import is_complete, write_movie
from migradetect.results import MOVIE_TABLES
from migradetect.tables import validate_table

SIZE = ["--set", "n_frames=5", "--set", "height_px=256", "--set", "width_px=256"]


def cli(*arguments, cwd, **environ):
    ended = subprocess.run(
        [sys.executable, "-m", "migradetect", *map(str, arguments)],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith("MIGRADETECT_")} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    ended = cli("simulate", "clean", "--out", "movies", "--seed", 3, "--n", 1, *SIZE, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return folder / "movies"


@pytest.fixture(scope="module")
def movie_id(simulated):
    return next((simulated / "truth").iterdir()).name


@pytest.fixture(scope="module")
def analysed(simulated):
    """Output of a run over a folder that holds a good movie and bad ones."""
    folder = simulated.parent
    movies = folder / "mixed"
    movies.mkdir()
    good = next(simulated.glob("*.ome.tif"))
    shutil.copy(good, movies)
    content = good.read_bytes()
    (movies / "cut.ome.tif").write_bytes(content[: len(content) // 2])
    (movies / "text.tif").write_text("this is no image\n")
    (movies / "gone.tif").symlink_to(movies / "nowhere.tif")
    plain = np.ones((3, 1, 64, 64), dtype=np.uint16)
    write_movie(movies / "no_pixel_size.ome.tif", plain, "TCYX", None, ["tspan4"])
    ended = cli("run", "mixed", "--out", "out", cwd=folder)
    return folder / "out", ended


def test_the_good_movie_is_done_and_each_bad_one_is_a_line(analysed, movie_id):
    out, ended = analysed
    assert ended.returncode == 1, ended.stdout + ended.stderr
    movies = pd.read_csv(out / "movies.csv").set_index("movie_id")
    assert movies.loc[movie_id, "status"] == "done"
    bad = movies.drop(movie_id)
    assert sorted(bad.index) == ["cut", "gone", "no_pixel_size", "text"]
    assert set(bad["status"]) == {"failed"}
    for name, error in bad["error"].items():
        assert "\n" not in error
        assert name in error
        assert not error.startswith("unexpected"), error
        assert not (out / name).exists()
    assert "--pixel-size-um" in bad.loc["no_pixel_size", "error"]
    assert "1 done, 4 failed" in ended.stdout


def test_every_table_follows_its_schema(analysed, movie_id):
    out, _ = analysed
    assert is_complete(out / movie_id, verify=True)
    results = migradetect.load(out)
    for name in MOVIE_TABLES:
        validate_table(name, results.table(name))
    assert len(results.frames) == 5
    movie = results.movie(movie_id)
    for labels in movie.labels.values():
        assert len(labels) == 5
    row = results.movies.set_index("movie_id").loc[movie_id]
    assert row["n_cells"] == len(results.cell_summary)
    assert row["n_migrasomes"] == len(results.tracks)


def test_the_same_numbers_from_python(analysed, simulated, movie_id):
    out, _ = analysed
    again = migradetect.analyze(migradetect.open_movie(next(simulated.glob("*.ome.tif"))))
    stored = migradetect.load(out)
    for name in ("tracks", "migrasomes", "cell_summary", "cells", "fibers"):
        pd.testing.assert_frame_equal(again.tables[name], stored.table(name), check_like=True)


def test_run_again_keeps_what_is_done(analysed):
    out, _ = analysed
    ended = cli("run", "mixed", "--out", "out", cwd=out.parent)
    assert ended.returncode == 1
    assert "kept from an earlier run" in ended.stdout


def test_status_prints_the_cells(analysed, movie_id):
    out, _ = analysed
    ended = cli("status", "out", "--cells", cwd=out.parent)
    assert ended.returncode == 1
    assert "Cells" in ended.stdout
    assert movie_id in ended.stdout


def test_scores_against_the_truth(analysed, movie_id):
    out, _ = analysed
    ended = cli("evaluate", "out", "movies/truth", "--out", "scores.csv", cwd=out.parent)
    assert ended.returncode == 0, ended.stderr
    scores = pd.read_csv(out.parent / "scores.csv").set_index("metric")["value"]
    assert scores["cell_f1"] > 0.5


def test_preview_is_a_picture_with_counts(simulated):
    movie = next(simulated.glob("*.ome.tif"))
    ended = cli("preview", movie, "--frame", "last", "--out", "overlay.png", cwd=simulated.parent)
    assert ended.returncode == 0, ended.stderr
    assert (simulated.parent / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert "migrasome candidates" in ended.stdout
    ended = cli("preview", movie, "--frame", "99", cwd=simulated.parent)
    assert ended.returncode == 2
    assert "0 to 4" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["run", "empty", "--out", "o"], 3, "empty"),
        (["run", "absent", "--out", "o"], 3, "absent"),
        (["run", "movies", "--out", "o", "--config", "bad.toml"], 2, "'spots.min_snr'"),
        (["run", "movies", "--out", "o", "--set", "judge.min_score=2"], 2, "judge.min_score"),
        (["run", "movies", "--out", "o", "--pixel-size-um", "108"], 4, "0.01 to 10"),
        (["preview", "mixed/text.tif"], 4, "text.tif"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(analysed, arguments, code, word):
    folder = analysed[0].parent
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "bad.toml").write_text("[spots]\nminimum_snr = 4\n")
    ended = cli(*arguments, cwd=folder)
    assert ended.returncode == code, ended.stderr
    assert word in ended.stderr
    if arguments[0] != "run" or code in (2, 3):
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a file that this user can't read")
def test_a_file_without_read_permission(analysed, simulated):
    folder = analysed[0].parent / "locked"
    folder.mkdir()
    target = shutil.copy(next(simulated.glob("*.ome.tif")), folder)
    os.chmod(target, 0)
    ended = cli("run", "locked", "--out", "locked_out", cwd=folder.parent)
    assert ended.returncode == 4
    assert "FAILED" in ended.stderr


def test_record_says_how_it_was_made(analysed):
    record = json.loads((analysed[0] / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["command"].startswith("migradetect run mixed")
    assert record["versions"]["migradetect"] == migradetect.__version__
