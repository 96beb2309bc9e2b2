from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from migradetect.growth import CONSTANT, MODEL, GrowthFit, fit_growth, fit_growths
from migradetect.params import GrowthParams

Array = NDArray[np.float64]
PARAMS = GrowthParams()


def law(t: Array, birth: float, tau: float, plateau: float) -> Array:
    return np.where(t > birth, plateau * (1 - np.exp(-(t - birth) / tau)), 0.0)


def curve(
    rng: np.random.Generator, birth: float, tau: float, plateau: float, noise: float, n: int = 40, step: float = 2.0
) -> tuple[Array, Array, Array]:
    """Frames from the first one in which there is something to see."""
    t = np.arange(n) * step
    t = t[t > birth + 1.0]
    return t, law(t, birth, tau, plateau) + rng.normal(0, noise, t.size), np.full(t.size, noise)


@pytest.mark.parametrize(("birth", "tau", "plateau"), [(5.0, 8.0, 1.5), (11.0, 15.0, 0.9), (4.0, 4.0, 2.6)])
def test_exact_curve_gives_its_parameters(birth: float, tau: float, plateau: float) -> None:
    t, d, _ = curve(np.random.default_rng(0), birth, tau, plateau, 0.0)
    fit = fit_growth(t, d, np.full(t.size, 0.02), PARAMS, is_left_censored=False)
    assert fit.model == MODEL
    assert fit.birth_min == pytest.approx(birth, abs=0.3)
    assert fit.tau_min == pytest.approx(tau, rel=0.05)
    assert fit.plateau_um == pytest.approx(plateau, rel=0.01)
    assert fit.rate_um_per_min == pytest.approx(plateau / tau, rel=0.05)
    assert fit.r2 > 0.99


def test_noisy_curves_give_their_parameters_on_average() -> None:
    rng = np.random.default_rng(1)
    fits = [fit_growth(*curve(rng, 7.0, 10.0, 1.4, 0.08), PARAMS, False) for _ in range(60)]
    assert np.median([fit.birth_min for fit in fits]) == pytest.approx(7.0, abs=0.7)
    assert np.median([fit.tau_min for fit in fits]) == pytest.approx(10.0, rel=0.1)
    assert np.median([fit.plateau_um for fit in fits]) == pytest.approx(1.4, rel=0.02)


def test_confidence_limits_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    tau, plateau, rate = [], [], []
    for _ in range(200):
        fit = fit_growth(*curve(rng, 7.0, 10.0, 1.4, 0.08), PARAMS, is_left_censored=False)
        tau.append(fit.tau_ci[0] <= 10.0 <= fit.tau_ci[1])
        plateau.append(fit.plateau_ci[0] <= 1.4 <= fit.plateau_ci[1])
        rate.append(fit.rate_ci[0] <= 0.14 <= fit.rate_ci[1])
    assert 0.8 <= np.mean(tau) <= 1.0
    assert 0.8 <= np.mean(plateau) <= 1.0
    assert 0.8 <= np.mean(rate) <= 1.0


def test_confidence_limits_are_not_too_wide() -> None:
    rng = np.random.default_rng(3)
    off, width = [], []
    for _ in range(60):
        fit = fit_growth(*curve(rng, 7.0, 10.0, 1.4, 0.08), PARAMS, is_left_censored=False)
        off.append(fit.plateau_um - 1.4)
        width.append((fit.plateau_ci[1] - fit.plateau_ci[0]) / 3.92)
    assert 0.5 < np.median(width) / np.std(off) < 3


def test_left_censored_gives_a_constant() -> None:
    rng = np.random.default_rng(4)
    t = np.arange(30.0)
    d = rng.normal(1.2, 0.05, 30)
    fit = fit_growth(t, d, np.full(30, 0.05), PARAMS, is_left_censored=True)
    assert fit.model == CONSTANT
    assert fit.plateau_um == pytest.approx(1.2, abs=0.05)
    assert fit.plateau_ci[0] < 1.2 < fit.plateau_ci[1]
    assert np.isnan([fit.birth_min, fit.tau_min, *fit.tau_ci, fit.rate_um_per_min]).all()
    np.testing.assert_allclose(fit.diameter(t), fit.plateau_um)


def test_too_few_points_give_a_constant_and_none_gives_nothing() -> None:
    t = np.arange(4.0)
    few = fit_growth(t, law(t, -1, 2, 1.0), np.full(4, 0.05), GrowthParams(min_points=5), is_left_censored=False)
    assert few.model == CONSTANT
    assert fit_growth(t, law(t, -1, 2, 1.0), np.full(4, 0.05), GrowthParams(min_points=4), False).model == MODEL
    none = fit_growth(t, np.full(4, np.nan), np.full(4, 0.05), PARAMS, is_left_censored=False)
    assert none.model is None
    assert np.isnan([none.plateau_um, none.tau_min, none.birth_min, none.r2, *none.plateau_ci]).all()
    assert np.isnan(none.diameter(t)).all()


def test_one_wild_point_does_not_decide() -> None:
    t, d, e = curve(np.random.default_rng(5), 5.0, 8.0, 1.5, 0.05)
    wild = d.copy()
    wild[12] = 4.0
    fit = fit_growth(t, wild, e, PARAMS, is_left_censored=False)
    assert np.abs(wild.mean() - d.mean()) > 0.05, "test invalid"
    assert fit.plateau_um == pytest.approx(1.5, rel=0.05)
    assert fit.tau_min == pytest.approx(8.0, rel=0.3)


def test_gaps_are_left_out_not_taken_as_zero() -> None:
    t, d, e = curve(np.random.default_rng(6), 5.0, 8.0, 1.5, 0.03)
    holes = d.copy()
    holes[3::4] = np.nan
    fit = fit_growth(t, holes, e, PARAMS, is_left_censored=False)
    assert fit.plateau_um == pytest.approx(1.5, rel=0.04)
    keep = np.isfinite(holes)
    assert fit == fit_growth(t[keep], holes[keep], e[keep], PARAMS, is_left_censored=False)


def test_fitted_curve_is_zero_before_birth() -> None:
    fit = GrowthFit(MODEL, 10.0, 2.0, (1.9, 2.1), 5.0, (4, 6), 0.4, (0.3, 0.5), 0.9)
    np.testing.assert_allclose(fit.diameter(np.array([0.0, 10.0, 15.0, 1e3])), [0, 0, 2 * (1 - np.exp(-1)), 2])


@given(st.integers(0, 40), st.floats(0.1, 5), st.booleans(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_any_data_give_ordered_limits_around_the_value(n: int, size: float, censored: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    t = np.arange(n) * 2.0
    d = rng.uniform(0.1, size + 0.1, n)
    kept = t.copy(), d.copy()
    fit = fit_growth(t, d, np.full(n, 0.1), PARAMS, censored)
    for value, (low, high) in (
        (fit.plateau_um, fit.plateau_ci),
        (fit.tau_min, fit.tau_ci),
        (fit.rate_um_per_min, fit.rate_ci),
    ):
        if np.isfinite(value):
            assert low <= value <= high
    if fit.model == MODEL:
        assert 0 <= fit.r2 <= 1
    assert np.array_equal(t, kept[0])
    assert np.array_equal(d, kept[1])


def test_many_curves_at_once_are_fitted_as_each_alone() -> None:
    rng = np.random.default_rng(5)
    curves = []
    for n in (0, 3, 12, 40, 40):
        time = 2.0 * np.arange(n)
        size = 1.5 * (1 - np.exp(-(time + 1) / 9)) + rng.normal(0, 0.05, n)
        curves.append((time, size, np.full(n, 0.05)))
    censored = [False, False, False, False, True]
    together = fit_growths(curves, GrowthParams(), censored)
    assert [fit.model for fit in together] == [None, CONSTANT, MODEL, MODEL, CONSTANT]
    for fit, curve, flag in zip(together, curves, censored, strict=True):
        assert repr(fit) == repr(fit_growth(*curve, GrowthParams(), flag))
    assert fit_growths([], GrowthParams(), []) == []
