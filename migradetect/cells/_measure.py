"""Size, shape and brightness of cell bodies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from migradetect.calibration import Calibration

__all__ = ["measure_cells"]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]


def measure_cells(labels: Labels, channels: dict[str, Image], calibration: Calibration) -> pd.DataFrame:
    """Size, shape and brightness of each body.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        From :func:`~migradetect.cells.segment_cells`.
    channels : dict of str to ndarray, each of shape (Y, X)
        Counts above background, by role.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    pandas.DataFrame
        One row per label: label, y_um, x_um, area_um2, perimeter_um, eccentricity, orientation_rad, mean_<role>,
        touches_border.
    """
    properties = ("label", "bbox", "centroid", "area", "perimeter", "eccentricity", "orientation")
    columns = regionprops_table(labels, properties=properties)
    table = pd.DataFrame(
        {
            "label": columns["label"].astype(np.int64),
            "y_um": calibration.um(np.asarray(columns["centroid-0"], float)),
            "x_um": calibration.um(np.asarray(columns["centroid-1"], float)),
            "area_um2": calibration.um2(np.asarray(columns["area"], float)),
            "perimeter_um": calibration.um(np.asarray(columns["perimeter"], float)),
            "eccentricity": np.asarray(columns["eccentricity"], float),
            "orientation_rad": np.asarray(columns["orientation"], float),
        }
    )
    for role, image in channels.items():
        total = np.bincount(labels.ravel(), weights=image.ravel())
        table[f"mean_{role}"] = total[columns["label"]] / columns["area"]
    table["touches_border"] = (
        (columns["bbox-0"] == 0)
        | (columns["bbox-1"] == 0)
        | (columns["bbox-2"] == labels.shape[0])
        | (columns["bbox-3"] == labels.shape[1])
    )
    return table
