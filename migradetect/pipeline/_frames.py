"""Pass 1, what is done to one frame and to a window of registered frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.cells import measure_cells, segment_cells
from migradetect.fibers import Beads, trace_fibers
from migradetect.filters import (
    NoiseModel,
    add_shifted,
    doubled,
    estimate_noise,
    gaussian,
    halved,
    local_background,
    quantile,
    remove_hot_pixels,
    trimmed_mean,
    typical,
)
from migradetect.movie import DETECTION_ROLES, Movie
from migradetect.params import Params
from migradetect.pipeline._psf import fiber_widths_um, psf_from_widths, usual_psf_um
from migradetect.profiles import ProfileLibrary
from migradetect.registration import anchored_detail, estimate_shift
from migradetect.spots import SpotImage, find_spots

__all__ = [
    "FrameData",
    "FrameResult",
    "FrameSignal",
    "MovieModel",
    "Window",
    "clean_frame",
    "detect",
    "fit_movie_model",
    "outside_bodies",
    "prepare_frame",
]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

#: Pixels this close to a body outline hold its blurred edge; they are left out of spots and fibers, um.
EDGE_UM = 0.25
#: Relative error of a PSF that needs no better look, and of one that counts as measured.
_CLEAR_PSF, _MEASURED_PSF = 0.02, 0.15
#: Below this a smoothed channel holds noise, units of the noise of a pixel.
_LEAST_LEVEL = 0.5


@dataclass(frozen=True)
class MovieModel:
    """What is constant over a movie: noise of each channel, PSF, and the profiles that follow from it."""

    roles: tuple[str, ...]
    noise: dict[str, NoiseModel]
    empty_sigma: dict[str, float]
    """Noise of an empty pixel, counts."""
    background: dict[str, float]
    """Typical recorded level of an empty pixel, counts."""
    psf_sigma_um: float
    is_psf_measured: bool
    library: ProfileLibrary


@dataclass
class FrameData:
    """What is known of one frame before detection; images of shape (Y, X)."""

    index: int
    cells: Labels
    cell_table: pd.DataFrame
    """From :func:`migradetect.cells.measure_cells`."""
    detail: Image
    """Anchored fine detail, for registration."""
    drift_px: tuple[float, float] = (0.0, 0.0)
    """Stage drift since the first frame (y, x)."""
    registration_confidence: float = 0.0
    level: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Background and noise of an empty pixel in this frame, counts, by role."""
    focus: float = float("nan")
    colour: Image | None = None
    """Logarithm of TSPAN4 over WGA, at half the resolution; None where either is missing."""


@dataclass(frozen=True)
class FrameSignal:
    """What a frame adds to the average of its neighbours."""

    signal: Image
    """Channels above the local background, each over the noise of an empty pixel, added; 0 inside bodies."""
    half_variance: Image
    """Noise variance of it, at half the resolution."""
    is_open: NDArray[np.uint8]
    """1 outside bodies, else 0."""


@dataclass
class FrameResult:
    """What pass 1 found in one frame."""

    spots: pd.DataFrame
    fibers: Labels
    ridge: Image
    n_cut: int = 0
    """Maxima beyond the most that are taken in a frame."""


def fit_movie_model(movie: Movie, params: Params) -> MovieModel:
    """Noise and PSF from a handful of frames spread over the movie.

    Parameters
    ----------
    movie : Movie
        Any number of frames.
    params : Params
        `optics` may give the PSF.

    Returns
    -------
    MovieModel
    """
    roles = tuple(role for role in movie.roles if role in DETECTION_ROLES)
    indices = sorted({round(i * (movie.n_frames - 1) / 4) for i in range(5)})
    noise, sigma, level = {}, {}, {}
    for role in movie.roles:
        images = [movie.frame(i, role) for i in indices]
        noise[role] = estimate_noise(images)
        # an empty pixel: the mode of a field that cells and fibers fill partly is below the median
        level[role] = float(np.median([_empty_level(image) for image in images]))
        sigma[role] = float(np.sqrt(noise[role].variance(np.full((1, 1), level[role], np.float32))[0, 0]))
    pixel = movie.calibration.pixel_size_um
    psf = params.optics.psf_fwhm_um / 2.3548 if params.optics.psf_fwhm_um else usual_psf_um(pixel)
    model = MovieModel(roles, noise, sigma, level, psf, False, ProfileLibrary.build(pixel, psf))
    if not params.optics.psf_fwhm_um:
        psf, error = _psf_on_fibers(movie, indices, 0, params, model)
        if error > _CLEAR_PSF and movie.n_frames > 1:
            # fibers too dim to be read in one frame are read in the average of registered ones
            psf, error = _psf_on_fibers(movie, indices, 2, params, model)
        model = replace(
            model, psf_sigma_um=psf, is_psf_measured=error < _MEASURED_PSF, library=ProfileLibrary.build(pixel, psf)
        )
    return model


def _psf_on_fibers(
    movie: Movie, indices: list[int], half: int, params: Params, model: MovieModel
) -> tuple[float, float]:
    pixel = movie.calibration.pixel_size_um
    widths = [fiber_widths_um(_averaged(movie, i, half, params, model), i, pixel) for i in indices]
    sigma, error = (np.concatenate([pair[k] for pair in widths]) for k in (0, 1))
    return psf_from_widths(sigma, error, pixel)


def _empty_level(image: Image) -> float:
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) if min(image.shape) >= 16 else image
    low, high = quantile(small, 0.005), quantile(small, 0.7)
    if high <= low:
        return low
    counts, edges = np.histogram(small, bins=64, range=(low, high))
    smooth = np.convolve(counts, [1, 2, 3, 2, 1], mode="same")
    k = int(np.argmax(smooth))
    return float(0.5 * (edges[k] + edges[k + 1]))


def _averaged(movie: Movie, index: int, half: int, params: Params, model: MovieModel) -> SpotImage:
    """One frame averaged with `half` registered neighbours on either side."""
    window = Window(half)
    before = None
    for one in range(max(0, index - half), min(movie.n_frames, index + half + 1)):
        before, signal = prepare_frame(movie, one, params, model, before)
        window.push(before, signal)
    return window.average(index)[1]


def prepare_frame(
    movie: Movie, index: int, params: Params, model: MovieModel, before: FrameData | None
) -> tuple[FrameData, FrameSignal]:
    """Read one frame; find bodies, background, noise and the drift against the frame before.

    Parameters
    ----------
    movie : Movie
        Where the planes come from.
    index : int
        Frame.
    params : Params
        All parameters.
    model : MovieModel
        Noise and PSF of the movie.
    before : FrameData or None
        The frame before, for drift and for parting touching cells.

    Returns
    -------
    FrameData, FrameSignal
    """
    calibration = movie.calibration
    raw, half_variance = {}, {}
    for role in movie.roles:
        raw[role], half_variance[role] = clean_frame(movie, index, role, model)
    body = np.zeros(movie.shape_yx, np.float32)
    above = {}
    for role in movie.roles:
        above[role] = _above_bowl(raw[role], half_variance[role], calibration.px(8.0))
        if role in model.roles:
            body += above[role] * np.float32(1 / (model.empty_sigma[role] * np.sqrt(len(model.roles))))
    cells, thick = segment_cells(body, params.cells, calibration, None if before is None else before.cells)
    cell_table = measure_cells(cells, above, calibration)
    del above, body
    is_open = outside_bodies(thick, calibration)
    weight = is_open.astype(np.float32)
    signal = np.zeros(movie.shape_yx, np.float32)
    variance = np.zeros_like(half_variance[movie.roles[0]])
    level, channels = {}, {}
    for role in movie.roles:
        background = local_background(
            raw[role], weight, half_variance[role], calibration.px(params.preprocess.background_um / 3)
        )
        level[role] = typical(background), float(np.sqrt(typical(half_variance[role], where=halved(weight) == 1)))
        if role in model.roles:
            # what is read here is not needed again: no new images
            excess = np.subtract(raw[role], background, out=raw[role])
            excess *= np.float32(1 / model.empty_sigma[role])
            excess *= weight
            signal += excess
            variance += half_variance[role] * np.float32(1 / model.empty_sigma[role] ** 2)
            channels[role] = excess
    spread = doubled(np.sqrt(variance), movie.shape_yx)
    detail = anchored_detail(np.divide(signal, spread, out=spread), weight, calibration)
    frame = FrameData(index, cells, cell_table, detail, level=level)
    frame.colour = _colour(channels, calibration.px(model.psf_sigma_um))
    frame.focus = typical(np.abs(detail), 0.99)
    if before is not None and params.registration.enabled:
        dy, dx, frame.registration_confidence = estimate_shift(before.detail, detail, params.registration, calibration)
        frame.drift_px = (before.drift_px[0] + dy, before.drift_px[1] + dx)
    elif before is not None:
        frame.drift_px = before.drift_px
    return frame, FrameSignal(signal, variance, is_open)


def clean_frame(movie: Movie, index: int, role: str, model: MovieModel) -> tuple[Image, Image]:
    """Counts of one plane without hot pixels, and their noise variance at half the resolution."""
    image = movie.frame(index, role)
    half_variance = model.noise[role].half_variance(halved(image))
    return remove_hot_pixels(image, half_variance), half_variance


def _colour(channels: dict[str, Image], psf_px: float) -> Image | None:
    """Logarithm of TSPAN4 over WGA at half the resolution, from channels smoothed by the PSF."""
    if not {"tspan4", "wga"} <= set(channels):
        return None
    # the mean of 2 x 2 pixels is a part of the blur
    rest = 0.5 * float(np.sqrt(max(psf_px**2 - 0.25, 0.0)))
    tspan4, wga = (np.maximum(gaussian(halved(channels[role]), rest), _LEAST_LEVEL) for role in ("tspan4", "wga"))
    return np.asarray(np.log(tspan4 / wga), np.float32)


def _above_bowl(image: Image, half_variance: Image, scale_px: float) -> Image:
    """Image without the background under the cells: a smooth bowl through the lower part of the field."""
    factor = max(1, round(scale_px / 8))
    shape = (max(1, image.shape[0] // factor), max(1, image.shape[1] // factor))
    quarter = halved(halved(image)) if factor >= 4 else image
    small = cv2.resize(quarter, shape[::-1], interpolation=cv2.INTER_AREA)
    # vignetting has no detail: a part of the field tells all
    step = max(1, min(shape) // 96)
    small = small[::step, ::step]
    level = _empty_level(image)
    spread = float(np.sqrt(typical(half_variance))) / max(factor / 2, 1)
    surface = np.full(small.shape, level, np.float32)
    rows, columns = ((np.arange(n) + 0.5) / n * 2 - 1 for n in shape)
    yy, xx = np.meshgrid(rows[::step], columns[::step], indexing="ij")
    design = np.stack([np.ones_like(yy), yy, xx, yy * xx, yy**2, xx**2]).reshape(6, -1)
    solution = np.array([level, 0, 0, 0, 0, 0], np.float64)
    for _ in range(6):
        # vignetting is a smooth bowl: a quadratic surface through what is not above it
        residual = small - surface
        keep = np.abs(residual) < 3 * spread + 0.08 * abs(level)
        if np.count_nonzero(keep) < 50:
            break
        weight = keep / (1 + (np.maximum(residual, 0) / (1.5 * spread)) ** 2)
        weighted = design * weight.ravel()
        # six terms on -1 to 1 are far from degenerate, unless few pixels in a corner are left
        solution = np.linalg.lstsq(weighted @ design.T, weighted @ small.ravel(), rcond=None)[0]
        surface = (solution @ design).reshape(small.shape)
    return _less_bowl(image, solution)


@njit(cache=True, nogil=True)
def _less_bowl(image: Image, terms: NDArray[np.float64]) -> Image:  # pragma: no cover (numba)
    """Image less a quadratic surface of (1, y, x, yx, yy, xx) over coordinates from -1 to 1."""
    height, width = image.shape
    out = np.empty(image.shape, np.float32)
    across = (np.arange(width) + 0.5) / width * 2 - 1
    for row in range(height):
        y = (row + 0.5) / height * 2 - 1
        first, slope = np.float32(terms[0] + terms[1] * y + terms[4] * y * y), np.float32(terms[2] + terms[3] * y)
        bend = np.float32(terms[5])
        for column in range(width):
            x = np.float32(across[column])
            out[row, column] = image[row, column] - (first + x * (slope + x * bend))
    return out


def outside_bodies(bodies: NDArray[Any], calibration: Calibration) -> NDArray[np.uint8]:
    """1 outside cell bodies and their blurred edges, else 0; shape (Y, X)."""
    radius = max(1, round(calibration.px(EDGE_UM)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.erode((bodies == 0).astype(np.uint8), kernel, borderValue=1), np.uint8)


class Window:
    """The frames within reach of a centre one, and their registered average.

    Averaging comes before any maximum or threshold: what is anchored adds up, noise averages out. The extremes are left
    out, so that a filopodium that sweeps past leaves no mark.
    """

    def __init__(self, half_width: int) -> None:
        self.half_width = half_width
        self._size = 2 * half_width + 1
        self._frames: deque[FrameData] = deque(maxlen=self._size)
        # one block of memory, written in turn
        self._signal: Image | None = None
        self._is_open: NDArray[np.uint8] = np.empty((0, 0, 0), np.uint8)
        # noise variance and open share of each frame, at half the resolution
        self._noise: deque[tuple[Image, Image]] = deque(maxlen=self._size)

    def push(self, frame: FrameData, signal: FrameSignal) -> None:
        """Add the next frame; the oldest falls out."""
        if self._signal is None:
            self._signal = np.empty((self._size, *signal.signal.shape), np.float32)
            self._is_open = np.empty(self._signal.shape, np.uint8)
        self._signal[frame.index % self._size] = signal.signal
        self._is_open[frame.index % self._size] = signal.is_open
        is_open = signal.is_open[::2, ::2].astype(np.float32)
        self._noise.append((signal.half_variance * is_open, is_open))
        self._frames.append(frame)

    def average(self, centre: int) -> tuple[FrameData, SpotImage]:
        """Frame `centre` and the trimmed mean of all frames within reach of it, in its coordinates."""
        assert self._signal is not None
        middle = next(frame for frame in self._frames if frame.index == centre)
        near = [k for k, frame in enumerate(self._frames) if abs(frame.index - centre) <= self.half_width]
        frames = [self._frames[k] for k in near]
        places = np.array([frame.index % self._size for frame in frames])
        drift = np.array([frame.drift_px for frame in frames])
        shifts = np.rint(np.asarray(middle.drift_px) - drift).astype(np.int64)
        variance = self._mean_variance(near, shifts)
        # where the centre frame has a body the neighbours may still see the dish, but the spot is not seen *now*
        image = SpotImage(
            *trimmed_mean(self._signal, self._is_open, places, shifts, variance, self._is_open[centre % self._size])
        )
        return middle, image

    def _mean_variance(self, near: list[int], shifts: NDArray[np.int64]) -> Image:
        """Registered mean over the open dish, shape (Y, X)."""
        half = self._noise[near[0]][0].shape
        total, share = np.zeros(half, np.float32), np.full(half, 1e-6, np.float32)
        for k, (dy, dx) in zip(near, shifts, strict=True):
            for plane, out in zip(self._noise[k], (total, share), strict=True):
                add_shifted(out, plane, round(dy / 2), round(dx / 2))
        total /= share
        # nowhere open: what is written there is never read, but must not be 0
        total[share < 0.5] = 1.0
        return doubled(total, self._is_open.shape[1:])


def detect(image: SpotImage, params: Params, calibration: Calibration, model: MovieModel) -> FrameResult:
    """Candidates and fibers of one averaged frame."""
    spots = find_spots(image, params.spots, calibration, model.library, model.psf_sigma_um)
    n_cut = spots.attrs.pop("n_cut", 0)
    round_ones = spots[(spots["blob_snr"] > 10) & (spots["roundness"] > 0.5) & (spots["diameter_um"] < 5)]
    beads = Beads(
        round_ones["y_px"].to_numpy(float),
        round_ones["x_px"].to_numpy(float),
        calibration.px(round_ones["diameter_um"].to_numpy(float) / 2),
    )
    fibers, ridge = trace_fibers(image.snr, image.weight, beads, params.fibers, calibration, model.psf_sigma_um)
    return FrameResult(spots, fibers, ridge, n_cut)
