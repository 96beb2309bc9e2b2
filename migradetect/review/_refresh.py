"""What follows for fibers and migrasomes when outlines or centrelines have changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from migradetect.fibers import ATTACH_UM
from migradetect.pipeline.sites import CLEAR_UM
from migradetect.review._change import Touched
from migradetect.review._site import Piece
from migradetect.review._state import State
from migradetect.review._workbench import Workbench

__all__ = ["refresh"]

_AROUND = ["cell_um", "nearest_cell", "fiber_um", "nearest_fiber", "covering_cell"]
#: Columns of the photometry that a body over the site, or close to it, changes.
_MEASURED = ["snr", "diameter_um", "diameter_err_um", "tspan4_signal", "tspan4_err", "wga_signal", "wga_err"]


def refresh(
    bench: Workbench,
    before: State,
    after: State,
    frames: Iterable[int],
    *,
    cells: set[int] = frozenset(),  # type: ignore[assignment]
    fibers: set[int] = frozenset(),  # type: ignore[assignment]
) -> tuple[State, Touched]:
    """Attachment of fibers, and surroundings of migrasomes, in frames whose label planes have changed.

    When a migrasome exists is not asked again: outlines do not decide that.

    Parameters
    ----------
    bench : Workbench
        Label planes and images.
    before, after : State
        Before and after the change of the label planes.
    frames : iterable of int
        Recorded frames in which they differ.
    cells, fibers : set of int
        What was changed.

    Returns
    -------
    State, Touched
    """
    frames = sorted(set(frames))
    attached: set[int] = set()
    if cells:
        after, attached = _attach(bench, after, frames)
    after, sites = _surround(bench, before, after, frames, attached)
    planes = {name for name, changed in (("cells", cells), ("fibers", fibers)) if changed}
    return after, Touched(
        frozenset(sites),
        frozenset(cells),
        frozenset(fibers) | frozenset(attached),
        frozenset(frames),
        frozenset(planes | ({"migrasomes"} if sites else set())),
    )


def _attach(bench: Workbench, state: State, frames: list[int]) -> tuple[State, set[int]]:
    """Which fibers reach a body now; those for which that is new."""
    changed: set[int] = set()
    out = {}
    for frame in frames:
        rows = bench.fibers_in(state, frame)
        if rows.empty:
            continue
        gap = gaps_um(bench, state, frame)
        reaches = rows["fiber_id"].map(gap).fillna(np.inf) <= ATTACH_UM
        differs = reaches != rows["is_attached"]
        if differs.any():
            out[frame] = rows.assign(is_attached=reaches.astype(bool))
            changed |= set(rows.loc[differs, "fiber_id"].astype(int))
    return replace(state, fibers={**state.fibers, **out}), changed


def gaps_um(bench: Workbench, state: State, frame: int) -> dict[int, float]:
    """Distance of each fiber from the nearest body, um."""
    plane = bench.labels.plane(state, "fibers", frame)
    y, x = np.nonzero(plane)
    if not y.size:
        return {}
    distance, _ = bench.labels.runs(state, "cells", frame).nearest(y, x)
    nearest = pd.Series(distance).groupby(plane[y, x].astype(int)).min()
    return {int(str(one)): float(bench.base.calibration.um(gap)) for one, gap in nearest.items()}


def _surround(
    bench: Workbench, before: State, after: State, frames: list[int], fibers: set[int]
) -> tuple[State, set[int]]:
    """Migrasomes with other surroundings, with their rows made anew."""
    base = bench.base
    frames = [frame for frame in frames if frame in set(base.timeline.numbers.tolist())]
    places = bench.places(before)
    if not frames or places.empty:
        return after, set()
    stage = places[["y_stage_um", "x_stage_um"]].to_numpy(float)
    numbers = np.asarray(frames, np.int64)
    then, now = (bench.surroundings_in(state, stage, numbers) for state in (before, after))
    differs = (then[_AROUND].to_numpy(float) != now[_AROUND].to_numpy(float)).any(axis=1)
    differs |= now["nearest_fiber"].isin(fibers).to_numpy()
    pieces: dict[int, Piece | None] = {}
    for k in np.unique(now.loc[differs, "site"].to_numpy(int)):
        number = int(places.index[k])
        piece = bench.piece(before, number)
        trace = piece.trace.set_index("frame")
        fresh = now[now["site"] == k].set_index("frame")
        old = trace.loc[fresh.index, "cell_um"]
        trace.loc[fresh.index, _AROUND] = fresh[_AROUND]
        crossed = fresh.index[((old <= CLEAR_UM) != (fresh["cell_um"] <= CLEAR_UM)).to_numpy()]
        trace = _again(bench, after, piece, trace, crossed.to_numpy(int)).reset_index()
        built = bench.rebuild(after, replace(piece, trace=trace), piece.site)
        if not (built.rows.equals(piece.rows) and built.traces.equals(piece.traces)):
            pieces[number] = built
    return after.with_pieces(pieces), set(pieces)


def _again(
    bench: Workbench,
    state: State,
    piece: Piece,
    trace: pd.DataFrame,
    frames: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> pd.DataFrame:
    """Photometry of a site in frames in which a body came over it, or went."""
    if not frames.size:
        return trace
    numbers = bench.base.timeline.numbers[frames]
    site = piece.site
    places = np.array([site.y_stage_um, site.x_stage_um]) + bench.base.drift_um[numbers]
    fresh = bench.recording.measure(places, numbers, site.diameter_um, bench.bodies_in(state), None)
    for name in _MEASURED:
        if name in trace:
            trace.loc[frames, name] = np.nan if fresh is None or name not in fresh else fresh[name].to_numpy(float)
    return trace
