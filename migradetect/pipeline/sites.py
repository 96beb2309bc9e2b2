"""Steps of the passes that can be taken for a single site: what a review repeats after a correction."""

from migradetect.pipeline._assemble import recorded_migrasomes, recorded_traces
from migradetect.pipeline._collect import Clock, Life, read_trace, site_rows, track_row
from migradetect.pipeline._frames import MovieModel, fit_movie_model, outside_bodies, wide_background
from migradetect.pipeline._parents import find_parents, trace_branches
from migradetect.pipeline._pass2 import with_speeds
from migradetect.pipeline._pass3 import CLEAR_UM, site_images
from migradetect.pipeline._usable import Timeline, usable_movie

__all__ = [
    "CLEAR_UM",
    "Clock",
    "Life",
    "MovieModel",
    "Timeline",
    "find_parents",
    "fit_movie_model",
    "outside_bodies",
    "read_trace",
    "recorded_migrasomes",
    "recorded_traces",
    "site_images",
    "site_rows",
    "trace_branches",
    "track_row",
    "usable_movie",
    "wide_background",
    "with_speeds",
]
