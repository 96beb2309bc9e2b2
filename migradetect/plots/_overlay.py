"""A frame with what was found in it, as contours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from migradetect.calibration import Calibration

__all__ = ["COLOURS", "annotate", "display_range", "overlay", "scale_bar"]

#: Okabe and Ito's palette, which all kinds of colour vision tell apart; the three also differ in brightness.
COLOURS = {"cells": "#56B4E9", "fibers": "#D55E00", "migrasomes": "#F0E442"}
#: Lengths in um that a scale bar may have.
_BARS_UM = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
#: A circle is drawn this much wider than its migrasome, so that it does not hide it.
_CIRCLE_MARGIN_UM = 0.9


def display_range(image: NDArray[Any]) -> NDArray[np.float32]:
    """Image in 0 to 1 for display: fibers are 5 to 25 % as bright as a cell body, so dark tones are spread.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Camera counts.

    Returns
    -------
    ndarray of float32, shape (Y, X)
        asinh-scaled; the darkest 1 % is 0, the brightest 0.2 % is 1.
    """
    values = np.asarray(image, dtype=np.float32)
    low, middle, high = np.nanpercentile(values, (1.0, 50.0, 99.8))
    # the spread below the median is background noise: tones are linear up to ten times that, compressed above
    soft = max(10.0 * float(middle - low), 0.05 * float(high - low), 1e-6)
    top = np.arcsinh((high - low) / soft)
    return np.clip(np.arcsinh((values - low) / soft) / max(float(top), 1e-6), 0.0, 1.0).astype(np.float32)


def overlay(
    axes: Axes,
    image: NDArray[Any],
    calibration: Calibration,
    *,
    cells: NDArray[Any] | None = None,
    fibers: NDArray[Any] | None = None,
    spots: pd.DataFrame | None = None,
) -> Axes:
    """Draw an image and, as outlines that leave it visible, what was found in it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    image : ndarray, shape (Y, X)
        One channel, camera counts.
    calibration : Calibration
        Pixel size.
    cells : ndarray of int, shape (Y, X), optional
        Label image of cell bodies.
    fibers : ndarray of int, shape (Y, X), optional
        Label image of one-pixel centrelines.
    spots : pandas.DataFrame, optional
        Columns ``y_um``, ``x_um``, ``diameter_um``; one row per migrasome or candidate.

    Returns
    -------
    matplotlib.axes.Axes
    """
    axes.imshow(display_range(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return annotate(axes, image.shape, calibration, cells=cells, fibers=fibers, spots=spots)


def annotate(
    axes: Axes,
    shape_yx: tuple[int, ...],
    calibration: Calibration,
    *,
    cells: NDArray[Any] | None = None,
    fibers: NDArray[Any] | None = None,
    spots: pd.DataFrame | None = None,
    text_size: float = 8,
) -> Axes:
    """Draw what :func:`overlay` draws above an image of this shape, and no image; `text_size` is in points."""
    if cells is not None:
        axes.add_collection(LineCollection(_outlines(cells), colors=COLOURS["cells"], linewidths=0.9))
    if fibers is not None:
        axes.add_collection(LineCollection([_joined(_segments(fibers))], colors=COLOURS["fibers"], linewidths=0.7))
    if spots is not None and len(spots):
        axes.add_collection(_circles(axes, spots, calibration))
    scale_bar(axes, calibration, shape_yx, text_size)
    axes.set_xlim(-0.5, shape_yx[1] - 0.5)
    axes.set_ylim(shape_yx[0] - 0.5, -0.5)
    axes.set_axis_off()
    return axes


def _outlines(labels: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Outline of each label as (x, y) points; one by one, so that touching cells keep a line between them."""
    from skimage.measure import find_contours, regionprops

    lines = []
    for region in regionprops(np.asarray(labels, dtype=np.int64)):
        corner = np.array(region.bbox[:2]) - 1
        mask = np.pad(region.image, 1).astype(np.float32)
        lines += [(line + corner)[:, ::-1] for line in find_contours(mask, 0.5)]
    return lines


def _segments(skeleton: NDArray[Any]) -> NDArray[np.float64]:
    """Lines between neighbouring centreline pixels, shape (S, 2, 2), each end as (x, y)."""
    on = np.asarray(skeleton) > 0
    height, width = on.shape
    parts = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        left, right = max(0, -dx), width - max(0, dx)
        pair = on[: height - dy, left:right] & on[dy:, left + dx : right + dx]
        if dy and dx:
            # a diagonal is a line only where no corner pixel connects the two already
            pair &= ~(on[: height - dy, left + dx : right + dx] | on[dy:, left:right])
        y, x = np.nonzero(pair)
        x = x + left
        parts.append(np.stack([np.stack([x, y], 1), np.stack([x + dx, y + dy], 1)], 1))
    return np.concatenate(parts).astype(np.float64)


def _joined(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Segments as one line with gaps, shape (3 S, 2): thousands of lines take matplotlib half a second."""
    gaps = np.full((len(segments), 1, 2), np.nan)
    return np.concatenate([segments, gaps], axis=1).reshape(-1, 2)


def _circles(axes: Axes, spots: pd.DataFrame, calibration: Calibration) -> EllipseCollection:
    # what could not be sized is drawn like a small one, rather than left out
    diameter_um = spots["diameter_um"].fillna(0.5).to_numpy(dtype=float) + _CIRCLE_MARGIN_UM
    size = calibration.px(diameter_um)
    offsets = np.stack([calibration.px(spots[name].to_numpy(dtype=float)) for name in ("x_um", "y_um")], 1)
    return EllipseCollection(
        size,
        size,
        np.zeros(len(size)),
        units="xy",
        offsets=offsets,
        offset_transform=axes.transData,
        facecolors="none",
        edgecolors=COLOURS["migrasomes"],
        linewidths=0.8,
    )


def scale_bar(axes: Axes, calibration: Calibration, shape_yx: tuple[int, ...], text_size: float = 8) -> None:
    """Draw a bar of a round length, near a fifth of the width, with its length above it."""
    height, width = shape_yx[:2]
    target = calibration.um(float(width)) / 5
    length_um = max((bar for bar in _BARS_UM if bar <= target), default=_BARS_UM[0])
    length = calibration.px(float(length_um))
    right, bottom, thick = 0.97 * width, 0.97 * height, max(1.0, 0.008 * height)
    axes.add_patch(
        Rectangle((right - length, bottom - thick), length, thick, facecolor="white", edgecolor="black", lw=0.5)
    )
    label = axes.text(
        right - length / 2,
        bottom - 1.8 * thick,
        f"{length_um:g} um",
        color="white",
        ha="center",
        va="bottom",
        size=text_size,
    )
    label.set_path_effects([patheffects.withStroke(linewidth=1.5 * text_size / 8, foreground="black")])
