"""Order of the pages, where one that is not listed comes last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ORDER = {
    "Start": ["index.md", "howto.md", "gallery.md"],
    "Use": ["inputs.md", "report.md", "review.md", "napari.md", "exports.md", "notebooks.md"],
    "Reference": ["tables.md", "parameters.md", "api.md"],
    "Trust": ["accuracy.md", "promises.md", "performance.md"],
}


def on_config(config: Any) -> Any:
    """Navigation from the pages that are there."""
    docs = Path(config["docs_dir"])
    listed = [name for names in ORDER.values() for name in names]
    more = sorted(path.name for path in docs.glob("*.md") if path.name not in listed)
    nav = [{title: [name for name in names if (docs / name).is_file()]} for title, names in ORDER.items()]
    config["nav"] = [*nav, {"More": more}] if more else nav
    return config
