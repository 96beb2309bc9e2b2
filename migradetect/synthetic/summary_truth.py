"""Truth per track: migrasomes, decoys and cells over the whole movie."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from migradetect.synthetic.migrasomes import SMALLEST_MIGRASOME_UM, Bead
from migradetect.synthetic.parameters import SimulationParams

__all__ = ["candidate_rows", "summary_rows", "track_rows"]

Row = dict[str, Any]

#: A cell counts as observed once this much of it is in view: less is a sliver at the border.
OBSERVED_UM2 = 150.0


def track_rows(
    movie_id: str, beads: dict[int, Bead], migrasomes: list[Row], observed: set[int], params: SimulationParams
) -> list[Row]:
    """Rows of the tracks table.

    Parameters
    ----------
    movie_id : str
        Goes into every row.
    beads : dict of int to Bead
        Migrasomes with at least one row, by index.
    migrasomes : list of dict
        Rows per frame.
    observed : set of int
        Cells that were in view.
    params : SimulationParams
        Physics.
    """
    by_id: dict[int, list[Row]] = defaultdict(list)
    for seen in migrasomes:
        by_id[seen["migrasome_id"]].append(seen)
    interval, single = params.frame_interval_min, params.n_frames == 1
    last_frame = params.n_frames - 1
    rows = []
    for index, bead in sorted(beads.items()):
        own = by_id[index + 1]
        first, last = own[0]["frame"], own[-1]["frame"]
        left, right = first == 0, last == last_frame
        end = min(bead.end, (last + 1) * interval)
        fate: str | None = bead.fate
        if right:
            fate = "persist"
        elif bead.end > (last + 1) * interval:
            fate = "left_field"
            end = last * interval
        begin = 0.0 if left else max(bead.birth, 0.0)
        row: Row = {
            "movie_id": movie_id,
            "migrasome_id": index + 1,
            "cell_id": bead.cell_id if bead.cell_id in observed else None,
            "cell_id_confidence": 1.0 if bead.cell_id in observed else np.nan,
            "birth_time_min": np.nan if left or single else bead.birth,
            "end_time_min": np.nan if right or single else end,
            "lifetime_min": np.nan if single else (last * interval if right else end) - begin,
            "is_left_censored": left,
            "is_right_censored": right,
            "growth_model": "exponential",
            "fit_r2": 1.0,
            "location": own[0]["location"],
            "fate": None if single else fate,
            "engulfed_by_cell_id": bead.engulfed_by if fate == "engulfed" and not single else None,
            "n_frames": len(own),
            "score": 1.0,
            "kind": "migrasome",
            "is_shell": bead.is_shell,
            "nucleated_at": bead.location,
            "true_birth_min": bead.birth,
            "tspan4_delay_min": bead.late_min,
            "max_diameter_um": max(r["diameter_um"] for r in own),
            "max_snr": max(r["snr"] for r in own),
        }
        for name, value in (
            ("plateau_diameter_um", bead.plateau_um),
            ("tau_min", bead.tau_min),
            ("growth_rate_um_per_min", bead.plateau_um / bead.tau_min),
        ):
            row |= {name: value, f"{name}_ci_low": value, f"{name}_ci_high": value}
        rows.append(row)
    return rows


def candidate_rows(movie_id: str, sightings: dict[tuple[str, int], list[Row]]) -> list[Row]:
    """One row per decoy; parts of a clump that are seen in one frame count as one."""
    rows = []
    for number, ((kind, _), own) in enumerate(sorted(sightings.items(), key=lambda item: item[0]), start=1):
        frames = sorted({r["frame"] for r in own})
        rows.append(
            {
                "movie_id": movie_id,
                "candidate_id": number,
                "frame_first": frames[0],
                "frame_last": frames[-1],
                "n_frames": len(frames),
                "y_um": own[0]["y_um"],
                "x_um": own[0]["x_um"],
                "y_stage_um": float(np.mean([r["y_stage_um"] for r in own])),
                "x_stage_um": float(np.mean([r["x_stage_um"] for r in own])),
                "diameter_um": float(np.median([r["diameter_um"] for r in own])),
                "snr": float(np.median([r["snr"] for r in own])),
                "score": 0.0,
                "kind": kind,
                "reason": "decoy",
            }
        )
    return rows


def summary_rows(movie_id: str, rows: dict[str, list[Row]], params: SimulationParams) -> tuple[list[Row], set[int]]:
    """Rows of the cell summary, and the cells that were in view."""
    cells: dict[int, list[Row]] = defaultdict(list)
    for row in rows["cells"]:
        cells[row["cell_id"]].append(row)
    observed = {cell for cell, own in cells.items() if max(r["area_um2"] for r in own) >= OBSERVED_UM2}
    counted: dict[int, set[int]] = defaultdict(set)
    for row in rows["migrasomes"]:
        if row["diameter_um"] >= SMALLEST_MIGRASOME_UM:
            counted[row["cell_id"]].add(row["migrasome_id"])
    fiber: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows["fibers"]:
        fiber[row["cell_id"]][row["frame"]] += row["length_um"]
    found, single = [], params.n_frames == 1
    for cell in sorted(observed):
        own = cells[cell]
        place = np.array([(r["y_stage_um"], r["x_stage_um"]) for r in own])
        path = float(np.hypot(*np.diff(place, axis=0).T).sum())
        net = float(np.hypot(*(place[-1] - place[0])))
        time = (own[-1]["frame"] - own[0]["frame"]) * params.frame_interval_min
        length = max(fiber[cell].values(), default=0.0)
        count = len(counted[cell])
        found.append(
            {
                "movie_id": movie_id,
                "cell_id": cell,
                "n_frames": len(own),
                "observed_min": np.nan if single else time,
                "n_migrasomes": count,
                "n_migrasomes_per_100um_fiber": 100.0 * count / length if length > 0 else np.nan,
                "n_migrasomes_per_100um_path": 100.0 * count / path if path > 0 and not single else np.nan,
                "path_um": np.nan if single else path,
                "net_um": np.nan if single else net,
                "mean_speed_um_per_min": path / time if time > 0 else np.nan,
                "persistence": net / path if path > 0 else np.nan,
                "fiber_length_um": length,
                "touches_border": any(r["touches_border"] for r in own),
            }
        )
    return found, observed
