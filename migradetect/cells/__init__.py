"""Cell bodies: thick and bright, cut off from the fibers and migrasomes that are thin or small.

Bodies are found and parted on a coarse grid, where a frame is small; their outlines are drawn on a fine one, at the
half height of the *local* edge: whatever the brightness of the cell, and whatever part of it ends there. Cells that
touch are parted by the frame before, and afterwards by the frame after.
"""

from migradetect.cells._backward import PartBackwards
from migradetect.cells._measure import measure_cells
from migradetect.cells._segment import segment_cells

__all__ = ["PartBackwards", "measure_cells", "segment_cells"]
