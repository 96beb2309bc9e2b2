from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_line, draw_round
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy import special

from migradetect.profiles import (
    N_SHAPES,
    LineStrength,
    ProfileLibrary,
    Sectors,
    find_offsets,
    fit_profiles,
    fit_shapes,
    fit_signal,
    line_strength,
    median_profile,
    radial_profiles,
    read_sectors,
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
    assert fit.diameter_um[0] == pytest.approx(diameter_um, rel=0.05)
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


def arms(n: int, brightness: float, psf_um: float, pixel_um: float, turn_rad: float = 0.4) -> Image:
    """Lines that end at the centre, evenly spread."""
    out = np.zeros((SIZE, SIZE), np.float32)
    for k in range(n):
        angle = turn_rad + 2 * np.pi * k / n
        end = CENTRE[0] + 90 * np.sin(angle), CENTRE[1] + 90 * np.cos(angle)
        out += brightness * half_line((SIZE, SIZE), CENTRE, end, psf_um / pixel_um)
    return out


def half_line(shape: tuple[int, int], start: tuple[float, float], end: tuple[float, float], sigma_px: float) -> Image:
    """Line of peak 1 that fades at its start as a cut line does through the PSF."""
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    length = np.hypot(end[0] - start[0], end[1] - start[1])
    dy, dx = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    along = (yy - start[0]) * dy + (xx - start[1]) * dx
    across = (yy - start[0]) * dx - (xx - start[1]) * dy
    return (np.exp(-(across**2) / (2 * sigma_px**2)) * special.ndtr(along / sigma_px)).astype(np.float32)


def joint_diameter(image: Image, library: ProfileLibrary, diameter_um: float) -> float:
    """Diameter over all shapes, with the lines fitted as well."""
    sectors = sectors_of(image, library, diameter_um)
    profile = median_profile(sectors)
    fits = fit_shapes(profile, sectors.error, library, line_strength(sectors, profile, library), 0.04)
    n_free = np.isfinite(profile).sum() - 3
    weight = shape_weights(np.stack([fit.chi2 for fit in fits]) * n_free, np.ones(1))
    return float((weight[:, 0] * [fit.diameter_um[0] for fit in fits]).sum())


def sectors_of(image: Image, library: ProfileLibrary, diameter_um: float, off_px: float = 0.0) -> Sectors:
    where = np.array([CENTRE[0] + off_px]), np.array([CENTRE[1] - 0.5 * off_px])
    ones = np.ones_like(image)
    return read_sectors(image, ones, ones, *where, library, np.array([0.8 * diameter_um + 0.6]))


@pytest.mark.parametrize("n_arms", [1, 2, 3])
@pytest.mark.parametrize("brightness", [40.0, 110.0])
@pytest.mark.parametrize(
    ("diameter_um", "pixel_um", "psf_um"), [(1.3, 0.07, 0.12), (1.6, 0.14, 0.12), (2.4, 0.2, 0.18)]
)
def test_lines_at_a_disc_leave_its_size(
    diameter_um: float, pixel_um: float, psf_um: float, brightness: float, n_arms: int
) -> None:
    library = ProfileLibrary.build(pixel_um, psf_um)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    # points within each pixel make the edge smooth before the PSF blurs it
    fine = [
        (yy + a / 8 - CENTRE[0]) ** 2 + (xx + b / 8 - CENTRE[1]) ** 2 for a in (-3, -1, 1, 3) for b in (-3, -1, 1, 3)
    ]
    disc = np.mean([r2 <= (diameter_um / 2 / pixel_um) ** 2 for r2 in fine], axis=0)
    image = 200 * ndi.gaussian_filter(disc, psf_um / pixel_um) + np.random.default_rng(0).standard_normal(disc.shape)
    image = (image + arms(n_arms, brightness, psf_um, pixel_um)).astype(np.float32)
    assert joint_diameter(image, library, diameter_um) == pytest.approx(diameter_um, rel=0.085 if n_arms == 3 else 0.06)


def test_line_that_is_not_fitted_makes_a_disc_a_larger_ball() -> None:
    library = ProfileLibrary.build(0.14, 0.12)
    disc = np.hypot(*np.mgrid[-50:51, -50:51]) <= 0.8 / 0.14
    image = 200 * ndi.gaussian_filter(disc.astype(float), 0.12 / 0.14)
    image = (image + np.random.default_rng(0).standard_normal(image.shape)).astype(np.float32)
    line = draw_line(image.shape, (0, 20), (100, 80), 0.12 / 0.14)
    ones = np.ones_like(image)
    found = []
    for with_line in (False, True):
        where = np.array([50.0]), np.array([50.0])
        sectors = read_sectors(image + 100 * line, ones, ones, *where, library, np.array([1.9]))
        profile = median_profile(sectors)
        strength = line_strength(sectors, profile, library) if with_line else None
        fits = fit_shapes(profile, sectors.error, library, strength, 0.0)
        best = min(fits, key=lambda fit: float(fit.chi2[0]))
        found.append(best.diameter_um[0])
    assert found[0] > 1.08 * 1.6
    assert found[1] == pytest.approx(1.6, rel=0.05)


@pytest.mark.parametrize("n_arms", [1, 2, 3])
def test_strength_of_lines_is_read_beside_the_vesicle(n_arms: int) -> None:
    library = ProfileLibrary.build(0.14, 0.12)
    image = vesicle(1.4, 0.14, 0.12, is_shell=False)
    width = np.hypot(0.12, 0.14 / np.sqrt(12))
    for brightness in (0.0, 60.0):
        sectors = sectors_of(image + arms(n_arms, brightness, float(width), 0.14), library, 1.4)
        found = line_strength(sectors, median_profile(sectors), library)
        # half of each at the centre; three lines fill so many sectors near the vesicle that the median holds some
        assert found.value[0] == pytest.approx(0.5 * n_arms * brightness, rel=0.5 if n_arms == 3 else 0.2, abs=6)
        assert 0 < found.error[0] < 6


def test_strength_of_lines_is_unknown_where_nothing_is_read() -> None:
    library = ProfileLibrary.build(0.14, 0.12)
    image = vesicle(1.4, 0.14, 0.12, is_shell=False)
    nothing = np.zeros_like(image)
    place = np.array([CENTRE[0]]), np.array([CENTRE[1]])
    sectors = read_sectors(image, np.ones_like(image), nothing, *place, library, np.array([1.5]))
    found = line_strength(sectors, median_profile(sectors), library)
    assert found.value.tolist() == [0.0]
    assert np.isinf(found.error).all()
    fits = fit_shapes(median_profile(sectors), sectors.error, library, found, 0.04)
    assert np.isnan(fits[0].diameter_um).all()
    assert [float(o[0]) for o in find_offsets(sectors, median_profile(sectors), library, np.array([0.7]))] == [0, 0]


def test_unknown_strength_leaves_the_line_free() -> None:
    library = ProfileLibrary.build(0.14, 0.12)
    profile = profile_of(vesicle(1.6, 0.14, 0.12, is_shell=False), library, 1.6)
    free = fit_shapes(*profile, library, LineStrength(np.zeros(1), np.full(1, np.inf)))
    assert free[0].diameter_um[0] == pytest.approx(1.6, rel=0.06)


@pytest.mark.parametrize("brightness", [0.0, 80.0])
@pytest.mark.parametrize(("diameter_um", "pixel_um"), [(0.9, 0.07), (1.4, 0.14), (2.2, 0.2)])
def test_offset_of_a_vesicle_is_found_beside_a_line(diameter_um: float, pixel_um: float, brightness: float) -> None:
    library = ProfileLibrary.build(pixel_um, 0.13)
    image = vesicle(diameter_um, pixel_um, 0.13, is_shell=False) + arms(1, brightness, 0.13, pixel_um, 1.2)
    off_px = 0.08 / pixel_um
    sectors = sectors_of(image, library, diameter_um, off_px)
    dy, dx = find_offsets(sectors, median_profile(sectors), library, np.array([diameter_um / 2]))
    left = np.hypot(off_px + dy[0], -0.5 * off_px + dx[0])
    assert left * pixel_um < 0.05
    assert np.hypot(off_px, 0.5 * off_px) * pixel_um > 0.085, "test invalid"


def test_empty_site_is_hardly_moved() -> None:
    library = ProfileLibrary.build(0.14, 0.115)
    rng = np.random.default_rng(3)
    image = rng.standard_normal((200, 200)).astype(np.float32)
    y, x = rng.uniform(30, 170, (2, 100))
    ones = np.ones_like(image)
    sectors = read_sectors(image, ones, ones, y, x, library, np.full(100, 1.5))
    dy, dx = find_offsets(sectors, median_profile(sectors), library, np.full(100, 0.6))
    assert np.median(np.hypot(dy, dx)) * 0.14 < 0.08


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
