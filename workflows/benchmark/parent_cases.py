"""Why parents are right or wrong: by who had been at the place of a migrasome in the movie.

    python workflows/benchmark/accuracy.py
    python workflows/benchmark/parent_cases.py --docs docs/accuracy.md

Reads the output folder of ``accuracy.py``, and sorts each migrasome that was found and has a true parent by what the
true masks say up to its birth: only its parent had been at the place; others as well; nobody or others only, so that
only the way along fibers tells; its parent was not in view yet; or the parent is a cell that was not found, or one with
another, for three frames or more. What the same choice makes of the true bodies, fibers, births and places stands
beside: where that is wrong, too, nothing that could be found better would help. With ``--docs``, the marked section of
the page is filled in.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from bench_cases import movies_of, options_of, publish
from train_parent import pairs_in

from migradetect.assign import choose_parents
from migradetect.calibration import Calibration
from migradetect.evaluate.cells import overlap_cells
from migradetect.evaluate.matching import match_migrasomes, match_tracks
from migradetect.params import AssignParams
from migradetect.results import Results

CASES = {
    "alone": "only the parent had been at the place",
    "others": "the parent and other cells had been there",
    "way": "the parent had not been there: only the way along fibers tells",
    "merged": "the parent was not found, or was one with another cell, for three frames or more",
    "unseen": "the parent was not in view up to the birth",
}
#: A body this close has been at the place, um.
VISIT_UM = 0.8
#: Frames by which a cell may be found too late.
LATE_FRAMES = 2


def cases_of(results: Results, truth: Results) -> pd.DataFrame:
    """One row per migrasome that was found and has a true parent: case, is_right, is_null, is_right_by_truth."""
    calibration = results.calibration
    frames = np.unique(truth.frames["frame"].to_numpy(int))
    overlap = overlap_cells(results, truth, calibration, frames)
    if overlap is None or truth.migrasomes.empty or results.migrasomes.empty:
        return pd.DataFrame()
    names, partners = overlap.names(), overlap.partners()
    same = match_tracks(match_migrasomes(truth.migrasomes, results.migrasomes, frames))
    true_parent = truth.tracks.set_index("migrasome_id")["cell_id"].astype("float64")
    found_parent = results.tracks.set_index("migrasome_id")["cell_id"].astype("float64")
    entered = truth.cells.groupby("cell_id")["frame"].min()
    found_from = results.cells.groupby("cell_id")["frame"].min()
    pairs = pairs_in(truth, same["truth_id"].to_numpy())
    by_truth = choose_parents(pairs, AssignParams())["cell_id"] if len(pairs) else pd.Series(dtype=float)
    rows = []
    for true_id, found_id in zip(same["truth_id"], same["pred_id"], strict=True):
        parent, found = true_parent[true_id], found_parent[found_id]
        if np.isnan(parent):
            continue
        life = truth.migrasomes[truth.migrasomes["migrasome_id"] == true_id].sort_values("frame")
        birth, partner = int(life["frame"].iloc[0]), partners.get(int(parent), -1)
        visitors = _visitors(truth, life, birth, calibration)
        if entered[parent] > birth:
            case = "unseen"
        elif partner < 0 or found_from[partner] - entered[parent] > LATE_FRAMES:
            case = "merged"
        elif parent in visitors:
            case = "alone" if len(visitors) == 1 else "others"
        else:
            case = "way"
        named = names.get(int(found), -1) if np.isfinite(found) else -1
        row = {"case": case, "is_right": named == parent, "is_null": np.isnan(found)}
        rows.append(row | {"is_right_by_truth": by_truth.get(true_id) == parent})
    return pd.DataFrame(rows)


def _visitors(truth: Results, life: pd.DataFrame, birth: int, calibration: Calibration) -> set[int]:
    """True cells that had been at the place of a migrasome up to its birth."""
    drift = truth.frames.set_index("frame")[["drift_y_um", "drift_x_um"]]
    place = life[["y_um", "x_um"]].to_numpy(float)[0] - drift.loc[birth].to_numpy(float)
    reach = max(1, round(calibration.px(VISIT_UM)))
    out: set[int] = set()
    for frame in range(birth + 1):
        plane = truth.labels["cells"][frame]
        y, x = np.rint(calibration.px(place + drift.loc[frame].to_numpy(float))).astype(int)
        if 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]:
            near = plane[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            out |= set(np.unique(near).tolist()) - {0}
    return out


def table_of(cases: pd.DataFrame) -> str:
    """The table in Markdown."""
    lines = [
        "| up to the birth | migrasomes | parent right | left open | right, from the true bodies and fibers |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for text, own in [*((text, cases[cases["case"] == name]) for name, text in CASES.items()), ("all", cases)]:
        if len(own):
            shares = own[["is_right", "is_null", "is_right_by_truth"]].astype(float).mean()
            lines.append(f"| {text} | {len(own)} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    return "\n".join(lines)


def main() -> int:
    """Sort, count, write."""
    options = options_of(__doc__)
    tables = [cases_of(results, truth).assign(movie=movie) for movie, results, truth in movies_of(options.folder)]
    cases = pd.concat([table for table in tables if len(table)], ignore_index=True)
    cases.to_csv(options.folder / "parent_cases.csv", index=False)
    publish(table_of(cases), options.docs, "parents", "parent_cases.py")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
