"""The panels in a real window; everything that needs no window is tested elsewhere."""

import shlex

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from migradetect.params import load_params, parameters
from migradetect.review import ReviewSession
from migradetect_napari._commands import COMMANDS
from migradetect_napari._convert import role_of
from migradetect_napari._export import ExportWidget
from migradetect_napari._form import ParameterForm
from migradetect_napari._plots import PlotsWidget
from migradetect_napari._review import ReviewWidget, open_review
from migradetect_napari._scene import scene_of
from migradetect_napari._tune import TuneWidget
from migradetect_napari._worker import Task


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    """What napari hands to a panel: a viewer that refuses private names."""
    return make_napari_viewer_proxy()


@pytest.fixture
def review(viewer, out, qtbot, monkeypatch):
    # on a busy computer, too, the tests wait for a correction
    monkeypatch.setattr("migradetect_napari._correct._AT_ONCE_S", 60.0)
    widget = ReviewWidget(viewer)
    qtbot.addWidget(widget)
    widget.open(out, "dish", "anna")
    return widget


def ids(widget):
    return widget.list.table["id"].astype(int).tolist()


def press(widget, name):
    widget.correct.run(next(one for one in COMMANDS if one.name == name))


def test_review_from_start_to_end(review, out, viewer, qtbot):
    """Open, reject one, add one, undo, close, open again: the tables are right."""
    at_first = ids(review)
    assert len(at_first) >= 3
    assert "0 of" in review.title.text()
    review.correct.advance.setChecked(False)
    review.list.picked.emit(at_first[0])
    assert review.scene.selection.id == at_first[0]
    press(review, "reject")
    assert ids(review) == at_first[1:]
    viewer.cursor.position = (viewer.dims.point[0], 3.0, 3.0)
    press(review, "add")
    new = (set(ids(review)) - set(at_first)).pop()
    press(review, "accept")
    review.list.picked.emit(at_first[1])
    review.scene.go_to_frame(int(review.scene.rows(at_first[1])["frame"].iloc[2]))
    press(review, "split")
    before_undo = ids(review)
    review.correct.undo()
    assert len(ids(review)) == len(before_undo) - 1
    assert set(ids(review)) == {*at_first[1:], new}
    n_edits = review.scene.session.n_edits
    review.correct.set_scene(None)
    review.scene.close()

    again = ReviewSession.open(out, "dish", "anna")
    assert again.n_edits == n_edits == 3
    tracks = again.tables["tracks"].set_index("migrasome_id")
    assert set(tracks.index) == {*at_first[1:], new}
    assert again.status(at_first[0]) == "rejected"
    assert tracks.loc[new, "review_status"] == "added"
    assert tracks.loc[new, "edit_source"].startswith("anna")
    candidates = again.tables["candidates"]
    assert candidates["reason"].str.contains("rejected in review").sum() == 1
    assert again.can_redo
    # another reviewer starts from the automatic results
    assert set(ReviewSession.open(out, "dish", "ben").tables["tracks"]["migrasome_id"]) == set(at_first)


def test_table_and_canvas_are_linked_both_ways(review):
    number = ids(review)[1]
    review.scene.select("migrasome", number)
    assert review.list.selected_ids() == [number]
    model = review.list.model()
    review.list.setCurrentIndex(model.index(0, 0))
    assert review.scene.selection.id == ids(review)[0]


def test_more_rows_are_selected_by_the_mouse(make_napari_viewer, out, qtbot, monkeypatch):
    from qtpy.QtCore import Qt

    monkeypatch.setattr("migradetect_napari._correct._AT_ONCE_S", 60.0)
    review = open_review(make_napari_viewer(show=True), out, "dish")
    numbers = ids(review)[:3]
    modifiers = Qt.KeyboardModifier.NoModifier, *[Qt.KeyboardModifier.ControlModifier] * 2
    for row, modifier in enumerate(modifiers):
        place = review.list.visualRect(review.list.model().index(row, 0)).center()
        qtbot.mouseClick(review.list.viewport(), Qt.MouseButton.LeftButton, modifier, place)
    assert sorted(review.list.selected_ids()) == numbers
    assert review.scene.selection.id == numbers[0], "the view stays at the first"
    press(review, "merge")
    assert review.scene.session.history[-1].migrasome_ids == tuple(numbers)


def test_filters_sorting_and_the_next_unreviewed(review):
    everything = ids(review)
    review.accepted.min_score.setValue(1.0)
    assert ids(review) == []
    review.accepted.min_score.setValue(0.0)
    review.list.sortByColumn(0, review.list.horizontalHeader().sortIndicatorOrder().DescendingOrder)
    assert ids(review) == sorted(everything, reverse=True)
    review.scene.select("migrasome", ids(review)[0])
    press(review, "accept")  # goes on to the next
    assert review.scene.selection.id == ids(review)[1]
    review.accepted.status.setCurrentText("accepted")
    assert ids(review) == [max(everything)]
    review.accepted.status.setCurrentText("any")
    review.previous()
    assert review.scene.selection.id == ids(review)[-1]
    for number in ids(review):
        review.scene.select("migrasome", number)
        press(review, "accept")
    review.next()
    assert "All that are listed" in review.correct.message.text()
    assert f"{len(everything)} of {len(everything)} reviewed" in review.title.text()


def test_candidates_can_be_shown_and_promoted(review):
    review.rejected.min_score.setValue(0.0)
    n = len(ids(review))
    candidate = int(review.candidates.table["id"].iloc[0])
    assert not review.scene.layer("candidates").visible
    review.candidates.picked.emit(candidate)
    assert review.scene.layer("candidates").visible
    assert review.candidates.selected_ids() == [candidate]
    press(review, "accept")
    assert len(ids(review)) == n + 1
    assert candidate not in set(review.candidates.table["id"])


def test_what_goes_wrong_is_said(review, tmp_path):
    press(review, "split")
    assert "select a migrasome first" in review.correct.message.text()
    review.open(tmp_path / "nothing")
    assert "run it first" in review.correct.message.text()


def test_every_correction_has_a_button_with_its_key(review):
    from qtpy.QtWidgets import QPushButton

    texts = [button.text() for button in review.findChildren(QPushButton)]
    for one in COMMANDS:
        assert f"{one.label}  [{one.key}]" in texts


def test_another_reviewer_and_blind(review, out):
    review.scene.select("migrasome", ids(review)[0])
    press(review, "reject")
    n = len(ids(review))
    review.reviewer.setText("ben")
    review.reviewer.editingFinished.emit()
    assert review.scene.session.reviewer == "ben"
    assert len(ids(review)) == n + 1
    review.open(out, None, "ben", blind=True)
    assert review.movie_box.itemText(0) == "movie 1"
    assert "dish" not in review.title.text()


def test_plots_follow(review, viewer, qtbot):
    plots = PlotsWidget(viewer)
    qtbot.addWidget(plots)
    plots.draw()
    growth, counts, site = (canvas.figure for canvas in plots.canvases)
    assert "Select a migrasome" in growth.texts[0].get_text()
    number = ids(review)[0]
    review.scene.select("migrasome", number)
    plots.draw()
    assert growth.axes[0].get_title(loc="left").startswith(f"migrasome {number}")
    assert len(counts.axes[0].get_lines()) >= 1
    assert str(number) in site.axes[0].get_title(loc="left")
    plots._timer.stop()


def test_the_line_of_the_time_is_painted_with_the_window(review, viewer, qtbot, monkeypatch):
    """Not at once, in the midst of what napari does: it would paint a list with layers that are gone, and crash."""
    plots = PlotsWidget(viewer)
    qtbot.addWidget(plots)
    plots.show()
    qtbot.waitExposed(plots)
    review.scene.select("migrasome", ids(review)[0])
    plots.draw()
    for canvas in plots.canvases:
        canvas.draw()
        monkeypatch.setattr(canvas, "repaint", lambda *_: pytest.fail("painted at once"))
    before = np.array(plots.canvases[0].buffer_rgba())
    review.scene.go_to_frame(review.scene.frame + 1)
    assert (np.array(plots.canvases[0].buffer_rgba()) != before).any(), "test invalid: the line did not move"
    plots._timer.stop()


def test_a_step_draws_the_view_once(make_napari_viewer, out, qtbot):
    """Drawing takes most of a step; what moves meanwhile, such as overlays, makes napari draw it again."""
    viewer = make_napari_viewer(show=True)
    review = open_review(viewer, out, "dish")
    viewer.window.resize(1003, 701)
    qtbot.wait(300)
    drawn = []
    # nothing public tells how often it is drawn
    canvas = viewer.window._qt_viewer.canvas
    for frame in range(1, 9):  # the letters of the time stamp are made once
        review.scene.go_to_frame(frame)
        qtbot.wait(60)
    canvas._scene_canvas.events.draw.connect(lambda event: drawn.append(event))
    for frame in range(1, 9):
        review.scene.go_to_frame(frame)
        qtbot.wait(60)
    assert 8 <= len(drawn) < 12


def test_open_review_fills_one_panel(make_napari_viewer, out):
    viewer = make_napari_viewer()
    widget = open_review(viewer, out)
    assert open_review(viewer, out, "dish", "anna") is widget
    assert scene_of(viewer) is widget.scene
    assert [role_of(layer) for layer in viewer.layers][-1] == "migrasomes"


def test_keys_work_wherever_the_focus_is(make_napari_viewer, out, qtbot, monkeypatch):
    from qtpy.QtCore import Qt

    monkeypatch.setattr("migradetect_napari._correct._AT_ONCE_S", 60.0)
    viewer = make_napari_viewer()
    widget = open_review(viewer, out, "dish")
    numbers = ids(widget)
    qtbot.keyClick(widget.list, Qt.Key.Key_N)
    assert widget.scene.selection.id == numbers[0]
    qtbot.keyClick(widget.list, Qt.Key.Key_K)
    assert widget.scene.session.status(numbers[0]) == "accepted"
    assert widget.scene.selection.id == numbers[1]
    qtbot.keyClick(widget.correct.undo_button, Qt.Key.Key_J)
    assert widget.scene.session.status(numbers[1]) == "rejected"
    qtbot.keyClick(widget.list, Qt.Key.Key_U)
    assert widget.scene.session.n_edits == 1
    qtbot.keyClick(widget.list, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    assert widget.scene.session.n_edits == 2
    # a name is typed, and corrects nothing
    qtbot.keyClicks(widget.reviewer, "jk")
    assert widget.reviewer.text() == "jk"
    assert widget.scene.session.n_edits == 2


def test_results_that_are_dropped_come_with_the_panels(make_napari_viewer, out, qtbot):
    from napari.layers import Layer

    from migradetect_napari._reader import read

    viewer = make_napari_viewer()
    # as napari does it: the reader first, then the layers
    for made in read(str(out)):
        viewer.add_layer(Layer.create(*made))
    dropped = list(viewer.layers)
    qtbot.waitUntil(lambda: scene_of(viewer) is not None, timeout=10000)
    assert list(viewer.layers) == dropped, "the layers are not made twice"
    # the plots come once the images are drawn
    qtbot.waitUntil(lambda: "Growth, counts and lineage" in viewer.window.dock_widgets, timeout=10000)
    panels = viewer.window.dock_widgets
    assert "Review and correct" in panels
    widget = panels["Review and correct"]
    assert len(ids(widget)) == len(scene_of(viewer).session.tables["tracks"])
    scene_of(viewer).layer("candidates").visible = True
    assert len(scene_of(viewer).layer("candidates").data)


def test_results_that_are_dropped_again_replace_the_layers(make_napari_viewer, out, tmp_path, qtbot):
    import shutil

    viewer = make_napari_viewer(show=True)
    other = shutil.copytree(out, tmp_path / "other")
    names = None
    for folder in (out, other, other):
        before = scene_of(viewer)
        viewer.open(str(folder), plugin="migradetect")
        qtbot.waitUntil(lambda before=before: scene_of(viewer) is not before, timeout=10000)
        names = names or [layer.name for layer in viewer.layers]
        assert [layer.name for layer in viewer.layers] == names
        assert len(names) == 8
        qtbot.wait(50)


def test_samples_are_made_while_the_window_lives(make_napari_viewer, qtbot, tmp_path, monkeypatch):
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QProgressDialog

    from migradetect.errors import CancelledError
    from migradetect_napari import _samples

    make_napari_viewer()
    monkeypatch.setattr(_samples, "sample_folder", lambda: tmp_path / "samples")
    monkeypatch.setattr(_samples, "_SIZE", {"n_frames": 4, "height_px": 96, "width_px": 96})
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(1)
    layers = _samples.simulated_movie()
    assert [kind for _, _, kind in layers] == ["image", "image"]
    assert len(ticks) > 3, "the window did not live"
    # stopped by the user: one line, and nothing half-made
    (tmp_path / "samples" / "simulated.ome.tif").unlink()

    def press_cancel():
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QProgressDialog):
                widget.canceled.emit()

    QTimer.singleShot(0, press_cancel)
    with pytest.raises(CancelledError, match="stopped"):
        _samples.simulated_movie()
    assert not (tmp_path / "samples" / "simulated.ome.tif").exists()


# tune


def test_the_form_has_every_parameter_with_its_help(qtbot):
    form = ParameterForm()
    qtbot.addWidget(form)
    for key, field in parameters().items():
        assert field.description in form.editor(key).toolTip()
    assert form.params() == load_params(environ={})
    for preset in ("strict", "sensitive", "fixed"):
        form.set_params(load_params(preset, environ={}))
        assert form.params() == load_params(preset, environ={})


def test_the_form_changes_one_value(qtbot):
    form = ParameterForm()
    qtbot.addWidget(form)
    with qtbot.waitSignal(form.changed):
        form.editor("judge.min_score").setValue(0.7)
    assert form.params().judge.min_score == 0.7
    form.editor("input.channels").setText("tspan4, wga")
    form.editor("input.pixel_size_um").setText("0.108")
    form.editor("judge.method").setCurrentText("rules")
    assert form.params().input.channels == ("tspan4", "wga")
    assert form.params().input.pixel_size_um == 0.108
    assert form.params().judge.method == "rules"


@pytest.fixture
def tune(viewer, qtbot, movie_file):
    widget = TuneWidget(viewer)
    qtbot.addWidget(widget)
    widget.open_path(movie_file)
    yield widget
    widget.preview.close_down()
    widget.run_box.close_down()


def test_toml_and_command_line(tune, tmp_path, qtbot):
    tune.form.editor("spots.min_snr").setValue(6.5)
    tune.save(tmp_path / "a.toml")
    tune.preset.setCurrentText("strict")
    assert tune.form.params().spots.min_snr != 6.5
    tune.load(tmp_path / "a.toml")
    assert tune.form.params() == load_params(config=tmp_path / "a.toml", environ={})
    tune.copy_command()
    words = shlex.split(QApplication.clipboard().text())
    assert words[:2] == ["migradetect", "run"]
    assert "spots.min_snr=6.5" in words
    (tmp_path / "bad.toml").write_text("[spots]\nmin_snrr = 3\n")
    tune.load(tmp_path / "bad.toml")
    assert "did you mean" in tune.problem.text()


def test_live_preview(tune, viewer, qtbot):
    with qtbot.waitSignal(tune.preview.shown, timeout=60000) as heard:
        tune.preview.live.setChecked(True)
    first = heard.args[0]
    roles = [role_of(layer) for layer in viewer.layers]
    assert {"preview_cells", "preview_fibers", "preview_spots"} <= set(roles)
    assert f"{len(first.spots)} migrasome candidates" in tune.preview.counts.text()
    with qtbot.waitSignal(tune.preview.shown, timeout=60000) as heard:
        tune.form.editor("judge.min_score").setValue(0.0)
    assert len(heard.args[0].spots) > len(first.spots)
    tune.preview.live.setChecked(False)
    assert not [layer for layer in viewer.layers if role_of(layer).startswith("preview")]


def test_a_movie_without_calibration_is_refused_and_can_be_given_one(tune, tmp_path, viewer):
    import tifffile

    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, np.zeros((4, 32, 32), np.uint16), photometric="minisblack")
    tune.open_path(path)
    assert "plain.tif" in tune.problem.text()
    for key, text in (("axes", "TYX"), ("channels", "wga"), ("pixel_size_um", "0.2"), ("frame_interval_s", "60")):
        tune.form.editor(f"input.{key}").setText(text)
    tune.open_path(path)
    assert tune.problem.text() == ""
    assert [layer.data.shape for layer in viewer.layers] == [(4, 32, 32)]


# show


@pytest.mark.parametrize("suffix", ["mp4", "gif", "tif"])
def test_film_without_opengl(review, viewer, qtbot, tmp_path, suffix):
    export = ExportWidget(viewer)
    qtbot.addWidget(export)
    export.what.setCurrentIndex(1)
    export.last.setValue(2)
    path = tmp_path / f"film.{suffix}"
    export.save_film(path)
    qtbot.waitUntil(lambda: "saved" in export.message.text(), timeout=30000)
    assert path.stat().st_size > 1000


def test_picture_and_film_of_the_view(make_napari_viewer, out, qtbot, tmp_path):
    from PIL import Image

    viewer = make_napari_viewer(show=True)
    open_review(viewer, out, "dish")
    export = ExportWidget(viewer)
    qtbot.addWidget(export)
    export.save_picture(tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as image:
        picture = np.asarray(image)
    assert picture.std() > 5
    export.last.setValue(1)
    export.save_film(tmp_path / "view.gif")
    assert "saved" in export.message.text()
    with Image.open(tmp_path / "view.gif") as film:
        assert film.n_frames == 2
    export.save_film(tmp_path / "view.avi")
    assert "expected a name that ends in" in export.message.text()


# work in the background


def test_task(qtbot):
    task = Task(lambda task: (task.tell(1), "end")[1])
    with qtbot.waitSignals([task.progress, task.done, task.ended]):
        task.start()
    failing = Task(lambda task: 1 / 0)
    with qtbot.waitSignal(failing.failed) as heard:
        failing.start()
    assert "ZeroDivisionError" in heard.args[0]

    def slow(task):
        while not task.is_cancelled():
            pass

    stopped = Task(slow).start()
    with qtbot.waitSignal(stopped.ended):
        stopped.cancel()
    assert stopped.wait(5)


def test_a_correction_that_takes_long_leaves_the_window_alive(review, monkeypatch, qtbot):
    import threading

    from migradetect_napari import _correct

    monkeypatch.setattr(_correct, "_AT_ONCE_S", 0.05)
    may_go_on = threading.Event()
    scene = review.scene
    real = scene.session.do

    def slow(edit, progress, cancel):
        may_go_on.wait(20)
        return real(edit, progress, cancel)

    monkeypatch.setattr(scene.session, "do", slow)
    number = ids(review)[0]
    scene.select("migrasome", number)
    review.correct.advance.setChecked(False)
    press(review, "reject")
    assert "measuring" in review.correct.message.text()
    assert number in ids(review)
    press(review, "accept")  # not taken meanwhile
    assert "still measuring" in review.correct.message.text()
    frame = (scene.frame + 3) % 10
    scene.go_to_frame(frame)  # planes can be looked at meanwhile
    np.testing.assert_array_equal(scene.layer("cells").data[frame], scene.session.base.results.labels["cells"][frame])
    assert "pending" not in [role_of(layer) for layer in scene.viewer.layers]
    may_go_on.set()
    qtbot.waitUntil(lambda: number not in ids(review), timeout=20000)
    assert [edit.op for edit in scene.session.history] == ["reject"]
    assert not review.correct.busy.isVisible()
    # where something is added is marked until it is measured and in the log
    may_go_on.clear()
    scene.viewer.cursor.position = (scene.viewer.dims.point[0], 5.0, 6.0)
    press(review, "add")
    marks = [layer for layer in scene.viewer.layers if role_of(layer) == "pending"]
    assert len(marks) == 1
    np.testing.assert_allclose(marks[0].data[0] * marks[0].scale, (scene.viewer.dims.point[0], 5.0, 6.0))
    assert scene.session.n_edits == 1
    may_go_on.set()
    qtbot.waitUntil(lambda: scene.session.n_edits == 2, timeout=20000)
    qtbot.waitUntil(lambda: "pending" not in [role_of(layer) for layer in scene.viewer.layers], timeout=20000)
