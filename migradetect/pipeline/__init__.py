"""The stages composed for one movie, three passes and a second look at candidates; arrays and tables only, no files."""

from migradetect.pipeline._analyze import analyze
from migradetect.pipeline._preview import FramePreview, Previewer, preview

__all__ = ["FramePreview", "Previewer", "analyze", "preview"]
