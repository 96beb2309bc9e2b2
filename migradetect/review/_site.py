"""One migrasome under review: what is decided about it, and the rows that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from migradetect.lifetimes import Existence
from migradetect.pipeline.sites import Life, read_trace, recorded_migrasomes, recorded_traces, site_rows, track_row
from migradetect.review._base import Base
from migradetect.tables import TABLES, conform_table

__all__ = ["Piece", "Site", "build", "finish"]

#: Sizes that a change of size scales, and their limits, which it makes unknown.
_SIZES = ("plateau_diameter_um", "growth_rate_um_per_min")


@dataclass(frozen=True)
class Site:
    """What is decided about one migrasome; frames are usable ones.

    Parameters
    ----------
    migrasome_id : int
        Id.
    y_stage_um, x_stage_um : float
        Drift-corrected place.
    diameter_um : float
        Typical full-grown size.
    existence : Existence or None
        First and last frame and fate; an empty fate is not known. None: as the photometry says.
    seen : tuple of int
        First and last frame in which it was found.
    found : frozenset of int
        Frames in which the analysis found it.
    score : float
        Of the track; NaN where a person added it.
    location : str or None
        Where on the fiber.
    parent : int or None
        Cell that left it.
    confidence : float
        Of the parent, 1 where a person named it.
    by_hand : frozenset of str
        What a person set: place, birth, end, fate, location, parent, size.
    scale : float
        Size by hand over size measured.
    """

    migrasome_id: int
    y_stage_um: float
    x_stage_um: float
    diameter_um: float
    existence: Existence | None
    seen: tuple[int, int]
    found: frozenset[int]
    score: float
    location: str | None = None
    parent: int | None = None
    confidence: float = float("nan")
    by_hand: frozenset[str] = frozenset()
    scale: float = 1.0

    def set_by_hand(self, *names: str) -> frozenset[str]:
        """What a person set, with more."""
        return self.by_hand | set(names)


@dataclass(frozen=True)
class Piece:
    """Rows of one migrasome.

    Parameters
    ----------
    site : Site
        What they follow from.
    trace : DataFrame
        Photometry and surroundings of the place in each usable frame, as of pass 3.
    track, rows, traces : DataFrame
        Its rows of ``tracks``, ``migrasomes`` and ``site_traces``.
    """

    site: Site
    trace: pd.DataFrame
    track: pd.DataFrame
    rows: pd.DataFrame
    traces: pd.DataFrame


def build(base: Base, site: Site, trace: pd.DataFrame, attached: frozenset[tuple[int, int]]) -> Piece:
    """Rows of one migrasome.

    Parameters
    ----------
    base : Base
        Automatic results.
    site : Site
        What is decided.
    trace : pandas.DataFrame
        Photometry and surroundings, one row per usable frame.
    attached : frozenset of (int, int)
        Usable frame and id of the fibers that reach a body.

    Returns
    -------
    Piece
    """
    life, site = _life(base, site, trace)
    existence = life.existence
    trace = trace.assign(migrasome_id=site.migrasome_id)
    rows = site_rows(trace, replace(life, location=site.location), attached, base.params)
    rows = rows.assign(score=site.score, is_measured=rows["frame"].isin(site.found), cell_id=site.parent)
    rows["cell_id"] = rows["cell_id"].astype("Int64")
    track = track_row(base.usable, site.migrasome_id, life, base.clock.time_min)
    single = base.n_frames == 1
    if "birth" in site.by_hand and not single:
        track |= _times(base, existence)
    track |= {
        "score": site.score,
        "location": site.location if site.location is not None else pd.NA,
        "cell_id": site.parent if site.parent is not None else pd.NA,
        "cell_id_confidence": site.confidence if site.parent is not None else np.nan,
        "fate": pd.NA if single or not existence.fate else existence.fate,
    }
    _scale(site, track, rows)
    rows = recorded_migrasomes(rows, base.drift_um[base.timeline.numbers], base.timeline)
    track["n_frames"] = len(rows)
    return Piece(
        site,
        trace,
        finish(base, "tracks", pd.DataFrame([track])),
        finish(base, "migrasomes", rows),
        finish(base, "site_traces", recorded_traces(trace, base.timeline)),
    )


def _life(base: Base, site: Site, trace: pd.DataFrame) -> tuple[Life, Site]:
    movie, params, clock = base.usable, base.params, base.clock
    # to the one who added it, every frame in which it stands out counts as found
    found = set(site.found) or set(range(movie.n_frames))
    life = read_trace(movie, params, trace, site.seen, found, clock, site.existence)
    if site.existence is None:
        life = read_trace(movie, params, trace, site.seen, found, clock, life.existence)
    existence = life.existence
    if site.location is None and "location" not in site.by_hand and site.existence is None:
        site = replace(site, location=life.location)
    if "place" in site.by_hand and not np.isfinite(trace["diameter_um"]).any():
        # nothing could be measured there: the size that was given is all there is
        sizes = np.full(life.diameter_um.size, np.nan)
        sizes[existence.first : existence.last + 1] = site.diameter_um
        life = replace(life, diameter_um=sizes)
    return life, replace(site, existence=existence)


def _times(base: Base, existence: Existence) -> dict[str, object]:
    """Birth at the frame that was named, not extrapolated."""
    time = base.clock.time_min
    left, right = existence.first == 0, existence.last >= time.size - 1
    start = float(time[existence.first])
    end = float(time[existence.last])
    return {"birth_time_min": np.nan if left else start, "lifetime_min": end - start, "is_right_censored": right}


def _scale(site: Site, track: dict[str, object], rows: pd.DataFrame) -> None:
    if site.scale == 1.0:
        return
    rows["diameter_um"] = rows["diameter_um"] * site.scale
    rows["diameter_err_um"] = np.nan
    for name in _SIZES:
        track[name] = float(str(track[name])) * site.scale
        # limits of a measurement say nothing about a size that was set
        track[f"{name}_ci_low"] = track[f"{name}_ci_high"] = np.nan


def finish(base: Base, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Rows in the form of the stored table: types, times on its clock, columns of the plate."""
    stored = base.results.tables[name]
    table = table.copy()
    table["movie_id"] = base.movie_id
    if "frame" in table.columns:
        table["time_min"] = table["frame"] * base.calibration.frame_interval_min + base.offset_min
    for column in ("birth_time_min", "end_time_min"):
        if column in table.columns and column in TABLES[name].names:
            table[column] = table[column].astype(float) + base.offset_min
    known = TABLES[name].names
    table = conform_table(name, table[[column for column in table.columns if column in known or column in stored]])
    for column in stored.columns:
        if column not in known:
            value = base.annotations.get(column)
            if column in base.annotations:
                table[column] = pd.Series([value] * len(table), dtype=stored[column].dtype, index=table.index)
            elif column not in table.columns:
                table[column] = pd.array([None] * len(table), dtype=_nullable(stored[column]))
    return table[list(stored.columns)] if len(stored.columns) else table


def _nullable(column: pd.Series[Any]) -> Any:
    return {"int64": "Int64", "bool": "boolean"}.get(str(column.dtype), str(column.dtype))
