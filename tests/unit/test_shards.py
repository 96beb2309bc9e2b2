"""Shards: the same division everywhere, and a merge that gives what one run gives."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import batch_fakes
import pytest

from migradetect.batch import OutputLock, divide, estimate_work, merge_shards, parse_shard, run_batch, shard_folder
from migradetect.errors import NoMoviesError, OutputError, ParamsError, ReadError
from migradetect.io import MovieEntry, find_movies, is_complete
from migradetect.params import load_params

PARAMS = load_params(environ={})
NAMES = ("a", "b", "bug", "d10", "d2", "e")


def entries_of(folder: Path, sizes: list[int]) -> list[MovieEntry]:
    folder.mkdir()
    entries = []
    for number, size in enumerate(sizes):
        path = folder / f"m{number}.tif"
        path.write_bytes(bytes(size))
        entries.append(MovieEntry(path.stem, path, (path,), "tiff"))
    return entries


def test_every_movie_is_in_one_shard_and_sizes_are_even(tmp_path):
    sizes = [1000, 10, 10, 500, 480, 20, 990, 1, 0, 0]
    entries = entries_of(tmp_path / "in", sizes)
    parts = [divide(entries, index, 3) for index in (1, 2, 3)]
    assert sorted(place for part in parts for place in part.places) == list(range(len(sizes)))
    loads = [sum(sizes[place] for place in part.places) for part in parts]
    assert max(loads) - min(loads) < 40
    assert all(list(part.places) == sorted(part.places) for part in parts), "natural order inside of a shard"
    assert len({part.digest for part in parts}) == 1


def test_the_division_is_that_of_another_process(tmp_path):
    folder = batch_fakes.make_movies(tmp_path / "in", *NAMES)
    code = (
        "import sys; from migradetect.batch import divide; from migradetect.io import find_movies\n"
        "print([divide(find_movies([sys.argv[1]]), i, 3).places for i in (1, 2, 3)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale},
        ).stdout
        for seed, locale in (("1", "C"), ("2", "C.UTF-8"))
    }
    here = [divide(find_movies([folder]), i, 3).places for i in (1, 2, 3)]
    assert said == {f"{here}\n"}


def test_positions_of_a_file_share_its_size(tmp_path):
    (big, small) = entries_of(tmp_path / "in", [900, 400])
    positions = [dataclasses.replace(big, movie_id=f"p{k}", position=k) for k in range(3)]
    parts = [divide([*positions, small], index, 2) for index in (1, 2)]
    assert sorted(len(part.entries) for part in parts) == [2, 2]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "a/b", "-1/3", "1/2/3", "1.0/2", "\uff11/2"])
def test_bad_shards_are_refused(text):
    with pytest.raises(ParamsError, match="--shard"):
        parse_shard(text)


def test_good_shards():
    assert parse_shard("3/40") == (3, 40)
    assert parse_shard("1/1") == (1, 1)


@pytest.fixture
def batch(tmp_path):
    """Movies, and a function that runs one shard of them."""
    folder = batch_fakes.make_movies(tmp_path / "in", *NAMES)

    def run(index, count, out="out", params=PARAMS, **options):
        entries = find_movies([folder])
        part = None if index is None else divide(entries, index, count)
        options = {"workers": 0, "analyze": batch_fakes.analyze, "command": "migradetect run", **options}
        return run_batch(entries, tmp_path / out, params, shard=part, **options)

    return run


def files_of(out: Path, *suffixes: str) -> dict[str, bytes]:
    paths = [path for path in sorted(out.rglob("*")) if path.is_file() and path.suffix in suffixes]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths if "shards" not in path.parts}


def test_the_merge_is_that_of_one_run_and_idempotent(batch, tmp_path):
    batch(None, None, out="one")
    for index in (2, 1, 3):
        batch(index, 3)
    summary = merge_shards(tmp_path / "out")
    one = files_of(tmp_path / "one", ".parquet", ".csv", ".tif")
    assert len(one) > 30, "test invalid: hardly any result"
    assert files_of(tmp_path / "out", ".parquet", ".csv", ".tif") == one
    assert [outcome.movie_id for outcome in summary.outcomes] == [
        entry.movie_id for entry in find_movies([tmp_path / "in"])
    ]
    assert summary.count("done") == len(NAMES) - 1
    assert summary.count("failed") == 1
    assert all(is_complete(tmp_path / "out" / name, verify=True) for name in NAMES if name != "bug")
    before = files_of(tmp_path / "out", ".parquet", ".csv", ".tif", ".json")
    stamps = {name: (tmp_path / "out" / name / "movie.json").stat().st_mtime_ns for name in ("a", "e")}
    again = merge_shards(tmp_path / "out")
    assert all(outcome.resumed for outcome in again.outcomes if outcome.status == "done")
    assert files_of(tmp_path / "out", ".parquet", ".csv", ".tif", ".json") == before
    assert {name: (tmp_path / "out" / name / "movie.json").stat().st_mtime_ns for name in ("a", "e")} == stamps
    # shards stay resumable, and a run that is not sharded keeps what was merged
    assert all(outcome.resumed for outcome in batch(1, 3).outcomes if outcome.status == "done")
    assert sum(outcome.resumed for outcome in batch(None, None).outcomes) == len(NAMES) - 1


def test_a_shard_without_movies_is_a_shard(batch, tmp_path):
    count = len(NAMES) + 2
    for index in range(1, count + 1):
        batch(index, count)
    summary = merge_shards(tmp_path / "out")
    assert len(summary.outcomes) == len(NAMES)


def test_missing_and_stopped_shards_are_named(batch, tmp_path):
    with pytest.raises(NoMoviesError, match="--shard i/n"):
        merge_shards(tmp_path / "out")
    batch(1, 4)
    with pytest.raises(OutputError, match=r"none for 2, 3, 4; .*--allow-missing"):
        merge_shards(tmp_path / "out")
    batch(2, 4)
    batch(3, 4)
    batch(4, 4, cancel=lambda: True)
    with pytest.raises(OutputError, match="shards 4 that were stopped"):
        merge_shards(tmp_path / "out")
    some = merge_shards(tmp_path / "out", allow_missing=True)
    assert some.count("skipped") >= 1
    assert len(some.outcomes) == len(NAMES)
    batch(4, 4)
    assert merge_shards(tmp_path / "out").count("skipped") == 0


def test_a_shard_at_work_is_not_merged(batch, tmp_path):
    batch(1, 2)
    batch(2, 2)
    with OutputLock(shard_folder(tmp_path / "out", 2, 2)), pytest.raises(OutputError, match="2/2 is still at work"):
        merge_shards(tmp_path / "out")


def test_other_parameters_are_refused_with_both_named(batch, tmp_path):
    batch(1, 2)
    batch(2, 2, params=load_params(overrides={"spots.min_snr": 5.5}, environ={}))
    with pytest.raises(OutputError) as caught:
        merge_shards(tmp_path / "out")
    line = str(caught.value)
    assert "\n" not in line
    assert "1/2" in line
    assert "2/2" in line
    assert f"spots.min_snr, got {PARAMS.spots.min_snr} and 5.5" in line
    assert not (tmp_path / "out" / "run.json").exists(), "nothing was merged"


@pytest.mark.parametrize("what", ["migradetect", "numpy", "movies", "count", "twice", "no shard"])
def test_shards_that_do_not_belong_together_are_refused(batch, tmp_path, what):
    batch(1, 2)
    batch(2, 2)
    path = shard_folder(tmp_path / "out", 2, 2) / "run.json"
    record = json.loads(path.read_text())
    expected = "expected the same"
    if what == "migradetect":
        record["migradetect"] = "0.0.1"
    elif what == "numpy":
        record["versions"]["numpy"] = "1.0"
        expected = "version of numpy, got .* and .1.0"
    elif what == "movies":
        batch_fakes.make_movies(tmp_path / "in", "late")
        batch(2, 2)
        record = json.loads(path.read_text())
        expected = "movies .names and sizes., got 6 of them and 7"
    elif what == "count":
        batch(1, 3)
        expected = "number of shards, got 2 and 3"
    elif what == "twice":
        shutil.copytree(path.parent, tmp_path / "elsewhere")
        expected = "got 2/2 twice"
    else:
        del record["shard"]
        expected = "something else"
    path.write_text(json.dumps(record))
    further = [tmp_path / "elsewhere"] if what == "twice" else []
    with pytest.raises((OutputError, ReadError), match=expected):
        merge_shards(tmp_path / "out", further)


def test_a_platform_of_another_name_is_no_difference(batch, tmp_path):
    batch(1, 2)
    batch(2, 2)
    path = shard_folder(tmp_path / "out", 2, 2) / "run.json"
    record = json.loads(path.read_text())
    record["versions"]["platform"] = "Linux on the other node"
    path.write_text(json.dumps(record))
    assert merge_shards(tmp_path / "out").count("done") == len(NAMES) - 1


def test_shards_of_another_disk_are_copied(batch, tmp_path, monkeypatch):
    def no_links(*args, **options):
        raise OSError("no links here")

    batch(1, 2)
    batch(2, 2, out="elsewhere")
    batch(None, None, out="one")
    monkeypatch.setattr("os.link", no_links)
    merge_shards(tmp_path / "out", [tmp_path / "elsewhere"])
    kinds = (".parquet", ".csv", ".tif")
    assert files_of(tmp_path / "out", *kinds) == files_of(tmp_path / "one", *kinds)


def test_a_damaged_shard_fails_its_movie_only(batch, tmp_path):
    batch(1, 1)
    (shard_folder(tmp_path / "out", 1, 1) / "a" / "tracks.csv").write_text("half")
    summary = merge_shards(tmp_path / "out")
    outcome = next(outcome for outcome in summary.outcomes if outcome.movie_id == "a")
    assert outcome.status == "failed"
    assert "--shard 1/1" in outcome.error
    assert not (tmp_path / "out" / "a").exists()
    assert summary.count("done") == len(NAMES) - 2
    batch(1, 1)
    assert merge_shards(tmp_path / "out").count("done") == len(NAMES) - 1


def test_corrections_are_not_replaced(batch, tmp_path):
    batch(1, 1)
    merge_shards(tmp_path / "out")
    (tmp_path / "out" / "a" / "edits.jsonl").write_text("{}\n")
    assert merge_shards(tmp_path / "out").count("done") == len(NAMES) - 1, "the same results: corrections stay"
    batch(1, 1, force=True)
    assert merge_shards(tmp_path / "out").count("done") == len(NAMES) - 1, "the same, but for the seconds they took"
    batch(1, 1, params=load_params("strict", environ={}))
    outcome = next(outcome for outcome in merge_shards(tmp_path / "out").outcomes if outcome.movie_id == "a")
    assert outcome.status == "failed"
    assert "corrections" in outcome.error
    assert (tmp_path / "out" / "a" / "edits.jsonl").read_text() == "{}\n"


def test_a_folder_of_others_is_not_merged_into(batch, tmp_path):
    batch(1, 1)
    (tmp_path / "out" / "movies.csv").write_text("title,director\n")
    with pytest.raises(OutputError, match="something else"):
        merge_shards(tmp_path / "out")


def test_work_is_read_from_the_headers(tmp_path):
    folder = batch_fakes.make_movies(tmp_path / "in", "a", "b", n_frames=3)
    (folder / "bad.tif").write_bytes(b"no tiff")
    work = estimate_work(find_movies([folder]))
    assert work.n_movies == 2
    assert work.pixels == 2 * 3 * 16 * 16
    assert work.shards(60, 4) == 1
    big = dataclasses.replace(work, n_movies=1536, pixels=1536 * 10**9, largest_movie_pixels=10**9)
    n = big.shards(60, 4)
    assert 1 < n < 1536
    assert 60 <= big.minutes(n, 4) < 80
    assert big.shards(0.01, 1) == 1536, "never more shards than movies"
