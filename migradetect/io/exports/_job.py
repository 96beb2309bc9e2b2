"""What every format needs: one movie, where to write, and whether to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import CancelledError, OutputError
from migradetect.io.extras import import_quietly
from migradetect.movie import Movie
from migradetect.results import Results

__all__ = ["FALLBACK_DIAMETER_UM", "MovieJob", "drawn_diameters_um", "library"]

#: Shown diameter of a migrasome that was never sized: near the smallest that is looked for, um.
FALLBACK_DIAMETER_UM = 0.5


def library(module: str, to: str, extra: str = "export") -> ModuleType:
    """Import a library that only exports need.

    Raises
    ------
    OutputError
        With the command that installs it.
    """
    try:
        return import_quietly(module)
    except ImportError as error:
        raise OutputError(
            f"--to {to}: expected the library {module.split('.')[0]}, got none; "
            f'install it with: pip install "migradetect[{extra}]"'
        ) from error


@dataclass
class MovieJob:
    """One movie on its way into another format.

    Parameters
    ----------
    results : Results
        Tables and label images.
    movie : Movie or None
        The recording; None where it can't be read.
    cancel : callable
        Whether the user asked to stop.
    notes : list of str
        Lines for the user.
    """

    results: Results
    movie: Movie | None
    cancel: Callable[[], bool]
    notes: list[str] = field(default_factory=list)

    @property
    def movie_id(self) -> str:
        """Name of the movie."""
        return self.results.movie_id

    @property
    def calibration(self) -> Calibration:
        """Pixel size and frame interval."""
        return self.results.calibration

    @property
    def interval_s(self) -> float:
        """Seconds between frames; 1 where there is a single frame, because formats want a number."""
        return float(self.calibration.frame_interval_s or 1.0)

    @property
    def n_frames(self) -> int:
        """Frames of the movie."""
        return int(self.results.provenance.get("n_frames") or len(self.results.frames))

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        known = self.results.provenance.get("shape_yx")
        if known:
            return int(known[0]), int(known[1])
        stack = next((stack for stack in self.results.labels.values() if len(stack)), None)
        return stack.shape_yx if stack is not None else (0, 0)

    def px(self, values: pd.Series[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Lengths in pixels."""
        return np.asarray(self.calibration.px(np.asarray(values, dtype=float)), dtype=float)

    def planes(self, name: str) -> Iterator[NDArray[np.uint32]]:
        """Label planes, frame by frame."""
        stack = self.results.labels[name]
        for frame in range(len(stack)):
            self.check()
            yield stack[frame]

    def check(self) -> None:
        """Stop where the user asked to.

        Raises
        ------
        CancelledError
        """
        if self.cancel():
            raise CancelledError("export: interrupted")


def drawn_diameters_um(results: Results) -> NDArray[np.float64]:
    """Diameter of each row of ``migrasomes`` for programs that can't show an unknown one.

    Where a frame has none, the median of the migrasome stands in, then its plateau, then
    :data:`FALLBACK_DIAMETER_UM`.
    """
    table = results.migrasomes
    measured = table["diameter_um"].astype(float)
    median = measured.groupby(table["migrasome_id"]).transform("median")
    plateau = table["migrasome_id"].map(results.tracks.set_index("migrasome_id")["plateau_diameter_um"]).astype(float)
    drawn = measured.fillna(median).fillna(plateau).fillna(FALLBACK_DIAMETER_UM)
    return np.asarray(drawn, dtype=np.float64)
