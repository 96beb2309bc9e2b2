"""What false migrasomes are, and why true ones were missed.

    python workflows/benchmark/accuracy.py
    python workflows/benchmark/error_cases.py --docs docs/accuracy.md

Reads the output folder of ``accuracy.py``, and names each false detection by what truly lies there (dirt, a small bead,
a migrasome that is not born yet) and each missed one by what became of its candidate. With ``--docs``, the
marked section of the page is filled in.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from bench_cases import movies_of, options_of, publish
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from migradetect.evaluate.matching import match_migrasomes
from migradetect.results import Results

#: A decoy or migrasome this close is what was found, um.
REACH_UM = 0.7
FALSE = {
    "debris_static": "dirt that lies still",
    "debris_floating": "dirt that floats",
    "subresolution": "a bead or thickening below 0.5 um",
    "transient": "a swelling that is gone within minutes",
    "endosome": "an endosome",
    "filopodium": "the tip of a filopodium",
    "early": "the place of a migrasome before its birth",
    "late": "the place of a migrasome after its end",
    "twice": "a migrasome that was found twice",
    "nothing": "none of these: bare fiber, its ends, kinks and crossings",
}
MISSED = {
    "refused": "its candidate has a score below the threshold",
    "subresolution": "its candidate was measured as smaller than 0.46 um",
    "transient": "its candidate was called a swelling of minutes, or moving",
    "early": "it was found later on",
    "late": "it was found before",
    "gap": "it was found before and later on, or beside its place",
    "none": "no candidate lies at its place",
}


def _stage(table: pd.DataFrame, frames: pd.DataFrame) -> NDArray[np.float64]:
    """Places without the drift of the stage, um, shape (N, 2)."""
    drift = frames.set_index("frame")[["drift_y_um", "drift_x_um"]].astype(float)
    return table[["y_um", "x_um"]].to_numpy(float) - drift.reindex(table["frame"]).to_numpy(float)


def _spans(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby("migrasome_id")["frame"].agg(["min", "max"])


def _when(frame: int, ids: NDArray[np.int64], spans: pd.DataFrame, within: str) -> str:
    """Whether a frame lies before, after or within the nearest of some lives."""
    spans = spans.loc[ids]
    if ((spans["min"] <= frame) & (spans["max"] >= frame)).any():
        return within
    ahead, behind = spans["min"] - frame, frame - spans["max"]
    return "early" if ahead[ahead > 0].min() < np.nan_to_num(behind[behind > 0].min(), nan=np.inf) else "late"


def false_cases(results: Results, truth: Results) -> pd.DataFrame:
    """One row per false detection: case, migrasome_id (as found)."""
    frames = np.unique(truth.frames["frame"].to_numpy(int))
    matches = match_migrasomes(truth.migrasomes, results.migrasomes, frames)
    wrong = matches.pred[matches.is_false]
    places, decoys = _stage(wrong, truth.frames), truth.candidates
    known = decoys[["y_stage_um", "x_stage_um"]].to_numpy(float)
    first, last = decoys["frame_first"].to_numpy(int), decoys["frame_last"].to_numpy(int)
    lives = _spans(truth.migrasomes)
    tree = cKDTree(_stage(truth.migrasomes, truth.frames)) if len(lives) else None
    cases = []
    for place, frame in zip(places, wrong["frame"].to_numpy(int), strict=True):
        away = np.where((first <= frame) & (last >= frame), np.hypot(*(known - place).T), np.inf)
        near = tree.query_ball_point(place, REACH_UM) if tree is not None else []
        if away.size and away.min() < REACH_UM:
            cases.append(str(decoys["kind"].iloc[int(away.argmin())]))
        elif near:
            ids = truth.migrasomes["migrasome_id"].to_numpy(np.int64)[near]
            cases.append(_when(int(frame), np.unique(ids), lives, "twice"))
        else:
            cases.append("nothing")
    return pd.DataFrame({"case": cases, "migrasome_id": wrong["migrasome_id"].to_numpy(np.int64)})


def missed_cases(results: Results, truth: Results) -> pd.DataFrame:
    """One row per true migrasome and frame that counts and was missed: case, diameter_um, snr."""
    frames = np.unique(truth.frames["frame"].to_numpy(int))
    matches = match_migrasomes(truth.migrasomes, results.migrasomes, frames)
    missed = matches.truth[matches.is_valid_truth & ~matches.is_found]
    places, refused = _stage(missed, results.frames), results.candidates
    known = refused[["y_stage_um", "x_stage_um"]].to_numpy(float)
    first, last = refused["frame_first"].to_numpy(int), refused["frame_last"].to_numpy(int)
    lives = _spans(results.migrasomes)
    tree = cKDTree(_stage(results.migrasomes, results.frames)) if len(lives) else None
    named = {"subresolution": "subresolution", "noise": "refused", "fiber": "refused"}
    cases = []
    for place, frame in zip(places, missed["frame"].to_numpy(int), strict=True):
        away = np.where((first <= frame) & (last >= frame), np.hypot(*(known - place).T), np.inf)
        near = tree.query_ball_point(place, REACH_UM) if tree is not None else []
        if near:
            ids = results.migrasomes["migrasome_id"].to_numpy(np.int64)[near]
            cases.append(_when(int(frame), np.unique(ids), lives, "gap"))
        elif away.size and away.min() < REACH_UM:
            cases.append(named.get(str(refused["kind"].iloc[int(away.argmin())]), "transient"))
        else:
            cases.append("none")
    return pd.DataFrame({"case": cases, "diameter_um": missed["diameter_um"], "snr": missed["snr"]})


def table_of(false: pd.DataFrame, missed: pd.DataFrame, n_found: int) -> str:
    """Both tables in Markdown; `n_found` is the number of right detections."""
    n_false, n_missed = len(false), len(missed)

    def f1(fewer_false: int = 0, fewer_missed: int = 0) -> float:
        right = n_found + fewer_missed
        return 2 * right / (2 * right + n_false - fewer_false + n_missed - fewer_missed)

    tracks = false.drop_duplicates(["movie", "migrasome_id"]).shape[0]
    lines = [
        f"{n_found} right, {n_false} false ({tracks} tracks), {n_missed} missed; F1 over all of them {f1():.3f}.",
        "",
        "| false detections: what lies there | frames | share | F1 without them |",
        "| --- | ---: | ---: | ---: |",
    ]
    counts = Counter(false["case"])
    for name, text in FALSE.items():
        if counts[name]:
            lines.append(f"| {text} | {counts[name]} | {counts[name] / n_false:.2f} | {f1(counts[name]):.3f} |")
    lines += ["", "| missed ones: why | frames | share | F1 with them |", "| --- | ---: | ---: | ---: |"]
    counts = Counter(missed["case"])
    for name, text in MISSED.items():
        if counts[name]:
            lines.append(f"| {text} | {counts[name]} | {counts[name] / n_missed:.2f} | {f1(0, counts[name]):.3f} |")
    small = (missed["diameter_um"] < 0.8).mean()
    lines += ["", f"Of the missed ones {small:.2f} are smaller than 0.8 um in that frame."]
    return "\n".join(lines)


def main() -> int:
    """Name, count, write."""
    options = options_of(__doc__)
    false, missed, n_found = [], [], 0
    for movie, results, truth in movies_of(options.folder):
        frames = np.unique(truth.frames["frame"].to_numpy(int))
        n_found += int(match_migrasomes(truth.migrasomes, results.migrasomes, frames).is_found.sum())
        false.append(false_cases(results, truth).assign(movie=movie))
        missed.append(missed_cases(results, truth).assign(movie=movie))
    tables = pd.concat(false, ignore_index=True), pd.concat(missed, ignore_index=True)
    for name, table in zip(("false", "missed"), tables, strict=True):
        table.to_csv(options.folder / f"{name}_cases.csv", index=False)
    publish(table_of(*tables, n_found), options.docs, "errors", "error_cases.py")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
