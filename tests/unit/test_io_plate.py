"""plate.csv and file-name patterns: every table gets the columns, nothing is matched by guess."""

import json

import numpy as np
import pandas as pd
import pytest
from batch_fakes import results_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_io_movies import CALIBRATION, NAMES, ramp

from migradetect.batch import run_batch
from migradetect.errors import MigradetectError, ParamsError
from migradetect.io import InputOptions, find_movies, load, open_movie, read_table, scan, search_movies, write_movie
from migradetect.io.plate import read_plate
from migradetect.params import Params
from migradetect.results import MOVIE_TABLES, Results


def movies(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_movie(folder / name, ramp((2, 2, 4, 5)), "TCYX", CALIBRATION, NAMES)


def annotated(movie, params, *, progress=None, cancel=None):
    """Results as the pipeline leaves them, without its work."""
    results = results_of(movie)
    results.annotate(movie.provenance["annotations"])
    return results


def annotations(entries):
    return {entry.movie_id: dict(entry.annotations) for entry in entries}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_rows_by_well(tmp_path, delimiter, bom):
    movies(tmp_path, "A1_s1.ome.tif", "A01_s2.ome.tif", "b12.ome.tif")
    rows = ["Well,Condition,Replicate,Time offset min", "A01,control,1,", "B12,drug,01,90.5"]
    text = bom + "\r\n".join(row.replace(",", delimiter) for row in rows)
    (tmp_path / "plate.csv").write_text(text, encoding="utf-8", newline="")
    found = search_movies([tmp_path])
    assert found.notes == ()
    control = {"well": "A01", "condition": "control", "replicate": "1", "time_offset_min": None}
    drug = {"well": "B12", "condition": "drug", "replicate": "01", "time_offset_min": 90.5}
    assert annotations(found.entries) == {"A1_s1": control, "A01_s2": control, "b12": drug}
    table = scan(found.entries).set_index("movie_id")
    assert table.loc["b12", "time_offset_min"] == 90.5
    assert table["problem"].isna().all()


@pytest.mark.parametrize(
    ("name", "value"), [("time_offset_min", "90"), ("time_offset_h", "1,5"), ("time_offset_s", "5400")]
)
def test_offsets_have_units(tmp_path, name, value):
    movies(tmp_path, "a.ome.tif")
    (tmp_path / "plate.csv").write_text(f"movie_id;{name}\na;{value}\n")
    assert annotations(find_movies([tmp_path])) == {"a": {"time_offset_min": 90.0}}


def test_rows_by_plate_and_well(tmp_path):
    movies(tmp_path, "p1/B03.ome.tif", "p2/B03.ome.tif")
    (tmp_path / "plate.csv").write_text("plate,well,condition\np1,B03,x\np2,B03,y\n")
    found = annotations(find_movies([tmp_path]))
    assert [found[f"p{i}__B03"]["condition"] for i in (1, 2)] == ["x", "y"]
    (tmp_path / "plate.csv").write_text("plate,well,condition\np1,B03,x\np1,B3,y\n")
    with pytest.raises(ParamsError, match="expected one row for p1__B03, got 2"):
        find_movies([tmp_path])


def test_rows_by_file_and_wildcard(tmp_path):
    movies(tmp_path, "drug/a.ome.tif", "drug/b.ome.tif", "none/a.ome.tif")
    (tmp_path / "plate.csv").write_text("file,condition\ndrug/*,drug\ndrug/b.ome.tif,special\nnone/A.OME.TIF,none\n")
    found = annotations(find_movies([tmp_path]))
    assert {name: value["condition"] for name, value in found.items()} == {
        "drug__a": "drug",
        "drug__b": "special",
        "none__a": "none",
    }


def test_what_does_not_match_is_said(tmp_path):
    movies(tmp_path, "A01.ome.tif", "dish.ome.tif")
    (tmp_path / "plate.csv").write_text("well,condition\nA01,x\nA02,y\n")
    found = search_movies([tmp_path])
    assert [note.partition(": ")[2] for note in found.notes] == ["no movie for 1 of 2 rows (well A02)"]
    table = scan(found.entries).set_index("movie_id")
    assert "no row in" in table.loc["dish", "warnings"]
    assert table.loc["dish", "qc_flags"] == "not_in_plate"
    assert table.loc["dish", "condition"] is pd.NA
    assert pd.isna(table.loc["A01", "warnings"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header and at least one row"),
        ("well,condition\n", "header and at least one row"),
        ("condition,replicate\nx,1\n", "movie_id, file or well"),
        ("well,condition\nA01\n", "2 values in line 2, got 1"),
        ("well,condition\nZ99,x\n", "well such as B03 in line 2, got 'Z99'"),
        ("well,well\nA01,A01\n", "each column once"),
        ("well,cell_id\nA01,3\n", "cell_id, which the results have"),
        ("well,time offset\nA01,3\n", "unit in the name"),
        ("well,time_offset_min,time_offset_h\nA01,3,4\n", "one time offset"),
        ("well,time_offset_min\nA01,nan\n", "number as time offset, got 'nan'"),
        ("well,time_offset_min\nA01,soon\n", "number as time offset, got 'soon'"),
        ("well,=cmd()\nA01,3\n", "letters, digits and _"),
        ("well,condition\n,x\n", "a well in line 2"),
        ("well,condition\nA01,\x1b[31mred\n", "printable"),
        ('well,condition\nA01,"x\n', "damaged"),
    ],
)
def test_bad_plate_is_refused(tmp_path, text, message):
    movies(tmp_path, "A01.ome.tif")
    (tmp_path / "plate.csv").write_text(text)
    with pytest.raises(ParamsError, match=message) as error:
        find_movies([tmp_path])
    assert str(tmp_path / "plate.csv") in str(error.value)
    assert "\n" not in str(error.value)


def test_plate_that_is_absent_or_not_text(tmp_path):
    movies(tmp_path, "A01.ome.tif")
    with pytest.raises(ParamsError, match="expected a table, got none"):
        find_movies([tmp_path], InputOptions(plate=str(tmp_path / "absent.csv")))
    (tmp_path / "other.csv").write_bytes(b"well,condition\nA01,\xff\xfe\n")
    with pytest.raises(ParamsError, match="UTF-8"):
        find_movies([tmp_path], InputOptions(plate=str(tmp_path / "other.csv")))


def test_pattern_gives_columns_to_single_files(tmp_path):
    movies(tmp_path, "wt_B3_r1.ome.tif", "ko_B4_r2.ome.tif", "other.ome.tif")
    options = InputOptions(pattern=r"(?P<condition>[a-z]+)_(?P<well>[A-H]\d+)_r(?P<replicate>\d)")
    entries = find_movies([tmp_path], options)
    found = annotations(entries)
    assert found["wt_B3_r1"] == {"well": "B03", "condition": "wt", "replicate": "1"}
    assert found["other"] == {"well": None, "condition": None, "replicate": None}
    assert "does not match --pattern" in scan(entries).set_index("movie_id").loc["other", "warnings"]
    (tmp_path / "plate.csv").write_text("well,condition,dose\nB03,wt,5\nB04,wt,5\n")
    with pytest.raises(ParamsError, match="expected condition 'ko' for ko_B4_r2 as in its file name, got 'wt'"):
        find_movies([tmp_path], options)


def test_pattern_gives_columns_to_sequences(tmp_path):
    data = ramp((3, 2, 4, 5))
    for condition in ("wt", "ko"):
        for t in range(3):
            for c in range(2):
                path = tmp_path / f"{condition}-w{c}-{t + 9}.ome.tif"
                write_movie(path, data[t, c], "YX", CALIBRATION)
    pattern = r"(?P<condition>\w+)-w(?P<c>\d)-(?P<t>\d+)"
    options = InputOptions(pattern=pattern, channels=("tspan4", "wga"), frame_interval_s=60.0)
    found = find_movies([tmp_path], options)
    assert annotations(found) == {"ko": {"condition": "ko"}, "wt": {"condition": "wt"}}
    np.testing.assert_array_equal(open_movie(found[0]).source.read(2, 1), data[2, 1])


@pytest.mark.parametrize("pattern", [r"(?P<condition>.+)_(?P<frame>\d)", r"(?P<movie_id>.+)_(?P<well>\d)"])
def test_pattern_may_not_rename_our_columns(tmp_path, pattern):
    movies(tmp_path, "a_1.ome.tif")
    with pytest.raises(ParamsError, match="which the results have"):
        find_movies([tmp_path], InputOptions(pattern=pattern))


def test_columns_reach_every_table_and_shift_points_in_time(tmp_path):
    movies(tmp_path / "in", "A01.ome.tif", "A02.ome.tif")
    (tmp_path / "in" / "plate.csv").write_text("well,condition,time_offset_min\nA01,=x,60\nA02,,\n")
    entries = find_movies([tmp_path / "in"])
    run_batch(entries, tmp_path / "out", Params(), workers=0, analyze=annotated)
    tables = {name: read_table(name, tmp_path / "out" / "A01") for name in MOVIE_TABLES}
    for name, table in tables.items():
        assert list(table.columns[-3:]) == ["well", "condition", "time_offset_min"], name
    batch = load(tmp_path / "out")
    assert batch.movies.set_index("movie_id")["condition"].tolist() == ["=x", pd.NA]
    assert batch.movies["time_offset_min"].tolist()[0] == 60.0
    assert "'=x" in (tmp_path / "out" / "movies.csv").read_text(), "no formula in a spreadsheet"
    # the same again is kept; another condition is not
    again = run_batch(entries, tmp_path / "out", Params(), workers=0, analyze=annotated)
    assert [outcome.resumed for outcome in again.outcomes] == [True, True]
    (tmp_path / "in" / "plate.csv").write_text("well,condition,time_offset_min\nA01,z,60\nA02,,\n")
    again = run_batch(find_movies([tmp_path / "in"]), tmp_path / "out", Params(), workers=0, analyze=annotated)
    assert [outcome.resumed for outcome in again.outcomes] == [False, True]


def test_annotate_shifts_points_in_time_and_leaves_durations():
    tracks = pd.DataFrame({"movie_id": ["m"], "migrasome_id": [1], "birth_time_min": [4.0], "lifetime_min": [3.0]})
    tracks = tracks.assign(is_left_censored=False, is_right_censored=True, n_frames=2)
    from migradetect.tables import conform_table

    results = Results("m", {"tracks": conform_table("tracks", tracks)})
    before = results.tracks
    results.annotate({"condition": None, "time_offset_min": 60.0})
    assert before["birth_time_min"].tolist() == [4.0], "the table handed in is not changed"
    assert results.tracks["birth_time_min"].tolist() == [64.0]
    assert results.tracks["lifetime_min"].tolist() == [3.0]
    assert results.tracks["end_time_min"].isna().all()
    assert results.tracks["condition"].isna().all()
    assert list(results.cells.columns[-2:]) == ["condition", "time_offset_min"], "empty tables have the columns too"


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='well,A01;\n"\t=movie_id', max_size=80).map(str.encode)))
def test_plate_of_any_bytes_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("plate") / "plate.csv"
    path.write_bytes(content)
    try:
        plate = read_plate(path)
    except MigradetectError as error:
        assert str(path) in str(error)  # noqa: PT017 (both ends are right)
    else:
        json.dumps([dict(row) for row in plate.rows])
        assert plate.rows


def test_scan_and_run_say_what_is_doubtful(tmp_path, monkeypatch, capsys):
    from migradetect.cli import main

    movies(tmp_path, "A01.ome.tif", "dish.ome.tif")
    (tmp_path / "plate.csv").write_text("well,condition\nA01,x\nA02,y\n")
    monkeypatch.setattr("sys.argv", ["migradetect", "scan", str(tmp_path), "--pixel-size-um", "1.0"])
    with pytest.raises(SystemExit) as code:
        main()
    assert code.value.code == 0
    said = capsys.readouterr()
    assert "no movie for 1 of 2 rows (well A02)" in said.err
    for text in ("condition", "dish: no row in", "exactly 1 um", "sources disagree about the pixel size"):
        assert text in said.out, text
    (tmp_path / "plate.csv").write_text("condition\nx\n")
    with pytest.raises(SystemExit) as code:
        main()
    assert code.value.code == 2
    assert "plate.csv: expected a column movie_id, file or well" in capsys.readouterr().err
    monkeypatch.setattr(
        "sys.argv", ["migradetect", "run", str(tmp_path), "--out", str(tmp_path / "o"), "--plate", "absent.csv"]
    )
    with pytest.raises(SystemExit) as code:
        main()
    assert code.value.code == 2
    assert not (tmp_path / "o").exists()
