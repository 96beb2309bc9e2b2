"""The second simulator of the benchmark: same seed, same movie; truth that fits its pixels and scores itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "benchmark"))

from second_simulator import KINDS, simulate

from migradetect.evaluate import evaluate
from migradetect.movie import Movie
from migradetect.results import Results
from migradetect.tables import validate_table


@pytest.fixture(scope="module")
def made() -> tuple[Movie, Results]:
    return simulate("typical", 3, n_frames=6)


def test_truth_keeps_the_schema_and_scores_itself_perfectly(made: tuple[Movie, Results]) -> None:
    movie, truth = made
    assert len(truth.migrasomes) > 5, "test invalid: nothing to score"
    for name in ("cells", "fibers", "migrasomes", "tracks", "cell_summary"):
        validate_table(name, truth.tables[name])
    scores = evaluate(truth, truth, pixel_size_um=movie.calibration.pixel_size_um).set_index("metric")["value"]
    assert scores["f1"] == 1
    assert scores["hota"] == pytest.approx(1)
    assert scores["parent_accuracy"] == 1


def test_same_seed_same_movie_and_another_seed_another(made: tuple[Movie, Results]) -> None:
    movie, truth = made
    again, same_truth = simulate("typical", 3, n_frames=6)
    np.testing.assert_array_equal(movie.frame(5, "wga"), again.frame(5, "wga"))
    assert truth.migrasomes["x_um"].tolist() == same_truth.migrasomes["x_um"].tolist()
    other, _ = simulate("typical", 4, n_frames=2)
    assert other.shape_yx != movie.shape_yx or (other.frame(0, "wga") != movie.frame(0, "wga")).any()


def test_bright_migrasomes_stand_where_the_truth_says(made: tuple[Movie, Results]) -> None:
    movie, truth = made
    table = truth.migrasomes
    pixel, frame = movie.calibration.pixel_size_um, int(table["frame"].max())
    clear = table[(table["frame"] == frame) & (table["snr"] > 15) & ~table["is_covered"].astype(bool)]
    image = sum(movie.frame(frame, role) for role in movie.roles)
    excess = []
    for row in clear.itertuples():
        y, x, r = round(row.y_um / pixel), round(row.x_um / pixel), round(2.5 / pixel)
        if r <= y < image.shape[0] - r and r <= x < image.shape[1] - r:
            window = image[y - r : y + r + 1, x - r : x + r + 1]
            excess.append(window[r - 1 : r + 2, r - 1 : r + 2].mean() > np.median(window))
    assert len(excess) >= 3, "test invalid: too few to look at"
    assert np.mean(excess) > 0.9


def test_kinds_are_named_and_empty_has_no_migrasomes() -> None:
    assert {"typical", "dim", "crowded", "decoys", "fixed", "drift", "coarse", "fine", "empty", "mixed"} == set(KINDS)
    assert simulate("empty", 2, n_frames=2)[1].migrasomes.empty
    assert simulate("fixed", 2)[0].n_frames == 1
