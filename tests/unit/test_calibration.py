import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migradetect import Calibration
from migradetect.errors import CalibrationError


def test_literals():
    calibration = Calibration(0.1, 120.0)
    assert calibration.um(10.0) == 1.0
    assert calibration.px(1.0) == 10.0
    assert calibration.um2(100.0) == pytest.approx(1.0)
    assert calibration.px2(1.0) == pytest.approx(100.0)
    assert calibration.minutes(3.0) == 6.0
    assert calibration.frames(6.0) == 3.0
    assert calibration.frame_interval_min == 2.0


def test_arrays_are_converted_and_left_as_they_were():
    px = np.array([0.0, 10.0])
    np.testing.assert_allclose(Calibration(0.1).um(px), [0.0, 1.0])
    assert px.tolist() == [0.0, 10.0]


@given(st.floats(0.01, 2.0), st.floats(-1e4, 1e4))
def test_there_and_back(size, value):
    calibration = Calibration(size, 60.0)
    assert calibration.px(calibration.um(value)) == pytest.approx(value, abs=1e-9)
    assert calibration.px2(calibration.um2(value)) == pytest.approx(value, abs=1e-9)
    assert calibration.frames(calibration.minutes(value)) == pytest.approx(value, abs=1e-9)


def test_time_of_a_single_frame_is_missing_not_zero():
    assert np.isnan(Calibration(0.1).frame_interval_min)
    assert np.isnan(Calibration(0.1).minutes(1.0))


@pytest.mark.parametrize("size", [0.0, -0.1, 12.0, 108.0, float("nan"), float("inf")])
def test_impossible_pixel_sizes(size):
    with pytest.raises(CalibrationError, match="--pixel-size-um"):
        Calibration(size)


@pytest.mark.parametrize("interval", [0.0, -1.0, 1e6, float("nan"), float("inf")])
def test_impossible_intervals(interval):
    with pytest.raises(CalibrationError, match="--frame-interval-s"):
        Calibration(0.1, interval)


def test_the_error_says_where_the_value_was_read():
    with pytest.raises(CalibrationError, match="OME-XML"):
        Calibration(108.0, pixel_size_source="OME-XML")


def test_with_frame_interval_is_a_copy():
    before = Calibration(0.1)
    after = before.with_frame_interval(60.0, "command line")
    assert before.frame_interval_s is None
    assert (after.pixel_size_um, after.frame_interval_s, after.frame_interval_source) == (0.1, 60.0, "command line")
