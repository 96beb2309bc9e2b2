"""The stages composed for one movie, in three passes; arrays and tables only, no files."""

from migradetect.pipeline._analyze import analyze

__all__ = ["analyze"]
