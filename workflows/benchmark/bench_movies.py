"""Movies and methods of the benchmark: simulate, analyse, write, and never do again what is there.

Everything lies below one folder::

    truth/<movie_id>/                 tables and labels of the simulation
    results/<method>/<movie_id>/      tables and labels of the project, a peer or an ablation
    tallies/<method>/<movie_id>.npz   what was counted when these were scored

Each carries a key made of the condition, the seed, the parameters and the source code that it depends on. What has the
right key and is complete is not made again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
from bench_scores import load_tally, save_tally, tally_movie

import migradetect
from migradetect.errors import MigradetectError
from migradetect.io import is_complete, load_results, write_results
from migradetect.movie import Movie
from migradetect.params import Params, load_params
from migradetect.results import Results
from migradetect.synthetic import simulate, simulation_params

__all__ = ["ABLATIONS", "PROJECT", "Method", "MovieSpec", "Outcome", "ablations", "folders", "run_movie"]

#: Name of the project among the methods.
PROJECT = "migradetect"
#: Levers that parameters switch off: name -> what is set. ``channels`` is the one that the analysis is given.
ABLATIONS: dict[str, dict[str, Any]] = {
    "no averaging of frames": {"preprocess.average_frames": 0},
    "no registration": {"registration.enabled": False},
    "judge: rules": {"judge.method": "rules"},
    "no second look": {"judge.second_look": False},
    "bodies parted by rules": {"cells.method": "rules"},
    "no linking memory": {"linking.memory_frames": 0},
    "parent: rules": {"assign.method": "rules"},
    "TSPAN4 only": {"channels": "tspan4"},
    "WGA only": {"channels": "wga"},
}

_HERE = Path(__file__).parent
_LIBRARY = Path(migradetect.__file__).parent
#: Parts of the library that change no result.
_NO_RESULT = {"evaluate", "cli", "batch", "synthetic", "plots.py", "report.py", "__pycache__"}


@dataclass(frozen=True)
class MovieSpec:
    """One simulated movie.

    Parameters
    ----------
    condition : str
        Condition of the simulator.
    seed : int
        Seed.
    overrides : tuple of (str, value)
        Parameters of the simulator that are set, such as a smaller size.
    tag : str
        Distinguishes movies of the same condition and seed.
    """

    condition: str
    seed: int
    overrides: tuple[tuple[str, Any], ...] = ()
    tag: str = ""

    @property
    def movie_id(self) -> str:
        return f"{self.condition}_{self.seed:03d}" + (f"_{self.tag}" if self.tag else "")

    def key(self) -> str:
        """Changes with every parameter of the simulation and with the simulator."""
        drawn = asdict(simulation_params(self.condition, self.seed, **dict(self.overrides)))
        return _digest(self.condition, self.seed, sorted(drawn.items()), _source(_LIBRARY / "synthetic"))

    def simulate(self) -> Any:
        """The movie with its truth."""
        return simulate(self.condition, self.seed, movie_id=self.movie_id, **dict(self.overrides))


@dataclass(frozen=True)
class Method:
    """The project with some parameters, or a peer.

    Parameters
    ----------
    name : str
        As it is shown.
    kind : {"project", "peer"}
        Which of the two.
    settings : tuple of (str, value)
        Parameters of the project; ``channels`` restricts the movie to one channel.
    """

    name: str
    kind: Literal["project", "peer"] = "project"
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def folder(self) -> str:
        return "".join(c if c.isalnum() else "_" for c in self.name)

    def params(self, condition: str) -> Params:
        """Parameters of the project; single images are analysed as its manual tells."""
        settings = {name: value for name, value in self.settings if name != "channels"}
        preset = "fixed" if condition == "fixed_frame" else "default"
        return load_params(preset, environ={}, overrides=settings)

    def key(self, spec: MovieSpec, truth_key: str) -> str:
        """Changes with whatever the result depends on."""
        if self.kind == "peer":
            files = (_HERE / name for name in ("peers.py", "peer_tables.py", "nellie_peer.py"))
            return _digest(truth_key, self.name, *(_source(path) for path in files))
        params = self.params(spec.condition).model_dump(mode="json")
        return _digest(truth_key, params, dict(self.settings).get("channels"), _source(_LIBRARY))

    def applies(self, spec: MovieSpec) -> bool:
        """Whether the movie has what the method needs: one channel only means nothing where there is but one."""
        only = dict(self.settings).get("channels")
        if only is None:
            return True
        roles = simulation_params(spec.condition, spec.seed, **dict(spec.overrides)).roles
        return len(roles) > 1 and only in roles

    def analyse(self, movie: Movie, spec: MovieSpec) -> Results:
        """Results of the method."""
        if self.kind == "peer":
            from peers import PEERS

            return PEERS[self.name](movie)
        from migradetect.pipeline import analyze

        only = dict(self.settings).get("channels")
        if only is not None:
            data = np.stack([movie.frame(t, only) for t in range(movie.n_frames)])[:, np.newaxis]
            movie = Movie.from_array(data.astype(movie.dtype), movie.calibration, (only,), movie.movie_id)
        return analyze(movie, self.params(spec.condition))


@dataclass(frozen=True)
class Outcome:
    """What happened to one method on one movie: seconds if it was analysed now, None if it was there, or the error."""

    method: str
    movie_id: str
    seconds: float | None = None
    error: str | None = None


def ablations() -> tuple[list[Method], list[str]]:
    """Levers that this version of the project has, and a line for each that it lacks."""
    methods, missing = [], []
    for name, settings in ABLATIONS.items():
        method = Method(name, "project", tuple(settings.items()))
        try:
            method.params("typical")
        except MigradetectError as error:
            missing.append(f"ablation '{name}' is left out: {error}")
        else:
            methods.append(method)
    return methods, missing


def folders(out: Path, method: Method, spec: MovieSpec) -> tuple[Path, Path, Path]:
    """Results, truth and tally of a movie."""
    return (
        out / "results" / method.folder / spec.movie_id,
        out / "truth" / spec.movie_id,
        out / "tallies" / method.folder / f"{spec.movie_id}.npz",
    )


def run_movie(spec: MovieSpec, methods: Sequence[Method], out: Path, force: bool = False) -> list[Outcome]:
    """Simulate one movie, run and score every method that is not there yet.

    Parameters
    ----------
    spec : MovieSpec
        Which movie.
    methods : sequence of Method
        What to run on it.
    out : Path
        Folder of the benchmark.
    force : bool
        Run again what is there.

    Returns
    -------
    list of Outcome
        One per method. A method that fails is reported and does not stop the others.
    """
    _single_threaded()
    truth_folder = out / "truth" / spec.movie_id
    truth_key = spec.key()
    simulation = None
    if force or not _is_fresh(truth_folder, truth_key):
        simulation = spec.simulate()
        _write(simulation.truth, truth_folder, truth_key, None)
    outcomes = []
    for method in methods:
        folder, _, tally_file = folders(out, method, spec)
        key = method.key(spec, truth_key)
        seconds = None
        try:
            if force or not _is_fresh(folder, key):
                if simulation is None:
                    simulation = spec.simulate()
                movie = simulation.movie()
                start = time.perf_counter()
                results = method.analyse(movie, spec)
                seconds = time.perf_counter() - start
                _write(results, folder, key, seconds)
            score_key = _digest(key, _source(_LIBRARY / "evaluate"), _source(_HERE / "bench_scores.py"))
            if seconds is not None or load_tally(tally_file, score_key) is None:
                truth = load_results(truth_folder)
                pixel_um = simulation_params(spec.condition, spec.seed, **dict(spec.overrides)).pixel_size_um
                save_tally(tally_movie(load_results(folder), truth, pixel_um), tally_file, score_key)
        except Exception as error:  # noqa: BLE001 (a benchmark of hours must not end at one movie; it is reported)
            outcomes.append(Outcome(method.name, spec.movie_id, error=f"{type(error).__name__}: {error}"))
        else:
            outcomes.append(Outcome(method.name, spec.movie_id, seconds))
    return outcomes


def _single_threaded() -> None:
    """One core per worker: several workers share a machine."""
    import cv2

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)


def _write(results: Results, folder: Path, key: str, seconds: float | None) -> None:
    results.provenance["benchmark"] = {"key": key, "seconds": seconds}
    write_results(results, folder, "parquet")


def _is_fresh(folder: Path, key: str) -> bool:
    if not is_complete(folder):
        return False
    try:
        found = json.loads((folder / "movie.json").read_text(encoding="utf-8"))
        return bool(found["benchmark"]["key"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def seconds_of(folder: Path) -> float | None:
    """Seconds that the stored results took; None where that is not known."""
    try:
        found = json.loads((folder / "movie.json").read_text(encoding="utf-8"))
        return None if found["benchmark"]["seconds"] is None else float(found["benchmark"]["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(*parts: Any) -> str:
    return blake2b(repr(parts).encode(), digest_size=12).hexdigest()


@cache
def _source(path: Path) -> str:
    """Digest of a source file, or of all that a folder holds and that can change a result."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in (".py", ".npz", ".toml"))
    if path == _LIBRARY:
        files = [p for p in files if not _NO_RESULT & set(p.relative_to(path).parts)]
    return _digest([(p.name, blake2b(p.read_bytes(), digest_size=12).hexdigest()) for p in files])
