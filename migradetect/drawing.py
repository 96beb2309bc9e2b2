"""Frames as colour pictures, drawn with OpenCV: no screen, no OpenGL, some milliseconds each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.calibration import Calibration

__all__ = ["CHANNEL_COLOURS", "FrameStyle", "draw_frame", "output_shape"]

#: Red, green, blue of each channel; they add up to white where both are bright, and most colour-blind eyes part them.
CHANNEL_COLOURS = {"tspan4": (1.0, 0.0, 1.0), "wga": (0.0, 1.0, 0.0)}
_OTHER_COLOURS = ((0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.5, 0.0))
#: Okabe and Ito's palette, as in :mod:`migradetect.plots`.
_CELL, _FIBER, _MIGRASOME = (86, 180, 233), (213, 94, 0), (240, 228, 66)
_BARS_UM = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
#: Fibers are 5 to 25 % as bright as a body: dark tones are spread.
_GAMMA = 0.7
#: A ring is this much wider than its migrasome, so that it does not hide it, um.
_MARGIN_UM = 0.5
_SMALLEST_PX, _LARGEST_PX = 640, 1920


@dataclass(frozen=True)
class FrameStyle:
    """How frames are drawn.

    Parameters
    ----------
    limits : dict of str to (float, float)
        Black and white of each channel that is drawn, counts.
    calibration : Calibration
        Pixel size and frame interval.
    show_results : bool
        Draw outlines of cells, fibers and rings of migrasomes.
    show_scale_bar, show_time : bool
        Draw a scale bar, bottom right, and the time, top left.
    """

    limits: Mapping[str, tuple[float, float]]
    calibration: Calibration
    show_results: bool = True
    show_scale_bar: bool = True
    show_time: bool = True
    colours: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


def output_shape(shape_yx: tuple[int, int]) -> tuple[int, int, float]:
    """Height and width of the picture of a frame, even numbers because video codecs want them, and the zoom."""
    largest = max(shape_yx)
    zoom = float(max(1, round(_SMALLEST_PX / largest))) if largest < _SMALLEST_PX else min(1.0, _LARGEST_PX / largest)
    height, width = (max(2, 2 * round(side * zoom / 2)) for side in shape_yx)
    return height, width, zoom


def draw_frame(
    images: Mapping[str, NDArray[Any]],
    style: FrameStyle,
    *,
    time_min: float | None = None,
    cells: NDArray[Any] | None = None,
    fibers: NDArray[Any] | None = None,
    migrasomes: pd.DataFrame | None = None,
) -> NDArray[np.uint8]:
    """One frame as a picture.

    Parameters
    ----------
    images : mapping of str to ndarray of shape (Y, X)
        Counts as recorded, by role.
    style : FrameStyle
        What is drawn, and how.
    time_min : float, optional
        Time that is written; None or NaN writes none.
    cells, fibers : ndarray of int, shape (Y, X), optional
        Labels.
    migrasomes : pandas.DataFrame, optional
        Columns y_um, x_um, diameter_um: those of this frame.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Red, green, blue; H and W from :func:`output_shape`.
    """
    shape_yx = next(iter(images.values())).shape
    height, width, zoom = output_shape((shape_yx[0], shape_yx[1]))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    total = np.zeros((height, width, 3), np.float32)
    spare = iter(_OTHER_COLOURS * 4)
    for role, (low, high) in style.limits.items():
        tone = np.clip((np.nan_to_num(images[role].astype(np.float32)) - low) / max(high - low, 1e-6), 0, 1) ** _GAMMA
        colour = style.colours.get(role) or CHANNEL_COLOURS.get(role) or next(spare)
        total += cv2.resize(tone, (width, height), interpolation=way)[..., None] * np.array(colour, np.float32)
    picture = (np.clip(total, 0, 1) * 255).astype(np.uint8)
    if style.show_results:
        _draw_labels(picture, cells, fibers)
        _draw_rings(picture, migrasomes, style.calibration, zoom)
    thick = max(1, round(height / 500))
    if style.show_scale_bar:
        _scale_bar(picture, style.calibration.pixel_size_um / zoom, thick)
    if style.show_time and time_min is not None and np.isfinite(time_min):
        hours, minutes = divmod(round(float(time_min)), 60)
        _text(picture, f"{hours:d}:{minutes:02d} h", (round(0.02 * width), round(0.06 * height)), thick)
    return picture


def _draw_labels(picture: NDArray[np.uint8], cells: NDArray[Any] | None, fibers: NDArray[Any] | None) -> None:
    size = picture.shape[1::-1]
    if fibers is not None:
        lines = cv2.resize((fibers > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        picture[lines > 0] = (0.45 * picture[lines > 0] + 0.55 * np.array(_FIBER)).astype(np.uint8)
    if cells is not None:
        for label in np.unique(cells[cells > 0]):
            mask = cv2.resize((cells == label).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
            cv2.drawContours(picture, outlines, -1, _CELL, 1, cv2.LINE_AA)


def _draw_rings(
    picture: NDArray[np.uint8], migrasomes: pd.DataFrame | None, calibration: Calibration, zoom: float
) -> None:
    if migrasomes is None:
        return
    shift = 4  # sixteenths of a pixel
    rows = zip(
        migrasomes["y_um"], migrasomes["x_um"], migrasomes["diameter_um"].astype("float64").fillna(0.8), strict=True
    )
    for y, x, diameter in rows:
        # the centre of pixel 0 is 0 in the recording, and zoom - 1 half pixels from the edge in the picture
        centre = [round(((calibration.px(float(place)) + 0.5) * zoom - 0.5) * 2**shift) for place in (x, y)]
        radius = round(calibration.px(float(diameter) + _MARGIN_UM) * zoom / 2 * 2**shift)
        cv2.circle(picture, centre, radius, _MIGRASOME, 1, cv2.LINE_AA, shift)


def _scale_bar(picture: NDArray[np.uint8], um_per_px: float, thick: int) -> None:
    height, width = picture.shape[:2]
    length_um = max((bar for bar in _BARS_UM if bar <= width * um_per_px / 5), default=_BARS_UM[0])
    length = round(length_um / um_per_px)
    right, bottom = round(0.97 * width), round(0.97 * height)
    cv2.rectangle(picture, (right - length, bottom - 3 * thick), (right, bottom), (255, 255, 255), -1)
    label = f"{length_um:g} um"
    (wide, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * thick, thick)
    _text(picture, label, (right - length // 2 - wide // 2, bottom - 7 * thick), thick)


def _text(picture: NDArray[np.uint8], text: str, place_xy: tuple[int, int], thick: int) -> None:
    for colour, width in (((0, 0, 0), 3 * thick), ((255, 255, 255), thick)):
        cv2.putText(picture, text, place_xy, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * thick, colour, width, cv2.LINE_AA)
