"""``migradetect status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migradetect.cli._exit import ExitCode

if TYPE_CHECKING:
    import pandas as pd

NAME = "status"
EXAMPLE = "Example: [bold]migradetect status results --cells[/]"

_STATUS_STYLE = {
    "done": "green",
    "failed": "red",
    "damaged": "red",
    "skipped": "yellow",
    "pending": "dim",
    "running": "cyan",
}


def command(
    out: Annotated[Path, typer.Argument(help="Output folder of a run.", show_default=False)],
    cells: Annotated[
        bool, typer.Option("--cells", help="Also print one row per cell, and where the files are.")
    ] = False,
) -> None:
    """Show how a run stands: what is done, what failed and why, what is missing."""
    from migradetect.batch import OutputLock
    from migradetect.cli._console import print_line

    record = _read_run(out)
    active = OutputLock.is_held(out)
    table = _movies(out, record)
    show_movies(table)
    state = "running" if active else {"running": "died"}.get(record.get("status", ""), record.get("status", "?"))
    counts = ", ".join(f"{n} {name}" for name, n in table["status"].value_counts().items())
    print_line(f"Run {state}, started {record.get('started', '?')}: {counts}.")
    if state in ("died", "interrupted") or (state != "running" and (table["status"] == "damaged").any()):
        print_line("Run the same command again to continue; what is done is kept.")
    if cells:
        show_cells(out, table)
    failed = int(table["status"].isin(["failed", "damaged"]).sum())
    if failed:
        raise typer.Exit(ExitCode.SOME_FAILED if failed < len(table) else ExitCode.ALL_FAILED)


def _read_run(out: Path) -> dict[str, Any]:
    import json

    from migradetect.errors import NoMoviesError, ReadError

    path = out / "run.json"
    if not path.exists():
        raise NoMoviesError(f"{out}: expected the output folder of `migradetect run`, got no run.json there")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: expected the record of a run, got a damaged file; run again into {out}") from error
    if not isinstance(record, dict) or not isinstance(record.get("movies"), dict):
        raise ReadError(f"{path}: expected the record of a run, got something else; run again into {out}")
    return record


def _movies(out: Path, record: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    from migradetect.io import is_complete

    rows = [
        {"movie_id": movie_id, **(item.get("row") or {}), "status": item.get("status"), "error": item.get("error")}
        for movie_id, item in record["movies"].items()
    ]
    for row in rows:
        # the record is of the time of the run; what was lost or cut since is not done
        if row["status"] == "done":
            row |= _counts(out / str(row["movie_id"]))
        if row["status"] == "done" and not is_complete(out / str(row["movie_id"])):
            row |= {"status": "damaged", "error": "results are missing or damaged; run the same command again"}
    counts = ["n_frames", "n_cells", "n_migrasomes", "n_edits", "n_orphans"]
    columns = ["movie_id", "status", *counts, "qc_flags", "error"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(counts, "Int64"))


def _counts(folder: Path) -> dict[str, Any]:
    """Counts with the corrections as they are now; none where nobody has reviewed the movie."""
    from migradetect.errors import MigradetectError
    from migradetect.review import review_counts, reviewers

    try:
        return review_counts(folder).row if reviewers(folder) else {}
    except MigradetectError:
        return {}  # results that are damaged, or several reviewers: their own lines say so


def show_movies(table: pd.DataFrame) -> None:
    """Print one row per movie."""
    from migradetect.cli._console import print_table

    columns = {
        "movie_id": "movie",
        "status": "status",
        "n_frames": "frames",
        "n_cells": "cells",
        "n_migrasomes": "migrasomes",
        "qc_flags": "flags",
    }
    if "n_edits" in table and table["n_edits"].notna().any():
        columns |= {"n_edits": "edits", "n_orphans": "orphans"}
    if table["error"].notna().any():
        columns["error"] = "error"
        table = table.assign(error=table["error"].fillna(""))
    print_table(table, columns, styles={"status": _STATUS_STYLE}, fold=("movie_id", "error", "qc_flags"))


def show_cells(out: Path, table: pd.DataFrame) -> None:
    """Print one row per cell of every movie that is done, and where its files are."""
    import pandas as pd

    from migradetect.cli._console import print_line, print_table
    from migradetect.review import load

    done = table.loc[table["status"] == "done", "movie_id"]
    parts = [load(out / str(movie_id)).cell_summary for movie_id in done]
    if parts:
        columns = {
            "movie_id": "movie",
            "cell_id": "cell",
            "n_migrasomes": "migrasomes",
            "n_migrasomes_per_100um_fiber": "per 100 um fiber",
            "n_migrasomes_per_100um_path": "per 100 um path",
            "fiber_length_um": "fiber um",
            "path_um": "path um",
            "mean_speed_um_per_min": "um/min",
            "observed_min": "seen min",
        }
        print_table(pd.concat(parts), columns, title="Cells", digits=2, fold=("movie_id",))
    for path in sorted(out.glob("movies.*")):
        print_line(str(path))
    for movie_id in done:
        print_line(f"{out / str(movie_id)}/")
