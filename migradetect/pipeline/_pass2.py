"""Pass 2: the movie's tables: drift refined, cells, fibers and candidates linked, tracks judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.doubles import resolve_doubles
from migradetect.linking import (
    OverlapLinker,
    candidate_limit,
    find_divisions,
    join_slivers,
    link_spots,
    merge_sites,
    thin_crowds,
)
from migradetect.movie import Movie
from migradetect.nearby import BLOCK_PX, filled_blocks, label_within
from migradetect.params import Params
from migradetect.pipeline._pass1 import Pass1
from migradetect.results import LabelStack
from migradetect.spot_evidence import relative_colour, spot_log_odds
from migradetect.stretches import join_stretches, split_stretches
from migradetect.tracks import judge, movie_company, track_features

__all__ = [
    "Pass2",
    "accepted_candidates",
    "join_accepted",
    "judge_sites",
    "link_candidates",
    "link_coloured",
    "run_pass2",
    "site_gaps",
    "with_speeds",
    "without_rejected",
]

#: What candidates are linked by.
_LINKED_BY = (
    "frame",
    "y_stage_um",
    "x_stage_um",
    "scale_um",
    "snr",
    "blob_snr",
    "diameter_um",
    "colour",
    "roundness",
    "fiber_um",
)
#: Grid on which regions are compared over time, um.
_COARSE_UM = 0.5
#: A body further from a place than this has never been there, and leaves it clear, um.
_GAP_UM = 1.0
#: Frame around the field for what drifts out of it, um.
_MARGIN_UM = 20.0
#: Of a cell that the border always cuts, this share of the smallest area must be in view at some time.
_CUT_SHARE = 0.6
#: Fibers are lines: widened by this much before their overlap is taken, um.
_FIBER_REACH_UM = 0.8


@dataclass
class Pass2:
    """Linked and judged tables."""

    drift_um: NDArray[np.float64]
    """Stage drift, shape (T, 2), y and x."""
    cells: pd.DataFrame
    cell_lut: dict[tuple[int, int], int]
    """(frame, label) -> cell_id."""
    fibers: pd.DataFrame
    fiber_lut: dict[tuple[int, int], int]
    """(frame, label) -> fiber_id."""
    linked: pd.DataFrame
    """Spots with candidate_id."""
    judged: pd.DataFrame
    """One row per candidate with score, kind and reason."""
    is_crowded: NDArray[np.bool_]
    """Frames of which the weakest candidates were left out, because the field has no room for all; shape (T,)."""


def accepted_candidates(second: Pass2) -> pd.DataFrame:
    """Rows of the accepted candidates, in the order in which migrasomes are numbered: by first frame, then place."""
    accepted = second.judged[second.judged["kind"] == "migrasome"]
    return accepted.sort_values(["frame_first", "y_stage_um", "x_stage_um"], kind="stable")


def without_rejected(second: Pass2) -> Pass2:
    """The same with the spots of the accepted candidates alone: of those that were rejected nobody asks any more."""
    is_accepted = second.linked["candidate_id"].isin(accepted_candidates(second).index)
    return replace(second, linked=second.linked.loc[is_accepted, ["candidate_id", "frame", "diameter_um", "shape"]])


def run_pass2(movie: Movie, params: Params, first: Pass1) -> Pass2:
    """Link and judge what pass 1 found.

    Parameters
    ----------
    movie : Movie
        For its calibration and length.
    params : Params
        All parameters.
    first : Pass1
        Tables and label planes.

    Returns
    -------
    Pass2
    """
    calibration = movie.calibration
    drift, linked = link_candidates(movie, params, first)
    # a single frame has no history
    gaps = site_gaps(linked, first.cell_labels, drift, calibration) if movie.n_frames > 1 else None
    linked, judged = judge_sites(linked, params, movie.n_frames, calibration.frame_interval_min, gaps)
    cells, cell_lut = _link_cells(first, drift, params, calibration)
    fibers, fiber_lut = _link_fibers(first, drift, cell_lut, calibration)
    is_crowded = first.spots.sizes > candidate_limit(_area_um2(movie))
    return Pass2(drift, cells, cell_lut, fibers, fiber_lut, linked, judged, is_crowded)


def link_candidates(movie: Movie, params: Params, first: Pass1) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Refine the drift and link the candidates of all frames.

    Parameters
    ----------
    movie, params, first : Movie, Params, Pass1
        Results so far.

    Returns
    -------
    drift_um : ndarray, shape (T, 2)
        Stage drift, y and x.
    linked : pandas.DataFrame
        Spots with candidate_id, one for each place.
    """
    drift = np.array([[row["drift_y_um"], row["drift_x_um"]] for row in first.frames])
    # all the evidence of millions of spots is read once, in the order in which it is needed
    linked = link_coloured(thin_crowds(_numbered(first), _area_um2(movie)), params)
    if params.registration.enabled and movie.n_frames > 2:
        drift, linked = _refine_drift(drift, linked)
    linked = merge_sites(linked)
    found = {name: linked[name] for name in ("y_stage_um", "x_stage_um", "colour", "candidate_id")}
    return drift, first.spots.rows(linked["row"].to_numpy(np.int64)).assign(**found)


def _numbered(first: Pass1) -> pd.DataFrame:
    """What candidates are linked by, with the number of each."""
    spots = first.spots.columns(_LINKED_BY)
    return spots.assign(row=np.arange(len(spots)))


def _area_um2(movie: Movie) -> float:
    return float(np.prod([movie.calibration.um(float(n)) for n in movie.shape_yx]))


def link_coloured(spots: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Link the candidates of a movie, with their colour relative to its fibers.

    Parameters
    ----------
    spots : pandas.DataFrame
        From :func:`migradetect.pipeline._pass1.place_spots`, all frames.
    params : Params
        All parameters.

    Returns
    -------
    pandas.DataFrame
        Spots with candidate_id.
    """
    return link_spots(spots.assign(colour=relative_colour(spots)), params.linking)


def site_gaps(
    linked: pd.DataFrame, cell_labels: LabelStack, drift_um: NDArray[np.float64], calibration: Calibration
) -> dict[int, NDArray[np.float16]]:
    """Distance of the place of each candidate from the nearest body, in every frame, as far as it matters.

    Parameters
    ----------
    linked : pandas.DataFrame
        Spots with candidate_id.
    cell_labels : LabelStack
        Bodies, T planes.
    drift_um : ndarray, shape (T, 2)
        Stage drift, y and x.
    calibration : Calibration
        Pixel size.

    Returns
    -------
    dict of int to ndarray, shape (T,)
        By candidate_id, um; NaN out of the field, 1 um where no body is as near, inf where there is none at all.
    """
    places = linked.groupby("candidate_id")[["y_stage_um", "x_stage_um"]].median()
    # half precision is 0.0005 um here: there may be more places times frames than pixels
    out = np.full((len(places), len(cell_labels)), np.nan, np.float16)
    place_um = places.to_numpy(float)
    height, width = cell_labels.shape_yx
    for frame in range(len(cell_labels)):
        bodies = cell_labels.compact(frame)
        y, x = (calibration.px(place_um[:, k] + drift_um[frame, k]) for k in (0, 1))
        inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
        gap = calibration.um(label_within(bodies, y[inside], x[inside], calibration.px(_GAP_UM))[0])
        out[inside, frame] = np.minimum(gap, _GAP_UM if bodies.max() else np.inf)
    return dict(zip(places.index.astype(int).tolist(), out, strict=True))


def judge_sites(
    linked: pd.DataFrame,
    params: Params,
    n_frames: int,
    frame_interval_min: float,
    gaps: dict[int, NDArray[np.float16]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut tracks into stretches, judge each, and join again what is one migrasome.

    Parameters
    ----------
    linked : pandas.DataFrame
        Spots with candidate_id.
    params : Params
        All parameters.
    n_frames : int
        Frames of the movie.
    frame_interval_min : float
        Minutes between frames; NaN for a single frame.
    gaps : dict of int to ndarray, optional
        From :func:`site_gaps`; None for a single frame.

    Returns
    -------
    linked : pandas.DataFrame
        Spots; candidate_id now numbers what was judged.
    judged : pandas.DataFrame
        One row per candidate with score, kind and reason.
    """
    stretches = split_stretches(linked, spot_log_odds(linked))
    features = track_features(stretches, gaps)
    company = movie_company(features) if params.judge.method == "learned" else None

    def judged_of(features: pd.DataFrame) -> pd.DataFrame:
        return judge(features, params.judge, n_frames, frame_interval_min, company)

    judged = judged_of(features)
    joined = join_stretches(stretches, set(judged.index[judged["kind"] == "migrasome"]))
    joined = joined.assign(stretch_id=stretches["candidate_id"])
    if joined["candidate_id"].nunique() < len(judged):
        # what was joined is judged as a whole; it stays a migrasome, because each of its parts was one
        was, now = stretches["candidate_id"].to_numpy(), joined["candidate_id"].to_numpy()
        changed = np.unique(now[was != now])
        whole = judged_of(track_features(joined[np.isin(now, changed)], gaps))
        whole["score"] = np.fmax(whole["score"], judged.loc[changed, "score"])
        whole[["kind", "reason"]] = judged.loc[changed, ["kind", "reason"]]
        alone = judged[np.isin(judged.index, np.setdiff1d(now, changed))]
        judged = pd.concat([alone, whole]).sort_index()
    return joined, resolve_doubles(judged)


def join_accepted(linked: pd.DataFrame, judged: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join the stretches of a site again after candidates were judged anew: more of them may be one migrasome.

    Parameters
    ----------
    linked, judged : pandas.DataFrame
        From :func:`judge_sites`, with other kinds.

    Returns
    -------
    linked, judged : pandas.DataFrame
        What was joined has the candidate_id of its first stretch and the highest score of its parts.
    """
    was = linked["candidate_id"].to_numpy(np.int64)
    is_accepted = np.isin(was, judged.index[judged["kind"] == "migrasome"])
    stretch = linked["stretch_id"].to_numpy(np.int64)
    stretches = linked.assign(candidate_id=stretch)
    together = join_stretches(stretches, set(stretch[is_accepted].tolist()))["candidate_id"].to_numpy(np.int64)
    now = np.where(is_accepted, together, was)
    changed = np.unique(now[now != was])
    if not changed.size:
        return linked, judged
    parts = pd.Series(was).groupby(now).unique().loc[changed]
    joined = linked.assign(candidate_id=now)
    whole = track_features(joined[np.isin(now, changed)])
    whole["score"] = [judged.loc[part, "score"].max() for part in parts]
    whole[["kind", "reason"]] = judged.loc[changed, ["kind", "reason"]]
    alone = judged[~np.isin(judged.index, np.concatenate(parts.to_list()))]
    return joined, pd.concat([alone, whole]).sort_index()


def _refine_drift(drift: NDArray[np.float64], linked: pd.DataFrame) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Take out what all standing spots share: correlation from frame to frame lets small errors add up."""
    size = linked.groupby("candidate_id")["frame"].transform("size")
    standing = linked[(size >= 5) & (linked["blob_snr"] > 6) & (linked["diameter_um"] < 3.5)]
    out = linked.copy()
    if len(standing) < 20:
        return drift, out
    correction = np.zeros_like(drift)
    for axis, name in enumerate(("y_stage_um", "x_stage_um")):
        residual = standing[name] - standing.groupby("candidate_id")[name].transform("median")
        by_frame = residual.groupby(standing["frame"]).agg(["median", "size"])
        enough = by_frame[by_frame["size"] >= 4]
        correction[enough.index.to_numpy(dtype=int), axis] = enough["median"].to_numpy()
        out[name] = out[name] - correction[out["frame"].to_numpy(dtype=int), axis]
    return drift + correction, out


def _to_stage(
    plane: NDArray[Any], drift_um: NDArray[np.float64], calibration: Calibration, widen_um: float = 0.0
) -> NDArray[np.int64]:
    """Label plane on a coarse grid in drift-corrected coordinates."""
    step = calibration.pixel_size_um / _COARSE_UM
    height, width = (int(np.ceil((calibration.um(float(n)) + 2 * _MARGIN_UM) / _COARSE_UM)) for n in plane.shape)
    shift_y, shift_x = (float(_MARGIN_UM - drift_um[k]) / _COARSE_UM for k in (0, 1))
    if not widen_um:
        transform = np.array([[step, 0, shift_x], [0, step, shift_y]])
        known = plane if plane.dtype in (np.uint8, np.uint16) else plane.astype(np.float32)
        moved = cv2.warpAffine(known, transform, (width, height), flags=cv2.INTER_NEAREST)
        return np.asarray(moved, dtype=np.int64)
    # lines would fall between the coarse pixels: each of their pixels is moved by itself
    lines = _moved_pixels(plane, filled_blocks(plane), step, shift_y, shift_x, (height, width))
    radius = max(1, round(widen_um / _COARSE_UM))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(lines, disc), dtype=np.int64)


@njit(cache=True, nogil=True)
def _moved_pixels(
    plane: NDArray[Any],
    is_filled: NDArray[np.bool_],
    step: float,
    shift_y: float,
    shift_x: float,
    shape: tuple[int, int],
) -> NDArray[np.float32]:  # pragma: no cover (numba)
    """Labels on a coarse grid; where several fall on one pixel, the largest."""
    out = np.zeros(shape, np.float32)
    for y in range(plane.shape[0]):
        row = int(np.rint(y * step + shift_y))
        if row < 0 or row >= shape[0]:
            continue
        for block in np.flatnonzero(is_filled[y // BLOCK_PX]):
            for x in range(block * BLOCK_PX, min((block + 1) * BLOCK_PX, plane.shape[1])):
                if plane[y, x]:
                    column = int(np.rint(x * step + shift_x))
                    if 0 <= column < shape[1]:
                        out[row, column] = max(out[row, column], np.float32(plane[y, x]))
    return out


def _identities(
    planes: LabelStack, drift: NDArray[np.float64], linker: OverlapLinker, calibration: Calibration, widen_um: float
) -> dict[tuple[int, int], int]:
    lut = {}
    for frame in range(len(planes)):
        stage = _to_stage(planes.compact(frame), drift[frame], calibration, widen_um)
        for label, identity in linker.link(frame, stage).items():
            lut[frame, label] = identity
    return lut


def _with_identity(table: pd.DataFrame, lut: dict[tuple[int, int], int], name: str) -> pd.DataFrame:
    keys = zip(table["frame"].astype(int), table["label"].astype(int), strict=True)
    table = table.copy()
    table[name] = [lut.get(key, 0) for key in keys]
    return table[table[name] > 0].reset_index(drop=True)


def _link_cells(
    first: Pass1, drift: NDArray[np.float64], params: Params, calibration: Calibration
) -> tuple[pd.DataFrame, dict[tuple[int, int], int]]:
    linker = OverlapLinker(params.linking.cell_memory_frames)
    lut = _identities(first.cell_labels, drift, linker, calibration, 0.0)
    cells = _with_identity(pd.concat(first.cells, ignore_index=True), lut, "cell_id")
    frame = cells["frame"].to_numpy(dtype=int)
    cells["y_stage_um"] = cells["y_um"] - drift[frame, 0]
    cells["x_stage_um"] = cells["x_um"] - drift[frame, 1]
    cells, mothers = find_divisions(join_slivers(cells, params.cells.min_area_um2))
    cells, mothers = _drop_brief(cells, mothers, len(first.cells), params.cells.min_area_um2)
    cells["mother_id"] = cells["cell_id"].map(mothers).astype("Int64")
    cells = with_speeds(cells.sort_values(["cell_id", "frame"], kind="stable"), calibration)
    lut = {
        (int(f), int(label)): int(c)
        for f, label, c in zip(cells["frame"], cells["label"], cells["cell_id"], strict=True)
    }
    return cells.reset_index(drop=True), lut


def with_speeds(cells: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Speed of each cell since the frame in which it was seen before; rows in order of cell and frame."""
    by = cells.groupby("cell_id")
    gap = by["frame"].diff() * calibration.frame_interval_min
    step = np.hypot(by["y_stage_um"].diff(), by["x_stage_um"].diff())
    return cells.assign(speed_um_per_min=step / gap)


def _drop_brief(
    cells: pd.DataFrame, mothers: dict[int, int], n_frames: int, min_area_um2: float
) -> tuple[pd.DataFrame, dict[int, int]]:
    """Leave out what never shows the area of a cell (a sliver at the border), and what flashes up in mid-field."""
    by = cells.groupby("cell_id")
    # of a cell that the border always cuts a part will do
    least = np.where(by["touches_border"].transform("all"), _CUT_SHARE * min_area_um2, min_area_um2)
    large = by["area_um2"].transform("max") >= least
    brief = (by["frame"].transform("size") < 3) & ~by["touches_border"].transform("any")
    kept = cells[large & ~(brief & (n_frames >= 6))].copy()
    order = {old: new for new, old in enumerate(sorted(kept["cell_id"].unique()), start=1)}
    kept["cell_id"] = kept["cell_id"].map(order).astype(np.int64)
    return kept, {order[d]: order[m] for d, m in mothers.items() if d in order and m in order}


def _link_fibers(
    first: Pass1, drift: NDArray[np.float64], cell_lut: dict[tuple[int, int], int], calibration: Calibration
) -> tuple[pd.DataFrame, dict[tuple[int, int], int]]:
    lut = _identities(first.fiber_labels, drift, OverlapLinker(3), calibration, _FIBER_REACH_UM)
    fibers = _with_identity(pd.concat(first.fibers, ignore_index=True), lut, "fiber_id")
    keys = zip(fibers["frame"].astype(int), fibers["cell_label"].astype(int), strict=True)
    fibers["attached_cell"] = [cell_lut.get(key, 0) for key in keys]
    # a broken fiber keeps the cell that it was attached to for longest
    known = fibers[fibers["attached_cell"] > 0]
    owner = (
        known.groupby("fiber_id")["attached_cell"].agg(lambda c: c.mode().iloc[0])
        if len(known)
        else pd.Series(dtype=float)
    )
    fibers["cell_id"] = fibers["fiber_id"].map(owner).astype("Int64")
    fibers["is_attached"] = fibers["attached_cell"] > 0
    return fibers, lut
