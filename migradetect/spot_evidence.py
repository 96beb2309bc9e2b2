"""How much each single spot looks like a migrasome: log-odds from what one averaged frame shows.

The odds of one spot decide nothing. They tell where along a linked track a bead stands and where only the bare fiber
answers (see :mod:`migradetect.stretches`), and their mean is part of the evidence of the track.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.trees import load_trees, trees_log_odds

__all__ = ["SPOT_FEATURES", "relative_colour", "spot_features", "spot_log_odds"]

#: Spots that are judged together.
_AT_ONCE = 65_536
#: Evidence of a spot, in the order that the trees take it.
SPOT_FEATURES = (
    "log_snr",
    "log_blob_snr",
    "log_contrast",
    "roundness",
    "log_diameter",
    "log_resolved",
    "log_diameter_err",
    "log_scale_ratio",
    "log_misfit",
    "line_ratio",
    "opposite_ratio",
    "valley_ratio",
    "log_over_line",
    "inside",
    "contains",
    "fiber_um",
    "log_fiber_length",
    "cell_um",
    "picture",
    "colour",
)

#: Spots that are lines for certain: this flat, and this close to a traced fiber, um.
_FLAT, _ON_FIBER_UM = 0.4, 0.3
#: Fewest such spots that tell the colour of the fibers.
_FEWEST_FLAT = 20


def relative_colour(spots: pd.DataFrame) -> NDArray[np.float64]:
    """TSPAN4 over WGA of each spot, relative to that of the bare fibers of the movie, logarithm.

    Exposure and labelling differ between movies, but both channels show the same fibers: what is richer in TSPAN4 than
    they are is a migrasome rather than dirt.

    Parameters
    ----------
    spots : pandas.DataFrame
        All spots of a movie: colour (TSPAN4 over WGA, logarithm; NaN where a channel is missing), roundness, fiber_um.

    Returns
    -------
    ndarray, shape (N,)
        NaN where a channel is missing.
    """
    colour = spots["colour"].to_numpy(float)
    is_line = ((spots["roundness"] < _FLAT) & (spots["fiber_um"] < _ON_FIBER_UM)).to_numpy(bool) & np.isfinite(colour)
    known = is_line if is_line.sum() >= _FEWEST_FLAT else np.isfinite(colour)
    return colour - float(np.median(colour[known])) if known.any() else colour


def spot_features(spots: pd.DataFrame) -> pd.DataFrame:
    """Evidence of each spot, relative to the noise or in um.

    Parameters
    ----------
    spots : pandas.DataFrame
        Columns of a spot table, `fiber_um`, `fiber_length_um`, `line_snr`, `cell_um`, and `colour` relative to the
        fibers of the movie (NaN: one channel only).

    Returns
    -------
    pandas.DataFrame
        Columns :data:`SPOT_FEATURES`, with the rows and index of `spots`.
    """

    def log(name: str, low: float, high: float) -> NDArray[np.float64]:
        return np.log(spots[name].to_numpy(float).clip(low, high))

    diameter = spots["diameter_um"].astype(float)
    columns = {
        "log_snr": log("snr", 0.1, 1e4),
        "log_blob_snr": log("blob_snr", 0.1, 1e4),
        "log_contrast": log("contrast", 0.05, 1e4),
        "roundness": spots["roundness"].clip(-0.5, 1),
        "log_diameter": log("diameter_um", 0.1, 6),
        "log_resolved": log("resolved", 0.2, 20),
        "log_diameter_err": np.log((spots["diameter_err_um"] / diameter).fillna(3.0).clip(1e-3, 3)),
        "log_scale_ratio": np.log((spots["scale_um"] / diameter).clip(0.05, 20)),
        "log_misfit": log("misfit", 1e-3, 3),
        "line_ratio": spots["line_ratio"].clip(-0.5, 2),
        "opposite_ratio": spots["opposite_ratio"].clip(-0.5, 2),
        "valley_ratio": spots["valley_ratio"].clip(-0.5, 2),
        "log_over_line": np.log(spots["blob_snr"].clip(0.1, 1e4) / spots["line_snr"].clip(5, None)),
        "inside": spots["inside"],
        "contains": spots["contains"],
        "fiber_um": spots["fiber_um"].fillna(10).clip(0, 10),
        "log_fiber_length": np.log1p(spots["fiber_length_um"]),
        "cell_um": spots["cell_um"].fillna(50).clip(0, 50),
        "picture": spots["picture"],
        "colour": spots["colour"].clip(-3, 3),
    }
    return pd.DataFrame(columns, index=spots.index)[list(SPOT_FEATURES)].astype(float)


def spot_log_odds(spots: pd.DataFrame) -> NDArray[np.float64]:
    """Log-odds of each spot to be a migrasome, by gradient-boosted trees.

    Parameters
    ----------
    spots : pandas.DataFrame
        As for :func:`spot_features`; N rows.

    Returns
    -------
    ndarray, shape (N,)

    See Also
    --------
    migradetect.trees : how the trees are kept; ``workflows/benchmark/train_judge.py`` trains them.
    """
    trees = load_trees("spots.npz", SPOT_FEATURES, "train_judge.py")
    # in parts: evidence in double precision takes more memory than all that is kept of a spot
    parts = [spots.iloc[low : low + _AT_ONCE] for low in range(0, len(spots), _AT_ONCE)]
    return np.concatenate([np.empty(0), *(trees_log_odds(trees, spot_features(part)) for part in parts)])
