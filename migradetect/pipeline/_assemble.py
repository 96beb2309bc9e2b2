"""From what the passes found to the tables of a movie, in frames as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect._version import __version__
from migradetect.frame_quality import Quality
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._pass1 import Pass1
from migradetect.pipeline._pass2 import Pass2, with_speeds
from migradetect.pipeline._usable import Timeline
from migradetect.results import LabelStack, Results
from migradetect.summary import summarize_cells
from migradetect.tables import conform_table

__all__ = [
    "Found",
    "blurred_frames",
    "describe",
    "describe_model",
    "draw_migrasomes",
    "make_tables",
    "nothing_to_see",
    "recorded_migrasomes",
    "recorded_traces",
]

#: Fine detail below this share of the typical one: measurements in the frame would lie.
_BLURRED = 0.5
#: Columns that only the passes need.
_INTERNAL = [
    "amplitude",
    "amplitude_err",
    "nearest_cell",
    "covering_cell",
    "nearest_fiber",
    "cell_um",
    "fiber_um",
    "n_arms",
    "covered",
    "covered_err",
]


@dataclass(frozen=True)
class Found:
    """What the passes found, in numbers of usable frames."""

    first: Pass1
    second: Pass2
    tracks: pd.DataFrame
    migrasomes: pd.DataFrame
    traces: pd.DataFrame


def blurred_frames(first: Pass1) -> NDArray[np.bool_]:
    """Usable frames whose fine detail is well below the typical one; shape (U,)."""
    focus = np.array([row["focus"] for row in first.frames])
    typical = float(np.median(focus))
    return focus < _BLURRED * typical if typical > 0 else np.zeros(focus.size, bool)


def make_tables(movie: Movie, found: Found, quality: Quality, timeline: Timeline) -> dict[str, pd.DataFrame]:
    """Every table of a movie.

    Parameters
    ----------
    movie : Movie
        As recorded.
    found : Found
        From the passes.
    quality : Quality
        Flags of all frames.
    timeline : Timeline
        Numbers of the usable frames.

    Returns
    -------
    dict of str to pandas.DataFrame
    """

    def finish(name: str, table: pd.DataFrame) -> pd.DataFrame:
        return _finish(movie, name, table)

    second = found.second
    cells = second.cells.drop(columns="label")
    if not timeline.is_whole:
        cells = with_speeds(timeline.renumber(cells, "frame"), movie.calibration)
    cells = finish("cells", cells)
    fibers = second.fibers.drop(columns=["label", "cell_label", "attached_cell"])
    fibers = finish("fibers", timeline.renumber(fibers, "frame"))
    migrasomes = finish("migrasomes", recorded_migrasomes(found.migrasomes, second.drift_um, timeline))
    tracks = found.tracks
    if len(tracks) and not timeline.is_whole:
        size = migrasomes.groupby("migrasome_id").size()
        tracks = tracks.assign(n_frames=tracks["migrasome_id"].map(size))
    track_table = finish("tracks", tracks)
    rejected = second.judged[second.judged["kind"] != "migrasome"].reset_index(names="candidate_id")
    return {
        "frames": finish("frames", _frames(movie, found, quality, timeline)),
        "cells": cells,
        "fibers": fibers,
        "migrasomes": migrasomes,
        "candidates": finish("candidates", timeline.renumber(rejected, "frame_first", "frame_last")),
        "site_traces": finish("site_traces", recorded_traces(found.traces, timeline)),
        "tracks": track_table,
        "cell_summary": finish("cell_summary", summarize_cells(cells, fibers, track_table, movie.calibration)),
    }


def _finish(movie: Movie, name: str, table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return conform_table(name, {})
    table = table.copy()
    table["movie_id"] = movie.movie_id
    if "frame" in table.columns:
        table["time_min"] = table["frame"] * movie.calibration.frame_interval_min
    return conform_table(name, table)


def nothing_to_see(movie: Movie, params: Params, quality: Quality) -> Results:
    """Results of a movie without any usable frame: flags, and no objects."""
    flags = pd.array([",".join(names) for names in quality.flags], dtype="string")
    frames = pd.DataFrame({"frame": np.arange(movie.n_frames), "n_cells": pd.NA, "n_candidates": pd.NA})
    tables = {"frames": _finish(movie, "frames", frames.assign(qc_flags=flags))}
    labels = {name: LabelStack(movie.shape_yx) for name in ("cells", "fibers", "migrasomes")}
    for stack in labels.values():
        for _ in range(movie.n_frames):
            stack.append(np.zeros(movie.shape_yx, np.uint8))
    return Results(movie.movie_id, tables, labels, describe(movie, params, quality))


def describe(
    movie: Movie, params: Params, quality: Quality, shifts: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Provenance that holds for any movie; `shifts` are those of its channels."""
    return {
        "movie_id": movie.movie_id,
        "version": __version__,
        "calibration": asdict(movie.calibration),
        "n_frames": movie.n_frames,
        "frames_left_out": np.flatnonzero(~quality.is_usable).tolist(),
        "shape_yx": list(movie.shape_yx),
        "channels": list(movie.roles),
        "params": params.model_dump(mode="json"),
        "input": dict(movie.provenance),
        "channel_shift_px": {role: list(shift) for role, shift in (shifts or {}).items()},
        "qc_flags": [*movie.provenance.get("qc_flags", ()), *(["channels_apart"] if shifts else [])],
    }


def describe_model(model: MovieModel) -> dict[str, Any]:
    """Provenance of what was measured on the movie as a whole."""
    return {
        "psf_fwhm_um": round(2.3548 * model.psf_sigma_um, 4),
        "psf_source": "measured on fibers" if model.is_psf_measured else "parameter or default",
        "noise": {role: asdict(noise) for role, noise in model.noise.items()},
        # these and the noise are the model: with them a place can be measured later without a look at the whole movie
        "psf_sigma_um": model.psf_sigma_um,
        "background": model.background,
    }


def recorded_migrasomes(table: pd.DataFrame, drift_um: NDArray[np.float64], timeline: Timeline) -> pd.DataFrame:
    """Rows of ``migrasomes`` in frames as recorded, with stage coordinates; `drift_um` is that of the usable frames."""
    if table.empty:
        return table
    drift = drift_um[table["frame"].to_numpy(int)]
    table = table.assign(y_stage_um=table["y_um"] - drift[:, 0], x_stage_um=table["x_um"] - drift[:, 1])
    table = timeline.renumber(table.drop(columns=_INTERNAL), "frame")
    places = ["y_um", "x_um", "y_stage_um", "x_stage_um", "diameter_um"]
    table = timeline.with_lost_frames(table, "migrasome_id", ["cell_id", "location", "score"], places)
    # in a frame that was not used it is where it was before, as it was
    table["is_measured"] = table["is_measured"].fillna(False).astype(bool)
    for name in ("is_on_fiber", "is_attached", "is_covered"):
        table[name] = table[name].ffill().astype(bool)
    return table


def recorded_traces(table: pd.DataFrame, timeline: Timeline) -> pd.DataFrame:
    """Rows of ``site_traces`` in frames as recorded."""
    if table.empty:
        return table
    table = table.assign(is_covered=table["covering_cell"] > 0).drop(columns=_INTERNAL)
    table = timeline.renumber(table, "frame")
    table = timeline.with_lost_frames(table, "migrasome_id", [], ["y_um", "x_um"], everywhere=True)
    for name in ("is_covered", "is_in_field"):
        table[name] = table.groupby("migrasome_id")[name].transform(lambda one: one.ffill().bfill()).astype(bool)
    return table


def _frames(movie: Movie, found: Found, quality: Quality, timeline: Timeline) -> pd.DataFrame:
    table = pd.DataFrame(found.first.frames)
    drift = found.second.drift_um
    table["drift_y_um"], table["drift_x_um"] = drift[:, 0], drift[:, 1]
    typical = table["focus"].median()
    table["focus"] = table["focus"] / typical if typical > 0 else np.nan
    for role in movie.roles:
        body = table.pop(f"body_{role}")
        start = body[body > 0].iloc[0] if (body > 0).any() else np.nan
        table[f"bleaching_{role}"] = body.where(body > 0) / start
    late = {
        "drift_unknown": (table.pop("registration_confidence") < 6) & (table["frame"] > 0) & (len(table) > 1),
        "out_of_focus": pd.Series(blurred_frames(found.first)),
        "too_many_candidates": (table.pop("n_cut") > 0) | found.second.is_crowded,
        "no_cell_in_uneven_light": pd.Series(
            quality.is_uneven[timeline.numbers] & ~np.isin(np.arange(len(table)), found.second.cells["frame"])
        ),
    }
    flags = list(quality.flags)
    for k, number in enumerate(timeline.numbers):
        flags[number] = (*flags[number], *(name for name, on in late.items() if on.iloc[k]))
    table = timeline.renumber(table, "frame")
    if not timeline.is_whole:
        table = table.set_index("frame").reindex(range(movie.n_frames)).rename_axis("frame").reset_index()
    for name in ("n_cells", "n_candidates"):
        table[name] = table[name].astype("Int64")
    table["qc_flags"] = pd.array([",".join(dict.fromkeys(names)) for names in flags], dtype="string")
    return table


def draw_migrasomes(movie: Movie, migrasomes: pd.DataFrame) -> LabelStack:
    """Discs of the measured diameter, label value = migrasome_id."""
    stack = LabelStack(movie.shape_yx)
    frame = migrasomes["frame"].to_numpy(int)
    px = movie.calibration.px(migrasomes[["y_um", "x_um", "diameter_um"]].to_numpy(float))
    identity = migrasomes["migrasome_id"].to_numpy(int)
    radius = np.where(np.isfinite(px[:, 2]), np.maximum(1, np.rint(px[:, 2] / 2)), 1).astype(int)
    # one plane for all frames: only what was drawn on it is wiped out again
    most = int(identity.max(initial=0))
    plane = np.zeros(movie.shape_yx, np.uint8 if most < 256 else np.uint16 if most < 65536 else np.int32)
    for t in range(movie.n_frames):
        discs = [
            ((round(px[i, 1]), round(px[i, 0])), int(radius[i]), int(identity[i])) for i in np.flatnonzero(frame == t)
        ]
        for centre, size, value in discs:
            cv2.circle(plane, centre, size, value, -1)
        stack.append(plane)
        for centre, size, _ in discs:
            cv2.circle(plane, centre, size, 0, -1)
    return stack
