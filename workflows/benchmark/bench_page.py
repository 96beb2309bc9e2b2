"""One page of plots of the benchmark. Colours of Okabe and Ito, and a marker for each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from bench_movies import PROJECT
from bench_scores import SNR_EDGES, THRESHOLDS
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from migradetect.evaluate.detection import SIZE_BINS
from migradetect.evaluate.tally import Tally
from migradetect.tables import FATES, LOCATIONS

__all__ = ["draw_page"]

_STYLE = {
    PROJECT: ("#D55E00", "o"),
    "trackpy": ("#0072B2", "s"),
    "blob_log": ("#009E73", "^"),
    "log_ridge": ("#CC79A7", "D"),
    "nellie": ("#56B4E9", "v"),
}
_SIZE_TITLES = ("0.5-0.8", "0.8-1.2", "1.2-2", "over 2")


def draw_page(
    scores: pd.DataFrame,
    tallies: Mapping[tuple[str, str], Tally],
    methods: Sequence[str],
    conditions: Sequence[str],
    path: Path,
) -> Path:
    """Draw the page.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns ``method, condition, movie_id, metric, value``.
    tallies : mapping of (method, condition) to Tally
        Pooled counts; the condition ``all conditions`` is what the panels that do not show conditions use.
    methods, conditions : sequence of str
        What to show, in this order.
    path : Path
        PNG file.
    """
    figure = Figure(figsize=(16, 20), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(4, 3).ravel()
    everything = {
        method: tallies[method, "all conditions"] for method in methods if (method, "all conditions") in tallies
    }
    _by_condition(panels[0], scores, methods, conditions, "f1", "F1 per frame (bar: 8 in 10 movies)")
    _by_condition(panels[1], scores, methods, conditions, "hota", "HOTA at the gate")
    _by_condition(panels[2], scores, methods, conditions, "parent_accuracy", "accuracy of the parent cell")
    _curves(panels[3], everything)
    _lines(panels[4], everything, _SIZE_TITLES, _recall("size"), "recall by true diameter, um")
    _lines(panels[5], everything, LOCATIONS, _recall("location"), "recall by location")
    snr_titles = [f"{a:g}-{b:g}" for a, b in pairwise(SNR_EDGES)] + [f"over {SNR_EDGES[-1]:g}"]
    _lines(panels[6], everything, snr_titles, _recall("snr"), "recall by signal over noise")
    _lines(panels[7], everything, _SIZE_TITLES, _bias, "bias of the diameter by true diameter, %", (-60, 100))
    panels[7].axhline(0, color="0.6", lw=0.8, zorder=0)
    _by_condition(panels[8], scores, methods, conditions, "fiber_f1", "F1 of fiber centrelines at 0.3 um")
    own = everything.get(PROJECT, Tally())
    _bland_altman(panels[9], own)
    _confusion(panels[10], own, "location", LOCATIONS)
    _confusion(panels[11], own, "fate", FATES)
    handles = [
        panels[0].plot([], [], color=c, marker=m, ls="-", label=n)[0] for n, (c, m) in _STYLE.items() if n in methods
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    return path


def _by_condition(
    axes: Axes, scores: pd.DataFrame, methods: Sequence[str], conditions: Sequence[str], metric: str, title: str
) -> None:
    rows = scores[scores["metric"] == metric]
    for shift, method in zip(
        np.linspace(-0.25, 0.25, len(methods)) if len(methods) > 1 else [0.0], methods, strict=True
    ):
        colour, marker = _STYLE[method]
        for place, condition in enumerate(conditions):
            here = rows[(rows["method"] == method) & (rows["condition"] == condition)]
            pooled = here.loc[here["movie_id"] == "all", "value"].astype(float)
            each = here.loc[here["movie_id"] != "all", "value"].dropna().astype(float)
            if len(each) > 1:
                axes.plot(each.quantile([0.1, 0.9]), [place + shift] * 2, color=colour, lw=1, alpha=0.6)
            axes.plot(pooled, [place + shift] * len(pooled), color=colour, marker=marker, ls="")
    axes.set_yticks(range(len(conditions)), conditions)
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", color="0.9")
    axes.set_title(title)


def _recall(name: str) -> Callable[[Tally], np.ndarray]:
    def of(tally: Tally) -> np.ndarray:
        true = tally.counts.get(f"truth_{name}")
        if true is None:
            return np.empty(0)
        return np.divide(tally.counts[f"found_{name}"], true, out=np.full(true.shape, np.nan), where=true > 0)

    return of


def _bias(tally: Tally) -> np.ndarray:
    bins = [tally.values(f"diameter_{name}") for name, _ in SIZE_BINS]
    return np.array([100 * np.median(errors) if errors.size else np.nan for errors in bins])


def _lines(
    axes: Axes,
    tallies: Mapping[str, Tally],
    names: Sequence[str],
    of: Callable[[Tally], np.ndarray],
    title: str,
    limits: tuple[float, float] = (-0.02, 1.02),
) -> None:
    for method, tally in tallies.items():
        colour, marker = _STYLE[method]
        values = of(tally)
        if values.size:
            axes.plot(range(len(names)), values, color=colour, marker=marker)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(*limits)
    axes.grid(axis="y", color="0.9")
    axes.set_title(title)


def _curves(axes: Axes, tallies: Mapping[str, Tally]) -> None:
    """Precision against recall as the least score rises; the mark is where the method stands."""
    for method, tally in tallies.items():
        colour, marker = _STYLE[method]
        if "curve_tp" not in tally.counts:
            continue
        tp, said, true = tally.counts["curve_tp"], tally.counts["curve_said"], tally.count("curve_truth")
        known = (said > 0) & (true > 0)
        if known.any():
            recall, precision = tp[known] / true, tp[known] / said[known]
            axes.plot(recall, precision, color=colour, lw=1.5)
            axes.plot(recall[:1], precision[:1], color=colour, marker=marker)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="recall", ylabel="precision")
    axes.grid(color="0.9")
    axes.set_title(f"precision and recall as the least score rises to {THRESHOLDS[-1]:g}")


def _bland_altman(axes: Axes, tally: Tally) -> None:
    true, found = tally.values("count_true"), tally.values("count_pred")
    axes.set_title(f"migrasomes per cell, {PROJECT}: difference against mean")
    axes.set(xlabel="mean of found and true", ylabel="found less true")
    if true.size < 2:
        return
    mean, difference = (true + found) / 2, found - true
    # counts are whole numbers: spread a little, so that cells do not hide each other
    jitter = np.random.default_rng(0).uniform(-0.15, 0.15, (2, true.size))
    axes.plot(mean + jitter[0], difference + jitter[1], ".", color=_STYLE[PROJECT][0], ms=4, alpha=0.4)
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
        axes.axhline(level, color="0.3", ls=style, lw=1)
        axes.annotate(f"{level:+.1f}", (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", size=9)


def _confusion(axes: Axes, tally: Tally, name: str, classes: Sequence[str]) -> None:
    cases = tally.counts.get(f"{name}_confusion", np.zeros((len(classes), len(classes) + 1)))
    total = cases.sum(axis=1, keepdims=True)
    share = np.divide(cases, total, out=np.zeros_like(cases), where=total > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        axes.text(column, row, f"{value:.2f}\n({cases[row, column]:.0f})", ha="center", va="center", size=8,
                  color="white" if value > 0.6 else "black")  # fmt: skip
    axes.set_xticks(range(len(classes) + 1), [*classes, "none"], rotation=30)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="found", ylabel="true")
    axes.set_title(f"{name}, {PROJECT}: share of the true (tracks)")
