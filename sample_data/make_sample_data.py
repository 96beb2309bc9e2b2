"""Make the sample movies, their truth and their checksums again.

    python sample_data/make_sample_data.py [FOLDER]

The same versions of numpy and OpenCV give the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from migradetect.io import write_movie, write_results
from migradetect.synthetic import simulate


class Sample(NamedTuple):
    """One movie: where it lies, how it is stored, and how it is drawn."""

    movie_id: str
    path: str
    kind: Literal["ome-tiff", "imagej", "sequence"]
    condition: str
    seed: int
    overrides: dict[str, Any]


COMMON: dict[str, Any] = {
    "pixel_size_um": 0.18,
    "frame_interval_s": 120.0,
    "warmup_min": 80.0,
    "cell_area_um2": 500.0,
    "speed_um_per_min": 0.5,
    "n_tails": 4.0,
    "migrasomes_per_100um": 10.0,
    "camera": "scmos",
    "gain_count_per_e": 0.8,
    "read_noise_e": 1.4,
    "bit_depth": 16,
}
#: Eight bits hold a dim movie: its brightest migrasomes saturate, as they do in practice.
EIGHT_BIT: dict[str, Any] = {
    "bit_depth": 8,
    "cell_e_tspan4": 160.0,
    "cell_e_wga": 220.0,
    "gain_count_per_e": 0.6,
    "offset_count": 10.0,
}
SAMPLES = (
    Sample(
        "movie_a", "movie_a.ome.tif", "ome-tiff", "typical", 67, {"height_px": 256, "width_px": 256, "n_frames": 24}
    ),
    Sample(
        "movie_b", "movie_b.tif", "imagej", "clean", 30, {"height_px": 224, "width_px": 224, "n_frames": 20} | EIGHT_BIT
    ),
    Sample("movie_c", "movie_c", "sequence", "clean", 42, {"height_px": 224, "width_px": 224, "n_frames": 20}),
)


def make(folder: Path) -> None:
    """Write movies, truth and checksums into a folder."""
    cv2.setNumThreads(1)
    for sample in SAMPLES:
        simulation = simulate(sample.condition, sample.seed, movie_id=sample.movie_id, **(COMMON | sample.overrides))
        data = simulation.data.astype(np.uint8) if simulation.params.bit_depth == 8 else simulation.data
        # a plain file sequence holds no calibration: the user has to give it
        calibration = None if sample.kind == "sequence" else simulation.calibration
        names = [{"tspan4": "TSPAN4", "wga": "WGA"}[role] for role in simulation.roles]
        target = folder / "movies" / sample.path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_movie(target, data, simulation.axes, calibration, names, sample.kind)
        # text tables can be read and compared by eye
        write_results(simulation.truth, folder / "truth" / sample.movie_id, "csv")
        print(sample.movie_id, simulation.data.shape, len(simulation.truth.tracks), "migrasomes")
    write_checksums(folder)


def write_checksums(folder: Path) -> None:
    """SHA256 of every file, in the form that ``sha256sum -c`` reads."""
    files = [p for part in ("movies", "truth") for p in sorted((folder / part).rglob("*")) if p.is_file()]
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}" for p in files]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
