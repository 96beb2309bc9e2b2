"""``migradetect export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "export"
EXAMPLE = "Example: [bold]migradetect export results --to geff[/], or [bold]migradetect export results --to film[/]"


class Format(StrEnum):
    """What can be written."""

    GEFF = "geff"
    OME_ZARR = "ome-zarr"
    IMAGEJ = "imagej"
    TRACKMATE = "trackmate"
    CSV = "csv"
    XLSX = "xlsx"
    NAPARI = "napari"
    FILM = "film"


class FilmFormat(StrEnum):
    """Files that a film can be."""

    MP4 = "mp4"
    GIF = "gif"
    TIF = "tif"


class OmeZarrVersion(StrEnum):
    """Versions of OME-Zarr."""

    V04 = "0.4"
    V05 = "0.5"


def command(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Output folder of a run, or of one movie.", show_default=False)
    ],
    to: Annotated[
        Format,
        typer.Option(
            help="geff: tracks as graphs, with labels. ome-zarr: image and labels. imagej: ROIs for ImageJ and Fiji. "
            "trackmate: for TrackMate 7 and 8. csv: semicolons and decimal commas. xlsx: an Excel workbook. "
            "napari: points, tracks, labels. film: the recording with outlines, fibers, rings, scale bar and time.",
            show_default=False,
        ),
    ],
    movie: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="This movie only; may be repeated.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where to write.", show_default="OUT/exports/FORMAT"),
    ] = None,
    ome_zarr_version: Annotated[OmeZarrVersion, typer.Option(help="For --to ome-zarr.")] = OmeZarrVersion.V04,
    film_format: Annotated[
        FilmFormat, typer.Option(help='For --to film; mp4 needs pip install "migradetect\\[gui]" or imageio-ffmpeg.')
    ] = FilmFormat.MP4,
    frames_per_s: Annotated[float, typer.Option(help="For --to film: speed.", min=0.1, max=120)] = 10.0,
    reviewer: Annotated[
        str | None, typer.Option(help="Whose corrections, where several have reviewed.", show_default=False)
    ] = None,
    automatic: Annotated[bool, typer.Option("--automatic", help="The automatic results, without corrections.")] = False,
) -> None:
    """Write results in the formats of other programs; corrections of a review are in them."""
    from migradetect.cli._console import print_error, print_line, print_note
    from migradetect.cli._exit import ExitCode
    from migradetect.cli._progress import count_display
    from migradetect.cli._stop import stop_signals
    from migradetect.errors import CancelledError, ParamsError
    from migradetect.film import export_films
    from migradetect.io import export_results
    from migradetect.review import load

    if automatic and reviewer is not None:
        raise ParamsError("--automatic: expected no reviewer beside it, got --reviewer; leave one of them out")
    with stop_signals() as stop:
        try:
            results = load(out, reviewed=not automatic, reviewer=reviewer)
            with count_display(f"export to {to.value}") as step:
                common: dict[str, Any] = {"movies": movie or (), "progress": step, "cancel": stop.is_set}
                if to is Format.FILM:
                    options: dict[str, Any] = {"suffix": f".{film_format.value}", "frames_per_s": frames_per_s}
                    report = export_films(results, folder, **options, **common)
                else:
                    version = ome_zarr_version.value
                    report = export_results(results, to.value, folder, ome_zarr_version=version, **common)
        except CancelledError:
            print_error("interrupted; what is listed in export.json and there is complete")
            raise typer.Exit(stop.exit_code or ExitCode.INTERRUPTED) from None
    for path in report.paths:
        print_line(str(path))
    for note in report.notes:
        print_note(note)
    if report.reviewed_movies:
        print_note(f"with the corrections of the review: {', '.join(report.reviewed_movies)}")
    elif automatic:
        print_note("automatic results; corrections, if there are any, are left out")
