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
# # 5 · Own readouts from the tables
#
# Every table is a plain `pandas.DataFrame`, and `docs/tables.md` says what each column means. Three readouts that no
# command prints, each on drawn tables (`simulated_results.py`) whose answer is known.

# %%
import shutil
import tempfile
from pathlib import Path

import numpy as np
from simulated_results import PLATEAU_UM, TAU_MIN, TIP_SHARE, write_dishes

import migradetect as md

work = Path(tempfile.mkdtemp())
results = md.load(write_dishes(work / "results", {"control": 6.0}, n_dishes=4, n_cells=30, seed=5))
tracks, migrasomes, cells = results.tracks, results.migrasomes, results.cell_summary

# %% [markdown]
# ## Births per cell and hour
#
# Count births that were seen, divide by the time that cells were watched. Cells without migrasomes are in the
# denominator: that is what the rows with 0 are for.

# %%
births = tracks[~tracks["is_left_censored"]].groupby("movie_id").size()
watched_h = cells.groupby("movie_id")["observed_min"].sum() / 60
rate = (births / watched_h).rename("births_per_cell_h")
rate.round(2)

# %% [markdown]
# ## Share that forms at tips
#
# Join the readout to the cell it belongs to, then average over cells of a dish, then over dishes.

# %%
located = tracks.dropna(subset=["location"]).assign(is_tip=lambda table: table["location"] == "tip")
per_cell = located.groupby(["movie_id", "cell_id"])["is_tip"].mean()
tip_share = per_cell.groupby("movie_id").mean()
tip_share.round(2)

# %% [markdown]
# ## How long until a migrasome has half of its size
#
# From the curves, without the fit: the first frame in which the diameter is above half of the plateau.

# %%
joined = migrasomes.merge(
    tracks[["movie_id", "migrasome_id", "birth_time_min", "plateau_diameter_um"]], on=["movie_id", "migrasome_id"]
)
joined["age_min"] = joined["time_min"] - joined["birth_time_min"]
grown = joined[joined["diameter_um"] > joined["plateau_diameter_um"] / 2]
half_min = grown.groupby(["movie_id", "migrasome_id"])["age_min"].min()
print(f"half of the size after {half_min.median():.1f} min")

# %% [markdown]
# What was put in: 6 migrasomes per cell in one hour, 40 % at tips, a time constant of 6 min. Half of the size is
# reached after tau * ln 2 = 4.2 min; frames are 2 min apart, so the first frame above it comes 1 min later on average.

# %%
assert abs(rate.mean() / 6.0 - 1) < 0.25, rate
assert abs(tip_share.mean() - TIP_SHARE) < 0.08, tip_share
expected = TAU_MIN * np.log(2) + 1
assert abs(half_min.median() - expected) < 1.0, (half_min.median(), expected)
assert abs(tracks["plateau_diameter_um"].median() / PLATEAU_UM - 1) < 0.05
shutil.rmtree(work)
