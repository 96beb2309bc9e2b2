"""What the other migrasomes of a movie tell of a track: beads of one movie were stained and recorded alike.

Labels, doses and cameras differ from movie to movie, so that a colour or brightness says little by itself. But what is
far from the colour and brightness of those that are surely migrasomes is more likely dirt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["COMPANY_FEATURES", "Company", "company_features", "company_of"]

#: Evidence that compares a track with the sure ones, in the order that the second judge takes it.
COMPANY_FEATURES = ("colour_gap", "colour_over", "brightness_gap", "brightness_over")

#: Log-odds of the first judge from which on a track is sure.
_SURE = 1.5
#: Fewer sure ones than this have no usual colour or brightness.
_FEWEST = 8
#: Colours and brightnesses spread by this much at least, natural logarithm.
_LEAST_SPREAD = 0.15
#: Deviations beyond these say no more: in spreads, and in units of the natural logarithm.
_MOST_SPREADS, _MOST_OVER = 10.0, 4.0
#: What a normal distribution's median absolute deviation is multiplied by to give its standard deviation.
_MAD_TO_SD = 1.48


@dataclass(frozen=True)
class Company:
    """Colour and brightness of the sure migrasomes of a movie; NaN where there are too few.

    Parameters
    ----------
    colour, colour_spread : float
        Median and spread of the logarithm of TSPAN4 over WGA, relative to the fibers.
    brightness, brightness_spread : float
        Median and spread of the logarithm of the signal for their size.
    """

    colour: float
    colour_spread: float
    brightness: float
    brightness_spread: float

    @property
    def is_known(self) -> bool:
        """Whether there are enough of them to compare with."""
        return bool(np.isfinite(self.brightness))


def company_of(features: pd.DataFrame, log_odds: NDArray[np.float64]) -> Company:
    """The sure migrasomes of a movie.

    Parameters
    ----------
    features : pandas.DataFrame
        From :func:`migradetect.tracks.track_features`, N rows: all tracks of the movie.
    log_odds : ndarray, shape (N,)
        Of each to be a migrasome, judged by itself.

    Returns
    -------
    Company
    """
    sure = features[np.asarray(log_odds) > _SURE]
    return Company(*_usual(sure["colour_seen"]), *_usual(sure["log_brightness"]))


def _usual(values: pd.Series[float]) -> tuple[float, float]:
    """Median and robust spread; NaN of too few."""
    known = values.to_numpy(float)
    known = known[np.isfinite(known)]
    if known.size < _FEWEST:
        return float("nan"), float("nan")
    middle = float(np.median(known))
    return middle, max(_MAD_TO_SD * float(np.median(np.abs(known - middle))), _LEAST_SPREAD)


def company_features(features: pd.DataFrame, company: Company) -> pd.DataFrame:
    """How far each track is from the sure ones.

    Parameters
    ----------
    features : pandas.DataFrame
        From :func:`migradetect.tracks.track_features`, N rows.
    company : Company
        Of the movie.

    Returns
    -------
    pandas.DataFrame
        N rows; columns :data:`COMPANY_FEATURES`, NaN where it is not known.
    """
    columns = {}
    for name, column, usual, spread in (
        ("colour", "colour_seen", company.colour, company.colour_spread),
        ("brightness", "log_brightness", company.brightness, company.brightness_spread),
    ):
        over = features[column].astype(float) - usual
        columns[f"{name}_gap"] = (over.abs() / spread).clip(upper=_MOST_SPREADS)
        columns[f"{name}_over"] = over.clip(-_MOST_OVER, _MOST_OVER)
    return pd.DataFrame(columns)[list(COMPANY_FEATURES)]
