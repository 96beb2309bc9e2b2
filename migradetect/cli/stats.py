"""``migradetect stats``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

NAME = "stats"
EXAMPLE = "Example: [bold]migradetect stats results --by condition --control DMSO --out stats.csv[/]"


class Test(StrEnum):
    """Tests of two groups."""

    WELCH = "welch"
    STUDENT = "student"
    PAIRED = "paired"
    MANN_WHITNEY = "mannwhitney"
    PERMUTATION = "permutation"


class Correction(StrEnum):
    """Corrections for many comparisons."""

    BH = "bh"
    HOLM = "holm"
    NONE = "none"


def command(
    out: Annotated[Path, typer.Argument(help="Output folder of a run.", show_default=False)],
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Groups; a column of plate.csv.")] = "condition",
    replicate: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Replicates.", show_default="replicate, else well, else movie_id"),
    ] = None,
    control: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Compare with this group only.", show_default=False)
    ] = None,
    test: Annotated[Test, typer.Option(help="Test of the means of replicates.")] = Test.WELCH,
    correction: Annotated[Correction, typer.Option(help="For many comparisons.")] = Correction.BH,
    min_observed_min: Annotated[
        float, typer.Option(metavar="MIN", min=0, help="Leave out cells that are seen for a shorter time.")
    ] = 0.0,
    reviewer: Annotated[
        str | None, typer.Option(help="Whose corrections, where several have reviewed.", show_default=False)
    ] = None,
    csv: Annotated[Path | None, typer.Option("--out", help="Also write the table as CSV.", show_default=False)] = None,
) -> None:
    """Compare conditions by the means of replicates, and lifetimes by the log-rank test."""
    from migradetect.cli._console import print_line, print_note
    from migradetect.errors import TableError
    from migradetect.io import atomic_write_text
    from migradetect.review import load
    from migradetect.stats import compare_lifetimes, compare_readouts, select_cells

    results = load(out, reviewer=reviewer)
    cells = select_cells(results.cell_summary, min_observed_min=min_observed_min)
    table, notes = compare_readouts(
        cells, by=by, replicate=replicate, control=control, test=test.value, correction=correction.value
    )
    _show(table, by)
    for note in notes:
        print_note(note)
    try:
        lives = compare_lifetimes(results.tracks, by, replicate=replicate, correction=correction.value)
    except TableError as error:
        print_note(f"lifetimes are not compared: {error}")
    else:
        for line in lives.lines():
            print_line(line)
        for note in lives.notes:
            if note not in notes:
                print_note(note)
    if csv is not None:
        atomic_write_text(csv, table.to_csv(index=False))
        print_line(str(csv))


def _show(table: pd.DataFrame, by: str) -> None:
    from migradetect.cli._console import print_line, print_table
    from migradetect.stats import READOUTS

    shown = table.assign(
        readout=table["value"].map(READOUTS),
        limits=[
            f"{low:.2f} to {high:.2f}"
            for low, high in zip(table["difference_ci_low"], table["difference_ci_high"], strict=True)
        ],
    )
    columns = {
        "readout": "readout",
        "a": "first",
        "b": "second",
        "mean_a": "mean",
        "mean_b": "mean",
        "difference": "difference",
        "limits": "95 % limits",
        "hedges_g": "Hedges' g",
        "p": "p",
        "p_adjusted": "p adjusted",
    }
    print_table(shown, columns, title=f"By {by}, second minus first", digits=3, fold=("readout", "a", "b"))
    for text in dict.fromkeys(table["n"]):
        print_line(str(text))
