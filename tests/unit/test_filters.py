from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drawn_shapes import draw_disc, draw_line, draw_round
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi

from migradetect.filters import (
    BlobScales,
    NoiseModel,
    add_shifted,
    along_lines,
    blob_maxima,
    blob_responses,
    doubled,
    estimate_noise,
    gaussian,
    halved,
    line_filter,
    line_response,
    line_widths_um,
    local_background,
    nearest_label,
    quantile,
    remove_hot_pixels,
    resize,
    sample,
    trimmed_mean,
)
from migradetect.filters._nearest import _outline
from migradetect.filters._noise import _grey_step
from migradetect.filters._noise_correlation import correlation_excess

Image = NDArray[np.float32]

SHAPE = (200, 240)
INSIDE = (slice(30, -30), slice(30, -30))


def white(seed: int, shape: tuple[int, int] = SHAPE) -> Image:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ones(shape: tuple[int, int] = SHAPE) -> Image:
    return np.ones(shape, np.float32)


# --- noise


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: gaussian(image, 0.8),
        lambda image: np.asarray(ndi.median_filter(image, 3), np.float32),
        lambda image: np.asarray(ndi.zoom(image, 1.6, order=3), np.float32),
    ],
    ids=["blurred", "median", "enlarged"],
)
def test_noise_that_pixels_share_counts_at_the_width_of_what_is_looked_for(spoil: Callable[[Image], Image]) -> None:
    noise = [spoil(50 + 4 * white(k, (400, 400))) for k in range(3)]
    scale = 1.5
    through = [gaussian(image, scale) - gaussian(image, 1.6 * scale) for image in noise]
    of_white = np.std(gaussian(white(9, (600, 600)), scale) - gaussian(white(9, (600, 600)), 1.6 * scale))
    sigma = np.sqrt(estimate_noise(noise, scale).variance(np.full((1, 1), 50, np.float32))[0, 0])
    assert np.std(through) / of_white == pytest.approx(sigma, rel=0.1)


def test_structure_does_not_pass_for_noise_that_pixels_share() -> None:
    image = np.full((400, 400), 60.0)
    for k in range(10, 390, 20):
        image += 40 * draw_line((400, 400), (5, k), (395, k + 5), 1.2) + 80 * draw_disc((400, 400), k, 400 - k, 4)
    image += 100 * ndi.gaussian_filter(white(5, (400, 400)), 3)
    noisy = np.random.default_rng(7).poisson(np.maximum(image, 1)).astype(np.float32)
    assert correlation_excess(noisy, np.sqrt(np.maximum(image, 1)).astype(np.float32), 1.2) == 1


def test_parts_of_the_field_without_noise_do_not_count() -> None:
    noise = gaussian(white(3, (400, 400)), 0.8)
    fine = np.full(noise.shape, 0.055, np.float32)
    whole = correlation_excess(noise, fine, 1.2)
    noise[:, 192:] = 0
    assert correlation_excess(noise, fine, 1.2) == pytest.approx(whole, rel=0.15)
    assert correlation_excess(np.zeros((400, 400), np.float32), fine, 1.2) == 1
    assert correlation_excess(noise[:50], fine[:50], 1.2) == 1, "too small to tell"


@pytest.mark.parametrize(("gain", "read"), [(0.5, 2.0), (2.0, 4.0), (1.0, 8.0)])
def test_noise_of_a_simulated_camera_is_recovered(gain: float, read: float) -> None:
    rng = np.random.default_rng(3)
    yy, xx = np.mgrid[:256, :256]
    photons = 5 + 150 * np.exp(-((yy - 128) ** 2 + (xx - 128) ** 2) / (2 * 40**2))
    frames = [(gain * rng.poisson(photons) + rng.normal(0, read, photons.shape)).astype(np.float32) for _ in range(4)]
    found = estimate_noise(frames)
    assert found.gain == pytest.approx(gain, rel=0.1)
    assert np.sqrt(found.offset) == pytest.approx(read, rel=0.1)
    for photon in (5, 50, 150):
        level = np.full((1, 1), gain * photon, np.float32)
        assert found.variance(level)[0, 0] == pytest.approx(gain**2 * photon + read**2, rel=0.1)


def test_camera_offset_goes_into_the_offset_of_the_line() -> None:
    rng = np.random.default_rng(4)
    photons = np.linspace(5, 200, 256)[:, None] * np.ones((1, 256))
    frames = [(2 * rng.poisson(photons) + 100 + rng.normal(0, 3, photons.shape)).astype(np.float32) for _ in range(3)]
    found = estimate_noise(frames)
    assert found.gain == pytest.approx(2.0, rel=0.1)
    assert found.offset == pytest.approx(3.0**2 - 2 * 100, rel=0.15)


def test_thin_structure_does_not_pass_for_noise() -> None:
    rng = np.random.default_rng(5)
    image = np.full((256, 256), 50.0)
    for x in range(20, 250, 40):
        image += 60 * draw_line((256, 256), (5, x), (250, x - 10), 1.3)
    frames = [(rng.poisson(image) + rng.normal(0, 2, image.shape)).astype(np.float32) for _ in range(3)]
    background = np.full((1, 1), 50, np.float32)
    assert estimate_noise(frames).variance(background)[0, 0] == pytest.approx(54.0, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_image_without_any_noise_has_a_positive_floor(value: float) -> None:
    found = estimate_noise([np.full((64, 64), value, np.float32)])
    assert found.floor > 0
    assert np.isfinite(found.sigma(np.full((64, 64), value, np.float32))).all()
    assert (found.sigma(np.full((64, 64), value, np.float32)) > 0).all()


def test_saturated_pixels_do_not_lower_the_noise() -> None:
    rng = np.random.default_rng(6)
    photons = np.linspace(20, 260, 256)[:, None] * np.ones((1, 256))
    image = np.minimum(rng.poisson(photons), 230).astype(np.float32)
    assert (image == 230).mean() > 0.1, "test invalid"
    assert estimate_noise([image]).variance(np.full((1, 1), 100, np.float32))[0, 0] == pytest.approx(100, rel=0.15)


@given(st.floats(0, 5), st.floats(-100, 100), st.floats(0.01, 10))
@settings(max_examples=20, deadline=None)
def test_variance_is_never_below_the_floor(gain: float, offset: float, floor: float) -> None:
    mean = np.linspace(-50, 200, 30, dtype=np.float32).reshape(5, 6)
    variance = NoiseModel(gain, offset, floor).variance(mean)
    assert variance.shape == mean.shape
    assert variance.min() >= np.float32(floor)


# --- linear filters


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0, 6.0])
def test_gaussian_equals_scipy(sigma: float) -> None:
    image = white(1)
    expected = ndi.gaussian_filter(image, sigma, mode="reflect", truncate=4)
    np.testing.assert_allclose(gaussian(image, sigma), expected, atol=2e-4)


@pytest.mark.parametrize("sigma", [6.5, 9.0, 16.0])
def test_gaussian_at_reduced_resolution_is_near_scipy(sigma: float) -> None:
    image = draw_disc(SHAPE, 90, 130, 15).astype(np.float32)
    expected = ndi.gaussian_filter(image, sigma, mode="reflect")
    # linear interpolation back to full size lowers a summit by up to 1/8 of its curvature per coarse pixel
    np.testing.assert_allclose(gaussian(image, sigma), expected, atol=0.02 * expected.max())
    assert np.abs(gaussian(image, 1.1 * sigma) - expected).max() > 0.02 * expected.max(), "test invalid"


def test_gaussian_of_no_width_copies() -> None:
    image = white(2)
    out = gaussian(image, 0.0)
    assert np.array_equal(out, image)
    assert not np.shares_memory(out, image)


@given(st.floats(0.3, 25))
@settings(max_examples=15, deadline=None)
def test_smoothing_keeps_a_constant_and_the_mean(sigma: float) -> None:
    np.testing.assert_allclose(gaussian(np.full((64, 80), 7.0, np.float32), sigma), 7.0, rtol=1e-4)


def test_what_is_masked_has_no_influence() -> None:
    image = np.full(SHAPE, 10.0, np.float32)
    image[:, :100] = 1e4
    weight = ones()
    weight[:, :100] = 0
    background = local_background(image, weight, halved(ones()), 4.0)
    np.testing.assert_allclose(background[:, 105:], 10.0, rtol=1e-3)
    assert np.abs(gaussian(image, 4.0)[:, 105:] - 10).max() > 100, "test invalid"
    # nor does the edge of what is masked make a line
    assert line_response(image, weight, 4.0, 7)[0].max() < 1e-2
    assert line_response(image, ones(), 4.0, 7)[0].max() > 10, "test invalid"


def test_resize_keeps_a_constant() -> None:
    np.testing.assert_allclose(resize(np.full((40, 60), 3.0, np.float32), (10, 15)), 3.0)
    assert resize(np.full((40, 60), 3.0, np.float32), (80, 120)).shape == (80, 120)


def shifted(image: Image, dy: int, dx: int) -> Image:
    out = np.zeros_like(image)
    add_shifted(out, image, dy, dx)
    return out


def test_shift_moves_the_content() -> None:
    image = np.array([[1, 2], [3, 4]], np.float32)
    assert shifted(image, 1, 0).tolist() == [[0, 0], [1, 2]]
    assert shifted(image, 0, -1).tolist() == [[2, 0], [4, 0]]
    assert shifted(image, 2, 0).tolist() == [[0, 0], [0, 0]]


@given(st.integers(-9, 9), st.integers(-9, 9))
@settings(max_examples=30, deadline=None)
def test_shift_and_back_keeps_what_stayed_inside(dy: int, dx: int) -> None:
    image = white(3, (8, 7))
    back = shifted(shifted(image, dy, dx), -dy, -dx)
    stays = shifted(shifted(np.ones_like(image), dy, dx), -dy, -dx) > 0
    assert stays.sum() == max(0, 8 - abs(dy)) * max(0, 7 - abs(dx))
    assert np.array_equal(back[stays], image[stays])
    assert (back[~stays] == 0).all()


# --- hot pixels and background


def test_hot_and_dead_pixels_go_and_a_point_source_stays() -> None:
    spot = 400 * draw_round((41, 41), 20.3, 20.1, 0.2, 1.0)
    image = (100 + white(7, (41, 41)) + spot).astype(np.float32)
    image[5, 7], image[30, 9] = 300.0, 0.0
    clean = remove_hot_pixels(image, ones((21, 21)))
    assert abs(clean[5, 7] - 100) < 5
    assert abs(clean[30, 9] - 100) < 5
    assert spot.max() > 50, "test invalid"
    np.testing.assert_array_equal(clean[16:25, 16:25], image[16:25, 16:25])
    assert (clean != image).sum() < 8


def test_background_is_not_raised_by_fibers_and_spots() -> None:
    image = (50 + white(8)).astype(np.float32)
    for x in range(15, 240, 30):
        image += 20 * draw_line(SHAPE, (0, x), (199, x), 1.2)
    background = local_background(image, ones(), halved(ones()), 20.0)
    assert np.abs(gaussian(image, 20.0)[INSIDE] - 50).min() > 1.0, "test invalid"
    np.testing.assert_allclose(background[INSIDE], 50, atol=0.5)


def test_background_follows_a_gradient_and_does_not_see_a_body() -> None:
    slope = np.linspace(50, 70, SHAPE[1], dtype=np.float32)[None, :] * ones()
    body = draw_disc(SHAPE, 100, 120, 30)
    image = (slope + white(9) + 500 * body).astype(np.float32)
    weight = 1 - ndi.binary_dilation(body, iterations=2).astype(np.float32)
    background = local_background(image, weight, halved(ones()), 15.0)
    np.testing.assert_allclose(background[30:-30, 40:-40], slope[30:-30, 40:-40], atol=2.0)


def test_background_of_a_field_full_of_body_is_finite() -> None:
    assert np.isfinite(local_background(white(10), np.zeros(SHAPE, np.float32), halved(ones()), 15.0)).all()


# --- distance to labels


def test_nearest_label_agrees_with_the_exact_distance() -> None:
    labels = np.zeros((60, 70), np.int32)
    labels[10:15, 10:20], labels[40:42, 50:55] = 3, 7
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 59, 40), rng.uniform(0, 69, 40)
    distance, index = ndi.distance_transform_edt(labels == 0, return_indices=True)
    row, column = np.rint(y).astype(int), np.rint(x).astype(int)
    found, label = nearest_label(labels, y, x)
    np.testing.assert_allclose(found, distance[row, column])
    assert set(label.tolist()) == {3, 7}
    assert np.array_equal(label, labels[tuple(index[:, row, column])])


def test_nearest_label_without_labels_and_without_places() -> None:
    distance, label = nearest_label(np.zeros((5, 5), np.int32), np.array([1.0]), np.array([2.0]))
    assert np.isinf(distance).all()
    assert label.tolist() == [0]
    labels = np.eye(5, dtype=np.int32)
    distance, label = nearest_label(labels, np.array([]), np.array([]))
    assert distance.size == label.size == 0
    assert nearest_label(labels, np.array([-7.0]), np.array([-9.0]))[0].tolist() == [0.0]


# --- scale space


def test_noise_of_the_blob_response_is_what_the_scales_say() -> None:
    scales = BlobScales.for_diameters(3.0, 9.0, 1.0)
    spreads = []
    for seed in range(3):
        found = blob_responses(white(seed, (256, 256)), ones((256, 256)), scales)
        inside = [response[25 // step : -25 // step, 25 // step : -25 // step] for step, response in found]
        spreads.append([part.std() / noise for part, noise in zip(inside, scales.noise, strict=True)])
    np.testing.assert_allclose(np.mean(spreads, axis=0), 1.0, atol=0.06)


def test_mask_does_not_raise_the_noise_of_the_blob_response() -> None:
    weight = ones((256, 256))
    weight[:, ::4] = 0
    weight[100:150, 100:150] = 0
    scales = BlobScales.for_diameters(3.0, 6.0, 1.0)
    found = blob_responses(white(4, (256, 256)) * weight, weight, scales)
    for (step, response), noise in zip(found, scales.noise, strict=True):
        assert response[25 // step : -25 // step, 25 // step : -25 // step].std() < 1.1 * noise
        assert np.abs(response[115 // step : 135 // step, 115 // step : 135 // step]).max() < 1e-3


def test_octaves_are_what_differences_of_gaussians_at_full_resolution_are() -> None:
    # scikit-image's and scipy's way to them: every Gaussian of the whole image by itself
    image, weight = white(5, (201, 190)), ones((201, 190))
    weight[60:120, 50:90] = 0
    image = (image + 30 * draw_round((201, 190), 140.2, 120.7, 6.0, 1.5)) * weight
    scales = BlobScales.for_diameters(3.0, 30.0, 1.0)

    def mean(sigma: float) -> tuple[np.ndarray, np.ndarray]:
        total, support = (ndi.gaussian_filter(plane.astype(float), sigma, truncate=6) for plane in (image, weight))
        return total / np.maximum(support, 1e-3), support

    found = blob_responses(image, weight, scales)
    assert {step for step, _ in found} == {1, 2, 4, 8}
    # at the border all go on as mirrored, but about places up to a pixel of the coarse grid apart
    is_inside = np.zeros((201, 190), bool)
    is_inside[48:-48, 48:-48] = True
    for (step, response), fine, coarse in zip(found, scales.sigmas_px[:-1], scales.sigmas_px[1:], strict=True):
        (one, support), (other, _) = mean(fine), mean(coarse)
        expect = ((one - other) * np.sqrt(support))[::step, ::step]
        near = (is_inside & (weight > 0))[::step, ::step]
        assert np.abs(response - expect)[near].max() < 2e-3 * np.abs(expect).max()


@pytest.mark.parametrize("diameter", [5.0, 8.0, 12.0])
@pytest.mark.parametrize("line", [0.0, 0.5])
def test_disc_answers_most_at_its_own_scale_also_on_a_line(diameter: float, line: float) -> None:
    image = ndi.gaussian_filter(draw_disc((96, 96), 48, 48, diameter / 2).astype(np.float32), 1.0)
    image = image + line * draw_line((96, 96), (48, -5), (48, 101), 1.0)
    scales = BlobScales.for_diameters(3.0, 18.0, 1.0)
    found = blob_responses(np.asarray(image, np.float32), ones((96, 96)), scales)
    # Laplacian scale of a difference of Gaussians; the response of a disc peaks at R / sqrt(2)
    best = scales.sigmas_px[int(np.argmax([response[48 // step, 48 // step] for step, response in found]))] * 1.12
    assert 0.8 < best / np.hypot(diameter / 2 / np.sqrt(2), 1.0) < 1.25


@given(st.floats(2, 6), st.floats(1.1, 4), st.floats(0.6, 2.5))
@settings(max_examples=30, deadline=None)
def test_scales_cover_the_range_in_a_constant_ratio(low: float, stretch: float, psf: float) -> None:
    sigmas = np.array(BlobScales.for_diameters(low, low * stretch, psf).sigmas_px)
    np.testing.assert_allclose(sigmas[1:] / sigmas[:-1], 1.25, rtol=1e-6)
    assert sigmas[0] <= np.hypot(low / 2 / np.sqrt(2), psf)
    assert sigmas[-1] >= np.hypot(low * stretch / 2 / np.sqrt(2), psf)


@pytest.mark.parametrize("step", [1.0, 16.0])
def test_contours_of_grey_levels_are_no_lines(step: float) -> None:
    # a bowl of light in an 8-bit camera whose noise is less than a grey level: pixels flip where it is half way
    yy, xx = np.mgrid[-1:1:240j, -1:1:240j]
    frames = [step * np.rint(6 + 1.2 * np.hypot(yy, xx) + 0.15 * white(k, (240, 240))) for k in range(3)]
    image = np.asarray(frames[0], np.float32)
    sigma = estimate_noise([np.asarray(frame, np.float32) for frame in frames]).sigma(image)
    assert sigma.min() >= 0.5 * step
    signal = (image - gaussian(image, 20)) / sigma
    assert line_response(signal, ones((240, 240)), 1.5, 6)[0][20:-20, 20:-20].max() < 6


def test_line_angle_points_across_and_the_crest_lies_on_the_line() -> None:
    image = draw_line(SHAPE, (100, 0), (100, 239), 1.5)
    response, crest, angle = line_response(image, ones(), 1.5, 6)
    assert abs(np.sin(angle[100, 120])) == pytest.approx(1.0, abs=1e-3)
    assert crest[100, 120]
    assert not crest[[98, 99, 101, 102], 120].any()
    assert response[100, 120] == response[:, 120].max()


@pytest.mark.parametrize(("sigma", "half"), [(1.2, 4), (1.5, 6), (2.5, 12)])
def test_line_response_is_in_units_of_its_noise(sigma: float, half: int) -> None:
    image = draw_line(SHAPE, (100, 0), (100, 239), sigma)
    alone = line_response(image, ones(), sigma, half)[0][100, 120]
    # the same line between noise, many times: its spread is the unit, though the best of seven directions is taken
    noisy = [line_response(12 / alone * image + white(k), ones(), sigma, half)[0][100, 60:200:20] for k in range(12)]
    assert np.mean(noisy) == pytest.approx(12, rel=0.1)
    assert 0.6 < np.std(noisy) < 1.3


def test_edge_of_a_masked_body_makes_no_line() -> None:
    body = draw_disc(SHAPE, 100, 120, 40)
    image = np.where(body, 500, 0).astype(np.float32)
    response, _, _ = line_response(image, 1 - body.astype(np.float32), 1.5, 6)
    assert np.abs(response).max() < 1e-3
    assert line_response(image, ones(), 1.5, 6)[0].max() > 100, "test invalid"


def fibers(pixel_um: float, psf_um: float, snr: float, size_um: float = 42.0) -> tuple[Image, float]:
    """Lines in every direction, at least 4 um apart but where they cross, as pixels of that size see them."""
    n = round(size_um / pixel_um)
    width_um = float(np.hypot(psf_um, pixel_um / np.sqrt(12)))
    image = np.zeros((n, n), np.float32)
    for k in range(8):
        start, end = np.array([0.05, 0.06 + 0.11 * k]), np.array([0.95, 0.13 + 0.11 * k])
        for ends in ((start, end), (start[::-1], end[::-1])) if k % 4 == 0 else ((start, end),):
            image += snr * draw_line((n, n), tuple(ends[0] * n), tuple(ends[1] * n), width_um / pixel_um)
    return image, width_um


def widths_of(image: Image, other: Image, pixel_um: float, min_snr: float = 5.0) -> NDArray[np.float64]:
    """Widths read in one image at crests found in another."""
    response, crest, angle = line_response(other, ones(other.shape), max(0.16 / pixel_um, 1.0), 1.0 / pixel_um)
    return line_widths_um(image, response, crest & (response > min_snr), angle, pixel_um)[0]


@pytest.mark.parametrize("snr", [5.0, 12.0, 200.0])
@pytest.mark.parametrize(
    ("pixel_um", "psf_um"),
    [(0.065, 0.09), (0.065, 0.15), (0.1, 0.13), (0.14, 0.11), (0.14, 0.16), (0.2, 0.15), (0.25, 0.2), (0.25, 0.25)],
)
def test_width_of_lines_tells_the_psf(pixel_um: float, psf_um: float, snr: float) -> None:
    clean, _ = fibers(pixel_um, psf_um, snr)
    found = [widths_of(clean + white(k, clean.shape), clean + white(k + 9, clean.shape), pixel_um) for k in range(3)]
    widths = np.concatenate(found)
    assert widths.size >= 6
    psf = np.sqrt(np.median(widths) ** 2 - pixel_um**2 / 12)
    assert psf == pytest.approx(psf_um, rel=0.04)


def test_width_read_where_noise_chose_the_crest_is_too_small() -> None:
    clean, width_um = fibers(0.14, 0.12, 2.0)
    noisy = [clean + white(k, clean.shape) for k in range(6)]
    same = np.concatenate([widths_of(image, image, 0.14, 4.5) for image in noisy])
    other = np.concatenate([widths_of(noisy[k], noisy[k - 1], 0.14, 4.5) for k in range(6)])
    assert np.median(same) < 0.95 * width_um
    assert np.median(other) == pytest.approx(width_um, rel=0.05)


def test_bundle_is_wider_than_its_error() -> None:
    clean, width_um = fibers(0.14, 0.12, 60.0)
    bundle = 0.5 * (clean + np.roll(clean, 2, axis=1))
    response, crest, angle = line_response(bundle, ones(bundle.shape), 1.1, 7)
    sigma, error = line_widths_um(bundle + white(3, bundle.shape), response, crest & (response > 6), angle, 0.14)
    assert (error > 0).all()
    assert np.median(sigma) > width_um + 3 * np.median(error)


def test_width_without_lines_is_unknown() -> None:
    image = white(7)
    response, crest, angle = line_response(image, ones(), 1.5, 7)
    for widths in line_widths_um(white(8), response, crest & (response > 4.5), angle, 0.14):
        assert widths.size == 0


def test_filters_do_not_change_their_inputs() -> None:
    image, weight = white(11), ones()
    weight[50:80, 50:80] = 0
    before = image.copy(), weight.copy()
    gaussian(image, 1.5)
    gaussian(image, 12.0)
    local_background(image, weight, halved(ones()), 15.0)
    remove_hot_pixels(image, halved(ones()))
    estimate_noise([image])
    blob_maxima(image, weight, BlobScales.for_diameters(3.0, 6.0, 1.0), 4.0)
    response, crest, angle = line_response(image, weight, 1.5, 7)
    line_widths_um(image, response, crest, angle, 0.14)
    shifted(image, 3, -2)
    assert np.array_equal(image, before[0])
    assert np.array_equal(weight, before[1])


# --- averages along lines


def test_average_along_lines_is_the_best_median_of_five_parts() -> None:
    shape, n = (40, 44), 6
    smooth = gaussian(white(7, shape) + 6 * draw_line(shape, (5, 4), (35, 40), 1.0), 1.0)
    gate = ones(shape)
    gate[10:16, 20:26] = 0
    response, crest, _ = along_lines(smooth, gate, n, 0.3, 0.1)
    yy, xx = np.zeros(shape), np.zeros(shape)
    yy[1:-1] = smooth[:-2] - 2 * smooth[1:-1] + smooth[2:]
    xx[:, 1:-1] = smooth[:, :-2] - 2 * smooth[:, 1:-1] + smooth[:, 2:]
    xy = np.zeros(shape)
    xy[1:-1, 1:-1] = 0.25 * (smooth[2:, 2:] - smooth[2:, :-2] - smooth[:-2, 2:] + smooth[:-2, :-2])
    counts = np.zeros(shape, bool)
    counts[1:-1, 1:-1] = gate[1:-1, 1:-1] > 0

    def best(y: int, x: int) -> float:
        if np.hypot((xx - yy)[y, x] / 2, xy[y, x]) - (xx + yy)[y, x] / 2 < 0.1:
            return 0.0
        values = [0.0]
        for turn in range(-3, 4):
            theta = 0.5 * np.arctan2(-2 * xy[y, x], (yy - xx)[y, x]) + 0.23 * turn
            c, s = np.cos(theta), np.sin(theta)
            across = -(c**2 * xx + 2 * c * s * xy + s**2 * yy)
            j = np.arange(-n, n + 1)
            py, px = np.rint(y + j * c).astype(int), np.rint(x - j * s).astype(int)
            seen = (py >= 0) & (px >= 0) & (py < shape[0]) & (px < shape[1])
            seen[seen] = counts[py[seen], px[seen]]
            of_part = np.searchsorted((2 * n + 1) * np.arange(1, 5) // 5, np.arange(2 * n + 1), side="right")
            parts = [across[py[k], px[k]].mean() for k in (seen & (of_part == i) for i in range(5)) if k.any()]
            if len(parts) >= 3:
                values.append(np.median(parts) * np.sqrt(len(parts) / 5) / (1.2 * 0.3))
        return float(max(values))

    places = [(y, x) for y in range(2, shape[0] - 2) for x in range(2, shape[1] - 2) if gate[y, x] > 0]
    expect = np.zeros(shape)
    for place in places:
        expect[place] = best(*place)
    assert expect.max() > 3, "test invalid"
    np.testing.assert_allclose(response, expect, atol=1e-4)
    assert crest[18:22, 15:25].any()


@pytest.mark.parametrize(("pixel_um", "psf_um"), [(0.065, 0.12), (0.14, 0.115), (0.25, 0.2)])
def test_lines_that_are_sought_are_those_of_the_whole_image(pixel_um: float, psf_um: float) -> None:
    clean, _ = fibers(pixel_um, psf_um, 1.0, 60.0)
    yy, _ = np.mgrid[-1 : 1 : clean.shape[0] * 1j, : clean.shape[1]]
    # from lines that nothing shows to very bright ones, a body in the midst
    image = (10 ** (0.2 + yy) * clean + white(3, clean.shape)).astype(np.float32)
    weight = 1 - draw_disc(clean.shape, 20 / pixel_um, 25 / pixel_um, 6 / pixel_um).astype(np.float32)
    given = (image, weight, max(1.1 * psf_um / pixel_um, 0.9), 0.9 / pixel_um)
    whole, crest, angle = line_response(*given)
    lines = line_filter(*given)
    places = lines.follow(4.2, 3.3, 2.0)
    found = lines.response.ravel()[places]
    np.testing.assert_allclose(found, whole.ravel()[places], rtol=0.02)
    assert np.mean(np.abs(found - whole.ravel()[places]) < 1e-3) > 0.97
    assert (np.diff(places) > 0).all()
    # what is not found is dust: crests of a few pixels that no line of any length runs through
    missed = whole > 3.3
    missed.ravel()[places] = False
    labels, n = ndi.label(missed, structure=np.ones((3, 3)))
    strong = ndi.maximum(whole, labels, np.arange(1, n + 1))
    assert (np.asarray(strong) > 4.2).mean() < 0.1
    assert np.isin(np.flatnonzero(whole > 4.2), places).mean() > 0.99
    on_crest = lines.crests(places)
    assert (on_crest == crest.ravel()[places]).mean() > 0.98
    again = lines.response.copy()
    lines.compute(places)
    np.testing.assert_array_equal(lines.response, again)
    lines.compute_all()
    np.testing.assert_allclose(lines.response, whole, rtol=0.02, atol=1e-5)
    assert np.abs(lines.angle_rad - angle).ravel()[places].max() < 0.7


# --- trimmed mean of frames


@pytest.mark.parametrize(("n", "cut"), [(1, 0), (3, 0), (4, 1), (5, 1), (6, 2), (9, 2)])
def test_trimmed_mean_is_the_mean_of_the_sorted_values_without_the_ends(n: int, cut: int) -> None:
    signal = np.stack([white(k, (20, 30)) for k in range(n)])
    # a passing filopodium is far brighter than what remains
    signal[0] += 1e4
    is_open, centre = np.ones(signal.shape, np.uint8), np.ones((20, 30), np.uint8)
    centre[0] = 0
    still = np.zeros((n, 2), int)
    mean, spread, seen = trimmed_mean(signal, is_open, np.arange(n), still, np.full((20, 30), 2, np.float32), centre)
    expect = np.sort(signal, axis=0)[cut : n - cut].astype(float).mean(axis=0)
    # single precision beside what is left out
    np.testing.assert_allclose(mean[1:], expect[1:], rtol=1e-6, atol=2e-3)
    np.testing.assert_allclose(spread[1:], 2.0 / n * (1.2 if cut else 1.0), rtol=1e-6)
    assert (mean[0] == 0).all()
    np.testing.assert_array_equal(seen, centre)


def test_trimmed_mean_leaves_out_what_does_not_count() -> None:
    signal = np.arange(7, dtype=np.float32).reshape(7, 1, 1)
    is_open, one = np.ones(signal.shape, np.uint8), ones((1, 1))
    still, centre = np.zeros((7, 2), int), np.ones((1, 1), np.uint8)
    is_open[5:] = 0
    mean, _, _ = trimmed_mean(signal, is_open, np.arange(7), still, one, centre)
    assert mean[0, 0] == 2.0
    mean, spread, seen = trimmed_mean(signal, 0 * is_open, np.arange(7), still, one, centre)
    assert (mean[0, 0], spread[0, 0], seen[0, 0]) == (0, 1, 0)


def test_trimmed_mean_takes_frames_in_any_order_and_moves_them_into_place() -> None:
    scene = white(3, (40, 50))
    shifts = np.array([[0, 0], [3, -2], [-4, 5]])
    signal = np.zeros((5, 40, 50), np.float32)
    which = np.array([4, 0, 2])
    for place, (dy, dx) in zip(which, shifts, strict=True):
        signal[place] = shifted(scene, -dy, -dx)
    is_open = np.ones(signal.shape, np.uint8)
    mean, spread, _ = trimmed_mean(signal, is_open, which, shifts, ones((40, 50)), is_open[0])
    inside = np.s_[6:-6, 6:-6]
    np.testing.assert_allclose(mean[inside], scene[inside], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(spread[inside], 1 / 3, rtol=1e-6)
    # at the edge only those count that have something there
    np.testing.assert_allclose(spread[-1, -1], 1.0, rtol=1e-6)


# --- halves


@pytest.mark.parametrize("shape", [(8, 10), (7, 9), (1, 3)])
def test_half_the_resolution_and_back_keeps_the_place(shape: tuple[int, int]) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    slope = (3 * y + 2 * x).astype(np.float32)
    half = halved(slope)
    assert half.shape == ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    back = doubled(half, shape)
    assert back.shape == shape
    np.testing.assert_allclose(back[2:-2, 2:-2], slope[2:-2, 2:-2], atol=1e-4)


def test_samples_between_pixels_and_beyond_the_edge() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    y, x = np.array([0.0, 0.5, 2.0, -3.0, 9.0]), np.array([0.0, 1.5, 3.0, 0.0, 9.0])
    np.testing.assert_allclose(sample(image, y, x), [0, 3.5, 11, 0, 11], atol=0.02)
    assert sample(image, np.array([]), np.array([])).size == 0


# --- quantiles


@pytest.mark.parametrize("size", [1, 2, 5, 1000, 1001])
@pytest.mark.parametrize("share", [0.0, 0.005, 0.5, 0.7, 1.0])
def test_quantile_is_that_of_numpy(size: int, share: float) -> None:
    values = white(size, (1, size))
    before = values.copy()
    assert quantile(values, share) == pytest.approx(float(np.quantile(values.astype(float), share)), abs=1e-9)
    np.testing.assert_array_equal(values, before)


def test_outlines_are_pixels_with_an_open_side() -> None:
    rng = np.random.default_rng(4)
    for share in (0.02, 0.97):
        labels = (ndi.gaussian_filter(rng.random((150, 133)), 2) < np.quantile(rng.random(999), share) * 0.1 + 0.45) * 3
        labels = labels.astype(np.int32)
        inner = ndi.binary_erosion(labels > 0, border_value=1)
        np.testing.assert_array_equal(_outline(labels), np.argwhere((labels > 0) & ~inner))
    full = np.ones((70, 130), np.uint8)
    assert len(_outline(full)) == 0


@pytest.mark.parametrize("factor", [1, 4, 0.5])
def test_distance_of_grey_levels(factor: float) -> None:
    image = (np.random.default_rng(0).integers(90, 4000, (64, 80)) * factor).astype(np.float32)
    assert _grey_step(image) == np.diff(np.unique(image)).min()
    assert _grey_step(np.full((8, 8), 7.0, np.float32)) == 0
