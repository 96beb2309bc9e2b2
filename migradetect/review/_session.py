"""One person's review of one movie."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pandas as pd

from migradetect._version import __version__
from migradetect.errors import CancelledError, EditError, printable
from migradetect.movie import Movie
from migradetect.results import Results
from migradetect.review._anchors import Anchors
from migradetect.review._apply import Applied, apply_edit
from migradetect.review._base import Base, movie_folder
from migradetect.review._change import Change
from migradetect.review._edit import Edit, parse_edit
from migradetect.review._history import History
from migradetect.review._images import Recording
from migradetect.review._log import EditLog, log_path, now
from migradetect.review._planes import Plane, Planes
from migradetect.review._state import State
from migradetect.review._tables import Tables
from migradetect.review._watch import Watch
from migradetect.review._workbench import Workbench

__all__ = ["Orphan", "ReviewSession"]

#: Version of the lines.
FORMAT = 1
#: What ``edit_source`` calls the reviewer without a name.
_NAMELESS = "review"


@dataclass(frozen=True)
class Orphan:
    """A correction that does not apply to the results as they are.

    Parameters
    ----------
    edit : Edit or None
        None where the line could not be understood.
    reason : str
        Why.
    line : dict
        As it stands in the log, where it stays.
    """

    edit: Edit | None
    reason: str
    line: dict[str, Any]


@dataclass(frozen=True)
class _Done:
    """A correction that holds, and the state before it."""

    line: dict[str, Any]
    edit: Edit
    before: State
    applied: Applied


class ReviewSession:
    """Reviewed state of a movie: automatic results, and corrections on them; made by :meth:`open`.

    Every correction is on the disk before :attr:`tables` and :attr:`labels` show it. The stored results are never
    changed.

    Parameters
    ----------
    base : Base
        Automatic results.
    log : EditLog
        Corrections so far.
    recording : Recording
        The images, for the photometry of new places.
    reviewer : str or None
        Whose log it is.
    progress, cancel : callable, optional
        As in :meth:`open`.
    """

    def __init__(
        self,
        base: Base,
        log: EditLog,
        recording: Recording,
        reviewer: str | None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> None:
        self.base, self.reviewer = base, reviewer
        self._log, self._recording = log, recording
        self._bench = Workbench(base, recording)
        self._state = self._bench.start
        self._tables = Tables(self._bench, self._state)
        self._done: list[_Done] = []
        self._orphans: list[Orphan] = []
        self._anchors = Anchors(self._bench)
        self._history, notes = History.of(log.lines)
        self._notes = [*log.notes, *notes]
        # a run may replace the folder while the review is open: what it was made on is settled now
        _ = base.fingerprint
        for done, line in enumerate(self._history.active, start=1):
            if cancel is not None and cancel():
                raise CancelledError(f"{base.movie_id}: stopped while its corrections were made again")
            self._replay(line)
            if progress is not None:
                progress(done, len(self._history.active))

    @classmethod
    def open(
        cls,
        out_dir: str | Path,
        movie_id: str | None = None,
        reviewer: str | None = None,
        movie: Movie | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ReviewSession:
        """Open the review of a movie: its results, and the corrections that were made before.

        Parameters
        ----------
        out_dir : str or Path
            What ``migradetect run`` wrote, or the folder of one movie in it.
        movie_id : str, optional
            Which movie; not needed where there is only one.
        reviewer : str, optional
            Whose log; by default the one without a name, ``edits.jsonl``.
        movie : Movie, optional
            The recording, where it is open already; by default it is opened from where it was, once it is needed.
        progress : callable, optional
            Called with the number of corrections that are made again, and of all.
        cancel : callable, optional
            Asked before each; opening stops when it returns True.

        Returns
        -------
        ReviewSession

        Raises
        ------
        NoMoviesError
            If there is no such movie.
        ReadError
            If results or log can't be read.
        CancelledError
            If `cancel` returned True.
        """
        folder = movie_folder(out_dir, movie_id)
        base = Base.load(folder)
        log = EditLog.read(log_path(folder, reviewer))
        return cls(base, log, Recording(base, movie), reviewer, progress, cancel)

    # what there is

    @property
    def movie_id(self) -> str:
        """Name of the movie."""
        return self.base.movie_id

    @property
    def path(self) -> Path:
        """The log."""
        return self._log.path

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Reviewed tables by name, each made when it is asked for; not to be written to."""
        return self._tables

    @property
    def labels(self) -> dict[str, Planes]:
        """Reviewed label planes by name, ``labels["cells"][frame]`` of shape (Y, X); not to be written to."""
        base = self.base
        return {
            "cells": Planes(lambda t: self._bench.labels.plane(self._state, "cells", t), base.n_frames, base.shape_yx),
            "fibers": Planes(
                lambda t: self._bench.labels.plane(self._state, "fibers", t), base.n_frames, base.shape_yx
            ),
            "migrasomes": Planes(self._discs, base.n_frames, base.shape_yx),
        }

    @property
    def movie(self) -> Movie | None:
        """The recording; None where it can't be opened, and :attr:`notes` says why."""
        return self._recording.movie

    @property
    def results(self) -> Results:
        """The reviewed state as results; label planes are read when asked for."""
        from migradetect.review._reviewed import as_results

        return as_results(self)

    @property
    def orphans(self) -> tuple[Orphan, ...]:
        """Corrections that don't apply to these results, each with the reason; they stay in the log."""
        return tuple(self._orphans)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: lines that were cut, images that are gone."""
        problem = [self._recording.problem] if self._recording.problem else []
        return (*self._notes, *problem)

    @property
    def history(self) -> tuple[Edit, ...]:
        """Corrections that hold, in the order in which they were made."""
        return tuple(done.edit for done in self._done)

    @property
    def n_edits(self) -> int:
        """Number of corrections that hold."""
        return len(self._done)

    @property
    def can_undo(self) -> bool:
        """Whether there is a correction to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a correction to make again."""
        return bool(self._history.undone)

    def status(self, migrasome_id: int) -> str:
        """``auto``, ``accepted``, ``rejected``, ``edited`` or ``added``.

        Raises
        ------
        EditError
            If there never was such a migrasome.
        """
        if migrasome_id not in self._state.status and not self._bench.has(self._state, migrasome_id):
            raise EditError(f"migrasome {migrasome_id}: there is none with this id")
        return self._state.status.get(migrasome_id, "auto")

    def is_reviewed(self, migrasome_id: int) -> bool:
        """Whether a person has decided anything about it."""
        return self.status(migrasome_id) != "auto"

    def next_id(self, kind: Literal["migrasome", "cell", "fiber", "candidate"]) -> int:
        """Id that the next new object gets, such as a cell that is painted."""
        return self._state.next_ids[kind]

    # what can be done

    def do(
        self,
        edit: Edit,
        progress: Callable[[int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Change:
        """Make a correction: computed, put on the disk, then shown.

        Parameters
        ----------
        edit : Edit
            One of :mod:`migradetect.review.edits`.
        progress : callable, optional
            Called with the number of steps done, and of all that are known so far; most are frames that are read.
        cancel : callable, optional
            Asked before each step; the correction is given up when it returns True.

        Returns
        -------
        Change
            What is other now.

        Raises
        ------
        EditError
            If it names what is not there; nothing is written then.
        CancelledError
            If `cancel` returned True; nothing is written or changed then.
        OutputError
            If the log can't be written; nothing is changed then.
        """
        before = self._state
        watch = Watch(progress, cancel)
        with self._bench.watched(watch):
            applied = apply_edit(self._bench, before, edit, self._who)
        # the last moment: from the line in the log on it is made
        watch.ask()
        line = self._line("do") | {
            "edit": edit.to_dict(),
            "anchors": self._anchors.of(before, edit),
            "before": self._summary(before, applied),
            "after": self._summary(applied.state, applied),
            "created": [list(one) for one in applied.created],
        }
        self._log.append(line)
        line = self._log.lines[-1]
        self._history.active.append(line)
        self._history.undone.clear()
        self._done.append(_Done(line, edit, before, applied))
        self._show(applied.state)
        return _change("do", edit, applied)

    def undo(self) -> Change | None:
        """Take back the last correction that holds; None where there is none."""
        if not self._done:
            return None
        last = self._done[-1]
        self._log.append(self._line("undo") | {"target": last.line["id"]})
        self._history.move("undo", last.line["id"])
        self._done.pop()
        self._show(last.before)
        return _change("undo", last.edit, last.applied)

    def redo(
        self, progress: Callable[[int, int], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Change | None:
        """Make the last correction that was taken back again; None where there is none.

        `progress`, `cancel` and what is raised are as in :meth:`do`.
        """
        while self._history.undone:
            line = self._history.undone[-1]
            watch = Watch(progress, cancel)
            with self._bench.watched(watch):
                edit, applied, problem = self._try(line)
            watch.ask()
            self._log.append(self._line("redo") | {"target": line["id"]})
            self._history.move("redo", line["id"])
            if applied is None or edit is None:
                # results were made anew since: it is kept, and listed
                self._orphans.append(Orphan(edit, problem, line))
                continue
            self._done.append(_Done(line, edit, self._state, applied))
            self._show(applied.state)
            return _change("redo", edit, applied)
        return None

    def warm_up(
        self, progress: Callable[[int, int], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> None:
        """Do now what the first corrections would wait for: open the images, read labels, trace fibers, compile.

        Nothing depends on it. A window calls it once, in a thread of its own; corrections may be made meanwhile.

        Parameters
        ----------
        progress, cancel : callable, optional
            As in :meth:`do`.

        Raises
        ------
        CancelledError
            If `cancel` returned True.
        """
        self._bench.warm_up(self._state, Watch(progress, cancel))

    # how

    @property
    def _who(self) -> str:
        return self.reviewer or _NAMELESS

    def _show(self, state: State) -> None:
        self._state = state
        self._tables = Tables(self._bench, state)

    def _line(self, kind: str) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "id": uuid.uuid4().hex,
            "kind": kind,
            "time": now(),
            "user": _user(),
            "reviewer": self.reviewer,
            "version": __version__,
            "results": self.base.fingerprint,
            "input_hash": self.base.input_hash,
        }

    def _summary(self, state: State, applied: Applied) -> list[dict[str, Any]]:
        """What is known of the migrasomes that are touched, for the record."""
        return [self._anchors.summary(state, number) for number in sorted(applied.touched.migrasome_ids)[:20]]

    def _replay(self, line: dict[str, Any]) -> None:
        edit, applied, problem = self._try(line)
        if edit is None or applied is None:
            self._orphans.append(Orphan(edit, problem, line))
            return
        self._done.append(_Done(line, edit, self._state, applied))
        self._state = applied.state
        self._tables = Tables(self._bench, self._state)

    def _try(self, line: dict[str, Any]) -> tuple[Edit | None, Applied | None, str]:
        """Apply a line of the log to the state as it is."""
        edit = None
        try:
            if int(line.get("format") or 0) > FORMAT:
                raise EditError(
                    f"it was made by migradetect {line.get('version')}, whose lines this version can't read"
                )
            edit = parse_edit(line.get("edit") or {})
            here = self._anchors.translate(self._state, line, edit, self._history.active)
            applied = apply_edit(self._bench, self._state, here, self._who)
        except EditError as error:
            return edit, None, str(error)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (one line that can't be made must not lock a person out of all others)
            return edit, None, f"{line.get('id')}: unexpected {type(error).__name__}: {printable(str(error))}"
        self._anchors.learn(line, applied.created)
        return here, applied, ""

    def _discs(self, frame: int) -> Plane:
        """Migrasomes of a frame as discs of their diameter."""
        table = self._tables["migrasomes"]
        rows = table[table["frame"] == frame]
        plane = np.zeros(self.base.shape_yx, np.int32)
        px = self.base.calibration.px(rows[["y_um", "x_um", "diameter_um"]].to_numpy(float))
        for (y, x, diameter), number in zip(px, rows["migrasome_id"].astype(int), strict=True):
            radius = max(1, round(diameter / 2)) if np.isfinite(diameter) else 1
            cv2.circle(plane, (round(x), round(y)), radius, int(number), -1)
        return plane.astype(np.uint32)


def _change(kind: Literal["do", "undo", "redo"], edit: Edit, applied: Applied) -> Change:
    touched = applied.touched
    return Change(
        touched.migrasome_ids,
        touched.cell_ids,
        touched.fiber_ids,
        touched.frames,
        touched.planes,
        edit=edit,
        kind=kind,
        created=applied.created,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no account, as in some containers
        return "unknown"
