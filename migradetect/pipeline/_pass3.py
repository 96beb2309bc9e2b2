"""Pass 3: every frame again, small windows only: forced photometry at each accepted site, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.assign import ArmReader
from migradetect.filters import nearest_label, remove_hot_pixels
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.photometry import Sites, measure_covered, measure_sites, settle_shape
from migradetect.pipeline._frames import MovieModel, outside_bodies
from migradetect.pipeline._pass1 import Pass1
from migradetect.pipeline._pass2 import Pass2, accepted_candidates
from migradetect.results import LabelStack

__all__ = ["CLEAR_UM", "accepted_sites", "relabel", "run_pass3", "site_images"]

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


def relabel(plane: NDArray[np.uint32], frame: int, lut: dict[tuple[int, int], int]) -> NDArray[np.int32]:
    """Labels of a frame replaced by identities; those without one become background."""
    table = np.zeros(int(plane.max()) + 1, np.int32)
    for label in range(1, table.size):
        table[label] = lut.get((frame, label), 0)
    return table[plane]


def run_pass3(
    movie: Movie,
    params: Params,
    model: MovieModel,
    first: Pass1,
    second: Pass2,
    sites: Sites,
    step: Callable[[int], None],
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
    rows = []
    for t in range(movie.n_frames):
        cells = relabel(first.cell_labels[t], t, second.cell_lut)
        fibers = relabel(first.fiber_labels[t], t, second.fiber_lut)
        cell_planes.append(cells)
        fiber_planes.append(fibers)
        drift = (float(second.drift_um[t, 0]), float(second.drift_um[t, 1]))
        if sites.site_id.size:
            rows.append(_one_frame(movie, t, model, sites, arms, cells, fibers, drift))
        step(t + 1)
    traces = settle_shape(pd.concat(rows, ignore_index=True)) if rows else pd.DataFrame()
    if rows:
        traces["n_arms"] = traces["migrasome_id"].map(dict(zip(sites.site_id, arms.count(), strict=True)))
    return traces, cell_planes, fiber_planes


def site_images(
    images: dict[str, NDArray[np.float32]], model: MovieModel
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]]:
    """What :func:`~migradetect.photometry.measure_sites` reads, from a frame or a part of it.

    Parameters
    ----------
    images : dict of str to ndarray, shape (Y, X)
        Recorded counts by role.
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
    signal, variance = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    channels = {}
    for role, recorded in images.items():
        sigma = model.noise[role].sigma(recorded)
        image = remove_hot_pixels(recorded, sigma)
        channels[role] = (image, (sigma**2).astype(np.float32))
        if role in model.roles:
            signal += (image - model.background[role]) / model.empty_sigma[role]
            variance += (sigma / model.empty_sigma[role]) ** 2
    return signal, variance, channels


def _one_frame(
    movie: Movie,
    t: int,
    model: MovieModel,
    sites: Sites,
    arms: ArmReader,
    cells: NDArray[np.int32],
    fibers: NDArray[np.int32],
    drift_um: tuple[float, float],
) -> pd.DataFrame:
    calibration = movie.calibration
    weight = outside_bodies(cells, calibration)
    signal, variance, channels = site_images({role: movie.frame(t, role) for role in movie.roles}, model)
    out = measure_sites(sites, signal, variance, weight, channels, drift_um, calibration, model.library)
    y, x = calibration.px(out["y_um"].to_numpy()), calibration.px(out["x_um"].to_numpy())
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
    arms.read(t, (signal / np.sqrt(variance)).astype(np.float32), weight, drift_um)
    out.insert(0, "frame", t)
    return out
