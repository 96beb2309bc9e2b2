"""The benchmark of accuracy on tiny movies: peers give valid tables, and what is there is not run again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "benchmark"))

import accuracy
import overlays
import pandas as pd
import peers
from bench_movies import PROJECT, Method, MovieSpec, run_movie

from migradetect.evaluate import evaluate, scores_as_dict
from migradetect.io import load_results
from migradetect.results import MOVIE_TABLES
from migradetect.synthetic import Simulation, simulate
from migradetect.tables import validate_table

SIZE = {"height_px": 256, "width_px": 256, "pixel_size_um": 0.2, "frame_interval_s": 120.0}


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate("clean", 7, n_frames=6, warmup_min=150.0, migrasomes_per_100um=12.0, n_tails=4.0, **SIZE)


@pytest.mark.parametrize("name", ["trackpy", "blob_log", "log_ridge"])
def test_peer_gives_valid_tables_and_finds_migrasomes(simulation: Simulation, name: str) -> None:
    movie = simulation.movie()
    results = peers.PEERS[name](movie)
    for table in MOVIE_TABLES:
        validate_table(table, results.tables[table])
    assert len(results.labels["cells"]) == movie.n_frames
    assert (len(results.fibers) > 0) == (name == "log_ridge")
    assert results.migrasomes["diameter_um"].between(0.2, 4).all()
    # every parent is a cell that was seen
    assert set(results.tracks["cell_id"].dropna()) <= set(results.cells["cell_id"])
    scores = scores_as_dict(evaluate(results, simulation.truth, movie.calibration.pixel_size_um))
    assert scores["recall"] > 0.3, "in a clean movie a peer finds a good share"
    assert scores["cell_f1"] > 0.5


@pytest.mark.parametrize("name", ["trackpy", "blob_log", "log_ridge"])
def test_peer_of_an_empty_single_image_finds_nothing_and_does_not_fail(name: str) -> None:
    movie = simulate("no_migrasomes", 3, n_frames=1, height_px=96, width_px=96, cell_density_per_mm2=1.0).movie()
    results = peers.PEERS[name](movie)
    assert len(results.frames) == 1
    assert len(results.tracks) == results.migrasomes["migrasome_id"].nunique()


def test_a_second_run_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--conditions", "fixed_frame", "typical", "--seeds", "1", "--frames", "3", "--size", "128"]
    command = [*tiny, "--workers", "1", "--peers", "trackpy", "--out", str(tmp_path)]
    docs = tmp_path / "docs" / "accuracy.md"
    docs.parent.mkdir()
    docs.write_text("# Accuracy\n\nWords by hand.\n", encoding="utf-8")
    assert accuracy.main([*command, "--docs", str(docs)]) == 0
    first = capsys.readouterr()
    assert "4 analyses run" in first.err
    assert "| fixed_frame | 1 |" in first.out
    assert (tmp_path / "page.png").stat().st_size > 10_000
    text = docs.read_text(encoding="utf-8")
    assert "Words by hand." in text
    assert "| typical |" in text
    assert (docs.parent / "images" / "accuracy.png").is_file()
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert set(scores["method"]) == {PROJECT, "trackpy"}

    stored = next((tmp_path / "results" / PROJECT).rglob("movie.json"))
    before = stored.stat().st_mtime_ns
    assert accuracy.main([*command, "--docs", str(docs)]) == 0
    assert "0 analyses run" in capsys.readouterr().err
    assert stored.stat().st_mtime_ns == before
    assert docs.read_text(encoding="utf-8") == text, "the section is replaced, not added again"


def test_a_method_that_fails_is_reported_and_stops_no_other(tmp_path: Path) -> None:
    spec = MovieSpec("fixed_frame", 1, (("height_px", 96), ("width_px", 96)))
    outcomes = run_movie(spec, [Method("nobody", "peer"), Method("trackpy", "peer")], tmp_path)
    assert outcomes[0].error is not None
    assert outcomes[1].error is None
    assert load_results(tmp_path / "results" / "trackpy" / spec.movie_id).movie_id == spec.movie_id


def test_errors_are_explained(simulation: Simulation) -> None:
    movie = simulation.movie()
    pixel = movie.calibration.pixel_size_um
    none, _ = overlays.explain(simulation.truth, simulation.truth, pixel)
    assert none.empty, "the truth has no error against itself"
    found = peers.blob_log(movie)
    errors, matches = overlays.explain(found, simulation.truth, pixel)
    n_wrong = int(matches.is_false.sum() + (matches.is_valid_truth & ~matches.is_found).sum())
    assert errors["n_frames"].sum() == n_wrong
    assert errors["cause"].str.len().gt(5).all()
    assert np.isfinite(errors[["y_um", "x_um"]].to_numpy(float)).all()
