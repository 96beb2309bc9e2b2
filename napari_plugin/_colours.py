"""Colours of objects, chosen so that all kinds of colour vision tell them apart on a dark image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["COLOUR_BY", "LEGEND", "PALETTE", "colours_of", "id_colours"]

#: What migrasomes may be coloured by.
COLOUR_BY = ("status", "migrasome_id", "cell_id", "score", "location", "fate")

_UNKNOWN = "#9A9A9A"
#: Okabe and Ito's palette; colours of what has names.
LEGEND: dict[str, dict[str, str]] = {
    "status": {
        "auto": "#F0E442",
        "accepted": "#009E73",
        "edited": "#56B4E9",
        "added": "#CC79A7",
        "rejected": "#D55E00",
    },
    "location": {"tip": "#56B4E9", "branch": "#CC79A7", "shaft": "#E69F00"},
    "fate": {
        "persist": "#009E73",
        "rupture": "#D55E00",
        "fade": "#56B4E9",
        "engulfed": "#CC79A7",
        "left_field": "#F0E442",
    },
}
#: For ids: neighbours in the list differ much, and each is bright enough for a dark background.
_CYCLE = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#8DD3C7", "#BEBADA", "#FB8072", "#B3DE69")
#: Ends and middle of viridis without its darkest part, which a dark image swallows.
_RAMP = ((0.0, "#414487"), (0.25, "#2A788E"), (0.5, "#22A884"), (0.75, "#7AD151"), (1.0, "#FDE725"))


def _rgba(colour: str) -> tuple[float, float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue, 1.0


#: Colours of ids 1, 2, 3 and so on, shape (K, 4); they begin again after the last.
PALETTE = np.array([_rgba(colour) for colour in _CYCLE], np.float32)


def id_colours(ids: Sequence[Any] | pd.Series[Any]) -> NDArray[np.float32]:
    """Colour of each id, shape (N, 4); grey where it is null."""
    numbers = pd.to_numeric(pd.Series(ids), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(numbers)
    out = np.tile(np.array(_rgba(_UNKNOWN), np.float32), (len(numbers), 1))
    out[known] = PALETTE[(numbers[known].astype(int) - 1) % len(PALETTE)]
    return out


def colours_of(table: pd.DataFrame, by: str) -> NDArray[np.float32]:
    """Colour of each row.

    Parameters
    ----------
    table : pandas.DataFrame
        Has the column `by`.
    by : str
        One of :data:`COLOUR_BY`.

    Returns
    -------
    ndarray of float32, shape (N, 4)
        Red, green, blue, opacity, 0 to 1.
    """
    if by in LEGEND:
        # rows are many, and names few; what is no name has code -1, and takes the last colour
        codes = pd.Categorical(table[by], categories=list(LEGEND[by])).codes
        return np.array([_rgba(colour) for colour in (*LEGEND[by].values(), _UNKNOWN)], np.float32)[codes]
    if by.endswith("_id"):
        return id_colours(table[by])
    values = table[by].to_numpy(dtype=float, na_value=np.nan)
    stops = [stop for stop, _ in _RAMP]
    ramp = np.array([_rgba(colour) for _, colour in _RAMP])
    out = np.stack([np.interp(np.nan_to_num(values), stops, ramp[:, k]) for k in range(4)], axis=1)
    out[~np.isfinite(values)] = _rgba(_UNKNOWN)
    return out.astype(np.float32)
