"""Pass 3: every frame again, small windows only: forced photometry at each accepted site, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.assign import ArmReader, count_arms
from migradetect.calibration import Calibration
from migradetect.filters import doubled, nearest_label
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.photometry import Sites, measure_covered, measure_sites, settle_shape
from migradetect.pipeline._frames import clean_plane, outside_bodies
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._ordered import InOrder
from migradetect.pipeline._pass1 import Pass1
from migradetect.pipeline._pass2 import Pass2, accepted_candidates
from migradetect.pipeline._usable import margin_in
from migradetect.results import LabelStack

__all__ = ["CLEAR_UM", "accepted_sites", "relabel", "run_pass3", "site_images"]

Image = NDArray[np.float32]

#: Closer to a body its blurred edge reaches into the profile, um.
CLEAR_UM = 0.6


def accepted_sites(second: Pass2) -> Sites:
    """Sites of the accepted tracks, numbered from 1 in the order of their first frame."""
    accepted = accepted_candidates(second)
    spots = second.linked[second.linked["candidate_id"].isin(accepted.index)]
    late = spots[spots["frame"] >= spots.groupby("candidate_id")["frame"].transform("median")]
    diameter = late.groupby("candidate_id")["diameter_um"].median().reindex(accepted.index)
    shape = spots.groupby("candidate_id")["shape"].agg(lambda s: s.mode().iloc[0]).reindex(accepted.index)
    return Sites(
        np.arange(1, len(accepted) + 1, dtype=np.int64),
        accepted["y_stage_um"].to_numpy(float),
        accepted["x_stage_um"].to_numpy(float),
        diameter.to_numpy(float),
        shape.fillna(0).to_numpy().astype(np.int64),
    )


def relabel(plane: NDArray[Any], frame: int, lut: dict[tuple[int, int], int]) -> NDArray[Any]:
    """Labels of a frame replaced by identities, in the smallest type; those without one become background."""
    identity = np.array([lut.get((frame, label), 0) for label in range(int(plane.max()) + 1)], np.int64)
    return _looked_up(plane, identity.astype(np.min_scalar_type(int(identity.max()))))


@njit(cache=True, nogil=True)
def _looked_up(plane: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:  # pragma: no cover (numba)
    out = np.empty(plane.shape, table.dtype)
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            out[y, x] = table[plane[y, x]]
    return out


def run_pass3(
    movie: Movie,
    params: Params,
    model: MovieModel,
    first: Pass1,
    second: Pass2,
    sites: Sites,
    step: Callable[[int], None],
    threads: int = 1,
) -> tuple[pd.DataFrame, LabelStack, LabelStack]:
    """Photometry and surroundings of each site in each frame.

    Parameters
    ----------
    movie, params, model, first, second : Movie, Params, MovieModel, Pass1, Pass2
        Results so far.
    sites : Sites
        N sites.
    step : callable
        Called with the number of frames done; may raise to stop.
    threads : int
        While one frame is read, others are measured in further threads; the results are the same.

    Returns
    -------
    traces : pandas.DataFrame
        N rows per frame.
    cells, fibers : LabelStack
        Planes whose label value is the identity.
    """
    cell_planes, fiber_planes = LabelStack(movie.shape_yx), LabelStack(movie.shape_yx)
    first_seen = accepted_candidates(second)["frame_first"].to_numpy(np.int64)
    arms = ArmReader(sites.y_stage_um, sites.x_stage_um, sites.diameter_um, first_seen, movie.calibration)
    rows: list[pd.DataFrame] = []

    def keep(row: pd.DataFrame | None) -> None:
        if row is not None:
            rows.append(row)
        step(len(cell_planes))

    with InOrder(threads, keep) as ordered:
        for t in range(movie.n_frames):
            cells = relabel(first.cell_labels.compact(t), t, second.cell_lut)
            fibers = relabel(first.fiber_labels.compact(t), t, second.fiber_lut)
            cell_planes.append(cells)
            fiber_planes.append(fibers)
            drift = (float(second.drift_um[t, 0]), float(second.drift_um[t, 1]))
            if sites.site_id.size:
                images = _images(movie, t, model, cells)
                root = np.sqrt(images.variance)
                arms.read(t, np.divide(images.signal, root, out=root), images.weight, drift)
                ordered.do(partial(_measure, images, model, sites, cells, fibers, drift, movie.calibration))
            else:
                ordered.do(lambda: None)
    traces = settle_shape(pd.concat(rows, ignore_index=True)) if rows else pd.DataFrame()
    if rows:
        found = count_arms(arms.rays(), params.assign.method)
        traces["n_arms"] = traces["migrasome_id"].map(dict(zip(sites.site_id, found, strict=True)))
    return traces, cell_planes, fiber_planes


@dataclass(frozen=True)
class _Images:
    """A frame for photometry; each of shape (Y, X)."""

    frame: int
    signal: Image
    """Sum of the channels over the noise of an empty pixel."""
    variance: Image
    weight: Image
    channels: dict[str, tuple[Image, Image]]
    """Counts and their variance."""
    margin: NDArray[np.bool_] | None
    """What was not recorded: what lies there is out of the field."""


def site_images(images: dict[str, Image], model: MovieModel) -> tuple[Image, Image, dict[str, tuple[Image, Image]]]:
    """What :func:`~migradetect.photometry.measure_sites` reads, from a frame or a part of it.

    Parameters
    ----------
    images : dict of str to ndarray, shape (Y, X)
        Recorded counts by role. Of a part that begins at an even row and column, the noise is that of the whole frame.
    model : MovieModel
        Noise and background of the movie.

    Returns
    -------
    signal, variance : ndarray, shape (Y, X)
        Sum of the channels over the noise of an empty pixel, and its variance.
    channels : dict of str to (ndarray, ndarray)
        Counts and their variance by role.
    """
    shape = next(iter(images.values())).shape
    signal = np.zeros(shape, np.float32)
    half_variance = np.zeros(((shape[0] + 1) // 2, (shape[1] + 1) // 2), np.float32)
    channels = {}
    for role, recorded in images.items():
        image, own = clean_plane(recorded, model.noise[role])
        channels[role] = (image, doubled(own, shape))
        if role in model.roles:
            scale = np.float32(1 / model.empty_sigma[role])
            signal = np.asarray(cv2.scaleAdd(image, float(scale), signal, dst=signal), np.float32)
            signal -= np.float32(model.background[role]) * scale
            half_variance += own * scale**2
    return signal, doubled(half_variance, shape), channels


def _images(movie: Movie, t: int, model: MovieModel, cells: NDArray[Any]) -> _Images:
    signal, variance, channels = site_images({role: movie.frame(t, role) for role in movie.roles}, model)
    weight = outside_bodies(cells, movie.calibration).astype(np.float32)
    margin = margin_in(movie, t)
    if margin is not None:
        weight[margin] = 0
    return _Images(t, signal, variance, weight, channels, margin)


def _measure(
    images: _Images,
    model: MovieModel,
    sites: Sites,
    cells: NDArray[Any],
    fibers: NDArray[Any],
    drift_um: tuple[float, float],
    calibration: Calibration,
) -> pd.DataFrame:
    signal, variance = images.signal, images.variance
    out = measure_sites(sites, signal, variance, images.weight, images.channels, drift_um, calibration, model.library)
    y, x = calibration.px(out["y_um"].to_numpy()), calibration.px(out["x_um"].to_numpy())
    if images.margin is not None:
        rows, columns = (
            np.clip(np.rint(at), 0, n - 1).astype(int) for at, n in zip((y, x), images.margin.shape, strict=True)
        )
        out["is_in_field"] &= ~images.margin[rows, columns]
    gap, cell = nearest_label(cells, y, x)
    out["cell_um"], out["nearest_cell"] = calibration.um(gap), cell
    out["covering_cell"] = np.where(gap <= 0, cell, 0)
    gap, fiber = nearest_label(fibers, y, x)
    out["fiber_um"], out["nearest_fiber"] = calibration.um(gap), fiber
    hidden = np.flatnonzero(out["is_in_field"].to_numpy() & (out["cell_um"].to_numpy() <= CLEAR_UM))
    out["covered"], out["covered_err"] = np.nan, np.nan
    if hidden.size:
        through = measure_covered(sites, hidden, signal, variance, cells, drift_um, calibration, model.library)
        out.loc[hidden, "covered"], out.loc[hidden, "covered_err"] = through
    out.insert(0, "frame", images.frame)
    return out
