from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_line, draw_round
from numpy.typing import NDArray

from migradetect.profiles import (
    N_SHAPES,
    ProfileLibrary,
    fit_profiles,
    fit_shapes,
    fit_signal,
    radial_profiles,
    shape_weights,
)

Image = NDArray[np.float32]

SIZE = 101
CENTRE = (50.3, 49.8)


def profile_of(
    image: Image, library: ProfileLibrary, diameter_um: float, weight: Image | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ones = np.ones_like(image)
    reach = np.array([0.8 * diameter_um + 0.6])
    where = np.array([CENTRE[0]]), np.array([CENTRE[1]])
    return radial_profiles(image, ones, ones if weight is None else weight, *where, library, reach)


def vesicle(diameter_um: float, pixel_um: float, psf_um: float, is_shell: bool, seed: int = 0) -> Image:
    """Bright enough that noise counts for little: what is tested is the model."""
    shape = draw_round((SIZE, SIZE), *CENTRE, diameter_um / pixel_um, psf_um / pixel_um, is_shell)
    noise = np.random.default_rng(seed).standard_normal(shape.shape)
    return (shape / shape.max() * 300 + noise).astype(np.float32)


@pytest.mark.parametrize(("pixel_um", "psf_um"), [(0.07, 0.1), (0.07, 0.15), (0.14, 0.1), (0.14, 0.15), (0.2, 0.2)])
@pytest.mark.parametrize("diameter_um", [1.0, 1.6, 2.5])
def test_diameter_of_a_ball_is_recovered(diameter_um: float, pixel_um: float, psf_um: float) -> None:
    library = ProfileLibrary.build(pixel_um, psf_um)
    image = vesicle(diameter_um, pixel_um, psf_um, is_shell=False)
    fit = fit_profiles(*profile_of(image, library, diameter_um), library)
    assert fit.diameter_um[0] == pytest.approx(diameter_um, rel=0.04)
    assert fit.signal[0] == pytest.approx((image.sum()) * pixel_um**2, rel=0.06)
    assert abs(fit.background[0]) < 2


@pytest.mark.parametrize(("pixel_um", "psf_um"), [(0.07, 0.1), (0.14, 0.1), (0.14, 0.15), (0.2, 0.2)])
@pytest.mark.parametrize("diameter_um", [1.0, 1.6, 2.5])
def test_diameter_of_a_shell_is_recovered(diameter_um: float, pixel_um: float, psf_um: float) -> None:
    library = ProfileLibrary.build(pixel_um, psf_um)
    image = vesicle(diameter_um, pixel_um, psf_um, is_shell=True)
    fit = fit_profiles(*profile_of(image, library, diameter_um), library)
    # the templates hold no bare membrane, whose rim is the sharpest: it is read a little too large, never too small
    assert 0.99 < fit.diameter_um[0] / diameter_um < 1.06


@pytest.mark.parametrize(("diameter_um", "pixel_um", "psf_um"), [(0.6, 0.07, 0.1), (0.8, 0.07, 0.1), (0.8, 0.14, 0.1)])
def test_diameter_of_a_small_ball_is_recovered_on_fine_pixels(
    diameter_um: float, pixel_um: float, psf_um: float
) -> None:
    library = ProfileLibrary.build(pixel_um, psf_um)
    image = vesicle(diameter_um, pixel_um, psf_um, is_shell=False)
    fit = fit_profiles(*profile_of(image, library, diameter_um), library)
    assert fit.diameter_um[0] == pytest.approx(diameter_um, rel=0.04)


@pytest.mark.parametrize("diameter_um", [1.0, 1.6, 2.5])
def test_fiber_through_a_ball_changes_its_size_little(diameter_um: float) -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    image = vesicle(diameter_um, 0.14, 0.115, is_shell=False)
    line = draw_line(image.shape, (CENTRE[0] - 60, CENTRE[1] - 20), (CENTRE[0] + 60, CENTRE[1] + 20), 0.115 / 0.14)
    image += 60 * line
    fit = fit_profiles(*profile_of(image, library, diameter_um), library)
    assert fit.diameter_um[0] == pytest.approx(diameter_um, rel=0.1)


def test_empty_site_gives_no_signal_within_its_error() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    rng = np.random.default_rng(1)
    image = rng.standard_normal((200, 200)).astype(np.float32)
    y, x = rng.uniform(30, 170, (2, 300))
    n = np.full(300, 1.2)
    profile, error = radial_profiles(image, np.ones_like(image), np.ones_like(image), y, x, library, n)
    signal, err, _ = fit_signal(profile, error, library, n, np.zeros(300, np.int64))
    pull = signal / err
    assert abs(pull.mean()) < 0.3
    # rings share pixels, so the stated error may be off by a little, not by a factor of two
    assert 0.5 < pull.std() < 1.5


def test_line_through_an_empty_site_leaves_little() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    shape = (SIZE, SIZE)
    line = draw_line(shape, (CENTRE[0] - 60, CENTRE[1] - 20), (CENTRE[0] + 60, CENTRE[1] + 20), 0.115 / 0.14)
    for diameter_um, most in ((1.0, 0.45), (1.6, 0.25), (2.5, 0.15)):
        profile = profile_of(line, library, diameter_um)
        signal, _, _ = fit_signal(*profile, library, np.array([diameter_um]), np.array([0]))
        # against a disc as bright as the line: only its innermost rings, which a line fills, are seen
        assert 0 <= signal[0] < most * np.pi * diameter_um**2 / 4


def test_signal_at_known_size_is_linear_and_signed() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    image = vesicle(1.2, 0.14, 0.115, is_shell=False)
    size, shape = np.array([1.2]), np.array([0])
    one = fit_signal(*profile_of(image, library, 1.2), library, size, shape)[0]
    twice = fit_signal(*profile_of(2 * image + 7, library, 1.2), library, size, shape)
    negative = fit_signal(*profile_of(-image, library, 1.2), library, size, shape)[0]
    assert one[0] == pytest.approx(image.sum() * 0.14**2, rel=0.05)
    assert twice[0][0] == pytest.approx(2 * one[0], rel=1e-6)
    # + 7 lands in the background alone
    assert twice[2][0] - 7 == pytest.approx(
        2 * fit_signal(*profile_of(image, library, 1.2), library, size, shape)[2][0]
    )
    assert negative[0] == pytest.approx(-one[0], rel=1e-6)


def test_stated_error_of_the_diameter_is_near_its_scatter() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    clean = draw_round((SIZE, SIZE), *CENTRE, 1.2 / 0.14, 0.115 / 0.14)
    rng = np.random.default_rng(2)
    found, stated = [], []
    for _ in range(60):
        image = (clean / clean.max() * 20 + rng.standard_normal(clean.shape)).astype(np.float32)
        fit = fit_shapes(*profile_of(image, library, 1.2), library)[0]
        found.append(fit.diameter_um[0])
        stated.append(fit.diameter_err_um[0])
    ratio = np.median(stated) / np.std(found)
    assert 0.4 < ratio < 2.5


def test_templates_have_unit_integral_and_fall_outwards() -> None:
    library = ProfileLibrary.build(0.03, 0.12)
    assert library.templates.shape == (N_SHAPES, library.diameters_um.size, library.radii_px.size)
    r = library.radii_px * 0.03
    for index in (20, 30, 50):
        for shape in range(N_SHAPES):
            template = library.templates[shape, index]
            assert np.trapezoid(2 * np.pi * r * template, r) == pytest.approx(1.0, abs=0.02)
    ball = library.templates[0, 40]
    assert (np.diff(ball) <= 1e-9).all()
    assert (np.diff(library.diameters_um) > 0).all()


def test_median_of_sectors_ignores_a_neighbour() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    image = vesicle(1.2, 0.14, 0.115, is_shell=False)
    beside = 300 * draw_round((SIZE, SIZE), CENTRE[0] + 11, CENTRE[1], 4, 0.9)
    alone = fit_profiles(*profile_of(image, library, 1.2), library)
    crowded = fit_profiles(*profile_of(image + 4 * beside, library, 1.2), library)
    assert crowded.diameter_um[0] == pytest.approx(alone.diameter_um[0], rel=0.05)
    assert crowded.signal[0] == pytest.approx(alone.signal[0], rel=0.05)


def test_site_that_cannot_be_read_is_nan() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    image = vesicle(1.2, 0.14, 0.115, is_shell=False)
    covered = profile_of(image, library, 1.2, np.zeros_like(image))
    assert np.isnan(covered[0]).all()
    fit = fit_profiles(*covered, library)
    assert np.isnan([fit.diameter_um[0], fit.signal[0], fit.signal_err[0]]).all()
    assert np.isnan(fit_signal(*covered, library, np.array([1.2]), np.array([0]))[0]).all()
    outside = radial_profiles(image, image, image, np.array([-50.0]), np.array([20.0]), library, np.array([1.0]))
    assert np.isnan(outside[0]).all()


def test_half_covered_site_is_still_read() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    image = vesicle(1.2, 0.14, 0.115, is_shell=False)
    weight = np.ones_like(image)
    weight[:, int(CENTRE[1]) + 5 :] = 0
    image[:, int(CENTRE[1]) + 5 :] = 5000
    fit = fit_profiles(*profile_of(image, library, 1.2, weight), library)
    assert fit.diameter_um[0] == pytest.approx(1.2, rel=0.08)


def test_no_sites_give_no_rows() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    none = np.empty(0)
    image = np.ones((30, 30), np.float32)
    profile, error = radial_profiles(image, image, image, none, none, library, none)
    fit = fit_profiles(profile, error, library)
    assert fit.diameter_um.shape == (0,)
    assert fit_signal(profile, error, library, none, np.empty(0, np.int64))[0].shape == (0,)


def test_ring_is_told_from_a_ball() -> None:
    library = ProfileLibrary.build(0.07, 0.1)
    for is_shell, shape in ((False, 0), (True, N_SHAPES - 1)):
        profile = profile_of(vesicle(2.0, 0.07, 0.1, is_shell), library, 2.0)
        assert fit_profiles(*profile, library).shape[0] == shape
        fits = fit_shapes(*profile, library)
        assert [int(fit.shape[0]) for fit in fits] == list(range(N_SHAPES))
        assert int(np.argmin([fit.chi2[0] for fit in fits])) == shape


def test_shape_weights_follow_the_evidence() -> None:
    chi2 = np.array([[10.0, 10.0, np.nan], [10.0, 40.0, np.nan], [10.0, np.nan, np.nan]])
    weight = shape_weights(chi2, np.ones(3))
    np.testing.assert_allclose(weight.sum(axis=0), 1)
    np.testing.assert_allclose(weight[:, 0], 1 / 3)
    np.testing.assert_allclose(weight[:, 1], [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(weight[:, 2], 1 / 3)
    near = np.array([[10.0], [11.0], [50.0]])
    once, often = shape_weights(near, np.array([1.0])), shape_weights(near, np.array([6.0]))
    assert often[0, 0] > once[0, 0] > 0.5


def test_profiles_do_not_change_their_inputs() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    image = vesicle(1.2, 0.14, 0.115, is_shell=False)
    before = image.copy()
    profile, error = profile_of(image, library, 1.2)
    kept = profile.copy()
    fit_profiles(profile, error, library)
    fit_signal(profile, error, library, np.array([1.2]), np.array([0]))
    assert np.array_equal(image, before)
    np.testing.assert_array_equal(profile, kept)
