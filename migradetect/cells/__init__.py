"""Cell bodies: thick and bright, cut off from the fibers and migrasomes that are thin or small.

Bodies are found and parted on a coarse grid, where a frame is small; their outlines are drawn on a fine one, at the
half height of the *local* edge: whatever the brightness of the cell, and whatever part of it ends there.
"""

from migradetect.cells._measure import measure_cells
from migradetect.cells._segment import segment_cells

__all__ = ["measure_cells", "segment_cells"]
