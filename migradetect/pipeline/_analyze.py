"""The stages composed for one movie."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from migradetect.errors import CancelledError
from migradetect.memory import give_back_memory
from migradetect.movie import Movie
from migradetect.params import Params
from migradetect.pipeline._assemble import (
    Found,
    blurred_frames,
    describe,
    describe_model,
    draw_migrasomes,
    make_tables,
    nothing_to_see,
)
from migradetect.pipeline._channels import aligned_movie, channel_shifts
from migradetect.pipeline._collect import collect_sites
from migradetect.pipeline._fit_model import fit_movie_model
from migradetect.pipeline._part_back import part_backwards
from migradetect.pipeline._pass1 import run_pass1
from migradetect.pipeline._pass2 import run_pass2, without_rejected
from migradetect.pipeline._pass3 import accepted_sites, run_pass3
from migradetect.pipeline._progress import Cancel, Progress
from migradetect.pipeline._second_look import look_again
from migradetect.pipeline._settle import settle
from migradetect.pipeline._usable import Timeline, assess, usable_movie
from migradetect.results import Results

__all__ = ["analyze"]


def analyze(
    movie: Movie,
    params: Params | None = None,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    threads: int = 1,
) -> Results:
    """Find and follow cells, fibers and migrasomes in one movie.

    Parameters
    ----------
    movie : Movie
        Read frame by frame, four times; never changed. Frames that can't be used are flagged and take no part.
    params : Params, optional
        Default parameters if not given.
    progress : callable, optional
        Called with (stage, frames done, frames in all).
    cancel : callable, optional
        Asked after every frame; the analysis stops when it returns True.
    threads : int
        Threads that share the frames; the results do not depend on it. Three or four are well used, more are not: some
        steps need the frame before.

    Returns
    -------
    Results
        All tables of :mod:`migradetect.tables` but ``movies``, and the label stacks cells, fibers and migrasomes.

    Raises
    ------
    CancelledError
        If `cancel` returned True.
    """
    params = params or Params()

    def stop_if_asked(stage: str, done: int) -> None:
        if cancel is not None and cancel():
            raise CancelledError(f"{movie.movie_id}: stopped in {stage} at frame {done} of {movie.n_frames}")

    def step(stage: str) -> Callable[[int], None]:
        def report(done: int) -> None:
            stop_if_asked(stage, done)
            if progress is not None:
                progress(stage, done, movie.n_frames)

        return report

    clock = {}
    start = time.perf_counter()
    step("calibrate")(0)
    quality = assess(movie, params, step("check"), threads)
    timeline = Timeline(quality.numbers, movie.n_frames)
    if not timeline.numbers.size:
        return nothing_to_see(movie, params, quality)
    seen = usable_movie(movie, quality)
    shifts = channel_shifts(seen, params.registration)
    seen = aligned_movie(seen, shifts)
    model = fit_movie_model(seen, params)
    first = run_pass1(seen, params, model, step("detect"), threads=threads)
    give_back_memory()
    part_backwards(seen, params, model, first, lambda: stop_if_asked("detect", seen.n_frames))
    clock["detect_s"] = time.perf_counter() - start
    second = run_pass2(seen, params, first)
    give_back_memory()
    second = without_rejected(look_again(seen, params, model, first, second, step("look"), threads))
    give_back_memory()
    clock["link_s"] = time.perf_counter() - start - clock["detect_s"]
    sites = accepted_sites(second)
    traces, cell_planes, fiber_planes = run_pass3(seen, params, model, first, second, sites, step("measure"), threads)
    minutes = timeline.numbers.astype(np.float64) * movie.calibration.frame_interval_min
    settled = settle(seen, params, second, traces, blurred_frames(first))
    tracks, migrasomes = collect_sites(seen, params, settled, (cell_planes, fiber_planes), minutes)
    found = Found(first, settled.second, tracks, migrasomes, settled.traces)
    results = Results(
        movie.movie_id,
        make_tables(movie, found, quality, timeline),
        {},
        describe(movie, params, quality, shifts) | describe_model(model),
    )
    results.labels.update(
        cells=timeline.spread(cell_planes),
        fibers=timeline.spread(fiber_planes),
        migrasomes=draw_migrasomes(movie, results.migrasomes),
    )
    clock["total_s"] = time.perf_counter() - start
    # last, because the stages take time as counted from the first frame
    results.annotate(movie.provenance.get("annotations", {}))
    results.provenance["timings"] = {name: round(value, 3) for name, value in clock.items()}
    return results
