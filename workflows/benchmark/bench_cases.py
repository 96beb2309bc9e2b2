"""What the scripts share that sort the movies of a benchmark into cases: options, movies, and where the text goes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from bench_movies import PROJECT
from bench_tables import fill_section

from migradetect.io import load_results
from migradetect.movie import Movie
from migradetect.results import Results
from migradetect.synthetic import simulate

__all__ = ["movies_of", "options_of", "publish", "simulated_again"]


def options_of(description: str | None) -> argparse.Namespace:
    """Options ``folder`` and ``docs`` from the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("benchmark_output/accuracy"), help="output of accuracy.py")
    parser.add_argument("--docs", type=Path, help="page whose marked section is filled in")
    return parser.parse_args()


def movies_of(folder: Path) -> Iterator[tuple[str, Results, Results]]:
    """Name, results and truth of each movie in the output of ``accuracy.py``."""
    # the small movies are there for Nellie alone
    movies = (folder / "results" / PROJECT).iterdir()
    for movie in sorted(one for one in movies if not one.name.endswith("_small")):
        yield movie.name, load_results(movie), load_results(folder / "truth" / movie.name)


def simulated_again(folder: Path, movie_id: str) -> Movie:
    """The pixels of a movie in the output of ``accuracy.py``: the same seed gives the same ones."""
    # the provenance of the truth holds everything that was put into the simulation
    stored = json.loads((folder / "truth" / movie_id / "movie.json").read_text(encoding="utf-8"))
    size = {name: stored["params"][name] for name in ("n_frames", "height_px", "width_px")}
    return simulate(movie_id.rsplit("_", 1)[0], int(stored["seed"]), movie_id=movie_id, **size).movie()


def publish(text: str, docs: Path | None, section: str, script: str) -> None:
    """Print a text, and put it into its section of a page, if one is given."""
    print(text)
    if docs is not None:
        docs.write_text(fill_section(docs.read_text(encoding="utf-8"), section, text, script), encoding="utf-8")
