"""Where on its fiber a migrasome formed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["location_from_arms"]


def location_from_arms(n_arms: Sequence[int]) -> str | None:
    """Tip, shaft or branch, from the number of fiber arms in the frames around birth.

    Parameters
    ----------
    n_arms : sequence of int
        Arms seen in each frame; frames with none say nothing.

    Returns
    -------
    str or None
        None where no fiber was seen.
    """
    seen = [min(n, 3) for n in n_arms if n > 0]
    if not seen:
        return None
    counts = np.bincount(seen, minlength=4)
    return {1: "tip", 2: "shaft", 3: "branch"}[int(np.argmax(counts))]
