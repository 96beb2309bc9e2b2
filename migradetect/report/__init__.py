"""``report.html``: one offline file per batch or movie that shows what was found and how far it can be trusted."""

from __future__ import annotations

from migradetect.report._write import REPORT_NAME, write_movie_report, write_report

__all__ = ["REPORT_NAME", "write_movie_report", "write_report"]
