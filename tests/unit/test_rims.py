from __future__ import annotations

import numpy as np
import pytest
from drawn_shapes import draw_line
from numpy.typing import NDArray

from migradetect.rims import read_rims

SHAPE = (60, 70)
ALL = np.ones(SHAPE, np.float32)


def spot(height: float) -> NDArray[np.float32]:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (height * np.exp(-((yy - 30.0) ** 2 + (xx - 35.0) ** 2) / (2 * 2.0**2))).astype(np.float32)


def read(
    image: NDArray[np.float32], weight: NDArray[np.float32] = ALL, y: float = 30.0
) -> tuple[float, float, float, float]:
    rims = read_rims(image, weight, np.array([y]), np.array([35.0]), np.array([7.0]))
    return float(rims.centre[0]), float(rims.high[0]), float(rims.opposite[0]), float(rims.low[0])


def test_lone_spot_has_a_dark_rim() -> None:
    centre, *rim = read(spot(10.0))
    assert centre == pytest.approx(10, rel=0.1)
    assert max(rim) < 0.05


@pytest.mark.parametrize(("start", "goes_on"), [(35, False), (-5, True)])
def test_line_that_ends_at_the_spot_is_told_from_one_that_goes_on(start: int, goes_on: bool) -> None:
    line = 4 * draw_line(SHAPE, (30, start), (30, 75), 1.2)
    _, high, opposite, low = read(spot(10.0) + line)
    assert high == pytest.approx(3.5, rel=0.2)
    assert opposite == pytest.approx(high if goes_on else 0, abs=0.1)
    assert low < 0.1


def test_masked_pixels_are_not_read() -> None:
    weight = ALL.copy()
    weight[:, 38:] = 0
    bright = spot(10.0)
    bright[:, 39:] = 500
    assert read(bright, weight)[1] < 1
    assert np.isnan(read(bright, np.zeros(SHAPE, np.float32))[1])


def test_site_at_the_border_is_read_where_there_is_an_image() -> None:
    image = np.full(SHAPE, 3.0, np.float32)
    assert read(image, y=0.0) == pytest.approx((3, 3, 3, 3))
    assert read_rims(image, ALL, np.empty(0), np.empty(0), np.empty(0)).centre.size == 0
