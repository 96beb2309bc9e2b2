"""The notebooks: each runs from end to end and recovers the answer; scripts and notebooks are in step."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "workflows" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("[0-9]_*.py"))
#: No single notebook may keep a reader waiting for longer, also on a busy computer.
LIMIT_S = 240


def test_there_are_five_of_them():
    assert [name[0] for name in NAMES] == ["1", "2", "3", "4", "5"]
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_script_are_in_step(name):
    jupytext = pytest.importorskip("jupytext")
    script = jupytext.read(FOLDER / f"{name}.py")
    notebook = jupytext.read(FOLDER / f"{name}.ipynb")
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in script.cells
    ], f"run: jupytext --sync workflows/notebooks/{name}.py"
    ended = subprocess.run(
        [sys.executable, "-m", "jupytext", "--to", "ipynb", "--test", str(FOLDER / f"{name}.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_stored_without_outputs(name):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert any("assert " in cell.source for cell in code), "a notebook that checks nothing"


# the kernel's libraries warn about themselves, which is not what is tested
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_recovers_the_answer(name):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    started = time.perf_counter()
    nbclient.NotebookClient(notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert time.perf_counter() - started < LIMIT_S
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    if name[0] in "234":
        assert any("image/png" in output.get("data", {}) for output in outputs), "its figures are not shown"


@pytest.mark.filterwarnings("ignore")
def test_a_wrong_answer_fails():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(FOLDER / "4_screen.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('{"B05", "F09"}', '{"B05"}')
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="AssertionError"):
        nbclient.NotebookClient(notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(FOLDER)}}).execute()
