"""Drag and drop, and File > Open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from migradetect.errors import MigradetectError
from migradetect_napari._convert import LayerTuple
from migradetect_napari._open import find_results, movie_entries, movie_layers, result_layers

__all__ = ["get_reader", "open_panels", "read"]

_SUFFIXES = (".tif", ".tiff", ".btf", ".stk", ".nd", ".ome", ".nd2", ".czi", ".lif", ".zarr")
_RECORDS = ("run.json", "movie.json")


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerTuple]] | None:
    """Reader for a movie or results; None for what is neither, so that other plugins may try."""
    paths = [path] if isinstance(path, str) else list(path)
    for one in map(Path, paths):
        if one.name in _RECORDS or one.suffix.casefold() in _SUFFIXES:
            continue
        if not (one.is_dir() and (find_results(one) or _has_movie(one))):
            return None
    return read


def _has_movie(folder: Path) -> bool:
    try:
        return bool(movie_entries([folder]))
    except MigradetectError:
        return False


def read(path: str | list[str]) -> list[LayerTuple]:
    """Layers of the movie or results at a path; of several movies the first, and a note that says so.

    Raises
    ------
    MigradetectError
        One line that napari shows: what is wrong with the file, and the remedy.
    """
    from napari.utils.notifications import show_info, show_warning

    paths = [path] if isinstance(path, str) else list(path)
    place = find_results(paths[0]) if len(paths) == 1 else None
    if place is not None:
        return _read_results(place, show_info, show_warning)
    from migradetect.io import open_movie

    entries = movie_entries(paths)
    if len(entries) > 1:
        show_info(f"{len(entries)} movies found; this is the first, {entries[0].movie_id}")
    movie = open_movie(entries[0])
    for line in movie.provenance.get("warnings", ()):
        show_warning(f"{movie.movie_id}: {line}")
    return movie_layers(movie, show_warning)


def _read_results(place: Any, tell: Callable[[str], None], warn: Callable[[str], None]) -> list[LayerTuple]:
    from migradetect.errors import NoMoviesError
    from migradetect.review import ReviewSession

    if not place.movie_ids:
        raise NoMoviesError(f"{place.out_dir}: expected complete results, got none; `migradetect status` says why")
    session = ReviewSession.open(place.out_dir, place.movie_id or place.movie_ids[0])
    others = len(place.movie_ids) - 1
    if others:
        tell(f"{session.movie_id} is shown; the folder has {others} more")
    # what is hidden at first is filled by the panels, which there are in a window only
    layers = result_layers(session, on_error=warn, is_lazy=open_panels())
    for line in session.notes:
        warn(line)
    return layers


def open_panels() -> bool:
    """Show the panels of the review beside the layers, once they are in the window; False without a window."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        return False
    from qtpy.QtCore import QTimer

    from migradetect_napari._review import show_panels

    # napari adds the layers when the reader has returned
    QTimer.singleShot(0, lambda: show_panels(viewer))
    return True
