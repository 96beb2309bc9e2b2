"""Curves and plots of a report: SVG with text as text, or small pictures where there are many movies."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from migradetect import plots
from migradetect.errors import MigradetectError
from migradetect.report._data import OneMovie
from migradetect.report._pictures import Detail, Picture, to_data_uri

__all__ = ["Chart", "draw", "movie_charts"]

_log = logging.getLogger("migradetect.report")
_DPI = 100
#: WebP without loss: lines and letters stay sharp, and flat white costs nothing.
_LOSSLESS = 101


@dataclass(frozen=True)
class Chart:
    """A plot in the page.

    Parameters
    ----------
    title : str
        Heading.
    svg : Markup or None
        The plot as part of the page.
    picture : Picture or None
        The plot as a picture, where there is no SVG.
    alt : str
        What it shows.
    caption : str
        How to read it.
    """

    title: str
    svg: Markup | None
    picture: Picture | None
    alt: str
    caption: str


def draw(
    title: str,
    caption: str,
    paint: Callable[[list[Any]], Any],
    *,
    prefix: str,
    panels: int = 1,
    size_in: tuple[float, float] = (3.4, 2.6),
    vector: bool = True,
    most_bytes: int | None = None,
) -> Chart | None:
    """One plot, or several side by side.

    Parameters
    ----------
    title, caption : str
        Heading, and how to read it.
    paint : callable
        Takes as many axes as there are panels.
    prefix : str
        Makes the names inside the SVG unique in the page.
    panels : int
        Number of plots side by side.
    size_in : tuple of float
        Width and height of each.
    vector : bool
        SVG; otherwise a picture.
    most_bytes : int, optional
        Of a picture.

    Returns
    -------
    Chart or None
        None where the tables do not allow it; the log says why.
    """
    axes = plots.new_row(panels, *size_in, fixed=panels > 1)
    try:
        paint(axes)
    except MigradetectError as error:
        _log.info("report: no plot '%s': %s", title, error)
        return None
    figure = plots.figure_of(axes[0])
    if vector:
        return Chart(title, _inline(plots.to_svg(figure), prefix, title), None, title, caption)
    pixels = plots.to_pixels(figure, _DPI)
    picture = Picture(to_data_uri(pixels, _LOSSLESS, most_bytes), pixels.shape[1], pixels.shape[0], title, caption)
    return Chart(title, None, picture, title, caption)


_ID = re.compile(r'(\bid="|url\(#|href="#)')


def _inline(svg: str, prefix: str, label: str) -> Markup:
    """SVG as part of a page: no header, no metadata, names that are its own, and a name for those who do not see it."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    # matplotlib's global style would reach the other plots of the page
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.S)
    body = _ID.sub(rf"\g<1>{prefix}-", body)
    body = re.sub(r"\n\s*", "\n", body)
    start = Markup('<svg role="img" aria-label="{}" class="chart" ').format(label)
    return start + Markup(body[len("<svg ") :])


def movie_charts(one: OneMovie, detail: Detail, prefix: str) -> list[Chart]:
    """Plots of one movie: count and growth, then drift, bleaching and focus."""
    if not detail.all_frames:
        return []
    results = one.results
    n = len(results.frames)
    small = (2.7, 2.0) if detail.frame_px >= 300 else (1.9, 1.45)

    def courses(axes: list[Any]) -> None:
        plots.count_over_time(results.migrasomes, results.frames, axes[0])
        plots.growth_curves(results.migrasomes, results.tracks, axes[1], max_lines=detail.max_lines)

    def quality(axes: list[Any]) -> None:
        plots.drift(results.frames, axes[0])
        plots.bleaching(results.frames, axes[1])
        plots.focus(results.frames, axes[2])

    charts = []
    if n > 1:
        charts.append(
            draw(
                "Migrasomes over time, and their growth",
                "Left: migrasomes in view; gaps are frames that were not used. Right: each migrasome whose birth was "
                "seen as a thin line, and their median.",
                courses,
                prefix=f"{prefix}-c",
                panels=2,
                size_in=small,
                vector=detail.vector,
                most_bytes=detail.most_bytes,
            )
        )
    charts.append(
        draw(
            "Drift, bleaching and focus",
            "Grey bands are flagged frames. Below the dotted line a frame counts as out of focus.",
            quality,
            prefix=f"{prefix}-q",
            panels=3,
            size_in=small,
            vector=detail.vector,
            most_bytes=detail.most_bytes,
        )
    )
    return [chart for chart in charts if chart is not None]
