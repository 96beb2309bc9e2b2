"""migradetect in napari: see why, correct it, and never lose a correction.

Nothing is computed here: the library finds, measures and keeps the corrections; this package shows and asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari

__all__ = ["launch"]


def launch(
    out_dir: str | Path,
    movie_id: str | None = None,
    reviewer: str | None = None,
    blind: bool = False,
    *,
    run: bool = True,
) -> napari.Viewer:
    """Open napari with the results of a folder, ready for review.

    Parameters
    ----------
    out_dir : str or Path
        What ``migradetect run`` wrote.
    movie_id : str, optional
        Movie that is shown first; by default the first of the folder.
    reviewer : str, optional
        Each reviewer keeps a log of their own.
    blind : bool
        Hide names and conditions, and shuffle the order of the movies.
    run : bool
        Return only once the window is closed.

    Returns
    -------
    napari.Viewer

    Raises
    ------
    NoMoviesError
        If there are no results.
    """
    from migradetect_napari._launch import launch as open_window

    return open_window(out_dir, movie_id, reviewer, blind, run=run)
