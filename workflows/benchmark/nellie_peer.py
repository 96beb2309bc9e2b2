"""Nellie as a peer: an organelle segmentation and tracking tool, run in a process of its own.

Nellie (Lefebvre et al. 2025, doi:10.1038/s41592-025-02612-7; pip package ``nellie``, CC BY 4.0) brings napari and is no
dependency of the project. Give a Python that has it by the environment variable ``NELLIE_PYTHON``; without one, the
Python of the benchmark is asked. It is scored on short, small movies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from peer_tables import Ending, Scene, detection_role, finish, link_spots, noise_of
from skimage.measure import regionprops

from migradetect.movie import Movie
from migradetect.results import Results

__all__ = ["NellieMissing", "has_nellie", "nellie", "nellie_python"]

#: Objects of this size, um across as a disc of the same area, may be migrasomes.
MIN_DIAMETER_UM, MAX_DIAMETER_UM = 0.4, 3.5
#: Rounder than a piece of fiber.
MAX_ECCENTRICITY = 0.9
SEARCH_RANGE_UM, MEMORY, MIN_FRAMES = 1.0, 3, 4

#: Steps of nellie.run.run, but for the tables of features, which are not used here.
_SCRIPT = """
import json, sys
from nellie.im_info.verifier import FileInfo, ImInfo
from nellie.segmentation.filtering import Filter
from nellie.segmentation.labelling import Label
from nellie.segmentation.networking import Network
info = FileInfo(sys.argv[1], output_dir=sys.argv[2])
info.find_metadata()
info.load_metadata()
image = ImInfo(info)
Filter(image, device="cpu").run()
Label(image, device="cpu").run()
Network(image, device="cpu").run()
json.dump({k: str(v) for k, v in image.pipeline_paths.items()}, open(sys.argv[3], "w"))
"""


class NellieMissing(RuntimeError):
    """There is no Python with Nellie."""


def nellie_python() -> str:
    """Python that is asked for Nellie."""
    return os.environ.get("NELLIE_PYTHON", sys.executable)


def has_nellie() -> bool:
    """Whether that Python can import what is used of Nellie."""
    try:
        done = subprocess.run([nellie_python(), "-c", "import nellie.segmentation.filtering"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def _segment(movie: Movie, role: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Instance labels and skeleton of every frame, each of shape (T, Y, X), as Nellie writes them."""
    import tifffile

    source = folder / "movie.ome.tif"
    calibration = movie.calibration
    metadata = {
        "axes": "TYX",
        "PhysicalSizeX": calibration.pixel_size_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": calibration.pixel_size_um,
        "PhysicalSizeYUnit": "µm",
        "TimeIncrement": calibration.frame_interval_s or 1.0,
        "TimeIncrementUnit": "s",
    }
    planes = np.stack([movie.frame(t, role) for t in range(movie.n_frames)])
    tifffile.imwrite(source, np.clip(np.round(planes), 0, 65535).astype(np.uint16), ome=True, metadata=metadata)
    listing = folder / "paths.json"
    command = [nellie_python(), "-c", _SCRIPT, str(source), str(folder / "out"), str(listing)]
    # its own imports only: the path of the benchmark would shadow modules of that Python
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"nellie failed on {movie.movie_id}: {done.stderr.strip().splitlines()[-1:]}")
    paths = json.loads(listing.read_text(encoding="utf-8"))
    shape = (movie.n_frames, *movie.shape_yx)
    labels, skeleton = (tifffile.imread(paths[name]).reshape(shape) for name in ("im_instance_label", "im_skel"))
    return labels, skeleton


def nellie(movie: Movie) -> Results:
    """Objects of Nellie outside the cells that have the size and roundness of a migrasome, linked with trackpy.

    Nellie's own tracking follows voxels; linking the centres is what a user who wants spots would do, and is 50 times
    faster.
    """
    if not has_nellie():
        raise NellieMissing("nellie is not installed; give a Python that has it by NELLIE_PYTHON")
    role = detection_role(movie)
    scene = Scene(movie)
    pixel = scene.pixel_um
    with tempfile.TemporaryDirectory() as folder:
        objects, skeleton = _segment(movie, role, Path(folder))
    rows = []
    for t in range(movie.n_frames):
        planes = movie.frame_stack(t)
        cells = scene.add_cells(t, planes)
        named = scene.add_fibers(t, (skeleton[t] > 0) & (cells == 0), cells)
        image = planes[role]
        base, noise = float(np.median(image)), noise_of(image)
        for region in regionprops(objects[t], intensity_image=image):
            y, x = region.centroid
            diameter = region.equivalent_diameter_area * pixel
            is_round = region.eccentricity <= MAX_ECCENTRICITY
            if not (MIN_DIAMETER_UM <= diameter <= MAX_DIAMETER_UM and is_round) or cells[round(y), round(x)]:
                continue
            contrast = (region.intensity_mean - base) / noise
            fiber = named[region.slice].max()
            rows.append(
                {
                    "frame": t,
                    "y_px": y,
                    "x_px": x,
                    "diameter_um": diameter,
                    "signal": (region.intensity_mean - base) * region.area,
                    "snr": contrast,
                    "score": 1 - 1 / (1 + max(contrast, 0.0)),
                    "fiber_id": fiber or None,
                    "y_stage_um": y * pixel,
                    "x_stage_um": x * pixel,
                }
            )
    columns = ["frame", "y_px", "x_px", "diameter_um", "signal", "snr", "score", "fiber_id", "y_stage_um", "x_stage_um"]
    spots = pd.DataFrame(rows, columns=columns)
    spots["fiber_id"] = spots["fiber_id"].astype("Int64")
    linked = link_spots(spots, SEARCH_RANGE_UM, MEMORY, min(MIN_FRAMES, movie.n_frames))
    return finish(scene, linked, Ending("nearest"), "nellie")
