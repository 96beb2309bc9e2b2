"""Result tables of experiments that never were, drawn from distributions that are known.

Conditions and screens need dozens of movies; simulating and analysing their images would take hours. Here only the
tables are drawn, as ``migradetect run`` would write them, so that a notebook can be checked against what was put in.
Nothing of this says how well movies are analysed: ``docs/accuracy.md`` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from migradetect.io import write_results, write_table
from migradetect.results import Results
from migradetect.tables import conform_table, empty_table

__all__ = ["INTERVAL_MIN", "N_FRAMES", "screen_tables", "write_dishes", "write_experiment"]

N_FRAMES, INTERVAL_MIN = 31, 2.0
_DURATION_MIN = (N_FRAMES - 1) * INTERVAL_MIN
#: Mean of the exponential lifetimes, time constant and final size of the growth, share of tips.
LIFETIME_MIN, TAU_MIN, PLATEAU_UM, TIP_SHARE = 60.0, 6.0, 1.5, 0.4
#: Relative spread between dishes of one condition, and between cells of one dish.
_DISH_CV, _CELL_CV = 0.15, 0.5


def _cells(rng: np.random.Generator, n_cells: int, per_cell: float, fiber_um: float) -> dict[str, Any]:
    # counts of cells differ more than by chance: a gamma-mixed Poisson
    means = per_cell * rng.gamma(1 / _CELL_CV**2, _CELL_CV**2, n_cells)
    path_um = rng.lognormal(np.log(30), 0.3, n_cells)
    return {
        "cell_id": np.arange(1, n_cells + 1),
        "n_frames": N_FRAMES,
        "observed_min": _DURATION_MIN,
        "n_migrasomes": rng.poisson(means),
        "path_um": path_um,
        "mean_speed_um_per_min": path_um / _DURATION_MIN,
        "fiber_length_um": fiber_um * rng.lognormal(-0.02, 0.2, n_cells),
        "touches_border": False,
    }


def _dish(rng: np.random.Generator, movie_id: str, n_cells: int, per_cell: float, fiber_um: float) -> Results:
    cells = _cells(rng, n_cells, per_cell, fiber_um)
    owner = np.repeat(cells["cell_id"], cells["n_migrasomes"])
    n = len(owner)
    birth = rng.uniform(0, _DURATION_MIN, n)
    end = birth + rng.exponential(LIFETIME_MIN, n)
    outlasts = end > _DURATION_MIN
    tip = rng.uniform(size=n) < TIP_SHARE
    location = np.where(tip, "tip", np.where(rng.uniform(size=n) < 0.7, "shaft", "branch"))
    seen = np.minimum(end, _DURATION_MIN)
    first, last = np.ceil(birth / INTERVAL_MIN).astype(int), np.floor(seen / INTERVAL_MIN).astype(int)
    n_frames = np.maximum(last - first + 1, 0)
    rows = np.repeat(np.arange(n), n_frames)
    frame = first[rows] + np.concatenate([np.arange(k) for k in n_frames]) if len(rows) else np.zeros(0, int)
    size = PLATEAU_UM * rng.lognormal(0, 0.1, n)
    grown = size[rows] * (1 - np.exp(-(frame * INTERVAL_MIN - birth[rows]) / TAU_MIN))
    place = rng.uniform(5, 95, (n, 2))
    tables = {
        "frames": {"frame": np.arange(N_FRAMES), "time_min": np.arange(N_FRAMES) * INTERVAL_MIN},
        "cell_summary": cells,
        "tracks": {
            "migrasome_id": np.arange(1, n + 1),
            "cell_id": owner,
            "birth_time_min": birth,
            "end_time_min": np.where(outlasts, np.nan, end),
            "lifetime_min": seen - birth,
            "is_left_censored": False,
            "is_right_censored": outlasts,
            "plateau_diameter_um": size,
            "tau_min": TAU_MIN,
            "location": location,
            "fate": np.where(outlasts, "persist", "rupture"),
            "n_frames": n_frames,
            "score": 0.9,
            "kind": "migrasome",
        },
        "migrasomes": {
            "frame": frame,
            "time_min": frame * INTERVAL_MIN,
            "migrasome_id": rows + 1,
            "cell_id": owner[rows],
            "y_um": place[rows, 0],
            "x_um": place[rows, 1],
            "diameter_um": np.maximum(grown + rng.normal(0, 0.05, len(rows)), 0.05),
            "diameter_err_um": 0.05,
            "tspan4_signal": 100 * grown**2,
            "snr": 15.0,
            "location": location[rows],
            "is_on_fiber": True,
            "is_attached": True,
            "is_measured": True,
            "is_covered": False,
            "score": 0.9,
        },
    }
    conformed = {
        name: conform_table(name, pd.DataFrame(columns).assign(movie_id=movie_id))
        if _rows(columns)
        else empty_table(name)
        for name, columns in tables.items()
    }
    known = {"calibration": {"pixel_size_um": 0.1, "frame_interval_s": 60 * INTERVAL_MIN}, "n_frames": N_FRAMES}
    return Results(movie_id, conformed, {}, known | {"shape_yx": [1000, 1000]})


def _rows(columns: Mapping[str, Any]) -> int:
    return max(np.size(value) for value in columns.values() if np.ndim(value)) or 0


_SETTINGS = ("movie_id", "n_cells", "per_cell", "fiber_um")


def write_experiment(out: str | Path, plan: pd.DataFrame, seed: int = 0) -> Path:
    """Write an output folder with a movie per row of a plan.

    Parameters
    ----------
    out : str or Path
        New folder.
    plan : pandas.DataFrame
        ``movie_id, n_cells, per_cell, fiber_um``; all other columns go into the tables, as those of ``plate.csv``.
    seed : int
        The same seed gives the same tables.

    Returns
    -------
    Path
        The folder.
    """
    out = Path(out)
    out.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for row in plan.to_dict("records"):
        found = _dish(rng, str(row["movie_id"]), int(row["n_cells"]), float(row["per_cell"]), float(row["fiber_um"]))
        labels = {str(name): row[name] for name in plan.columns if name not in _SETTINGS}
        found.annotate(labels)
        write_results(found, out / found.movie_id, "parquet")
        counts = {"n_cells": len(found.cell_summary), "n_migrasomes": len(found.tracks), "n_frames": N_FRAMES}
        rows.append({"movie_id": found.movie_id, "status": "done", "qc_flags": ""} | counts | labels)
    movies = conform_table("movies", pd.DataFrame(rows))
    for name in set(plan.columns) - set(_SETTINGS):
        movies[name] = movies[name].astype("string")
    write_table("movies", movies, out)
    return out


def write_dishes(
    out: str | Path, per_cell: Mapping[str, float], n_dishes: int = 6, n_cells: int = 40, seed: int = 0
) -> Path:
    """Conditions with dishes as replicates.

    Parameters
    ----------
    out : str or Path
        New folder.
    per_cell : mapping of str to float
        Condition -> mean number of migrasomes per cell.
    n_dishes, n_cells : int
        Per condition, per dish.
    seed : int
        Of the draw.
    """
    rng = np.random.default_rng([seed, 1])
    rows = []
    for condition, mean in per_cell.items():
        for dish in range(1, n_dishes + 1):
            rows.append(
                {
                    "movie_id": f"{condition.replace(' ', '_')}_{dish}",
                    "n_cells": n_cells,
                    # dishes of one condition differ, which is why cells are not the sample
                    "per_cell": mean * rng.lognormal(-(_DISH_CV**2) / 2, _DISH_CV),
                    "fiber_um": 120.0,
                    "condition": condition,
                    "replicate": str(dish),
                }
            )
    return write_experiment(out, pd.DataFrame(rows), seed)


def screen_tables(
    hits: Sequence[str], toxic: Sequence[str], immobile: Sequence[str], seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table of cells of a plate of 96 wells: DMSO in columns 1, 2, 11, an inhibitor in 12, compounds in the others.

    Parameters
    ----------
    hits, toxic, immobile : sequence of str
        Wells with fewer migrasomes; with fewer cells as well; with fewer fibers as well.
    seed : int
        Of the draw.

    Returns
    -------
    cell_summary, movies : pandas.DataFrame
        As ``migradetect.load`` gives them.
    """
    rng = np.random.default_rng([seed, 2])
    rows = []
    for letter in "ABCDEFGH":
        for column in range(1, 13):
            well = f"{letter}{column:02d}"
            condition = "DMSO" if column in (1, 2, 11) else "ROCK inhibitor" if column == 12 else f"compound {well}"
            fewer = column == 12 or well in (*hits, *toxic, *immobile)
            rows.append(
                {
                    "movie_id": f"plate1_{well}",
                    "n_cells": int(rng.poisson(8 if well in toxic else 60)),
                    "per_cell": (1.2 if fewer else 8.0) * rng.lognormal(0, 0.05),
                    "fiber_um": (30.0 if well in immobile else 120.0) * rng.lognormal(0, 0.05),
                    "plate": "plate1",
                    "well": well,
                    "condition": condition,
                }
            )
    cells = []
    for row in rows:
        drawn = _cells(rng, row["n_cells"], row["per_cell"], row["fiber_um"])
        cells.append(pd.DataFrame(drawn).assign(**{name: row[name] for name in row if name not in _SETTINGS[1:]}))
    movies = pd.DataFrame(rows).drop(columns=["n_cells", "per_cell", "fiber_um"]).assign(status="done")
    return conform_table("cell_summary", pd.concat(cells, ignore_index=True)), movies
