"""Review: corrections made by a person, kept as a log beside the automatic results, and what follows from them.

reviewed = automatic + replay. A :class:`ReviewSession` replays the log, takes further corrections
(:mod:`migradetect.review.edits`), and shows reviewed tables and label planes; nothing here knows a window.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migradetect.review import edits
    from migradetect.review._blind import blind_order, blind_tables
    from migradetect.review._change import Change
    from migradetect.review._load import ReviewCounts, ReviewedResults, load, review_counts
    from migradetect.review._log import log_path, reviewers
    from migradetect.review._reviewed import choose_reviewer, reviewed
    from migradetect.review._session import Orphan, ReviewSession
    from migradetect.review._write import write_reviewed

__all__ = [
    "Change",
    "Orphan",
    "ReviewCounts",
    "ReviewSession",
    "ReviewedResults",
    "blind_order",
    "blind_tables",
    "choose_reviewer",
    "edits",
    "load",
    "log_path",
    "review_counts",
    "reviewed",
    "reviewers",
    "write_reviewed",
]

_HOMES = {
    "Change": "_change",
    "Orphan": "_session",
    "ReviewCounts": "_load",
    "ReviewSession": "_session",
    "ReviewedResults": "_load",
    "blind_order": "_blind",
    "blind_tables": "_blind",
    "choose_reviewer": "_reviewed",
    "load": "_load",
    "review_counts": "_load",
    "write_reviewed": "_write",
    "log_path": "_log",
    "reviewed": "_reviewed",
    "reviewers": "_log",
}


def __getattr__(name: str) -> Any:
    if name == "edits":
        return import_module("migradetect.review.edits")
    if name not in _HOMES:
        raise AttributeError(f"module 'migradetect.review' has no attribute '{name}'")
    value = getattr(import_module(f"migradetect.review.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
