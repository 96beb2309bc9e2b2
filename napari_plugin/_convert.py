"""From tables and movies to the data of layers; neither Qt nor a viewer is needed here.

Every layer has the axes (t, y, x) in minutes and micrometres, so that they overlay whatever the calibration is. Which
layer is which stands in its metadata, because users rename layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.movie import Movie
from migradetect_napari._colours import colours_of
from migradetect_napari._lazy import LabelPlanes, PlaneStack

__all__ = [
    "KEY",
    "PENDING",
    "LayerTuple",
    "candidate_points",
    "cell_tracks",
    "image_layers",
    "is_outlined",
    "label_layer",
    "migrasome_points",
    "migrasome_tracks",
    "pending_point",
    "preview_layers",
    "role_of",
    "spot_points",
    "tracks_table",
]

#: Key of the metadata of our layers: {"role": ..., "movie_id": ..., "source": ...}.
KEY = "migradetect"
#: Role of the mark of a correction that is being measured.
PENDING = "pending"
LayerTuple = tuple[Any, dict[str, Any], str]

_COLORMAPS = {"tspan4": "magenta", "wga": "green"}
_OTHER_COLORMAPS = ("cyan", "yellow", "bop orange", "bop blue")
_NAMES = {"tspan4": "TSPAN4", "wga": "WGA"}
#: A migrasome whose size could not be measured is drawn with this diameter, um.
_UNSIZED_UM = 0.8
#: Larger frames have cells as tinted areas: napari takes 0.1 s for the outlines in 2048 x 2048.
_OUTLINED_PX = 1500 * 1500
#: Percentiles of a frame that are black and white; the brightest pixels are few and would darken the fibers.
_BLACK, _WHITE = 1.0, 99.7


def role_of(layer: Any) -> str | None:
    """What one of our layers shows, such as ``"migrasomes"``; None for a layer of somebody else."""
    mark = layer.metadata.get(KEY)
    return str(mark["role"]) if isinstance(mark, Mapping) and "role" in mark else None


def _common(calibration: Calibration, role: str, mark: Mapping[str, Any], name: str) -> dict[str, Any]:
    interval = calibration.frame_interval_min
    has_time = bool(np.isfinite(interval))
    pixel = calibration.pixel_size_um
    return {
        "name": name,
        "scale": (interval if has_time else 1.0, pixel, pixel),
        # one layer without units turns them off for all
        "units": ("minute" if has_time else "pixel", "micrometer", "micrometer"),
        "axis_labels": ("t", "y", "x"),
        "metadata": {KEY: {**mark, "role": role}},
    }


def image_layers(
    movie: Movie, mark: Mapping[str, Any], on_error: Callable[[str], None] | None = None
) -> list[LayerTuple]:
    """One additive image layer per channel, read plane by plane.

    Parameters
    ----------
    movie : Movie
        Recording.
    mark : mapping
        Kept in the metadata of each layer.
    on_error : callable, optional
        Takes the line that says why a plane could not be read.

    Returns
    -------
    list of layer data tuples
    """
    layers = []
    others = iter(_OTHER_COLORMAPS * 4)
    for index, role in enumerate(movie.roles):

        def read(frame: int, channel: int = index) -> NDArray[Any]:
            return movie.source.read(frame, channel)

        stack = PlaneStack(read, movie.n_frames, movie.shape_yx, movie.dtype, on_error)
        low, high = _contrast(stack)
        options = {
            "colormap": _COLORMAPS.get(role) or next(others),
            "blending": "additive",
            "contrast_limits": (low, high),
            "gamma": 0.7,  # fibers are 5 to 25 % as bright as a body
        }
        layers.append((stack, _common(movie.calibration, role, mark, _NAMES.get(role, role)) | options, "image"))
    return layers


def _contrast(stack: PlaneStack) -> tuple[float, float]:
    """Black and white from the middle frame; every eighth pixel tells it as well as all."""
    plane = stack.plane(len(stack) // 2)
    sample = plane[::4, ::4] if min(plane.shape) > 512 else plane
    sample = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, (_BLACK, _WHITE)))
    return (low, high) if high > low else (low, low + 1.0)


def label_layer(
    stack: Any, n_frames: int, shape_yx: tuple[int, int], calibration: Calibration, role: str, mark: Mapping[str, Any]
) -> LayerTuple:
    """Labels layer of cells or fibers, read plane by plane.

    Parameters
    ----------
    stack : object
        ``stack[frame]`` is a plane of labels, shape (Y, X).
    n_frames : int
        Frames T.
    shape_yx : tuple of int
        Rows and columns.
    calibration : Calibration
        Pixel size and frame interval.
    role : str
        ``"cells"`` or ``"fibers"``.
    mark : mapping
        Kept in the metadata.

    Returns
    -------
    layer data tuple
    """
    # 16 bits hold more ids than a movie has, and napari draws them several times as fast as 32
    planes = LabelPlanes(stack.__getitem__, n_frames, shape_yx, np.uint16)
    # bodies as outlines that leave the image visible, where napari makes outlines quickly enough to play the movie
    is_small = shape_yx[0] * shape_yx[1] <= _OUTLINED_PX
    opacity = 0.55 if role == "fibers" else 0.8 if is_small else 0.25
    options = {"opacity": opacity, "blending": "translucent_no_depth"}
    return planes, _common(calibration, role, mark, role) | options, "labels"


def is_outlined(layer: Any) -> bool:
    """Whether the cells of a layer are shown as outlines."""
    return int(np.prod(layer.data.shape[-2:])) <= _OUTLINED_PX


def _place_px(table: pd.DataFrame, calibration: Calibration) -> NDArray[np.float64]:
    """Frame, row and column of each row, shape (N, 3)."""
    y, x = (calibration.px(table[name].to_numpy(dtype=float)) for name in ("y_um", "x_um"))
    return np.stack([table["frame"].to_numpy(dtype=float), y, x], axis=1)


def _rings(sizes_um: pd.Series[Any], colours: NDArray[np.float32], calibration: Calibration) -> dict[str, Any]:
    """Open circles as wide as what they stand for."""
    return {
        "size": calibration.px(sizes_um.fillna(_UNSIZED_UM).to_numpy(dtype=float)),
        "face_color": "transparent",
        # napari can't take no colours at all
        "border_color": colours if len(colours) else "white",
        "border_width": 0.12,
        "border_width_is_relative": True,
        "canvas_size_limits": (7, 10000),
        "blending": "translucent_no_depth",
        "symbol": "disc",
    }


def migrasome_points(
    migrasomes: pd.DataFrame,
    status: Mapping[int, str],
    calibration: Calibration,
    mark: Mapping[str, Any],
    colour_by: str = "status",
    fates: Mapping[int, Any] | None = None,
) -> LayerTuple:
    """One ring per migrasome and frame, as wide as the migrasome.

    Parameters
    ----------
    migrasomes : pandas.DataFrame
        Table ``migrasomes``, N rows.
    status : mapping of int to str
        Where the review stands, by id; absent ones are ``auto``.
    calibration : Calibration
        Pixel size and frame interval.
    mark : mapping
        Kept in the metadata.
    colour_by : str
        One of :data:`migradetect_napari._colours.COLOUR_BY`.
    fates : mapping of int to str, optional
        How each record ends.

    Returns
    -------
    layer data tuple
        Its features have the columns migrasome_id, cell_id, status, score, location, fate, diameter_um.
    """
    ids = migrasomes["migrasome_id"]
    features = pd.DataFrame(
        {
            "migrasome_id": ids.to_numpy(dtype=np.int64),
            "cell_id": migrasomes["cell_id"].to_numpy(dtype=float, na_value=np.nan),
            "status": ids.map({int(one): status.get(int(one), "auto") for one in ids.unique()}).to_numpy(dtype=object),
            "score": migrasomes["score"].to_numpy(dtype=float),
            "location": _text(migrasomes["location"]),
            "fate": _text(ids.map(dict(fates or {}))),
            "diameter_um": migrasomes["diameter_um"].to_numpy(dtype=float),
        }
    )
    colours = colours_of(features, colour_by)
    options = {"features": features, **_rings(migrasomes["diameter_um"], colours, calibration)}
    return (
        _place_px(migrasomes, calibration),
        _common(calibration, "migrasomes", mark, "migrasomes") | options,
        "points",
    )


def _text(column: pd.Series[Any]) -> NDArray[Any]:
    """Names; what is unknown is ``"unknown"``, because a layer's features know no null in text."""
    return column.astype(object).where(column.notna(), "unknown").to_numpy(dtype=object).astype(str)


def candidate_points(
    candidates: pd.DataFrame, frames: pd.DataFrame, calibration: Calibration, mark: Mapping[str, Any]
) -> LayerTuple:
    """One ring per candidate that was not accepted, in every frame from its first to its last.

    Parameters
    ----------
    candidates : pandas.DataFrame
        Table ``candidates`` or some of its rows.
    frames : pandas.DataFrame
        Table ``frames``, for the drift.
    calibration : Calibration
        Pixel size and frame interval.
    mark : mapping
        Kept in the metadata.

    Returns
    -------
    layer data tuple
        Its features have the columns candidate_id, kind, reason, score.
    """
    first, last = (candidates[name].to_numpy(dtype=int) for name in ("frame_first", "frame_last"))
    row = np.repeat(np.arange(len(candidates)), last - first + 1)
    frame = np.concatenate([np.arange(a, b + 1) for a, b in zip(first, last, strict=True)] or [np.empty(0, int)])
    known = frames.set_index("frame")[["drift_y_um", "drift_x_um"]]
    drift = known.reindex(range(int(frame.max(initial=0)) + 1)).ffill().fillna(0.0).to_numpy()
    spread = candidates.iloc[row].reset_index(drop=True).assign(frame=frame)
    for axis, name in enumerate(("y", "x")):
        # its place in the first frame, and along with the stage from there on
        spread[f"{name}_um"] += drift[frame, axis] - drift[first[row], axis]
    features = pd.DataFrame(
        {
            "candidate_id": spread["candidate_id"].to_numpy(dtype=np.int64),
            "kind": _text(spread["kind"]),
            "reason": _text(spread["reason"]),
            "score": spread["score"].to_numpy(dtype=float),
        }
    )
    grey = np.tile(np.array([[0.85, 0.85, 0.85, 0.9]], np.float32), (len(spread), 1))
    rings = _rings(spread["diameter_um"].clip(lower=0.4), grey, calibration) | {"border_width": 0.08}
    common = _common(calibration, "candidates", mark, "rejected candidates")
    return _place_px(spread, calibration), common | rings | {"features": features, "visible": False}, "points"


def spot_points(spots: pd.DataFrame, frame: int, calibration: Calibration, mark: Mapping[str, Any]) -> LayerTuple:
    """Rings of the candidates of a preview, in its frame only."""
    table = spots.assign(frame=frame)
    colours = colours_of(table, "score")
    features = pd.DataFrame({"score": table["score"].to_numpy(dtype=float)})
    options = {"features": features, **_rings(table["diameter_um"], colours, calibration)}
    common = _common(calibration, "preview_spots", mark, "preview: migrasome candidates")
    return _place_px(table, calibration), common | options, "points"


def pending_point(
    frame: int, y_um: float, x_um: float, diameter_um: float | None, calibration: Calibration, mark: Mapping[str, Any]
) -> LayerTuple:
    """White ring with a cross where something is being measured, in one frame."""
    size = pd.Series([diameter_um], dtype=float)
    rings = _rings(size, np.array([[1.0, 1.0, 1.0, 0.9]], np.float32), calibration) | {"symbol": "cross"}
    place = np.array([[float(frame), *(float(calibration.px(value)) for value in (y_um, x_um))]])
    return place, _common(calibration, PENDING, mark, "being measured") | rings, "points"


def tracks_table(table: pd.DataFrame, id_column: str, calibration: Calibration) -> NDArray[np.float64]:
    """Rows (id, frame, y, x) for a Tracks layer, sorted by id and frame, shape (N, 4)."""
    ordered = table.sort_values([id_column, "frame"], kind="stable")
    return np.column_stack([ordered[id_column].to_numpy(dtype=float), _place_px(ordered, calibration)])


def cell_tracks(cells: pd.DataFrame, calibration: Calibration, mark: Mapping[str, Any]) -> LayerTuple | None:
    """Paths of the cells, daughters joined to their mothers; None without cells, which napari refuses."""
    if cells.empty:
        return None
    present = set(cells["cell_id"].astype(int))
    known = cells.dropna(subset=["mother_id"]).drop_duplicates("cell_id")
    mothers = zip(known["cell_id"].astype(int), known["mother_id"].astype(int), strict=True)
    graph = {daughter: [mother] for daughter, mother in mothers if mother in present and mother != daughter}
    return _tracks(cells, "cell_id", calibration, mark, "cell_tracks", "cell tracks", {"graph": graph})


def migrasome_tracks(migrasomes: pd.DataFrame, calibration: Calibration, mark: Mapping[str, Any]) -> LayerTuple | None:
    """Records of the migrasomes; hidden at first, because what stands still leaves no trail. None without any."""
    if migrasomes.empty:
        return None
    options = {"visible": False}
    return _tracks(migrasomes, "migrasome_id", calibration, mark, "migrasome_tracks", "migrasome tracks", options)


def _tracks(
    table: pd.DataFrame,
    column: str,
    calibration: Calibration,
    mark: Mapping[str, Any],
    role: str,
    name: str,
    options: dict[str, Any],
) -> LayerTuple:
    data = tracks_table(table, column, calibration)
    # a number per row: napari refuses text here; colour by the id of the track, which is the id of the object
    features = pd.DataFrame({column: data[:, 0], "frame": data[:, 1]})
    looks = {"tail_width": 2, "tail_length": 30, "head_length": 0, "colormap": "turbo", "blending": "translucent"}
    common = _common(calibration, role, mark, name)
    return data, common | looks | {"features": features, "color_by": "track_id"} | options, "tracks"


def preview_layers(found: Any, n_frames: int, calibration: Calibration, mark: Mapping[str, Any]) -> list[LayerTuple]:
    """Layers of a preview: cells, fibers and candidates of one frame, nothing in the others.

    Parameters
    ----------
    found : FramePreview
        What was found in the frame.
    n_frames : int
        Frames of the movie.
    calibration : Calibration
        Pixel size and frame interval.
    mark : mapping
        Kept in the metadata.

    Returns
    -------
    list of layer data tuples
    """
    layers = []
    for role, plane in (("cells", found.cells), ("fibers", found.fibers)):
        empty = np.zeros_like(plane)

        def read(frame: int, plane: NDArray[Any] = plane, empty: NDArray[Any] = empty) -> NDArray[Any]:
            return plane if frame == found.frame else empty

        stack = PlaneStack(read, n_frames, plane.shape, np.uint16)
        name = "preview: cells" if role == "cells" else "preview: retraction fibers"
        options = {"opacity": 0.8, "blending": "translucent_no_depth"}
        layers.append((stack, _common(calibration, f"preview_{role}", mark, name) | options, "labels"))
    layers.append(spot_points(found.spots, found.frame, calibration, mark))
    return layers
