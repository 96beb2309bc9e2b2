"""Frames that no measurement should rest on: missing, empty, clipped, blurred, lit otherwise, or of another field.

Each frame is read once before the analysis and compared with the others on a few numbers. What is called unusable takes
no part in the analysis, as if it had never been recorded; its flags say so. Of a frame that can be used, what was not
recorded is filled in.
"""

from migradetect.frame_quality._judge import Quality, judge_frames
from migradetect.frame_quality._margins import RUN_PX, fill_plane, find_margin, find_margins, may_have_margin
from migradetect.frame_quality._measure import FrameFacts, measure_frame

__all__ = [
    "RUN_PX",
    "FrameFacts",
    "Quality",
    "fill_plane",
    "find_margin",
    "find_margins",
    "judge_frames",
    "may_have_margin",
    "measure_frame",
]
