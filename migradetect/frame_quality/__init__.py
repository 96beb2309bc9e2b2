"""Frames that no measurement should rest on: missing, empty, clipped, blurred, lit otherwise, or of another field.

Each frame is read once before the analysis and compared with the others on a few numbers. What is called unusable takes
no part in the analysis, as if it had never been recorded; its flags say so.
"""

from migradetect.frame_quality._judge import Quality, judge_frames
from migradetect.frame_quality._measure import FrameFacts, fill_gaps, measure_frame

__all__ = ["FrameFacts", "Quality", "fill_gaps", "judge_frames", "measure_frame"]
