"""ImageJ and Fiji: regions of interest, each at its frame, in zips that the ROI Manager opens.

Migrasomes are ovals, cells polygons, fibers polylines (one per branch). The origin of ImageJ's coordinates is the
corner of pixel 0, not its centre.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from migradetect.io.exports._job import MovieJob, drawn_diameters_um, library
from migradetect.io.exports._outlines import outlines
from migradetect.io.exports._target import Target

__all__ = ["write"]

#: Okabe and Ito's palette, as in the figures, as alpha, red, green, blue.
_COLOURS = {"migrasomes": b"\xff\xf0\xe4\x42", "cells": b"\xff\x56\xb4\xe9", "fibers": b"\xff\xd5\x5e\x00"}
#: ROI groups, which the ROI Manager can select by.
_GROUPS = {"migrasomes": 1, "cells": 2, "fibers": 3}
#: From the centre of a pixel to its corner.
_CORNER_PX = 0.5
#: Zip entries have a date; a fixed one gives the same file for the same results.
_DATE = (1980, 1, 1, 0, 0, 0)


def write(job: MovieJob, target: Target, about: dict[str, Any]) -> list[Path]:
    """Write ``<movie>.migrasomes.zip``, ``.cells.zip`` and ``.fibers.zip``; kinds without any are left out."""
    library("roifile", "imagej")
    written = []
    for kind, rois in (("migrasomes", _migrasomes(job)), ("cells", _cells(job)), ("fibers", _fibers(job))):
        first = next(rois, None)
        if first is None:
            job.notes.append(f"no {kind}, so no {job.movie_id}.{kind}.zip")
            continue
        name = f"{job.movie_id}.{kind}.zip"
        with target.file(name, about) as file:
            _write_zip(file, first, rois)
        written.append(target.folder / name)
    return written


def _write_zip(file: Any, first: tuple[str, Any], rest: Iterator[tuple[str, Any]]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{first[0]}.roi", _DATE), first[1].tobytes())
        for name, roi in rest:
            archive.writestr(zipfile.ZipInfo(f"{name}.roi", _DATE), roi.tobytes())
    file.write(buffer.getbuffer())


def _dress(roi: Any, kind: str, name: str, frame: int) -> tuple[str, Any]:
    roi.name = name
    # the position of a hyperstack is channel, slice, frame from 1; 0 is any
    roi.position, roi.c_position, roi.z_position, roi.t_position = 0, 0, 0, frame + 1
    roi.stroke_color, roi.group = _COLOURS[kind], _GROUPS[kind]
    return name, roi


def _migrasomes(job: MovieJob) -> Iterator[tuple[str, Any]]:
    import roifile

    table = job.results.migrasomes
    radius = job.px(drawn_diameters_um(job.results)) / 2
    y, x = job.px(table["y_um"]) + _CORNER_PX, job.px(table["x_um"]) + _CORNER_PX
    ids, frames = table["migrasome_id"].to_numpy(), table["frame"].to_numpy()
    for k in range(len(table)):
        job.check()
        roi = roifile.ImagejRoi()
        roi.roitype = roifile.ROI_TYPE.OVAL
        roi.options = roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        roi.xd, roi.yd = float(x[k] - radius[k]), float(y[k] - radius[k])
        roi.widthd = roi.heightd = float(2 * radius[k])
        # what programs without sub-pixel ovals show
        roi.left, roi.top = round(roi.xd), round(roi.yd)
        roi.right, roi.bottom = round(roi.xd + roi.widthd), round(roi.yd + roi.heightd)
        yield _dress(roi, "migrasomes", f"migrasome-{ids[k]:04d}-t{frames[k] + 1:04d}", int(frames[k]))


def _shape(points_yx: NDArray[np.float64], roitype: Any) -> Any:
    import roifile

    roi = roifile.ImagejRoi.frompoints(points_yx[:, ::-1] + _CORNER_PX, name="")
    roi.roitype = roitype
    roi.options = roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    return roi


def _cells(job: MovieJob) -> Iterator[tuple[str, Any]]:
    import roifile

    if "cells" not in job.results.labels:
        return
    for frame, plane in enumerate(job.planes("cells")):
        for label, line in outlines(plane):
            roi = _shape(line, roifile.ROI_TYPE.POLYGON)
            yield _dress(roi, "cells", f"cell-{label:04d}-t{frame + 1:04d}", frame)


def _fibers(job: MovieJob) -> Iterator[tuple[str, Any]]:
    import roifile

    from migradetect.fibers import branch_paths

    if "fibers" not in job.results.labels:
        return
    for frame, plane in enumerate(job.planes("fibers")):
        count: dict[int, int] = {}
        labels = plane.astype(np.int32)
        for path_um in branch_paths(labels, job.calibration):
            path = job.px(path_um)
            middle = np.rint(path[len(path) // 2]).astype(int)
            label = int(labels[middle[0], middle[1]])
            count[label] = count.get(label, 0) + 1
            roi = _shape(path, roifile.ROI_TYPE.POLYLINE)
            yield _dress(roi, "fibers", f"fiber-{label:05d}-b{count[label]:02d}-t{frame + 1:04d}", frame)
