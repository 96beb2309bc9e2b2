from __future__ import annotations

import numpy as np

from migradetect.pipeline._frames import _add_excess


def test_excess_is_what_numpy_makes_of_it() -> None:
    rng = np.random.default_rng(1)
    image, background, signal = (rng.normal(300, 40, (33, 47)).astype(np.float32) for _ in range(3))
    weight = (rng.random(image.shape) < 0.7).astype(np.float32)
    scale = np.float32(0.137)
    excess = (image - background) * scale * weight
    expect = signal + excess
    # as pass 1 does it: the image is not needed any more
    _add_excess(image, background, scale, weight, image, signal)
    np.testing.assert_array_equal(image, excess)
    np.testing.assert_array_equal(signal, expect)
