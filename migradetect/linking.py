"""Linking over time, in drift-corrected coordinates: spots with trackpy, bodies and fibers by overlap."""

from __future__ import annotations

import gc
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from migradetect.params import LinkingParams
from migradetect.tables import in_order

__all__ = [
    "OverlapLinker",
    "candidate_limit",
    "find_divisions",
    "join_slivers",
    "link_spots",
    "merge_sites",
    "thin_crowds",
]

Labels = NDArray[np.int64]

#: Distance in um that a doubling of the size counts for when spots are linked.
_SIZE_UM = 0.3
#: A sliver at the border is of the cell that is seen at most so many frames before or after it, and as near, um.
_SLIVER_FRAMES, _SLIVER_UM = 15, 10.0
#: Distances that differ by less are taken for equal, um.
_TIE = 1e-9
#: Frames in which links are looked for at once, and spots that trackpy is asked about at once: memory is that of these.
_SLAB, _BATCH = 50, 50_000
#: Most candidates per um2 of the field: their mean distance is then about that which one may move between frames. Small
#: fields may hold this many in any case.
_MOST_PER_UM2, _LEAST_LIMIT = 0.5, 300


def link_spots(spots: pd.DataFrame, params: LinkingParams) -> pd.DataFrame:
    """Link candidates over time with trackpy (Crocker & Grier 1996, doi:10.1006/jcis.1996.0217).

    The size takes part as a third coordinate, so that a small bead before a large one and the large one each keep to
    themselves. Spots that can be linked in one way only are linked at once; trackpy is asked about the others.

    Parameters
    ----------
    spots : pandas.DataFrame
        Columns frame, y_stage_um, x_stage_um, scale_um and any others.
    params : LinkingParams
        Search range in um, memory in frames.

    Returns
    -------
    pandas.DataFrame
        A copy in the order of the frames, with the integer column `candidate_id`, from 1.
    """
    if spots.empty:
        return spots.assign(candidate_id=pd.Series(dtype=np.int64))
    if spots["frame"].nunique() == 1:
        return spots.assign(candidate_id=np.arange(1, len(spots) + 1))
    # of millions of rows each copy counts
    out = in_order(spots, "frame").reset_index(drop=True)
    frame = out["frame"].to_numpy(np.int64)
    size_um = _SIZE_UM * np.log2(np.clip(out["scale_um"].to_numpy(float), 0.1, None))
    places = np.column_stack([out[["y_stage_um", "x_stage_um"]].to_numpy(float), size_um])
    track, is_crowded = _only_ways(places, frame, params)
    for rows in _batches(track, is_crowded):
        track[rows] = track.max() + 1 + _linked_by_trackpy(places[rows], frame[rows], params)
    return out.assign(candidate_id=pd.factorize(track)[0].astype(np.int64) + 1)


def _only_ways(places: NDArray[np.float64], frame: Labels, params: LinkingParams) -> tuple[Labels, NDArray[np.bool_]]:
    """Tracks that can be linked in one way only, and the spots for which there are others.

    Spots that could be linked at all, directly or through others, form a group. Where a group has one spot in each
    frame, and each is in reach of the next, it is a track: no solver need be asked.
    """
    reach, lag = params.search_range_um, params.memory_frames + 1
    parts = [_links(places, frame, begin, reach, lag) for begin in range(int(frame[0]), int(frame[-1]) + 1, _SLAB)]
    one, other = np.concatenate(parts, axis=1)
    graph = coo_array((np.ones(one.size, bool), (one, other)), shape=(len(places), len(places)))
    del parts, one, other
    n_groups, group = connected_components(graph, directed=False)
    order = np.lexsort((frame, group))
    is_same = np.diff(group[order]) == 0
    step = np.sqrt((np.diff(places[order], axis=0) ** 2).sum(axis=1))
    is_open = is_same & ((np.diff(frame[order]) == 0) | (step >= reach - _TIE))
    is_crowded = np.zeros(n_groups, bool)
    is_crowded[group[order][1:][is_open]] = True
    return group.astype(np.int64), is_crowded[group]


def _links(places: NDArray[np.float64], frame: Labels, begin: int, reach: float, lag: int) -> NDArray[np.int32]:
    """Pairs of spots that could be linked, the earlier of which is in a slab of frames; shape (2, pairs)."""
    low, high = np.searchsorted(frame, [begin, begin + _SLAB + lag])
    near, time = places[low:high], frame[low:high]
    # a box around the reach in space and time
    tree = cKDTree(np.column_stack([near / reach, time / lag]), balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(1 + _TIE, p=np.inf, output_type="ndarray")
    pairs = pairs[np.minimum(*time[pairs].T) < begin + _SLAB]
    one, other = pairs.T
    distance = np.sqrt(((near[one] - near[other]) ** 2).sum(axis=1))
    may_link = (distance < reach + _TIE) & (time[one] != time[other])
    return (pairs[may_link].T + low).astype(np.int32)


def _batches(group: Labels, is_crowded: NDArray[np.bool_]) -> list[Labels]:
    """Rows of the crowded groups, whole groups together, some tens of thousands of rows at a time; rising."""
    rows = np.flatnonzero(is_crowded)
    rows = rows[np.argsort(group[rows], kind="stable")]
    # a group begins where its number is new
    begins = np.flatnonzero(np.diff(group[rows], prepend=-1))
    taken = np.searchsorted(begins, np.arange(0, rows.size, _BATCH))
    parts = np.split(rows, np.unique(begins[taken[taken < begins.size]]))
    return [np.sort(part) for part in parts if part.size]


def _linked_by_trackpy(places: NDArray[np.float64], frame: Labels, params: LinkingParams) -> Labels:
    """Track of each spot, from 0."""
    import trackpy

    trackpy.quiet()
    names = ["y", "x", "size"]
    table = pd.DataFrame(places, columns=names).assign(frame=frame)
    # each spot becomes an object, none of them in a cycle: looking for cycles among them takes half the time
    was_on = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            # trackpy 0.7 under pandas 3 warns about a change of pandas 4 at each call
            warnings.simplefilter("ignore")
            linked = trackpy.link(
                table,
                search_range=params.search_range_um,
                pos_columns=names,
                t_column="frame",
                memory=params.memory_frames,
                # crowded clumps would make a subnetwork too large to solve: there the range shrinks step by step
                adaptive_stop=params.search_range_um / 4,
                adaptive_step=0.8,
            )
    finally:
        if was_on:
            gc.enable()
    return np.asarray(linked["particle"].sort_index(), dtype=np.int64)


def thin_crowds(spots: pd.DataFrame, area_um2: float) -> pd.DataFrame:
    """Leave out the weakest candidates of frames that hold more of them than the field has room for.

    Where candidates lie about as close as they may move from frame to frame, as in pure noise, links mean nothing, and
    the number of ways to link them grows beyond all bounds.

    Parameters
    ----------
    spots : pandas.DataFrame
        Columns frame and snr.
    area_um2 : float
        Area of the field.

    Returns
    -------
    pandas.DataFrame
        The rows that are kept, in their order, with a new index.
    """
    rank = spots.groupby("frame")["snr"].rank(method="first", ascending=False)
    is_kept = (rank <= candidate_limit(area_um2)).to_numpy(bool)
    return (spots if is_kept.all() else spots[is_kept]).reset_index(drop=True)


def candidate_limit(area_um2: float) -> int:
    """Most candidates of a frame that are linked, for the area of the field."""
    return max(_LEAST_LIMIT, round(_MOST_PER_UM2 * area_um2))


def merge_sites(linked: pd.DataFrame, max_overlap_frames: int = 2) -> pd.DataFrame:
    """Join tracks that stand at the same place one after the other.

    A migrasome is anchored: what is lost for longer than the memory and found again at the same place is the same one.

    Parameters
    ----------
    linked : pandas.DataFrame
        Columns candidate_id, frame, y_stage_um, x_stage_um, diameter_um, blob_snr.
    max_overlap_frames : int
        Frames that two tracks may share and still be one.

    Returns
    -------
    pandas.DataFrame
        A copy with new `candidate_id`, from 1, in the order of the first frame.
    """
    if linked.empty:
        return linked.copy()
    grouped = linked.groupby("candidate_id")
    tracks = grouped.agg(
        y=("y_stage_um", "median"),
        x=("x_stage_um", "median"),
        first=("frame", "min"),
        last=("frame", "max"),
        diameter=("diameter_um", "median"),
        n=("frame", "size"),
    )
    tracks = tracks.sort_values(["first", "n", "y"], ascending=[True, False, True], kind="stable")
    places = tracks[["y", "x"]].to_numpy(float)
    reach = np.maximum(0.3, 0.3 * tracks["diameter"].fillna(0.5).clip(0.3, 3).to_numpy(float))
    first, last = tracks["first"].to_numpy(np.int64), tracks["last"].to_numpy(np.int64)
    near = cKDTree(places).query_pairs(float(reach.max()), output_type="ndarray").astype(np.int64)
    # each track looks for one before it, in order
    near.sort(axis=1)
    near = near[np.lexsort((near[:, 0], near[:, 1]))]
    site = _join(near, places, reach, first, last, max_overlap_frames)
    number = np.empty(len(tracks), np.int64)
    _, number[:] = np.unique(site, return_inverse=True)
    row = tracks.index.get_indexer(pd.Index(linked["candidate_id"]))
    candidate, frame = number[row] + 1, linked["frame"].to_numpy()
    order = np.lexsort((-linked["blob_snr"].to_numpy(float), frame, candidate))
    is_first = np.ones(order.size, np.bool_)
    is_first[1:] = (np.diff(candidate[order]) != 0) | (np.diff(frame[order]) != 0)
    kept = order[is_first]
    return linked.iloc[kept].assign(candidate_id=candidate[kept]).reset_index(drop=True)


@njit(cache=True, nogil=True)
def _join(
    near: Labels, places: NDArray[np.float64], reach: NDArray[np.float64], first: Labels, last: Labels, overlap: int
) -> Labels:  # pragma: no cover (numba)
    """First track at the place of each, from pairs of tracks (earlier, later) in the order of the later."""
    site, end = np.arange(len(places)), last.copy()
    k = 0
    while k < len(near):
        i = near[k, 1]
        best, least = -1, np.inf
        while k < len(near) and near[k, 1] == i:
            j = near[k, 0]
            k += 1
            if site[j] != j or first[i] <= end[j] - overlap:
                continue
            distance = np.hypot(places[j, 0] - places[i, 0], places[j, 1] - places[i, 1])
            if distance <= reach[i] and distance < least:
                best, least = j, distance
        if best >= 0:
            site[i] = best
            end[best] = max(end[best], last[i])
    return site


@dataclass
class OverlapLinker:
    """Gives regions of successive frames one identity by how much they overlap, with memory.

    Parameters
    ----------
    memory_frames : int
        Frames for which a region may be lost.
    min_overlap : float
        Smallest overlap over the smaller region that may link.
    """

    memory_frames: int
    min_overlap: float = 0.2
    _masks: dict[int, tuple[int, Labels]] = field(default_factory=dict)
    _next: int = 1

    def link(self, frame: int, labels: Labels) -> dict[int, int]:
        """Identity of each label of the next frame.

        Parameters
        ----------
        frame : int
            Frame index, rising.
        labels : ndarray of int, shape (Y, X)
            Regions in drift-corrected coordinates.

        Returns
        -------
        dict of int to int
            Label -> identity, from 1.
        """
        flat = labels.ravel()
        filled = np.flatnonzero(flat)
        # pixels of each label in one go: a plane holds hundreds of fibers
        # numbers of 16 bits are sorted in one pass over them
        known_as = flat[filled].astype(np.uint16 if flat.max(initial=0) < 65536 else np.int64)
        filled = filled[np.argsort(known_as, kind="stable")]
        count = np.bincount(known_as)
        present = np.flatnonzero(count)
        sizes = count[present]
        pixels = np.split(filled, np.cumsum(sizes)[:-1])
        self._masks = {i: m for i, m in self._masks.items() if frame - m[0] <= self.memory_frames + 1}
        known = sorted(self._masks)
        cost = self._cost(known, flat, present, sizes)
        rows, columns = linear_sum_assignment(cost) if cost.size else (np.array([], int), np.array([], int))
        identity_of: dict[int, int] = {}
        for row, column in zip(rows, columns, strict=True):
            if cost[row, column] < 0:
                identity_of[int(present[column])] = known[row]
        for column, label in enumerate(present.tolist()):
            if label not in identity_of:
                identity_of[label] = self._next
                self._next += 1
            self._masks[identity_of[label]] = (frame, pixels[column])
        return identity_of

    def _cost(
        self, known: list[int], flat: NDArray[Any], present: NDArray[Any], sizes: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Negative likeness of each known region (row) and each present one (column); 0 where they may not link."""
        if not known or not present.size:
            return np.zeros((len(known), present.size))
        own = np.array([self._masks[i][1].size for i in known])
        under = flat[np.concatenate([self._masks[i][1] for i in known])].astype(np.int64)
        width = int(present[-1]) + 1
        pairs = np.repeat(np.arange(len(known)), own) * width + under
        shared = np.bincount(pairs, minlength=len(known) * width).reshape(-1, width)[:, present]
        overlap = shared / np.maximum(np.minimum(own[:, None], sizes), 1)
        union = own[:, None] + sizes - shared
        return np.where(overlap >= self.min_overlap, -(shared / np.maximum(union, 1) + 0.05 * overlap), 0.0)


def join_slivers(cells: pd.DataFrame, min_area_um2: float) -> pd.DataFrame:
    """Give slivers at the border the identity of the cell that comes in, or went out, at their place.

    Of a cell at the border now more and now less is in view, or nothing for a while. What never shows the area of a
    cell is no cell by itself; it is joined with the nearest in time of those that are.

    Parameters
    ----------
    cells : pandas.DataFrame
        Columns frame, cell_id, y_stage_um, x_stage_um, area_um2, touches_border.
    min_area_um2 : float
        Smallest area of a cell.

    Returns
    -------
    pandas.DataFrame
        A copy with new identities.
    """
    out = cells.copy()
    if out.empty:
        return out
    ordered = out.sort_values("frame", kind="stable").groupby("cell_id")
    ends = {which: getattr(ordered, which)() for which in ("first", "last")}
    is_sliver = (ordered["area_um2"].max() < min_area_um2) & ordered["touches_border"].all()
    slivers, others = is_sliver.index[is_sliver], is_sliver.index[~is_sliver]
    found = []
    for one in slivers:
        for other in others:
            for earlier, later in ((one, other), (other, one)):
                begin, end = ends["first"].loc[later], ends["last"].loc[earlier]
                gap = begin["frame"] - end["frame"]
                away = np.hypot(begin["y_stage_um"] - end["y_stage_um"], begin["x_stage_um"] - end["x_stage_um"])
                at_border = bool(begin["touches_border"]) and bool(end["touches_border"])
                if at_border and 0 < gap <= _SLIVER_FRAMES and away <= _SLIVER_UM:
                    found.append((gap, away, int(one), int(other)))
    taken = {int(other): set(out.loc[out["cell_id"] == other, "frame"]) for other in others}
    joined: dict[int, int] = {}
    for *_, one, other in sorted(found):
        frames = set(out.loc[out["cell_id"] == one, "frame"])
        if one not in joined and not frames & taken[other]:
            joined[one] = other
            taken[other] |= frames
    out["cell_id"] = out["cell_id"].replace(joined)
    return out


def find_divisions(cells: pd.DataFrame, min_frames: int = 3) -> tuple[pd.DataFrame, dict[int, int]]:
    """Give both daughters of a division new identities.

    A cell that appears inside the field, next to one that loses a third of its area or more in the same step, is the
    second daughter of it. Two cells that merely touched and parted do not match: together they were larger than one.

    Parameters
    ----------
    cells : pandas.DataFrame
        Columns frame, cell_id, y_stage_um, x_stage_um, area_um2, touches_border.
    min_frames : int
        A daughter is seen at least this long.

    Returns
    -------
    cells : pandas.DataFrame
        A copy with new identities.
    mothers : dict of int to int
        Daughter -> mother.
    """
    out = cells.copy()
    mothers: dict[int, int] = {}
    if out.empty:
        return out, mothers
    following = int(out["cell_id"].max()) + 1
    usual_area = float(out["area_um2"].median())
    start = int(out["frame"].min())
    for new_id, rows in list(out.groupby("cell_id")):
        begin = rows.sort_values("frame").iloc[0]
        if begin["frame"] <= start or len(rows) < min_frames or bool(begin["touches_border"]):
            continue
        now = out[(out["frame"] == begin["frame"]) & (out["cell_id"] != new_id)]
        before = out[out["frame"] == begin["frame"] - 1].set_index("cell_id")
        for _, other in now.iterrows():
            if other["cell_id"] not in before.index:
                continue
            old = before.loc[other["cell_id"]]
            radius = np.sqrt(old["area_um2"] / np.pi)
            gap = np.hypot(begin["y_stage_um"] - old["y_stage_um"], begin["x_stage_um"] - old["x_stage_um"])
            together = begin["area_um2"] + other["area_um2"]
            halves = max(begin["area_um2"], other["area_um2"]) < 0.75 * together
            if (
                gap < 1.8 * radius
                and other["area_um2"] < 0.75 * old["area_um2"]
                and 0.6 < together / old["area_um2"] < 1.4
                and old["area_um2"] < 1.5 * usual_area
                and halves
            ):
                mother = int(other["cell_id"])
                later = (out["cell_id"] == mother) & (out["frame"] >= begin["frame"])
                out.loc[later, "cell_id"] = following
                mothers[following] = mother
                mothers[int(str(new_id))] = mother
                following += 1
                break
    return out, mothers
