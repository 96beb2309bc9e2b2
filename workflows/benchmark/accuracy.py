"""Score migradetect and its peers on held-out seeds of simulated conditions.

    python workflows/benchmark/accuracy.py --conditions typical --seeds 10
    python workflows/benchmark/accuracy.py --peers trackpy blob_log log_ridge --ablations --docs docs/accuracy.md

Every movie is simulated, analysed with the default parameters (single images with the preset ``fixed``) and scored
against its truth. Seeds start at 900 000: nothing was tuned or trained on them. A run that was interrupted goes on
where it was; what is there and was made by the same code from the same seeds is not made again. In the output folder:

    scores.csv     every metric of every movie, condition and method
    table.md       the project beside the peers: all metrics; and one table per metric
    page.png       one page of plots
    failures.csv   what failed, if anything did
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
from bench_movies import PROJECT, Method, MovieSpec, Outcome, ablations, folders, run_movie, seconds_of
from bench_scores import load_tally, pooled_scores
from bench_tables import conditions_table, fill_section, headline_table, lever_table, metric_tables

from migradetect.evaluate.tally import Tally
from migradetect.synthetic import CONDITIONS

FIRST_SEED = 900_000
PEER_NAMES = ("trackpy", "blob_log", "log_ridge", "nellie")
#: Nellie is slow: it and the others are compared on movies of this size.
SMALL = (("n_frames", 12), ("height_px", 320), ("width_px", 320))
SMALL_CONDITIONS = ("clean", "typical", "low_snr")
#: Conditions in which every lever is tried.
LEVER_CONDITIONS = ("typical", "low_snr", "crowded", "drifting", "random")
#: Metrics with a table of their own in the manual; the others are in table.md.
DOCS_METRICS = ("f1", "hota", "diameter_error", "count_relative_mae", "parent_accuracy", "fiber_f1", "cell_seg")
ALL = "all conditions"

Plan = dict[MovieSpec, list[Method]]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5, help="movies of each condition but random")
    parser.add_argument("--random", type=int, default=50, help="movies of the condition random")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--peers", nargs="*", default=[], choices=PEER_NAMES, help="what is scored beside the project")
    parser.add_argument("--peer-seeds", type=int, help="score peers on the first movies of each condition only")
    parser.add_argument("--nellie-seeds", type=int, default=2, help="small movies of some conditions, for Nellie")
    parser.add_argument("--ablations", action="store_true", help="also run the project with each lever off")
    parser.add_argument("--ablation-seeds", type=int, default=3, help="movies of each condition for the levers")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="parameter of the project")
    parser.add_argument("--frames", type=int, help="shorter movies, to try the command out")
    parser.add_argument("--size", type=int, help="smaller movies, to try the command out; px")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--force", action="store_true", help="run again what is there")
    parser.add_argument("--score-only", action="store_true", help="run nothing: tables and plots of what is there")
    parser.add_argument("--out", type=Path, default=Path("benchmark_output/accuracy"))
    parser.add_argument("--docs", type=Path, help="page whose marked section is filled in; plots go beside it")
    options = parser.parse_args(arguments)
    options.parameters = tuple(tuple(part.split("=", 1)) for part in options.set)
    if any(len(pair) != 2 for pair in options.parameters):
        parser.error("--set: expected KEY=VALUE, such as judge.method=rules")
    return options


def specs_of(options: argparse.Namespace) -> list[MovieSpec]:
    """Movies that the project is scored on."""
    size = {"n_frames": options.frames, "height_px": options.size, "width_px": options.size}
    given = tuple((name, value) for name, value in size.items() if value is not None)
    tag = "x".join(str(value) for _, value in given)
    return [
        MovieSpec(
            condition,
            options.first_seed + k,
            # a condition of single images stays one
            tuple(pair for pair in given if not (condition == "fixed_frame" and pair[0] == "n_frames")),
            tag,
        )
        for condition in options.conditions
        for k in range(options.random if condition == "random" else options.seeds)
    ]


def plan_of(options: argparse.Namespace) -> tuple[Plan, list[Method], list[Method], list[str]]:
    """What runs on which movie; the project and peers, the levers, and remarks on what is left out."""
    project = Method(PROJECT, "project", options.parameters)
    peers = [Method(name, "peer") for name in options.peers]
    remarks: list[str] = []
    if "nellie" in options.peers:
        from nellie_peer import has_nellie

        if not has_nellie():
            remarks.append("nellie is left out: not installed; give a Python that has it by NELLIE_PYTHON")
            peers = [peer for peer in peers if peer.name != "nellie"]
    specs = specs_of(options)
    plan: Plan = {}
    limit = options.peer_seeds
    for spec in specs:
        is_compared = limit is None or spec.seed < options.first_seed + limit
        plan[spec] = [project] + [peer for peer in peers if is_compared and peer.name != "nellie"]
    if any(peer.name == "nellie" for peer in peers):
        for condition in SMALL_CONDITIONS:
            for k in range(options.nellie_seeds):
                plan[MovieSpec(condition, options.first_seed + k, SMALL, "small")] = [project, *peers]
    levers: list[Method] = []
    if options.ablations:
        levers, missing = ablations()
        levers = [Method(one.name, one.kind, (*options.parameters, *one.settings)) for one in levers]
        remarks += missing
        for spec in specs:
            if spec.condition in LEVER_CONDITIONS and spec.seed < options.first_seed + options.ablation_seeds:
                plan[spec] += [lever for lever in levers if lever.applies(spec)]
    return plan, [project, *peers], levers, remarks


def run_all(plan: Plan, options: argparse.Namespace) -> list[Outcome]:
    """Run what is missing; a line for each movie."""
    outcomes: list[Outcome] = []
    start = time.perf_counter()
    for done, (spec, of_movie) in enumerate(_run(plan, options), start=1):
        outcomes += of_movie
        took = ", ".join(f"{o.method} {o.seconds:.0f} s" for o in of_movie if o.seconds is not None)
        failed = "; ".join(f"{o.method} FAILED: {o.error}" for o in of_movie if o.error)
        elapsed = time.perf_counter() - start
        left = elapsed / done * (len(plan) - done) / 60
        said = "; ".join(part for part in (took or ("" if failed else "was there"), failed) if part)
        print(f"[{done}/{len(plan)}] {spec.movie_id}: {said}; about {left:.0f} min left", file=sys.stderr, flush=True)
    return outcomes


def _run(plan: Plan, options: argparse.Namespace) -> Iterator[tuple[MovieSpec, list[Outcome]]]:
    if options.workers <= 1:
        for spec, methods in plan.items():
            yield spec, run_movie(spec, methods, options.out, options.force)
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # spawned, not forked: libraries that are loaded here may have started threads
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(run_movie, s, methods, options.out, options.force): s for s, methods in plan.items()}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def score_all(
    plan: Plan, methods: Sequence[Method], levers: Sequence[Method], out: Path
) -> tuple[pd.DataFrame, dict[tuple[str, str, str], Tally]]:
    """Scores of every movie and of every pool of movies.

    Pools: ``full`` is the project on all its movies; ``peers`` is the project and each peer on the movies that all of
    them have; ``small`` is the same on the movies for Nellie; ``levers`` is the project with and without each lever.

    Returns
    -------
    scores : pandas.DataFrame
        ``set, method, condition, movie_id, group, metric, value, n, unit``; pooled rows are called ``all``.
    tallies : dict of (set, method, condition) to Tally
        Pooled counts.
    """
    tables, tallies = [], {}
    known: dict[tuple[str, MovieSpec], Tally] = {}
    for spec, of_movie in plan.items():
        for method in of_movie:
            tally = load_tally(folders(out, method, spec)[2])
            if tally is not None:
                known[method.name, spec] = tally

    def add(name: str, method: str, label: str, specs: list[MovieSpec]) -> None:
        pools: dict[str, list[MovieSpec]] = {}
        for spec in specs:
            pools.setdefault(spec.condition, []).append(spec)
            # fields of random parameters are a test of their own, not one more condition
            pools.setdefault(ALL if name == "levers" or spec.condition != "random" else "", []).append(spec)
        for condition, members in pools.items():
            if not condition:
                continue
            table, tallies[name, label, condition] = pooled_scores((known[method, s] for s in members), "all")
            each = [pooled_scores([known[method, s]], s.movie_id)[0] for s in members] if condition != ALL else []
            tables.extend(t.assign(set=name, method=label, condition=condition) for t in (table, *each))

    normal = [spec for spec in plan if spec.tag != "small"]
    add("full", PROJECT, PROJECT, [s for s in normal if (PROJECT, s) in known])
    names = [m.name for m in methods]
    for name, of_set, compared in (
        ("peers", normal, [n for n in names if n != "nellie"]),
        ("small", [spec for spec in plan if spec.tag == "small"], names),
    ):
        shared = [spec for spec in of_set if all((n, spec) in known for n in compared)]
        if shared and len(compared) > 1:
            for method in compared:
                add(name, method, method, shared)
    for lever in levers:
        shared = [s for s in normal if (lever.name, s) in known and (PROJECT, s) in known]
        add("levers", lever.name, lever.name, shared)
        add("levers", PROJECT, f"{PROJECT} for {lever.name}", shared)
    if not tables:
        raise SystemExit(f"{out}: nothing to score; every movie failed or none was run")
    scores = pd.concat(tables, ignore_index=True)
    columns = ["set", "method", "condition", "movie_id", "group", "metric", "value", "n", "unit"]
    return scores[columns], tallies


def write_all(
    scores: pd.DataFrame,
    tallies: dict[tuple[str, str, str], Tally],
    plan: Plan,
    methods: Sequence[Method],
    levers: Sequence[Method],
    options: argparse.Namespace,
) -> str:
    """Write the table, the plots and the section of the manual; return the table."""
    from bench_page import draw_page

    has_peers = (scores["set"] == "peers").any()
    shown = scores[scores["set"] == ("peers" if has_peers else "full")]
    names = [m.name for m in methods if m.name != "nellie" and (shown["method"] == m.name).any()]
    full = scores[scores["set"] == "full"]
    conditions = [c for c in options.conditions if (full["condition"] == c).any()]
    groups = {c: t for c, t in ((ALL, "named conditions"), ("random", "random")) if (shown["condition"] == c).any()}
    small = scores[scores["set"] == "small"]
    small_names = [m.name for m in methods if (small["method"] == m.name).any()]
    lever_names = [lever.name for lever in levers if (scores["method"] == lever.name).any()]

    intro = _intro(plan, methods, scores, options)
    headline = headline_table(shown, names, groups)
    own = conditions_table(full, conditions)
    compared = f"{len(set(shown['movie_id'])) - 1} movies"
    parts = [intro, f"## The project beside the peers ({compared})", headline, "## The project by condition", own]
    docs = [intro, f"### The project beside the peers ({compared})", headline, "### The project by condition", own]
    if lever_names:
        table = lever_table(scores[scores["set"] == "levers"], lever_names, LEVER_CONDITIONS)
        parts += ["## What each lever is worth", table]
        docs += ["### What each lever is worth", table]
    if small_names:
        table = headline_table(small, small_names, {ALL: "small movies"})
        n_small = len(set(small["movie_id"])) - 1
        text = f"{n_small} movies of 12 frames and 320 x 320 pixels ({', '.join(SMALL_CONDITIONS)})."
        parts += ["## With Nellie, on small movies", text, table]
        docs += ["### With Nellie, on small movies", text, table]
    parts += ["## Each metric by condition", metric_tables(shown, names, conditions)]
    some = metric_tables(shown, names, conditions, DOCS_METRICS).replace("### ", "#### ")
    docs += ["### Some metrics by condition", some]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "table.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    pooled = {(method, condition): tally for (name, method, condition), tally in tallies.items()
              if name == ("peers" if has_peers else "full")}  # fmt: skip
    if not any(condition == ALL for _, condition in pooled):
        pooled |= {(method, ALL): tally for (method, condition), tally in pooled.items() if condition == "random"}
    page = draw_page(shown, pooled, names, conditions, options.out / "page.png")
    if options.docs is not None:
        images = options.docs.parent / "images"
        images.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, images / f"{options.docs.stem}.png")
        docs.insert(1, f"![Accuracy by condition, size, location and signal](images/{options.docs.stem}.png)")
        text = options.docs.read_text(encoding="utf-8") if options.docs.is_file() else "# Accuracy\n"
        options.docs.write_text(fill_section(text, "benchmark", "\n\n".join(docs)), encoding="utf-8")
    return f"{headline}\n\n{own}"


def _intro(plan: Plan, methods: Sequence[Method], scores: pd.DataFrame, options: argparse.Namespace) -> str:
    """Which movies, and how long each method took."""
    import migradetect

    n = scores.loc[(scores["set"] == "full") & (scores["movie_id"] != "all"), "movie_id"].nunique()
    times = []
    for method in methods:
        known = [
            (seconds, spec)
            for spec, of_movie in plan.items()
            if method in of_movie and (seconds := seconds_of(folders(options.out, method, spec)[0])) is not None
        ]
        if known:
            median = pd.Series([seconds for seconds, _ in known]).median()
            times.append(f"{method.name} {median:.0f} s")
    text = (
        f"migradetect {migradetect.__version__} on {n} simulated movies, seeds from {options.first_seed}; "
        f"median time per movie on one core: {', '.join(times)}."
    )
    if options.parameters:
        text += " Parameters: " + ", ".join(f"`{key}={value}`" for key, value in options.parameters) + "."
    return text + " The best of a row is bold; `-` is not defined or not reported."


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, analyse, score, write; 0 if all went well, 1 if some movie failed."""
    options = parse(arguments)
    plan, methods, levers, remarks = plan_of(options)
    for remark in remarks:
        print(remark, file=sys.stderr)
    start = time.perf_counter()
    outcomes = [] if options.score_only else run_all(plan, options)
    scores, tallies = score_all(plan, methods, levers, options.out)
    scores.to_csv(options.out / "scores.csv", index=False)
    print(write_all(scores, tallies, plan, methods, levers, options))
    failures = [o for o in outcomes if o.error]
    failure_file = options.out / "failures.csv"
    failure_file.unlink(missing_ok=True)
    if failures:
        pd.DataFrame(failures).to_csv(failure_file, index=False)
    n_run = sum(o.seconds is not None for o in outcomes)
    minutes = (time.perf_counter() - start) / 60
    print(f"{n_run} analyses run, {len(failures)} failed, {minutes:.1f} min -> {options.out}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
