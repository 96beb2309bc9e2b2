from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from migradetect import trees
from migradetect.errors import ParamsError
from migradetect.trees import load_trees, trees_probability


def stump(missing_left: bool | None = None) -> dict[str, np.ndarray]:
    """One question: is the second feature above 3? Then the log-odds rise by 2, else they fall by 1."""
    out = {
        "names": np.array(["a", "b"]),
        "start": np.array(0.5),
        "feature": np.array([[1, -1, -1]]),
        "threshold": np.array([[3.0, 0, 0]], np.float32),
        "left": np.array([[1, 0, 0]]),
        "right": np.array([[2, 0, 0]]),
        "value": np.array([[0, -1.0, 2.0]]),
    }
    return out if missing_left is None else out | {"missing_left": np.array([[missing_left, False, False]])}


def logistic(log_odds: float) -> float:
    return 1 / (1 + np.exp(-log_odds))


def test_walk_by_hand() -> None:
    # a value at the threshold goes left
    got = trees_probability(stump(), [[9.0, 2.0], [9.0, 3.0], [0.0, 3.1]])
    np.testing.assert_allclose(got, [logistic(-0.5), logistic(-0.5), logistic(2.5)], rtol=1e-6)
    assert trees_probability(stump(), np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize(("missing_left", "log_odds"), [(None, 2.5), (False, 2.5), (True, -0.5)])
def test_missing_value_goes_where_the_training_sent_it(missing_left: bool | None, log_odds: float) -> None:
    assert trees_probability(stump(missing_left), [[0.0, np.nan]])[0] == pytest.approx(logistic(log_odds))


def test_agrees_with_the_library_that_trains_them() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    y = np.nan_to_num(x[:, 0]) + np.isnan(x[:, 1]) > 0.3
    model = ensemble.HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=6).fit(x, y)
    sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "benchmark"))
    try:
        from boosted_arrays import arrays_of
    finally:
        sys.path.pop(0)
    np.testing.assert_allclose(
        trees_probability(arrays_of(model, ("a", "b", "c")), x), model.predict_proba(x)[:, 1], rtol=1e-5
    )


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(trees.resources, "files", lambda _: tmp_path)
    load_trees.cache_clear()
    yield tmp_path / "data"
    load_trees.cache_clear()


def test_model_of_other_features_is_refused_with_the_remedy(data_folder: Path) -> None:
    np.savez(data_folder / "one.npz", **stump())
    assert set(load_trees("one.npz", ("a", "b"), "train.py")) == set(stump())
    with pytest.raises(ParamsError, match=r"one.npz: expected the features b, a, got a, b; .*benchmark/train\.py"):
        load_trees("one.npz", ("b", "a"), "train.py")
