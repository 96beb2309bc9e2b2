"""From an output folder to ``report.html``."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from migradetect._version import __version__
from migradetect.errors import CancelledError, MigradetectError, NoMoviesError, nearest_name, printable
from migradetect.io import atomic_write_text
from migradetect.report._charts import movie_charts
from migradetect.report._data import Batch, OneMovie, Tables, load_batch, load_movie
from migradetect.report._flags import explain
from migradetect.report._methods import CITATION, bibtex, methods_paragraph, parameter_rows
from migradetect.report._overview import compare_conditions, condition_rows, grouping, overview_charts, plates
from migradetect.report._pictures import Detail, composite, frame_pictures, strip_pictures

if TYPE_CHECKING:
    import jinja2

__all__ = ["REPORT_NAME", "write_movie_report", "write_report"]

REPORT_NAME = "report.html"
_log = logging.getLogger("migradetect.report")
#: Plots of the whole batch are small pictures where there are more movies: as SVG each cell would be a mark of its own.
_MOST_VECTOR = 48
#: Movies whose sections are open from the start.
_MOST_OPEN = 4

Progress = Callable[[int, int, str], None]


def write_report(
    out: str | Path,
    *,
    negative: str | None = None,
    positive: str | None = None,
    reviewer: str | None = None,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write ``report.html`` of an output folder: one file without any request to elsewhere.

    Parameters
    ----------
    out : str or Path
        What ``migradetect run`` wrote.
    negative, positive : str, optional
        Conditions of control wells, for the scores of a screen. Without `negative` the only condition with a usual name
        of controls (control, DMSO, vehicle ...) is taken, where there are 24 wells or more.
    reviewer : str, optional
        Whose corrections are applied, where several people have reviewed.
    progress : callable, optional
        Takes number done, number of movies, and the name of the movie that comes.
    cancel : callable, optional
        Returns True once the user asked to stop.

    Returns
    -------
    Path
        The file, which is complete or as it was before.

    Raises
    ------
    NoMoviesError
        If the folder holds no results.
    CancelledError
        If the user asked to stop.
    OutputError
        If the file can't be written.
    """
    out = Path(out)
    batch = load_batch(out)
    detail = Detail.of(len(batch.movie_ids))
    tables, sections = Tables(), []
    for number, movie_id in enumerate(batch.movie_ids):
        _tell(progress, cancel, number, len(batch.movie_ids), movie_id)
        sections.append(_section(batch, movie_id, detail, f"m{number + 1}", tables, reviewer))
    _tell(progress, cancel, len(batch.movie_ids), len(batch.movie_ids), "overview")
    vector = len(batch.movie_ids) <= _MOST_VECTOR
    done = batch.movies[batch.movies["movie_id"].isin(batch.movie_ids)]
    by = grouping(tables["cell_summary"])
    compared = compare_conditions(tables, by)
    page = _environment().get_template("batch.html").render(
        **_common(batch),
        folder=out.resolve().name,
        not_done=list(batch.not_done()),
        flagged=[section for section in sections if section["flags"] or section["warnings"] or section["problem"]],
        totals={
            "movies": len(batch.movies),
            "done": len(batch.movie_ids),
            "cells": len(tables["cell_summary"]),
            "migrasomes": len(tables["tracks"]),
        },
        conditions=condition_rows(tables, done),
        compared=compared,
        charts=overview_charts(tables, by, vector) if sections else [],
        plates=plates(tables, done, negative, positive, vector),
        sections=sections,
        is_open=len(sections) <= _MOST_OPEN,
        methods=methods_paragraph(done, batch.run, [s["psf_um"] for s in sections if s["psf_um"]], compared.sentence),
        parameters=parameter_rows(batch.run.get("parameters") or {}),
    )  # fmt: skip
    path = out / REPORT_NAME
    atomic_write_text(path, page)
    return path


def write_movie_report(
    out: str | Path, movie_id: str, *, reviewer: str | None = None, cancel: Callable[[], bool] | None = None
) -> Path:
    """Write ``<movie_id>/report.html``: the same for one movie, in more detail.

    Parameters
    ----------
    out : str or Path
        What ``migradetect run`` wrote.
    movie_id : str
        Which movie.
    reviewer : str, optional
        Whose corrections are applied, where several people have reviewed.
    cancel : callable, optional
        Returns True once the user asked to stop.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    NoMoviesError
        If there is no such movie with complete results.
    """
    out = Path(out)
    batch = load_batch(out)
    if movie_id not in batch.movie_ids:
        raise NoMoviesError(
            f"{out}: expected one of the movies {', '.join(batch.movie_ids[:20]) or '(none)'}, got '{movie_id}'"
            f"{nearest_name(movie_id, batch.movie_ids)}"
        )
    _tell(None, cancel, 0, 1, movie_id)
    detail = Detail.of(1)
    tables = Tables()
    section = _section(batch, movie_id, detail, "m", tables, reviewer)
    rows = batch.movies[batch.movies["movie_id"] == movie_id]
    psf = [section["psf_um"]] if section["psf_um"] else []
    page = _environment().get_template("movie.html").render(
        **_common(batch),
        section=section,
        # counts per cell and courses of this movie stand above
        charts=overview_charts(tables, None, True, leave_out=("Growth since birth", "Migrasomes in view"))[4:],
        tracks=_track_rows(tables),
        methods=methods_paragraph(rows, batch.run, psf),
        parameters=parameter_rows(section["parameters"] or batch.run.get("parameters") or {}),
    )  # fmt: skip
    path = out / movie_id / REPORT_NAME
    atomic_write_text(path, page)
    return path


def _tell(progress: Progress | None, cancel: Callable[[], bool] | None, done: int, total: int, name: str) -> None:
    if cancel is not None and cancel():
        raise CancelledError("report: stopped before it was written; run `migradetect report` to make it")
    if progress is not None:
        progress(done, total, name)


def _common(batch: Batch) -> dict[str, Any]:
    run = batch.run
    now = datetime.now(UTC)
    return {
        "version": __version__,
        "generated": now.strftime("%Y-%m-%d %H:%M UTC"),
        "run": {key: run.get(key) for key in ("command", "status", "started", "finished", "migradetect")},
        "versions": run.get("versions") or {},
        "citation": CITATION,
        "bibtex": bibtex(str(now.year)),
    }


def _section(
    batch: Batch, movie_id: str, detail: Detail, anchor: str, tables: Tables, reviewer: str | None
) -> dict[str, Any]:
    """What the page shows of one movie; results that can't be read are told, and the others are shown."""
    section: dict[str, Any] = {
        "movie_id": movie_id,
        "anchor": anchor,
        "row": batch.row(movie_id),
        "problem": "",
        "flags": [],
        "warnings": [],
        "facts": [],
        "pictures": [],
        "composite": None,
        "strips": [],
        "charts": [],
        "psf_um": None,
        "parameters": None,
        "n_edits": 0,
        "n_cells": None,
        "n_migrasomes": None,
        "per_cell": None,
        "has_own": detail != Detail.of(1) and (batch.out / movie_id / REPORT_NAME).is_file(),
    }
    try:
        one = load_movie(batch.out, movie_id, reviewer)
        section |= _of_results(one)
        tables.add(one.results)
        section["charts"] = movie_charts(one, detail, anchor)
        section["pictures"] = frame_pictures(one, detail)
        section["strips"] = strip_pictures(one, detail)
        if detail == Detail.of(1):
            section["composite"] = composite(one, detail)
    except MigradetectError as error:
        section["problem"] = str(error)
    except Exception as error:  # noqa: BLE001 (one odd movie must not take the report from the others)
        _log.exception("report: %s", movie_id)
        section["problem"] = f"unexpected {type(error).__name__}: {error}"
    return section


def _of_results(one: OneMovie) -> dict[str, Any]:
    results, known = one.results, one.results.provenance
    n_cells, n_migrasomes = len(results.cell_summary), len(results.tracks)
    psf = known.get("psf_fwhm_um")
    calibration = known.get("calibration") or {}
    height, width = one.shape_yx
    interval = calibration.get("frame_interval_s")
    n_used, n_frames = len(one.used_frames), len(results.frames)
    facts = [
        ("frames", f"{n_frames}" + (f", {n_frames - n_used} left out" if n_used < n_frames else "")),
        (
            "size",
            f"{height} x {width} px, {one.calibration.pixel_size_um:g} µm per pixel "
            f"({calibration.get('pixel_size_source', '')})",
        ),
        (
            "interval",
            f"{interval:g} s ({calibration.get('frame_interval_source', '')})" if interval else "single frame",
        ),
        ("channels", ", ".join(map(str, known.get("channels") or ()))),
        ("point spread function", f"{psf:.2f} µm, {known.get('psf_source', '')}" if psf else "unknown"),
        ("file", str(known.get("path") or "")),
    ]
    return {
        "flags": explain(results.frames, known.get("qc_flags") or ()),
        "warnings": [
            *map(str, known.get("warnings") or ()),
            *filter(None, [one.note, one.problem and f"no pictures: {one.problem}"]),
        ],
        "facts": facts,
        "psf_um": float(psf) if psf else None,
        "parameters": known.get("parameters") or known.get("params"),
        "n_edits": int((known.get("review") or {}).get("n_edits") or 0),
        "n_cells": n_cells,
        "n_migrasomes": n_migrasomes,
        "per_cell": float(results.cell_summary["n_migrasomes"].mean()) if n_cells else None,
    }


def _track_rows(tables: Tables) -> list[Mapping[str, Any]]:
    tracks = tables["tracks"].sort_values("migrasome_id")
    return [{str(k): v for k, v in row.items()} for row in tracks.to_dict("records")]


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("migradetect.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["p"] = _p_value
    return environment


def _shown(value: Any) -> Any:
    """Text as it is: control characters and marks of direction in names would show other text than there is."""
    if isinstance(value, Markup) or not isinstance(value, str) or value.replace("\n", "").isprintable():
        return value
    return "\n".join(printable(line) for line in value.split("\n"))


def _p_value(value: Any) -> str:
    """P value: three digits, and never 0."""
    return "< 0.001" if value < 0.001 else _number(value, 3)


def _number(value: Any, digits: int = 2) -> str:
    """Number for a table; what is missing is a dash, never a zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "–"  # noqa: RUF001 (the dash of tables)
    if math.isnan(number):
        return "–"  # noqa: RUF001
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.{digits}f}"
