"""``migradetect review``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migradetect.cli._exit import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "review"
EXAMPLE = "Example: [bold]migradetect review results --movie dish1 --reviewer anna[/]"

#: The windows; a distribution of its own, so that the core runs without a screen.
_GUI = "migradetect_napari"


def command(
    out: Annotated[Path, typer.Argument(help="Output folder of a run, or of one movie.", show_default=False)],
    movie: Annotated[str | None, typer.Option(help="Movie to open first.", show_default=False)] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Keep corrections in a log of this name.", show_default=False)
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Shuffle the movies; hide their names and conditions.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Open nothing; write the reviewed tables into MOVIE/reviewed/.")
    ] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Open nothing; list corrections that no longer apply.")
    ] = False,
) -> None:
    """Look at results in napari and correct them; the automatic results are never changed."""
    if blind and (write or orphans):
        from migradetect.errors import ParamsError

        raise ParamsError("--blind: expected a review to open, got --write or --orphans, which name the movies")
    if write or orphans:
        _without_window(out, movie, reviewer, write=write, orphans=orphans)
        return
    from migradetect.io import load

    known = load(out)
    if movie is not None:
        known.movie(movie)  # says which there are
    _launcher()(out, movie_id=movie, reviewer=reviewer, blind=blind)


def _launcher() -> Callable[..., Any]:
    from migradetect.cli._console import print_error

    try:
        launch: Callable[..., Any] = import_module(_GUI).launch
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] not in (_GUI, "napari", "qtpy", "magicgui", "npe2"):
            raise
        print_error('expected the windows of the review, got none installed; pip install "migradetect[gui]"')
        raise typer.Exit(ExitCode.USAGE) from error
    return launch


def _without_window(out: Path, movie: str | None, reviewer: str | None, *, write: bool, orphans: bool) -> None:
    import pandas as pd

    from migradetect.cli._console import print_line, print_note, print_table
    from migradetect.io import load
    from migradetect.review import ReviewSession, choose_reviewer, reviewers, write_reviewed

    known = load(out)
    if movie is not None:
        known.movie(movie)
    rows = []
    n_reviewed = 0
    for movie_id, folder in known.movie_folders.items():
        if (movie is not None and movie_id != movie) or not reviewers(folder):
            continue
        n_reviewed += 1
        session = ReviewSession.open(folder, reviewer=reviewer if reviewer is not None else choose_reviewer(folder))
        for note in session.notes:
            print_note(f"{movie_id}: {note}")
        rows += [
            {
                "movie_id": movie_id,
                "time": one.line.get("time"),
                "reviewer": one.line.get("reviewer") or "-",
                "edit": (one.line.get("edit") or {}).get("op", "?"),
                "reason": one.reason,
            }
            for one in session.orphans
        ]
        if write:
            place = write_reviewed(session.results, folder)
            print_line(f"{movie_id}: {session.n_edits} corrections applied, reviewed tables: {place}")
    if orphans and rows:
        headings = {"movie_id": "movie", "time": "made", "reviewer": "by", "edit": "correction", "reason": "why not"}
        print_table(pd.DataFrame(rows), headings, fold=("movie_id", "reason"))
    elif orphans:
        print_line(f"All corrections of {n_reviewed} reviewed movies apply.")
    if not n_reviewed:
        print_line(f"{out}: nobody has reviewed anything here.")
