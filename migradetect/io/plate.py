"""``plate.csv``: what was done to each movie, as columns of every result table."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from migradetect.errors import ParamsError, nearest_name
from migradetect.io.naming import PLATE_COLUMNS
from migradetect.io.options import MovieEntry
from migradetect.results import TIME_OFFSET
from migradetect.tables import TABLES

__all__ = ["Plate", "annotate", "read_plate"]

_MAX_BYTES = 2**24
_FILE_KEYS = ("file", "filename", "file_name", "path", "movie")
_OFFSETS = {"time_offset_s": 1 / 60, "time_offset_min": 1.0, "time_offset_h": 60.0}
#: Columns that the result tables have already.
_TAKEN = frozenset(column.name for table in TABLES.values() for column in table.columns)
#: A column of the tables and of formulas in notebooks; also keeps formulas out of the header.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
_WELL = re.compile(r"(?<![A-Za-z0-9])(?:([A-P])(0?[1-9]|1[0-9]|2[0-4])|r(\d{2})c(\d{2})f?(?:\d*))(?![A-Za-z0-9])", re.I)

Value = str | float | None


@dataclass(frozen=True, slots=True)
class Plate:
    """Rows of a plate table.

    Parameters
    ----------
    path : Path
        The file.
    key : {"movie_id", "file", "well"}
        What a row is found by.
    rows : tuple of mapping
        Values by column, as text.
    columns : tuple of str
        What the rows give to the result tables, in order.
    """

    path: Path
    key: str
    rows: tuple[Mapping[str, str], ...]
    columns: tuple[str, ...]


def read_plate(path: str | Path) -> Plate:
    """Read a plate table.

    Parameters
    ----------
    path : str or Path
        CSV in UTF-8 with a header; separated by comma, semicolon or tab. One column says which movie a row is for:
        ``movie_id``, ``file`` (wildcards allowed) or ``well`` (with ``plate`` where there are several).

    Raises
    ------
    ParamsError
        Names the line or column that is wrong.
    """
    path = Path(path)
    lines = _lines(path)
    header, *rows = lines
    columns = [_column(path, text) for text in header[1]]
    if len(set(columns)) != len(columns):
        raise ParamsError(f"{path}: expected each column once, got {', '.join(columns)}; rename one")
    key = next((name for name in ("movie_id", "file", "well") if name in columns), None)
    if key is None:
        raise ParamsError(
            f"{path}: expected a column movie_id, file or well, got {', '.join(columns)}"
            f"{nearest_name(columns[0], ('movie_id', 'file', 'well'))}; `migradetect scan` lists the movies"
        )
    given = [name for name in columns if name not in ("movie_id", "file")]
    taken = [name for name in given if name in _TAKEN]
    if taken:
        raise ParamsError(
            f"{path}: expected columns of your own, got {', '.join(taken)}, which the results have; rename it"
        )
    if sum(name in _OFFSETS for name in given) > 1:
        raise ParamsError(f"{path}: expected one time offset, got several columns; keep one of {', '.join(_OFFSETS)}")
    found = []
    for number, row in rows:
        if len(row) != len(columns):
            raise ParamsError(
                f"{path}: expected {len(columns)} values in line {number}, got {len(row)}; correct the line"
            )
        values = dict(zip(columns, (text.strip() for text in row), strict=True))
        odd = next((text for text in values.values() if not text.isprintable()), None)
        if odd is not None:
            raise ParamsError(f"{path}: expected printable text in line {number}, got {odd[:40]!r}; type it again")
        if not values[key]:
            raise ParamsError(f"{path}: expected a {key} in line {number}, got nothing; fill it in or remove the line")
        if key == "well" and _well(values["well"]) is None:
            raise ParamsError(
                f"{path}: expected a well such as B03 in line {number}, got '{values['well']}'; correct it"
            )
        found.append(_with_offset(path, number, values))
    return Plate(
        path, key, tuple(found), tuple(dict.fromkeys(TIME_OFFSET if name in _OFFSETS else name for name in given))
    )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ParamsError(f"{path}: expected a table of less than {_MAX_BYTES} bytes, got more; check the path")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ParamsError(f"{path}: expected a table, got none ({error.strerror or error}); check the path") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: expected UTF-8 text, got other bytes; save it as CSV UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # a spreadsheet writes what its language uses
    try:
        reader = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ParamsError(f"{path}: expected CSV, got a damaged one ({error}); save it again") from error
    if len(lines) < 2:
        raise ParamsError(f"{path}: expected a header and at least one row, got {len(lines)} lines; fill it in")
    return lines


def _column(path: Path, text: str) -> str:
    name = re.sub(r"[\s\-]+", "_", text.strip()).casefold()
    name = "file" if name in _FILE_KEYS else name
    if name in ("time_offset", "offset"):
        raise ParamsError(
            f"{path}: expected the unit in the name of the time offset, got '{text}'; call it {TIME_OFFSET}"
        )
    if not _NAME.fullmatch(name):
        raise ParamsError(
            f"{path}: expected names of letters, digits and _ as columns, got {text[:40]!r}; rename that column"
        )
    return name


def _with_offset(path: Path, number: int, values: dict[str, str]) -> dict[str, str]:
    for name, minutes in _OFFSETS.items():
        text = values.pop(name, None)
        if text is None:
            continue
        values[TIME_OFFSET] = "" if not text else repr(_minutes(f"{path}: line {number}", text) * minutes)
    return values


def _minutes(where: str, text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ParamsError(f"{where}: expected a number as time offset, got '{text[:40]}'; correct it")
    return value


def _well(text: str) -> str | None:
    match = _WELL.fullmatch(text.strip())
    return None if match is None else _normal(match)


def _normal(match: re.Match[str]) -> str:
    if match[1]:
        return f"{match[1].upper()}{int(match[2]):02d}"
    return f"{chr(ord('A') + int(match[3]) - 1)}{int(match[4]):02d}"


def annotate(
    entries: Sequence[MovieEntry], plates: Iterable[tuple[Plate, Path | None]]
) -> tuple[list[MovieEntry], list[str]]:
    """Give every movie the columns of its row, after those of its file name.

    Parameters
    ----------
    entries : sequence of MovieEntry
        As found; `annotations` hold what the file name says.
    plates : iterable of (Plate, Path or None)
        Tables, each with the folder that it is about; None for all.

    Returns
    -------
    entries : list of MovieEntry
        All with the same columns; null where nothing is known, which is a warning of that movie.
    notes : list of str
        Rows that no movie was found for.

    Raises
    ------
    ParamsError
        If two rows fit one movie, or a row and a file name disagree.
    """
    pairs = list(plates)
    notes: list[str] = []
    used: dict[int, set[int]] = {id(plate): set() for plate, _ in pairs}
    found = []
    for entry in entries:
        values: dict[str, Value] = {name: _typed(str(entry.path), name, value) for name, value in entry.annotations}
        warnings = list(entry.warnings)
        if values and all(value is None for value in values.values()):
            warnings.append(f"{entry.movie_id}: the file name does not match --pattern; its columns stay empty")
        for plate, root in pairs:
            if root is not None and not entry.path.absolute().is_relative_to(root.absolute()):
                continue
            row = _row(plate, entry, values)
            if row is None:
                warnings.append(f"{entry.movie_id}: no row in {plate.path}; its columns stay empty")
                continue
            used[id(plate)].add(row)
            _merge(plate, entry, values, plate.rows[row])
        found.append(replace(entry, annotations=tuple(values.items()), warnings=tuple(warnings)))
    for plate, _ in pairs:
        idle = [row[plate.key] for index, row in enumerate(plate.rows) if index not in used[id(plate)]]
        if idle:
            listed = ", ".join(idle[:8]) + (" ..." if len(idle) > 8 else "")
            notes.append(f"{plate.path}: no movie for {len(idle)} of {len(plate.rows)} rows ({plate.key} {listed})")
    return _same_columns(found, [plate for plate, _ in pairs]), notes


def _typed(where: str, name: str, value: Value) -> Value:
    if name in _TAKEN or not _NAME.fullmatch(name):
        raise ParamsError(
            f"--pattern: expected groups with names of their own, got '{name}', which the results have; rename it"
        )
    if name == "well" and isinstance(value, str):
        return _well(value.partition("_")[0]) or value
    return _minutes(where, value) if name == TIME_OFFSET and isinstance(value, str) else value


def _merge(plate: Plate, entry: MovieEntry, values: dict[str, Value], row: Mapping[str, str]) -> None:
    for name in plate.columns:
        text = row[name]
        value: Value = None if not text else float(text) if name == TIME_OFFSET else text
        if name == "well" and text:
            value = _well(text) or text
        before = values.get(name)
        if value is None:
            values.setdefault(name, None)
        elif before is None or before == value or (name == "well" and _well(str(before)) == value):
            values[name] = value
        else:
            raise ParamsError(
                f"{plate.path}: expected {name} '{before}' for {entry.movie_id} as in its file name, got '{value}'; "
                "correct the row or the name"
            )


def _row(plate: Plate, entry: MovieEntry, values: Mapping[str, Value]) -> int | None:
    if plate.key == "well":
        fitting = _by_well(plate, entry, values)
    elif plate.key == "movie_id":
        fitting = [i for i, row in enumerate(plate.rows) if row["movie_id"].casefold() == entry.movie_id.casefold()]
    else:
        fitting = [i for i, row in enumerate(plate.rows) if _is_file(row["file"], plate, entry)]
        exact = [i for i in fitting if not re.search(r"[*?\[]", plate.rows[i]["file"])]
        fitting = exact or fitting  # a row of its own outranks a wildcard
    if len(fitting) > 1:
        rows = ", ".join(plate.rows[i][plate.key] for i in fitting[:4])
        raise ParamsError(
            f"{plate.path}: expected one row for {entry.movie_id}, got {len(fitting)} ({rows}); remove the others"
        )
    return fitting[0] if fitting else None


def _is_file(text: str, plate: Plate, entry: MovieEntry) -> bool:
    pattern = text.replace("\\", "/").casefold()
    names = {entry.path.name, entry.path.as_posix(), entry.movie_id, *(path.name for path in entry.files[:1])}
    if entry.path.absolute().is_relative_to(plate.path.parent.absolute()):
        names.add(entry.path.absolute().relative_to(plate.path.parent.absolute()).as_posix())
    return any(name.casefold() == pattern or fnmatchcase(name.casefold(), pattern) for name in names)


def _by_well(plate: Plate, entry: MovieEntry, values: Mapping[str, Value]) -> list[int]:
    own = _well(str(values.get("well") or ""))
    wells = {own} if own else {_normal(match) for match in _WELL.finditer(entry.movie_id)}
    fitting = [i for i, row in enumerate(plate.rows) if _well(row["well"]) in wells]
    if len(fitting) < 2 or "plate" not in plate.columns:
        return fitting
    words = {
        part.casefold() for item in (*entry.path.parts, entry.movie_id) for part in (item, *re.split(r"__|_|\s", item))
    }
    named = values.get("plate")
    return [
        i
        for i in fitting
        if (plate.rows[i]["plate"] == named if named is not None else plate.rows[i]["plate"].casefold() in words)
    ]


def _same_columns(entries: Sequence[MovieEntry], plates: Sequence[Plate]) -> list[MovieEntry]:
    names = dict.fromkeys(name for entry in entries for name, _ in entry.annotations)
    names |= dict.fromkeys(name for plate in plates for name in plate.columns)
    order = sorted(names, key=lambda name: PLATE_COLUMNS.index(name) if name in PLATE_COLUMNS else len(PLATE_COLUMNS))
    return [
        replace(entry, annotations=tuple((name, dict(entry.annotations).get(name)) for name in order))
        for entry in entries
    ]
