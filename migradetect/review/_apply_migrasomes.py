"""Corrections of migrasomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from migradetect.errors import EditError
from migradetect.lifetimes import Existence
from migradetect.review import edits
from migradetect.review._change import Touched
from migradetect.review._site import Piece, Site, finish
from migradetect.review._state import State
from migradetect.review._workbench import Workbench, with_parent
from migradetect.tables import KINDS

__all__ = [
    "accept",
    "add",
    "merge",
    "move",
    "promote",
    "reject",
    "relink",
    "resize",
    "set_birth",
    "set_end",
    "set_fate",
    "set_location",
    "set_parent",
    "split",
]

Step = tuple[State, Touched]


def accept(bench: Workbench, state: State, edit: edits.Accept) -> Step:
    """Mark as looked at; one that was rejected comes back."""
    number, before = edit.migrasome_id, state
    if number in state.rejected:
        rejected = {one: row for one, row in state.rejected.items() if one != number}
        pieces = dict(state.pieces)
        kept = state.aside[number]
        if kept is None:
            del pieces[number]
        else:
            pieces[number] = kept
        aside = {one: piece for one, piece in state.aside.items() if one != number}
        state = replace(state, rejected=rejected, pieces=pieces, aside=aside)
    elif not bench.has(state, number):
        raise EditError(f"migrasome {number}: there is none with this id")
    was = state.status.get(number)
    state = state.with_status(was if was in ("added", "edited") else "accepted", number)
    return state, _touched(bench, before, state, [number])


def reject(bench: Workbench, state: State, edit: edits.Reject) -> Step:
    """Move it to the candidates."""
    number = edit.migrasome_id
    if not bench.has(state, number):
        bench.piece(state, number)  # says why
    track, rows = _track_and_rows(bench, state, number)
    one = track.iloc[0]
    reason = f"rejected in review{': ' + edit.reason if edit.reason else ''}"
    row = {
        "candidate_id": state.next_ids["candidate"] + number,
        "frame_first": int(rows["frame"].min()),
        "frame_last": int(rows["frame"].max()),
        "n_frames": len(rows),
        "y_um": float(rows["y_um"].iloc[0]),
        "x_um": float(rows["x_um"].iloc[0]),
        "y_stage_um": float(rows["y_stage_um"].mean()),
        "x_stage_um": float(rows["x_stage_um"].mean()),
        "diameter_um": float(rows["diameter_um"].median()),
        "snr": float(rows["snr"].median()),
        "score": float(one["score"]),
        "kind": edit.reason if edit.reason in KINDS and edit.reason != "migrasome" else pd.NA,
        "reason": reason,
    }
    candidate = finish(bench.base, "candidates", pd.DataFrame([row]))
    after = replace(
        state,
        rejected={**state.rejected, number: candidate},
        aside={**state.aside, number: state.pieces.get(number)},
    )
    after = after.with_pieces({number: None}).with_status("rejected", number)
    return after, _touched(bench, state, after, [number])


def promote(bench: Workbench, state: State, edit: edits.Promote) -> Step:
    """Make a migrasome of a candidate."""
    base = bench.base
    table = base.results.candidates
    found = table[table["candidate_id"] == edit.candidate_id]
    if found.empty or edit.candidate_id in state.promoted:
        what = "it is a migrasome already" if len(found) else "there is none with this id"
        raise EditError(f"candidate {edit.candidate_id}: {what}")
    one = found.iloc[0]
    first, last = (base.to_usable(int(one[name])) for name in ("frame_first", "frame_last"))
    diameter = float(one["diameter_um"])
    number, after = state.take_id("migrasome")
    site = Site(
        number,
        float(one["y_stage_um"]),
        float(one["x_stage_um"]),
        diameter if np.isfinite(diameter) and diameter > 0 else 1.0,
        None,
        (first, last),
        frozenset(range(first, last + 1)),
        float(one["score"]),
        by_hand=frozenset({"place"}),
    )
    piece = bench.measure(state, site, int(one["frame_first"]))
    after = replace(after, promoted=after.promoted | {edit.candidate_id})
    after = after.with_pieces({number: piece}).with_status("added", number)
    return after, _touched(bench, state, after, [number])


def add(bench: Workbench, state: State, edit: edits.Add) -> Step:
    """Measure a new place."""
    bench.check_frame(edit.frame)
    bench.check_place(edit.y_um, edit.x_um)
    y, x = np.array([edit.y_um, edit.x_um]) - bench.drift(edit.frame)
    seen = bench.base.to_usable(edit.frame)
    number, after = state.take_id("migrasome")
    site = Site(
        number,
        float(y),
        float(x),
        edit.diameter_um,
        None,
        (seen, seen),
        frozenset(),
        np.nan,
        by_hand=frozenset({"place"}),
    )
    piece = bench.measure(state, site, edit.frame)
    after = after.with_pieces({number: piece}).with_status("added", number)
    return after, _touched(bench, state, after, [number])


def move(bench: Workbench, state: State, edit: edits.Move) -> Step:
    """Measure it at another place."""
    bench.check_frame(edit.frame)
    bench.check_place(edit.y_um, edit.x_um)
    piece = bench.piece(state, edit.migrasome_id)
    y, x = np.array([edit.y_um, edit.x_um]) - bench.drift(edit.frame)
    old = piece.site
    life = _known(old)
    # what a person said about its life holds at the new place too
    is_held = bool({"birth", "end", "fate"} & old.by_hand)
    site = replace(
        old,
        y_stage_um=float(y),
        x_stage_um=float(x),
        existence=life if is_held else None,
        seen=(life.first, life.last),
        location=old.location if "location" in old.by_hand else None,
        by_hand=old.set_by_hand("place"),
    )
    first = int(bench.base.timeline.numbers[life.first])
    return _replaced(bench, state, bench.measure(state, site, first))


def resize(bench: Workbench, state: State, edit: edits.Resize) -> Step:
    """Scale its curve of growth."""
    piece = bench.piece(state, edit.migrasome_id)
    if edit.frame is None:
        measured = float(piece.track["plateau_diameter_um"].iloc[0])
    else:
        bench.check_frame(edit.frame)
        measured = float(piece.rows.loc[piece.rows["frame"] == edit.frame, "diameter_um"].mean())
        if not np.isfinite(measured):
            raise EditError(f"migrasome {edit.migrasome_id}: it has no diameter in frame {edit.frame}")
    site = piece.site
    unscaled = measured / site.scale
    if np.isfinite(unscaled) and unscaled > 0:
        site = replace(site, scale=edit.diameter_um / unscaled, by_hand=site.set_by_hand("size"))
    else:
        site = replace(site, diameter_um=edit.diameter_um, by_hand=site.set_by_hand("size", "place"))
    return _replaced(bench, state, bench.rebuild(state, piece, site))


def merge(bench: Workbench, state: State, edit: edits.Merge) -> Step:
    """One record from the first frame of all to the last."""
    pieces = [bench.piece(state, number) for number in edit.migrasome_ids]
    lives = [_known(piece.site) for piece in pieces]
    latest = max(lives, key=lambda life: life.last)
    joined = Existence(min(life.first for life in lives), latest.last, latest.fate, latest.engulfed_by)
    site = pieces[0].site
    found = frozenset().union(*(piece.site.found for piece in pieces))
    scores = [piece.site.score for piece in pieces if np.isfinite(piece.site.score)]
    site = replace(
        site, existence=joined, found=found, seen=(joined.first, joined.last), score=max(scores, default=np.nan)
    )
    gone = dict.fromkeys(edit.migrasome_ids[1:])
    after, _ = _replaced(bench, state, bench.rebuild(state, pieces[0], site))
    after = after.with_pieces(gone)
    return after, _touched(bench, state, after, edit.migrasome_ids)


def split(bench: Workbench, state: State, edit: edits.Split) -> Step:
    """Two records, one before the frame and one from it on."""
    piece = bench.piece(state, edit.migrasome_id)
    early, late = _parted(bench, piece, edit.frame)
    number, after = state.take_id("migrasome")
    late = replace(late, migrasome_id=number)
    after = after.with_pieces(
        {edit.migrasome_id: bench.rebuild(state, piece, early), number: bench.rebuild(state, piece, late)}
    ).with_status("edited", edit.migrasome_id, number)
    return after, _touched(bench, state, after, [edit.migrasome_id, number])


def relink(bench: Workbench, state: State, edit: edits.Relink) -> Step:
    """Frames from one record to another."""
    if edit.to_id == edit.migrasome_id:
        raise EditError(f"expected two migrasomes, got {edit.to_id} twice")
    giver, taker = bench.piece(state, edit.migrasome_id), bench.piece(state, edit.to_id)
    given, life = _known(giver.site), _known(taker.site)
    start = bench.base.to_usable(edit.frame)
    if start <= given.first:
        early, late = None, giver.site
    else:
        early, late = _parted(bench, giver, edit.frame)
    part = _known(late)
    last = part if part.last >= life.last else life
    existence = Existence(min(life.first, part.first), last.last, last.fate, last.engulfed_by)
    site = replace(
        taker.site,
        existence=existence,
        seen=(existence.first, existence.last),
        found=taker.site.found | late.found,
    )
    pieces = {
        edit.to_id: bench.rebuild(state, taker, site),
        edit.migrasome_id: None if early is None else bench.rebuild(state, giver, early),
    }
    changed = [edit.to_id] if early is None else [edit.to_id, edit.migrasome_id]
    after = state.with_pieces(pieces).with_status("edited", *changed)
    return after, _touched(bench, state, after, [edit.to_id, edit.migrasome_id])


def set_parent(bench: Workbench, state: State, edit: edits.SetParent) -> Step:
    """Another cell, or none."""
    piece = bench.piece(state, edit.migrasome_id)
    bench.check_cell(state, edit.cell_id)
    piece = replace(piece, site=replace(piece.site, by_hand=piece.site.set_by_hand("parent")))
    return _replaced(bench, state, with_parent(piece, edit.cell_id, 1.0))


def set_location(bench: Workbench, state: State, edit: edits.SetLocation) -> Step:
    """Tip, branch or shaft, or none."""
    piece = bench.piece(state, edit.migrasome_id)
    site = replace(piece.site, location=edit.location, by_hand=piece.site.set_by_hand("location"))
    return _replaced(bench, state, bench.rebuild(state, piece, site))


def set_birth(bench: Workbench, state: State, edit: edits.SetBirth) -> Step:
    """Another first frame."""
    bench.check_frame(edit.frame)
    piece = bench.piece(state, edit.migrasome_id)
    life = _known(piece.site)
    first = bench.base.to_usable(edit.frame)
    if first > life.last:
        raise EditError(f"migrasome {edit.migrasome_id}: expected a birth before its end, got frame {edit.frame}")
    site = replace(piece.site, existence=replace(life, first=first), by_hand=piece.site.set_by_hand("birth"))
    return _replaced(bench, state, bench.rebuild(state, piece, site))


def set_end(bench: Workbench, state: State, edit: edits.SetEnd) -> Step:
    """Another last frame; its fate is unknown then, but for one that outlasts the movie."""
    final = bench.base.usable.n_frames - 1
    if edit.frame is not None:
        bench.check_frame(edit.frame)
    piece = bench.piece(state, edit.migrasome_id)
    life = _known(piece.site)
    numbers = bench.base.timeline.numbers
    # the last usable frame up to the one that is named
    last = final if edit.frame is None else int(np.searchsorted(numbers, edit.frame, side="right")) - 1
    if last < life.first:
        raise EditError(f"migrasome {edit.migrasome_id}: expected an end after its birth, got frame {edit.frame}")
    fate, engulfer = life.fate, life.engulfed_by
    if last >= final:
        fate, engulfer = "persist", 0
    elif fate == "persist":
        fate = ""
    held = Existence(life.first, last, fate, engulfer)
    site = replace(piece.site, existence=held, by_hand=piece.site.set_by_hand("end"))
    return _replaced(bench, state, bench.rebuild(state, piece, site))


def set_fate(bench: Workbench, state: State, edit: edits.SetFate) -> Step:
    """Another fate."""
    if edit.engulfed_by_cell_id is not None and edit.fate != "engulfed":
        raise EditError(f"expected engulfed_by_cell_id only with the fate engulfed, got it with {edit.fate}")
    bench.check_cell(state, edit.engulfed_by_cell_id)
    piece = bench.piece(state, edit.migrasome_id)
    life = _known(piece.site)
    held = Existence(life.first, life.last, edit.fate or "", edit.engulfed_by_cell_id or 0)
    site = replace(piece.site, existence=held, by_hand=piece.site.set_by_hand("fate"))
    return _replaced(bench, state, bench.rebuild(state, piece, site))


def _known(site: Site) -> Existence:
    """Life of a migrasome that has rows."""
    if site.existence is None:
        raise EditError(f"migrasome {site.migrasome_id}: its life is not known")
    return site.existence


def _parted(bench: Workbench, piece: Piece, frame: int) -> tuple[Site, Site]:
    """What is before a recorded frame, and what is from it on."""
    bench.check_frame(frame)
    site, life = piece.site, _known(piece.site)
    start = bench.base.to_usable(frame)
    if not life.first < start <= life.last:
        numbers = bench.base.timeline.numbers
        raise EditError(
            f"migrasome {site.migrasome_id}: expected a frame from {numbers[life.first] + 1} to {numbers[life.last]}, "
            f"got {frame}"
        )
    early = replace(
        site,
        # how it ended is what a person just saw, and did not say
        existence=Existence(life.first, start - 1, "", 0),
        seen=(life.first, start - 1),
        found=frozenset(number for number in site.found if number < start),
        by_hand=site.set_by_hand("end"),
    )
    late = replace(
        site,
        existence=replace(life, first=start),
        seen=(start, life.last),
        found=frozenset(number for number in site.found if number >= start),
        by_hand=site.set_by_hand("birth"),
    )
    return early, late


def _replaced(bench: Workbench, state: State, piece: Piece) -> Step:
    number = piece.site.migrasome_id
    after = state.with_pieces({number: piece})
    after = after.with_status("added" if state.status.get(number) == "added" else "edited", number)
    return after, _touched(bench, state, after, [number])


def _track_and_rows(bench: Workbench, state: State, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    piece = state.pieces.get(number)
    if piece is not None:
        return piece.track, piece.rows
    return bench.base.tracks_of[number], bench.base.rows_of[number]


def _touched(bench: Workbench, before: State, after: State, numbers: Iterable[int]) -> Touched:
    """Rows of some migrasomes before and after: their frames, and the cells whose counts differ."""
    frames: set[int] = set()
    counts: list[Counter[int]] = []
    numbers = list(numbers)
    for state in (before, after):
        count: Counter[int] = Counter()
        for number in numbers:
            if not bench.has(state, number):
                continue
            track, rows = _track_and_rows(bench, state, number)
            frames |= set(rows["frame"].astype(int).tolist())
            count.update(int(cell) for cell in track["cell_id"].dropna())
        counts.append(count)
    cells = {cell for cell in counts[0] | counts[1] if counts[0][cell] != counts[1][cell]}
    return Touched(frozenset(numbers), frozenset(cells), frozenset(), frozenset(frames), frozenset({"migrasomes"}))


def renamed_cells(piece: Piece, ids: dict[int, int | None]) -> tuple[Site, bool]:
    """A site whose parent, or the cell that took it up, has another id; and whether that changes anything."""
    site, life = piece.site, _known(piece.site)
    parent = ids.get(site.parent, site.parent) if site.parent is not None else None
    engulfer: Any = ids.get(life.engulfed_by, life.engulfed_by) if life.engulfed_by else 0
    out = replace(site, parent=parent, existence=replace(life, engulfed_by=engulfer or 0))
    return out, out != site
