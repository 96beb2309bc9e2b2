"""All tables as CSV for spreadsheets that write 0,5: semicolons between values, decimal commas, UTF-8 with a mark.

The files of the results themselves have commas and points, which such spreadsheets read as dates or text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from migradetect.errors import CancelledError
from migradetect.io.exports._target import Target
from migradetect.io.tables_io import as_plain_text

__all__ = ["write"]


def write(
    tables: Mapping[str, pd.DataFrame],
    target: Target,
    states: Mapping[str, Any],
    step: Callable[[int, int, str], None],
    stop: Callable[[], bool],
) -> list[Path]:
    """Write ``<table>.csv`` for every table."""
    written = []
    for number, (name, table) in enumerate(tables.items()):
        step(number, len(tables), name)
        if stop():
            raise CancelledError("export: interrupted")
        text = as_plain_text(table).to_csv(index=False, sep=";", decimal=",", lineterminator="\r\n")
        with target.file(f"{name}.csv", {"format": "csv", "movies": states}) as file:
            # the mark is how Excel tells UTF-8 from the code page of the country
            file.write(text.encode("utf-8-sig", errors="backslashreplace"))
        written.append(target.folder / f"{name}.csv")
    return written
