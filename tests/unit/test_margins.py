from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from migradetect.batch import run_batch
from migradetect.calibration import Calibration
from migradetect.frame_quality import fill_plane, find_margin, may_have_margin, measure_frame
from migradetect.io import find_movies, write_movie
from migradetect.movie import Movie
from migradetect.params import Params, load_params
from migradetect.pipeline import analyze, preview
from migradetect.results import Results
from migradetect.review._base import Base
from migradetect.review._images import Recording
from migradetect.review._windows import WindowCache
from migradetect.synthetic import Simulation, simulate

Plane = NDArray[np.uint16]
CALIBRATION = Calibration(0.2, 120.0)
SIZE = 256
Y, X = np.mgrid[:SIZE, :SIZE]


def recorded(seed: int = 0, body: float = 0.0) -> Plane:
    """An empty field that is darker to the right, and a body at its left edge."""
    rng = np.random.default_rng(seed)
    level = 400 - 0.5 * X + body * (np.hypot(Y - 128, X) < 60)
    return rng.normal(level, 10.0).astype(np.uint16)


def turned(plane: Plane, degrees: float, dx: float, dy: float, value: float = 0.0) -> NDArray[np.float32]:
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), degrees, 1)
    matrix[:, 2] += dx, dy
    return cv2.warpAffine(  # type: ignore[return-value]
        plane.astype(np.float32), matrix, (SIZE, SIZE), borderMode=cv2.BORDER_CONSTANT, borderValue=value
    )


MADE: dict[str, tuple[Callable[[Plane], NDArray[np.generic]], NDArray[np.bool_]]] = {
    "shifted": (lambda plane: turned(plane, 0, 13.4, -20.7).astype(np.uint16), (X < 14) | (SIZE - 22 < Y)),
    "turned": (
        lambda plane: turned(plane, 4, 0, 0).astype(np.uint16),
        np.asarray(turned(np.ones((SIZE, SIZE), np.uint16), 4, 0, 0) < 0.99),
    ),
    "without a number": (lambda plane: turned(plane, 0, 13.4, -20.7, np.nan), (X < 14) | (SIZE - 22 < Y)),
    "round": (lambda plane: np.where(np.hypot(Y - 128, X - 128) > 130, 0, plane), np.hypot(Y - 128, X - 128) > 130),
    "one column": (lambda plane: np.where(X < 1, 0, plane), X < 1),
    "white": (lambda plane: np.where(X < 20, 65535, plane), X < 20),
}


@pytest.mark.parametrize("name", MADE)
def test_a_margin_is_found_and_filled_with_what_might_have_been_there(name: str) -> None:
    make, truth = MADE[name]
    spoilt = make(recorded())
    before = spoilt.copy()
    margin = find_margin(spoilt)
    assert margin is not None
    assert margin[truth].mean() > 0.97
    # two pixels are a mixture
    assert not margin[cv2.dilate(truth.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0].any()
    assert may_have_margin(np.concatenate([spoilt[:32], spoilt[-32:]]))
    filled = fill_plane(spoilt)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[~margin], spoilt[~margin])
    np.testing.assert_array_equal(spoilt, before)
    away = filled - (400 - 0.5 * X)
    assert abs(np.median(away[margin])) < 20
    deep = cv2.erode(margin.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    deviation, other = (one - cv2.GaussianBlur(one, (0, 0), 4.0) for one in (away, fill_plane(make(recorded(1)))))
    if deep.any():
        assert deviation[deep].std() == pytest.approx(deviation[~margin].std(), rel=0.25)
        assert abs(np.corrcoef(deviation[deep], other[deep])[0, 1]) < 0.2
    np.testing.assert_array_equal(fill_plane(spoilt), filled)
    facts = measure_frame(spoilt.astype(np.float32))
    assert facts.margin == pytest.approx(margin.mean())
    assert facts.n_not_finite == 0
    assert facts.low > 0


def test_a_body_ends_at_the_margin() -> None:
    spoilt = np.where(X < 20, 0, recorded(body=2000.0))
    filled = fill_plane(spoilt)
    assert filled[100:156, 22:50].min() > 2000
    assert filled[:, :20].mean() < 1500


def dark(plane: Plane, share: float) -> Plane:
    return np.maximum(plane.astype(int) - int(np.quantile(plane, share)), 0).astype(np.uint16)


CELL = (2000 * (np.hypot(Y - 100, X - 150) < 50) + 800 * (np.hypot(Y - 220, X - 60) < 25)).astype(np.float32)


@pytest.mark.parametrize(
    "plane",
    [
        recorded(),
        recorded(body=3000.0),
        dark(recorded(), 0.6),
        dark(recorded(), 0.95),
        # a dark field that was smoothed, and cells cut out of it
        cv2.GaussianBlur(CELL, (0, 0), 6.0).astype(np.uint16),
        CELL.astype(np.uint16),
        # light that fades to nothing in the corners
        np.maximum(300 - 0.02 * ((Y - 128.0) ** 2 + (X - 128.0) ** 2), 0).astype(np.uint16),
        np.zeros((SIZE, SIZE), np.uint16),
        np.zeros((1, 1), np.uint16),
        np.where(X < 20, np.inf, recorded()).astype(np.float32),
        np.where(X < 20, 0, recorded())[:40, :40],
    ],
)
def test_what_was_recorded_is_no_margin(plane: Plane) -> None:
    assert find_margin(plane) is None
    filled = fill_plane(plane)
    assert filled is plane or plane.dtype == np.float32
    assert measure_frame(plane.astype(np.float32)).margin == 0


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(
        "clean", 7, n_frames=8, warmup_min=150.0, migrasomes_per_100um=12.0, n_tails=4.0, height_px=SIZE,
        width_px=SIZE, pixel_size_um=0.2, frame_interval_s=120.0,
    )  # fmt: skip


def stabilised(data: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """A margin that grows, as in a movie whose drift was taken out."""
    out = data.copy()
    for t, frame in enumerate(out):
        frame[:, :, SIZE - 10 - 4 * t :] = 0
        frame[:, SIZE - 3 * t :] = 0
    return out


def movie(data: NDArray[np.generic]) -> Movie:
    return Movie.from_array(data, CALIBRATION, ("tspan4", "wga"), "m")


@pytest.fixture(scope="module")
def found(simulation: Simulation) -> tuple[Results, Results]:
    return analyze(movie(simulation.data)), analyze(movie(stabilised(simulation.data)))


def test_a_margin_changes_nothing_in_the_rest_of_the_field(found: tuple[Results, Results]) -> None:
    whole, part = found
    assert (whole.frames["qc_flags"] == "").all()
    assert (part.frames["qc_flags"] == "margin").all()
    px = CALIBRATION.pixel_size_um
    last = whole.migrasomes[(whole.migrasomes["frame"] == 6)]
    clear = last[(last["x_um"] < (SIZE - 44) * px) & (last["y_um"] < (SIZE - 28) * px)]
    rows = part.migrasomes[part.migrasomes["frame"] == 6]
    apart = np.hypot(*(clear[[axis]].to_numpy() - rows[axis].to_numpy() for axis in ("y_um", "x_um"))).min(axis=1)
    assert len(clear) >= 5
    assert (apart < 0.4).mean() > 0.8
    areas = [(results.labels["cells"][6][:, :-44] > 0).sum() for results in found]
    assert areas[1] == pytest.approx(areas[0], rel=0.05)


def test_a_body_is_outlined_up_to_the_margin_and_nothing_is_drawn_beyond(simulation: Simulation) -> None:
    data = simulation.data.copy()
    body = np.hypot(Y - 128, X - 215) < 45
    data[:, :, body] += 4000
    data = stabilised(data)
    results = analyze(movie(data))
    for t in range(8):
        margin = find_margin(data[t, 0])
        assert margin is not None
        for name in ("cells", "fibers"):
            assert not results.labels[name][t][margin].any(), name
        # found up to the margin
        cells = results.labels["cells"][t] > 0
        assert cells[body & ~margin].mean() > 0.9


def test_what_comes_under_a_margin_has_left_the_field(found: tuple[Results, Results]) -> None:
    rows, px = found[1].migrasomes, CALIBRATION.pixel_size_um
    is_under = rows["x_um"] > (SIZE - 9 - 4 * rows["frame"]) * px
    assert not is_under.any()
    lost = found[1].tracks[(found[1].tracks["kind"] == "migrasome") & (found[1].tracks["fate"] == "left_field")]
    assert len(lost)


def test_a_preview_sees_the_same_field(simulation: Simulation, found: tuple[Results, Results]) -> None:
    seen = preview(movie(stabilised(simulation.data)), Params(), 6)
    cells = found[1].labels["cells"][6]
    assert ((seen.cells > 0) == (cells > 0)).mean() > 0.98
    # shown as it was recorded
    assert not seen.images["tspan4"][:, -34:].any()


@pytest.fixture(scope="module")
def reviewed(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("margins")
    data = stabilised(simulation.data)
    data[0] = simulation.data[0]
    write_movie(folder / "m.tif", data, "TCYX", CALIBRATION, ("tspan4", "wga"))
    summary = run_batch(find_movies([folder / "m.tif"]), folder / "out", load_params(environ={}), workers=0)
    assert [one.status for one in summary.outcomes] == ["done"]
    return Base.load(folder / "out" / "m")


def test_a_review_reads_what_the_passes_read(simulation: Simulation, reviewed: Base) -> None:
    recording = Recording(reviewed)
    assert recording.movie is not None
    windows, box = WindowCache(recording.movie), (slice(4, 60), slice(150, 240))
    for frame in (0, 5):
        plane = np.asarray(recording.movie.source.read(frame, 1))
        np.testing.assert_array_equal(windows.read(frame, 1, *box), fill_plane(plane)[box])
    assert reviewed.has_margin.tolist() == [False] + [True] * 7
    assert not windows.margin(0, *box).any()
    expected = find_margin(plane)
    assert expected is not None
    np.testing.assert_array_equal(windows.margin(5, *box), expected[box])


def test_a_review_takes_what_lies_under_a_margin_for_out_of_the_field(reviewed: Base) -> None:
    recording, px = Recording(reviewed), CALIBRATION.pixel_size_um
    frames = np.arange(8)
    empty = partial(np.zeros, dtype=np.int32)

    def bodies(frame: int, rows: slice, columns: slice) -> NDArray[np.int32]:
        return empty((rows.stop - rows.start, columns.stop - columns.start))

    places = np.tile([[100.0 * px, (SIZE - 25.0) * px]], (8, 1))
    found = recording.measure(places, frames, 1.0, bodies, 0)
    assert found is not None
    # the margin reaches 10 + 4 t pixels from the right, and takes two more
    assert found["is_in_field"].tolist() == [True] * 4 + [False] * 4
    is_null = found["amplitude"].isna()
    assert not is_null[:4].any()
    assert is_null.iloc[-1]
