"""Results in the formats of other programs; one module per format.

:func:`export_results` takes what ``migradetect.load`` gives, so corrections of a review are in what it writes;
``export.json`` beside the files says which movies were reviewed, by whom, and with how many corrections.
"""

from __future__ import annotations

from migradetect.io.exports._export import FORMATS, ExportReport, export_each, export_results
from migradetect.io.exports._job import MovieJob
from migradetect.io.exports._target import Target

__all__ = ["FORMATS", "ExportReport", "MovieJob", "Target", "export_each", "export_results"]
