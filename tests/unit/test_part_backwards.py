from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_disc
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.calibration import Calibration
from migradetect.cells import PartBackwards
from migradetect.errors import CancelledError
from migradetect.movie import Movie
from migradetect.params import CellParams, Params
from migradetect.pipeline import analyze

PIXEL_UM = 0.25
CALIBRATION = Calibration(PIXEL_UM, 60.0)
SHAPE = (280, 400)
#: Area of a disc of 50 pixels, um2.
USUAL_UM2 = np.pi * (50 * PIXEL_UM) ** 2
N_APART = 8

#: Nothing but cells stands still in the movie below that the stage could be told by.
NO_DRIFT = Params.model_validate({"registration": {"enabled": False}})

Labels = NDArray[np.int32]


def discs(gap_px: float, y: int = 140, x: int = 150, radius: int = 50) -> Labels:
    """Two cells beside each other, 1 and 2; the middle between them stays."""
    half = radius + gap_px / 2
    left, right = draw_disc(SHAPE, y, x - half, radius), draw_disc(SHAPE, y, x + half, radius)
    out = np.where(right, 2, 0)
    _, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    out[left & ((out == 0) | (xx < x))] = 1
    return out.astype(np.int32)


def merged(labels: Labels) -> Labels:
    return (ndi.binary_closing(labels > 0, iterations=2)).astype(np.int32)


def film(*planes: Labels) -> list[Labels | None]:
    """What becomes of the planes, the first frame first."""
    back = PartBackwards(SHAPE, USUAL_UM2, CellParams(), CALIBRATION)
    out = [
        back.before(plane.astype(np.uint8), (0.0, 0.0), lambda plane=plane: 40.0 * (plane > 0).astype(np.float32))
        for plane in reversed(planes)
    ]
    return out[::-1]


def test_touching_cells_are_parted_from_the_first_frame_on() -> None:
    touching, apart = discs(-8), discs(12)
    out = film(*[merged(touching)] * 6, *[apart] * N_APART)
    assert all(plane is None for plane in out[6:])
    for plane in out[:6]:
        assert plane is not None
        assert (plane > 0).tolist() == (merged(touching) > 0).tolist(), "the bodies together cover what they covered"
        left, right = plane[140, 90], plane[140, 210]
        assert left != right
        for label, truth in ((left, touching == 1), (right, touching == 2)):
            assert ((plane == label) & truth).sum() / ((plane == label) | truth).sum() > 0.93


def test_other_cells_keep_their_labels() -> None:
    far = draw_disc(SHAPE, 140, 340, 40)
    touching, apart = np.where(far, 3, merged(discs(-8))), np.where(far, 3, discs(12))
    first = film(touching, *[apart] * N_APART)[0]
    assert first is not None
    assert (first[far] == 3).all()
    assert not (first[~far] == 3).any()


def test_a_mother_stays_one_cell() -> None:
    mother = draw_disc(SHAPE, 140, 150, 50).astype(np.int32)
    # of half her area each, and growing
    young, grown = discs(2, radius=35), discs(30, radius=45)
    assert all(plane is None for plane in film(*[mother] * 4, *[young] * 2, *[grown] * N_APART))


def test_lobes_that_never_come_apart_are_left_alone() -> None:
    assert all(plane is None for plane in film(*[merged(discs(-8))] * 4, *[discs(-8)] * N_APART))


@pytest.mark.parametrize("n_apart", [1, 2])
def test_what_is_apart_for_a_moment_is_no_cell(n_apart: int) -> None:
    body = merged(discs(-8))
    assert all(plane is None for plane in film(*[body] * 3, *[discs(12)] * n_apart, *[body] * 3))


def test_drift_is_taken_into_account() -> None:
    back = PartBackwards(SHAPE, USUAL_UM2, CellParams(), CALIBRATION)
    for _ in range(N_APART):
        assert back.before(discs(12, y=80, x=250), (-60.0, 100.0), lambda: pytest.fail("no need to read")) is None
    plane = merged(discs(-8))
    first = back.before(plane, (0.0, 0.0), lambda: 40.0 * plane.astype(np.float32))
    assert first is not None
    assert first[140, 90] != first[140, 210]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (33, 16)])
def test_empty_and_tiny_planes(shape: tuple[int, int]) -> None:
    back = PartBackwards(shape, float("nan"), CellParams(), CALIBRATION)
    for plane in (np.zeros(shape, np.uint8), np.ones(shape, np.uint8), np.zeros(shape, np.uint8)):
        assert back.before(plane, (0.0, 0.0), lambda: pytest.fail("nothing to part")) is None


# --- in a movie


def parting_cells() -> Movie:
    """Two cells of one brightness, first without any edge between them, later apart."""
    rng = np.random.default_rng(3)
    planes = [merged(discs(-14))] * 3 + [discs(gap) for gap in (-10, 0, 10, 20, 20, 20, 20, 20, 20, 20)]
    frames = [ndi.gaussian_filter((plane > 0) * 400.0, 0.8) + 100 for plane in planes]
    data = np.stack([np.stack([rng.poisson(frame), rng.poisson(frame)]) for frame in frames])
    return Movie.from_array(data.astype(np.uint16), CALIBRATION, ("tspan4", "wga"), "parting")


def test_analysis_finds_both_cells_in_all_frames_with_any_number_of_threads() -> None:
    movie = parting_cells()
    results = analyze(movie, NO_DRIFT)
    cells = results.cells
    assert sorted(cells["cell_id"].unique()) == [1, 2]
    assert cells.groupby("cell_id")["frame"].nunique().tolist() == [movie.n_frames] * 2
    assert cells["area_um2"].between(0.8 * USUAL_UM2, 1.2 * USUAL_UM2).all()
    assert cells["mean_wga"].between(300, 450).all()
    assert (results.frames["n_cells"] == 2).all()
    again = analyze(movie, NO_DRIFT, threads=3)
    for frame in range(movie.n_frames):
        np.testing.assert_array_equal(results.labels["cells"][frame], again.labels["cells"][frame])
    assert cells.equals(again.cells)


def test_stops_on_request_while_going_back() -> None:
    movie = parting_cells()
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        # once before, for each frame when checked and when searched, and a few of those that are gone through backwards
        return asked > 1 + 2 * movie.n_frames + 4

    with pytest.raises(CancelledError, match="in detect"):
        analyze(movie, NO_DRIFT, cancel=cancel)
