"""What the user may say about the input, and one movie that was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["InputOptions", "Kind", "MovieEntry", "Projection"]

Projection = Literal["max", "sum"]
Kind = Literal[
    "ome-tiff", "imagej", "tiff", "sequence", "micromanager", "ndtiff", "metamorph", "ome-zarr", "nd2", "czi", "lif"
]


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What the user says about the input; None takes it from the file.

    Parameters
    ----------
    axes : str or None
        Letters out of T, C, Z, Y, X, such as ``"TCYX"``: the order of the stored planes. Where the file names its
        axes, the letters rename them one by one (``"TYX"`` reads a stack that was saved as Z as time).
    channels : tuple of str or None
        Roles in channel order (``("tspan4", "wga")``; ``"-"`` leaves a channel out), or items ``role=name`` and
        ``role=index`` with the index counted from 0.
    projection : {"max", "sum"} or None
        How a z-stack becomes one plane; None refuses z-stacks.
    pixel_size_um : float or None
        Edge of a pixel in micrometres.
    pixel_size_source : str
        Where `pixel_size_um` was given, for the results.
    frame_interval_s : float or None
        Seconds between frames.
    frame_interval_source : str
        Where `frame_interval_s` was given, for the results.
    pattern : str or None
        Regular expression for file names (without suffix) of a sequence, with the named groups ``t``, ``c``, ``z``
        and any further ones (position, well), which name the movie. It replaces the built-in tokens.
    allow_gaps : bool
        Accept missing frames, with a warning: they keep their place in time and take no part in the analysis. Frame
        numbers with a constant step larger than one, as left by keeping every n-th file, are no gaps then.
    plate : str or None
        Table of what was done to each movie; by default ``plate.csv`` in the folder that is searched.
    """

    axes: str | None = None
    channels: tuple[str, ...] | None = None
    projection: Projection | None = None
    pixel_size_um: float | None = None
    pixel_size_source: str = "command line"
    frame_interval_s: float | None = None
    frame_interval_source: str = "command line"
    pattern: str | None = None
    allow_gaps: bool = False
    plate: str | None = None


@dataclass(frozen=True, slots=True)
class MovieEntry:
    """One movie that was found, not opened yet.

    Parameters
    ----------
    movie_id : str
        Unique in the search and safe as a folder name.
    path : Path
        The file; for a sequence the folder that holds its files.
    files : tuple of Path
        Every file of the movie, in natural order.
    kind : str
        Container, one of :data:`Kind`.
    options : InputOptions
        What the user said.
    position : int or None
        Which one, from 0, where the file holds several.
    annotations : tuple of (str, str or float or None)
        Further columns of every result table, from ``plate.csv`` and the file name.
    warnings : tuple of str
        What is doubtful about them.
    """

    movie_id: str
    path: Path
    files: tuple[Path, ...]
    kind: Kind
    options: InputOptions = field(default_factory=InputOptions)
    position: int | None = None
    annotations: tuple[tuple[str, str | float | None], ...] = ()
    warnings: tuple[str, ...] = ()
