"""Speed and memory, measured beside what a user would do without the project.

    python workflows/benchmark/speed.py --out benchmark_output/speed               # all of it
    python workflows/benchmark/speed.py --out benchmark_output/speed_quick --quick # a look, with 2 rounds
    python workflows/benchmark/speed.py --out benchmark_output/speed --only-page   # table and plots of what is there
    python workflows/benchmark/speed.py --plan                                     # hours of a large screen

Every case is a whole process, from its start to its end: wall time, processor time and peak memory as the system counts
them for it and its children. Rounds go through all cases in turn, each round from another start, so that a machine that
gets slower is slower for all; what counts is the median of the rounds. Every run is written to ``runs.csv`` at once:
the same command again goes on with what is missing. Movies are made once, see ``speed_movies.py``.

=============  =====================================================================================================
``size``       one movie by frame size: the project; a naive scikit-image and trackpy pipeline that does the same job
               (``naive_pipeline.py``); trackpy.batch and link alone; blob_log alone; Nellie where it is installed
``frames``     by number of frames: the project, and the naive pipeline where it can be waited for
``workers``    as many movies as the most workers, by number of workers
``start``      ``--help``, a run of one small frame, a preview of one large frame
``part``       2,000 candidates x 500 frames linked; 5,000 growth fits; each beside the usual way
``noise``      three frames of noise with 100,000 maxima each
=============  =====================================================================================================
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import speed_page
import speed_plan
from speed_cases import Case, cases, measure
from speed_movies import FIELD_PX, Field

__all__ = ["main"]

_COLUMNS = ("name", "method", "size_px", "n_frames", "n_movies", "workers", "megapixels", "round", "wall_s", "cpu_s",
            "peak_mb", "peak_all_mb", "part_s", "error", "key")  # fmt: skip


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmark_output/speed"))
    parser.add_argument("--repeats", type=int, help="rounds; default 5, quick 2")
    parser.add_argument("--sizes", type=int, nargs="+", help="default 512 1024 2048; quick 512 1024")
    parser.add_argument("--frames", type=int, nargs="+", help="default 50 200 500; quick 5 20")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--time-size", type=int, help="size of movies by frames and workers; default 1024, quick 512")
    parser.add_argument("--size-frames", type=int, help="frames of the project's movies by size; default 20, quick 5")
    parser.add_argument("--peer-frames", type=int, help="frames of the peers' movies by size; default 5, quick 2")
    parser.add_argument("--naive-frames", type=int, nargs="*", help="lengths of the naive pipeline; default the least")
    parser.add_argument("--field", type=int, nargs=2, metavar=("PX", "FRAMES"), help="simulated field; default 2048 50")
    parser.add_argument("--only", nargs="+", help="names of cases, such as size or start")
    parser.add_argument("--methods", nargs="+", help="methods, such as migradetect or naive")
    parser.add_argument("--quick", action="store_true", help="small movies, few rounds, no long parts")
    parser.add_argument("--only-page", action="store_true", help="run nothing; table and plots of what is there")
    parser.add_argument("--plan", action="store_true", help="print the plan of a large screen and leave")
    parser.add_argument("--docs", type=Path, help="page whose sections are replaced")
    chosen = parser.parse_args(arguments)
    quick = chosen.quick
    chosen.repeats = chosen.repeats or (2 if quick else 5)
    chosen.sizes = chosen.sizes or ([512, 1024] if quick else [512, 1024, 2048])
    chosen.frames = chosen.frames or ([5, 20] if quick else [50, 200, 500])
    chosen.time_size = chosen.time_size or (512 if quick else 1024)
    chosen.size_frames = chosen.size_frames or (5 if quick else 20)
    chosen.peer_frames = chosen.peer_frames or (2 if quick else 5)
    chosen.naive_frames = [min(chosen.frames)] if chosen.naive_frames is None else chosen.naive_frames
    chosen.field = chosen.field or ([1024, 6] if quick else [FIELD_PX, 50])
    if max(*chosen.sizes, chosen.time_size) > chosen.field[0]:
        parser.error(f"--field: expected at least {max(*chosen.sizes, chosen.time_size)} pixels, got {chosen.field[0]}")
    return chosen


def _done(path: Path) -> Counter[str]:
    """Rounds of each case that are there."""
    if not path.exists():
        return Counter()
    with path.open(newline="", encoding="utf-8") as file:
        return Counter(row["key"] for row in csv.DictReader(file) if not row["error"])


def _run_round(chosen: list[Case], number: int, runs: Path, folder: Path) -> None:
    """One more run of each case."""
    # each round begins elsewhere, so that none always follows the same
    start = (number * 7) % len(chosen)
    for case in chosen[start:] + chosen[:start]:
        work = Path(tempfile.mkdtemp(prefix="run_", dir=folder))
        command = [word.replace("{out}", str(work / "out")) for word in case.command]
        row: dict[str, object] = asdict(case) | {"megapixels": round(case.megapixels, 3), "round": number}
        try:
            row |= asdict(measure(command, work / "log"))
            row["error"] = ""
            words = f"{row['wall_s']:.1f} s, {row['cpu_s']:.1f} cpu s, {row['peak_mb']:.0f} MB"
        except RuntimeError as error:
            row["error"] = words = str(error)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        is_new = not runs.exists()
        with runs.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
            if is_new:
                writer.writeheader()
            writer.writerow(row | {"key": case.key})
        print(f"round {number + 1}: {case.key}: {words}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure, tabulate, draw."""
    options = _options(arguments)
    if options.plan:
        print(speed_plan.plan_text())
        if options.docs:
            speed_page.replace_section(options.docs, "plan", speed_plan.plan_text())
        return 0
    out = options.out.absolute()
    runs = out / "runs.csv"
    out.mkdir(parents=True, exist_ok=True)
    if not options.only_page:
        field = Field(out / "movies", *options.field)
        chosen = cases(
            field, options.sizes, options.frames, options.workers, size_frames=options.size_frames,
            peer_frames=options.peer_frames, time_size=options.time_size, naive_frames=options.naive_frames,
            is_quick=options.quick,
        )  # fmt: skip
        chosen = [case for case in chosen if not options.only or case.name in options.only]
        chosen = [case for case in chosen if not options.methods or case.method in options.methods]
        # what is compiled once is compiled before anything is measured
        (first,) = field.movie(min(options.sizes), 1)
        measure([sys.executable, "-m", "migradetect", "run", str(first), "--workers", "1", "--channels", "tspan4,wga",
                 "--out", str(out / "warm")], out / "warm.log")  # fmt: skip
        shutil.rmtree(out / "warm", ignore_errors=True)
        for number in range(options.repeats):
            done = _done(runs)
            missing = [case for case in chosen if done[case.key] <= number]
            if not missing:
                continue
            started = time.perf_counter()
            _run_round(missing, number, runs, out)
            took = (time.perf_counter() - started) / 60
            left = options.repeats - number - 1
            print(f"round {number + 1} took {took:.1f} min; {left} more: {left * took:.0f} min", flush=True)
    if not runs.exists():
        print(f"error: {runs}: expected the table of runs, got none; run without --only-page first", file=sys.stderr)
        return 3
    text, n_failed = speed_page.write_page(runs, out)
    print(text)
    if options.docs:
        speed_page.replace_section(options.docs, "speed", text)
        (options.docs.parent / "images").mkdir(exist_ok=True)
        shutil.copy(out / "speed.png", options.docs.parent / "images" / "speed.png")
    return 1 if n_failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
