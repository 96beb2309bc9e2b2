"""How often a comparison finds a difference where there is none: labels of replicates shuffled.

Draws experiments in which nothing differs but the dishes, shuffles the labels of the dishes, and tests on the means of
replicates and on cells. Writes the figure of docs/report.md::

    python workflows/benchmark/permuted_labels.py --out docs/images/permuted_labels.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from migradetect import plots
from migradetect.stats import permuted_p_values

N_EXPERIMENTS, N_SHUFFLES, N_REPLICATES, N_CELLS = 150, 40, 5, 40
#: Migrasomes per cell, and how much dishes differ (standard deviation of the logarithm).
MEAN, BETWEEN = 3.0, 0.25


def experiment(seed: int) -> pd.DataFrame:
    """Cells of two conditions that do not differ."""
    rng = np.random.default_rng(seed)
    rows = [
        {"condition": condition, "replicate": replicate, "n_migrasomes": int(n)}
        for condition in ("a", "b")
        for replicate in range(N_REPLICATES)
        for n in rng.poisson(MEAN * np.exp(BETWEEN * rng.normal()), N_CELLS)
    ]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("permuted_labels.png"))
    out = parser.parse_args().out
    axes = plots.new_axes(3.6, 3.2)
    axes.plot([0, 1], [0, 1], color="black", lw=1, ls=":", label="as it should be")
    for level, colour, line in (("replicates", "#0072B2", "-"), ("cells", "#D55E00", "--")):
        p = np.sort(
            np.concatenate(
                [
                    permuted_p_values(experiment(seed), "n_migrasomes", level=level, n=N_SHUFFLES, seed=seed)
                    for seed in range(N_EXPERIMENTS)
                ]
            )
        )
        share = float((p < 0.05).mean())
        print(f"tested on {level}: {100 * share:.1f} % of {p.size} p values below 0.05")
        axes.plot(p, np.linspace(0, 1, p.size), color=colour, ls=line, lw=1.8,
                  label=f"tested on {level}: {100 * share:.0f} % below 0.05")  # fmt: skip
    axes.axvline(0.05, color="#5A5A5A", lw=0.7)
    plots.tidy(axes, "p value with shuffled labels", "share of tests below")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.legend(frameon=False, fontsize=7, loc="lower right")
    plots.save_figure(plots.figure_of(axes), out, dpi=150)


if __name__ == "__main__":
    main()
