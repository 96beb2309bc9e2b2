"""migradetect: find, follow and count migrasomes and retraction fibers in fluorescence time-lapses.

Notation
--------
Throughout the package, arrays and tables are described with these letters:

T
    number of frames; ``frame`` counts from 0.
C
    number of channels; each has a role, such as ``tspan4`` or ``wga``.
Y, X
    rows and columns of a frame. y stands before x, and 0 is the centre of pixel 0.
N
    number of spots in a frame, or of rows in a table of spots.
P
    number of paths (segments between ends and junctions) of a fiber skeleton.

An image is an array of shape (Y, X), a movie has the axes (T, C, Y, X). A label image holds 0 for background and the
id of the object elsewhere. Units live in the names: ``diameter_um``, ``time_min``, ``y_px``. Missing is null or NaN,
never 0; observed-none is 0.

Examples
--------
>>> import migradetect as md
>>> movie = md.open_movie("dish1.ome.tif")  # doctest: +SKIP
>>> results = md.analyze(movie)  # doctest: +SKIP
>>> results.cell_summary[["cell_id", "n_migrasomes"]]  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from migradetect._version import __version__

if TYPE_CHECKING:
    from migradetect.calibration import Calibration
    from migradetect.io import open_movie
    from migradetect.movie import Movie
    from migradetect.params import Params, load_params
    from migradetect.pipeline import analyze
    from migradetect.results import Results
    from migradetect.review import load
    from migradetect.synthetic import simulate

__all__ = [
    "Calibration",
    "Movie",
    "Params",
    "Results",
    "__version__",
    "analyze",
    "load",
    "load_params",
    "open_movie",
    "simulate",
]

# loaded when first used (PEP 562): `import migradetect` stays instant, and the command line pays only for what it runs
_HOMES = {
    "Calibration": "calibration",
    "Movie": "movie",
    "Params": "params",
    "Results": "results",
    "analyze": "pipeline",
    "load": "review",
    "load_params": "params",
    "open_movie": "io",
    "simulate": "synthetic",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'migradetect' has no attribute '{name}'")
    value = getattr(import_module(f"migradetect.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
