"""Write docs/tables.md and docs/parameters.md from the code, so that they can't say something else.

    python workflows/docs/reference_pages.py [--check]

With --check nothing is written, and the exit code is 1 where a page is not what the code says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from migradetect.params import preset_names
from migradetect.params._describe import default_of, expected, parameters, sections
from migradetect.tables import TABLES

DOCS = Path(__file__).parents[2] / "docs"
_NOTE = "<!-- Written by workflows/docs/reference_pages.py; change the code instead. -->\n"
_FILES = {
    "movies": "`OUT/movies.parquet`, `.csv`",
    "site_traces": "`OUT/<movie>/site_traces.parquet`",
}


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def tables_page() -> str:
    """Data dictionary."""
    lines = [
        "# Result tables",
        "",
        _NOTE,
        "Units stand in the names of the columns. y comes before x; 0 is the centre of pixel 0. An empty field means",
        "unknown or not measurable; a 0 means that it was looked for and there was none. `movie_id` is in every table.",
        "Columns of `plate.csv`, such as condition and replicate, stand after those that are listed here, in every",
        "table. Parquet files carry unit and meaning of each column in their metadata.",
        "",
        "Where a movie was reviewed, `migrasomes`, `tracks`, `cells`, `fibers` and `cell_summary` have `edited` and",
        "`edit_source` besides, and `tracks` has `review_status`; see [review.md](review.md).",
        "",
    ]
    for name, table in TABLES.items():
        place = _FILES.get(name, f"`OUT/<movie>/{name}.parquet`, `.csv`")
        lines += [f"## {name}", "", f"One row per {table.row.removeprefix('one ')}. {place}."]
        lines += [f"A row is identified by {', '.join(f'`{key}`' for key in table.key)}.", ""]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        for column in table.columns:
            values = f" One of: {', '.join(column.values)}." if column.values else ""
            kind = {"Int64": "integer or null", "int64": "integer", "float64": "number", "bool": "true or false"}
            shown = kind.get(column.dtype, "text" if column.dtype == "string" else "true, false or null")
            lines.append(f"| `{column.name}` | {shown} | {column.unit} | {_cell(column.meaning)}{values} |")
        lines.append("")
    return "\n".join(lines)


def parameters_page() -> str:
    """Parameter reference."""
    lines = [
        "# Parameters",
        "",
        _NOTE,
        "Thresholds are in units of the noise and lengths in um, so one file serves other cameras and pixel sizes.",
        "`migradetect init my.toml` writes all of this as a commented file; `--set section.key=value` changes a",
        "value, and so does `MIGRADETECT_SECTION__KEY` in the environment. The command line wins over the environment,",
        f"that over the file, that over the preset ({', '.join(preset_names())}), that over the default. Unknown",
        "names are errors.",
        "",
    ]
    fields = parameters()
    for section, model in sections():
        about = (model.__doc__ or "").strip().splitlines()[0]
        lines += [f"## {section}", "", about, "", "| key | default | takes | what it does |", "|---|---|---|---|"]
        for name in model.model_fields:
            key = f"{section}.{name}"
            default = default_of(key)
            shown = (
                "as the file says"
                if default is None and section == "input"
                else "-"
                if default is None
                else f"`{default}`"
            )
            lines.append(f"| `{key}` | {shown} | {_cell(expected(fields[key]))} | {_cell(fields[key].description)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = 0
    for name, text in (("tables.md", tables_page()), ("parameters.md", parameters_page())):
        path = DOCS / name
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            print(f"{path}: not what the code says; run {Path(__file__).name}")
            stale = 1
        elif not check:
            path.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
