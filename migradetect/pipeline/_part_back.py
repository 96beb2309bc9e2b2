"""Between passes 1 and 2: cells that touch parted by where they are apart later, and measured again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.cells import PartBackwards, measure_cells
from migradetect.fibers import attached_cells
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._frames import clean_frame
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._pass1 import Pass1

__all__ = ["part_backwards"]

Image = NDArray[np.float32]


def part_backwards(movie: Movie, params: Params, model: MovieModel, first: Pass1, check: Callable[[], None]) -> None:
    """Go through the cells of pass 1 once more from the last frame to the first; see :class:`PartBackwards`.

    Label planes are read one at a time. A frame is read again only where a body may be parted; what was measured of its
    cells, and which cell its fibers lead to, is measured again only where one was. All else stays: the bodies together
    cover what they covered.

    Parameters
    ----------
    movie, params, model : Movie, Params, MovieModel
        As for pass 1.
    first : Pass1
        Changed in place: label planes, tables of cells and fibers, number of cells.
    check : callable
        Called after each frame; may raise to stop.
    """
    planes, calibration = first.cell_labels, movie.calibration
    back = PartBackwards(movie.shape_yx, _usual_um2(first.cells), params.cells, calibration)
    for frame in reversed(range(movie.n_frames)):
        row = first.frames[frame]
        drift_px = calibration.px(row["drift_y_um"]), calibration.px(row["drift_x_um"])
        above: dict[str, Image] = {}
        new = back.before(planes.compact(frame), drift_px, partial(_signal, movie, frame, model, above))
        if new is not None:
            planes.replace(frame, new)
            first.cells[frame] = measure_cells(new, above, calibration).assign(frame=frame)
            row["n_cells"] = len(first.cells[frame])
            fibers = first.fibers[frame]
            if len(fibers):
                _, cell = attached_cells(first.fiber_labels.compact(frame), new, calibration)
                first.fibers[frame] = fibers.assign(cell_label=cell)
        check()


def _signal(movie: Movie, frame: int, model: MovieModel, above: dict[str, Image]) -> Image:
    """Signal of a frame; what its cells are measured in is added to `above`."""
    clean = clean_frame(movie, frame, model)
    above.update(clean.above)
    return clean.body


def _usual_um2(cells: list[pd.DataFrame]) -> float:
    """Area of a usual cell: the median of those that lie inside the field; NaN where there is none."""
    table = pd.concat(cells, ignore_index=True)
    return float(table.loc[~table["touches_border"].astype(bool), "area_um2"].median())
