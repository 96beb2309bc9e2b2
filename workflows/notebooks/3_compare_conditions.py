# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3 · Compare conditions
#
# Six dishes of a control, six of a vehicle that does nothing, six of a drug that halves the number of migrasomes per
# cell. The tables are drawn, not analysed from images (`simulated_results.py` says how), so the answer is known. Dishes
# of one condition differ by 15 %, which is why dishes are the sample, not cells.

# %%
# %matplotlib inline
import shutil
import tempfile
from pathlib import Path

from simulated_results import LIFETIME_MIN, write_dishes

import migradetect as md
from migradetect import plots, stats

work = Path(tempfile.mkdtemp())
truth = {"control": 6.0, "vehicle": 6.0, "drug": 3.0}
results = md.load(write_dishes(work / "results", truth, n_dishes=6, n_cells=30, seed=1))
results.movies.groupby("condition")[["n_cells", "n_migrasomes"]].sum()

# %% [markdown]
# Cells are the small dots, means of dishes the large ones. The test is on the large ones.

# %%
found = stats.compare(results.cell_summary, "n_migrasomes", by="condition", control="control")
print(found.text())
axes = plots.superplot(results.cell_summary, "n_migrasomes", plots.new_axes(width_in=5))
axes.figure

# %% [markdown]
# The drug is found, the vehicle is not, and the limits of the difference contain the truth.

# %%
table = found.table.set_index("b")
assert table.loc["drug", "p_adjusted"] < 0.05
assert table.loc["vehicle", "p_adjusted"] > 0.05
for condition in ("drug", "vehicle"):
    low, high = table.loc[condition, ["difference_ci_low", "difference_ci_high"]]
    assert low < truth[condition] - truth["control"] < high, condition

# %% [markdown]
# Lifetimes are those of exponential decay with a mean of 60 min, but a movie of an hour sees few of them end. A mean
# over the observed lifetimes is far too short; the Kaplan-Meier curve takes the others into account.

# %%
axes = plots.survival_curves(results.tracks, plots.new_axes(), by="condition")
axes.figure

# %%
curve = stats.survival(results.tracks)
observed = results.tracks["lifetime_min"].mean()
print(f"mean of observed lifetimes {observed:.0f} min, median by Kaplan-Meier {curve.median_min:.0f} min")
expected = LIFETIME_MIN * 0.693
assert abs(curve.median_min / expected - 1) < 0.15, (curve.median_min, expected)
assert observed < 0.6 * LIFETIME_MIN
shutil.rmtree(work)
