import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.errors import EditError, OutputError
from migradetect.review import log_path, reviewers
from migradetect.review._history import History
from migradetect.review._log import EditLog


def line(number):
    return {"id": f"e{number}", "kind": "do", "text": "a\nb \N{SNOWMAN}"}


def test_lines_come_back_and_each_is_one_line(tmp_path):
    path = tmp_path / "edits.jsonl"
    log = EditLog.read(path)
    assert not path.exists()
    for k in range(3):
        log.append(line(k))
        assert len(path.read_bytes().splitlines()) == k + 1
    assert EditLog.read(path).lines == [line(k) for k in range(3)] == log.lines


@pytest.mark.parametrize("cut", [1, 2, 7, 40])
def test_a_torn_line_is_set_aside_and_no_other_is_lost(tmp_path, cut):
    path = tmp_path / "edits.jsonl"
    log = EditLog.read(path)
    log.append(line(1))
    whole = path.read_bytes()
    log.append(line(2))
    torn = path.read_bytes()[: len(whole) + cut]
    path.write_bytes(torn)
    again = EditLog.read(path)
    assert again.lines == [line(1)]
    assert len(again.notes) == 1
    assert "line 2 was cut" in again.notes[0]
    again.append(line(3))
    assert path.read_bytes().startswith(torn), "a log is only ever appended to"
    third = EditLog.read(path)
    assert third.lines == [line(1), line(3)]
    assert "line 2 is damaged" in third.notes[0]


def test_a_line_without_its_line_break_counts(tmp_path):
    path = tmp_path / "edits.jsonl"
    EditLog.read(path).append(line(1))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    log = EditLog.read(path)
    assert log.lines == [line(1)]
    assert not log.notes
    log.append(line(2))
    assert EditLog.read(path).lines == [line(1), line(2)]


@given(st.binary(max_size=200))
@settings(max_examples=25, deadline=None)
def test_any_bytes_are_read(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("noise") / "edits.jsonl"
    path.write_bytes(noise)
    log = EditLog.read(path)
    assert len(log.lines) == 0
    log.append(line(1))
    assert EditLog.read(path).lines == [line(1)]


def test_two_sessions_on_one_log_are_told_apart(tmp_path):
    path = tmp_path / "edits.jsonl"
    one, other = EditLog.read(path), EditLog.read(path)
    one.append(line(1))
    with pytest.raises(EditError, match="another session"):
        other.append(line(2))
    assert EditLog.read(path).lines == [line(1)]


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "edits.jsonl"
    log = EditLog.read(path)
    log.append(line(1))
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            log.append(line(2))
    assert path.read_bytes() == before
    log.append(line(3))
    assert EditLog.read(path).lines == [line(1), line(3)]


def test_reviewers_have_logs_of_their_own(tmp_path):
    assert log_path(tmp_path).name == "edits.jsonl"
    assert log_path(tmp_path, "Anna K.").name == "edits.anna_k.jsonl"
    assert log_path(tmp_path, "../../etc/x").parent == tmp_path
    assert log_path(tmp_path, "previous").name == "edits.previous_.jsonl"
    for name in ("", "..", "///"):
        with pytest.raises(EditError, match="expected a reviewer's name"):
            log_path(tmp_path, name)
    assert reviewers(tmp_path) == []
    for name in ("edits.ben.jsonl", "edits.jsonl", "edits.anna.jsonl", "edits.previous.jsonl", "edits.txt"):
        (tmp_path / name).write_text("")
    assert reviewers(tmp_path) == [None, "anna", "ben"]


@given(st.lists(st.sampled_from(["do", "undo", "redo"]), max_size=30))
def test_the_history_of_a_log_is_what_a_person_saw(kinds):
    """Against a plain model: two stacks."""
    lines, active, undone = [], [], []
    for k, kind in enumerate(kinds):
        if kind == "do":
            lines.append({"id": f"e{k}", "kind": "do"})
            active.append(f"e{k}")
            undone.clear()
        elif kind == "undo" and active:
            lines.append({"id": f"e{k}", "kind": "undo", "target": active[-1]})
            undone.append(active.pop())
        elif kind == "redo" and undone:
            lines.append({"id": f"e{k}", "kind": "redo", "target": undone[-1]})
            active.append(undone.pop())
    history, notes = History.of(json.loads(json.dumps(lines)))
    assert [one["id"] for one in history.active] == active
    assert [one["id"] for one in history.undone] == undone
    assert not notes
