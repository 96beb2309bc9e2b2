"""Retraction fibers: thin bright lines, traced as one-pixel centrelines and measured as graphs.

A fiber is narrower than the PSF, so the ridge filter has the scale of the PSF. Its response is averaged *along* the
line before any threshold: a line keeps its direction over a micrometre, noise does not.

Lines fill a few thousandths of a frame, so that whatever is done with them is done on lists of their pixels.
"""

from migradetect.fibers._measure import ATTACH_UM, attached_cells, branch_paths, line_strength, measure_fibers
from migradetect.fibers._trace import Beads, trace_fibers

__all__ = ["ATTACH_UM", "Beads", "attached_cells", "branch_paths", "line_strength", "measure_fibers", "trace_fibers"]
