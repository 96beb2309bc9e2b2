"""Noise, background and the linear filters that every stage shares.

Images are float32 arrays of shape (Y, X). Filters that meet cell bodies take a *weight* image, 1 where a pixel counts
and 0 where it doesn't, and normalise by it (normalised convolution, Knutsson & Westin 1993,
doi:10.1109/CVPR.1993.341081): the edge of a masked body then makes no response of its own.
"""

from migradetect.filters._average import trimmed_mean
from migradetect.filters._background import local_background, remove_hot_pixels
from migradetect.filters._blobs import blob_maxima, blob_responses
from migradetect.filters._interpolate import bilinear, sample
from migradetect.filters._line_filter import LineFilter
from migradetect.filters._line_widths import line_widths_um
from migradetect.filters._linear import add_shifted, doubled, gaussian, halved, resize
from migradetect.filters._lines import along_lines, line_filter, line_response
from migradetect.filters._nearest import nearest_label
from migradetect.filters._noise import NoiseModel, estimate_noise
from migradetect.filters._quantile import quantile, typical
from migradetect.filters._runs import RUN_PX, holds_any
from migradetect.filters._scale_space import BlobScales
from migradetect.filters._windows import smoothed_for, windows

__all__ = [
    "RUN_PX",
    "BlobScales",
    "LineFilter",
    "NoiseModel",
    "add_shifted",
    "along_lines",
    "bilinear",
    "blob_maxima",
    "blob_responses",
    "doubled",
    "estimate_noise",
    "gaussian",
    "halved",
    "holds_any",
    "line_filter",
    "line_response",
    "line_widths_um",
    "local_background",
    "nearest_label",
    "quantile",
    "remove_hot_pixels",
    "resize",
    "sample",
    "smoothed_for",
    "trimmed_mean",
    "typical",
    "windows",
]
