"""The recording again, read around one place only: forced photometry for sites that a correction makes or moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.assign import ArmReader, count_arms
from migradetect.errors import AxesError, MigradetectError, ReadError
from migradetect.filters import NoiseModel
from migradetect.frame_quality import fill_plane
from migradetect.io import check_same_recording, reopen_movie
from migradetect.movie import DETECTION_ROLES, Movie
from migradetect.photometry import Sites, measure_covered, measure_sites, settle_shape
from migradetect.pipeline.sites import CLEAR_UM, MovieModel, aligned_movie, fit_movie_model, outside_bodies, site_images
from migradetect.profiles import N_SHAPES, ProfileLibrary
from migradetect.review._base import Base
from migradetect.review._watch import Watch, in_threads
from migradetect.review._windows import WindowCache

__all__ = ["Recording"]

Image = NDArray[np.float32]
_Box = tuple[slice, slice]


class Recording:
    """The movie that the results were made of, opened when it is first needed.

    Parameters
    ----------
    base : Base
        Automatic results; they say where it is.
    movie : Movie, optional
        The movie, where it is at hand.
    """

    def __init__(self, base: Base, movie: Movie | None = None) -> None:
        self._base = base
        self._given = movie
        #: Why it can't be read; None where it can, or nobody has looked yet.
        self.problem: str | None = None

    @cached_property
    def movie(self) -> Movie | None:
        """The movie as recorded; None where it can't be opened."""
        try:
            base = self._base
            movie = self._given or reopen_movie(base.results.provenance, base.folder, base.movie_id)
            check_same_recording(movie, base.n_frames, base.shape_yx)
        except MigradetectError as error:
            self.problem = f"the images can't be read, so signals of new places are null: {error}"
            return None
        return movie

    @cached_property
    def _kept_windows(self) -> WindowCache:
        assert self.movie is not None
        shifts = self._base.results.provenance.get("channel_shift_px", {})
        return WindowCache(aligned_movie(self.movie, {role: (int(y), int(x)) for role, (y, x) in shifts.items()}))

    @cached_property
    def model(self) -> MovieModel | None:
        """Noise and PSF, as measured when the movie was analysed."""
        movie = self.movie
        if movie is None:
            return None
        known = self._base.results.provenance
        if not {"noise", "background", "psf_sigma_um"} <= known.keys():  # results of an earlier version
            numbers = tuple(int(number) for number in self._base.timeline.numbers)
            return fit_movie_model(
                replace(movie, n_frames=len(numbers), source=_Some(movie, numbers)), self._base.params
            )
        noise = {role: NoiseModel(**values) for role, values in known["noise"].items()}
        level = {role: float(value) for role, value in known["background"].items()}
        sigma = {
            role: float(np.sqrt(one.variance(np.full((1, 1), level[role], np.float32))[0, 0]))
            for role, one in noise.items()
        }
        psf = float(known["psf_sigma_um"])
        library = ProfileLibrary.build(self._base.calibration.pixel_size_um, psf)
        roles = tuple(role for role in movie.roles if role in DETECTION_ROLES)
        return MovieModel(roles, noise, sigma, level, psf, True, library)

    def plane(self, frame: int, role: str) -> NDArray[Any] | None:
        """Plane as recorded, shape (Y, X); None where the images can't be read."""
        movie = self.movie
        if movie is None:
            return None
        try:
            return np.asarray(movie.source.read(frame, movie.roles.index(role)))
        except (MigradetectError, OSError) as error:
            self._lose(error)
            return None

    def measure(
        self,
        places_um: NDArray[np.float64],
        frames: NDArray[np.int64],
        diameter_um: float,
        bodies_in: Callable[[int, slice, slice], NDArray[Any]],
        first_seen: int | None,
        shape: int | None = None,
        watch: Watch | None = None,
    ) -> pd.DataFrame | None:
        """Photometry at one place of the dish in many frames.

        The surroundings of the place in all frames are put side by side in one picture, so that everything is read in
        one go.

        Parameters
        ----------
        places_um : ndarray, shape (K, 2)
            y, x in each of the frames as recorded.
        frames : ndarray of int, shape (K,)
            Frames as recorded.
        diameter_um : float
            Typical full-grown diameter.
        bodies_in : callable
            From a frame as recorded, rows and columns to the cell bodies there.
        first_seen : int, optional
            Frame in which it was first seen, for the arms of fiber around it.
        shape : int, optional
            Index of the profile shape; by default the one that fits best.
        watch : Watch, optional
            Each frame is a step.

        Returns
        -------
        pandas.DataFrame or None
            K rows in the order of the frames, as of pass 3: is_in_field, amplitude, amplitude_err, snr, diameter_um,
            diameter_err_um, <role>_signal, <role>_err, covered, covered_err, n_arms. None without images.
        """
        model = self.model
        if model is None or self.movie is None:
            return None
        tiles = _Tiles(self._base, places_um, diameter_um)
        images = self._windows(tiles, frames, watch or Watch())
        if images is None:
            return None
        around = [None if box is None else bodies_in(t, *box) for t, box in tiles.of(frames)]
        bodies = tiles.join(around).astype(np.int32)
        signal, variance, channels = site_images(images, model)
        weight = outside_bodies(bodies, self._base.calibration) * tiles.in_image
        margin = self._margins(tiles, frames)
        inside = tiles.is_inside
        if margin is not None:
            weight *= margin == 0
            inside = inside & (tiles.at_centre(margin) == 0)
        site = self._site(tiles, diameter_um, shape)
        calibration = self._base.calibration

        def read(sites: Sites) -> pd.DataFrame:
            return measure_sites(sites, signal, variance, weight, channels, (0.0, 0.0), calibration, model.library)

        out = read(site)
        if shape is None:
            out, site = _best_shape(out, site, read)
        out["is_in_field"] = inside
        out["covered"], out["covered_err"] = np.nan, np.nan
        covered = np.flatnonzero(inside & (tiles.gap_um(bodies) <= CLEAR_UM))
        if covered.size:
            through = measure_covered(site, covered, signal, variance, bodies, (0.0, 0.0), calibration, model.library)
            out.loc[covered, "covered"], out.loc[covered, "covered_err"] = through
        out["n_arms"] = (
            -1 if first_seen is None else tiles.count_arms(signal, variance, weight, frames, diameter_um, first_seen)
        )
        out["migrasome_id"] = 1
        out["shape"] = site.shape[0]
        return settle_shape(out)

    def _windows(self, tiles: _Tiles, frames: NDArray[np.int64], watch: Watch) -> dict[str, Image] | None:
        """One picture of the surroundings in all frames, for each role; None where they can't be read."""
        movie = self.movie
        assert movie is not None
        windows = self._kept_windows

        def read(item: tuple[int, _Box | None]) -> list[NDArray[Any] | None]:
            frame, box = item
            return [None if box is None else windows.read(frame, channel, *box) for channel in range(len(movie.roles))]

        try:
            if hasattr(movie.source, "read_rows"):
                parts = in_threads(read, tiles.of(frames), watch)
            else:
                # a reader of another format may not like to be asked from several threads
                parts = []
                for item in tiles.of(frames):
                    parts.append(read(item))
                    watch.step()
        except (ReadError, AxesError, OSError) as error:
            self._lose(error)
            return None
        return {role: tiles.join([part[k] for part in parts]) for k, role in enumerate(movie.roles)}

    def _margins(self, tiles: _Tiles, frames: NDArray[np.int64]) -> Image | None:
        """What was not recorded around the place, in one picture; None where no frame has a margin."""
        has_margin = self._base.has_margin[frames]
        if not has_margin.any():
            return None
        windows = self._kept_windows
        try:
            return tiles.join(
                [
                    windows.margin(frame, *box) if on and box is not None else None
                    for (frame, box), on in zip(tiles.of(frames), has_margin, strict=True)
                ]
            )
        except (ReadError, AxesError, OSError) as error:
            self._lose(error)
            return None

    def _lose(self, error: Exception) -> None:
        self.problem = f"the images can't be read, so signals of new places are null: {error}"
        self.__dict__["movie"] = None

    def _site(self, tiles: _Tiles, diameter_um: float, shape: int | None) -> Sites:
        k = tiles.centre_um.shape[0]
        return Sites(
            np.arange(1, k + 1, dtype=np.int64),
            tiles.centre_um[:, 0],
            tiles.centre_um[:, 1],
            np.full(k, diameter_um),
            np.full(k, shape or 0, np.int64),
        )


def _best_shape(out: pd.DataFrame, site: Sites, read: Any) -> tuple[pd.DataFrame, Sites]:
    """Reading with the profile that fits best over all frames."""
    misfit = [out.loc[out["snr"] > 6, f"chi2_{k}"].median() for k in range(N_SHAPES)]
    best = int(np.nanargmin(misfit)) if np.isfinite(misfit).any() else 0
    if best == int(site.shape[0]):
        return out, site
    site = replace(site, shape=np.full(site.shape.size, best, np.int64))
    return read(site), site


class _Tiles:
    """Equal squares around a place, one for each frame, side by side in one picture."""

    def __init__(self, base: Base, places_um: NDArray[np.float64], diameter_um: float) -> None:
        self._base = base
        calibration = base.calibration
        self._place_px = np.asarray(calibration.px(places_um), float)
        # what is read beside a covered site lies furthest out
        reach_um = max(diameter_um + 1.0 + diameter_um * 0.8 + 0.6, diameter_um / 2 + 1.5) + 0.5
        self._half = math.ceil(float(calibration.px(reach_um))) + 3
        # even, and from even pixels on: noise is known for squares of two pixels
        self.size = 2 * self._half + 2
        k = len(self._place_px)
        self._columns = max(1, math.ceil(math.sqrt(k)))
        self._rows = max(1, math.ceil(k / self._columns))
        height, width = base.shape_yx
        self.is_inside = (
            (self._place_px >= 0).all(axis=1)
            & (self._place_px[:, 0] <= height - 1)
            & (self._place_px[:, 1] <= width - 1)
        )
        clipped = np.clip(np.nan_to_num(self._place_px), -1e6, 1e6)
        self._corner = (np.rint(clipped).astype(np.int64) - self._half) // 2 * 2
        index = np.arange(k)
        self._tile = np.stack([index // self._columns, index % self._columns], axis=1) * self.size
        self.centre_um = np.asarray(calibration.um(clipped - self._corner + self._tile), float)

    def _box(self, k: int) -> tuple[_Box, _Box] | None:
        """Where tile k lies in the frame, and in the picture; None where it is out of the frame."""
        low = np.maximum(self._corner[k], 0)
        high = np.minimum(self._corner[k] + self.size, self._base.shape_yx)
        if (high <= low).any():
            return None
        start = self._tile[k] + low - self._corner[k]
        stop = start + high - low
        return (
            (slice(low[0], high[0]), slice(low[1], high[1])),
            (slice(start[0], stop[0]), slice(start[1], stop[1])),
        )

    def of(self, frames: NDArray[np.int64]) -> list[tuple[int, _Box | None]]:
        """Each frame, and where its tile lies in it; None where it is out of the frame."""
        boxes = (self._box(k) for k in range(len(self._corner)))
        return [(int(frame), None if box is None else box[0]) for frame, box in zip(frames, boxes, strict=True)]

    def join(self, parts: list[NDArray[Any] | None]) -> Image:
        """One picture of what was read where :meth:`of` says."""
        out = np.zeros((self._rows * self.size, self._columns * self.size), np.float32)
        for k, part in enumerate(parts):
            if part is None:
                continue
            tile = out[self._tile[k][0] :, self._tile[k][1] :][: self.size, : self.size]
            # beyond the edge of the image the filters see what they see in the whole frame
            before = np.maximum(-self._corner[k], 0)
            after = np.array(tile.shape) - before - part.shape
            tile[:] = np.pad(part, [(before[0], after[0]), (before[1], after[1])], mode="symmetric")
        return out

    def at_centre(self, picture: Image) -> NDArray[np.float32]:
        """Pixel of the picture at the place in each frame, shape (K,)."""
        place = np.rint(np.asarray(self._base.calibration.px(self.centre_um))).astype(np.int64)
        return picture[place[:, 0], place[:, 1]]

    @cached_property
    def in_image(self) -> Image:
        """1 in the image, 0 beyond its edge."""
        out = np.zeros((self._rows * self.size, self._columns * self.size), np.float32)
        for k in range(len(self._corner)):
            box = self._box(k)
            if box is not None:
                out[box[1]] = 1
        return out

    def gap_um(self, bodies: NDArray[np.int32]) -> NDArray[np.float64]:
        """Distance to the nearest body in each tile; inf where there is none in it."""
        from migradetect.filters import nearest_label

        out = np.full(len(self._corner), np.inf)
        for k, (row, column) in enumerate(self._tile):
            tile = bodies[row : row + self.size, column : column + self.size]
            place = self._place_px[k] - self._corner[k]
            out[k] = self._base.calibration.um(float(nearest_label(tile, place[:1], place[1:])[0][0]))
        return out

    def count_arms(
        self,
        signal: Image,
        variance: Image,
        weight: Image,
        frames: NDArray[np.int64],
        diameter_um: float,
        first_seen: int,
    ) -> int:
        """Arms of fiber at the place around birth."""
        calibration = self._base.calibration
        stage = self.centre_um[0]
        numbers = [self._base.to_usable(int(frame)) for frame in frames]
        seen = np.array([self._base.to_usable(first_seen)])
        arms = ArmReader(stage[:1], stage[1:], np.array([diameter_um]), seen, calibration)
        with np.errstate(invalid="ignore", divide="ignore"):
            snr = np.where(variance > 0, signal / np.sqrt(variance), 0).astype(np.float32)
        for k, number in enumerate(numbers):
            box = self._box(k)
            if box is None:
                continue
            corner = np.array([box[1][0].start, box[1][1].start])
            shift = self.centre_um[k] - calibration.um(corner.astype(float)) - stage
            arms.read(number, snr[box[1]], weight[box[1]], (float(shift[0]), float(shift[1])))
        return int(count_arms(arms.rays(), self._base.params.assign.method)[0])


class _Some:
    """Some frames of a movie."""

    def __init__(self, movie: Movie, numbers: tuple[int, ...]) -> None:
        self._movie, self._numbers = movie, numbers

    def read(self, frame: int, channel: int) -> NDArray[Any]:
        """Plane, shape (Y, X)."""
        return fill_plane(self._movie.source.read(self._numbers[frame], channel))
