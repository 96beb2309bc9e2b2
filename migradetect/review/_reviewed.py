"""The reviewed state as results, for all that reads results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from migradetect.errors import EditError, OutputError
from migradetect.results import LABEL_NAMES, LabelStack, Results
from migradetect.review._base import movie_folder
from migradetect.review._log import reviewers
from migradetect.review._planes import Planes

if TYPE_CHECKING:
    from migradetect.review._session import ReviewSession

__all__ = ["as_results", "choose_reviewer", "reviewed"]


class _ReviewedLabels(LabelStack):
    """Label planes of a review, as results hold them."""

    def __init__(self, planes: Planes) -> None:
        self._planes = planes
        self.shape_yx = planes.shape_yx

    def append(self, plane: NDArray[Any]) -> None:
        """Refused: a review is changed by corrections."""
        raise OutputError("expected a new label stack to append to, got that of a review; make a LabelStack")

    def __len__(self) -> int:
        return len(self._planes)

    def __getitem__(self, frame: int) -> NDArray[np.uint32]:
        return self._planes[frame].copy()

    def compact(self, frame: int) -> NDArray[Any]:
        """Plane of a frame, shape (Y, X)."""
        return self._planes[frame]

    def close(self) -> None:
        """Nothing to release."""

    def __del__(self) -> None:
        """Nothing to release."""


def as_results(session: ReviewSession) -> Results:
    """Tables and label planes of a review; ``provenance["review"]`` says what was corrected."""
    automatic = session.base.results
    known = {
        "reviewer": session.reviewer,
        "log": session.path.name,
        "n_edits": session.n_edits,
        "n_orphans": len(session.orphans),
        "orphans": [f"{one.line.get('id')}: {one.reason}" for one in session.orphans],
    }
    stored = [name for name in LABEL_NAMES if name in automatic.labels]
    return Results(
        automatic.movie_id,
        dict(session.tables),
        {name: _ReviewedLabels(session.labels[name]) for name in stored},
        {**automatic.provenance, "review": known},
    )


def choose_reviewer(folder: str | Path) -> str | None:
    """Whose corrections hold where nobody is named: those without a name, else those of the only reviewer.

    Raises
    ------
    EditError
        If there are several, and none without a name.
    """
    found = reviewers(folder)
    if not found or None in found:
        return None
    if len(found) > 1:
        raise EditError(
            f"{folder}: expected one reviewer, got {', '.join(map(str, found))}; name one, for example with "
            f"--reviewer {found[0]}"
        )
    return found[0]


def reviewed(out_dir: str | Path, movie_id: str | None = None, reviewer: str | None = None) -> Results:
    """Reviewed state of a movie: automatic results, and corrections on them.

    Parameters
    ----------
    out_dir : str or Path
        What ``migradetect run`` wrote, or the folder of one movie in it.
    movie_id : str, optional
        Which movie; not needed where there is only one.
    reviewer : str, optional
        Whose corrections; see :func:`choose_reviewer`.

    Returns
    -------
    Results
        Equal to the automatic ones where there are no corrections. The tables migrasomes, tracks, cells, fibers and
        cell_summary have the columns ``edited`` and ``edit_source`` besides; ``provenance["review"]`` counts them.
    """
    from migradetect.review._session import ReviewSession

    folder = movie_folder(out_dir, movie_id)
    return ReviewSession.open(folder, reviewer=reviewer if reviewer is not None else choose_reviewer(folder)).results
