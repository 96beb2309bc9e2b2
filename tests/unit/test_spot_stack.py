"""Spots of all frames in a temporary file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from migradetect.errors import TableError
from migradetect.pipeline._spot_stack import SpotStack, compact


def spots(frame: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(frame)
    return compact(
        pd.DataFrame(
            {"snr": rng.random(n), "frame": np.full(n, frame), "y_um": rng.random(n) * 300, "picture": rng.random(n)}
        )
    )


def test_rows_come_back_as_they_were_put_in() -> None:
    frames = [spots(0, 5), spots(1, 0), spots(2, 3)]
    stack = SpotStack()
    for one in frames:
        stack.append(one)
    whole = pd.concat(frames, ignore_index=True)
    assert stack.sizes.tolist() == [5, 0, 3]
    back = stack.columns(["frame", "y_um"])
    pd.testing.assert_frame_equal(back[["frame", "y_um"]], whole[["frame", "y_um"]])
    # some, in another order
    wanted = np.array([6, 0, 3, 7])
    back = stack.rows(wanted)
    pd.testing.assert_frame_equal(back[list(whole)], whole.iloc[wanted].reset_index(drop=True))


def test_evidence_is_kept_in_single_precision_and_places_in_double() -> None:
    kinds = spots(3, 2).dtypes.astype(str).to_dict()
    assert kinds == {"snr": "float32", "frame": "int64", "y_um": "float64", "picture": "float32"}


def test_a_movie_without_any_spot() -> None:
    stack = SpotStack()
    stack.append(spots(0, 0))
    assert len(stack.columns(["frame", "snr"])) == 0
    assert list(stack.rows(np.empty(0, np.int64))) == ["snr", "picture", "frame", "y_um"]


def test_other_columns_are_refused() -> None:
    stack = SpotStack()
    stack.append(spots(0, 2))
    with pytest.raises(TableError, match="frame 1"):
        stack.append(spots(1, 2).drop(columns="snr"))
