"""The report: one file that fetches nothing, tells failures first, and takes names as they are."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import migradetect.report
import migradetect.report._data as data
import migradetect.report._write as writing
from migradetect import Calibration
from migradetect.batch import run_batch
from migradetect.cli import main
from migradetect.errors import CancelledError, NoMoviesError, OutputError, ReadError
from migradetect.io import find_movies, load, open_movie, write_movie
from migradetect.params import Params
from migradetect.report import write_movie_report, write_report
from migradetect.report._data import Tables, load_batch
from migradetect.report._flags import FLAGS, explain
from migradetect.report._methods import CITATION, TITLE, bibtex
from migradetect.report._pictures import Detail
from migradetect.report._write import _section
from migradetect.results import LabelStack, Results
from migradetect.tables import conform_table

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
N_FRAMES, SIZE = 12, 96


def _results(movie, n_migrasomes=8):
    """Results of a made-up movie: migrasomes that are born and grow, one cell, one fiber; frame 3 was left out."""
    rng = np.random.default_rng(len(movie.movie_id))
    name = movie.movie_id
    size_um = movie.calibration.um(float(movie.height))
    interval = movie.calibration.frame_interval_min
    rows, tracks = [], []
    for number in range(1, n_migrasomes + 1):
        birth = number % 5
        y, x = rng.uniform(3, size_um - 3, 2)
        tracks.append(
            {
                "migrasome_id": number,
                "birth_time_min": birth * interval if birth else np.nan,
                "lifetime_min": (movie.n_frames - birth) * interval,
                "is_left_censored": birth == 0,
                "is_right_censored": True,
                "plateau_diameter_um": 1.0 + 0.1 * number,
                "tau_min": 5.0,
                "location": "tip",
                "fate": "persist",
                "n_frames": movie.n_frames - birth,
                "score": 0.9,
                "kind": "migrasome",
            }
        )
        for frame in range(birth, movie.n_frames):
            rows.append(
                {
                    "migrasome_id": number,
                    "frame": frame,
                    "time_min": frame * interval,
                    "y_um": y,
                    "x_um": x,
                    "diameter_um": 1.0,
                    "diameter_err_um": 0.05,
                    "tspan4_signal": 100.0,
                    "snr": 12.0,
                }
            )
    migrasomes = pd.DataFrame(rows).assign(movie_id=name)
    flags = dict.fromkeys(["is_on_fiber", "is_attached", "is_measured"], True) | {"is_covered": False}
    frames = pd.DataFrame({"frame": range(movie.n_frames)}).assign(
        time_min=lambda t: t.frame * interval, n_cells=1, n_candidates=3, qc_flags="", focus=1.0, drift_y_um=0.1,
        drift_x_um=0.0, bleaching_tspan4=1.0, movie_id=name,
    )  # fmt: skip
    frames.loc[frames.frame == 3, "qc_flags"] = "out_of_focus"
    frames = frames.astype({"n_cells": "Int64"})
    frames.loc[frames.frame == 3, "n_cells"] = pd.NA
    cells = pd.DataFrame({"frame": range(movie.n_frames)}).assign(cell_id=1, touches_border=False, movie_id=name)
    summary = pd.DataFrame(
        {"cell_id": [1, 2], "n_frames": movie.n_frames, "n_migrasomes": [n_migrasomes, 0], "fiber_length_um": [40.0, 0]}
    ).assign(movie_id=name, touches_border=False, observed_min=20.0, mean_speed_um_per_min=0.5, persistence=0.5)
    tables = {
        "migrasomes": migrasomes.assign(**flags, score=0.9),
        "tracks": pd.DataFrame(tracks).assign(movie_id=name),
        "site_traces": migrasomes.assign(is_covered=False, is_in_field=True),
        "frames": frames,
        "cells": cells,
        "cell_summary": summary,
    }
    body = np.zeros(movie.shape_yx, int)
    body[10:40, 10:40] = 1
    line = np.zeros(movie.shape_yx, int)
    line[60, 10:80] = 1
    labels = {key: LabelStack(movie.shape_yx) for key in ("cells", "fibers")}
    for _ in range(movie.n_frames):
        labels["cells"].append(body)
        labels["fibers"].append(line)
    known = {
        "frames_left_out": [3], "shape_yx": list(movie.shape_yx), "n_frames": movie.n_frames, "psf_fwhm_um": 0.4,
        "psf_source": "measured", "channels": list(movie.roles), "input": movie.provenance,
    }  # fmt: skip
    return Results(name, {key: conform_table(key, table) for key, table in tables.items()}, labels, known)


def analyze(movie, params, *, progress=None, cancel=None):
    if "bad" in movie.movie_id:
        raise ReadError(f"{HOSTILE}: expected pixels, got none; record it again")
    results = _results(movie)
    results.annotate(movie.provenance["annotations"])  # as the pipeline does
    return results


def make_batch(folder, names, conditions, size=SIZE, n_frames=N_FRAMES):
    (folder / "in").mkdir()
    for seed, name in enumerate(names):
        counts = np.random.default_rng(seed).integers(90, 130, (n_frames, 2, size, size), dtype=np.uint16)
        write_movie(folder / "in" / f"{name}.ome.tif", counts, "TCYX", Calibration(0.15, 120.0), ["tspan4", "wga"])
    quoted = ['"' + text.replace('"', '""') + '"' for text in conditions]
    lines = [
        f"{name}.ome.tif,{well},{condition},{number // 2}"
        for number, (name, well, condition) in enumerate(
            zip(names, ("B02", "B03", "C02", "C03", "D02"), quoted, strict=False)
        )
    ]
    (folder / "in" / "plate.csv").write_text("\n".join(["file,well,condition,replicate", *lines]), encoding="utf-8")
    run_batch(find_movies([folder / "in"]), folder / "out", Params(), workers=0, analyze=analyze, command="run <b>")
    return folder / "out"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    return make_batch(folder, ["a", "b", "c", "d", "bad"], ["control", HOSTILE] * 3)


@pytest.fixture
def out(made, tmp_path, monkeypatch):
    """A copy to write into; plots, which take most of the time, are tested on the pages above."""
    monkeypatch.setattr(writing, "overview_charts", lambda *_, **__: [])
    monkeypatch.setattr(writing, "movie_charts", lambda *_: [])
    shutil.copytree(made.parent, tmp_path / "batch")
    return tmp_path / "batch" / "out"


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.text, self.tags, self.data = text, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.data.append(data)

    def all(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]

    @property
    def words(self):
        return " ".join(" ".join(self.data).split())


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    copy = tmp_path_factory.mktemp("page")
    shutil.copytree(made.parent, copy / "batch")
    return Page(write_report(copy / "batch" / "out").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def movie_page(made, tmp_path_factory):
    copy = tmp_path_factory.mktemp("movie_page")
    shutil.copytree(made.parent, copy / "batch")
    return Page(write_movie_report(copy / "batch" / "out", "a").read_text(encoding="utf-8"))


@pytest.fixture(params=["batch", "movie"])
def any_page(request, page, movie_page):
    return page if request.param == "batch" else movie_page


def requests(page):
    """Every address in a page that a browser would fetch."""
    found = []
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            if name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action", "formaction", "background"):
                found.append((tag, value))
            found += [(tag, url) for url in re.findall(r"url\(\s*['\"]?([^)'\"]*)", value or "")]
    found += [("style", url) for url in re.findall(r"url\(\s*['\"]?([^)'\"]*)", " ".join(page.data))]
    return found


def test_nothing_is_fetched_and_nothing_runs(any_page):
    assert requests(any_page), "test invalid: there are pictures and links"
    for tag, url in requests(any_page):
        inside = url.startswith(("#", "data:image/webp;base64,", "data:image/png;base64,")) or re.fullmatch(
            r"[\w.%-]+/report\.html", url
        )
        assert inside, (tag, url[:80])
    assert not any_page.all("script", "link", "iframe", "object", "embed", "base", "form", "video", "audio")
    assert "@import" not in any_page.text
    assert not [name for _, attrs in any_page.tags for name in attrs if name.startswith("on")]
    policy = [attrs["content"] for attrs in any_page.all("meta") if "http-equiv" in attrs]
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'")


def test_the_check_for_requests_can_fail():
    assert requests(Page('<p style="background: url(https://x.org/a.png)">'))
    assert requests(Page('<img src="http://x.org/a.png">'))
    assert requests(Page("<style>@font-face { src: url('//x.org/f') }</style>"))


def test_names_are_text_whatever_they_are(any_page):
    assert "<script" not in any_page.text
    assert not any_page.all("script")


def test_hostile_condition_and_error_are_shown(page):
    assert HOSTILE in page.words
    assert "{{7*7}}" in page.words, "a name is no template"
    assert "run <b>" in page.words


def test_failures_come_first(page):
    assert page.words.index("1 of 5 movies has no results") < page.words.index(["Overview", "movies"][0] + " 4")
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page.text)
    assert headings[0] == "1 of 5 movies has no results"
    assert "expected pixels, got none; record it again" in page.words


def test_flags_are_told_with_their_reason_and_frames(any_page):
    assert "fine detail is below half of the usual" in any_page.words
    rows = re.findall(r"<tr><th scope=\"row\">.*?out_of_focus.*?</tr>", any_page.text, re.S)
    assert rows
    assert "<td>3</td>" in rows[0]


def test_numbers_of_the_overview(page):
    assert "4 movies analysed" in page.words
    assert "8 cells" in page.words
    assert "32 migrasomes" in page.words
    assert "n = 2 replicates, 4 cells" in page.words


def test_structure_for_screen_readers_and_keyboards(any_page):
    tags = any_page.tags
    assert any_page.all("html")[0]["lang"] == "en"
    assert len(any_page.all("h1")) == 1
    assert len(any_page.all("main")) == len(any_page.all("nav")) == len(any_page.all("header")) == 1
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    pictures = any_page.all("img")
    assert pictures
    assert all(attrs["alt"] for attrs in pictures)
    assert all(int(attrs["width"]) > 0 for attrs in pictures), "the page does not jump while it loads"
    for attrs in any_page.all("svg"):
        assert attrs.get("aria-hidden") == "true" or (attrs["role"] == "img" and attrs["aria-label"])
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids)), [name for name in ids if ids.count(name) > 1][:5]
    links = [attrs["href"][1:] for attrs in any_page.all("a") if attrs["href"].startswith("#")]
    assert "main" in links
    assert set(links) <= set(ids)
    labelled = {attrs["aria-labelledby"] for _, attrs in tags if "aria-labelledby" in attrs}
    assert labelled <= set(ids)
    assert all(attrs.get("scope") in ("row", "col") for attrs in any_page.all("th"))


def test_references_inside_svg_resolve(page):
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    used = {attrs.get("xlink:href", "")[1:] for attrs in page.all("use")}
    clips = set(re.findall(r"url\(#([^)]+)\)", page.text))
    assert used, "test invalid: markers are drawn with use"
    assert used <= ids
    assert clips <= ids


def test_every_movie_has_frames_strips_and_curves(page):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page.text)
    for name in ("first", "middle", "last"):
        assert sum(text.startswith(f"{name} frame") for text in captions) == 4
    assert any("middle frame (6, 12 min): 1 cell, 0 fibers, 8 migrasomes" in text for text in captions)
    assert sum(text.startswith("migrasome ") for text in captions) >= 8
    assert page.words.count("Drift, bleaching and focus") >= 4
    assert len(page.all("details")) == 5, "four movies and the parameters"


def test_a_frame_that_was_left_out_is_not_shown(out):
    path = out / "a" / "movie.json"
    known = json.loads(path.read_text())
    known["frames_left_out"] = [0, 3, 11]
    path.write_text(json.dumps(known))
    manifest = json.loads((out / "a" / "manifest.json").read_text())
    manifest["files"]["movie.json"]["bytes"] = path.stat().st_size
    (out / "a" / "manifest.json").write_text(json.dumps(manifest))
    text = write_movie_report(out, "a").read_text()
    assert "first frame (1, 2 min)" in text
    assert "last frame (10, 20 min)" in text


def test_methods_are_ready_to_paste(any_page):
    words = any_page.words
    assert "were analysed with migradetect" in words or "was analysed" in words
    assert "0.15 µm per pixel" in words
    assert "120 s between frames" in words
    assert "score of at least 0.77" in words
    assert CITATION in words


def test_citation_is_that_of_the_repository():
    known = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'title: "{TITLE}"' in known
    version = re.search(r"^version: (.*)$", known, re.M)[1]
    assert version in CITATION
    assert version in bibtex("2030")


def test_every_flag_has_a_reason():
    documented = set()
    for name in ("promises.md", "inputs.md"):
        for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
            cell = line.split("|")[1].strip() if line.startswith("| `") else ""
            documented |= {
                flag for flag in re.findall(r"`(\w+)`", cell) if "_" in flag or flag in ("missing", "constant")
            }
    assert len(documented) > 10, "test invalid: the tables of flags were not found"
    assert documented - {"plate_csv"} <= set(FLAGS), documented - set(FLAGS)


def test_frames_of_a_flag_are_drawn_together():
    frames = pd.DataFrame(
        {"frame": range(6), "qc_flags": ["", "saturated", "saturated,out_of_focus", "saturated", "", "new"]}
    )
    lines = {line.flag: line for line in explain(frames, ["pixel_size_is_1"])}
    assert lines["saturated"].frames == "1-3"
    assert lines["out_of_focus"].frames == "2"
    assert lines["pixel_size_is_1"].frames == ""
    assert lines["new"].reason, "a flag that is not known is shown all the same"


def test_a_recording_that_has_gone_leaves_the_outlines(out, monkeypatch):
    def gone(*_):
        raise ReadError("in/a.tif: expected the movie there, got nothing; put it back")

    monkeypatch.setattr(data, "reopen_movie", gone)
    page = Page(write_report(out).read_text())
    assert "the recording could not be read, only outlines" in page.text
    assert "no pictures: " in page.words
    assert len(page.all("img")) == 4 * 3


def test_results_that_were_damaged_are_failures(out):
    (out / "b" / "tracks.parquet").write_bytes(b"cut")
    page = Page(write_report(out).read_text())
    assert "2 of 5 movies have no results" in page.words
    assert "results are missing or damaged" in page.words


def test_an_odd_movie_does_not_take_the_report_from_the_others(out, monkeypatch):
    def odd(one, *_):
        if one.movie_id == "b":
            raise ZeroDivisionError("division by zero")
        return []

    monkeypatch.setattr(writing, "movie_charts", odd)
    page = Page(write_report(out).read_text())
    assert "Not everything can be shown: unexpected ZeroDivisionError" in page.words
    assert sum(text.startswith("first frame") for text in re.findall(r"<figcaption>(.*?)<", page.text)) == 3


def test_names_in_control_characters_are_escaped(out):
    path = out / "a" / "movie.json"
    known = json.loads(path.read_text())
    known["warnings"] = ["evil\u202etxt.exe \x1b[31m\udcff"]
    path.write_text(json.dumps(known))
    manifest = json.loads((out / "a" / "manifest.json").read_text())
    manifest["files"]["movie.json"]["bytes"] = path.stat().st_size
    (out / "a" / "manifest.json").write_text(json.dumps(manifest))
    text = write_report(out).read_text()
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert r"evil\u202etxt.exe \x1b[31m\udcff" in text


def test_a_report_that_can_not_be_written_leaves_the_old_one(out, monkeypatch):
    write_report(out)
    before = (out / "report.html").read_bytes()
    monkeypatch.setattr(writing, "atomic_write_text", lambda *_: (_ for _ in ()).throw(OutputError("disk full")))
    with pytest.raises(OutputError):
        write_report(out)
    assert (out / "report.html").read_bytes() == before
    assert not list(out.glob(".report*"))


def test_progress_and_cancel(out):
    told = []
    write_report(out, progress=lambda *step: told.append(step))
    assert told == [(0, 4, "a"), (1, 4, "b"), (2, 4, "c"), (3, 4, "d"), (4, 4, "overview")]
    (out / "report.html").unlink()
    with pytest.raises(CancelledError):
        write_report(out, cancel=lambda: True)
    assert not (out / "report.html").exists()


def test_inputs_and_results_are_not_changed(out):
    before = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    write_report(out)
    after = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    assert after.pop(out / "report.html")
    assert after == before


def test_nothing_done_is_a_report_of_failures(tmp_path):
    out = make_batch(tmp_path, ["bad1", "bad2"], ["x", "y"])
    page = Page(write_report(out).read_text())
    assert "2 of 2 movies have no results" in page.words
    with pytest.raises(NoMoviesError, match="none"):
        write_report(tmp_path)


def test_no_plate_and_single_frames(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    counts = np.random.default_rng(0).integers(90, 130, (1, 1, 64, 80), dtype=np.uint16)
    write_movie(folder / "one.tif", counts, "TCYX", Calibration(0.15, None), ["wga"])
    run_batch(find_movies([folder]), tmp_path / "out", Params(), workers=0, analyze=_single)
    page = Page(write_report(tmp_path / "out").read_text())
    assert "No conditions" in page.words
    assert "single frame" in page.words
    Page(write_movie_report(tmp_path / "out", "one").read_text())


def _single(movie, params, *, progress=None, cancel=None):
    frames = conform_table("frames", pd.DataFrame({"movie_id": [movie.movie_id], "frame": [0], "qc_flags": [""]}))
    return Results(movie.movie_id, {"frames": frames}, {}, {"channels": ["wga"], "shape_yx": [64, 80], "n_frames": 1})


def test_a_movie_of_many_takes_little_room(tmp_path):
    """384 movies below 20 MB: noise, which no codec can squeeze, is the worst picture."""
    out = make_batch(tmp_path, ["a"], ["control"], size=512, n_frames=10)
    section = _section(load_batch(out), "a", Detail.of(384), "m1", Tables(), None)
    pictures = [*section["pictures"], *section["strips"], *(chart.picture for chart in section["charts"])]
    assert len(pictures) == 6
    assert sum(len(picture.uri) for picture in pictures) < 20e6 / 384 * 0.9


def test_load_gives_all_tables_with_the_columns_of_the_plate(out):
    results = load(out)
    for name in ("migrasomes", "tracks", "cells", "cell_summary", "frames", "site_traces", "movies"):
        table = getattr(results, name)
        assert type(table) is pd.DataFrame
        assert {"movie_id", "well", "condition", "replicate"} <= set(table.columns), name
    assert set(results.tracks["condition"]) == {"control", HOSTILE}


def test_corrections_are_in_the_report(out):
    from migradetect.review import ReviewSession, edits

    ReviewSession.open(out, "a").do(edits.Reject(migrasome_id=1))
    text = write_report(out).read_text()
    assert "1 correction by hand in these numbers" in text
    assert "31" in re.search(r"<b>(\d+)</b>migrasomes", text)[1]


@pytest.fixture
def cli(monkeypatch, capsys):
    def cli(*arguments):
        monkeypatch.setattr("sys.argv", ["migradetect", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    return cli


def test_command_report(cli, out):
    code, told, _ = cli("report", out)
    assert code == 0
    assert str(out / "report.html") in told
    code, told, _ = cli("report", out, "--movie", "a", "--movie", "b")
    assert code == 0
    assert told.split() == [str(out / name / "report.html") for name in "ab"]
    assert 'href="a/report.html"' in write_report(out).read_text(), "the page of all leads to it"
    code, _, err = cli("report", out, "--movie", "z")
    assert code == 3
    assert "expected one of the movies a, b, c, d" in err
    assert cli("report", out.parent / "nowhere")[0] == 3


def test_command_stats(cli, out, tmp_path):
    code, told, err = cli("stats", out, "--out", tmp_path / "s.csv")
    assert code == 0
    assert "n = 2 replicates, 4 cells" in told
    assert "bootstrap limits are too narrow" in err
    table = pd.read_csv(tmp_path / "s.csv")
    assert "n_migrasomes" in set(table["value"])
    assert table["n"].str.contains("n = 2 replicates, 4 cells").all()
    code, _, err = cli("stats", out, "--by", "conditon")
    assert code == 4
    assert "did you mean 'condition'" in err


@pytest.fixture
def fake(monkeypatch, out):
    real = migradetect.batch.run_batch
    monkeypatch.setattr(
        migradetect.batch, "run_batch", lambda *a, **o: real(*a, **{**o, "workers": 0, "analyze": analyze})
    )
    monkeypatch.chdir(out.parent)


def test_a_run_ends_with_a_report(cli, fake, tmp_path):
    code, told, _ = cli("run", "in", "--out", tmp_path / "new")
    assert code == 1
    path = tmp_path / "new" / "report.html"
    assert f"Report: {path}" in told
    assert "1 of 5 movies has no results" in path.read_text()
    code, told, _ = cli("run", "in", "--out", tmp_path / "other", "--no-report")
    assert "Report" not in told
    assert not (tmp_path / "other" / "report.html").exists()


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), OutputError("the disk is full")])
def test_a_failing_report_never_fails_the_run(cli, fake, monkeypatch, tmp_path, error):
    (Path("in") / "bad.ome.tif").unlink()

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(migradetect.report, "write_report", fail)
    code, told, err = cli("run", "in", "--out", tmp_path / "new")
    assert code == 0
    assert "4 done" in told
    warned = [line for line in err.splitlines() if line.startswith("warning: no report")]
    assert len(warned) == 1
    assert len(load(tmp_path / "new").movie_ids) == 4


def test_analysing_again_drops_the_report_of_the_movie(cli, fake, out):
    write_movie_report(out, "a")
    notes = out / "a" / "notes.txt"
    notes.write_text("mine")
    cli("run", "in", "--out", out, "--force", "--no-report")
    assert notes.read_text() == "mine"
    assert not (out / "a" / "report.html").exists()


def test_the_movie_is_opened_again_as_it_was_read(out):
    from migradetect.io import reopen_movie

    known = json.loads((out / "a" / "movie.json").read_text())
    movie = reopen_movie(known, out / "a", "a")
    first = open_movie(next(e for e in find_movies([out.parent / "in"]) if e.movie_id == "a"))
    np.testing.assert_array_equal(movie.frame(2, "wga"), first.frame(2, "wga"))
    assert movie.calibration.pixel_size_um == 0.15
    with pytest.raises(ReadError, match="another recording"):
        reopen_movie({**known, "n_frames": 99}, out / "a", "a")
    with pytest.raises(ReadError, match="put it back"):
        reopen_movie({"path": "gone.tif"}, out / "a", "a")


def test_a_browser_shows_it(out, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here")
    path = write_report(out)
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,900", f"--screenshot={tmp_path / 'page.png'}",
        path.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    import cv2

    picture = cv2.imread(str(tmp_path / "page.png"))
    assert picture.shape == (900, 1200, 3)
    assert picture.std() > 10, "something is on it"
