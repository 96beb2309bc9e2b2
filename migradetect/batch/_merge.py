"""Shards put together: the result is that of one run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migradetect._version import __version__
from migradetect.batch._job import Event, Outcome
from migradetect.batch._lock import OutputLock
from migradetect.batch._log import LOG_NAME, log_file
from migradetect.batch._run import RECORD_NAMES, BatchSummary, refuse_foreign
from migradetect.batch._shards import SHARDS
from migradetect.batch._worker import IDENTITY, INTERRUPTED
from migradetect.errors import NoMoviesError, OutputError, ReadError

if TYPE_CHECKING:
    from migradetect.params import Params

__all__ = ["merge_shards"]

#: Versions that may differ between computers without a change of any number.
_NO_NUMBERS = ("platform", "python")


@dataclass(frozen=True)
class _Shard:
    folder: Path
    record: dict[str, Any]

    @property
    def about(self) -> dict[str, Any]:
        about: dict[str, Any] = self.record["shard"]
        return about

    @property
    def name(self) -> str:
        return f"{self.about['index']}/{self.about['count']}"


def merge_shards(
    out: Path | str,
    shards: Sequence[Path | str] = (),
    *,
    allow_missing: bool = False,
    progress: Callable[[Event], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> BatchSummary:
    """Put the shards of a batch together in the output folder, as if it had been one run.

    Files are linked, not copied, where the file system can do that; the shards stay as they are. Merging again changes
    nothing, and takes over what has become complete since.

    Parameters
    ----------
    out : path
        Output folder; shards are looked for below it.
    shards : sequence of path
        Further shards, or folders that hold some, such as those of another computer.
    allow_missing : bool
        Merge what is there. Movies of shards that were not run are not in the tables; those that a stopped shard did
        not reach stand there as skipped.
    progress : callable, optional
        Takes an :class:`Event` at the end of each movie.
    cancel : callable, optional
        Returns True once the user asked to stop.

    Returns
    -------
    BatchSummary

    Raises
    ------
    NoMoviesError
        If there are no shards.
    OutputError
        If a shard is missing, still at work, or was run with other parameters, another version, or on other movies
        than the rest; or if the output folder can't be written or holds something else.
    """
    from migradetect.io import recover
    from migradetect.params import Params

    out = Path(out)
    found = _find(out, shards)
    _check_same(found)
    _check_all_there(found, allow_missing)
    refuse_foreign(out)
    report, stop = progress or (lambda event: None), cancel or (lambda: False)
    out.mkdir(parents=True, exist_ok=True)
    first = found[0].record
    params = Params.model_validate(first["parameters"])
    with OutputLock(out), log_file(out / LOG_NAME):
        items = _in_order(found)
        with contextlib.suppress(OSError):
            for path in (*(out / movie_id for movie_id, _ in items), *(out / name for name in RECORD_NAMES)):
                recover(path)
        return _merge(out, params, found, items, report, stop)


def _merge(
    out: Path,
    params: Params,
    found: Sequence[_Shard],
    items: list[tuple[str, _Shard]],
    report: Callable[[Event], None],
    cancel: Callable[[], bool],
) -> BatchSummary:
    from migradetect.batch._record import BatchRecord

    first = found[0].record
    record = BatchRecord(out, params, first["table_format"], first["command"], _as_one(found))
    order = [movie_id for movie_id, _ in items]
    record.keep(order)
    record.expect({movie_id: shard.record["movies"][movie_id].get("path") for movie_id, shard in items})
    record.write()
    outcomes = []
    for movie_id, shard in items:
        outcome = _interrupted(movie_id, shard) if cancel() else _merge_movie(out, movie_id, shard)
        outcomes.append(outcome)
        # as the shard has it: merging again changes nothing
        resumed = bool(shard.record["movies"][movie_id].get("resumed"))
        record.add(replace(outcome, resumed=resumed), write=False)
        report(Event(movie_id, "end", outcome=outcome))
    is_interrupted = any(outcome.error == INTERRUPTED for outcome in outcomes)
    problem = record.finish("interrupted" if is_interrupted else "finished", _latest(found))
    return BatchSummary(tuple(outcomes), record.movies(), out, is_interrupted, problem)


def _find(out: Path, further: Sequence[Path | str]) -> list[_Shard]:
    folders = sorted((out / SHARDS).glob("*-of-*"))
    for path in map(Path, further):
        if not path.is_dir():
            raise NoMoviesError(f"{path}: expected a folder of `migradetect run --shard`, got none; check the path")
        inside = path / SHARDS if (path / SHARDS).is_dir() else path
        folders += [path] if (path / "run.json").is_file() else sorted(inside.glob("*-of-*"))
    unique = {folder.absolute(): folder for folder in folders if (folder / "run.json").is_file()}
    found = [_Shard(folder, _read(folder)) for folder in unique.values()]
    if not found:
        raise NoMoviesError(
            f"{out}: expected shards in {out / SHARDS}, got none; run `migradetect run PATH --out {out} --shard i/n` "
            "for each i first"
        )
    return sorted(found, key=lambda shard: (shard.about["count"], shard.about["index"], str(shard.folder)))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        about, movies = record["shard"], record["movies"]
        if not (isinstance(movies, dict) and {"index", "count", "movies_digest", "places"} <= set(about)):
            raise ValueError("something else")
    except OSError as error:
        raise ReadError(f"{path}: expected a file that can be read, got {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(
            f"{path}: expected the record of `migradetect run --shard`, got something else; run that shard again"
        ) from error
    return dict(record)


def _check_same(found: Sequence[_Shard]) -> None:
    """Refuse shards that are not parts of one batch, with one line that names two of them and the difference."""
    for one, other in pairwise(found):
        for what, before, after in _differences(one.record, other.record):
            raise OutputError(
                f"shards {one.name} ({one.folder}) and {other.name} ({other.folder}): expected the same {what}, got "
                f"{before} and {after}; run one of them again, or remove the one that does not belong"
            )
        if other.about["index"] == one.about["index"]:
            raise OutputError(
                f"{one.folder} and {other.folder}: expected different shards, got {one.name} twice; remove one"
            )
    version = found[0].record["migradetect"]
    if version != __version__:
        raise OutputError(
            f"{found[0].folder}: expected shards of migradetect {__version__}, as installed, got {version}; merge "
            "with that version, or run the shards again"
        )


def _differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    if one["shard"]["count"] != other["shard"]["count"]:
        yield "number of shards", one["shard"]["count"], other["shard"]["count"]
    if one["migradetect"] != other["migradetect"]:
        yield "version of migradetect", one["migradetect"], other["migradetect"]
    for key, before, after in _unequal(one["versions"], other["versions"]):
        if key not in _NO_NUMBERS:
            yield f"version of {key}", before, after
    for key, before, after in _unequal(one["parameters"], other["parameters"]):
        yield f"parameter {key}", before, after
    if one.get("table_format") != other.get("table_format"):
        yield "--format", one.get("table_format"), other.get("table_format")
    if one["shard"]["movies_digest"] != other["shard"]["movies_digest"]:
        yield (
            "movies (names and sizes)",
            f"{one['shard']['movies']} of them",
            f"{other['shard']['movies']}, which differ",
        )


def _unequal(one: Any, other: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _unequal(one.get(key), other.get(key), f"{prefix}.{key}" if prefix else key)
    elif one != other:
        yield prefix, json.dumps(one), json.dumps(other)


def _check_all_there(found: Sequence[_Shard], allow_missing: bool) -> None:
    count = found[0].about["count"]
    for shard in found:
        if OutputLock.is_held(shard.folder):
            raise OutputError(f"{shard.folder}: shard {shard.name} is still at work; merge when it has ended")
    if allow_missing:
        return
    absent = sorted(set(range(1, count + 1)) - {shard.about["index"] for shard in found})
    if absent:
        raise OutputError(
            f"expected {count} shards, got none for {_list(absent)}; run `--shard i/{count}` for these, or merge what "
            "is there with --allow-missing"
        )
    unfinished = [shard.about["index"] for shard in found if shard.record.get("status") != "finished"]
    if unfinished:
        raise OutputError(
            f"expected {count} shards that ended, got shards {_list(unfinished)} that were stopped; run them again to "
            "continue, or merge what is there with --allow-missing"
        )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:20])) + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")


def _in_order(found: Sequence[_Shard]) -> list[tuple[str, _Shard]]:
    """Movies of all shards in the order of one run."""
    placed = [
        (place, movie_id, shard)
        for shard in found
        for movie_id, place in shard.about["places"].items()
        if movie_id in shard.record["movies"]
    ]
    return [(movie_id, shard) for _, movie_id, shard in sorted(placed, key=lambda item: item[0])]


def _as_one(found: Sequence[_Shard]) -> dict[str, Any]:
    """Facts of the run, from those of the shards: merging twice gives the same."""
    names = ("host", "status", "started", "finished", "command")
    parts = [{"shard": shard.name} | {name: shard.record.get(name) for name in names} for shard in found]
    first = found[0].record
    return {
        "started": min((str(shard.record.get("started")) for shard in found), default=None),
        "host": first.get("host"),
        "process": first.get("process"),
        "versions": first["versions"],
        "shards": parts,
    }


def _latest(found: Sequence[_Shard]) -> str | None:
    ends = [shard.record["finished"] for shard in found if shard.record.get("finished")]
    return max(ends, default=None)


def _interrupted(movie_id: str, shard: _Shard) -> Outcome:
    row = {"path": shard.record["movies"][movie_id].get("path")}
    return Outcome(movie_id, "skipped", INTERRUPTED, row=row)


def _merge_movie(out: Path, movie_id: str, shard: _Shard) -> Outcome:
    """Outcome of the shard, with the results in their place."""
    item = shard.record["movies"][movie_id]
    row = dict(item.get("row") or {})
    status, error = row.pop("status", "skipped"), row.pop("error", None)
    row.pop("movie_id", None)
    row.setdefault("path", item.get("path"))
    if status != "done":
        return Outcome(movie_id, status if status == "failed" else "skipped", error or INTERRUPTED, row=row)
    try:
        is_kept = _place(shard.folder / movie_id, out / movie_id, shard)
    except (OutputError, ReadError) as problem:
        return Outcome(movie_id, "failed", str(problem), row={"path": row["path"]})
    seconds = float(item.get("seconds") or 0.0)
    return Outcome(movie_id, "done", None, None, row, is_kept, seconds, item.get("input_hash"))


def _place(source: Path, target: Path, shard: _Shard) -> bool:
    """Put results in their place; True where they were there already."""
    from migradetect.io import is_complete, publish_copy

    if not is_complete(source, verify=True):
        raise ReadError(
            f"{source}: expected complete results, got missing or damaged files; run --shard {shard.name} again, then "
            "merge"
        )
    if is_complete(target, verify=True) and _identity_of(target) == _identity_of(source):
        return True
    if (target / "edits.jsonl").exists():
        raise OutputError(
            f"{target}: holds corrections made by hand for other results; merge into another folder, or move them away"
        )
    publish_copy(source, target)
    return False


def _identity_of(folder: Path) -> dict[str, Any]:
    """What makes results the same, whenever and wherever they were made."""
    provenance = json.loads((folder / "movie.json").read_text(encoding="utf-8"))
    return {name: provenance.get(name) for name in (*IDENTITY, "path")}
