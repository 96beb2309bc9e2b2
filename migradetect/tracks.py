"""Evidence of each linked candidate, and the judgement: migrasome, or what else.

RFs and migrasomes are anchored to the dish, so evidence adds up over time: the track is judged, not the spot. Every
feature is relative to the noise or in um, so that one judge serves all cameras and pixel sizes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from migradetect.company import COMPANY_FEATURES, Company, company_features, company_of
from migradetect.params import JudgeParams
from migradetect.tables import in_order
from migradetect.trees import load_trees, trees_log_odds, trees_probability

__all__ = [
    "FEATURES",
    "decide",
    "judge",
    "learned_score",
    "movie_company",
    "rule_score",
    "track_features",
    "with_scene",
]

#: Evidence of a track, in the order that the judge takes them.
FEATURES = (
    "log_blob_snr",
    "log_best_snr",
    "roundness",
    "roundness_best",
    "log_diameter",
    "log_diameter_err",
    "log_scale_ratio",
    "scatter_um",
    "net_um",
    "log_n",
    "fiber_um",
    "log_fiber_length",
    "cell_um",
    "blob_share",
    "log_over_line",
    "log_contrast",
    "log_resolved",
    "line_ratio",
    "line_ratio_best",
    "opposite_ratio",
    "valley_ratio",
    "log_misfit",
    "inside",
    "contains",
    "log_odds",
    "log_odds_best",
    "log_odds_worst",
    "picture",
    "colour",
    "colour_best",
    "growth",
    "visited",
    "empty_before",
    "empty_after",
)

#: A body this close has been at the place; a body at least that far leaves it clear, um.
_VISIT_UM, _CLEAR_UM = 0.5, 0.8
#: More empty frames than this say no more.
_MOST_EMPTY = 20

#: Smaller ones are no migrasomes (0.5 um and larger), with some room for the error of the size, um.
_RESOLVED_UM = 0.46
#: A bead is found in a part of its life only: what was found for less than this share of the shortest life is brief
#: whatever its photometry says, and of the others the photometry decides.
_FOUND_SHARE = 2 / 3
#: Brings the product of many soft conditions to the scale of the learned score.
_RULE_POWER = 0.275
#: How far the judge and the network on the scene are trusted: two opinions that share much of their evidence, so each
#: counts for less than it would alone.
_JUDGE_WEIGHT, _SCENE_WEIGHT = 0.6, 0.52
#: Scores closer to 0 or 1 say no more.
_LEAST_SCORE = 1e-4
#: What is said of a track beside its evidence.
_DESCRIPTION = (
    "frame_first",
    "frame_last",
    "n_frames",
    "span_frames",
    "fill",
    "y_um",
    "x_um",
    "y_stage_um",
    "x_stage_um",
    "diameter_um",
    "snr",
    "colour_seen",
    "log_brightness",
)
#: Tracks whose surroundings over time are looked at together.
_AT_ONCE = 2048
#: Columns of the evidence that are the median of a column of the spots.
_MEDIANS = {
    "y_stage_um": "y_stage_um",
    "x_stage_um": "x_stage_um",
    "diameter_um": "diameter_um",
    "snr": "blob_snr",
    "filter_snr": "snr",
    "roundness": "roundness",
    "fiber_um": "fiber_um",
    "cell_um": "cell_um",
    "line_snr": "line_snr",
    "fiber_length_um": "fiber_length_um",
    "diameter_err": "diameter_err_um",
    "scale_um": "scale_um",
    "contrast": "contrast",
    "resolved": "resolved",
    "line_ratio": "line_ratio",
    "opposite_ratio": "opposite_ratio",
    "valley_ratio": "valley_ratio",
    "misfit": "misfit",
    "picture": "picture",
    "colour": "colour",
    "signal": "signal",
    "inside": "inside",
    "contains": "contains",
}


def track_features(linked: pd.DataFrame, cell_um: dict[int, NDArray[np.float16]] | None = None) -> pd.DataFrame:
    """Evidence of each candidate.

    Parameters
    ----------
    linked : pandas.DataFrame
        Spots with candidate_id, frame, y_stage_um, x_stage_um, the columns of a spot table, `log_odds`, `fiber_um`
        (distance to the nearest fiber), `fiber_length_um` (its length), `line_snr` (ridge SNR of the lines around) and
        `cell_um` (distance to the nearest body); with `site_id` if `cell_um` is given.
    cell_um : dict of int to ndarray of shape (T,), optional
        Distance of the place of each site from the nearest body in each frame, um; NaN out of the field.

    Returns
    -------
    pandas.DataFrame
        Indexed by candidate_id; columns :data:`FEATURES` and frame_first, frame_last, n_frames, span_frames, fill
        (n_frames over span_frames), y_um, x_um, y_stage_um, x_stage_um, diameter_um, snr, colour_seen (colour without
        limits) and log_brightness (logarithm of the signal for the size).
    """
    if linked.empty:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in (*FEATURES, *_DESCRIPTION)})
    ordered = in_order(linked, "candidate_id", "frame")
    by = ordered.groupby("candidate_id")
    out = by.agg(
        frame_first=("frame", "min"),
        frame_last=("frame", "max"),
        n_frames=("frame", "size"),
        y_um=("y_um", "first"),
        x_um=("x_um", "first"),
        **{name: (column, "median") for name, column in _MEDIANS.items()},
        log_odds=("log_odds", "mean"),
        y_std=("y_stage_um", "std"),
        x_std=("x_stage_um", "std"),
    )
    # spots are kept in single precision
    out = out.astype({name: np.float64 for name in out if out[name].dtype == np.float32})

    def quantile(name: str, share: float) -> pd.Series[float]:
        return by[name].quantile(share).astype(np.float64)

    out["roundness_best"] = quantile("roundness", 0.8)
    # TSPAN4 may come after the swelling
    out["colour_best"] = quantile("colour", 0.8).clip(-3, 3)
    out["colour_seen"] = out["colour"]
    out["colour"] = out["colour"].clip(-3, 3)
    out["growth"] = _growth(ordered)
    out = out.join(_around_life(ordered, out, cell_um))
    out["log_odds_best"] = quantile("log_odds", 0.9)
    out["log_odds_worst"] = quantile("log_odds", 0.1)
    out["line_ratio_best"] = quantile("line_ratio", 0.2).clip(-0.5, 2)
    for name in ("line_ratio", "opposite_ratio", "valley_ratio"):
        out[name] = out[name].clip(-0.5, 2)
    out["log_contrast"] = np.log(np.clip(out["contrast"], 0.05, None))
    out["log_resolved"] = np.log(np.clip(out["resolved"], 0.2, 20))
    out["log_misfit"] = np.log(np.clip(out["misfit"], 1e-3, 3))
    out["log_best_snr"] = np.log(np.clip(quantile("blob_snr", 0.9), 0.1, None))
    out["log_diameter_err"] = np.log(np.clip((out["diameter_err"] / out["diameter_um"]).fillna(3.0), 1e-3, 3.0))
    out["log_scale_ratio"] = np.log(np.clip(out["scale_um"] / out["diameter_um"], 0.05, 20))
    out["span_frames"] = out["frame_last"] - out["frame_first"] + 1
    out["fill"] = out["n_frames"] / out["span_frames"]
    out["scatter_um"] = np.hypot(out["y_std"].fillna(0), out["x_std"].fillna(0)).clip(0, 1)
    ends = _net(ordered, ["y_stage_um", "x_stage_um"])
    out["net_um"] = np.hypot(ends["y_stage_um"], ends["x_stage_um"]).clip(0, 2)
    out["log_blob_snr"] = np.log(np.clip(out["snr"], 0.1, None))
    out["blob_share"] = np.clip(out["snr"] / np.clip(out["filter_snr"], 0.1, None), 0, 3)
    # a kink or crossing of a bright fiber is a bright blob too: what counts is what stands out of the line
    out["log_over_line"] = np.log(np.clip(out["snr"], 0.1, None) / np.clip(out["line_snr"], 5.0, None))
    out["roundness"] = out["roundness"].clip(-0.5, 1)
    out["roundness_best"] = out["roundness_best"].clip(-0.5, 1)
    out["log_diameter"] = np.log(np.clip(out["diameter_um"], 0.1, 6))
    # a bead is between a disc and a ring: its signal grows less than with the area
    out["log_brightness"] = np.log(np.clip(out["signal"], 1e-3, None)) - 1.5 * out["log_diameter"]
    out["log_n"] = np.log(out["n_frames"])
    out["log_fiber_length"] = np.log1p(out["fiber_length_um"])
    out["fiber_um"] = out["fiber_um"].fillna(10).clip(0, 10)
    out["cell_um"] = out["cell_um"].fillna(50).clip(0, 50)
    return out


def _thirds(ordered: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows in the first third of each track, and in the last; one row at least in either."""
    by = ordered.groupby("candidate_id")["frame"]
    n, rank = by.transform("size").to_numpy(int), by.cumcount().to_numpy(int)
    third = np.maximum(n // 3, 1)
    return rank < third, rank >= n - third


def _growth(ordered: pd.DataFrame) -> pd.Series[float]:
    """Logarithm of the diameter in the last third of each track over that in the first."""
    log = pd.Series(np.log(ordered["diameter_um"].astype(float).clip(0.1, 6)), index=ordered.index)
    first, last = (log[part].groupby(ordered["candidate_id"][part]).median() for part in _thirds(ordered))
    return (last - first).fillna(0.0).clip(-2, 2)


def _around_life(
    ordered: pd.DataFrame, table: pd.DataFrame, cell_um: dict[int, NDArray[np.float16]] | None
) -> pd.DataFrame:
    """Whether a body was at the place before the first sighting, and clear frames without a spot before and after."""
    visited, empty = np.full(len(table), np.nan), np.full((2, len(table)), np.nan)
    if cell_um is not None:
        site = ordered.drop_duplicates("candidate_id").set_index("candidate_id")["site_id"].reindex(table.index)
        first, last = (table[name].to_numpy(int)[:, None] for name in ("frame_first", "frame_last"))
        # in parts: there may be more candidates times frames than pixels
        for rows in np.array_split(np.arange(len(table)), -(-len(table) // _AT_ONCE)):
            gap = np.stack([cell_um[number] for number in site.iloc[rows].astype(int).tolist()])
            frame = np.arange(gap.shape[1])
            before, after = frame < first[rows], frame > last[rows]
            # dirt lies anywhere; a migrasome stands where a cell has been
            with np.errstate(invalid="ignore"):
                was_there, is_clear = before & (gap <= _VISIT_UM), gap > _CLEAR_UM
            visited[rows] = np.where((before & np.isfinite(gap)).any(axis=1), was_there.any(axis=1), np.nan)
            for k, part in enumerate((before, after)):
                empty[k, rows] = np.minimum((part & is_clear).sum(axis=1), _MOST_EMPTY)
    return pd.DataFrame(
        {"visited": visited, "empty_before": np.log1p(empty[0]), "empty_after": np.log1p(empty[1])}, index=table.index
    )


def _net(ordered: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Displacement of each candidate from the first third to the last third of its track."""
    places = ordered[columns]
    first, last = (places[part].groupby(ordered["candidate_id"][part]).mean() for part in _thirds(ordered))
    return last - first


def rule_score(features: pd.DataFrame) -> NDArray[np.float64]:
    """Score of each candidate by physical rules, 0 to 1.

    The product of soft conditions, each a logistic in one quantity: more than a line would leave, round, large enough
    to be told from a point, sized with certainty, standing still, seen again, and on a fiber.
    """

    def above(name: str, at: float, width: float, sign: float = 1.0) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-sign * (features[name].to_numpy(float) - at) / width)))

    # the average of registered neighbours shares its noise: only every few frames is a look of its own
    looks = np.clip(features["log_n"].to_numpy(float) - np.log(7.0), 0, 3)
    evidence = features["log_blob_snr"].to_numpy(float) + 0.25 * looks
    score = 1 / (1 + np.exp(-(evidence - np.log(15.0)) / 0.25))
    score = score * above("roundness", 0.5, 0.08)
    score = score * above("log_diameter", np.log(0.5), 0.1) * above("log_diameter", np.log(4.0), 0.08, -1)
    score = score * above("log_diameter_err", np.log(0.1), 0.25, -1)
    score = score * above("net_um", 1.0, 0.15, -1) * above("fill", 0.35, 0.08)
    # fibers can be too dim to see, so their absence alone does not decide
    score = score * np.maximum(above("fiber_um", 1.0, 0.2, -1), 0.75)
    # where the trees accept by default, the rules do as well as they can
    return np.asarray(np.clip(score, 0, 1) ** _RULE_POWER)


def movie_company(features: pd.DataFrame) -> Company:
    """The sure migrasomes of a movie, by trees that judge each track by itself; `features` are those of all tracks."""
    trees = load_trees("judge.npz", FEATURES, "train_judge.py")
    return company_of(features, trees_log_odds(trees, features[list(FEATURES)]))


def learned_score(features: pd.DataFrame, company: Company | None = None) -> NDArray[np.float64]:
    """Score of each candidate by gradient-boosted trees (Friedman 2001, doi:10.1214/aos/1013203451), 0 to 1.

    First each track is judged by itself; then, where there are enough of them, beside those that are surely migrasomes.
    The trees are trained on simulated movies by ``workflows/benchmark/train_judge.py``. The direction in which evidence
    acts is fixed (brighter, rounder, longer seen and nearer to a fiber never count against), so that what the simulator
    does not show is not learned from it.

    Parameters
    ----------
    features : pandas.DataFrame
        Columns :data:`FEATURES`, `colour_seen` and `log_brightness`, N rows.
    company : Company, optional
        The sure migrasomes of the movie, if `features` are those of a part of its tracks.

    Returns
    -------
    ndarray, shape (N,)
    """
    company = movie_company(features) if company is None else company
    if not company.is_known:
        # that few are sure says nothing of the others
        return trees_probability(load_trees("judge.npz", FEATURES, "train_judge.py"), features[list(FEATURES)])
    trees = load_trees("company.npz", (*FEATURES, *COMPANY_FEATURES), "train_judge.py")
    return trees_probability(trees, features[list(FEATURES)].join(company_features(features, company)))


def judge(
    features: pd.DataFrame,
    params: JudgeParams,
    n_frames: int,
    frame_interval_min: float,
    company: Company | None = None,
) -> pd.DataFrame:
    """Decide what each candidate is.

    Parameters
    ----------
    features : pandas.DataFrame
        From :func:`track_features`.
    params : JudgeParams
        Thresholds.
    n_frames : int
        Frames of the movie.
    frame_interval_min : float
        Minutes between frames; NaN for a single frame.
    company : Company, optional
        From :func:`movie_company`, if `features` are those of a part of the tracks of the movie.

    Returns
    -------
    pandas.DataFrame
        A copy with `score` (0 to 1), `kind` (out of :data:`migradetect.tables.KINDS`) and `reason` (null for
        migrasomes).
    """
    score = learned_score(features, company) if params.method == "learned" else rule_score(features)
    return decide(features.assign(score=score), params, n_frames, frame_interval_min)


def with_scene(score: NDArray[np.float64], scene: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score of candidates of which more has been seen.

    Parameters
    ----------
    score : ndarray, shape (N,)
        From :func:`judge`, 0 to 1.
    scene : ndarray, shape (N,)
        Log-odds by what the place shows through the movie, see :mod:`migradetect.scene_network`.

    Returns
    -------
    ndarray, shape (N,)
        0 to 1.
    """
    known = np.clip(score, _LEAST_SCORE, 1 - _LEAST_SCORE)
    log_odds = _JUDGE_WEIGHT * np.log(known / (1 - known)) + _SCENE_WEIGHT * scene
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def decide(features: pd.DataFrame, params: JudgeParams, n_frames: int, frame_interval_min: float) -> pd.DataFrame:
    """What each candidate is by its score and by what no score tells: how long it was there, its size, its motion.

    Parameters
    ----------
    features : pandas.DataFrame
        From :func:`track_features`, with `score`.
    params, n_frames, frame_interval_min
        As for :func:`judge`.

    Returns
    -------
    pandas.DataFrame
        A copy with `kind` and `reason`, as of :func:`judge`.
    """
    out = features.copy()
    enough = n_frames * frame_interval_min >= 4 * params.min_duration_min if np.isfinite(frame_interval_min) else False
    duration = out["span_frames"] * (frame_interval_min if np.isfinite(frame_interval_min) else 0.0)
    touches_end = (out["frame_first"] <= 1) | (out["frame_last"] >= n_frames - 2)
    least_min = _FOUND_SHARE * params.min_duration_min
    brief = enough & (duration < least_min) & ~touches_end
    once = (out["n_frames"] < min(3, n_frames)) & (n_frames > 1)
    # fibers sway, and carry their migrasomes along by a micrometre or so: what looks like one may move that far
    moving = out["net_um"] > np.where(out["score"] >= params.min_score, 1.8, 0.6)
    kind = np.full(len(out), "migrasome", dtype=object)
    reason = np.full(len(out), None, dtype=object)
    # the most telling reason wins, so it is written last
    for name, text, where in (
        ("noise", "score below the threshold", out["score"] < params.min_score),
        ("fiber", "part of a line, not round", (out["score"] < params.min_score) & (out["roundness"] < 0.3)),
        ("noise", "seen in fewer than three frames", once),
        ("subresolution", f"smaller than {_RESOLVED_UM:g} um", out["diameter_um"] < _RESOLVED_UM),
        ("transient", f"gone within {least_min:g} min", brief & (out["score"] >= params.min_score)),
        ("debris_floating", "drifts over the dish", moving & (out["cell_um"] > 2)),
        ("filopodium", "moves with the edge of a cell", moving & (out["cell_um"] <= 2)),
    ):
        mask = np.asarray(where, bool)
        kind[mask] = name
        reason[mask] = text
    out["kind"] = pd.array(kind, dtype="string")
    out["reason"] = pd.array(reason, dtype="string")
    return out
