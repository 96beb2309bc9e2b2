"""Movies for the benchmark of speed: one field is simulated once, all lengths and sizes are made of it.

A field of 2048 x 2048 pixels with two channels, about 20 cells and 300 migrasomes is simulated without noise over
50 frames. Smaller sizes are cut out of its middle. Longer movies play these frames forth and back, since hours of
simulation would tell nothing about speed: cells then walk back and migrasomes shrink again every other time, which
costs the analysis what growth costs it. Each frame gets fresh noise of photons and of the camera (as one normal deviate
of the same variance), so that no two frames are alike and candidates of noise come and go as they do in a real movie.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.io import write_movie
from migradetect.synthetic import simulate

__all__ = ["CALIBRATION", "FIELD_PX", "Field", "make_noise_movie"]

FIELD_PX = 2048
CALIBRATION = Calibration(0.14, 120.0)
SEED = 930_001
#: As many cells and migrasomes as a good field of a screen has.
_BIOLOGY = {"cell_density_per_mm2": 245.0, "migrasomes_per_100um": 10.0, "warmup_min": 240.0}
_ROLES = ("tspan4", "wga")


class Field:
    """The simulated field, kept in a file.

    Parameters
    ----------
    folder : Path
        Where it is kept, and where movies are written.
    size_px, n_frames : int
        Of the field; smaller for a quick run.
    """

    def __init__(self, folder: Path, size_px: int = FIELD_PX, n_frames: int = 50) -> None:
        self.folder, self.size_px, self.n_frames = folder, size_px, n_frames
        self._path = folder / f"field_{size_px}_{n_frames}.npz"

    def _load(self) -> tuple[NDArray[np.uint16], float, float, float]:
        if not self._path.exists():
            print(f"simulating {self.n_frames} frames of {self.size_px} x {self.size_px} x 2 ...", flush=True)
            simulation = simulate(
                "typical",
                SEED,
                n_frames=self.n_frames,
                height_px=self.size_px,
                width_px=self.size_px,
                pixel_size_um=CALIBRATION.pixel_size_um,
                frame_interval_s=CALIBRATION.frame_interval_s,
                is_noise_free=True,
                **_BIOLOGY,
            )
            cells = len(simulation.truth.cells) / self.n_frames
            migrasomes = len(simulation.truth.migrasomes) / self.n_frames
            print(f"field: {cells:.0f} cells and {migrasomes:.0f} migrasomes in a frame", flush=True)
            p = simulation.params
            camera = [p.gain_count_per_e, p.offset_count, p.read_noise_e]
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self._path.with_suffix(".part.npz")
            np.savez(part, data=simulation.data, camera=camera, objects=[cells, migrasomes])
            part.replace(self._path)
        with np.load(self._path) as stored:
            gain, offset, read_noise = stored["camera"]
            return stored["data"], float(gain), float(offset), float(read_noise)

    def objects(self) -> tuple[float, float]:
        """Cells and migrasomes in a frame of the whole field."""
        self._load()
        with np.load(self._path) as stored:
            cells, migrasomes = stored["objects"]
        return float(cells), float(migrasomes)

    def movie(self, size_px: int, n_frames: int, copies: int = 1) -> list[Path]:
        """Uncompressed ImageJ TIFF files of a size and length, made where absent; each copy has its own noise."""
        paths = [self.folder / f"movie_{size_px}_{n_frames}_{copy}.tif" for copy in range(copies)]
        missing = [copy for copy, path in enumerate(paths) if not path.exists()]
        if not missing:
            return paths
        data, gain, offset, read_noise = self._load()
        start = (data.shape[-1] - size_px) // 2
        clean = data[..., start : start + size_px, start : start + size_px]
        there_and_back = np.concatenate([np.arange(len(clean)), np.arange(len(clean))[-2:0:-1]])
        for copy in missing:
            rng = np.random.default_rng([SEED, size_px, copy])

            def frame(index: int, rng: np.random.Generator = rng) -> NDArray[np.uint16]:
                electrons = np.maximum(clean[index].astype(np.float32) - offset, 0) / gain
                spread = np.sqrt(electrons + read_noise**2)
                noisy = electrons + spread * rng.standard_normal(electrons.shape, dtype=np.float32)
                return np.clip(np.rint(noisy * gain + offset), 0, 65535).astype(np.uint16)

            movie = np.empty((n_frames, *clean.shape[1:]), np.uint16)
            for k, index in enumerate(np.resize(there_and_back, n_frames)):
                movie[k] = frame(int(index))
            part = paths[copy].with_name(f"part_{paths[copy].name}")
            # ImageJ's own format ends at 4 GB
            kind = "imagej" if movie.nbytes < 3.9e9 else "ome-tiff"
            write_movie(part, movie, "TCYX", CALIBRATION, list(_ROLES), kind=kind)
            part.replace(paths[copy])
        return paths


def make_noise_movie(folder: Path, size_px: int, n_frames: int = 3) -> Path:
    """A movie of nothing but noise, blurred to the size of a bead: 100,000 maxima in 2048 x 2048."""
    path = folder / f"noise_{size_px}_{n_frames}.tif"
    if not path.exists():
        import cv2

        rng = np.random.default_rng(SEED)
        planes = []
        for _ in range(n_frames * len(_ROLES)):
            plane = cv2.GaussianBlur(rng.standard_normal((size_px, size_px), dtype=np.float32), (0, 0), 1.2)
            white = rng.standard_normal((size_px, size_px), dtype=np.float32)
            planes.append(np.rint(500 + 20 * white + 200 * plane))
        movie = np.clip(np.stack(planes), 0, 65535).astype(np.uint16)
        movie = movie.reshape(n_frames, len(_ROLES), size_px, size_px)
        part = path.with_name(f"part_{path.name}")
        write_movie(part, movie, "TCYX", CALIBRATION, list(_ROLES), kind="imagej")
        part.replace(path)
    return path
