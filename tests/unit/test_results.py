import numpy as np
import pytest

from migradetect import Results
from migradetect.errors import TableError
from migradetect.results import MOVIE_TABLES, LabelStack
from migradetect.tables import empty_table


def test_absent_tables_are_empty_not_missing():
    results = Results("m")
    assert set(results.tables) == set(MOVIE_TABLES)
    assert "movies" not in results.tables
    for name in MOVIE_TABLES:
        assert len(getattr(results, name)) == 0


def test_tables_are_checked():
    with pytest.raises(TableError, match="fate"):
        Results("m", {"tracks": empty_table("tracks").drop(columns="fate")})


def test_label_stack_gives_back_what_was_put_in():
    stack = LabelStack((3, 4))
    planes = [np.full((3, 4), value) for value in (0, 70000, 2**32 - 1)]
    for plane in planes:
        stack.append(plane)
    assert len(stack) == 3
    for index in (2, 0, 1, -1):  # in any order
        np.testing.assert_array_equal(stack[index], planes[index])
        assert stack[index].dtype == np.uint32
    assert [int(plane[0, 0]) for plane in stack] == [0, 70000, 2**32 - 1]
    stack[0][:] = 5
    assert not stack[0].any(), "a plane is a copy"
    stack.append(np.ones((3, 4), dtype=bool))  # also after reading
    assert stack[3].all()
    stack.close()


def test_label_stack_refuses_other_sizes():
    stack = LabelStack((3, 4))
    with pytest.raises(TableError, match=r"\(3, 4\)"):
        stack.append(np.zeros((4, 3), dtype=int))


def test_label_plane_is_replaced():
    stack = LabelStack((2, 3))
    for value in (1, 2, 3):
        stack.append(np.full((2, 3), value, np.uint8))
    stack.replace(1, np.full((2, 3), 70_000))
    assert len(stack) == 3
    assert [int(plane.max()) for plane in stack] == [1, 70_000, 3]
    with pytest.raises(TableError, match="expected shape"):
        stack.replace(0, np.zeros((3, 3), int))
