"""napari: a folder per movie with points, tracks and label images, and a script that opens them to scale.

Points are CSV in the layout of napari's own reader, label images are TIFF; napari has no reader for tracks, so
``*_tracks.csv`` are read by ``open_in_napari.py``. Coordinates in the files are frames and pixels, so that they overlay
the recording also where no scale is set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from migradetect.io.exports._job import MovieJob, drawn_diameters_um
from migradetect.io.exports._ome_zarr import label_stacks
from migradetect.io.exports._target import Target
from migradetect.io.movie_writing import write_ome_planes
from migradetect.io.ome_writing import write_ome

__all__ = ["write"]

_SCRIPT = '''"""Open these layers in napari, in micrometres: python open_in_napari.py [RECORDING]"""

import sys
from pathlib import Path

import napari
import numpy as np
import pandas as pd
import tifffile

HERE = Path(__file__).parent
SCALE = ({interval_min!r}, {pixel_um!r}, {pixel_um!r})  # minutes, um, um
LAYER = {{"scale": SCALE, "units": ("minute", "um", "um"), "axis_labels": ("t", "y", "x")}}

viewer = napari.Viewer(title={movie_id!r})
if len(sys.argv) > 1:
    image = tifffile.imread(sys.argv[1])
    for channel in np.moveaxis(image, 1, 0) if image.ndim == 4 else [image]:
        viewer.add_image(channel, blending="additive", **LAYER)
for name in ("cells", "fibers", "migrasomes"):
    path = HERE / f"{{name}}.tif"
    if path.is_file():
        viewer.add_labels(tifffile.imread(path).reshape({shape!r}), name=name, **LAYER)
points = pd.read_csv(HERE / "migrasomes_points.csv")
viewer.add_points(
    points[["axis-0", "axis-1", "axis-2"]].to_numpy(),
    size=points["diameter_px"].to_numpy(),
    features=points.drop(columns=["index", "axis-0", "axis-1", "axis-2"]),
    name="migrasomes",
    face_color="transparent",
    border_color="yellow",
    **LAYER,
)
for name in ("migrasomes", "cells"):
    tracks = pd.read_csv(HERE / f"{{name}}_tracks.csv")
    if len(tracks):
        viewer.add_tracks(tracks[["track_id", "t", "y", "x"]].to_numpy(), name=f"{{name}} tracks", **LAYER)
napari.run()
'''


def write(job: MovieJob, target: Target, about: dict[str, Any]) -> list[Path]:
    """Write the folder ``<movie>.napari``."""
    name = f"{job.movie_id}.napari"
    with target.tree(name, about) as part:
        _points(job).to_csv(part / "migrasomes_points.csv", index=False)
        _tracks(job, job.results.migrasomes, "migrasome_id").to_csv(part / "migrasomes_tracks.csv", index=False)
        _tracks(job, job.results.cells, "cell_id").to_csv(part / "cells_tracks.csv", index=False)
        sizes = (job.n_frames, 1, 1, *job.shape_yx)
        for label, planes, dtype in label_stacks(job):
            ome = write_ome(sizes, dtype, [label], job.calibration)
            write_ome_planes(part / f"{label}.tif", planes, sizes, dtype, ome)
        script = _SCRIPT.format(
            interval_min=job.interval_s / 60,
            pixel_um=job.calibration.pixel_size_um,
            movie_id=job.movie_id,
            shape=(job.n_frames, *job.shape_yx),
        )
        (part / "open_in_napari.py").write_text(script, encoding="utf-8")
    return [target.folder / name]


def _points(job: MovieJob) -> pd.DataFrame:
    table = job.results.migrasomes
    return pd.DataFrame(
        {
            "index": np.arange(len(table), dtype=float),
            "axis-0": table["frame"].to_numpy(dtype=float),
            "axis-1": job.px(table["y_um"]),
            "axis-2": job.px(table["x_um"]),
            "diameter_px": job.px(drawn_diameters_um(job.results)),
            "diameter_um": table["diameter_um"].to_numpy(dtype=float),
            "migrasome_id": table["migrasome_id"].to_numpy(),
            "cell_id": table["cell_id"].array,
            "location": table["location"].array,
            "score": table["score"].to_numpy(dtype=float),
        }
    )


def _tracks(job: MovieJob, table: pd.DataFrame, column: str) -> pd.DataFrame:
    tracks = pd.DataFrame(
        {
            "track_id": table[column].to_numpy(),
            "t": table["frame"].to_numpy(),
            "y": job.px(table["y_um"]),
            "x": job.px(table["x_um"]),
        }
    )
    # the order that napari keeps tracks in
    return tracks.sort_values(["track_id", "t"], kind="stable", ignore_index=True)
