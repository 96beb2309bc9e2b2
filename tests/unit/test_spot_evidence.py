from __future__ import annotations

import numpy as np
import pandas as pd

from migradetect.spot_evidence import SPOT_FEATURES, relative_colour, spot_features, spot_log_odds


def spots(**values: float) -> pd.DataFrame:
    """A round bead of 1.2 um on a fiber half as bright."""
    usual = {
        "snr": 60.0,
        "blob_snr": 55.0,
        "contrast": 12.0,
        "roundness": 0.7,
        "diameter_um": 1.2,
        "diameter_err_um": 0.03,
        "resolved": 4.4,
        "scale_um": 1.25,
        "misfit": 0.03,
        "line_ratio": 0.35,
        "opposite_ratio": 0.3,
        "valley_ratio": 0.02,
        "inside": -3.0,
        "contains": -3.0,
        "picture": 4.0,
        "colour": 0.8,
        "fiber_um": 0.05,
        "fiber_length_um": 30.0,
        "line_snr": 20.0,
        "cell_um": 12.0,
    }
    return pd.DataFrame([usual | values], index=[7])


def test_features_are_finite_also_without_a_size_a_fiber_or_a_cell() -> None:
    table = spots(diameter_err_um=np.nan, fiber_um=np.inf, cell_um=np.inf, line_snr=0.0, fiber_length_um=0.0)
    features = spot_features(table)
    assert tuple(features.columns) == SPOT_FEATURES
    assert features.index.tolist() == [7]
    assert np.isfinite(features.to_numpy()).all()


def test_bead_is_more_likely_than_a_kink_and_a_kink_than_noise() -> None:
    bead, kink, noise = (
        float(spot_log_odds(table)[0])
        for table in (
            spots(),
            spots(
                roundness=0.3,
                picture=-3.0,
                colour=0.0,
                diameter_um=0.35,
                resolved=1.3,
                line_ratio=0.95,
                opposite_ratio=0.9,
                blob_snr=20.0,
            ),
            spots(
                picture=-5.0,
                colour=0.0,
                snr=4.5,
                blob_snr=2.0,
                contrast=0.8,
                roundness=0.4,
                diameter_err_um=0.6,
                fiber_um=6.0,
                misfit=0.5,
            ),
        )
    )
    assert bead > 0
    assert bead > kink + 1
    assert bead > noise + 2


def test_no_spots() -> None:
    assert spot_log_odds(spots().iloc[:0]).shape == (0,)


def test_colour_is_relative_to_the_fibers_of_the_movie() -> None:
    lines = pd.concat([spots(roundness=0.1, fiber_um=0.1, colour=-0.5 + 0.01 * k) for k in range(-10, 11)])
    beads = pd.concat([spots(colour=0.5), spots(colour=-0.5)])
    colour = relative_colour(pd.concat([lines, beads], ignore_index=True))
    np.testing.assert_allclose(colour[-2:], [1.0, 0.0], atol=1e-9)


def test_colour_of_one_channel_is_not_known() -> None:
    assert np.isnan(relative_colour(spots(colour=np.nan))).all()
    assert np.isfinite(spot_log_odds(spots(colour=np.nan))).all()
