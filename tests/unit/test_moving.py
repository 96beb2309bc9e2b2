from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from migradetect.pipeline._moving import present_where_changed
from migradetect.spots import SpotImage

SHAPE = (160, 203)
PSF_PX = 1.5


def line(column: float, height: float = 6.0) -> NDArray[np.float32]:
    x = np.arange(SHAPE[1])
    return np.broadcast_to(height * np.exp(-0.5 * ((x - column) / PSF_PX) ** 2), SHAPE).astype(np.float32)


def image(signal: NDArray[np.float32], variance: float, seed: int) -> SpotImage:
    noise = np.random.default_rng(seed).normal(0, np.sqrt(variance), SHAPE)
    return SpotImage(
        (signal + noise).astype(np.float32), np.full(SHAPE, variance, np.float32), np.ones(SHAPE, np.float32)
    )


def test_a_line_that_swung_stands_where_it_is_now() -> None:
    standing = line(150)
    # while frames were averaged the line went from column 40 to 60; now it is at 52
    smear = np.mean([line(c) for c in np.linspace(40, 60, 7)], axis=0).astype(np.float32)
    mean, present = image(standing + smear, 0.2, 1), image(standing + line(52), 1.0, 2)
    mixed = present_where_changed(mean, present, PSF_PX)
    np.testing.assert_allclose(mixed.signal[:, 38:63], present.signal[:, 38:63], atol=2e-3)
    np.testing.assert_allclose(mixed.variance[:, 38:63], 1.0, atol=2e-3)
    assert mixed.signal.mean(axis=0)[30:80].argmax() == 52 - 30
    # what stands keeps most of what the average gained
    assert np.median(mixed.variance[:, 140:160]) < 0.4


def test_the_variance_is_that_of_the_noise() -> None:
    # the mean of five frames, the present one among them
    frames = np.random.default_rng(5).normal(0, 1, (5, *SHAPE)).astype(np.float32)
    ones = np.ones(SHAPE, np.float32)
    mean, present = SpotImage(frames.mean(axis=0), 0.2 * ones, ones), SpotImage(frames[2], ones, ones)
    mixed = present_where_changed(mean, present, PSF_PX)
    # chosen is what differs by more than noise, so the present frame is a little too bright where it is taken
    assert 0.95 < np.std(mixed.signal / np.sqrt(mixed.variance)) < 1.2


def test_nothing_changed_leaves_the_mean_as_it_is() -> None:
    mean = image(line(80), 0.2, 3)
    mixed = present_where_changed(mean, SpotImage(mean.signal.copy(), 5 * mean.variance, mean.weight), PSF_PX)
    np.testing.assert_array_equal(mixed.signal, mean.signal)
    np.testing.assert_allclose(mixed.variance, mean.variance, rtol=1e-6)


def test_bodies_make_no_change() -> None:
    mean, present = image(line(80), 0.2, 3), image(line(80), 1.0, 4)
    weight = np.ones(SHAPE, np.float32)
    weight[:, 100:] = 0
    present.signal[:, 100:] = 1e4
    mixed = present_where_changed(
        SpotImage(mean.signal, mean.variance, weight), SpotImage(present.signal, present.variance, weight), PSF_PX
    )
    assert np.isfinite(mixed.signal).all()
    assert np.abs(mixed.signal[:, :100]).max() < 20
    assert (mixed.snr[:, 100:] == 0).all()
