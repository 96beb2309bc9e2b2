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
# # 4 · A screen
#
# A plate of 96 wells: DMSO in columns 1, 2 and 11, a known inhibitor in column 12, a compound in each other well. Two
# compounds lower the number of migrasomes per cell and nothing else. One kills cells, one stops them from laying
# fibers: both lower the number of migrasomes too, and neither is what one looks for. The table of cells is drawn
# (`simulated_results.py`).

# %%
# %matplotlib inline
import pandas as pd
from simulated_results import screen_tables

from migradetect import plots, stats

cell_summary, movies = screen_tables(hits=["B05", "F09"], toxic=["C07"], immobile=["E04"], seed=3)
wells = stats.well_table(cell_summary, movies)
wells.head()

# %% [markdown]
# With your own results: `wells = stats.well_table(results.cell_summary, results.movies)`.

# %%
screen = stats.analyse_screen(wells, negative="DMSO", positive="ROCK inhibitor", hit_z=-5)
screen.quality[["readout", "z_prime", "ssmd", "n_negative", "n_positive"]].round(2)

# %%
axes = plots.plate_map(screen.wells, "migrasomes_per_cell", plots.new_axes(width_in=6))
axes.figure

# %% [markdown]
# Robust z against the DMSO wells. A hit has fewer migrasomes *without* fewer fibers or cells. The usual limit of -3
# lets some wells pass by chance: the spread of 24 control wells is itself uncertain, and 64 compounds are tried. The
# effect that is looked for is large, as the inhibitor shows, so this screen asks for -5. Of 30 plates drawn like this
# one, 25 give exactly the two hits; 5 miss one, whose cells or fibers were few by chance.

# %%
columns = ["well", "condition", "z_migrasomes_per_cell", "z_fiber_um_per_cell", "z_n_cells", "reason"]
screen.hits[columns].round(1)

# %%
compounds = screen.hits[screen.hits["condition"].str.startswith("compound")]
assert set(compounds["well"]) == {"B05", "F09"}, compounds
reasons = screen.wells.set_index("well")["reason"]
assert "fewer cells" in reasons["C07"]
assert "fewer fibers" in reasons["E04"]
quality = screen.quality.set_index("readout")
assert quality.loc["migrasomes_per_cell", "z_prime"] > 0.4
pd.DataFrame(reasons[["A01", "B05", "C07", "E04"]])
