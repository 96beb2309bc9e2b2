"""Steps of the passes that can be taken for a single site: what a review repeats after a correction."""

from migradetect.pipeline._assemble import recorded_migrasomes, recorded_traces
from migradetect.pipeline._bowl import above_bowl
from migradetect.pipeline._channels import aligned_movie
from migradetect.pipeline._fit_model import fit_movie_model
from migradetect.pipeline._frames import clean_plane, outside_bodies
from migradetect.pipeline._model import MovieModel
from migradetect.pipeline._one_site import Clock, Life, read_trace, site_rows, track_row
from migradetect.pipeline._parents import find_parents, trace_branches, traced_frames
from migradetect.pipeline._pass2 import with_speeds
from migradetect.pipeline._pass3 import CLEAR_UM, site_images
from migradetect.pipeline._usable import Timeline, usable_movie

__all__ = [
    "CLEAR_UM",
    "Clock",
    "Life",
    "MovieModel",
    "Timeline",
    "above_bowl",
    "aligned_movie",
    "clean_plane",
    "find_parents",
    "fit_movie_model",
    "outside_bodies",
    "read_trace",
    "recorded_migrasomes",
    "recorded_traces",
    "site_images",
    "site_rows",
    "trace_branches",
    "traced_frames",
    "track_row",
    "usable_movie",
    "with_speeds",
]
