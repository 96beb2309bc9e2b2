"""Pictures of the gallery: simulated movies that are easy, and that are not, with what one frame shows.

    python workflows/docs/gallery.py

writes docs/images/gallery_*.jpg. The right half has what `migradetect preview` finds in a single frame; the same seed
gives the same pixels.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from migradetect.params import load_params
from migradetect.pipeline import preview
from migradetect.plots import preview_png
from migradetect.synthetic import simulate

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOWN = {"clean": 5, "low_snr": 1, "many_decoys": 1, "crowded": 1}
SIZE = {"n_frames": 8}
#: The clean one is shown closer, so that outlines can be judged.
CLOSE = {"height_px": 256, "width_px": 256}
WIDE = {"height_px": 420, "width_px": 420}
WIDTH_PX = 1000


def main() -> None:
    """Write every picture."""
    for condition, seed in SHOWN.items():
        movie = simulate(condition, seed, **SIZE, **(CLOSE if condition == "clean" else WIDE)).movie()
        frame = movie.n_frames // 2
        found = preview(movie, load_params(environ={}), frame)
        role = "tspan4" if "tspan4" in found.images else next(iter(found.images))
        n_cells, n_fibers = (len(np.unique(labels[labels > 0])) for labels in (found.cells, found.fibers))
        png = preview_png(
            found.images[role],
            movie.calibration,
            title=f"{condition}, {role}",
            cells=found.cells,
            fibers=found.fibers,
            spots=found.spots,
            counts={
                "cells": f"{n_cells} cells",
                "fibers": f"{n_fibers} retraction fibers",
                "migrasomes": f"{len(found.spots)} candidates",
            },
        )
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        picture.thumbnail((WIDTH_PX, WIDTH_PX))
        picture.save(IMAGES / f"gallery_{condition}.jpg", quality=80, optimize=True)


if __name__ == "__main__":
    main()
