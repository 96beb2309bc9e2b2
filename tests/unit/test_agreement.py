"""Agreement of two counters, and counts made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_evaluate import PIXEL, migrasomes, movie, track

from migradetect.calibration import Calibration
from migradetect.cli import main
from migradetect.errors import ReadError, TableError
from migradetect.evaluate import agreement, scores_as_dict
from migradetect.evaluate.agreement import cohen_kappa
from migradetect.io import load_hand_counts, write_results
from migradetect.results import Results
from migradetect.tables import conform_table


def candidates(*places: float) -> pd.DataFrame:
    base = {"movie_id": "m", "frame_first": 0, "frame_last": 3, "n_frames": 4, "x_um": 0.0, "x_stage_um": 0.0}
    base |= {"diameter_um": 0.7, "snr": 5.0, "score": 0.2, "kind": "debris_static", "reason": "looked at"}
    rows = [base | {"candidate_id": k, "y_um": y, "y_stage_um": y} for k, y in enumerate(places, 1)]
    return conform_table("candidates", pd.DataFrame(rows))


def test_kappa_of_a_worked_example() -> None:
    # Cohen 1960: 20 and 15 agreed of 50, chance agreement a half
    assert cohen_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])) == pytest.approx(0.4)
    assert cohen_kappa(np.diag([7.0, 3.0])) == 1
    assert np.isnan(cohen_kappa(np.zeros((2, 2))))
    assert np.isnan(cohen_kappa(np.array([[9.0, 0.0], [0.0, 0.0]])))


def test_two_counters_who_differ_in_one_migrasome_and_one_place() -> None:
    first = track(1, 0, range(4)) + track(2, 9, range(4)) + track(3, 20, range(4))
    second = track(5, 0.1, range(4)) + track(6, 9, range(4), location="shaft")
    sides = [
        movie(migrasomes(*first), candidates=candidates(40, 50)),
        movie(migrasomes(*second), candidates=candidates(20, 40.1, 50)),
    ]
    found = scores_as_dict(agreement(*sides, PIXEL))
    assert found["f1_rows"] == pytest.approx(16 / 20)
    assert found["f1_migrasomes"] == pytest.approx(4 / 5)
    assert (found["n_migrasomes_first"], found["n_migrasomes_second"]) == (3, 2)
    assert found["kappa_detection"] == pytest.approx(cohen_kappa(np.array([[2.0, 1.0], [0.0, 2.0]])))
    assert found["kappa_location"] == 0
    assert found["position_difference"] == pytest.approx(0.05)
    back = scores_as_dict(agreement(*sides[::-1], PIXEL))
    for name, value in found.items():
        if not name.startswith("n_migrasomes") and not name.endswith("bias"):
            assert back[name] == pytest.approx(value, nan_ok=True), name


def test_limits_of_agreement_of_diameters() -> None:
    first = [row for k in range(3) for row in track(k + 1, 9.0 * k, [0], diameter_um=1.0)]
    second = [row for k, d in enumerate((1.0, 1.1, 1.2)) for row in track(k + 1, 9.0 * k, [0], diameter_um=d)]
    found = scores_as_dict(agreement(movie(migrasomes(*first)), movie(migrasomes(*second)), PIXEL))
    assert found["diameter_bias"] == pytest.approx(10)
    assert found["diameter_limits"] == pytest.approx(1.96 * 10)
    assert np.isnan(found["kappa_detection"]), "who lists no rejected ones was asked about the accepted ones only"


def test_nothing_against_nothing_is_undefined() -> None:
    found = agreement(Results("m"), Results("m"), PIXEL).set_index("metric")["value"]
    assert found.drop(["n_migrasomes_first", "n_migrasomes_second"]).isna().all()


def test_hand_counts_in_pixels(tmp_path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("frame,y_px,x_px,remark\n0,10,20,good\n0,30,40,\n3,,,none here\n")
    found = load_hand_counts(path, "m", Calibration(0.2, 60.0))
    assert found.migrasomes[["y_um", "x_um"]].to_numpy().tolist() == [[2, 4], [6, 8]]
    assert found.migrasomes["migrasome_id"].tolist() == [1, 2]
    assert found.frames["frame"].tolist() == [0, 3]
    assert found.frames["n_candidates"].tolist() == [2, 0]
    assert found.frames["time_min"].tolist() == [0, 3]


def test_hand_counts_of_another_movie_are_left_out(tmp_path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("movie_id,frame,y_um,x_um,diameter_um\nm,0,1,1,0.9\nother,0,5,5,0.8\n")
    assert load_hand_counts(path, "m", Calibration(0.2)).migrasomes["diameter_um"].tolist() == [0.9]
    with pytest.raises(TableError, match="expected counts of one movie, got 2"):
        load_hand_counts(path, None, Calibration(0.2))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("frame,y,x\n0,1,2\n", "expected columns frame, y_um and x_um"),
        ("frame,y_um,x_um\n0,one,2\n", "expected numbers in column 'y_um'"),
        ("frame,y_um,x_um\n0.5,1,2\n", "whole frame numbers"),
        ("frame,y_um,x_um,location\n0,1,2,nowhere\n", "location"),
        ("frame,y_um,x_um,migrasome_id\n0,1,2,1\n0,5,6,1\n", "migrasome_id"),
    ],
)
def test_hand_counts_that_are_no_counts_are_refused(tmp_path, text, says) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=says) as caught:
        load_hand_counts(path, "m", Calibration(0.2))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hand_counts_that_are_not_there(tmp_path) -> None:
    with pytest.raises(ReadError, match="expected a CSV file of counts"):
        load_hand_counts(tmp_path / "none.csv", "m", Calibration(0.2))


@pytest.fixture
def evaluate_command(monkeypatch, tmp_path):
    def run(*arguments):
        out = tmp_path / "scores.csv"
        monkeypatch.setattr("sys.argv", ["migradetect", "evaluate", *map(str, arguments), "--out", str(out)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return scores_as_dict(pd.read_csv(out))

    return run


def test_command_scores_hand_counts_and_agreement(tmp_path, evaluate_command) -> None:
    rows = track(1, 0.5, range(2)) + track(2, 9, range(2))
    result = movie(migrasomes(*rows))
    result.provenance["calibration"] = {"pixel_size_um": PIXEL, "frame_interval_s": 120.0}
    write_results(result, tmp_path / "out" / "m")
    (tmp_path / "mine.csv").write_text("frame,y_um,x_um\n0,0.5,0\n0,9.1,0\n0,30,0\n")
    scores = evaluate_command(tmp_path / "out", tmp_path / "mine.csv")
    assert (scores["precision"], scores["recall"]) == (1, pytest.approx(2 / 3))
    assert evaluate_command(tmp_path / "out", tmp_path / "out", "--agreement")["f1_migrasomes"] == 1


def test_command_compares_two_files_of_counts(tmp_path, evaluate_command) -> None:
    for name, places in (("a", (5, 90)), ("b", (6, 200, 300))):
        lines = [f"0,{y},0" for y in places]
        (tmp_path / f"{name}.csv").write_text("\n".join(["frame,y_px,x_px", *lines]))
    files = (tmp_path / "a.csv", tmp_path / "b.csv")
    assert evaluate_command(*files, "--agreement", "--pixel-size-um", "0.1")["f1_rows"] == pytest.approx(2 / 5)
    with pytest.raises(TableError, match="--pixel-size-um"):
        load_hand_counts(files[0], "m", None)
