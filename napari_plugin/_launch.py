"""``migradetect review``: napari with everything open."""

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
    show: bool = True,
) -> napari.Viewer:
    """See :func:`migradetect_napari.launch`."""
    from migradetect.errors import ParamsError
    from migradetect_napari._movies import MovieList

    # before the window opens: what is wrong with the folder is told in the terminal
    MovieList.of(out_dir, movie_id, blind, reviewer)
    try:
        import napari
    except ModuleNotFoundError as error:
        raise ParamsError('review: expected napari, got none installed; pip install "migradetect[gui]"') from error

    from migradetect_napari._review import open_review

    viewer = napari.Viewer(title="migradetect review", show=show)
    open_review(viewer, out_dir, movie_id, reviewer, blind)
    if run:
        napari.run()
    return viewer
