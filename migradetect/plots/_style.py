"""How figures look, and how they become files."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from migradetect.errors import OutputError, TableError, nearest_name, printable
from migradetect.stats import group_order

__all__ = [
    "GROUP_COLOURS",
    "Look",
    "bare_axes",
    "fail_without",
    "figure_of",
    "looks",
    "mean_course",
    "new_axes",
    "new_row",
    "note",
    "one_group",
    "plain",
    "quiet",
    "save_figure",
    "tidy",
    "to_pixels",
    "to_png",
    "to_svg",
]

#: Okabe and Ito's palette without its yellow, which white paper swallows.
GROUP_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_LINES: Final[Sequence[Any]] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
#: Text stays text in vector files: it can be edited, searched and read aloud. Ids do not change from run to run.
_VECTOR: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "migradetect", "path.simplify": True}
_SIZE = 8
#: Left, right, below and above an axis, inches: labels of 8 points and numbers of up to five letters.
_ROOM_IN = (0.56, 0.1, 0.42, 0.1)
GREY = "#5A5A5A"


class Look(NamedTuple):
    """How a group is drawn."""

    colour: str
    marker: str
    line: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each group, by order of the names."""
    parts = (GROUP_COLOURS, _MARKERS, _LINES)
    chosen = (list(islice(cycle(part), len(names))) for part in parts)
    return {name: Look(*look) for name, *look in zip(names, *chosen, strict=True)}


def new_axes(width_in: float = 3.4, height_in: float = 2.6) -> Axes:
    """Axis of a new figure that needs no screen.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches; 3.4 is the width of a column in most journals.
    """
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots()


def new_row(n: int, width_in: float = 3.4, height_in: float = 2.6, *, fixed: bool = False) -> list[Axes]:
    """Axes side by side in one new figure; see :func:`new_axes`.

    Parameters
    ----------
    n : int
        How many.
    width_in, height_in : float
        Size of each with its labels, inches.
    fixed : bool
        Leave the usual room for labels instead of measuring them, which takes as long as drawing.
    """
    figure = Figure(figsize=(n * width_in, height_in), layout=None if fixed else "constrained")
    FigureCanvasAgg(figure)
    if not fixed:
        return list(figure.subplots(1, n, squeeze=False)[0])
    left, right, bottom, top = _ROOM_IN
    size = ((width_in - left - right) / (n * width_in), (height_in - bottom - top) / height_in)
    places = [((i * width_in + left) / (n * width_in), bottom / height_in, *size) for i in range(n)]
    return [figure.add_axes(place) for place in places]


def figure_of(axes: Axes) -> Figure:
    """Figure that an axis is part of."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def bare_axes(width_in: float, height_in: float) -> Axes:
    """Axis that fills its figure, for a picture without a frame."""
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure.add_axes((0.0, 0.0, 1.0, 1.0))


def tidy(axes: Axes, x: str, y: str, title: str = "") -> Axes:
    """Labels, small text, no frame above and to the right."""
    axes.set_xlabel(x, fontsize=_SIZE)
    axes.set_ylabel(y, fontsize=_SIZE)
    if title:
        axes.set_title(title, fontsize=_SIZE, loc="left")
    axes.tick_params(labelsize=_SIZE - 1, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def note(axes: Axes, text: str, place: str = "lower right") -> None:
    """Small grey line inside the axis, such as the sample size."""
    vertical, horizontal = place.split()
    axes.text(
        {"left": 0.02, "right": 0.99}[horizontal],
        {"lower": 0.02, "upper": 0.98}[vertical],
        text,
        transform=axes.transAxes,
        ha=horizontal,
        va={"lower": "bottom", "upper": "top"}[vertical],
        fontsize=_SIZE - 1.5,
        color=GREY,
    )


def nothing(axes: Axes, text: str) -> Axes:
    """Say that there is nothing to draw, rather than leave an empty frame."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=_SIZE, color=GREY)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def legend(axes: Axes, **options: Any) -> None:
    """Legend without a frame, where there is something to tell."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**{"frameon": False, "fontsize": _SIZE - 1, "handlelength": 2.2, **options})


def mean_course(rows: pd.DataFrame, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of movies over time, where all of them look: with other movies in it, a mean would jump.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``movie_id``, ``time_min`` and `column`, of several movies whose intervals may differ.
    column : str
        What is averaged; gaps are bridged.

    Returns
    -------
    time_min, mean : ndarray, shape (N,)
        Empty where the movies have no time in common.
    """
    courses = [one.dropna(subset=[column]).sort_values("time_min") for _, one in rows.groupby("movie_id")]
    courses = [one for one in courses if len(one)]
    if not courses:
        return np.empty(0), np.empty(0)
    start = max(float(one["time_min"].iloc[0]) for one in courses)
    end = min(float(one["time_min"].iloc[-1]) for one in courses)
    if end < start:
        return np.empty(0), np.empty(0)
    t = np.linspace(start, end, max(2, max(map(len, courses))))
    return t, np.mean(
        [np.interp(t, one["time_min"].to_numpy(float), one[column].to_numpy(float)) for one in courses], 0
    )


def fail_without(table: pd.DataFrame, *names: str) -> None:
    """One line that names the column that is missing."""
    for name in names:
        if name not in table.columns:
            known = [str(column) for column in table.columns]
            raise TableError(f"expected a column '{name}', got {', '.join(known)}{nearest_name(name, known)}")


def one_group(table: pd.DataFrame, by: str | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows by group in order of the names; all rows under an empty name where there is no column of groups."""
    if by is None:
        yield "", table
        return
    fail_without(table, by)
    parts = {str(name): part for name, part in table.groupby(table[by].astype("string"), observed=True)}
    for name in group_order(parts):
        yield plain(name), parts[name]


def plain(name: str) -> str:
    """Name that somebody gave, to be drawn as it is: matplotlib takes ``$`` for formulas and hides ``_names``."""
    text = printable(name).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Letters that the font lacks are drawn as boxes; that is no news for the console."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def to_png(figure: Figure, dpi: int = 150) -> bytes:
    """PNG of a figure."""
    buffer = BytesIO()
    with quiet():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """SVG of a figure, with text as text, the same bytes each time."""
    buffer = BytesIO()
    with matplotlib.rc_context(_VECTOR), quiet():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode("utf-8")


def to_pixels(figure: Figure, dpi: int = 100) -> NDArray[np.uint8]:
    """Pixels of a figure, shape (Y, X, 3)."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with quiet():
        canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def save_figure(figure: Figure, path: str | Path, dpi: int = 300) -> Path:
    """Write a figure; in SVG and PDF, text stays text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write; ``axes.figure`` of what a function of this module returned.
    path : str or Path
        The suffix tells the format: ``.svg``, ``.pdf``, ``.png`` and others that matplotlib knows.
    dpi : int
        Pixels per inch of pixel formats, and of pictures inside the others.

    Raises
    ------
    OutputError
        If the file can't be written, or the format is unknown.
    """
    path = Path(path)
    try:
        with matplotlib.rc_context(_VECTOR), quiet():
            figure.savefig(path, dpi=dpi)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: expected a file that can be written, such as .svg or .pdf, got '{error}'"
        ) from error
    return path
