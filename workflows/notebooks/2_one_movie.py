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
# # 2 · Look at one movie: growth curves and their fits
#
# Migrasomes swell fast and then keep their size. `migradetect` measures each site in every frame, also before the
# birth, and fits `diameter = plateau * (1 - exp(-(t - birth) / tau))`. The movie is simulated, so each fit can be held
# against the truth.

# %%
# %matplotlib inline
import numpy as np
import pandas as pd

import migradetect as md
from migradetect import plots

movie = md.open_movie("../../sample_data/movies/movie_b.tif")
results = md.analyze(movie)
tracks = results.tracks
tracks[["migrasome_id", "birth_time_min", "plateau_diameter_um", "tau_min", "fit_r2", "location", "fate"]].round(2)

# %% [markdown]
# Each migrasome is a thin line. Those that were there in the first frame have no birth and are left out.

# %%
axes = plots.growth_curves(results.migrasomes, tracks, plots.new_axes())
axes.figure

# %% [markdown]
# One of them, with its fit and its TSPAN4 signal:

# %%
fitted = tracks.dropna(subset=["birth_time_min", "plateau_diameter_um"]).sort_values("n_frames", ascending=False)
axes = plots.one_migrasome(
    results.site_traces,
    tracks,
    plots.new_axes(),
    movie_id=results.movie_id,
    migrasome_id=int(fitted["migrasome_id"].iloc[0]),
)
axes.figure

# %% [markdown]
# The truth of the same migrasomes: those that stand at the same place, within 0.3 um.

# %%
truth = md.load("../../sample_data/truth/movie_b").movie("movie_b")


def places(tables):
    return tables.migrasomes.groupby("migrasome_id")[["y_stage_um", "x_stage_um"]].mean()


ours, true = places(results), places(truth)
pairs = []
for migrasome_id, place in ours.iterrows():
    distance = np.hypot(*(true - place).to_numpy().T)
    if distance.min() < 0.3:
        pairs.append((migrasome_id, true.index[distance.argmin()]))
compared = pd.DataFrame(pairs, columns=["migrasome_id", "true_id"])
columns = ["migrasome_id", "birth_time_min", "plateau_diameter_um", "tau_min"]
compared = compared.merge(tracks[columns], on="migrasome_id").merge(
    truth.tracks[columns].rename(columns={"migrasome_id": "true_id"}), on="true_id", suffixes=("", "_true")
)
compared.round(2)

# %%
size_error = (compared["plateau_diameter_um"] / compared["plateau_diameter_um_true"] - 1).abs()
birth_error = (compared["birth_time_min"] - compared["birth_time_min_true"]).abs()
assert len(compared) >= 4
assert size_error.median() < 0.1, size_error
# births to within two frames, in the middle
assert birth_error.median() < 4.0, birth_error
