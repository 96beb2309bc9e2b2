"""A review in a viewer without a window: no Qt is needed."""

import json
import shutil

import numpy as np
import pytest

from migradetect.review import ReviewSession, edits
from migradetect_napari import _compat as compat
from migradetect_napari._commands import COMMANDS, Desk, NotYet
from migradetect_napari._convert import role_of
from migradetect_napari._correct import KEYS
from migradetect_napari._scene import Scene, scene_of

ROLES = ["tspan4", "wga", "cells", "fibers", "cell_tracks", "migrasome_tracks", "candidates", "migrasomes"]


def ids(scene):
    return scene.session.tables["tracks"]["migrasome_id"].astype(int).tolist()


def shown(scene):
    return set(scene.layer("migrasomes").features["migrasome_id"].astype(int))


def at(scene, y_um, x_um, frame=None):
    if frame is not None:
        scene.go_to_frame(frame)
    scene.viewer.cursor.position = (scene.viewer.dims.point[0], y_um, x_um)


@pytest.fixture(scope="module")
def shared(analysed, tmp_path_factory):
    """One review for many tests, each of which takes back what it did."""
    from napari.components import ViewerModel

    out = shutil.copytree(analysed, tmp_path_factory.mktemp("shared") / "out")
    return Scene(ViewerModel(), ReviewSession.open(out, "dish"))


def command(name):
    return next(one for one in COMMANDS if one.name == name)


@pytest.fixture
def desk(scene):
    return Desk(scene, lambda title, options, current: None)


def test_layers(scene):
    assert [role_of(layer) for layer in scene.viewer.layers] == ROLES
    assert shown(scene) == set(ids(scene))
    assert len(ids(scene)) >= 3, "test invalid: nothing to review"
    assert scene.layer("cells").data[0].shape == (208, 208)


def test_one_movie_at_a_time(scene, out):
    again = Scene(scene.viewer, ReviewSession.open(out, "dish", "ben"))
    assert scene_of(scene.viewer) is again
    assert [role_of(layer) for layer in scene.viewer.layers] == ROLES
    again.close()
    assert scene_of(scene.viewer) is None
    assert len(scene.viewer.layers) == 0


def test_selecting_goes_there(scene):
    heard = []
    scene.selected.connect(heard.append)
    late = scene.session.tables["migrasomes"].sort_values("frame").iloc[-1]
    number = int(late["migrasome_id"])
    scene.go_to_frame(0)
    scene.select("migrasome", number)
    rows = scene.rows(number)
    assert scene.frame in set(rows["frame"])
    row = rows[rows["frame"] == scene.frame].iloc[0]
    np.testing.assert_allclose(scene.viewer.scene.camera.center[-2:], row[["y_um", "x_um"]].astype(float))
    layer = scene.layer("migrasomes")
    assert [int(layer.features["migrasome_id"].iloc[k]) for k in layer.selected_data] == [number]
    assert heard[-1].id == number
    assert scene.nearest(row["y_um"], row["x_um"]).id == number
    assert scene.nearest(-100.0, -100.0) is None


def test_a_click_selects_and_a_drag_does_not(scene):
    number = ids(scene)[0]
    frame, y, x = scene.place(type("S", (), {"kind": "migrasome", "id": number})(), scene.frame)
    scene.go_to_frame(frame)

    class Event:
        button = 1
        position = (frame * 2.0, y, x)

    def click(moves):
        event = Event()
        event.type, event.pos = "mouse_press", (50.0, 50.0)
        steps = scene._on_click(scene.viewer, event)
        next(steps)
        for k in range(moves):
            event.type, event.pos = "mouse_move", (50.0 + 9 * (k + 1), 50.0)
            next(steps)
        event.type = "mouse_release"
        with pytest.raises(StopIteration):
            next(steps)

    click(moves=3)
    assert scene.selection is None
    click(moves=0)
    assert scene.selection.id == number


def test_edits_show_at_once_and_undo_brings_back(scene):
    number = ids(scene)[0]
    before = scene.session.tables["migrasomes"].copy()
    n_rings = len(scene.layer("migrasomes").data)
    scene.do(edits.Reject(migrasome_id=number, reason="endosome"))
    assert number not in shown(scene)
    assert len(scene.layer("migrasomes").data) < n_rings
    again = [one for one in scene.candidates["candidate_id"] if scene.rejected_id(int(one)) == number]
    assert len(again) == 1
    scene.undo()
    assert scene.session.tables["migrasomes"].equals(before)
    assert len(scene.layer("migrasomes").data) == n_rings
    scene.redo()
    assert number not in shown(scene)
    assert scene.undo() is not None
    assert scene.undo() is None


def test_the_log_is_written_before_the_screen(scene, monkeypatch):
    from migradetect.errors import OutputError

    def full(line):
        raise OutputError("no space left")

    monkeypatch.setattr(scene.session._log, "append", full)
    number = ids(scene)[0]
    with pytest.raises(OutputError):
        scene.do(edits.Reject(migrasome_id=number))
    assert number in shown(scene)


def test_a_stroke_of_paint_is_one_correction(scene):
    cells = scene.layer("cells")
    new = scene.session.next_id("cell")
    cells.selected_label, cells.brush_size = new, 9

    class Event:
        type = "mouse_press"

    stroke = scene.strokes.on_stroke(cells, Event())
    next(stroke)
    scene.go_to_frame(3)
    for x in (150, 155, 160):
        cells.paint((3, 30, x), new)
        Event.type = "mouse_move"
        next(stroke)
    assert scene.session.history == ()
    Event.type = "mouse_release"
    with pytest.raises(StopIteration):
        next(stroke)
    assert [edit.op for edit in scene.session.history] == ["paint_cells"]
    assert scene.label_at("cells", 30 * 0.2, 155 * 0.2) == new
    assert cells.data[3][30, 155] == new
    assert new in set(scene.session.tables["cells"]["cell_id"])
    # napari's own undo is a correction too, so that screen and log never differ
    cells.undo()
    assert cells.data[3][30, 155] == scene.session.labels["cells"][3][30, 155]


def test_what_is_written_outside_of_strokes_is_one_correction(scene):
    """Napari's undo of a stroke writes once for each move of the mouse; a window takes it once all is written."""
    due = []
    scene.strokes.later = due.append
    cells = scene.layer("cells")
    for x in (150, 155, 160):
        cells.data[3, 30, x : x + 4] = 1
    assert len(due) == 1
    assert scene.session.history == ()
    due.pop()()
    assert [edit.op for edit in scene.session.history] == ["paint_cells"]
    assert (scene.session.labels["cells"][3][30, 150:164] == 1).sum() >= 12


def test_images_that_were_open_before_the_run_are_not_shown_twice(session, movie):
    from napari.components import ViewerModel

    from migradetect_napari._open import movie_layers
    from migradetect_napari._scene import Scene

    viewer = ViewerModel()
    for data, options, _ in movie_layers(movie):
        viewer.add_image(data, **options)
    before = list(viewer.layers)
    scene = Scene(viewer, session)
    assert [layer for layer in viewer.layers if role_of(layer) in ("tspan4", "wga")] == before
    assert scene.layer("wga") is before[1]
    assert list(viewer.layers)[:2] == before, "below what was found"


def test_the_place_of_a_mouse_that_rests_follows_the_view(scene):
    """Napari knows where the mouse is from its moves only, and the keys of corrections ask for it."""
    viewer = scene.viewer
    camera = viewer.scene.camera
    camera.center, camera.zoom = (0.0, 10.0, 12.0), 10.0
    viewer.cursor.position = (viewer.dims.point[0], 13.0, 8.0)
    number = ids(scene)[-1]
    scene.select("migrasome", number)
    _, y, x = scene.place(scene.selection, scene.frame)
    assert camera.zoom == 15.0, "test invalid: the view did not change"
    # 30 px below and 40 px left of the centre, as before
    np.testing.assert_allclose(scene.cursor_um, (y + 2.0, x - 4.0 * 10 / 15))


def test_strokes_are_taken_in_the_background(scene):
    """A stroke stays on the screen while it is taken; the next one may be painted meanwhile, and is taken after it."""
    waiting = []
    scene.strokes.background = lambda work, finish: waiting.append((work, finish))

    def work_off():
        work, finish = waiting.pop(0)
        finish(work(), None)

    cells, frame = scene.layer("cells"), scene.frame
    new = scene.session.next_id("cell")
    before = cells.data[frame].copy()
    cells.brush_size = 5
    cells.paint((frame, 20, 30), new)
    assert len(waiting) == 1
    assert scene.session.history == ()
    assert cells.data[frame][20, 30] == new
    cells.paint((frame, 60, 30), new)
    cells.paint((frame, 60, 34), new)
    assert len(waiting) == 1, "the second stroke waits for the first"
    work_off()
    assert [edit.op for edit in scene.session.history] == ["paint_cells"]
    assert scene.session.labels["cells"][frame][20, 30] == new
    assert scene.session.labels["cells"][frame][60, 30] == before[60, 30]
    assert cells.data[frame][60, 30] == new, "what was painted meanwhile is not lost"
    work_off()
    assert waiting == []
    assert len(scene.session.history) == 2
    assert not cells.data.painted
    np.testing.assert_array_equal(cells.data[frame], scene.session.labels["cells"][frame])
    scene.undo()
    assert cells.data[frame][60, 30] == before[60, 30]
    assert cells.data[frame][20, 30] == new
    scene.undo()
    np.testing.assert_array_equal(cells.data[frame], before)


def test_a_stroke_that_can_not_be_kept_is_taken_back(scene, monkeypatch):
    from migradetect.errors import OutputError

    told = []
    monkeypatch.setattr(scene.strokes, "_warn", told.append)

    def full(*_):
        raise OutputError("no room")

    monkeypatch.setattr(scene.session, "do", full)
    cells, frame = scene.layer("cells"), scene.frame
    before = cells.data[frame].copy()
    cells.paint((frame, 20, 30), scene.session.next_id("cell"))
    assert told == ["no room"]
    np.testing.assert_array_equal(cells.data[frame], before)
    assert not scene.strokes.is_busy


def test_hidden_layers_are_filled_when_they_are_shown(scene):
    from migradetect_napari._open import shown_candidates

    candidates, tracks = scene.layer("candidates"), scene.layer("migrasome_tracks")
    n_candidates = len(shown_candidates(scene.session.tables["candidates"]))
    assert n_candidates
    assert len(candidates.data) == 0
    candidates.visible = True
    assert candidates.features["candidate_id"].nunique() == n_candidates
    number = int(scene.session.tables["tracks"]["migrasome_id"].iloc[0])
    tracks.visible = True
    assert len(tracks.data) == len(scene.session.tables["migrasomes"])
    tracks.visible = False
    scene.do(edits.Reject(migrasome_id=number))
    # shown: at once; hidden: when it is shown again
    assert candidates.features["candidate_id"].nunique() == n_candidates + 1
    assert number in set(tracks.data[:, 0])
    tracks.visible = True
    assert number not in set(tracks.data[:, 0])


def test_layers_that_were_dropped_are_taken_over(out):
    from napari.components import ViewerModel
    from napari.layers import Layer

    from migradetect_napari._open import result_layers, session_of
    from migradetect_napari._scene import Scene

    session = ReviewSession.open(out, "dish")
    viewer = ViewerModel()
    for made in result_layers(session):
        viewer.add_layer(Layer.create(*made))
    dropped = list(viewer.layers)
    assert session_of(dropped[0].metadata["migradetect"]) is session
    Scene(viewer, session)
    assert list(viewer.layers) == dropped
    # a session of another reviewer has layers of its own
    Scene(viewer, ReviewSession.open(out, "dish", "anna"))
    assert [role_of(one) for one in viewer.layers] == ROLES
    assert not [one for one in viewer.layers if one in dropped]


def test_other_strokes_are_told_by_their_own_edit(scene):
    cells = scene.layer("cells")
    scene.go_to_frame(2)
    cells.selected_label = 0
    cells.paint((2, 100, 100), scene.session.next_id("cell"))
    assert [edit.frame for edit in scene.session.history] == [2]


@pytest.mark.parametrize("name", [one.name for one in COMMANDS if one.name not in ("paint",)])
def test_every_command_makes_its_edit(shared, name):
    """Each command, pressed where it makes sense, is taken by the session and changes what is reviewed."""
    scene, desk = shared, Desk(shared, lambda title, options, current: None)
    session = scene.session
    assert session.history == ()
    before = session.tables["tracks"].copy()
    table = session.tables["migrasomes"]
    size = table.groupby("migrasome_id").size()
    number = int(size.idxmax())
    rows = table[table["migrasome_id"] == number]
    row = rows.iloc[len(rows) // 2]
    frame = int(row["frame"])
    scene.select("migrasome", number)
    at(scene, row["y_um"], row["x_um"], frame)
    desk.ask = lambda title, options, current: next(one for one in options if one not in (current, "unknown"))
    plane = session.labels["cells"][frame]
    fibers = session.labels["fibers"][frame]
    cells = [int(one) for one in np.unique(plane[plane > 0])]
    lines = [int(one) for one in np.unique(fibers[fibers > 0])]

    def on(image, label):
        yy, xx = np.nonzero(image == label)
        k = len(yy) // 2
        at(scene, yy[k] * 0.2, xx[k] * 0.2)

    def press():
        try:
            return command(name).make(desk)
        except NotYet:
            return None

    if name == "add":
        at(scene, 3.0, 3.0)
    if name in ("merge", "relink"):
        other = int(size.drop(number).idxmax())
        desk.marked = [number, other]
    if name == "location":
        desk.ask = lambda title, options, current: "shaft" if current == "tip" else "tip"
    if name == "fate":
        desk.ask = lambda title, options, current: "fade"
    if name == "end":
        at(scene, row["y_um"], row["x_um"], int(rows["frame"].iloc[-2]))
    if name in ("birth", "split"):
        at(scene, row["y_um"], row["x_um"], int(rows["frame"].iloc[1]))
    if name == "parent":
        on(plane, cells[0])
    if name == "merge_cells" and len(cells) < 2:
        after = np.array(plane)
        after[2:40, 2:40] = session.next_id("cell")
        scene.do(edits.PaintCells.between(frame, plane, after))
        plane = session.labels["cells"][frame]
        cells = [int(one) for one in np.unique(plane[plane > 0])]
    if name in ("merge_cells", "relink_cells"):
        on(plane, cells[0])
        assert press() is None
        on(plane, cells[-1])
    if name == "split_cell":
        yy, xx = np.nonzero(plane == cells[0])
        middle = (xx.min() + xx.max()) / 2
        at(scene, (yy.min() - 2) * 0.2, middle * 0.2)
        assert press() is None
        at(scene, (yy.max() + 2) * 0.2, middle * 0.2)
    if name in ("cut_fiber", "join_fibers", "assign_fiber"):
        counts = np.bincount(fibers[fibers > 0].ravel())
        on(fibers, int(counts.argmax()))
    if name == "join_fibers":
        assert press() is None
        if len(lines) < 2:
            pytest.skip("one fiber in the frame")
        on(fibers, next(one for one in lines if one != int(np.bincount(fibers[fibers > 0].ravel()).argmax())))
    if name == "assign_fiber":
        assert press() is None
        on(plane, cells[0])
    edit = press()
    assert edit is not None
    change = scene.do(edit)
    assert session.history[-1] == edit
    assert change.migrasome_ids | change.cell_ids | change.fiber_ids
    line = json.loads(session.path.read_text().splitlines()[-1])
    assert line["edit"]["op"] == edit.op
    while session.can_undo:
        scene.undo()
    assert session.tables["tracks"].equals(before)


def test_commands_say_what_is_missing(scene, desk):
    for name in ("accept", "reject", "move", "split", "birth", "location"):
        with pytest.raises(NotYet, match="select a migrasome"):
            command(name).make(desk)
    at(scene, -5.0, -5.0)
    for name, thing in (("merge_cells", "cell"), ("cut_fiber", "fiber")):
        with pytest.raises(NotYet, match=f"point the mouse at a {thing}"):
            command(name).make(desk)
    assert scene.session.history == ()


def test_a_candidate_is_promoted(scene, desk):
    candidate = int(scene.session.tables["candidates"].sort_values("score")["candidate_id"].iloc[-1])
    n = len(ids(scene))
    scene.select("candidate", candidate)
    scene.do(command("accept").make(desk))
    assert len(ids(scene)) == n + 1
    assert scene.selection.kind == "migrasome"
    scene.do(edits.Reject(migrasome_id=ids(scene)[0], reason="noise"))
    rejected = next(int(one) for one in scene.candidates["candidate_id"] if scene.rejected_id(int(one)))
    scene.select("candidate", rejected)
    edit = command("accept").make(desk)
    assert edit == edits.Accept(migrasome_id=scene.rejected_id(rejected))


def test_keys_override_nothing_of_napari():
    keys = [one.key for one in COMMANDS] + list(KEYS.values())
    assert len(set(keys)) == len(keys)
    taken = compat.default_keys()
    assert {"Ctrl+Z", "P", "Shift+A"} <= taken, "test invalid: napari's keys were not found"
    assert not {compat.normal_key(key) for key in keys} & taken


def test_keys_are_given_back(scene):
    pressed = []
    unbind = compat.bind_keys(scene.viewer, {"N": lambda: pressed.append(1)})
    binding = next(key for key in scene.viewer.keymap if compat.normal_key(key) == "N")
    scene.viewer.keymap[binding](scene.viewer)
    assert pressed == [1]
    unbind()
    assert not [key for key in scene.viewer.keymap if compat.normal_key(key) == "N"]


def test_colours_and_candidates_follow_the_panel(scene):
    layer = scene.layer("migrasomes")
    by_status = np.array(layer.border_color)
    scene.set_colour_by("migrasome_id")
    assert (np.array(layer.border_color) != by_status).any()
    n = len(scene.candidates)
    scene.set_min_candidate_score(0.0)
    assert len(scene.candidates) >= n
    scene.set_min_candidate_score(1.0)
    assert len(scene.layer("candidates").data) == 0


def test_results_without_the_recording(out):
    from napari.components import ViewerModel

    path = out / "dish" / "movie.json"
    record = json.loads(path.read_text())
    for part in (record, record.get("input", {})):
        part.update({name: f"{part[name]}.gone" for name in ("path", "absolute_path") if name in part})
    path.write_text(json.dumps(record))
    session = ReviewSession.open(out, "dish")
    assert session.movie is None, "test invalid: the recording was found"
    scene = Scene(ViewerModel(), session)
    assert [role_of(layer) for layer in scene.viewer.layers] == ROLES[2:]
    assert session.notes
