"""The benchmark of speed on tiny movies, its figures, and the plan that follows from them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "benchmark"))

import numpy as np
import pandas as pd
import speed
import speed_page
import speed_parts
import speed_plan
from speed_cases import Case, measure
from speed_movies import Field

from migradetect.io import open_movie
from migradetect.synthetic import Simulation, simulate

ROOT = Path(__file__).parents[2]
TINY = ["--field", "96", "3", "--sizes", "64", "96", "--frames", "2", "5", "--time-size", "64", "--size-frames", "2",
        "--peer-frames", "2", "--repeats", "1", "--quick"]  # fmt: skip


@pytest.fixture
def quick_field(monkeypatch):
    """A field that takes a second: no time before the first frame."""

    def small(*arguments, **options) -> Simulation:
        return simulate(*arguments, **options | {"warmup_min": 20.0, "cell_density_per_mm2": 9000.0})

    monkeypatch.setattr("speed_movies.simulate", small)


def test_movies_of_all_lengths_come_from_one_field(quick_field, tmp_path):
    field = Field(tmp_path, 64, 3)
    (long,) = field.movie(32, 7)
    movie = open_movie(long, movie_id="m")
    assert (movie.n_frames, movie.shape_yx) == (7, (32, 32))
    assert movie.calibration.pixel_size_um == pytest.approx(0.14)
    planes = [movie.frame(t, movie.roles[0]) for t in range(7)]
    # 0 1 2 1 0 1 2: the same scene, with other noise
    assert not np.array_equal(planes[0], planes[4])
    difference = np.std(planes[0] - planes[4])
    assert 0 < difference < np.std(planes[0]) * 3
    one, other = field.movie(32, 2, copies=2)
    assert one.read_bytes() != other.read_bytes()
    before = one.stat().st_mtime_ns
    assert field.movie(32, 2, copies=2)[0].stat().st_mtime_ns == before, "made once"
    assert min(field.objects()) >= 0


def test_a_process_is_measured_with_its_children(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "subprocess.run([sys.executable, '-c', 'x = bytearray(300_000_000); sum(range(10_000_000))'])\n"
        "print('{\"seconds\": 1.5}')"
    )
    measured = measure([sys.executable, "-c", code], tmp_path / "log")
    assert measured.wall_s > 0.1
    assert measured.cpu_s > 0.1
    assert 300 < measured.peak_mb < 500
    assert measured.part_s == 1.5
    idle = measure([sys.executable, "-c", "import time; time.sleep(0.5)"], tmp_path / "log")
    assert idle.wall_s > 0.5
    assert idle.cpu_s < 0.4
    assert idle.peak_mb < 100, "not that of the process before"
    with pytest.raises(RuntimeError, match=r"exit code 3: words"):
        measure([sys.executable, "-c", "print('words'); raise SystemExit(3)"], tmp_path / "log")


def test_pixels_of_a_case():
    assert Case("size", "migradetect", 1000, 20, ()).megapixels == 40
    assert Case("size", "trackpy", 1000, 20, (), channels=1).megapixels == 20
    assert Case("workers", "migradetect", 1000, 5, (), n_movies=4).megapixels == 40


def test_slopes_are_those_of_the_figures(tmp_path):
    rows = []
    for size in (512, 1024):
        for number, wall in enumerate((3.0, 1.0, 2.0)):
            rows.append(
                ("size", "migradetect", size, 10, 1, 1, 20.0, number, wall, size**2 / 1e5, 500, 600, None, None)
            )
    for n in (50, 200, 500):
        rows.append(("frames", "migradetect", 1024, n, 1, 1, 2.0 * n, 0, 9.0, 5 + 0.1 * n, 700, 800, None, None))
    for workers in (1, 2):
        rows.append(("workers", "migradetect", 512, 50, 2, workers, 50.0, 0, 20.0 / workers, 20, 500, 900, None, None))
    rows.append(("size", "naive", 512, 5, 1, 1, 2.0, 0, None, None, None, None, None, "exit code 1: no"))
    names = [name for name in speed._COLUMNS if name != "key"]
    table = pd.DataFrame(rows, columns=names)
    table["key"] = table["method"] + "|" + table["size_px"].astype(str)
    table.to_csv(tmp_path / "runs.csv", index=False)
    text, n_failed = speed_page.write_page(tmp_path / "runs.csv", tmp_path)
    assert n_failed == 1
    assert "Failed: naive|512: exit code 1: no" in text
    assert "Time against frames: 5.0 s + 0.10 s for each" in text
    assert "Time against pixels: power 1.00." in text
    assert "2 workers 2.00 x" in text
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert summary.loc[summary["size_px"] == 512, "wall_s"].iloc[0] == 2.0, "the median"
    assert (tmp_path / "speed.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["link_project", "link_trackpy", "growth_project", "growth_curve_fit"])
def test_parts_run(monkeypatch, name):
    monkeypatch.setattr(speed_parts, "CANDIDATES", 30)
    monkeypatch.setattr(speed_parts, "FRAMES", 6)
    monkeypatch.setattr(speed_parts, "FITS", 20)
    assert speed_parts.PARTS[name]()() is not None or name == "growth_curve_fit"


def test_linked_candidates_are_the_ones_that_were_made():
    spots = speed_parts.candidates(50, 10)
    assert 0.8 * 500 < len(spots) < 500
    assert spots["frame"].nunique() == 10


@pytest.mark.slow
def test_all_of_it_on_tiny_movies(quick_field, tmp_path, capsys):
    assert speed.main([*TINY, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "| size | scikit-image + trackpy, naive |" in said
    with (tmp_path / "runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert {run["method"] for run in runs} >= {"migradetect", "naive", "trackpy", "blob_log", "help"}
    assert not [run["error"] for run in runs if run["error"]]
    assert speed.main([*TINY, "--out", str(tmp_path)]) == 0
    assert "round 1" not in capsys.readouterr().out, "what is there is not run again"


def test_a_part_of_it_on_tiny_movies(quick_field, tmp_path, capsys):
    arguments = [*TINY, "--out", str(tmp_path), "--only", "start", "size", "--methods", "help", "naive"]
    docs = tmp_path / "docs.md"
    docs.write_text("words\n<!-- speed: begin -->\nold\n<!-- speed: end -->\nmore\n")
    assert speed.main([*arguments, "--docs", str(docs)]) == 0
    text = docs.read_text()
    assert "old" not in text
    assert text.startswith("words\n")
    assert text.endswith("more\n")
    assert "| start | `migradetect --help` |" in text
    assert "naive" in capsys.readouterr().out
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert runs["error"].isna().all(), runs["error"].tolist()


def test_the_plan_is_arithmetic():
    inputs = speed_plan.read_inputs()
    inputs["screen"] |= {"wells": 10, "fields": 1, "frames": 100, "height_px": 1000, "width_px": 1000, "channels": 2}
    inputs["measured"] = {
        "megapixels_per_core_s": 1.0,
        "peak_worker_gb": 2.0,
        "all_cores_efficiency": 0.5,
        "start_s": 0.0,
        "result_mb_per_frame": 1.0,
        "passes": 4,
        "merge_s_per_movie": 36.0,
    }
    inputs["node"] = {"cores": 8, "memory_gb": 20, "network_gb_s": 1.0, "spare_memory_gb": 4}
    inputs["site"] = {"server_gb_s": 2.0, "nodes": [1]}
    one = speed_plan.plan(inputs, 1)
    assert one.workers == 8
    # 200 megapixels at half a megapixel a second, twice because 10 movies do not fit at once
    assert one.compute_h == pytest.approx(2 * 400 / 3600)
    assert one.merge_h == pytest.approx(0.1)
    assert one.reads == 4, "the movies do not fit beside the workers"
    assert one.read_h == pytest.approx(10 * 0.4 * 4 / 1 / 3600)
    assert one.limit == "cores"
    inputs["node"]["memory_gb"] = 40
    assert speed_plan.plan(inputs, 1).reads == 1
    inputs["site"]["server_gb_s"] = 1e-4
    assert speed_plan.plan(inputs, 1).limit == "reading from the file server"
    inputs["node"]["memory_gb"] = 9
    assert speed_plan.plan(inputs, 1).workers == 2


def test_the_docs_have_the_plan_of_the_figures():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert speed_plan.plan_text() in page, "run: python workflows/benchmark/speed.py --plan --docs docs/performance.md"
