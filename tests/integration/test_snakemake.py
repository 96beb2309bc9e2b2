"""The Snakemake workflow, run for real where snakemake is installed (in an environment of its own)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import batch_fakes

from migradetect.batch import run_batch
from migradetect.io import find_movies
from migradetect.params import load_params

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tests" / "unit"
SNAKEMAKE = os.environ.get("SNAKEMAKE") or shutil.which("snakemake")
FOLDER = ROOT / "workflows" / "snakemake"

needs_snakemake = pytest.mark.skipif(SNAKEMAKE is None, reason="snakemake is not installed; SNAKEMAKE=/path/to/it")


@pytest.fixture
def snakemake(tmp_path):
    """Calls it in a folder with some movies and a `migradetect` that uses the stand-in for the analysis."""
    batch_fakes.make_movies(tmp_path / "in 1", "a", "b", "bug", "c")
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "migradetect").write_text(f"#!/bin/sh\nexec {sys.executable} '{tmp_path}/driver.py' \"$@\"\n")
    (commands / "migradetect").chmod(0o755)
    (tmp_path / "driver.py").write_text(
        "from functools import partial\nimport batch_fakes, migradetect.batch\n"
        "if __name__ == '__main__':\n"
        "    run = partial(migradetect.batch.run_batch, analyze=batch_fakes.analyze)\n"
        "    migradetect.batch.run_batch = run\n"
        "    from migradetect.cli import main\n    main()\n"
    )
    environ = os.environ | {"PYTHONPATH": str(UNIT), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def call(config: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "config.yaml").write_text(config)
        command = [str(SNAKEMAKE), "-s", str(FOLDER / "Snakefile"), "--configfile", "config.yaml", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)

    return call


CONFIG = "movies: in 1\nout: my out\nshards: 3\ncores_per_shard: 1\n"


@needs_snakemake
def test_workflow_gives_what_one_run_gives(snakemake, tmp_path):
    done = snakemake(CONFIG, "--cores", "1")
    assert done.returncode == 0, done.stderr
    entries = find_movies([tmp_path / "in 1"])
    run_batch(entries, tmp_path / "one", load_params(environ={}), workers=0, analyze=batch_fakes.analyze)
    kinds = (".parquet", ".csv", ".tif")

    def files(out: Path) -> dict[str, bytes]:
        paths = [path for path in sorted(out.rglob("*")) if path.suffix in kinds and "shards" not in path.parts]
        # the table of movies has the path as it was given, relative here
        return {str(path.relative_to(out)): path.read_bytes() for path in paths if path.stem != "movies"}

    assert len(files(tmp_path / "one")) > 30, "test invalid: hardly any result"
    assert files(tmp_path / "my out") == files(tmp_path / "one")
    again = snakemake(CONFIG, "--cores", "1")
    assert "Nothing to be done" in again.stderr + again.stdout
    # a shard that broke stops the merge, and is said
    shutil.rmtree(tmp_path / "my out" / "shards" / "2-of-3")
    broken = snakemake(CONFIG, "--cores", "1", "--forcerun", "merge")
    assert broken.returncode != 0
    assert "none for 2" in (tmp_path / "my out" / "shards" / "logs" / "merge.log").read_text()


@needs_snakemake
@pytest.mark.parametrize("line", ["shards: 0\n", "nonsense: 1\n", 'run_options: ["--shard"]\n'])
def test_bad_configuration_is_refused(snakemake, line):
    config = CONFIG.replace("shards: 3\n", "") + line if "shards: " in line else CONFIG + line
    assert snakemake(config, "--cores", "1", "-n").returncode != 0


@needs_snakemake
def test_lint(snakemake):
    done = snakemake(CONFIG, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_defaults_and_small_run_fit_the_schema():
    yaml = pytest.importorskip("yaml")
    schema = yaml.safe_load((FOLDER / "config.schema.yaml").read_text())
    for path in (FOLDER / "config.yaml", FOLDER / "test" / "config.yaml"):
        config = yaml.safe_load(path.read_text())
        assert set(config) <= set(schema["properties"])
        assert set(schema["required"]) <= set(config)
    profile = yaml.safe_load((FOLDER / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["executor"] == "slurm"
