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
# # 1 · From a folder to counts
#
# A folder with one movie of the sample data goes in, counts per cell come out. The movie is simulated, so the truth is
# known; the last cell compares.

# %%
import shutil
import tempfile
from pathlib import Path

import migradetect as md
from migradetect.batch import run_batch
from migradetect.io import InputOptions, find_movies

SAMPLE = Path("../../sample_data")
work = Path(tempfile.mkdtemp())
(work / "movies").mkdir()
shutil.copy(SAMPLE / "movies" / "movie_b.tif", work / "movies")

# %% [markdown]
# On the command line this is `migradetect run movies --out results`. From Python:

# %%
movies = find_movies([work / "movies"], InputOptions(pixel_size_um=0.18, frame_interval_s=120))
summary = run_batch(movies, work / "results", md.load_params(), workers=0)
results = md.load(work / "results")
results.movies[["movie_id", "status", "n_frames", "n_cells", "n_migrasomes"]]

# %% [markdown]
# One row per cell. A cell without migrasomes has a 0; it is not missing.

# %%
results.cell_summary[["movie_id", "cell_id", "n_migrasomes", "fiber_length_um", "mean_speed_um_per_min"]].round(2)

# %% [markdown]
# What was put into the simulation: one cell that left seven migrasomes, one of them seen in a single frame only.

# %%
truth = md.load(SAMPLE / "truth" / "movie_b")
assert [outcome.status for outcome in summary.outcomes] == ["done"]
assert len(results.cell_summary) == len(truth.cell_summary) == 1
assert abs(len(results.tracks) - len(truth.tracks)) <= 2, (len(results.tracks), len(truth.tracks))
assert abs(results.cell_summary.n_migrasomes.sum() - truth.cell_summary.n_migrasomes.sum()) <= 1
shutil.rmtree(work)
