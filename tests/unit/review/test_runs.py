import numpy as np
import pytest

from migradetect.errors import CancelledError
from migradetect.filters import nearest_label
from migradetect.review import edits
from migradetect.review._runs import Runs


def discs(shape=(61, 83), dtype=np.uint16, seed=3):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = np.zeros(shape, dtype)
    for label in range(1, 9):
        plane[(y - random.integers(0, shape[0])) ** 2 + (x - random.integers(0, shape[1])) ** 2 < 40] = label
    plane[0, -1], plane[1, 0] = 9, 9  # the end of a row and the begin of the next
    return plane


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_runs_hold_the_plane(dtype):
    plane = discs(dtype=dtype)
    runs = Runs.of(plane)
    np.testing.assert_array_equal(runs.plane(), plane)
    np.testing.assert_array_equal(runs.window(slice(5, 40), slice(30, 83)), plane[5:40, 30:83])
    swapped = runs.renamed({1: 2, 2: 1}).plane()
    np.testing.assert_array_equal(swapped == 1, plane == 2)
    np.testing.assert_array_equal(swapped == 2, plane == 1)


def test_the_nearest_label_is_that_of_the_whole_plane():
    plane = discs()
    y, x = np.random.default_rng(1).uniform(-5, 90, (2, 500))
    expected, _ = nearest_label(plane, y, x)
    distance, label = Runs.of(plane).nearest(y, x)
    np.testing.assert_allclose(distance, expected)
    assert (label > 0).all()
    np.testing.assert_array_equal(
        label[distance == 0],
        plane[np.clip(np.rint(y), 0, 60).astype(int), np.clip(np.rint(x), 0, 82).astype(int)][distance == 0],
    )


def test_a_plane_without_labels():
    for runs in (Runs.empty((4, 6)), Runs.of(np.zeros((4, 6), np.uint16))):
        assert not runs.plane().any()
        distance, label = runs.nearest(np.array([1.0]), np.array([2.0]))
        assert np.isinf(distance).all()
        assert not label.any()


def test_a_correction_that_is_stopped_leaves_nothing(fresh):
    session = fresh()
    tracks = session.tables["tracks"]
    edit = edits.Add(frame=5, y_um=20.0, x_um=20.0, diameter_um=1.2)
    told = []
    with pytest.raises(CancelledError):
        session.do(edit, progress=lambda *step: told.append(step), cancel=lambda: len(told) > 3)
    assert told, "test invalid"
    assert not session.path.exists()
    assert (session.n_edits, session.can_undo) == (0, False)
    assert session.tables["tracks"] is tracks
    session.do(edit, progress=lambda *step: told.append(step))
    assert told[-1][0] == told[-1][1]
    assert session.n_edits == 1
    session.undo()
    with pytest.raises(CancelledError):
        session.redo(cancel=lambda: True)
    assert (session.n_edits, session.can_redo) == (0, True)
