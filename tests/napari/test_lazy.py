import numpy as np
import pytest

from migradetect.errors import ReadError
from migradetect_napari._lazy import LabelPlanes, PlaneStack

DATA = np.arange(5 * 4 * 6, dtype=np.uint16).reshape(5, 4, 6)


class Reads:
    def __init__(self, data=DATA):
        self.data, self.frames = data, []

    def __call__(self, frame):
        self.frames.append(frame)
        return self.data[frame].copy()


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(3),
        (2, slice(1, 3)),
        (2, slice(None), slice(1, 4)),
        (slice(1, 4), slice(None), 2),
        (slice(1, 4), np.array([1, 2]), np.array([0, 5])),
        slice(None, None, 2),
        (slice(0, 0),),
        Ellipsis,
        (Ellipsis,),
        (np.array([0, 4, 4]), np.array([1, 2, 3]), np.array([5, 0, 1])),
        (3, np.array([1, 2]), np.array([0, 5])),
    ],
)
def test_indexes_as_an_array_does(key):
    stack = PlaneStack(Reads(), 5, (4, 6), np.uint16)
    np.testing.assert_array_equal(stack[key], DATA[key])


def test_reads_only_what_is_looked_at():
    reads = Reads()
    stack = PlaneStack(reads, 5, (4, 6), np.uint16)
    assert (stack.shape, stack.ndim, stack.size, len(stack)) == ((5, 4, 6), 3, 120, 5)
    assert reads.frames == []
    stack[2], stack[2], stack[3]
    assert reads.frames == [2, 3]
    stack.forget([2])
    stack[2]
    assert reads.frames == [2, 3, 2]


def test_memory_is_bounded():
    stack = PlaneStack(lambda frame: np.zeros((2, 2), np.uint8), 500, (2, 2), np.uint8)
    for frame in range(500):
        stack[frame]
    assert len(stack._kept) == 12


def test_a_damaged_frame_is_empty_and_told_once():
    told = []

    def read(frame):
        if frame == 1:
            raise ReadError("movie.tif: damaged")
        return DATA[frame]

    stack = PlaneStack(read, 5, (4, 6), np.uint16, told.append)
    assert not stack[1].any()
    stack.forget()
    assert not stack[1].any()
    assert stack[2].any()
    assert told == ["movie.tif: damaged"]


def test_the_recording_is_not_written_to():
    source = DATA.copy()
    stack = PlaneStack(source.__getitem__, 5, (4, 6), np.uint16)
    with pytest.raises(ValueError, match="read-only"):
        stack[0][0, 0] = 1
    assert source.flags.writeable


def test_paint_stays_apart_from_what_was_read():
    source = DATA.astype(np.int32)
    writes = []
    planes = LabelPlanes(source.__getitem__, 5, (4, 6), np.int32)
    planes.on_write = lambda: writes.append(1)
    planes[2, 1:3, 1:3] = 99
    planes[(slice(3, 4), slice(0, 1), slice(0, 2))] = np.full((1, 1, 2), 7)
    planes[(np.array([4, 4]), np.array([0, 1]), np.array([0, 1]))] = np.array([5, 6])
    assert (planes[2][1:3, 1:3] == 99).all()
    assert planes[3][0, :2].tolist() == [7, 7]
    assert (planes[4][0, 0], planes[4][1, 1]) == (5, 6)
    np.testing.assert_array_equal(source, DATA)
    before, painted, n_writes = planes.snapshot(2)
    np.testing.assert_array_equal(before, DATA[2])
    np.testing.assert_array_equal(painted, planes[2])
    assert n_writes == planes.n_writes(2) == 1
    assert sorted(planes.painted) == [2, 3, 4]
    assert len(writes) == 3
    planes.forget([2])
    assert sorted(planes.painted) == [3, 4]
    np.testing.assert_array_equal(planes[2], DATA[2])
    planes.forget()
    np.testing.assert_array_equal(planes[3], DATA[3])
