"""Draw results beside the truth, for looking at; and what went wrong in the worst movies of a benchmark.

    python workflows/benchmark/accuracy.py --conditions typical low_snr --seeds 1
    python workflows/benchmark/overlays.py --conditions typical low_snr
    python workflows/benchmark/overlays.py --worst 5

Without ``--worst``, the first held-out movie of each condition is simulated again (the same seed gives the same pixels)
and the frame at three quarters is drawn: as recorded, with what was found, and with the truth. With it, the movies with
the lowest F1 of ``scores.csv`` are drawn: the frame with the most errors, what was found, missed and false in it, zooms
on the tracks that cost most, and a table ``worst.csv`` that says for each what is there or why it was not accepted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy import FIRST_SEED
from bench_cases import simulated_again
from bench_movies import PROJECT

from migradetect.evaluate.matching import Matches, match_migrasomes
from migradetect.io import load_results
from migradetect.movie import Movie
from migradetect.results import Results

#: A movie with fewer rows of truth says little.
MIN_ROWS = 10
#: What lies this near to a false one is what was taken for a migrasome, um.
NEAR_UM = 0.8
#: Okabe and Ito's palette; each kind also has a shape of its own.
MARKS = {"found": ("#56B4E9", "o"), "missed": ("#F0E442", "s"), "false": ("#D55E00", "D")}


def draw(condition: str, seed: int, folder: Path, out: Path) -> Path:
    """Write one picture and return its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from migradetect.plots import overlay
    from migradetect.synthetic import simulate

    movie = simulate(condition, seed).movie()
    frame = (3 * (movie.n_frames - 1)) // 4
    image = movie.frame(frame, movie.roles[-1])
    figure = Figure(figsize=(24, 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    overlay(panels[0], image, movie.calibration)
    panels[0].set_title(f"{condition} {seed}, frame {frame}, {movie.roles[-1]}")
    for panel, name in zip(panels[1:], (f"results/{PROJECT}", "truth"), strict=True):
        tables = load_results(folder / name / movie.movie_id)
        rows = tables.migrasomes
        rows = rows[(rows["frame"] == frame) & ~rows["is_covered"]]
        overlay(
            panel,
            image,
            movie.calibration,
            cells=np.asarray(tables.labels["cells"][frame]),
            fibers=np.asarray(tables.labels["fibers"][frame]),
            spots=rows,
        )
        panel.set_title(f"{name.partition('/')[0]}: {len(rows)} migrasomes in view")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{condition}_{seed}.png"
    figure.savefig(path, dpi=80)
    return path


def worst_movies(scores: pd.DataFrame, n: int, method: str = PROJECT) -> list[tuple[str, str, float]]:
    """Condition, movie and F1 of the movies with the lowest F1; movies with hardly anything to find are left out."""
    rows = scores[
        (scores["set"] == "full")
        & (scores["method"] == method)
        & (scores["metric"] == "f1")
        & (scores["movie_id"] != "all")
        & (scores["n"] >= MIN_ROWS)
    ].sort_values("value")
    rows = rows.drop_duplicates("movie_id").head(n)
    return list(zip(rows["condition"], rows["movie_id"], rows["value"].astype(float), strict=True))


def explain(results: Results, truth: Results, pixel_um: float) -> tuple[pd.DataFrame, Matches]:
    """Each track that was missed or is false, with what is known about it.

    Parameters
    ----------
    results, truth : Results
        Prediction and truth of one movie.
    pixel_um : float
        Edge of a pixel of the label images.

    Returns
    -------
    errors : pandas.DataFrame
        ``kind`` (missed, false), ``migrasome_id``, ``n_frames`` (in error), ``frame``, ``y_um``, ``x_um`` (where to
        look), ``cause``, the costliest first.
    matches : Matches
        Row by row.
    """
    frames = np.unique(truth.frames["frame"].to_numpy(np.int64))
    matches = match_migrasomes(truth.migrasomes, results.migrasomes, frames)
    is_missed = matches.is_valid_truth & ~matches.is_found
    rows = []
    for kind, table, wrong in (("missed", matches.truth, is_missed), ("false", matches.pred, matches.is_false)):
        for number, one in table[wrong].groupby("migrasome_id"):
            at = one.sort_values("frame").iloc[len(one) // 2]
            if kind == "missed":
                n_found = int((matches.is_found & (table["migrasome_id"] == number).to_numpy(bool)).sum())
                cause = _why_missed(at, n_found, len(one), results)
            else:
                cause = _what_is_there(at, truth, pixel_um)
            rows.append(
                {
                    "kind": kind,
                    "migrasome_id": number,
                    "n_frames": len(one),
                    "frame": int(at["frame"]),
                    "y_um": at["y_um"],
                    "x_um": at["x_um"],
                    "cause": cause,
                }
            )
    columns = ["kind", "migrasome_id", "n_frames", "frame", "y_um", "x_um", "cause"]
    errors = pd.DataFrame(rows, columns=columns).sort_values("n_frames", ascending=False, kind="stable")
    return errors.reset_index(drop=True), matches


def _nearest(table: pd.DataFrame, at: pd.Series) -> tuple[float, Any]:
    """Distance to the nearest row in drift-corrected coordinates, and the row."""
    if table.empty:
        return np.inf, None
    distance = np.hypot(table["y_stage_um"] - at["y_stage_um"], table["x_stage_um"] - at["x_stage_um"])
    distance = distance.to_numpy(float)
    if not np.isfinite(distance).any():
        return np.inf, None
    return float(np.nanmin(distance)), table.iloc[int(np.nanargmin(distance))]


def _why_missed(at: pd.Series, n_found: int, n_missed: int, results: Results) -> str:
    about = (
        f"{at['diameter_um']:.1f} um, SNR {at['snr']:.0f}, {at['location']}, {at['distance_to_cell_um']:.1f} um to cell"
    )
    if n_found:
        return f"found in {n_found} other frames; {about}"
    distance, candidate = _nearest(results.candidates, at)
    if distance <= NEAR_UM:
        return f"called {candidate['kind']}, score {candidate['score']:.2f}: {candidate['reason']}; {about}"
    distance, _ = _nearest(results.migrasomes, at)
    if distance <= NEAR_UM:
        return f"there is one {distance:.1f} um off; {about}"
    return f"no candidate; {about}"


def _what_is_there(at: pd.Series, truth: Results, pixel_um: float) -> str:
    about = f"score {at['score']:.2f}, SNR {at['snr']:.0f}"
    distance, decoy = _nearest(truth.candidates, at)
    beside, real = _nearest(truth.migrasomes, at)
    if distance <= NEAR_UM and distance <= beside:
        return f"a decoy: {decoy['kind']}; {about}"
    if beside <= NEAR_UM:
        when = sorted(truth.migrasomes.loc[truth.migrasomes["migrasome_id"] == real["migrasome_id"], "frame"])
        return f"{beside:.1f} um from a true one of frames {when[0]} to {when[-1]}; {about}"
    frame = int(at["frame"])
    for name, reach, text in (("cells", 0.6, "edge of a cell"), ("fibers", 0.5, "bare fiber")):
        if name not in truth.labels:
            continue
        plane = truth.labels[name][frame] > 0
        y, x = round(at["y_um"] / pixel_um), round(at["x_um"] / pixel_um)
        r = max(1, round(reach / pixel_um))
        if plane[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1].any():
            return f"{text}; {about}"
    return f"nothing of the simulation; {about}"


def draw_errors(movie: Movie, results: Results, truth: Results, title: str, path: Path) -> pd.DataFrame:
    """Draw the frame with the most errors and zooms on the costliest tracks; return the table of errors."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from migradetect.plots import display_range, overlay

    pixel = movie.calibration.pixel_size_um
    errors, matches = explain(results, truth, pixel)
    is_missed = matches.is_valid_truth & ~matches.is_found
    wrong = np.concatenate([matches.truth["frame"][is_missed], matches.pred["frame"][matches.is_false]])
    worst = int(np.bincount(wrong.astype(int)).argmax()) if wrong.size else 0
    places = {
        "found": matches.truth[matches.is_found],
        "missed": matches.truth[is_missed],
        "false": matches.pred[matches.is_false],
    }
    figure = Figure(figsize=(26, 13), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 6)
    image = movie.frame(worst, movie.roles[0])
    for panel, labels, name in (
        (figure.add_subplot(grid[0, :2]), results.labels, "results"),
        (figure.add_subplot(grid[1, :2]), truth.labels, "truth"),
    ):
        drawn = {kind: np.asarray(labels[kind][worst]) for kind in ("cells", "fibers") if kind in labels}
        overlay(panel, image, movie.calibration, **drawn)
        for kind, rows in places.items():
            if (kind, name) not in (("missed", "results"), ("false", "truth")):
                _mark(panel, rows[rows["frame"] == worst], kind, pixel)
        panel.set_title(f"{name}, frame {worst}, {movie.roles[0]}", fontsize=11)
    for k, error in enumerate(errors.head(8).itertuples()):
        panel = figure.add_subplot(grid[k // 4, 2 + k % 4])
        view = display_range(movie.frame(error.frame, movie.roles[0]))
        panel.imshow(view, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for kind, rows in places.items():
            # large, so that what is marked can be seen
            _mark(panel, rows[rows["frame"] == error.frame], kind, pixel, 34)
        y, x, half = error.y_um / pixel, error.x_um / pixel, 6.0 / pixel
        panel.set(xlim=(x - half, x + half), ylim=(y + half, y - half), xticks=[], yticks=[])
        heading = f"{error.kind} in {error.n_frames} frames, here {error.frame}"
        panel.set_title("\n".join([heading, *_wrapped(error.cause, 46)]), fontsize=9)
    handles = [
        figure.axes[0].plot(
            [], [], marker=m, ls="", mfc="none", mec=c, mew=2, ms=9, label=f"{k}: {len(places[k])} rows"
        )[0]
        for k, (c, m) in MARKS.items()
    ]
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=12)
    legend.get_frame().set_facecolor("0.35")
    for text in legend.get_texts():
        text.set_color("white")
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=70)
    return errors


def _mark(panel: Any, rows: pd.DataFrame, kind: str, pixel_um: float, size: float = 11) -> None:
    colour, marker = MARKS[kind]
    places = rows[["x_um", "y_um"]].to_numpy(float) / pixel_um
    panel.plot(*places.T, ls="", marker=marker, mfc="none", mec=colour, mew=1.5, ms=size)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)[:3]


def draw_worst(folder: Path, out: Path, n: int) -> list[Path]:
    """Pictures of the worst movies of a benchmark, and ``worst.csv`` with every error in them."""
    paths, tables = [], []
    for _, movie_id, f1 in worst_movies(pd.read_csv(folder / "scores.csv"), n):
        truth = load_results(folder / "truth" / movie_id)
        results = load_results(folder / "results" / PROJECT / movie_id)
        movie = simulated_again(folder, movie_id)
        path = out / f"worst_{movie_id}.png"
        errors = draw_errors(movie, results, truth, f"{movie_id}: F1 {f1:.2f}", path)
        tables.append(errors.assign(movie_id=movie_id, f1=f1))
        paths.append(path)
    if tables:
        table = pd.concat(tables, ignore_index=True)
        table.to_csv(out / "worst.csv", index=False)
        # the words before the numbers are the cause
        table["what"] = table["kind"] + ": " + table["cause"].str.split(r"[;,]| \d", regex=True).str[0]
        print(table.groupby(["movie_id", "what"])["n_frames"].agg(["size", "sum"]).to_string())
    return paths


def main() -> int:
    """Draw one picture for each condition, or the worst movies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", nargs="+", default=["typical"])
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--worst", type=int, help="draw this many movies with the lowest F1 of scores.csv instead")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_output/accuracy"), help="output of accuracy.py")
    parser.add_argument("--out", type=Path, default=Path("benchmark_output/overlays"))
    options = parser.parse_args()
    if options.worst:
        for path in draw_worst(options.folder, options.out, options.worst):
            print(path)
        return 0
    for condition in options.conditions:
        print(draw(condition, options.seed, options.folder, options.out))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
