"""One migrasome over its life, as a strip of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.errors import TableError
from migradetect.plots._overlay import display_range

__all__ = ["life_strip"]

_NAMES = {"tspan4": "TSPAN4", "wga": "WGA"}
_HALO = (patheffects.withStroke(linewidth=1.4, foreground="black"),)


def life_strip(
    windows: Mapping[str, NDArray[np.float32]],
    time_min: Sequence[float],
    calibration: Calibration,
    axes: Axes,
    *,
    birth_min: float | None = None,
    end_min: float | None = None,
) -> Axes:
    """Windows around the site of a migrasome, time from left to right, a row per channel.

    Parameters
    ----------
    windows : mapping of str to ndarray, shape (N, Y, X)
        Role of a channel -> windows around the site, camera counts, NaN outside the field.
    time_min : sequence of float, length N
        When each was taken.
    calibration : Calibration
        Pixel size.
    axes : matplotlib.axes.Axes
        Where to draw.
    birth_min, end_min : float, optional
        Windows at which it exists have a white bar below; without an end it lasts to the last window.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Each row has one range of grey values over the whole life, so brightness can be compared along it.
    """
    shapes = {array.shape for array in windows.values()}
    if len(shapes) != 1 or next(iter(shapes))[0] != len(time_min):
        raise TableError(f"life strip: expected {len(time_min)} windows of one size per channel, got {shapes}")
    n, height, width = next(iter(shapes))
    gap = max(1, width // 20)
    bar = max(2, height // 9)
    rows = []
    for planes in windows.values():
        flat = display_range(np.concatenate(list(planes), axis=1))
        line = np.full((height, n * width + (n - 1) * gap), np.nan, np.float32)
        for index in range(n):
            line[:, index * (width + gap) : index * (width + gap) + width] = flat[
                :, index * width : (index + 1) * width
            ]
        rows += [line, np.full((gap, line.shape[1]), np.nan, np.float32)]
    picture = np.concatenate(rows[:-1])
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    for index, time in enumerate(time_min):
        x = index * (width + gap)
        axes.text(x + width / 2, -0.06 * height, f"{time:.0f}", ha="center", va="bottom", fontsize=7)
        if (birth_min is None or time >= birth_min) and (end_min is None or time <= end_min):
            axes.add_patch(Rectangle((x - 0.5, picture.shape[0] + 1), width, bar, facecolor="black", lw=0))
    for index, role in enumerate(windows):
        label = axes.text(
            0.06 * width,
            index * (height + gap) + 0.05 * height,
            _NAMES.get(role, role),
            color="white",
            va="top",
            fontsize=6.5,
        )
        label.set_path_effects(list(_HALO))
    length = calibration.px(1.0)
    x, y = (n - 1) * (width + gap) + width - 1 - length, picture.shape[0] - 2 - max(1.0, height / 22)
    axes.add_patch(Rectangle((x, y), length, max(1.0, height / 22), facecolor="white", ec="black", lw=0.3))
    axes.set_xlim(-1, picture.shape[1])
    axes.set_ylim(picture.shape[0] + bar + 2, -0.3 * height)
    axes.set_axis_off()
    return axes
