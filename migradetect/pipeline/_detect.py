"""Pass 1, what is looked for in an averaged frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.fibers import Beads, trace_fibers
from migradetect.params import Params
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._moving import present_where_changed
from migradetect.spots import SpotImage, find_spots

__all__ = ["FrameResult", "detect"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass
class FrameResult:
    """What pass 1 found in one frame."""

    spots: pd.DataFrame
    fibers: Labels
    ridge: Image
    n_cut: int = 0
    """Maxima beyond the most that are taken in a frame."""


def detect(
    image: SpotImage,
    params: Params,
    calibration: Calibration,
    model: MovieModel,
    present: Callable[[], SpotImage] | None = None,
) -> FrameResult:
    """Candidates of one averaged frame, and fibers of the frame as it is now, where it differs.

    `present` gives that frame; it is called once.
    """
    spots = find_spots(image, params.spots, calibration, model.library, model.psf_sigma_um)
    n_cut = spots.attrs.pop("n_cut", 0)
    round_ones = spots[(spots["blob_snr"] > 10) & (spots["roundness"] > 0.5) & (spots["diameter_um"] < 5)]
    beads = Beads(
        round_ones["y_px"].to_numpy(float),
        round_ones["x_px"].to_numpy(float),
        calibration.px(round_ones["diameter_um"].to_numpy(float) / 2),
    )
    lines = image if present is None else present_where_changed(image, present(), calibration.px(model.psf_sigma_um))
    fibers, ridge = trace_fibers(lines.snr, lines.weight, beads, params.fibers, calibration, model.psf_sigma_um)
    return FrameResult(spots, fibers, ridge, n_cut)
