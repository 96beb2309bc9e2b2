"""OME-Zarr: the recording with its label images, ``<movie>.ome.zarr``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.io.exports._job import MovieJob, library
from migradetect.io.exports._target import Target
from migradetect.io.exports._zarr_images import open_root, write_image, write_labels

__all__ = ["label_stacks", "write"]


def label_stacks(job: MovieJob) -> Iterator[tuple[str, Iterator[NDArray[Any]], str]]:
    """Label images of a movie: name, planes and the smallest type that holds all ids."""
    columns = {"cells": "cell_id", "fibers": "fiber_id", "migrasomes": "migrasome_id"}
    for name, stack in job.results.labels.items():
        if len(stack):
            ids = job.results.tables[name][columns[name]]
            largest = max([int(ids.max()) if len(ids) else 0, *(int(plane.max(initial=0)) for plane in stack)])
            yield name, job.planes(name), "uint16" if largest <= np.iinfo(np.uint16).max else "uint32"


def write(job: MovieJob, target: Target, about: dict[str, Any], version: str) -> list[Path]:
    """Write ``<movie>.ome.zarr``; without the recording, label images only."""
    library("zarr", "ome-zarr")
    name = f"{job.movie_id}.ome.zarr"
    pixel_um = job.calibration.pixel_size_um
    scale = (job.interval_s, pixel_um, pixel_um)
    with target.tree(name, about) as part:
        root = open_root(part / "image", version)
        movie = job.movie
        if movie is not None:

            def read(frame: int, channel: int) -> NDArray[Any]:
                job.check()
                return movie.source.read(frame, channel)

            shape = (movie.n_frames, len(movie.channels), *movie.shape_yx)
            write_image(root, read, shape, movie.dtype, movie.roles, scale, job.movie_id, version)
        write_labels(root, label_stacks(job), (job.n_frames, *job.shape_yx), scale, version, movie is not None)
        root.attrs["migradetect"] = about
        _lift(part, "image")
    return [target.folder / name]


def _lift(part: Path, inner: str) -> None:
    """Move what stands in a folder of the folder one up: Zarr wants to make its own root."""
    for path in sorted((part / inner).iterdir()):
        path.rename(part / path.name)
    (part / inner).rmdir()
