"""The panel, the command line that it copies, and the library give the same tables."""

import shlex

import pandas as pd
from qtpy.QtWidgets import QApplication
from typer.testing import CliRunner

import migradetect as md
from migradetect.cli._app import app
from migradetect.io import find_movies, open_movie
from migradetect.results import MOVIE_TABLES
from migradetect_napari._command_line import command_line, input_options
from migradetect_napari._tune import TuneWidget


def test_command_line_round_trip():
    params = md.load_params(
        "strict",
        environ={},
        overrides={
            "spots.min_snr": 5.5,
            "input.pixel_size_um": 0.108,
            "input.channels": "tspan4,wga",
            "input.pattern": r"(?P<well>[A-H]\d+)_t(?P<t>\d+)",
            "registration.enabled": "false",
            "optics.psf_fwhm_um": 0.31,
        },
    )
    words = shlex.split(command_line(["my movies/a.tif"], "out 1", params, "strict"))
    assert words[2:5] == ["my movies/a.tif", "--out", "out 1"]
    given = dict(words[k + 1].split("=", 1) for k, word in enumerate(words) if word == "--set")
    assert md.load_params(words[words.index("--preset") + 1], environ={}, overrides=given) == params
    assert "spots.max_per_frame" not in given


def test_gui_cli_and_library_give_identical_tables(make_napari_viewer_proxy, qtbot, movie_file, tmp_path, monkeypatch):
    for name in [name for name in __import__("os").environ if name.startswith("MIGRADETECT_")]:
        monkeypatch.delenv(name)
    # by the panel, in a process of its own
    widget = TuneWidget(make_napari_viewer_proxy())
    qtbot.addWidget(widget)
    widget.run_box.finished.disconnect()
    widget.open_path(movie_file)
    widget.form.editor("judge.min_score").setValue(0.45)
    widget.form.editor("fibers.min_length_um").setValue(2.5)
    widget.run_box.out.setText(str(tmp_path / "gui"))
    with qtbot.waitSignal(widget.run_box.finished, timeout=240000) as heard:
        widget.run_box.button.click()
    assert [one.status for one in heard.args[0].outcomes] == ["done"]
    assert "migrasomes" in widget.run_box.status.text()
    # by the command line that the panel copies
    widget.run_box.out.setText(str(tmp_path / "cli"))
    widget.copy_command()
    words = shlex.split(QApplication.clipboard().text())
    done = CliRunner().invoke(app, [*words[1:], "--workers", "1"])
    assert done.exit_code == 0, done.output
    # by the library
    entry = find_movies([movie_file], input_options(widget.form.params()))[0]
    library = md.analyze(open_movie(entry), widget.form.params())
    widget.run_box.close_down()
    widget.preview.close_down()

    gui, cli = md.load(tmp_path / "gui"), md.load(tmp_path / "cli")
    assert len(library.tracks) > 0, "test invalid: nothing was found"
    for name in MOVIE_TABLES:
        pd.testing.assert_frame_equal(gui.table(name), cli.table(name))
        pd.testing.assert_frame_equal(gui.table(name)[library.tables[name].columns], library.tables[name])
    pd.testing.assert_frame_equal(gui.movies, cli.movies)
    default = md.analyze(open_movie(entry))
    assert not default.candidates.equals(library.candidates), "test invalid: the parameters made no difference"


def test_a_run_can_be_cancelled(make_napari_viewer_proxy, qtbot, movie_file, tmp_path):
    widget = TuneWidget(make_napari_viewer_proxy())
    qtbot.addWidget(widget)
    widget.open_path(movie_file)
    widget.run_box.out.setText(str(tmp_path / "out"))
    widget.run_box.button.click()
    task = widget.run_box.task
    assert widget.run_box.button.text() == "Cancel"
    with qtbot.waitSignal(task.ended, timeout=120000):
        widget.run_box.button.click()
    assert widget.run_box.button.text() == "Run whole movie"
    assert "Stopped" in widget.run_box.status.text()
    assert not (tmp_path / "out" / "dish").exists()
    widget.preview.close_down()
