import json
import os

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.errors import NoMoviesError, OutputError, ReadError, TableError
from migradetect.io import (
    atomic_write_json,
    atomic_write_text,
    is_complete,
    load,
    load_results,
    publish,
    read_table,
    results_io,
    to_json,
    write_results,
    write_table,
)
from migradetect.results import MOVIE_TABLES, LabelStack, Results
from migradetect.tables import TABLES, conform_table

PROVENANCE = {"calibration": {"pixel_size_um": 0.1, "frame_interval_s": 60.0}, "parameters": {"snr": 4.5}}


def fibers(movie_id="m", n=3):
    return conform_table(
        "fibers",
        {
            "movie_id": [movie_id] * n,
            "frame": list(range(n)),
            "fiber_id": [1] * n,
            "cell_id": [pd.NA, 2, 3][:n],
            "length_um": [1.25, float("nan"), 0.0][:n],
            "is_attached": [True, False, True][:n],
            "n_branches": [1] * n,
            "n_tips": [0] * n,
            "remark": pd.array(["=1+1", None, "plain, with comma"][:n], dtype="string"),
        },
    )


def stack(values, shape=(6, 5)):
    labels = LabelStack(shape)
    for value in values:
        plane = np.zeros(shape, dtype=np.uint32)
        plane[1:3, 1:3] = value
        labels.append(plane)
    return labels


def results(movie_id="m", **labels):
    traces = conform_table(
        "site_traces",
        {"movie_id": [movie_id], "migrasome_id": [1], "frame": [0], "is_covered": [False], "is_in_field": [True]},
    )
    tables = {"fibers": fibers(movie_id), "site_traces": traces}
    return Results(movie_id=movie_id, tables=tables, labels=labels, provenance=dict(PROVENANCE))


@pytest.mark.parametrize("table_format", ["parquet", "csv", "both"])
def test_results_come_back(tmp_path, table_format):
    given = results(cells=stack([1, 70000]), fibers=stack([3, 4]))
    before = given.fibers.copy()
    write_results(given, tmp_path / "OUT" / "m", table_format)
    pd.testing.assert_frame_equal(given.fibers, before)
    back = load_results(tmp_path / "OUT" / "m")
    assert back.movie_id == "m"
    assert back.provenance == PROVENANCE
    for name in MOVIE_TABLES:
        pd.testing.assert_frame_equal(back.tables[name], given.tables[name])
    assert set(back.labels) == {"cells", "fibers"}
    for name, labels in given.labels.items():
        assert len(back.labels[name]) == 2
        for plane, expected in zip(back.labels[name], labels, strict=True):
            np.testing.assert_array_equal(plane, expected)
    suffixes = {path.suffix for path in (tmp_path / "OUT" / "m").iterdir() if path.stem == "fibers"}
    assert suffixes == {"parquet": {".parquet"}, "csv": {".csv"}, "both": {".parquet", ".csv"}}[table_format]
    assert (tmp_path / "OUT" / "m" / "site_traces.parquet").exists()
    assert not (tmp_path / "OUT" / "m" / "site_traces.csv").exists()
    assert [path.name for path in (tmp_path / "OUT").iterdir()] == ["m"], "nothing is left beside the results"


def test_labels_are_calibrated_ome_tiff_of_the_smallest_type(tmp_path):
    write_results(results(cells=stack([1, 70000]), fibers=stack([65535])), tmp_path / "m")
    with tifffile.TiffFile(tmp_path / "m" / "labels" / "cells.tif") as tif:
        assert (tif.series[0].axes, tif.series[0].shape, tif.series[0].dtype) == ("TYX", (2, 6, 5), np.uint32)
        assert tif.is_ome
        assert 'PhysicalSizeX="0.1"' in tif.ome_metadata
        assert 'TimeIncrement="60.0"' in tif.ome_metadata
    assert tifffile.imread(tmp_path / "m" / "labels" / "fibers.tif").dtype == np.uint16


def test_parquet_carries_units_and_csv_has_one_header_row(tmp_path):
    write_results(results(), tmp_path / "m")
    schema = pyarrow.parquet.read_schema(tmp_path / "m" / "fibers.parquet")
    for column in TABLES["fibers"].columns:
        assert schema.field(column.name).metadata[b"unit"].decode() == column.unit
    lines = (tmp_path / "m" / "fibers.csv").read_text().splitlines()
    assert lines[0].split(",") == list(read_table("fibers", tmp_path / "m").columns)
    assert lines[1].split(",")[lines[0].split(",").index("cell_id")] == "", "missing is empty"
    assert len(lines) == 4
    assert "'=1+1" in lines[1], "a spreadsheet must not run it"


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)), max_size=6
    )
)
def test_any_text_survives_both_forms(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("text")
    table = fibers(n=1).iloc[:0].drop(columns="remark")
    frames = pd.DataFrame(
        {"movie_id": ["m"] * len(texts), "frame": range(len(texts)), "fiber_id": 1, "is_attached": True}
    )
    if texts:
        table = conform_table("fibers", frames.assign(n_branches=1, n_tips=0))
    table["movie_id"] = pd.array(["=cmd()"] * len(texts), dtype="string")
    table["remark"] = pd.array(texts, dtype="string")
    for form in ("parquet", "csv"):
        write_table("fibers", table, folder, form)
        back = read_table("fibers", folder)
        assert [None if pd.isna(text) else text for text in back["remark"]] == texts
        (folder / f"fibers.{form}").unlink()


@pytest.mark.parametrize(
    "texts", [["0", "1"], ["007", None], ["true", "false"], ["2026-01-02", "2026-01-03"], ["1e3", ""]]
)
def test_text_that_looks_like_something_else_stays_text_in_csv(tmp_path, texts):
    table = fibers(n=2).assign(replicate=pd.array(texts, dtype="string"), dose=[1, 2], used=[True, False])
    write_table("fibers", table, tmp_path, "csv")
    back = read_table("fibers", tmp_path)
    assert [None if pd.isna(text) else text for text in back["replicate"]] == texts
    assert back["dose"].dtype == "int64"
    assert back["used"].dtype == bool


def test_numbers_survive_csv_exactly(tmp_path):
    table = fibers()
    table["length_um"] = [0.1 + 0.2, 1e-300, np.nan]
    write_table("fibers", table, tmp_path, "csv")
    assert read_table("fibers", tmp_path)["length_um"].tolist()[:2] == [0.1 + 0.2, 1e-300]


def test_damage_is_noticed(tmp_path):
    folder = write_results(results(cells=stack([1])), tmp_path / "m")
    assert is_complete(folder)
    assert is_complete(folder, verify=True)
    content = bytearray((folder / "fibers.csv").read_bytes())
    content[-2] ^= 1
    (folder / "fibers.csv").write_bytes(content)
    assert is_complete(folder), "the size is right"
    assert not is_complete(folder, verify=True)
    (folder / "fibers.csv").write_bytes(content[:-1])
    assert not is_complete(folder)
    assert not is_complete(tmp_path / "absent")
    (folder / "manifest.json").write_text("[]")
    assert not is_complete(folder)


def test_missing_and_damaged_tables_are_named(tmp_path):
    folder = write_results(results(), tmp_path / "m", "parquet")
    (folder / "cells.parquet").write_bytes(b"no parquet")
    with pytest.raises(ReadError, match=r"cells.parquet: expected an intact table"):
        load_results(folder)
    (folder / "cells.parquet").unlink()
    with pytest.raises(ReadError, match=r"got none for cells"):
        load_results(folder)
    with pytest.raises(ReadError, match=r"movie.json"):
        load_results(tmp_path)


def test_tables_that_break_the_schema_are_refused(tmp_path):
    write_table("fibers", fibers(), tmp_path, "csv")
    path = tmp_path / "fibers.csv"
    text = path.read_text()
    path.write_text(text.replace("fiber_id", "fibre_id"))
    with pytest.raises(TableError, match=r"fibers.csv: expected column 'fiber_id'"):
        read_table("fibers", tmp_path)
    path.write_text(text.replace('"m",0,,1,', '"m",,,1,'))
    with pytest.raises(TableError, match=r"fibers.csv"):
        read_table("fibers", tmp_path)
    path.write_text(text.replace('"m",0,,1,', '"m",zero,,1,'))
    with pytest.raises(ReadError, match=r"fibers.csv"):
        read_table("fibers", tmp_path)
    with pytest.raises(TableError):
        write_table("fibers", fibers().drop(columns="frame"), tmp_path)


@pytest.mark.parametrize(
    ("module", "broken"),
    [(results_io, "write_table"), (results_io, "_write_labels"), (publish, "_write_manifest"), (publish, "sync")],
)
def test_interrupted_writing_leaves_the_old_results(tmp_path, monkeypatch, module, broken):
    folder = write_results(results(cells=stack([1])), tmp_path / "m")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, broken, full)
    new = results(cells=stack([2]))
    new.provenance["parameters"] = {"snr": 9}
    with pytest.raises(OutputError, match="No space left"):
        write_results(new, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert is_complete(folder, verify=True)
    assert os.listdir(tmp_path) == ["m"]


def test_corrections_outlive_a_new_run(tmp_path):
    folder = write_results(results(), tmp_path / "m")
    (folder / "edits.jsonl").write_text("first\n")
    assert is_complete(folder, verify=True), "corrections are not part of the results"
    (folder / "edits.anna.jsonl").write_text("second\n")
    (folder / "edits.previous.jsonl").write_text("of an earlier version\n")
    (folder / "reviewed").mkdir()
    (folder / "reviewed" / "tracks.csv").write_text("old")
    for _ in range(2):
        write_results(results(), folder)
        assert (folder / "edits.jsonl").read_text() == "first\n"
        assert (folder / "edits.anna.jsonl").read_text() == "second\n"
        assert (folder / "edits.previous.jsonl").read_text() == "of an earlier version\n"
        assert not (folder / "reviewed").exists(), "it follows from results that are gone"
    assert is_complete(folder, verify=True)


def test_load_a_batch(tmp_path):
    for name in ("a", "b"):
        write_results(results(name, cells=stack([5])), tmp_path / name)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "movie.json").write_text("{}")
    batch = load(tmp_path)
    assert batch.movie_ids == ("a", "b")
    assert batch.fibers["movie_id"].tolist() == ["a"] * 3 + ["b"] * 3
    assert str(batch.fibers["cell_id"].dtype) == "Int64"
    assert batch.migrasomes.empty
    assert batch.movies["movie_id"].tolist() == ["a", "b"]
    assert batch.movie("b").labels["cells"][0].max() == 5
    with pytest.raises(NoMoviesError, match="got 'c'"):
        batch.movie("c")
    assert load(tmp_path / "a").fibers["movie_id"].tolist() == ["a"] * 3


def test_load_keeps_failed_movies(tmp_path):
    movies = conform_table("movies", {"movie_id": ["x"], "status": ["failed"], "error": ["x: cut off"]})
    write_table("movies", movies, tmp_path)
    assert load(tmp_path).movies["status"].tolist() == ["failed"]
    assert load(tmp_path).cells.empty


def test_load_nothing(tmp_path):
    with pytest.raises(NoMoviesError, match="migradetect run"):
        load(tmp_path)
    with pytest.raises(NoMoviesError, match="check the path"):
        load(tmp_path / "absent")


def test_stored_labels_cannot_grow(tmp_path):
    write_results(results(cells=stack([1])), tmp_path / "m")
    with pytest.raises(OutputError):
        load_results(tmp_path / "m").labels["cells"].append(np.zeros((6, 5), dtype=np.uint32))


def test_json_is_plain_and_written_in_one_step(tmp_path):
    path = tmp_path / "run.json"
    atomic_write_json(path, {"a": np.float64("nan"), "b": np.arange(2), "c": (1, None), "d": tmp_path, "e": {"é"}})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "a": None,
        "b": [0, 1],
        "c": [1, None],
        "d": str(tmp_path),
        "e": ["é"],
    }
    atomic_write_text(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["run.json"]
    with pytest.raises(OutputError, match="choose another"):
        atomic_write_text(tmp_path / "absent" / "x", "")
    assert to_json(1.5) == "1.5\n"
