"""What is sent to a worker and what comes back; plain data that pickles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from migradetect.io import MovieEntry
    from migradetect.movie import Movie
    from migradetect.params import Params
    from migradetect.results import Results

__all__ = ["AnalyzeFunction", "Event", "Job", "Outcome", "Status", "TableFormat"]

Status = Literal["done", "failed", "skipped"]
TableFormat = Literal["parquet", "csv", "both"]


class AnalyzeFunction(Protocol):
    """Signature of :func:`migradetect.analyze`; an importable function, so that it can be sent to a worker."""

    def __call__(
        self,
        movie: Movie,
        params: Params,
        *,
        progress: Callable[[str, int, int], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Results:
        """Analyse one movie."""


@dataclass(frozen=True, slots=True)
class Job:
    """One movie to analyse.

    Parameters
    ----------
    entry : MovieEntry
        Movie as found.
    folder : Path
        Where its results go.
    params : Params
        Parameters of the run.
    force : bool
        Analyse again even if complete results are there.
    table_format : str
        ``"parquet"``, ``"csv"`` or ``"both"``.
    analyze : AnalyzeFunction or None
        What analyses the movie; None for the pipeline.
    threads : int
        Threads that share the frames of this movie; the results do not depend on it.
    """

    entry: MovieEntry
    folder: Path
    params: Params
    force: bool = False
    table_format: TableFormat = "both"
    analyze: AnalyzeFunction | None = None
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a movie ended.

    Parameters
    ----------
    movie_id : str
        Movie.
    status : str
        ``"done"``, ``"failed"``, or ``"skipped"`` where the run was interrupted first.
    error : str or None
        One line; None where done.
    traceback : str or None
        For the log file, where the error was not foreseen.
    row : dict
        Row of the movies table, without status and error.
    resumed : bool
        Complete results of an earlier run were kept.
    seconds : float
        Wall time.
    input_hash : str or None
        Hash of the input files.
    warnings : tuple of str
        What the user should know about a movie that is done, one line each.
    """

    movie_id: str
    status: Status
    error: str | None = None
    traceback: str | None = None
    row: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False
    seconds: float = 0.0
    input_hash: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Progress of a batch.

    Parameters
    ----------
    movie_id : str
        Movie.
    kind : str
        ``"start"``, ``"step"`` or ``"end"``.
    stage : str
        What is being done, for a step.
    done, total : int
        How much of the stage is done.
    outcome : Outcome or None
        At the end.
    """

    movie_id: str
    kind: Literal["start", "step", "end"]
    stage: str = ""
    done: int = 0
    total: int = 0
    outcome: Outcome | None = None
