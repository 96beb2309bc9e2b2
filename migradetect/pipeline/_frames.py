"""Pass 1, what is done to one frame and to a window of registered frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.cells import segment_cells
from migradetect.fibers import Beads, trace_fibers
from migradetect.filters import (
    NoiseModel,
    estimate_noise,
    gaussian,
    local_background,
    quantile,
    remove_hot_pixels,
    shift_integer,
    trimmed_mean,
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
    "MovieModel",
    "Window",
    "detect",
    "fit_movie_model",
    "outside_bodies",
    "prepare_frame",
    "wide_background",
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
    """One frame, ready for detection; images of shape (Y, X)."""

    index: int
    cells: Labels
    signal: Image
    """Channels above the local background, each over the noise of an empty pixel, added; 0 inside bodies."""
    variance: Image
    weight: Image
    above: dict[str, Image]
    """Channels above the wide background, counts."""
    detail: Image
    """Anchored fine detail, for registration."""
    drift_px: tuple[float, float] = (0.0, 0.0)
    """Stage drift since the first frame (y, x)."""
    registration_confidence: float = 0.0
    level: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Background and noise of an empty pixel in this frame, counts, by role."""
    focus: float = float("nan")
    colour: NDArray[np.float16] | None = None
    """Logarithm of TSPAN4 over WGA; None where either is missing. Half precision: noise is a hundred times larger."""


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
        before = prepare_frame(movie, one, params, model, before)
        window.push(before)
    return window.average(index)[1]


def prepare_frame(movie: Movie, index: int, params: Params, model: MovieModel, before: FrameData | None) -> FrameData:
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
    FrameData
    """
    calibration = movie.calibration
    raw, sigma = {}, {}
    for role in movie.roles:
        image = movie.frame(index, role)
        spread = model.noise[role].sigma(image)
        raw[role] = remove_hot_pixels(image, spread)
        sigma[role] = spread
    wide_px = calibration.px(8.0)
    body = np.zeros(movie.shape_yx, np.float32)
    above = {}
    for role in movie.roles:
        background = wide_background(raw[role], sigma[role], wide_px)
        above[role] = raw[role] - background
        if role in model.roles:
            body += above[role] / model.empty_sigma[role]
    body /= np.sqrt(len(model.roles))
    previous = None
    if before is not None:
        previous = before.cells
    cells, thick = segment_cells(body, params.cells, calibration, previous)
    weight = outside_bodies(thick, calibration)
    signal = np.zeros(movie.shape_yx, np.float32)
    variance = np.zeros(movie.shape_yx, np.float32)
    level, channels = {}, {}
    for role in movie.roles:
        background = local_background(
            raw[role], weight, sigma[role], calibration.px(params.preprocess.background_um / 3)
        )
        level[role] = (
            quantile(background),
            quantile(sigma[role][weight > 0]) if weight.any() else np.nan,
        )
        if role in model.roles:
            excess = ((raw[role] - background) / model.empty_sigma[role]).astype(np.float32)
            signal += excess
            variance += (sigma[role] / model.empty_sigma[role]) ** 2
            if len(model.roles) > 1:
                channels[role] = gaussian(excess * weight, calibration.px(model.psf_sigma_um))
    signal *= weight
    detail = anchored_detail((signal / np.sqrt(variance)).astype(np.float32), weight, calibration)
    frame = FrameData(index, cells, signal, variance, weight, above, detail, level=level, colour=_colour(channels))
    frame.focus = quantile(np.abs(detail), 0.99)
    if before is not None and params.registration.enabled:
        dy, dx, frame.registration_confidence = estimate_shift(before.detail, detail, params.registration, calibration)
        frame.drift_px = (before.drift_px[0] + dy, before.drift_px[1] + dx)
    elif before is not None:
        frame.drift_px = before.drift_px
    return frame


def _colour(channels: dict[str, Image]) -> NDArray[np.float16] | None:
    """Logarithm of TSPAN4 over WGA, from smoothed channels over the noise of an empty pixel."""
    if not {"tspan4", "wga"} <= set(channels):
        return None
    tspan4, wga = (np.maximum(channels[role], _LEAST_LEVEL) for role in ("tspan4", "wga"))
    return np.log(tspan4 / wga).astype(np.float16)


def wide_background(image: Image, sigma: Image, scale_px: float) -> Image:
    """Background under the cells: a smooth surface through the lower part of the field."""
    factor = max(1, round(scale_px / 8))
    shape = (max(1, image.shape[0] // factor), max(1, image.shape[1] // factor))
    small = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    level = _empty_level(image)
    spread = quantile(sigma) / max(factor / 2, 1)
    surface = np.full(shape, level, np.float32)
    yy, xx = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    design = np.stack([np.ones_like(yy), yy, xx, yy * xx, yy**2, xx**2]).reshape(6, -1)
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
        surface = (solution @ design).reshape(shape).astype(np.float32)
    return cv2.resize(surface, image.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)


def outside_bodies(bodies: NDArray[Any], calibration: Calibration) -> Image:
    """1 outside cell bodies and their blurred edges, else 0; shape (Y, X)."""
    radius = max(1, round(calibration.px(EDGE_UM)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return 1.0 - cv2.dilate((bodies > 0).astype(np.uint8), kernel).astype(np.float32)


class Window:
    """The frames within reach of a centre one, and their registered average.

    Averaging comes before any maximum or threshold: what is anchored adds up, noise averages out. The extremes are left
    out, so that a filopodium that sweeps past leaves no mark.
    """

    def __init__(self, half_width: int) -> None:
        self.half_width = half_width
        self._frames: deque[FrameData] = deque(maxlen=2 * half_width + 1)

    def push(self, frame: FrameData) -> None:
        """Add the next frame; the oldest falls out."""
        self._frames.append(frame)

    def average(self, centre: int) -> tuple[FrameData, SpotImage]:
        """Frame `centre` and the trimmed mean of all frames within reach of it, in its coordinates."""
        middle = next(frame for frame in self._frames if frame.index == centre)
        near = [frame for frame in self._frames if abs(frame.index - centre) <= self.half_width]
        stack = np.empty((3, len(near), *middle.signal.shape), np.float32)
        for k, frame in enumerate(near):
            dy = round(middle.drift_px[0] - frame.drift_px[0])
            dx = round(middle.drift_px[1] - frame.drift_px[1])
            for plane, image in enumerate((frame.signal, frame.variance, frame.weight)):
                stack[plane, k] = image if dy == dx == 0 else shift_integer(image, dy, dx)
        # where the centre frame has a body the neighbours may still see the dish, but the spot is not seen *now*
        signal, variance, weight = trimmed_mean(stack[0], stack[1], stack[2], middle.weight)
        return middle, SpotImage(signal, variance, weight)


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
