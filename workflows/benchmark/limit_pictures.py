"""Draw what limits the figures: things that look alike and are not, from the output of the benchmark.

    python workflows/benchmark/accuracy.py
    python workflows/benchmark/limit_pictures.py --out docs/images

Reads the output folder of ``accuracy.py``, simulates the movies that are drawn again (the same seed gives the same
pixels), and writes five pictures:

    limit_costly.jpg       false and missed migrasomes that cost two conditions most of their F1
    limit_lookalikes.jpg   false migrasomes beside true ones of the same size and brightness
    limit_ends.jpg         migrasomes that a cell took up beside ones that ruptured, frame by frame
    limit_places.jpg       migrasomes whose place on the fiber was named wrongly, when they were born
    limit_bodies.jpg       bodies that touch in the first frame, as they are and as they were found
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_cases import movies_of, simulated_again
from error_cases import false_cases

from migradetect.evaluate.matching import match_migrasomes, match_tracks
from migradetect.movie import Movie
from migradetect.results import Results

PICTURES = ("costly", "lookalikes", "ends", "places", "bodies")
#: Conditions whose costliest errors are drawn, and how many of each sort.
SHORT_OF_F1, N_COSTLY = ("typical", "fine_pixels"), 9
#: Half the width of what is drawn around a place, um.
HALF_UM = 5.0
#: False ones and true ones that are drawn, rows of ends of each sort, and places of each sort.
N_ALIKE, N_ENDS, N_PLACES = 10, 3, 6
#: Places of migrasomes that are taken for one another most, true and found.
PLACES = (("shaft", "branch"), ("branch", "shaft"), ("tip", "shaft"))
#: Frames around an end that are drawn.
AROUND = range(-3, 4)
#: What is drawn is drawn by lot.
SEED = 1
#: What is most like a migrasome, of the kinds of truth.
DIRT = ("debris_static", "subresolution")
#: A cell this near might have taken it up, um.
BESIDE_UM = 1.0
#: Bodies are looked at in this condition; less of one in another is a matter of outlines, um2.
TOUCHING, LEAST_UM2 = "random", 50.0


@dataclass(frozen=True)
class Place:
    """A migrasome as found, in one frame."""

    movie: str
    frame: int
    y_um: float
    x_um: float
    diameter_um: float
    snr: float


def crop(movie: Movie, place: Place, frame: int) -> Any:
    """Sum of the channels around a place, each over its median, shown from dark to bright; square."""
    half = round(movie.calibration.px(HALF_UM))
    y, x = (round(movie.calibration.px(one)) for one in (place.y_um, place.x_um))
    total = 0
    for role in movie.roles:
        plane = movie.frame(frame, role).astype(float)
        framed = np.pad(plane / np.median(plane), half, mode="edge")
        total = total + framed[y : y + 2 * half + 1, x : x + 2 * half + 1]
    low, high = np.quantile(total, (0.01, 0.995))
    return np.clip((total - low) / max(high - low, 1e-9), 0, 1) ** 0.6


@dataclass
class Finds:
    """What the movies hold that is worth drawing."""

    costly: dict[tuple[str, str], list[tuple[int, Place]]] = field(default_factory=dict)
    false: list[Place] = field(default_factory=list)
    true: list[Place] = field(default_factory=list)
    taken_up: list[Place] = field(default_factory=list)
    ruptured: list[Place] = field(default_factory=list)
    misplaced: dict[tuple[str, str], list[Place]] = field(default_factory=lambda: {one: [] for one in PLACES})
    merged: tuple[int, str, Results, Results] | None = None

    def look(self, name: str, results: Results, truth: Results) -> None:
        """Add what one movie holds."""
        if name.startswith(TOUCHING):
            n = n_merged(truth, results)
            if n > (self.merged[0] if self.merged else 0):
                self.merged = n, name, results, truth
        frames = np.unique(truth.frames["frame"].to_numpy(int))
        matches = match_migrasomes(truth.migrasomes, results.migrasomes, frames)
        condition = name.rsplit("_", 1)[0]
        if condition in SHORT_OF_F1:
            missed = matches.truth[matches.is_valid_truth & ~matches.is_found]
            for sort, rows in (("false", matches.pred[matches.is_false]), ("missed", missed)):
                found = self.costly.setdefault((condition, sort), [])
                found += [(len(own), place_of(name, own, len(own) // 2)) for _, own in rows.groupby("migrasome_id")]
        if results.tracks.empty or len(truth.frames) == 1:
            return
        high, wide = (one * results.calibration.pixel_size_um - HALF_UM for one in np.shape(results.labels["cells"][0]))
        rows = results.migrasomes[results.migrasomes["y_um"].between(HALF_UM, high)]
        rows = rows[rows["x_um"].between(HALF_UM, wide)].sort_values("frame")
        by = dict(list(rows.groupby("migrasome_id")))
        cases = false_cases(results, truth)
        for number, own in cases[cases["case"].isin(DIRT)].groupby("migrasome_id"):
            if number in by and len(own) > 0.9 * len(by[number]):
                self.false.append(place_of(name, by[number], len(by[number]) // 2))
        pairs = match_tracks(matches)
        true, said = (tables.tracks.set_index("migrasome_id") for tables in (truth, results))
        sorts = {"engulfed": self.taken_up, "rupture": self.ruptured}
        for true_id, number in zip(pairs["truth_id"], pairs["pred_id"], strict=True):
            own = by.get(number)
            if own is None:
                continue
            self.true.append(place_of(name, own, len(own) // 2))
            last = own.iloc[-1]
            is_beside = not last["is_covered"] and own["distance_to_cell_um"].iloc[-3:].min() < BESIDE_UM
            in_record = last["frame"] + AROUND.start >= 0 and last["frame"] + AROUND.stop <= len(frames)
            fate = true.loc[true_id, "fate"]
            if said.loc[number, "fate"] == "rupture" and fate in sorts and is_beside and in_record:
                sorts[fate].append(place_of(name, own, -1))
            location = (true.loc[true_id, "location"], said.loc[number, "location"])
            if location in self.misplaced:
                self.misplaced[location].append(place_of(name, own, 0))


def place_of(movie: str, rows: pd.DataFrame, which: int) -> Place:
    """Where a track is in one of its rows."""
    row = rows.iloc[which]
    return Place(movie, int(row["frame"]), *(float(row[name]) for name in ("y_um", "x_um", "diameter_um", "snr")))


def n_merged(truth: Results, results: Results) -> int:
    """How many true bodies of the first frame share a found one with another."""
    true, found = (np.asarray(tables.labels["cells"][0]).astype(np.int64) for tables in (truth, results))
    both, pixels = np.unique(np.stack([true, found])[:, (true > 0) & (found > 0)], axis=1, return_counts=True)
    found_of = both[1, pixels * truth.calibration.pixel_size_um**2 > LEAST_UM2]
    return int(found_of.size - np.unique(found_of).size)


def some(places: list[Place], n: int) -> list[Place]:
    """A few of them, drawn by lot."""
    return [places[k] for k in np.random.default_rng(SEED).permutation(len(places))[:n]]


def partners(places: list[Place], others: list[Place]) -> list[Place]:
    """For each place another one of about the same size and brightness, each once."""
    out: list[Place] = []
    for one in places:
        left = [other for other in others if other not in out]
        unlike = [
            abs(np.log(other.diameter_um / one.diameter_um)) + 0.3 * abs(np.log(other.snr / one.snr)) for other in left
        ]
        out.append(left[int(np.argmin(unlike))])
    return out


def draw_rows(folder: Path, rows: list[tuple[str, list[tuple[Place, int]]]], width: int) -> Any:
    """Figure with a row of crops for each title: places, and how many frames later."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.75 * width, 1.95 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), width, squeeze=False)
    order = sorted((place.movie, k, j) for k, (_, places) in enumerate(rows) for j, (place, _) in enumerate(places))
    for panel in panels.ravel():
        panel.set(xticks=[], yticks=[])
    # movie by movie, because each is simulated again
    for name, panels_of_one in groupby(order, key=lambda one: one[0]):
        movie = simulated_again(folder, name)
        for _, k, j in panels_of_one:
            place, shift = rows[k][1][j]
            view = crop(movie, place, place.frame + shift)
            panels[k, j].imshow(view, cmap="gray", extent=(-HALF_UM, HALF_UM, HALF_UM, -HALF_UM))
    for k, (title, _) in enumerate(rows):
        panels[k, 0].set_ylabel(title, fontsize=10)
    return figure


def draw_bodies(folder: Path, name: str, results: Results, truth: Results) -> Any:
    """Figure with the first frame, the true outlines and those found."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from migradetect.plots import overlay

    movie = simulated_again(folder, name)
    image = movie.frame(0, movie.roles[-1])
    figure = Figure(figsize=(15, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    overlay(panels[0], image, movie.calibration)
    panels[0].set_title(f"{name}, first frame, {movie.roles[-1]}")
    for panel, tables, title in ((panels[1], truth, "true bodies"), (panels[2], results, "found")):
        overlay(panel, image, movie.calibration, cells=np.asarray(tables.labels["cells"][0]))
        panel.set_title(title)
    return figure


def main() -> int:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("benchmark_output/accuracy"), help="output of accuracy.py")
    parser.add_argument("--out", type=Path, default=Path("benchmark_output/limits"))
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=PICTURES, help="pictures that are drawn")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    def save(figure: Any, name: str) -> None:
        path = options.out / f"limit_{name}.jpg"
        figure.savefig(path, dpi=75, pil_kwargs={"quality": 85})
        print(path)

    finds = Finds()
    for movie in movies_of(options.folder):
        finds.look(*movie)
    if "costly" in options.only:
        costly = []
        for condition in SHORT_OF_F1:
            for sort in ("false", "missed"):
                most = sorted(finds.costly.get((condition, sort), []), key=lambda one: -one[0])[:N_COSTLY]
                costly.append((f"{condition}\n{sort}", [(place, 0) for _, place in most]))
                print(condition, sort, ", ".join(f"{n} frames in {one.movie}" for n, one in most))
        save(draw_rows(options.folder, costly, N_COSTLY), "costly")
    if "lookalikes" in options.only:
        sized = [[one for one in places if one.snr > 0 and one.diameter_um > 0] for places in (finds.false, finds.true)]
        false = some(sized[0], N_ALIKE)
        rows = [("false", false), ("true", partners(false, sized[1]))]
        alike = [(title, [(one, 0) for one in places]) for title, places in rows]
        save(draw_rows(options.folder, alike, N_ALIKE), "lookalikes")
    if "ends" in options.only:
        rows = [("taken up", some(finds.taken_up, N_ENDS)), ("ruptured", some(finds.ruptured, N_ENDS))]
        ends = [(title, [(one, k) for k in AROUND]) for title, places in rows for one in places]
        save(draw_rows(options.folder, ends, len(AROUND)), "ends")
    if "places" in options.only:
        rows = [(f"{true}, called {said}", some(places, N_PLACES)) for (true, said), places in finds.misplaced.items()]
        wrong = [(title, [(one, 0) for one in places]) for title, places in rows]
        save(draw_rows(options.folder, wrong, N_PLACES), "places")
    if "bodies" in options.only and finds.merged is not None:
        save(draw_bodies(options.folder, *finds.merged[1:]), "bodies")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
