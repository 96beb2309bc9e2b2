"""What each quality flag means, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import pandas as pd

__all__ = ["FLAGS", "FlagLine", "explain"]

#: Flag -> (reason, what it means for the analysis). Those of frames first, then those of the movie.
FLAGS: Final = {
    "missing": ("a file of the sequence is missing", "the frame is left out"),
    "not_finite": ("pixels without numbers (NaN, infinite)", "filled in up to 1 % of the pixels, else left out"),
    "margin": (
        "a part along the edge was not recorded: one value, as registering, turning or a round mask leaves",
        "filled with the level beside it and noise; counts of a part of the field",
    ),
    "all_zero": ("every pixel is zero", "the frame is left out"),
    "constant": ("no pixel differs from another", "the frame is left out"),
    "saturated": (
        "more than 0.5 % of the pixels are at the camera's limit",
        "used; above 50 % left out. Diameters and signals of what is saturated are too low",
    ),
    "out_of_focus": (
        "fine detail is below half of the usual",
        "used, but not for birth, end and growth; below a fifth left out",
    ),
    "illumination_jump": (
        "the light changed suddenly",
        "frames in other light are left out; a step that stays is used",
    ),
    "stage_jump": ("another field: nothing that stands on the dish is recognised", "the frame is left out"),
    "drift_unknown": ("the drift of the stage could not be read", "used as if it had not drifted"),
    "too_many_candidates": ("more spots than spots.max_per_frame", "the strongest are kept"),
    "no_cell_in_uneven_light": (
        "no cell was found, though the light differs strongly from place to place",
        "used; a cell may fill the field: check its picture",
    ),
    "pixel_size_is_1": ("the pixel size is exactly 1 um, as software writes where it knows none", "check it"),
    "pixel_size_unusual": ("the pixel size is below 0.02 or above 2 um", "check it"),
    "calibration_conflict": ("sources of the calibration differ", "what the user says wins; check movie.json"),
    "fewer_frames_than_planned": ("fewer frames than were planned", "stopped early, or files are missing at the end"),
    "channels_apart": (
        "the channels lie beside each other",
        "WGA was laid upon TSPAN4 by whole pixels (channel_shift_px in movie.json)",
    ),
    "not_in_plate": ("no row of plate.csv fits, or the file name does not match", "condition and replicate are empty"),
}
#: Frame numbers that are listed.
_LISTED = 30


class FlagLine(NamedTuple):
    """One flag of a movie."""

    flag: str
    reason: str
    outcome: str
    frames: str


def explain(frames: pd.DataFrame, movie_flags: Iterable[str]) -> list[FlagLine]:
    """Every flag of a movie, with its reason and the frames it is about.

    Parameters
    ----------
    frames : pandas.DataFrame
        One row per frame.
    movie_flags : iterable of str
        Flags of the movie as a whole.

    Returns
    -------
    list of FlagLine
        In the order of :data:`FLAGS`.
    """
    by_flag: dict[str, list[int]] = {str(flag): [] for flag in movie_flags if flag}
    for frame, text in zip(frames["frame"], frames["qc_flags"].fillna(""), strict=True):
        for flag in filter(None, str(text).split(",")):
            by_flag.setdefault(flag, []).append(int(frame))
    order = list(FLAGS)
    lines = []
    for flag in sorted(by_flag, key=lambda name: (order.index(name) if name in FLAGS else len(order), name)):
        reason, outcome = FLAGS.get(flag, ("see docs/promises.md", ""))
        lines.append(FlagLine(flag, reason, outcome, _numbers(by_flag[flag])))
    return lines


def _numbers(frames: list[int]) -> str:
    """Frame numbers with runs drawn together: 3, 7-9."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    texts = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more
