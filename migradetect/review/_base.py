"""The automatic results of a movie, as the corrections find them; never changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import CalibrationError, NoMoviesError, nearest_name
from migradetect.io import load_results
from migradetect.movie import ArraySource, Channel, Movie
from migradetect.params import Params
from migradetect.pipeline.sites import Clock, Timeline
from migradetect.results import TIME_OFFSET, Results

__all__ = ["Base", "movie_folder"]


def movie_folder(out_dir: str | Path, movie_id: str | None = None) -> Path:
    """Folder of a movie in an output folder; an output folder may be that of one movie itself.

    Raises
    ------
    NoMoviesError
        If there is no such movie, or none was named and there are several.
    """
    out = Path(out_dir)
    if (out / "movie.json").is_file() and movie_id in (None, out.name, out.resolve().name):
        return out
    found = sorted(path.parent for path in out.glob("[!.]*/movie.json")) if out.is_dir() else []
    if movie_id is None and len(found) == 1:
        return found[0]
    names = [path.name for path in found]
    if movie_id is not None and movie_id in names:
        return out / movie_id
    got = "none was named" if movie_id is None else f"got '{movie_id}'{nearest_name(movie_id, names)}"
    raise NoMoviesError(f"{out}: expected one of the movies {', '.join(names[:20]) or '(none)'}, {got}")


@dataclass(frozen=True)
class Base:
    """Automatic results and what follows from them for the measurement.

    Parameters
    ----------
    folder : Path
        Folder of the movie.
    results : Results
        As stored.
    calibration : Calibration
        Pixel size and frame interval.
    params : Params
        Of the analysis.
    """

    folder: Path
    results: Results
    calibration: Calibration
    params: Params

    @classmethod
    def load(cls, folder: Path) -> Base:
        """Read the results of a movie folder."""
        results = load_results(folder)
        known = results.provenance.get("calibration") or {}
        if not known.get("pixel_size_um"):
            raise CalibrationError(f"{folder}: expected a pixel size in movie.json, got none; run the movie again")
        calibration = Calibration(
            float(known["pixel_size_um"]),
            known.get("frame_interval_s"),
            **{name: known[name] for name in ("pixel_size_source", "frame_interval_source") if known.get(name)},
        )
        return cls(folder, results, calibration, _params(results.provenance))

    @property
    def movie_id(self) -> str:
        """Name of the movie."""
        return self.results.movie_id

    @cached_property
    def fingerprint(self) -> str:
        """Tells these results from those of another run."""
        try:
            # the manifest has the checksum of every file
            files = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))["files"]
            # the record of a run holds times; ids stand in the tables and label images
            kept = {name: item["blake2b"] for name, item in files.items() if not name.endswith((".json", ".csv"))}
            text = json.dumps(kept or files, sort_keys=True)
        except (OSError, ValueError, KeyError, TypeError):
            tables = self.results.tables
            text = "".join(tables[name].to_json() for name in ("tracks", "candidates", "cell_summary"))
        return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()

    @property
    def input_hash(self) -> str | None:
        """Hash of the recording, where the run kept it."""
        value = self.results.provenance.get("input_hash")
        return None if value is None else str(value)

    @cached_property
    def n_frames(self) -> int:
        """Frames as recorded, T."""
        known = self.results.provenance.get("n_frames")
        return int(known) if known else len(self.results.frames)

    @cached_property
    def shape_yx(self) -> tuple[int, int]:
        """Rows and columns."""
        shape = self.results.provenance.get("shape_yx")
        if shape:
            return int(shape[0]), int(shape[1])
        for stack in self.results.labels.values():
            return stack.shape_yx
        raise CalibrationError(f"{self.folder}: expected shape_yx in movie.json, got none; run the movie again")

    @cached_property
    def timeline(self) -> Timeline:
        """Usable frames among all."""
        lost = self.results.provenance.get("frames_left_out") or []
        return Timeline(np.setdiff1d(np.arange(self.n_frames), np.asarray(lost, int)), self.n_frames)

    @cached_property
    def drift_um(self) -> NDArray[np.float64]:
        """Stage drift in each frame as recorded, shape (T, 2); between the neighbours where it is not known."""
        frames = self.results.frames.set_index("frame").reindex(range(self.n_frames))
        drift = frames[["drift_y_um", "drift_x_um"]].interpolate(limit_direction="both").fillna(0.0)
        return drift.to_numpy(float)

    @cached_property
    def clock(self) -> Clock:
        """Times of the usable frames, and which are blurred."""
        numbers = self.timeline.numbers
        blurred = self._has_flag("out_of_focus")[numbers]
        interval = self.calibration.frame_interval_min
        return Clock(numbers.astype(np.float64) * interval, blurred)

    @cached_property
    def has_margin(self) -> NDArray[np.bool_]:
        """Whether a part of each frame as recorded was not recorded, shape (T,)."""
        return self._has_flag("margin")

    def _has_flag(self, flag: str) -> NDArray[np.bool_]:
        """Whether each frame as recorded has a flag, shape (T,)."""
        flags = self.results.frames.set_index("frame")["qc_flags"].reindex(range(self.n_frames)).fillna("")
        return flags.str.split(",").map(lambda names: flag in names).to_numpy(bool)

    @cached_property
    def usable(self) -> Movie:
        """The usable frames as a movie without images: length and calibration for the stages."""
        roles = self.results.provenance.get("channels") or ["tspan4"]
        channels = tuple(Channel(str(role), str(role)) for role in roles)
        empty = ArraySource(np.empty((0, len(channels), *self.shape_yx), np.uint16))
        size = max(int(self.timeline.numbers.size), 1)
        return Movie(self.movie_id, size, *self.shape_yx, "uint16", channels, self.calibration, empty)

    @cached_property
    def annotations(self) -> dict[str, str | float | None]:
        """Columns with one value for the movie."""
        given = self.results.provenance.get("annotations")
        if given is None:
            given = (self.results.provenance.get("input") or {}).get("annotations") or {}
        return dict(given.items() if isinstance(given, dict) else map(tuple, given))

    @property
    def offset_min(self) -> float:
        """Start of the movie on the clock of the experiment."""
        offset = self.annotations.get(TIME_OFFSET)
        return float(offset) if isinstance(offset, (int, float)) else 0.0

    def to_usable(self, frame: int) -> int:
        """Number of a recorded frame among the usable ones; of the next usable one where it is not."""
        numbers = self.timeline.numbers
        return min(int(np.searchsorted(numbers, frame)), max(numbers.size - 1, 0))

    @cached_property
    def rows_of(self) -> dict[int, pd.DataFrame]:
        """Rows of ``migrasomes`` by id."""
        return _by_id(self.results.migrasomes)

    @cached_property
    def traces_of(self) -> dict[int, pd.DataFrame]:
        """Rows of ``site_traces`` by id."""
        return _by_id(self.results.site_traces)

    @cached_property
    def tracks_of(self) -> dict[int, pd.DataFrame]:
        """Row of ``tracks`` by id."""
        return _by_id(self.results.tracks)

    @cached_property
    def cells_in(self) -> dict[int, pd.DataFrame]:
        """Rows of ``cells`` by frame."""
        return {int(str(frame)): rows for frame, rows in self.results.cells.groupby("frame")}

    @cached_property
    def fibers_in(self) -> dict[int, pd.DataFrame]:
        """Rows of ``fibers`` by frame."""
        return {int(str(frame)): rows for frame, rows in self.results.fibers.groupby("frame")}

    @cached_property
    def places(self) -> pd.DataFrame:
        """Stage place, first and last frame and size of each migrasome, by id."""
        table = self.results.migrasomes
        by = table.groupby("migrasome_id")
        places = by.agg(
            y_stage_um=("y_stage_um", "median"),
            x_stage_um=("x_stage_um", "median"),
            frame_first=("frame", "min"),
            frame_last=("frame", "max"),
            largest_um=("diameter_um", "median"),
        )
        plateau = self.results.tracks.set_index("migrasome_id")["plateau_diameter_um"]
        places["diameter_um"] = plateau.reindex(places.index).fillna(places.pop("largest_um"))
        return places


def _by_id(table: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {int(str(one)): rows for one, rows in table.groupby("migrasome_id")}


def _params(provenance: dict[str, Any]) -> Params:
    """Parameters of the run; those of another version that no longer fit give way to the defaults."""
    for name in ("params", "parameters"):
        try:
            return Params.model_validate(provenance[name])
        except (KeyError, ValueError):
            continue
    return Params()
