"""TrackMate 7 and 8: ``<movie>.migrasomes.xml`` with spots, ``<movie>.cells.xml`` with outlines; tracks in both.

The layout is that of files that TrackMate 7 saves (Ershov et al. 2022, doi:10.1038/s41592-022-01507-1). Detector and
tracker are TrackMate's manual ones, so that it asks for nothing and computes nothing anew. Lengths are in um, times in
seconds; 0 is the centre of pixel 0, as in TrackMate.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect._version import __version__
from migradetect.io.exports._geff import graph_edges
from migradetect.io.exports._job import MovieJob, drawn_diameters_um
from migradetect.io.exports._outlines import outlines
from migradetect.io.exports._target import Target

__all__ = ["write"]

#: The version that the layout follows; TrackMate 8 reads it as its own.
_VERSION = "7.14.0"

#: feature, name, short name, dimension, is an integer
_SPOT = (
    ("QUALITY", "Quality", "Quality", "QUALITY", False),
    ("POSITION_X", "X", "X", "POSITION", False),
    ("POSITION_Y", "Y", "Y", "POSITION", False),
    ("POSITION_Z", "Z", "Z", "POSITION", False),
    ("POSITION_T", "T", "T", "TIME", False),
    ("FRAME", "Frame", "Frame", "NONE", True),
    ("RADIUS", "Radius", "R", "LENGTH", False),
    ("VISIBILITY", "Visibility", "Visibility", "NONE", True),
)
#: What the tables have and TrackMate has not: column, feature, name, dimension.
_EXTRA = {
    "migrasomes": (
        ("diameter_um", "DIAMETER", "Diameter", "LENGTH"),
        ("tspan4_signal", "TSPAN4_SIGNAL", "TSPAN4 signal", "INTENSITY"),
        ("wga_signal", "WGA_SIGNAL", "WGA signal", "INTENSITY"),
        ("snr", "MIGRASOME_SNR", "SNR", "NONE"),
        ("cell_id", "CELL_ID", "Cell", "NONE"),
        ("is_measured", "IS_MEASURED", "Measured", "NONE"),
    ),
    "cells": (
        ("area_um2", "AREA", "Area", "AREA"),
        ("mean_tspan4", "MEAN_TSPAN4", "Mean TSPAN4", "INTENSITY"),
        ("mean_wga", "MEAN_WGA", "Mean WGA", "INTENSITY"),
        ("mother_id", "MOTHER_ID", "Mother", "NONE"),
    ),
}
_EDGE = (
    ("SPOT_SOURCE_ID", "Source spot ID", "Source ID", "NONE", True),
    ("SPOT_TARGET_ID", "Target spot ID", "Target ID", "NONE", True),
    ("LINK_COST", "Edge cost", "Cost", "COST", False),
    ("EDGE_TIME", "Edge time", "Edge T", "TIME", False),
    ("DISPLACEMENT", "Displacement", "Disp.", "LENGTH", False),
)
_TRACK = (
    ("TRACK_INDEX", "Track index", "Index", "NONE", True),
    ("TRACK_ID", "Track ID", "ID", "NONE", True),
    ("NUMBER_SPOTS", "Number of spots in track", "N spots", "NONE", True),
    ("TRACK_DURATION", "Track duration", "Duration", "TIME", False),
    ("TRACK_START", "Track start", "Track start", "TIME", False),
    ("TRACK_STOP", "Track stop", "Track stop", "TIME", False),
)


def write(job: MovieJob, target: Target, about: dict[str, Any]) -> list[Path]:
    """Write one file for migrasomes and one for cells."""
    results = job.results
    cells = results.cells.reset_index(drop=True)
    radii = {
        "migrasomes": drawn_diameters_um(results) / 2,
        "cells": np.sqrt(cells["area_um2"].to_numpy(dtype=float) / np.pi),
    }
    written = []
    for kind, table, column in (
        ("migrasomes", results.migrasomes.reset_index(drop=True), "migrasome_id"),
        ("cells", cells, "cell_id"),
    ):
        job.check()
        root = Element("TrackMate", {"version": _VERSION})
        SubElement(root, "Log").text = _log(about, kind)
        model = SubElement(root, "Model", {"spatialunits": "µm", "timeunits": "sec"})
        _declare(model, kind)
        shapes = dict(_shapes(job)) if kind == "cells" else {}
        _spots(model, kind, table, column, radii[kind], job, shapes)
        _tracks(model, kind, table, column, job)
        _settings(root, job, float(np.median(radii[kind])) if len(table) else 0.5)
        SubElement(root, "GUIState", {"state": "ConfigureViews"})
        name = f"{job.movie_id}.{kind}.xml"
        with target.file(name, about) as file:
            ElementTree.indent(root)
            file.write(b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="utf-8"))
        written.append(target.folder / name)
    return written


def _log(about: dict[str, Any], kind: str) -> str:
    state = about["state"]
    reviewed = f"reviewed, {state['n_edits']} corrections" if state["reviewed"] else "automatic, not reviewed"
    return f"{kind} of {about['movie_id']}, by migradetect {__version__}; {reviewed}"


def _features(parent: Element, tag: str, features: Any) -> None:
    block = SubElement(parent, tag)
    for feature, name, short, dimension, is_int in features:
        SubElement(
            block,
            "Feature",
            {
                "feature": feature,
                "name": name,
                "shortname": short,
                "dimension": dimension,
                "isint": "true" if is_int else "false",
            },
        )


def _declare(model: Element, kind: str) -> None:
    block = SubElement(model, "FeatureDeclarations")
    extra = [(feature, name, name, dimension, False) for _, feature, name, dimension in _EXTRA[kind]]
    _features(block, "SpotFeatures", [*_SPOT, *extra])
    _features(block, "EdgeFeatures", _EDGE)
    _features(block, "TrackFeatures", _TRACK)


def _shapes(job: MovieJob) -> Iterator[tuple[tuple[int, int], NDArray[np.float64]]]:
    """Outline of each cell by frame and id; y, x in um."""
    if "cells" in job.results.labels:
        for frame, plane in enumerate(job.planes("cells")):
            for label, line in outlines(plane):
                yield (frame, label), np.asarray(job.calibration.um(line))


def _number(value: Any) -> str:
    # NaN is what TrackMate writes for a feature without a value
    return "NaN" if pd.isna(value) else repr(float(value))


def _spots(
    model: Element,
    kind: str,
    table: pd.DataFrame,
    column: str,
    radius_um: NDArray[np.float64],
    job: MovieJob,
    shapes: dict[tuple[int, int], NDArray[np.float64]],
) -> None:
    block = SubElement(model, "AllSpots", {"nspots": str(len(table))})
    quality = table["score"] if "score" in table else pd.Series(1.0, index=table.index)
    for frame, rows in table.groupby("frame"):
        inside = SubElement(block, "SpotsInFrame", {"frame": str(frame)})
        for k, row in zip(rows.index, rows.to_dict("records"), strict=True):
            values = {
                "ID": str(k),
                "name": f"{column.removesuffix('_id')} {row[column]}",
                "QUALITY": _number(quality[k]),
                "POSITION_X": _number(row["x_um"]),
                "POSITION_Y": _number(row["y_um"]),
                "POSITION_Z": "0.0",
                "POSITION_T": _number(row["frame"] * job.interval_s),
                "FRAME": str(row["frame"]),
                "RADIUS": _number(radius_um[k]),
                "VISIBILITY": "1",
            } | {feature: _number(row[name]) for name, feature, _, _ in _EXTRA[kind]}
            spot = SubElement(inside, "Spot", values)
            line = shapes.get((int(row["frame"]), int(row[column])))
            if line is not None:
                # x y x y ..., relative to the centre of the spot
                spot.set("ROI_N_POINTS", str(len(line)))
                points = (line - [row["y_um"], row["x_um"]])[:, ::-1]
                spot.text = " ".join(f"{value:.4f}" for value in points.ravel())


def _tracks(model: Element, kind: str, table: pd.DataFrame, column: str, job: MovieJob) -> None:
    block = SubElement(model, "AllTracks")
    edges = graph_edges(table, column)
    # a track of TrackMate is all that hangs together, so a cell and its daughters are one
    owner = _components(len(table), edges)
    frames = table["frame"].to_numpy()
    places = table[["y_um", "x_um"]].to_numpy(dtype=float)
    ids = table[column].to_numpy()
    kept = []
    for index, part in enumerate(sorted({int(owner[source]) for source, _ in edges})):
        rows = np.flatnonzero(owner == part)
        start, stop = frames[rows].min() * job.interval_s, frames[rows].max() * job.interval_s
        # the id in the tables, that of the first cell of a family
        track_id = int(ids[rows[np.argmin(frames[rows])]])
        track = SubElement(
            block,
            "Track",
            {
                "name": f"{column.removesuffix('_id')} {track_id}",
                "TRACK_INDEX": str(index),
                "TRACK_ID": str(track_id),
                "NUMBER_SPOTS": str(len(rows)),
                "TRACK_DURATION": _number(stop - start),
                "TRACK_START": _number(start),
                "TRACK_STOP": _number(stop),
            },
        )
        for source, sink in edges[owner[edges[:, 0]] == part]:
            SubElement(
                track,
                "Edge",
                {
                    "SPOT_SOURCE_ID": str(source),
                    "SPOT_TARGET_ID": str(sink),
                    "LINK_COST": "0.0",
                    "EDGE_TIME": _number((frames[source] + frames[sink]) / 2 * job.interval_s),
                    "DISPLACEMENT": _number(np.linalg.norm(places[sink] - places[source])),
                },
            )
        kept.append(track_id)
    block = SubElement(model, "FilteredTracks")
    for track_id in kept:
        SubElement(block, "TrackID", {"TRACK_ID": str(track_id)})


def _components(n_nodes: int, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not n_nodes:
        return np.zeros(0, dtype=np.int64)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n_nodes, n_nodes))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _settings(root: Element, job: MovieJob, radius_um: float) -> None:
    block = SubElement(root, "Settings")
    height, width = job.shape_yx
    size = repr(float(job.calibration.pixel_size_um))
    recording = Path(str(job.results.provenance.get("absolute_path") or job.results.provenance.get("path") or ""))
    # TrackMate opens one file; a folder of files is opened by hand
    is_file = job.movie is not None and recording.is_file()
    SubElement(
        block,
        "ImageData",
        {
            "filename": recording.name if is_file else "",
            "folder": f"{recording.parent}/" if is_file else "",
            "width": str(width),
            "height": str(height),
            "nslices": "1",
            "nframes": str(job.n_frames),
            "pixelwidth": size,
            "pixelheight": size,
            "voxeldepth": "1.0",
            "timeinterval": repr(float(job.interval_s)),
        },
    )
    ends = {"xend": width - 1, "yend": height - 1, "zend": 0, "tend": job.n_frames - 1}
    crop = {"xstart": 0, "ystart": 0, "zstart": 0, "tstart": 0} | ends
    SubElement(block, "BasicSettings", {key: str(value) for key, value in crop.items()})
    SubElement(block, "DetectorSettings", {"DETECTOR_NAME": "MANUAL_DETECTOR", "RADIUS": repr(radius_um)})
    SubElement(block, "InitialSpotFilter", {"feature": "QUALITY", "value": "0.0", "isabove": "true"})
    SubElement(block, "SpotFilterCollection")
    SubElement(block, "TrackerSettings", {"TRACKER_NAME": "MANUAL_TRACKER"})
    SubElement(block, "TrackFilterCollection")
    analyzers = SubElement(block, "AnalyzerCollection")
    for tag in ("SpotAnalyzers", "EdgeAnalyzers", "TrackAnalyzers"):
        SubElement(analyzers, tag)
