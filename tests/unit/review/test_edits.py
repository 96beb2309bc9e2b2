import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from migradetect.errors import EditError
from migradetect.review import edits
from migradetect.review._apply import _STEPS
from migradetect.review._edit import _KINDS

EXAMPLES = [
    edits.Accept(migrasome_id=1),
    edits.Reject(migrasome_id=1, reason="debris"),
    edits.Promote(candidate_id=0, reason="seen"),
    edits.Add(frame=0, y_um=1.5, x_um=2.5, diameter_um=1.0),
    edits.Move(migrasome_id=1, frame=2, y_um=1.0, x_um=2.0),
    edits.Resize(migrasome_id=1, diameter_um=1.2),
    edits.Merge(migrasome_ids=(1, 2, 3)),
    edits.Split(migrasome_id=1, frame=3),
    edits.Relink(migrasome_id=1, to_id=2, frame=3),
    edits.SetParent(migrasome_id=1, cell_id=None),
    edits.SetLocation(migrasome_id=1, location="tip"),
    edits.SetBirth(migrasome_id=1, frame=1),
    edits.SetEnd(migrasome_id=1, frame=None),
    edits.SetFate(migrasome_id=1, fate="engulfed", engulfed_by_cell_id=2),
    edits.PaintCells.from_patch(0, 1, 2, np.array([[-1, 0], [3, 3]])),
    edits.MergeCells(cell_ids=(1, 2)),
    edits.SplitCell(cell_id=1, frame=0, y0_um=0.0, x0_um=0.0, y1_um=1.0, x1_um=1.0),
    edits.RelinkCells(cell_id=1, other_id=None, frame=2),
    edits.CutFiber(fiber_id=1, frame=0, y_um=1.0, x_um=1.0),
    edits.JoinFibers(fiber_ids=(1, 2)),
    edits.AssignFiber(fiber_id=1, cell_id=None),
]


def test_there_is_an_example_and_a_step_of_each():
    assert {type(one) for one in EXAMPLES} == set(_STEPS)
    assert set(_KINDS.values()) == set(_STEPS)
    assert {one.__name__ for one in _STEPS} == set(edits.__all__) - {"Edit", "parse_edit"}


@pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: edit.op)
def test_it_comes_back_from_json_and_is_frozen(edit):
    again = edits.parse_edit(json.loads(json.dumps(edit.to_dict())))
    assert again == edit
    assert edit.__doc__
    with pytest.raises(ValueError, match="frozen"):
        edit.frame = 3


@pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: edit.op)
def test_other_ids_and_back(edit):
    other = edit.with_ids(lambda kind, number: number + 10)
    assert other.named() == [(kind, number + 10) for kind, number in edit.named()]
    assert other.with_ids(lambda kind, number: number - 10) == edit


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (edits.Accept, {"migrasome_id": 0}, "migrasome_id"),
        (edits.Accept, {"migrasome_id": 1, "reason": "x"}, "reason"),
        (edits.Accept, {}, "migrasome_id"),
        (edits.Add, {"frame": 0, "y_um": float("nan"), "x_um": 0.0, "diameter_um": 1.0}, "y_um"),
        (edits.Add, {"frame": -1, "y_um": 0.0, "x_um": 0.0, "diameter_um": 1.0}, "frame"),
        (edits.Add, {"frame": 0, "y_um": 0.0, "x_um": 0.0, "diameter_um": 0.0}, "diameter_um"),
        (edits.Merge, {"migrasome_ids": (1,)}, "two or more"),
        (edits.Merge, {"migrasome_ids": (1, 1)}, "two or more"),
        (edits.SetLocation, {"migrasome_id": 1, "location": "middle"}, "location"),
        (edits.PaintCells, {"frame": 0, "y0": 0, "x0": 0, "height": 1, "width": 1, "data": "!"}, "unpacked"),
    ],
)
def test_bad_values_are_one_line(kind, values, named):
    with pytest.raises(EditError, match=named) as caught:
        kind(**values)
    assert "\n" not in str(caught.value)


def test_unknown_operations_are_named():
    with pytest.raises(EditError, match="got 'explode'"):
        edits.parse_edit({"op": "explode"})


def test_numbers_of_tables_and_arrays_count():
    assert edits.Accept(migrasome_id=np.int64(3)).migrasome_id == 3
    assert edits.Resize(migrasome_id=np.uint32(3), diameter_um=np.float32(1.5)).diameter_um == 1.5


planes = hnp.arrays(np.uint32, (7, 9), elements=st.integers(0, 4))


@given(planes, planes)
def test_a_patch_makes_one_plane_of_the_other(before, after):
    kept = before.copy()
    edit = edits.PaintCells.between(2, before, after)
    if edit is None:
        assert (before == after).all()
        return
    edit = edits.parse_edit(json.loads(json.dumps(edit.to_dict())))
    np.testing.assert_array_equal(edit.paint(before), after)
    np.testing.assert_array_equal(before, kept)


def test_a_patch_over_the_edge_is_cut_off():
    edit = edits.PaintCells.from_patch(0, 2, 2, np.full((5, 5), 7))
    painted = edit.paint(np.zeros((4, 4), np.uint32))
    assert (painted == 7).sum() == 4
