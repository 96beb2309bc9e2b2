"""A frame beside its overlay, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from migradetect.calibration import Calibration
from migradetect.plots._overlay import COLOURS, annotate, display_range
from migradetect.plots._style import quiet

__all__ = ["preview_png"]

#: Width and height of a panel in pixels: at least one for each pixel of the image, within reason for a large camera.
_LEAST_PX, _MOST_PX = 630, 2400
_DPI = 150
#: Between the panels; for the title above, and for the legend below. This is for panels of up to 800 px, which a screen
#: shows as they are; what is wider is seen as a whole on the same screen, so that text and margins grow with it.
_GAP_PX, _TITLE_PX, _LEGEND_PX = 22, 44, 60
_UNSCALED_PX = 800


def preview_png(
    image: NDArray[Any],
    calibration: Calibration,
    *,
    title: str,
    cells: NDArray[Any],
    fibers: NDArray[Any],
    spots: pd.DataFrame,
    counts: Mapping[str, str],
) -> bytes:
    """Image beside its overlay, with a legend that counts.

    matplotlib takes four seconds to place two images of 2048 x 2048 in a figure and to pack it. Here it draws the lines
    and the text only; the images go below them as they are.

    Parameters
    ----------
    image, calibration, cells, fibers, spots
        As in :func:`migradetect.plots.overlay`.
    title : str
        Line above.
    counts : mapping of str to str
        Legend text for ``cells``, ``fibers`` and ``migrasomes``.

    Returns
    -------
    bytes
        PNG.
    """
    height, width = image.shape
    zoom = max(_LEAST_PX, width * min(1.0, _MOST_PX / max(height, width))) / width
    rows, columns = max(1, round(height * zoom)), max(1, round(width * zoom))
    scale = max(1.0, columns / _UNSCALED_PX)
    gap, above, below = (round(scale * n) for n in (_GAP_PX, _TITLE_PX, _LEGEND_PX))
    size = above + rows + below, 2 * columns + gap
    left, right = np.s_[above : above + rows, :columns], np.s_[above : above + rows, -columns:]
    figure = Figure(figsize=(size[1] / _DPI, size[0] / _DPI), dpi=_DPI)
    share = columns / size[1], rows / size[0]
    for start in (0.0, 1 - share[0]):
        axes = figure.add_axes((start, below / size[0], *share))
        # pixels need not be square to the last digit: the panel is a whole number of them
        axes.set_aspect("auto")
        if start == 0:
            annotate(axes, image.shape, calibration, text_size=8 * scale)
        else:
            annotate(axes, image.shape, calibration, cells=cells, fibers=fibers, spots=spots, text_size=8 * scale)
    figure.suptitle(title, size=9 * scale, y=1 - 12 * scale / size[0])
    _legend(figure, counts, scale)
    grey = np.uint8(255) * np.ones(size, np.uint8)
    mode = cv2.INTER_AREA if zoom < 1 else cv2.INTER_NEAREST
    shown = cv2.resize(np.rint(255 * display_range(image)).astype(np.uint8), (columns, rows), interpolation=mode)
    grey[left], grey[right] = shown, shown
    # the fastest level: noise does not pack
    packed, png = cv2.imencode(".png", _with_lines(grey, figure), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert packed
    return png.tobytes()


def _legend(figure: Figure, counts: Mapping[str, str], scale: float) -> None:
    figure.legend(
        handles=[
            Line2D([], [], color=COLOURS["cells"], lw=1.5 * scale, label=counts["cells"]),
            Line2D([], [], color=COLOURS["fibers"], lw=1.5 * scale, label=counts["fibers"]),
            Line2D(
                [],
                [],
                color=COLOURS["migrasomes"],
                marker="o",
                ms=6 * scale,
                mew=scale,
                mfc="none",
                ls="",
                label=counts["migrasomes"],
            ),
        ],
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=8 * scale,
        # the colours are chosen for dark images, and the legend stands on white
        handlelength=1.5,
    )


def _with_lines(grey: NDArray[np.uint8], figure: Figure) -> NDArray[np.uint8]:
    """Picture with what a figure without background draws above it; blue, green, red, as OpenCV has it."""
    canvas = FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    with quiet():
        canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba()).reshape(-1, 4)  # type: ignore[no-untyped-call]
    out = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    # a few pixels in a hundred are drawn on
    on = np.flatnonzero(drawn[:, 3])
    share = drawn[on, 3:].astype(np.float32) / 255
    flat = out.reshape(-1, 3)
    flat[on] = np.rint(share * drawn[on, 2::-1] + (1 - share) * flat[on]).astype(np.uint8)
    return out
