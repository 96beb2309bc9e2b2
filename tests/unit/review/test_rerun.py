"""Corrections and further runs: logs stay, and find their objects again by place and time."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

import migradetect as md
from migradetect.errors import EditError, MigradetectError, NoMoviesError
from migradetect.io import load_results, publish, write_results
from migradetect.review import (
    ReviewSession,
    blind_order,
    blind_tables,
    edits,
    log_path,
    review_counts,
    reviewed,
    write_reviewed,
)

#: Of the movie under review.
N_FRAMES = 10


def renumber(folder, keep=lambda number: True, shift=100, keep_candidates=True):
    """The same results under other ids, as another run would give them; some migrasomes are not found any more."""
    results = load_results(folder)
    gone = {int(n) for n in results.tracks["migrasome_id"] if not keep(int(n))}
    for name in ("tracks", "migrasomes", "site_traces"):
        table = results.tables[name]
        table = table[~table["migrasome_id"].isin(gone)].reset_index(drop=True)
        results.tables[name] = table.assign(migrasome_id=shift - table["migrasome_id"])
    cells = results.tables["cells"]
    results.tables["candidates"] = results.tables["candidates"].assign(
        candidate_id=results.tables["candidates"]["candidate_id"] + 1000
    )
    assert len(cells)
    results.labels = {}
    shutil.copytree(folder / "labels", folder.parent / "labels")
    write_results(results, folder)
    shutil.move(folder.parent / "labels", folder / "labels")
    return gone


def place_of(session, number):
    rows = session.tables["migrasomes"]
    return rows.loc[rows["migrasome_id"] == number, ["y_stage_um", "x_stage_um"]].median().to_numpy(float)


def test_corrections_find_their_objects_again(out):
    session = ReviewSession.open(out, "dish")
    numbers = session.tables["tracks"].sort_values("n_frames", ascending=False)["migrasome_id"].astype(int).tolist()
    rejected, shaped, lost, split = numbers[:4]
    cell = int(session.tables["cells"]["cell_id"].iloc[0])
    fiber = int(session.tables["fibers"].groupby("fiber_id")["length_um"].max().idxmax())
    places = {number: place_of(session, number) for number in numbers[:4]}
    session.do(edits.Reject(migrasome_id=rejected))
    session.do(edits.SetLocation(migrasome_id=shaped, location="tip"))
    session.do(edits.SetLocation(migrasome_id=lost, location="branch"))
    new = session.do(edits.Split(migrasome_id=split, frame=6)).created[0][1]
    session.do(edits.SetFate(migrasome_id=new, fate="rupture"))
    session.do(edits.SetParent(migrasome_id=shaped, cell_id=cell))
    session.do(edits.AssignFiber(fiber_id=fiber, cell_id=cell))
    before = session.path.read_bytes()
    renumber(out / "dish", keep=lambda number: number != lost)
    again = ReviewSession.open(out, "dish")
    assert again.path.read_bytes() == before
    assert len(again.orphans) == 1
    assert again.orphans[0].edit.location == "branch"
    assert f"migrasome {lost} of earlier results is not there any more" in again.orphans[0].reason
    assert again.status(100 - rejected) == "rejected"
    track = again.tables["tracks"].set_index("migrasome_id").loc[100 - shaped]
    assert (track["location"], track["cell_id"]) == ("tip", cell)
    np.testing.assert_allclose(place_of(again, 100 - shaped), places[shaped], atol=1e-6)
    late = again.tables["tracks"].query("fate == 'rupture' and edited")["migrasome_id"]
    assert len(late) == 1
    np.testing.assert_allclose(place_of(again, int(late.iloc[0])), places[split], atol=1e-6)
    # what is done now names the new ids, and outlives a restart and a further run
    again.do(edits.Resize(migrasome_id=int(late.iloc[0]), diameter_um=2.0))
    assert not [o for o in ReviewSession.open(out, "dish").orphans if o.edit.op == "resize"]
    renumber(out / "dish", shift=1000)
    third = ReviewSession.open(out, "dish")
    assert len(third.orphans) == 1
    sized = third.tables["tracks"].query("fate == 'rupture' and edited")
    assert sized["plateau_diameter_um"].tolist() == [pytest.approx(2.0)]


def test_what_was_added_and_is_found_now_is_not_there_twice(out, analysed):
    session = ReviewSession.open(out, "dish")
    rows = session.tables["migrasomes"]
    number = int(rows.groupby("migrasome_id").size().idxmax())
    kept = out.parent / "kept"
    shutil.copytree(out / "dish", kept)
    renumber(out / "dish", keep=lambda one: one != number)
    session = ReviewSession.open(out, "dish")
    n = len(session.tables["tracks"])
    one = rows[rows["migrasome_id"] == number].iloc[2]
    new = session.do(edits.Add(frame=one["frame"], y_um=one["y_um"], x_um=one["x_um"], diameter_um=1.0)).created[0][1]
    session.do(edits.SetLocation(migrasome_id=new, location="tip"))
    assert len(session.tables["tracks"]) == n + 1
    for name in ("edits.jsonl",):
        shutil.copy(out / "dish" / name, kept / name)
    again = ReviewSession.open(kept)
    assert not again.orphans
    assert len(again.tables["tracks"]) == n + 1, "the analysis finds it by itself now"
    assert again.status(number) == "edited"
    assert again.tables["tracks"].set_index("migrasome_id").loc[number, "location"] == "tip"


def test_nothing_of_another_recording_is_applied(out):
    session = ReviewSession.open(out, "dish")
    session.do(edits.Reject(migrasome_id=1))
    path = out / "dish" / "movie.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"input_hash": "another"}))
    again = ReviewSession.open(out, "dish")
    assert "another recording" in again.orphans[0].reason
    assert again.status(1) == "auto"


def test_a_line_of_a_later_version_is_listed(out):
    session = ReviewSession.open(out, "dish")
    session.do(edits.Reject(migrasome_id=1))
    line = json.loads(session.path.read_text())
    for changes, reason in (({"format": 99}, "can't read"), ({"edit": {"op": "fly"}}, "got 'fly'")):
        session.path.write_text(json.dumps(line | changes) + "\n")
        again = ReviewSession.open(out, "dish")
        assert reason in again.orphans[0].reason
        assert again.orphans[0].line["id"] == line["id"]


def test_a_run_keeps_the_logs_and_counts_what_is_reviewed(out, movies):
    from conftest import analyse

    n = len(load_results(out / "dish").tracks)
    ReviewSession.open(out, "dish").do(edits.Reject(migrasome_id=1))
    log = (out / "dish" / "edits.jsonl").read_bytes()
    (out / "dish" / "notes.txt").write_text("mine")
    write_reviewed(reviewed(out, "dish"), out / "dish")
    kept = analyse(movies, out)
    assert kept.outcomes[0].resumed
    row = kept.movies.iloc[0]
    assert (row["n_migrasomes"], row["n_edits"], row["n_orphans"]) == (n - 1, 1, 0)
    assert any("1 corrections of edits.jsonl are applied" in line for line in kept.outcomes[0].warnings)
    assert str(kept.movies["n_edits"].dtype) == "Int64"
    assert pd.read_parquet(out / "movies.parquet")["n_edits"].tolist() == [1]
    again = analyse(movies, out, judge={"method": "rules"})
    assert not again.outcomes[0].resumed
    assert (out / "dish" / "edits.jsonl").read_bytes() == log
    assert (out / "dish" / "notes.txt").read_text() == "mine"
    assert not (out / "dish" / "reviewed").exists(), "it belongs to the results that are gone"
    assert again.movies.iloc[0]["n_edits"] + again.movies.iloc[0]["n_orphans"] == 1


@pytest.mark.parametrize("where", ["copy", "first rename", "second rename"])
def test_killed_while_results_are_replaced(out, where):
    """Logs are in the folder, or come back with it, wherever the process ends."""
    ReviewSession.open(out, "dish").do(edits.Reject(migrasome_id=1))
    ReviewSession.open(out, "dish", reviewer="anna").do(edits.Reject(migrasome_id=2))
    logs = {path.name: path.read_bytes() for path in (out / "dish").glob("edits*.jsonl")}
    code = """
        import os, sys
        from migradetect.io import load_results, publish, write_results
        where = sys.argv[2]
        class Os:
            def __getattr__(self, name):
                return getattr(os, name)
            def replace(self, one, other):
                is_first = str(one).endswith("dish")
                if where == "second rename" and not is_first:
                    os.kill(os.getpid(), 9)
                os.replace(one, other)
                if where == "first rename" and is_first:
                    os.kill(os.getpid(), 9)
        publish.os = Os()
        if where == "copy":
            publish._keep_edits = lambda folder, part: os.kill(os.getpid(), 9)
        write_results(load_results(sys.argv[1]), sys.argv[1])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(out / "dish"), where],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr
    publish.recover(out / "dish")
    assert {path.name: path.read_bytes() for path in (out / "dish").glob("edits*.jsonl")} == logs
    assert ReviewSession.open(out, "dish").status(1) == "rejected"


def test_a_correction_made_while_results_are_written_is_kept(out):
    results = load_results(out / "dish")
    results.tables = {name: table.copy() for name, table in results.tables.items()}
    session = ReviewSession.open(out, "dish")
    keep, calls = publish._keep_edits, []

    def late(folder, part):
        keep(folder, part)
        calls.append(folder)
        if len(calls) == 1:
            session.do(edits.Reject(migrasome_id=1))

    publish._keep_edits = late
    try:
        write_results(results, out / "dish")
    finally:
        publish._keep_edits = keep
    assert ReviewSession.open(out, "dish").status(1) == "rejected"


def test_load_is_reviewed_and_says_so(out):
    automatic = md.load(out)
    assert not hasattr(automatic, "reviewed_movies")
    ReviewSession.open(out, "dish", reviewer="anna").do(edits.Reject(migrasome_id=1))
    results = md.load(out)
    assert results.reviewed_movies == ("dish",)
    assert "1 of them reviewed" in repr(results)
    assert len(results.tracks) == len(automatic.tracks) - 1
    assert "edited" in results.tracks
    assert len(md.load(out, reviewed=False).tracks) == len(automatic.tracks)
    assert results.movie("dish").provenance["review"]["n_edits"] == 1
    ReviewSession.open(out, "dish", reviewer="ben").do(edits.Accept(migrasome_id=1))
    with pytest.raises(EditError, match="got anna, ben; name one"):
        md.load(out)
    assert len(md.load(out, reviewer="ben").tracks) == len(automatic.tracks)
    with pytest.raises(EditError, match="one of the reviewers anna, ben"):
        md.load(out, reviewer="carl")
    with pytest.raises(MigradetectError):
        review_counts(out / "dish")


def test_reviewed_tables_on_disk(out):
    ReviewSession.open(out, "dish").do(edits.Reject(migrasome_id=1))
    place = write_reviewed(reviewed(out, "dish"), out / "dish")
    stored = pd.read_csv(place / "tracks.csv")
    assert 1 not in stored["migrasome_id"].tolist()
    assert {"edited", "edit_source", "review_status"} <= set(stored.columns)
    assert json.loads((place / "review.json").read_text())["n_edits"] == 1
    write_reviewed(reviewed(out, "dish"), out / "dish")
    assert not [path for path in (out / "dish").iterdir() if path.name.startswith(".")]


def test_blind(tmp_path, out):
    for name in "abcdefghij":
        (tmp_path / "many" / name).mkdir(parents=True)
        (tmp_path / "many" / name / "movie.json").write_text("{}")
    order = blind_order(tmp_path / "many", "anna")
    assert order == blind_order(tmp_path / "many", "anna")
    assert [one.name for one in order] == [f"movie {k:02d}" for k in range(1, 11)]
    assert sorted(one.movie_id for one in order) == list("abcdefghij")
    assert [one.movie_id for one in order] != list("abcdefghij")
    assert order != blind_order(tmp_path / "many", "ben")
    with pytest.raises(NoMoviesError):
        blind_order(tmp_path / "none")
    tables = blind_tables(ReviewSession.open(out, "dish").tables, "movie 1")
    for table in tables.values():
        assert not {"condition", "time_offset_min", "path"} & set(table.columns)
        assert "dish" not in table.astype(str).to_numpy()
    assert tables["frames"]["time_min"].iloc[0] == 0


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "migradetect", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_evaluate_scores_the_reviewed_state_and_says_so(out, analysed):
    session = ReviewSession.open(out, "dish")
    n = len(session.tables["tracks"])
    session.do(edits.Reject(migrasome_id=1))
    for options, expected in (((), n - 1), (("--automatic",), n)):
        ended = command("evaluate", out, analysed, "--agreement", *options, "--out", out / "scores.csv")
        assert ended.returncode == 0, ended.stderr
        assert ("reviewed state" in ended.stdout + ended.stderr) == (not options)
        assert pd.read_csv(out / "scores.csv").set_index("metric")["value"]["n_migrasomes_first"] == expected


def test_evaluate_takes_the_reviewer_who_is_named(out, analysed, cli):
    n = len(ReviewSession.open(out, "dish").tables["tracks"])
    for name, numbers in (("anna", (1,)), ("ben", (1, 2)), ("Cleo B", ())):
        session = ReviewSession.open(out, "dish", reviewer=name)
        for number in numbers:
            session.do(edits.Reject(migrasome_id=number))
    session.do(edits.SetLocation(migrasome_id=2, location="tip"))

    def counted(*options):
        code, shown, err = cli("evaluate", out, analysed, "--agreement", *options, "--out", out / "scores.csv")
        assert code == 0, err
        assert "Traceback" not in err
        return pd.read_csv(out / "scores.csv").set_index("metric")["value"]["n_migrasomes_first"], shown + err

    for name, expected in (("anna", n - 1), ("ben", n - 2), ("cleo b", n)):
        number, said = counted("--reviewer", name)
        assert number == expected
        assert "reviewed state" in said
    # nobody is named: one line that names those who can be
    for options, words in (
        ((), "--reviewer anna"),
        (("--reviewer", "carl"), "expected one of the reviewers anna, ben, cleo_b, got 'carl'"),
        (("--reviewer", "anna", "--automatic"), "no --automatic"),
    ):
        code, _, err = cli("evaluate", out, analysed, *options)
        assert code in (2, 3)
        assert words in " ".join(err.split())
        assert "Traceback" not in err
    # agreement: the two who are named, or the only two
    code, _, err = cli("evaluate", out, "--agreement")
    assert code == 2
    assert "expected just two reviewers, got anna, ben, cleo_b" in " ".join(err.split())
    log_path(out / "dish", "Cleo B").unlink()
    code, shown, err = cli("evaluate", out, "--agreement", "--out", out / "two.csv")
    assert code == 0, err
    assert "agreement of anna and ben" in " ".join((shown + err).split())
    scores = pd.read_csv(out / "two.csv").set_index("metric")["value"]
    assert (scores["n_migrasomes_first"], scores["n_migrasomes_second"]) == (n - 1, n - 2)
    assert np.isfinite(scores["kappa_detection"])


@pytest.fixture
def cli(monkeypatch, capsys):
    """The command line in this process: exit code, what was printed, and what was said on stderr."""
    from migradetect.cli import main

    def run(*words):
        monkeypatch.setattr("sys.argv", ["migradetect", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_films_of_an_output_folder(out, tmp_path, cli):
    from PIL import Image

    session = ReviewSession.open(out, "dish")
    session.do(edits.Reject(migrasome_id=1))
    code, shown, err = cli("export", out, "--to", "film", "--film-format", "gif", "--out", tmp_path / "films")
    assert code == 0, err
    assert "dish.gif" in shown
    assert "with the corrections of the review: dish" in " ".join(err.split())
    with Image.open(tmp_path / "films" / "dish.gif") as film:
        assert film.n_frames == N_FRAMES
    assert json.loads((tmp_path / "films" / "export.json").read_text())["files"]["dish.gif"]["state"]["n_edits"] == 1
    # again: ours is replaced, a file of somebody else is not
    assert cli("export", out, "--to", "film", "--film-format", "gif", "--out", tmp_path / "films")[0] == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dish.tif").write_text("mine")
    code, _, err = cli("export", out, "--to", "film", "--film-format", "tif", "--out", tmp_path / "other")
    assert code != 0
    assert "something else" in err
    assert cli("export", out, "--to", "film", "--frames-per-s", "0")[0] == 2
    # without the recording there is no film: one line
    record = out / "dish" / "movie.json"
    # of the same length: the folder is complete as before
    record.write_text(record.read_text().replace("dish.ome.tif", "gone.ome.tif"))
    code, _, err = cli("export", out, "--to", "film", "--film-format", "gif", "--out", tmp_path / "none")
    assert code != 0
    assert "gone.ome.tif" in err
    assert "Traceback" not in err


def test_a_film_that_is_stopped_leaves_nothing(out, tmp_path):
    from migradetect.errors import CancelledError, ParamsError
    from migradetect.film import export_films

    told = []

    def progress(done, total, name):
        told.append((done, total, name))

    with pytest.raises(CancelledError):
        export_films(md.load(out), tmp_path / "x", suffix=".gif", progress=progress, cancel=lambda: len(told) >= 2)
    assert told == [(1, N_FRAMES, "dish"), (2, N_FRAMES, "dish")]
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["export.json"]
    with pytest.raises(ParamsError, match=r"expected one of .mp4"):
        export_films(md.load(out), tmp_path / "x", suffix=".avi")


def test_command_line(out):
    anna = ReviewSession.open(out, "dish", reviewer="anna")
    ben = ReviewSession.open(out, "dish", reviewer="ben")
    anna.do(edits.Reject(migrasome_id=1))
    ben.do(edits.SetLocation(migrasome_id=2, location="tip"))
    n = len(ben.tables["tracks"])
    ended = command("evaluate", out, "--agreement", "--reviewers", "anna,ben", "--out", out / "scores.csv")
    assert ended.returncode == 0, ended.stderr
    scores = pd.read_csv(out / "scores.csv").set_index("metric")["value"]
    assert scores["f1_migrasomes"] == pytest.approx(2 * (n - 1) / (2 * n - 1))
    assert scores["n_migrasomes_first"] == n - 1
    assert np.isfinite(scores["kappa_detection"])
    for names in ("anna", "anna,anna"):
        ended = command("evaluate", out, "--agreement", "--reviewers", names)
        assert (ended.returncode, "expected two names" in ended.stderr) == (2, True)
    ended = command("evaluate", out, "--agreement", "--reviewers", "anna,carl")
    assert (ended.returncode, "anna, ben" in ended.stderr, "'carl'" in ended.stderr) == (3, True, True)
    assert "expected truth" in command("evaluate", out).stderr
    ended = command("review", out, "--write", "--reviewer", "anna")
    assert ended.returncode == 0, ended.stderr
    assert "1 corrections applied" in ended.stdout
    shutil.rmtree(out / "dish" / "reviewed")
    log_path(out / "dish", "ben").unlink()
    renumber(out / "dish", keep=lambda number: number != 1)
    ended = command("review", out, "--orphans")
    assert ended.returncode == 0, ended.stderr
    assert "not there any more" in ended.stdout
    ended = command("status", out, "--cells")
    assert ended.returncode == 0, ended.stderr
    assert "orphans" in ended.stdout


def test_without_windows_there_is_one_line(out, monkeypatch):
    import builtins

    import typer

    from migradetect.cli import review as cli

    def absent(name, *args, **options):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(cli, "import_module", absent)
    with pytest.raises(typer.Exit) as ended:
        cli.command(out)
    assert ended.value.exit_code == 2
    seen = []
    monkeypatch.setattr(
        cli, "import_module", lambda name: builtins.type("Gui", (), {"launch": lambda *a, **k: seen.append((a, k))})
    )
    cli.command(out, movie="dish", reviewer="anna", blind=True)
    assert seen == [((out,), {"movie_id": "dish", "reviewer": "anna", "blind": True})]
    with pytest.raises(NoMoviesError, match="one of the movies dish"):
        cli.command(out, movie="dash")
