"""Reading movies, writing and loading results; the only package that knows TIFF."""

from __future__ import annotations

from migradetect.io.atomic import atomic_write_bytes, atomic_write_json, atomic_write_text, to_json
from migradetect.io.batch_results import BatchResults, load
from migradetect.io.discovery import Search, find_movies, search_movies
from migradetect.io.exports import FORMATS as EXPORT_FORMATS
from migradetect.io.exports import ExportReport, export_results
from migradetect.io.hand_counts import load_hand_counts
from migradetect.io.movie_writing import write_movie
from migradetect.io.opening import SCAN_COLUMNS, input_hash, open_movie, scan
from migradetect.io.options import InputOptions, MovieEntry
from migradetect.io.publish import is_complete, publish_copy, recover
from migradetect.io.reopening import check_same_recording, reopen_movie
from migradetect.io.results_io import StoredLabels, load_results, write_results
from migradetect.io.tables_io import TableFormat, read_table, write_table
from migradetect.io.video_writing import write_film, write_picture

__all__ = [
    "EXPORT_FORMATS",
    "SCAN_COLUMNS",
    "BatchResults",
    "ExportReport",
    "InputOptions",
    "MovieEntry",
    "Search",
    "StoredLabels",
    "TableFormat",
    "atomic_write_bytes",
    "atomic_write_json",
    "atomic_write_text",
    "check_same_recording",
    "export_results",
    "find_movies",
    "input_hash",
    "is_complete",
    "load",
    "load_hand_counts",
    "load_results",
    "open_movie",
    "publish_copy",
    "read_table",
    "recover",
    "reopen_movie",
    "scan",
    "search_movies",
    "to_json",
    "write_film",
    "write_movie",
    "write_picture",
    "write_results",
    "write_table",
]
