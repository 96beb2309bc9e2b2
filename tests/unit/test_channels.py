from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_shapes import draw_line
from numpy.typing import NDArray

from migradetect.batch import run_batch
from migradetect.calibration import Calibration
from migradetect.io import find_movies, load_results, write_movie
from migradetect.movie import ArraySource, Movie
from migradetect.params import Params, RegistrationParams, load_params
from migradetect.pipeline import analyze, preview
from migradetect.pipeline._channels import aligned_movie, channel_shifts
from migradetect.results import Results
from migradetect.review._base import Base
from migradetect.review._images import Recording
from migradetect.synthetic import simulate

SIZE = 192
ALIGN, LEAVE = RegistrationParams(), RegistrationParams(align_channels=False)


def moved(plane: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
    """What stood at (y, x) stands at (y + rows, x + columns)."""
    y, x = (np.clip(np.arange(n) - shift, 0, n - 1) for n, shift in zip(plane.shape, (rows, columns), strict=True))
    return plane[y][:, x]


def fibers_in_both(shifts: list[tuple[int, int]], pixel_um: float = 0.15, is_same: bool = True) -> Movie:
    """One frame for each shift of WGA; its lines are others than those of TSPAN4 unless they are the same."""
    rng = np.random.default_rng(4)
    drawn = []
    for _ in range(2):
        ends = rng.uniform(10, SIZE - 10, (8, 2, 2))
        drawn.append(sum(30 * draw_line((SIZE, SIZE), tuple(a), tuple(b), 1.2) for a, b in ends))
    lines, others = drawn
    frames = [[20 + lines, 20 + moved(lines if is_same else others, *shift)] for shift in shifts]
    data = rng.poisson(np.array(frames)).astype(np.uint16)
    return Movie.from_array(data, Calibration(pixel_um, 120.0), ("tspan4", "wga"))


@pytest.mark.parametrize("shift", [(2, -3), (0, 1), (-7, 4)])
@pytest.mark.parametrize("n_frames", [1, 5])
def test_a_shift_of_the_second_channel_is_found(shift: tuple[int, int], n_frames: int) -> None:
    movie = fibers_in_both([shift] * n_frames)
    assert channel_shifts(movie, ALIGN) == {"wga": shift}
    aligned = aligned_movie(movie, {"wga": shift})
    assert channel_shifts(aligned, ALIGN) == {}
    inside = (slice(10, -10), slice(10, -10))
    there = movie.frame(0, "wga")[10 + shift[0] : SIZE - 10 + shift[0], 10 + shift[1] : SIZE - 10 + shift[1]]
    np.testing.assert_array_equal(aligned.frame(0, "wga")[inside], there)
    np.testing.assert_array_equal(aligned.frame(0, "tspan4"), movie.frame(0, "tspan4"))


def test_what_need_not_be_aligned_is_left_as_it_is() -> None:
    still = fibers_in_both([(0, 0)] * 3)
    assert channel_shifts(still, ALIGN) == {}
    assert aligned_movie(still, {}) is still
    assert channel_shifts(fibers_in_both([(2, -3)] * 3), LEAVE) == {}
    one = Movie.from_array(still.source.data[:, :1], still.calibration, ("wga",))
    assert channel_shifts(one, ALIGN) == {}
    # WGA is laid upon TSPAN4, whichever comes first in the file
    apart = fibers_in_both([(2, -3)] * 3)
    swapped = Movie.from_array(apart.source.data[:, ::-1], still.calibration, ("wga", "tspan4"))
    assert channel_shifts(swapped, ALIGN) == {"wga": (2, -3)}
    # a third channel may show something else: it is measured, and left where it is
    data = np.concatenate([fibers_in_both([(2, -3)] * 3).source.data, still.source.data[:, :1]], axis=1)
    three = Movie.from_array(data, still.calibration, ("tspan4", "wga", "dna"))
    assert channel_shifts(three, ALIGN) == {"wga": (2, -3)}


@pytest.mark.parametrize(
    "movie",
    [
        fibers_in_both([(2, -3)] * 5, is_same=False),
        fibers_in_both([(2, 3), (-2, -3), (5, 0), (0, 5), (-5, 2)]),
        fibers_in_both([(0, 40)] * 5),
        Movie.from_array(
            np.random.default_rng(1).poisson(50, (4, 2, 160, 160)).astype(np.uint16),
            Calibration(0.15, 120.0),
            ("tspan4", "wga"),
        ),
    ],
    ids=["other fibers", "each frame differs", "too far", "noise"],
)
def test_no_shift_is_made_up(movie: Movie) -> None:
    assert channel_shifts(movie, ALIGN) == {}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    """A movie as it is, and results of the same with WGA shifted by two rows and three columns."""
    size = {"height_px": 256, "width_px": 256, "pixel_size_um": 0.2, "frame_interval_s": 120.0, "n_frames": 6}
    movie = simulate("clean", 7, warmup_min=150.0, migrasomes_per_100um=12.0, n_tails=4.0, **size).movie()
    assert isinstance(movie.source, ArraySource)
    folder = tmp_path_factory.mktemp("channels")
    data = movie.source.data.copy()
    data[:, 1] = [moved(plane, 2, -3) for plane in data[:, 1]]
    write_movie(folder / "dish.ome.tif", data, "TCYX", movie.calibration, list(movie.roles))
    run_batch(find_movies([folder]), folder / "out", load_params(environ={}), workers=0)
    return analyze(movie), folder / "out" / "dish"


def test_results_are_those_of_channels_that_lie_upon_each_other(apart: tuple[Results, Path]) -> None:
    together, folder = apart
    found = load_results(folder)
    assert found.provenance["channel_shift_px"] == {"wga": [2, -3]}
    assert found.provenance["qc_flags"] == ["channels_apart"]
    assert together.provenance["channel_shift_px"] == {}
    one, other = (
        table[table["y_um"].between(2, 48) & table["x_um"].between(2, 48)]
        for table in (together.migrasomes, found.migrasomes)
    )
    assert len(one) > 20, "test invalid"
    both = one.merge(other, on="frame", suffixes=("", "_other"))
    both = both[np.hypot(both["y_um"] - both["y_um_other"], both["x_um"] - both["x_um_other"]) < 0.15]
    assert len(both) > 0.8 * len(one)
    assert (both["wga_signal_other"] / both["wga_signal"]).median() == pytest.approx(1, abs=0.02)


def test_a_place_measured_in_the_review_has_the_signals_of_the_analysis(apart: tuple[Results, Path]) -> None:
    base = Base.load(apart[1])
    number = base.results.migrasomes.groupby("migrasome_id")["snr"].median().idxmax()
    site = base.results.site_traces.query("migrasome_id == @number").sort_values("frame")
    bodies = base.results.labels["cells"]
    diameter = float(base.results.tracks.set_index("migrasome_id").at[number, "plateau_diameter_um"])
    out = Recording(base).measure(
        site[["y_um", "x_um"]].to_numpy(float),
        site["frame"].to_numpy(np.int64),
        diameter,
        lambda frame, rows, columns: bodies[frame][rows, columns],
        None,
    )
    assert out is not None
    for role in ("tspan4", "wga"):
        name = f"{role}_signal"
        np.testing.assert_allclose(out[name].median(), site[name].median(), rtol=0.15)


def test_a_preview_lays_channels_upon_each_other() -> None:
    movie = fibers_in_both([(2, -3)] * 3)
    shown = preview(movie, Params(), 1)
    np.testing.assert_array_equal(shown.images["wga"], movie.frame(1, "wga"), err_msg="shown as recorded")
    together = preview(aligned_movie(movie, {"wga": (2, -3)}), Params(), 1)
    np.testing.assert_array_equal(shown.fibers, together.fibers)
    assert (preview(movie, Params(registration=LEAVE), 1).fibers != together.fibers).any()
