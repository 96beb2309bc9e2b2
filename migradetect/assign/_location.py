"""Where on its fiber a migrasome formed."""

from __future__ import annotations

from migradetect.assign._count_arms import UNKNOWN_ARMS

__all__ = ["location_from_arms"]


def location_from_arms(n_arms: int, is_on_fiber: bool) -> str | None:
    """Tip, shaft or branch, from the number of fiber arms around birth.

    Parameters
    ----------
    n_arms : int
        Arms that lead to the site; :data:`UNKNOWN_ARMS` where the border of the field hides some.
    is_on_fiber : bool
        A fiber was traced to the site. If no arm stands out, it is a faint end.

    Returns
    -------
    str or None
        None where no fiber was seen, or a part of the surroundings is out of view.
    """
    if n_arms == UNKNOWN_ARMS:
        return None
    if n_arms == 0:
        return "tip" if is_on_fiber else None
    return {1: "tip", 2: "shaft"}.get(n_arms, "branch")
