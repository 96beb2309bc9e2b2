"""Movies of either simulator by one call, for what is trained on both."""

from __future__ import annotations

from typing import Any

from migradetect.movie import Movie
from migradetect.results import Results

#: Kinds of movie that are single images.
SINGLE = ("fixed_frame", "fixed")


def simulated(source: str, kind: str, seed: int, **overrides: Any) -> tuple[Movie, Results]:
    """Movie and truth; `source` is ``own`` for the simulator of the library, or ``second``."""
    if source == "second":
        from second_simulator import simulate as simulate_second

        return simulate_second(kind, seed, **overrides)
    from migradetect.synthetic import simulate

    simulation = simulate(kind, seed, **overrides)
    return simulation.movie(), simulation.truth
