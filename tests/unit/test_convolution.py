from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from migradetect.convolution import convolved, doubled, framed, halved

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("n_out", [1, 4, 7])
def test_convolution_is_that_of_scipy(n_out: int) -> None:
    x = RNG.normal(size=(3, 2, 9, 13)).astype(np.float32)
    weights = {
        "layer": RNG.normal(size=(n_out, 3, 3, 3)).astype(np.float32),
        "layer_bias": RNG.normal(size=n_out).astype(np.float32),
    }
    got = convolved(framed(x), weights, "layer")
    assert got.shape == (n_out, 2, 11, 15)
    for k in range(n_out):
        for n in range(2):
            parts = (ndi.correlate(x[c, n], weights["layer"][k, c], mode="constant") for c in range(3))
            expect = np.maximum(sum(parts) + weights["layer_bias"][k], 0)
            np.testing.assert_allclose(got[k, n, 1:-1, 1:-1], expect, rtol=1e-4, atol=1e-5)
    # frames stay empty: the next layer relies on it
    assert not got[:, :, [0, -1]].any()
    assert not got[:, :, :, [0, -1]].any()


def test_halving_takes_the_largest_and_doubling_repeats() -> None:
    x = RNG.normal(size=(2, 1, 4, 6)).astype(np.float32)
    half = halved(framed(x))[:, :, 1:-1, 1:-1]
    np.testing.assert_array_equal(half, x.reshape(2, 1, 2, 2, 3, 2).max(axis=(3, 5)))
    double = doubled(framed(x))
    np.testing.assert_array_equal(double[:, :, 1:-1, 1:-1], x.repeat(2, axis=2).repeat(2, axis=3))
    assert not double[:, :, [0, -1]].any()
