"""What the user sees: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from migradetect.errors import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dash", "print_error", "print_line", "print_note", "print_table", "stderr", "stdout"]

#: Columns where the output is not a terminal: a log should not break rows at 80.
_LOG_WIDTH = 160


def stdout() -> Console:
    """Console for results."""
    return Console(width=None if sys.stdout.isatty() else _LOG_WIDTH, highlight=False, soft_wrap=False, emoji=False)


def stderr() -> Console:
    """Console for progress and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _LOG_WIDTH, highlight=False, emoji=False)


def print_error(message: str) -> None:
    """One line on stderr."""
    stderr().print(f"[bold red]error:[/] {escape(printable(message))}", soft_wrap=True)


def print_line(message: str) -> None:
    """One line on stdout, whatever names of files and channels are in it."""
    stdout().print(printable(message), markup=False, soft_wrap=True)


def print_note(message: str) -> None:
    """One line on stderr that is not an error."""
    stderr().print(printable(message), markup=False, soft_wrap=True)


def dash(value: Any, digits: int = 2) -> str:
    """Value for a table; what is missing is a dash, never a zero."""
    if value is None or str(value) in ("<NA>", "nan", "NaT"):
        return "-"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "-"
        return f"{value:.{digits}f}"
    return str(value)


def print_table(
    table: pd.DataFrame,
    columns: dict[str, str],
    *,
    title: str | None = None,
    digits: int = 2,
    styles: dict[str, dict[str, str]] | None = None,
    fold: Sequence[str] = (),
) -> None:
    """Print a table on stdout.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows.
    columns : dict of str to str
        Column -> heading, in order; absent columns are left out.
    title : str, optional
        Line above the table.
    digits : int
        Decimals of numbers that are not whole.
    styles : dict, optional
        Column -> value -> rich style.
    fold : sequence of str
        Columns that may break into lines; the others are kept on one.
    """
    from pandas.api.types import is_numeric_dtype

    shown = [name for name in columns if name in table.columns]
    grid = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", header_style="bold")
    for name in shown:
        numeric = is_numeric_dtype(table[name].dtype) and table[name].dtype != bool
        folds = name in fold
        grid.add_column(
            escape(printable(columns[name])), justify="right" if numeric else "left", no_wrap=not folds, overflow="fold"
        )
    for _, row in table.iterrows():
        cells = []
        for name in shown:
            text = escape(printable(dash(row[name], digits)))
            style = (styles or {}).get(name, {}).get(str(row[name]))
            cells.append(f"[{style}]{text}[/]" if style else text)
        grid.add_row(*cells)
    console = stdout()
    if console.is_terminal:
        console.print(grid)
        return
    with console.capture() as captured:
        console.print(grid)
    # a log needs no padding
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join(lines).strip("\n") + "\n")
