import numpy as np
import pytest

from migradetect.pipeline._psf import psf_from_widths, usual_psf_um

PIXEL = 0.15


def widths(psf_um: float, n: int, error: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Widths of fibers that are read with a relative error."""
    true = np.hypot(psf_um, PIXEL / np.sqrt(12))
    return true * np.exp(error * rng.standard_normal(n)), np.full(n, error * true)


@pytest.mark.parametrize("psf_um", [0.1, 0.18, 0.32])
def test_many_clear_widths_tell_the_psf(psf_um):
    found, error = psf_from_widths(*widths(psf_um, 60, 0.1, np.random.default_rng(1)), PIXEL)
    assert found == pytest.approx(psf_um, rel=0.05)
    assert error < 0.05


def test_without_widths_the_usual_one_counts():
    found, error = psf_from_widths(np.empty(0), np.empty(0), PIXEL)
    assert found == pytest.approx(usual_psf_um(PIXEL), rel=0.05)
    assert error > 0.25


def test_a_vague_width_counts_for_little():
    found, error = psf_from_widths(np.array([0.4]), np.array([0.15]), PIXEL)
    assert usual_psf_um(PIXEL) < found < 0.25
    assert error > 0.15


def test_bundles_and_nonsense_do_not_widen_it():
    rng = np.random.default_rng(2)
    parts = [widths(0.16, 40, 0.08, rng), widths(0.26, 12, 0.08, rng), widths(0.07, 2, 0.08, rng)]
    sigma, error = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    found, _ = psf_from_widths(sigma, error, PIXEL)
    assert found == pytest.approx(0.16, rel=0.05)
    assert np.mean(sigma) > 1.05 * np.hypot(0.16, PIXEL / np.sqrt(12)), "test invalid"


@pytest.mark.parametrize(("pixel_um", "sigma_um"), [(0.05, 0.11), (0.15, 0.165), (0.5, 0.28)])
def test_usual_psf_fits_the_pixel_within_what_objectives_do(pixel_um, sigma_um):
    assert usual_psf_um(pixel_um) == pytest.approx(sigma_um)
