"""Markdown of the benchmark: the project beside its peers, by metric and condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from bench_movies import PROJECT

__all__ = [
    "HEADLINE",
    "TARGETS",
    "Row",
    "conditions_table",
    "fill_section",
    "headline_table",
    "lever_table",
    "metric_tables",
]


class Row(NamedTuple):
    """A metric as it is shown."""

    metric: str
    title: str
    digits: int = 2
    #: Larger is better (1), smaller is (-1), or nearer to 0 (0), or nearer to 1 (2).
    better: int = 1


#: Every metric that is shown, in its order.
HEADLINE: tuple[Row, ...] = (
    Row("precision", "migrasomes per frame: precision"),
    Row("recall", "recall"),
    Row("f1", "F1"),
    Row("f1_0.5_0.8um", "F1, 0.5-0.8 um"),
    Row("f1_0.8_1.2um", "F1, 0.8-1.2 um"),
    Row("f1_1.2_2um", "F1, 1.2-2 um"),
    Row("f1_over_2um", "F1, over 2 um"),
    Row("recall_tip", "recall, at tips"),
    Row("recall_branch", "recall, at branches"),
    Row("recall_shaft", "recall, on shafts"),
    Row("false_per_frame", "false ones per frame", 1, -1),
    Row("empty_false_per_frame", "false ones per frame where there are no migrasomes", 2, -1),
    Row("hota", "HOTA at the gate"),
    Row("alpha", "ISBI alpha"),
    Row("beta", "ISBI beta"),
    Row("jsc", "ISBI JSC"),
    Row("id_switches_per_100", "identity switches per 100", 1, -1),
    Row("diameter_error", "diameter: median absolute error, %", 0, -1),
    Row("diameter_bias", "diameter: bias, %", 0, 0),
    Row("diameter_bias_0.5_0.8um", "diameter bias, 0.5-0.8 um, %", 0, 0),
    Row("diameter_bias_0.8_1.2um", "diameter bias, 0.8-1.2 um, %", 0, 0),
    Row("diameter_bias_1.2_2um", "diameter bias, 1.2-2 um, %", 0, 0),
    Row("diameter_bias_over_2um", "diameter bias, over 2 um, %", 0, 0),
    Row("count_mae", "count per cell: mean absolute error", 1, -1),
    Row("count_relative_mae", "count: mean absolute error over mean", 2, -1),
    Row("count_bias", "count: bias", 2, 0),
    Row("count_limits_of_agreement", "count: limits of agreement, +-", 1, -1),
    Row("count_correlation", "count: correlation"),
    Row("parent_accuracy", "parent cell: accuracy"),
    Row("location_macro_recall", "location: macro recall"),
    Row("location_accuracy", "location: accuracy"),
    Row("birth_error_frames", "birth: median absolute error, frames", 1, -1),
    Row("birth_error_min", "birth: median absolute error, min", 1, -1),
    Row("plateau_diameter_error", "plateau diameter: median absolute error, %", 0, -1),
    Row("tau_error", "time constant: median absolute error, %", 0, -1),
    Row("fate_macro_recall", "fate: macro recall"),
    Row("cell_seg", "cells: SEG"),
    Row("cell_f1", "cells: F1 at 0.5"),
    Row("cell_link_f1", "cells: F1 of links"),
    Row("fiber_f1", "fibers: F1 of centrelines at 0.3 um"),
    Row("fiber_length_ratio", "fibers: length over true length", 2, 2),
)
_BY_NAME = {row.metric: row for row in HEADLINE}
#: Columns of the table of conditions.
_WIDE = ("precision", "recall", "f1", "hota", "diameter_error", "count_relative_mae", "parent_accuracy",
         "location_macro_recall", "birth_error_frames", "fate_macro_recall", "cell_seg", "fiber_f1")  # fmt: skip
_SHORT = {
    "precision": "precision", "recall": "recall", "f1": "F1", "hota": "HOTA", "diameter_error": "diameter, %",
    "count_relative_mae": "count", "parent_accuracy": "parent", "location_macro_recall": "location",
    "birth_error_frames": "birth, frames", "fate_macro_recall": "fate", "cell_seg": "cell SEG", "fiber_f1": "fiber F1",
}  # fmt: skip
#: Groups of conditions that are as hard as each other.
_GROUP = {
    "clean": 0, "typical": 0, "fine_pixels": 0, "drifting": 1, "many_decoys": 1, "coarse_pixels": 1, "low_snr": 2,
    "crowded": 2, "fixed_frame": 3,
}  # fmt: skip
_NONE = float("nan")
#: What the project aims at, a careful human's work: metric -> value for each group of conditions.
TARGETS: Mapping[str, tuple[float, float, float, float]] = {
    "f1": (0.95, 0.93, 0.90, 0.87),
    "hota": (0.88, 0.86, 0.82, _NONE),
    "diameter_error": (6, 8, 10, 10),
    "parent_accuracy": (0.97, 0.95, 0.85, 0.85),
    "count_relative_mae": (0.05, 0.08, 0.15, 0.15),
    "location_macro_recall": (0.85, 0.80, 0.75, 0.80),
    "birth_error_frames": (1.5, 2, 3, _NONE),
    "plateau_diameter_error": (6, 8, 12, _NONE),
    "tau_error": (25, 30, 40, _NONE),
    "fate_macro_recall": (0.85, 0.80, 0.75, _NONE),
    "cell_seg": (0.95, 0.92, 0.85, 0.90),
    "cell_f1": (0.98, 0.97, 0.93, 0.97),
    "fiber_f1": (0.92, 0.88, 0.85, 0.85),
}


def _target(metric: str, condition: str) -> float:
    """What is aimed at; NaN where nothing was set."""
    if condition == "no_migrasomes" and metric == "empty_false_per_frame":
        return 0.05
    if metric not in TARGETS or condition not in _GROUP:
        return _NONE
    return TARGETS[metric][_GROUP[condition]]


def _text(value: float, row: Row) -> str:
    if not np.isfinite(value):
        return "-"
    text = f"{value:.{row.digits}f}"
    return text.replace("-0", "0", 1) if float(text) == 0 and text.startswith("-") else text


def _best(values: Sequence[float], row: Row) -> float:
    known = [v for v in values if np.isfinite(v)]
    if len(known) < 2:
        return float("nan")
    if row.better in (0, 2):
        aim = row.better / 2
        return min(known, key=lambda v: abs(v - aim))
    return max(known) if row.better > 0 else min(known)


def _cells(values: Sequence[float], row: Row) -> list[str]:
    """Values as text, the best in bold unless all are the same."""
    texts = [_text(value, row) for value in values]
    best = _text(_best(values, row), row)
    if len(set(texts) - {"-"}) == 1:
        return texts
    return [f"**{text}**" if text == best and text != "-" else text for text in texts]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lookup(scores: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    pooled = scores[scores["movie_id"] == "all"]
    names = zip(pooled["method"], pooled["condition"], pooled["metric"], strict=True)
    return dict(zip(names, pooled["value"].astype(float), strict=True))


def headline_table(scores: pd.DataFrame, methods: Sequence[str], groups: Mapping[str, str]) -> str:
    """Every metric, for each group of conditions and each method.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns ``method, condition, movie_id, metric, value``; pooled rows are called ``all``.
    methods : sequence of str
        Columns.
    groups : mapping of str to str
        Condition -> heading.
    """
    value = _lookup(scores)
    header = ["metric", *(f"{title}: {m}" for title in groups.values() for m in methods)]
    rows = []
    for row in HEADLINE:
        cells = []
        for condition in groups:
            cells += _cells([value.get((m, condition, row.metric), np.nan) for m in methods], row)
        if set(cells) <= {"-"}:
            continue
        rows.append([row.title, *cells])
    return _markdown(header, rows)


def conditions_table(scores: pd.DataFrame, conditions: Sequence[str]) -> str:
    """The project alone: conditions by the metrics that matter most, with the spread of F1 over the movies."""
    value = _lookup(scores)
    rows = []
    for condition in conditions:
        each = scores[(scores["condition"] == condition) & (scores["metric"] == "f1") & (scores["method"] == PROJECT)]
        f1 = each.loc[each["movie_id"] != "all", "value"].dropna().astype(float)
        spread = f"{f1.quantile(0.1):.2f} to {f1.quantile(0.9):.2f}" if len(f1) > 1 else "-"
        numbers = [_text(value.get((PROJECT, condition, m), np.nan), _BY_NAME[m]) for m in _WIDE]
        n_movies = each["movie_id"].nunique() - 1
        rows.append([condition, str(max(n_movies, 0)), *numbers, spread])
    return _markdown(["condition", "movies", *(_SHORT[m] for m in _WIDE), "F1 of 8 movies in 10"], rows)


def metric_tables(
    scores: pd.DataFrame, methods: Sequence[str], conditions: Sequence[str], metrics: Sequence[str] | None = None
) -> str:
    """One table for each metric: conditions by methods."""
    value = _lookup(scores)
    parts = []
    for row in HEADLINE:
        if metrics is not None and row.metric not in metrics:
            continue
        rows = [
            [
                condition,
                *_cells([value.get((m, condition, row.metric), np.nan) for m in methods], row),
                _text(_target(row.metric, condition), row),
            ]
            for condition in conditions
        ]
        parts.append(f"### {row.title}\n\n{_markdown(['condition', *methods, 'target'], rows)}")
    return "\n\n".join(parts)


def lever_table(scores: pd.DataFrame, levers: Sequence[str], conditions: Sequence[str]) -> str:
    """What each lever is worth: F1, HOTA and parent accuracy with it and without, on the same movies."""
    value = _lookup(scores)
    shown = [_BY_NAME[m] for m in ("f1", "hota", "parent_accuracy")]
    rows = []
    for name in levers:
        line = [name]
        for row in shown:
            with_it = value.get((f"{PROJECT} for {name}", "all conditions", row.metric), np.nan)
            without = value.get((name, "all conditions", row.metric), np.nan)
            change = f"{without - with_it:+.2f}" if np.isfinite(without - with_it) else "-"
            line += [_text(with_it, row), _text(without, row), change]
        rows.append(line)
    header = ["lever"] + [f"{row.title}, {what}" for row in shown for what in ("with", "without", "change")]
    return _markdown(header, rows) + f"\n\nPooled over {', '.join(conditions)}."


def fill_section(text: str, name: str, body: str, script: str = "accuracy.py") -> str:
    """Put generated text between the marks of a page; at its end, with marks, if it has none yet."""
    begin, end = f"<!-- {name}: begin, made by workflows/benchmark/{script} -->", f"<!-- {name}: end -->"
    block = f"{begin}\n\n{body.strip()}\n\n{end}"
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        return before + block + rest.split(end, 1)[1]
    return f"{text.rstrip()}\n\n{block}\n"
