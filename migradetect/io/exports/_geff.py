"""GEFF, the graph exchange file format: ``<movie>.geff.zarr`` with a graph of migrasomes, one of cells, and labels.

A node is an object in a frame, an edge leads to the same object in the next frame it is seen in, or from a mother to
her daughters. Written and checked by the reference library of the format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect._version import __version__
from migradetect.io.exports._job import MovieJob, drawn_diameters_um, library
from migradetect.io.exports._ome_zarr import _lift, label_stacks
from migradetect.io.exports._target import Target
from migradetect.io.exports._zarr_images import open_root, write_labels
from migradetect.tables import TABLES

__all__ = ["graph_edges", "write"]

#: Of OME-Zarr, on Zarr 2: text columns of a graph have no settled form in Zarr 3 yet.
_VERSION = "0.4"
#: Columns that stand as axes or in every row.
_LEFT_OUT = ("movie_id", "frame", "y_um", "x_um")


def write(job: MovieJob, target: Target, about: dict[str, Any]) -> list[Path]:
    """Write ``<movie>.geff.zarr``: groups ``migrasomes.geff``, ``cells.geff`` and ``labels``."""
    library("geff", "geff")
    name = f"{job.movie_id}.geff.zarr"
    pixel_um = job.calibration.pixel_size_um
    scale = (job.interval_s, pixel_um, pixel_um)
    with target.tree(name, about) as part:
        root = open_root(part / "root", _VERSION)
        written = write_labels(root, label_stacks(job), (job.n_frames, *job.shape_yx), scale, _VERSION, False)
        root.attrs["migradetect"] = about
        _lift(part, "root")
        migrasomes = job.results.migrasomes
        cells = job.results.cells
        radii = {
            "migrasomes": drawn_diameters_um(job.results) / 2,
            "cells": np.sqrt(cells["area_um2"].to_numpy(dtype=float) / np.pi),
        }
        for kind, table, column in (("migrasomes", migrasomes, "migrasome_id"), ("cells", cells, "cell_id")):
            job.check()
            _write_graph(part / f"{kind}.geff", kind, table, column, radii[kind], job, written, about)
    return [target.folder / name]


def graph_edges(table: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """Edges between rows of a table, shape (N, 2): to the next frame of the same object, and to daughters.

    A mother with one daughter in view has no edge to her: the two would be one path, and so one tracklet, though they
    have different ids. Her id is in ``mother_id`` all the same.
    """
    order = table.reset_index(drop=True).sort_values([column, "frame"], kind="stable")
    rows, ids = order.index.to_numpy(), order[column].to_numpy()
    same = ids[1:] == ids[:-1]
    edges = [np.stack([rows[:-1][same], rows[1:][same]], 1)]
    if "mother_id" in table.columns:
        firsts = order.drop_duplicates(column)
        lasts = order.drop_duplicates(column, keep="last").set_index(column)["frame"]
        last_rows = pd.Series(rows, index=ids)[~pd.Index(ids).duplicated(keep="last")]
        born = firsts[firsts["mother_id"].isin(lasts.index)]
        born = born[born["frame"].to_numpy() > lasts.reindex(born["mother_id"].astype("int64")).to_numpy()]
        n_daughters = born.groupby("mother_id")["mother_id"].transform("size")
        for row, mother in born.loc[n_daughters > 1, "mother_id"].items():
            edges.append(np.array([[last_rows[mother], row]]))
    return np.concatenate(edges).astype(np.int64).reshape(-1, 2)


def _write_graph(
    path: Path,
    kind: str,
    table: pd.DataFrame,
    column: str,
    radius_um: NDArray[np.float64],
    job: MovieJob,
    labels: list[str],
    about: dict[str, Any],
) -> None:
    from geff.core_io import write_arrays
    from geff_spec import Axis, DisplayHint, GeffMetadata, PropMetadata, RelatedObject

    table = table.reset_index(drop=True)
    props = {
        "t": (table["frame"].to_numpy(dtype=np.int64), None),
        "y": (table["y_um"].to_numpy(dtype=float), None),
        "x": (table["x_um"].to_numpy(dtype=float), None),
        "radius_um": (radius_um, None),
    } | {name: _values(table[name]) for name in table.columns if name not in _LEFT_OUT}
    columns = {c.name: c for c in TABLES[kind].columns}
    known = {
        name: PropMetadata(
            identifier=name,
            dtype=str(values.dtype) if values.dtype.kind not in "UO" else "str",
            unit=columns[name].unit or None if name in columns else None,
            description=columns[name].meaning if name in columns else None,
        )
        for name, (values, _) in props.items()
    }
    known["radius_um"].unit = "um"
    metadata = GeffMetadata(
        directed=True,
        axes=[
            Axis(name="t", type="time", unit="frame", scale=job.interval_s, scaled_unit="second"),
            Axis(name="y", type="space", unit="micrometer"),
            Axis(name="x", type="space", unit="micrometer"),
        ],
        node_props_metadata=known,
        edge_props_metadata={},
        sphere="radius_um",
        track_node_props={"tracklet": column},
        related_objects=(
            [RelatedObject(type="labels", path=f"../labels/{kind}", label_prop=column)] if kind in labels else None
        ),
        display_hints=DisplayHint(display_horizontal="x", display_vertical="y", display_time="t"),
        extra={"migradetect": {"version": __version__, **about}},
    )
    write_arrays(
        str(path),
        np.arange(len(table), dtype=np.uint64),
        {name: {"values": values, "missing": missing} for name, (values, missing) in props.items()},
        graph_edges(table, column).astype(np.uint64),
        {},
        metadata,
        zarr_format=2,
    )


def _values(column: pd.Series[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Values of a column in a plain type, and which are missing."""
    missing = column.isna().to_numpy(dtype=bool)
    kind = str(column.dtype)
    if kind in ("Int64", "int64"):
        values: NDArray[Any] = column.fillna(0).to_numpy(dtype=np.int64)
    elif kind in ("boolean", "bool"):
        values = column.fillna(False).to_numpy(dtype=bool)
    elif kind == "float64":
        values = column.to_numpy(dtype=float)
    else:
        values = np.array(["" if lost else str(text) for text, lost in zip(column, missing, strict=True)], dtype="U")
        values = values if len(values) else np.array([], dtype="U1")
    return values, missing if missing.any() else None
