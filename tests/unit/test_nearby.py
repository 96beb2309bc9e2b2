from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migradetect.filters import nearest_label
from migradetect.nearby import BLOCK_PX, filled_blocks, label_within


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_label_within_reach_is_the_nearest_and_none_beyond(dtype: type) -> None:
    labels = np.zeros((40, 50), dtype)
    labels[10, 10], labels[10, 20] = 3, 200
    distance, label = label_within(labels, np.array([10.0, 13.0, 10.0, 39.0]), np.array([10.0, 14.0, 16.4, 49.0]), 5.0)
    np.testing.assert_allclose(distance, [0.0, 5.0, 4.0, np.inf])
    assert label.tolist() == [3, 3, 200, 0]


@given(st.integers(0, 2**31), st.floats(0.5, 40), st.tuples(st.integers(1, 70), st.integers(1, 70)))
@settings(max_examples=60, deadline=None)
def test_within_reach_it_agrees_with_the_search_at_any_distance(
    seed: int, reach: float, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random(shape) > 0.98).astype(np.uint8)
    y, x = rng.uniform(-3, shape[0] + 3, 30), rng.uniform(-3, shape[1] + 3, 30)
    distance, label = label_within(labels, y, x, reach)
    anywhere, _ = nearest_label(labels, y, x)
    np.testing.assert_allclose(distance, np.where(anywhere <= reach, anywhere, np.inf))
    assert np.array_equal(label > 0, np.isfinite(distance))


@pytest.mark.parametrize("shape", [(1, 1), (BLOCK_PX, BLOCK_PX), (33, 47)])
def test_blocks_tell_where_labels_are_also_at_the_edge(shape: tuple[int, int]) -> None:
    labels = np.zeros(shape, np.uint16)
    assert not filled_blocks(labels).any()
    labels[-1, -1] = 256
    blocks = filled_blocks(labels)
    assert blocks[-1, -1]
    assert blocks.sum() == 1
