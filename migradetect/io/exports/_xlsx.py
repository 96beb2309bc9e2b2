"""All tables as one Excel workbook: a sheet per table, one with the meaning and unit of every column, one about it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from migradetect._version import __version__
from migradetect.errors import CancelledError, printable
from migradetect.io.exports._job import library
from migradetect.io.exports._target import Target
from migradetect.tables import TABLES

__all__ = ["write"]

#: Rows of a sheet of Excel, with its heading.
MAX_ROWS = 1_048_576
_NAME = "migradetect.xlsx"


def write(
    tables: Mapping[str, pd.DataFrame],
    target: Target,
    states: Mapping[str, Any],
    step: Callable[[int, int, str], None],
    stop: Callable[[], bool],
) -> list[Path]:
    """Write ``migradetect.xlsx``; a table that is longer than a sheet goes on in the next, ``<table>_2``."""
    openpyxl = library("openpyxl", "xlsx")
    # row by row: a workbook in memory would take some fifty times the size of its tables
    book = openpyxl.Workbook(write_only=True)
    try:
        _sheet(book, "about", _about(states))
        _sheet(book, "columns", _columns(tables))
        for number, (name, table) in enumerate(tables.items()):
            step(number, len(tables), name)
            room = MAX_ROWS - 1
            for part in range(max(1, math.ceil(len(table) / room))):
                rows = table.iloc[part * room : (part + 1) * room]
                _sheet(book, name if part == 0 else f"{name}_{part + 1}", _rows(rows, stop))
        with target.file(_NAME, {"format": "xlsx", "movies": states}) as file:
            book.save(file)
    except BaseException:
        _discard(book)
        raise
    return [target.folder / _NAME]


def _discard(book: Any) -> None:
    """Close and remove the temporary file of each sheet, which openpyxl does only when it saves."""
    for sheet in book.worksheets:
        sheet.close()
        with contextlib.suppress(OSError, AttributeError):
            sheet._writer.cleanup()


def _about(states: Mapping[str, Any]) -> Iterator[list[Any]]:
    yield ["movie_id", "state", "reviewer", "corrections"]
    for movie_id, state in states.items():
        kind = "reviewed" if state["reviewed"] else "automatic"
        yield [movie_id, kind, state.get("reviewer"), state.get("n_edits", 0)]
    yield []
    yield ["migradetect", __version__]
    yield ["empty", "unknown, or not measurable; 0 means looked for and none found"]


def _columns(tables: Mapping[str, pd.DataFrame]) -> Iterator[list[Any]]:
    yield ["table", "column", "unit", "meaning", "values"]
    for name, table in tables.items():
        about = {column.name: column for column in TABLES[name].columns}
        for column in map(str, table.columns):
            known = about.get(column)
            if known is None:
                yield [name, column, "", "from plate.csv, the file name, or the review", ""]
            else:
                yield [name, column, known.unit, known.meaning, ", ".join(known.values)]


def _rows(table: pd.DataFrame, stop: Callable[[], bool]) -> Iterator[list[Any]]:
    yield [str(column) for column in table.columns]
    for number, row in enumerate(table.astype(object).itertuples(index=False, name=None)):
        if number % 1000 == 0 and stop():
            raise CancelledError("export: interrupted")
        yield [None if pd.isna(value) else value for value in row]


def _sheet(book: Any, title: str, rows: Iterator[list[Any]]) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for number, row in enumerate(rows):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, printable(value) if isinstance(value, str) else _finite(value))
            if isinstance(value, str):
                # a name that begins with = is text, not a formula
                cell.data_type = "s"
            if number == 0:
                cell.font = Font(bold=True)
            cells.append(cell)
        sheet.append(cells)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
