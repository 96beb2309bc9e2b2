import numpy as np
import pytest

from migradetect.errors import AxesError
from migradetect.params import load_params
from migradetect.pipeline import Previewer, preview
from migradetect.pipeline import _preview as module
from migradetect.synthetic import simulate


@pytest.fixture(scope="module")
def movie():
    size = {"height_px": 208, "width_px": 208, "pixel_size_um": 0.2, "n_frames": 6}
    return simulate("clean", 7, warmup_min=150.0, migrasomes_per_100um=10.0, n_tails=4.0, **size).movie()


def params(**values):
    return load_params(environ={}, overrides={key.replace("__", "."): value for key, value in values.items()})


def same(one, other):
    assert one.spots.equals(other.spots)
    assert (one.cells == other.cells).all()
    assert (one.fibers == other.fibers).all()
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    "changed",
    [
        {"judge__min_score": 0.2},
        {"spots__min_snr": 8.0},
        {"fibers__min_length_um": 6.0},
        {"cells__body_fraction": 0.4},
        {"preprocess__average_frames": 1},
    ],
)
def test_what_is_kept_changes_no_result(movie, changed):
    kept = Previewer(movie)
    *_, before = kept.steps(params(), 2)
    *_, after = kept.steps(params(**changed), 2)
    assert after.is_final
    same(after, preview(movie, params(**changed), 2))
    *_, again = kept.steps(params(), 2)
    same(again, before)


def test_only_what_changed_is_done_again(movie, monkeypatch):
    done = []
    for name in ("fit_movie_model", "averaged", "detect"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, real=real, **k: (done.append(name), real(*a, **k))[1])
    kept = Previewer(movie)
    kept.final(params(), 2)
    assert {"fit_movie_model", "averaged", "detect"} == set(done)
    done.clear()
    kept.final(params(judge__min_score=0.3), 2)
    assert done == []
    kept.final(params(judge__min_score=0.3, fibers__low_snr=4.0), 2)
    assert done == ["detect"]
    done.clear()
    kept.final(params(), 3)
    assert "fit_movie_model" not in done
    assert "averaged" in done


def test_no_plane_is_read_or_cleaned_again_without_need(movie, monkeypatch):
    """A change of cells, or a step to the next frame, leaves what does not depend on them as it was."""
    done = []
    for name in ("clean_frame", "measure_noise"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, real=real: (done.append((name, *a[1:2])), real(*a))[1])
    kept = Previewer(movie)
    kept.final(params(), 2)
    assert ("measure_noise",) in done
    assert sorted(index for name, *rest in done if name == "clean_frame" for index in rest) == list(range(6))
    done.clear()
    # a change of cells measures the PSF again, and outlines bodies again
    same(kept.final(params(cells__body_fraction=0.4), 2), preview(movie, params(cells__body_fraction=0.4), 2))
    n_fresh = len(done)
    assert n_fresh > 0, "the other previewer has nothing kept: test invalid"
    done.clear()
    kept.final(params(cells__body_fraction=0.45), 2)
    kept.final(params(cells__body_fraction=0.45), 3)
    assert done == []


def test_memory_for_clean_frames_is_bounded(movie):
    kept = module._CleanFrames(most_bytes=1)
    found = Previewer(movie)
    found._clean = kept
    same(found.final(params(), 2), preview(movie, params(), 2))
    assert len(kept._kept) == 1


def test_first_sights_come_before_the_full_answer(movie):
    kept = Previewer(movie)
    assert [one.is_final for one in kept.steps(params(), 2)] == [True]
    sights = list(kept.steps(params(), 4))
    assert [one.is_final for one in sights] == [False, False, True]
    assert sights[0].cells.any()
    assert {one.frame for one in sights} == {4}
    assert [one.is_final for one in kept.steps(params(judge__min_score=0.1), 4)] == [True]


def test_counts_at_every_threshold(movie):
    found = preview(movie, params(judge__min_score=0.0), 3)
    assert len(found.spots) > 2, "test invalid: nothing to count"
    for threshold in (0.0, 0.1, 0.4, 0.55, 0.9, 1.0):
        expected = len(preview(movie, params(judge__min_score=threshold), 3).spots)
        assert found.counts_at(np.array([threshold])).tolist() == [expected]
    assert found.counts["candidates"] == len(found.spots)


def test_frames_out_of_the_movie_are_refused(movie):
    with pytest.raises(AxesError, match="from 0 to 5"):
        list(Previewer(movie).steps(params(), 6))
