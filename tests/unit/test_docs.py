"""The pages: every code block runs, what is generated is what the code says, and the site needs no network."""

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import migradetect as md
from migradetect.cli import main
from migradetect.cli._app import app
from migradetect.io import write_movie, write_results
from migradetect.results import LabelStack, Results
from migradetect.review import ReviewSession, edits
from migradetect.tables import conform_table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md"])
#: ``<!-- not run: reason -->`` on the line before a block leaves it out.
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.M | re.S)
#: What these commands do is not ours to test, or is a benchmark of minutes to hours: they are not run.
OTHER_PROGRAMS = (
    "pip",
    "python",
    "pytest",
    "make",
    "jupyter",
    "cd",
    "git",
    "source",
    "snakemake",
    "sbatch",
    "docker",
    "bash",
    "dask",
)


def blocks(page):
    """Kind, body and reason of each fenced block."""
    return [
        (match["kind"], match["body"], match["reason"]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def commands(body):
    """Lines of a block of shell, comments taken off, continued lines joined."""
    for line in body.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            yield words


def test_blocks_are_found():
    found = {page.name: blocks(page) for page in PAGES}
    assert len(found["howto.md"]) > 8
    assert {"sh", "python"} <= {kind for kind, _, _ in found["README.md"]}
    text = "<!-- not run: it is long -->\n```sh\nmigradetect run x\n```\n\n```python\na = 1\n```\n"
    read = [(match["kind"], match["reason"]) for match in BLOCK.finditer(text)]
    assert read == [("sh", "it is long"), ("python", None)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page):
    for kind, body, reason in blocks(page):
        assert kind in ("sh", "python", "", "text", "toml", "csv", "yaml", "bibtex"), (kind, body[:60])
        assert reason is None or len(reason) > 15, "an opt-out needs a reason"
        if kind == "":
            assert not body.startswith(("migradetect ", "import ")), "code without a language would not be run"
        if kind == "sh":
            for words in commands(body):
                assert words[0] == "migradetect" or words[0] in OTHER_PROGRAMS, words


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A folder with a small movie, as the pages call it: a corner of the sample data."""
    folder = tmp_path_factory.mktemp("docs") / "my_experiment"
    folder.mkdir()
    movie = md.open_movie(ROOT / "sample_data" / "movies" / "movie_b.tif")
    data = np.stack([[movie.source.read(t, c)[60:188, 60:188] for c in (0, 1)] for t in range(6)])
    write_movie(folder / "dish1.tif", data, "TCYX", movie.calibration, list(movie.roles))
    return folder


@pytest.fixture(scope="module")
def dishes(tmp_path_factory):
    """Results of two conditions: drawn tables, as in the notebooks."""
    sys.path.insert(0, str(ROOT / "workflows" / "notebooks"))
    try:
        from simulated_results import write_dishes
    finally:
        sys.path.pop(0)
    out = tmp_path_factory.mktemp("dishes") / "results"
    write_dishes(out, {"control": 6.0, "drug": 3.0}, n_dishes=3, n_cells=8, seed=1)
    renamed = out / "dish1"
    shutil.move(out / "control_1", renamed)  # the pages speak of dish1
    return out


@pytest.fixture(scope="module")
def reviewable(tmp_path_factory):
    """``OUT`` with the movie dish1: the truth of a sample movie in the place of results."""
    truth = md.load(ROOT / "sample_data" / "truth" / "movie_b").movie("movie_b")
    tables = {name: table.assign(movie_id=pd_text("dish1", len(table))) for name, table in truth.tables.items()}
    # the page speaks of migrasome 7
    ids = tables["tracks"]["migrasome_id"]
    old = int(ids.iloc[0])
    for name in ("tracks", "migrasomes", "site_traces"):
        tables[name] = tables[name].assign(migrasome_id=tables[name]["migrasome_id"].replace({old: 7, 7: old}))
        tables[name] = conform_table(name, tables[name])
    labels = {}
    for name, stack in truth.labels.items():
        labels[name] = LabelStack(stack.shape_yx)
        for plane in stack:
            shown = np.where(plane == old, 7, np.where(plane == 7, old, plane)) if name == "migrasomes" else plane
            labels[name].append(shown)
    out = tmp_path_factory.mktemp("reviewable") / "OUT"
    out.mkdir()
    known = truth.provenance | {"n_frames": len(truth.frames), "shape_yx": list(stack.shape_yx)}
    write_results(Results("dish1", tables, labels, known), out / "dish1")
    return out


def pd_text(text, n):
    import pandas as pd

    return pd.Series([text] * n, dtype="string")


@pytest.fixture
def place(tmp_path, monkeypatch, experiment, dishes, reviewable):
    """Where the blocks of a page run: a new folder with what the pages speak of."""
    shutil.copytree(experiment, tmp_path / "my_experiment")
    shutil.copytree(reviewable, tmp_path / "OUT")
    (tmp_path / "my_counts.csv").write_text("frame,y_um,x_um\n0,5.0,5.0\n1,5.0,5.0\n")
    for name in ("one", "the_other"):
        (tmp_path / f"counts_of_{name}.csv").write_text("frame,y_um,x_um\n0,5.0,5.0\n1,9.0,5.0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path, dishes


def run_command(words):
    """Exit code of a command of ours, run as a user would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        try:
            main()
        except SystemExit as ended:
            return ended.code or 0
    return 0


def opens_a_window(words):
    return words[1] == "review" and not {"--write", "--orphans"} & set(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, place):
    folder, dishes = place
    names = {}
    makes_results = any(kind == "sh" and "migradetect run" in body for kind, body, _ in blocks(page))
    if not makes_results:
        shutil.copytree(dishes, folder / "results")
    todo = [(kind, body) for kind, body, reason in blocks(page) if reason is None]
    for kind, body in todo:
        if kind == "sh":
            for words in commands(body):
                if words[0] != "migradetect":
                    continue
                if opens_a_window(words):
                    # needs a screen: that its options are right is checked without one
                    click_command = typer.main.get_command(app)
                    click_command.commands["review"].make_context("review", words[2:])
                    continue
                if "--reviewers" in words:
                    # the page has two reviewers, and shows the corrections of one
                    ReviewSession.open(folder / "OUT" / "dish1", reviewer="ben").do(edits.Accept(migrasome_id=7))
                assert run_command(words) == 0, words
        elif kind == "python":
            with contextlib.redirect_stdout(None):
                exec(compile(body, f"{page.name}", "exec"), names)


def test_reference_pages_are_what_the_code_says():
    ended = subprocess.run(
        [sys.executable, ROOT / "workflows" / "docs" / "reference_pages.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_column_and_parameter_is_there():
    from migradetect.params._describe import parameters
    from migradetect.tables import TABLES

    tables, keys = (DOCS / "tables.md").read_text(), (DOCS / "parameters.md").read_text()
    for name, table in TABLES.items():
        part = tables.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for column in table.columns:
            assert f"| `{column.name}` |" in part
    for key in parameters():
        assert f"| `{key}` |" in keys


def test_pictures_are_there_and_small():
    for page in PAGES:
        for name in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            path = page.parent / name
            assert path.is_file(), f"{page.name}: {name}"
            assert path.stat().st_size < 1_000_000, f"{page.name}: {name} is large"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    out = tmp_path_factory.mktemp("site")
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return out


def test_the_site_is_built_without_a_warning(site):
    assert {page.stem for page in DOCS.glob("*.md")} <= {path.stem for path in site.glob("*.html")}
    assert "export_results" in (site / "api.html").read_text(encoding="utf-8")


def test_the_site_loads_nothing_from_elsewhere(site):
    loads = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*"
        r"|<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preconnect|preload|icon|dns-prefetch))"
        r"[^>]*href=[\"']?(?:https?:)?//[^>]*"
    )
    assert loads.search('<script src="https://x.org/a.js">'), "test invalid"
    assert loads.search('<link rel="preconnect" href="https://fonts.x.org">'), "test invalid"
    for path in site.rglob("*.html"):
        assert not loads.findall(path.read_text(encoding="utf-8")), path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name
