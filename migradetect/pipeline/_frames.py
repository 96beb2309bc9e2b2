"""Pass 1, what is done to one frame before detection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.cells import measure_cells, segment_cells
from migradetect.filters import NoiseModel, doubled, gaussian, halved, local_background, remove_hot_pixels, typical
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._bowl import above_bowl
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._usable import margin_in
from migradetect.registration import DetailSpectrum, anchored_detail, shift_between

__all__ = [
    "CleanFrame",
    "Cleaner",
    "FrameData",
    "FrameSignal",
    "clean_frame",
    "clean_plane",
    "outside_bodies",
    "prepare_frame",
]

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

#: Pixels this close to a body outline hold its blurred edge; they are left out of spots and fibers, um.
EDGE_UM = 0.25
#: Below this a smoothed channel holds noise, units of the noise of a pixel.
_LEAST_LEVEL = 0.5


@dataclass
class FrameData:
    """What is known of one frame before detection; images of shape (Y, X)."""

    index: int
    cells: NDArray[Any]
    cell_table: pd.DataFrame
    """From :func:`migradetect.cells.measure_cells`."""
    detail: DetailSpectrum | None
    """Of the anchored fine detail, for registration; None once the next frame was compared with it."""
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


@dataclass(frozen=True)
class CleanFrame:
    """What is known of a frame before any parameter takes part; images of shape (Y, X), not to be written to."""

    raw: dict[str, Image]
    """Counts without hot pixels, by role."""
    half_variance: dict[str, Image]
    """Noise variance of them, at half the resolution, by role."""
    above: dict[str, Image]
    """Counts above the bowl of the background, by role."""
    body: Image
    """Channels of detection above it, each over the noise of an empty pixel, added."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        images = (*self.raw.values(), *self.half_variance.values(), *self.above.values(), self.body)
        return sum(image.nbytes for image in images)


#: Hands out a clean frame that somebody may have kept.
Cleaner = Callable[[Movie, int, MovieModel], CleanFrame]


def clean_frame(movie: Movie, index: int, model: MovieModel) -> CleanFrame:
    """Read one frame, and take from it what no parameter changes.

    Parameters
    ----------
    movie : Movie
        Where the planes come from.
    index : int
        Frame.
    model : MovieModel
        Noise of the movie; the PSF plays no part.

    Returns
    -------
    CleanFrame
    """
    raw, half_variance, above = {}, {}, {}
    for role in movie.roles:
        raw[role], half_variance[role] = clean_plane(movie.frame(index, role), model.noise[role])
    body = np.zeros(movie.shape_yx, np.float32)
    for role in movie.roles:
        above[role] = above_bowl(raw[role], half_variance[role], movie.calibration.px(8.0))
        if role in model.roles:
            scale = 1 / (model.empty_sigma[role] * np.sqrt(len(model.roles)))
            body = np.asarray(cv2.scaleAdd(above[role], scale, body, dst=body), np.float32)
    return CleanFrame(raw, half_variance, above, body)


def prepare_frame(
    movie: Movie,
    index: int,
    params: Params,
    model: MovieModel,
    before: FrameData | None,
    cleaner: Cleaner | None = None,
    is_alone: bool = False,
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
    cleaner : callable, optional
        Where clean frames come from, as of :func:`clean_frame`; its images are left as they are.
    is_alone : bool
        No frame is compared with it: the detail for that, and the focus, are left out.

    Returns
    -------
    FrameData, FrameSignal
    """
    calibration = movie.calibration
    clean = (cleaner or clean_frame)(movie, index, model)
    raw, half_variance = clean.raw, clean.half_variance
    cells, thick = segment_cells(clean.body, params.cells, calibration, None if before is None else before.cells)
    margin = margin_in(movie, index)
    cut = np.unique(cells[margin]) if margin is not None else np.zeros(0, np.int32)
    if margin is not None:
        cells[margin], thick[margin] = 0, False
    cell_table = measure_cells(cells, clean.above, calibration)
    cell_table["touches_border"] |= cell_table["label"].isin(cut)
    # what nobody keeps is not needed again: no new images
    is_kept = cleaner is not None
    del clean
    is_open = outside_bodies(thick, calibration)
    if margin is not None:
        is_open[margin] = 0
    weight = is_open.astype(np.float32)
    frame = FrameData(index, cells, cell_table, None)
    signal, variance = _add_channels(frame, raw, half_variance, weight, params, model, calibration, is_kept)
    # the detail takes most memory: what is done with goes first
    del raw, half_variance, thick
    if not is_alone:
        spread = doubled(np.sqrt(variance), movie.shape_yx)
        detail = anchored_detail(np.divide(signal, spread, out=spread), weight, calibration)
        frame.focus = typical(np.abs(detail), 0.99)
        if movie.n_frames > 1:
            _register(frame, detail, before, params, calibration)
    return frame, FrameSignal(signal, variance, is_open)


def _add_channels(
    frame: FrameData,
    raw: dict[str, Image],
    half_variance: dict[str, Image],
    weight: Image,
    params: Params,
    model: MovieModel,
    calibration: Calibration,
    is_kept: bool,
) -> tuple[Image, Image]:
    """Signal of a frame, shape (Y, X), over the noise of an empty pixel, and its variance at half the resolution.

    `raw`, counts of shape (Y, X) by role, is written over unless it `is_kept`; level and colour are set in the frame.
    """
    signal = np.zeros_like(weight)
    variance = np.zeros_like(half_variance[next(iter(raw))])
    channels = {}
    for role, counts in raw.items():
        background = local_background(
            counts, weight, half_variance[role], calibration.px(params.preprocess.background_um / 3)
        )
        noise = float(np.sqrt(typical(half_variance[role], where=halved(weight) == 1)))
        frame.level[role] = typical(background), noise
        if role in model.roles:
            excess = np.empty_like(counts) if is_kept else counts
            _add_excess(counts, background, np.float32(1 / model.empty_sigma[role]), weight, excess, signal)
            variance += half_variance[role] * np.float32(1 / model.empty_sigma[role] ** 2)
            channels[role] = excess
    frame.colour = _colour(channels, calibration.px(model.psf_sigma_um))
    return signal, variance


def _register(
    frame: FrameData, detail: Image, before: FrameData | None, params: Params, calibration: Calibration
) -> None:
    """Drift of a frame against the one before, and what the next one needs for its own."""
    if params.registration.enabled:
        frame.detail = DetailSpectrum.of(detail, params.registration, calibration)
    if before is None:
        return
    frame.drift_px = before.drift_px
    if before.detail is not None and frame.detail is not None:
        shift = shift_between(before.detail, frame.detail, params.registration, calibration)
        frame.drift_px = (before.drift_px[0] + shift[0], before.drift_px[1] + shift[1])
        frame.registration_confidence = shift[2]


@njit(cache=True, nogil=True)
def _add_excess(
    image: Image, background: Image, scale: float, weight: Image, excess: Image, signal: Image
) -> None:  # pragma: no cover (numba)
    """Write what an image has above its background, scaled and weighted, and add it to the signal.

    Images may be the same one.
    """
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            v = (image[y, x] - background[y, x]) * scale * weight[y, x]
            excess[y, x] = v
            signal[y, x] += v


def clean_plane(image: Image, noise: NoiseModel) -> tuple[Image, Image]:
    """Counts without hot pixels, and their noise variance at half the resolution."""
    half_variance = noise.half_variance(halved(image))
    return remove_hot_pixels(image, half_variance), half_variance


def _colour(channels: dict[str, Image], psf_px: float) -> Image | None:
    """Logarithm of TSPAN4 over WGA at half the resolution, from channels smoothed by the PSF."""
    if not {"tspan4", "wga"} <= set(channels):
        return None
    # the mean of 2 x 2 pixels is a part of the blur
    rest = 0.5 * float(np.sqrt(max(psf_px**2 - 0.25, 0.0)))
    tspan4, wga = (np.maximum(gaussian(halved(channels[role]), rest), _LEAST_LEVEL) for role in ("tspan4", "wga"))
    return np.asarray(np.log(tspan4 / wga), np.float32)


def outside_bodies(bodies: NDArray[Any], calibration: Calibration) -> NDArray[np.uint8]:
    """1 outside cell bodies and their blurred edges, else 0; shape (Y, X)."""
    radius = max(1, round(calibration.px(EDGE_UM)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.erode((bodies == 0).astype(np.uint8), kernel, borderValue=1), np.uint8)
