"""Tables on disk: Parquet with units, and a CSV twin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from migradetect.errors import ReadError, TableError
from migradetect.io.atomic import atomic_write_bytes
from migradetect.tables import TABLES, Table, validate_table

__all__ = ["TableFormat", "as_plain_text", "has_table", "read_table", "write_table"]

TableFormat = Literal["parquet", "csv", "both"]
#: Text that a spreadsheet would run as a formula; the leading quotes make the escape reversible.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_ARROW = {
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
_PANDAS: dict[Any, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
}
#: Tables that are too long to be of use as text.
PARQUET_ONLY = ("site_traces",)


def write_table(name: str, table: pd.DataFrame, folder: str | Path, table_format: TableFormat = "both") -> list[Path]:
    """Write a table as ``<name>.parquet`` and ``<name>.csv``, each in one step.

    Parameters
    ----------
    name : str
        Name of a table of :data:`migradetect.tables.TABLES`.
    table : pandas.DataFrame
        Follows its schema.
    folder : str or Path
        Where to write; must exist.
    table_format : {"parquet", "csv", "both"}
        Which of the two; ``site_traces`` is always Parquet only.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    TableError
        If the table does not follow its schema.
    OutputError
        If the folder can't be written.
    """
    validate_table(name, table)
    if table_format not in ("parquet", "csv", "both"):
        raise TableError(f"{name}: expected the table format parquet, csv or both, got '{table_format}'")
    arrow = _to_arrow(TABLES[name], table)
    written = []
    if table_format != "csv" or name in PARQUET_ONLY:
        written.append(Path(folder) / f"{name}.parquet")
        buffer = pa.BufferOutputStream()
        pa.parquet.write_table(arrow, buffer, compression="zstd")
        atomic_write_bytes(written[-1], memoryview(buffer.getvalue()))
    if table_format != "parquet" and name not in PARQUET_ONLY:
        written.append(Path(folder) / f"{name}.csv")
        options = pa.csv.WriteOptions(include_header=True, quoting_style="needed", quoting_header="none")
        buffer = pa.BufferOutputStream()
        pa.csv.write_csv(_escaped(arrow), buffer, options)
        atomic_write_bytes(written[-1], memoryview(buffer.getvalue()))
    return written


def _to_arrow(schema: Table, table: pd.DataFrame) -> pa.Table:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    about = {column.name: column for column in schema.columns}
    fields = []
    for item in arrow.schema:
        column = about.get(item.name)
        kind = _ARROW[column.dtype] if column is not None else item.type
        notes = {"unit": column.unit, "meaning": column.meaning} if column is not None else None
        fields.append(pa.field(item.name, kind, metadata=notes))
    # the pandas block would tie the file to a pandas version; the schema says all that is needed
    return arrow.replace_schema_metadata(None).cast(
        pa.schema(fields, metadata={"table": schema.name, "row": schema.row})
    )


def _escaped(arrow: pa.Table) -> pa.Table:
    columns = []
    for column in arrow.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts = [f"'{text}" if text is not None and _FORMULA.match(text) else text for text in column.to_pylist()]
            column = pa.array(texts, type=pa.string())
        columns.append(column)
    return pa.table(columns, names=arrow.column_names)


def as_plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """Table whose texts no spreadsheet runs as formulas, as :func:`write_table` writes them into CSV."""
    out = table.copy()
    for name in out.columns:
        if pd.api.types.is_string_dtype(out[name].dtype):
            texts = [f"'{text}" if isinstance(text, str) and _FORMULA.match(text) else text for text in out[name]]
            out[name] = pd.Series(texts, index=out.index, dtype="string")
    return out


def has_table(name: str, folder: str | Path) -> bool:
    """Whether the folder holds the table in either form."""
    return any((Path(folder) / f"{name}.{suffix}").is_file() for suffix in ("parquet", "csv"))


def read_table(name: str, folder: str | Path) -> pd.DataFrame:
    """Read a table, from its Parquet file or, where that is absent, from its CSV twin.

    Parameters
    ----------
    name : str
        Name of a table of :data:`migradetect.tables.TABLES`.
    folder : str or Path
        Folder that holds it.

    Returns
    -------
    pandas.DataFrame
        In the types of the schema.

    Raises
    ------
    ReadError
        If there is no such file, or it is damaged.
    TableError
        If the table does not follow its schema.
    """
    schema = TABLES[name]
    path = Path(folder) / f"{name}.parquet"
    if not path.is_file():
        path = Path(folder) / f"{name}.csv"
    if not path.is_file():
        raise ReadError(f"{folder}: expected {name}.parquet or {name}.csv, got neither; run the movie again")
    try:
        arrow = pa.parquet.read_table(path) if path.suffix == ".parquet" else _read_csv(schema, path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise ReadError(f"{path}: expected an intact table, got '{reason}'; run the movie again") from error
    for column in schema.columns:
        if column.name not in arrow.column_names:
            raise TableError(f"{path}: expected column '{column.name}', got {', '.join(arrow.column_names)}")
    return _to_pandas(schema, arrow, path)


def _read_csv(schema: Table, path: Path) -> pa.Table:
    types = {column.name: _ARROW[column.dtype] for column in schema.columns}
    arrow = _parse_csv(path, types)
    unsure = [item.name for item in arrow.schema if item.name not in types and not pa.types.is_string(item.type)]
    quoted = _quoted_columns(path, unsure) if unsure else []
    if quoted:
        arrow = _parse_csv(path, types | dict.fromkeys(quoted, pa.string()))
    columns = []
    for column in arrow.columns:
        if pa.types.is_string(column.type):
            texts = [text[1:] if text is not None and _ESCAPED.match(text) else text for text in column.to_pylist()]
            column = pa.array(texts, type=pa.string())
        columns.append(column)
    return pa.table(columns, names=arrow.column_names)


def _parse_csv(path: Path, types: dict[str, Any], nulls: tuple[str, ...] = ("",)) -> pa.Table:
    options = pa.csv.ConvertOptions(
        column_types=types,
        null_values=list(nulls),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,  # "" is an empty text, nothing at all is null
    )
    return pa.csv.read_csv(path, convert_options=options, parse_options=pa.csv.ParseOptions(newlines_in_values=True))


def _quoted_columns(path: Path, names: list[str]) -> list[str]:
    """Which columns hold text that only looks like numbers, dates or flags: text is written in quotes."""
    as_text = dict.fromkeys(names, pa.string())
    values = {text for column in _parse_csv(path, as_text).select(names).columns for text in column.to_pylist()}
    # declared as nulls, values without quotes vanish, while those in quotes stay
    bare = _parse_csv(path, as_text, ("", *sorted(values - {None})))
    return [name for name in names if bare[name].null_count < len(bare)]


def _to_pandas(schema: Table, arrow: pa.Table, path: Path) -> pd.DataFrame:
    table = arrow.to_pandas(ignore_metadata=True, types_mapper=_PANDAS.get)
    wanted = {column.name: column.dtype for column in schema.columns}
    try:
        for name in table.columns:
            kind = wanted.get(name)
            if kind is None:  # a column beyond the schema: the plain type unless it has gaps
                plain = {"Int64": "int64", "boolean": "bool"}.get(str(table[name].dtype))
                kind = plain if plain and not table[name].isna().any() else None  # type: ignore[assignment]
            if kind is not None:
                table[name] = table[name].astype(kind)
        validate_table(schema.name, table)
    except (TypeError, ValueError) as error:
        raise TableError(f"{path}: {error}") from error
    return table
