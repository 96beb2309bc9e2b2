"""A batch divided among computers that know nothing of each other: each makes the same division and takes its part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migradetect.errors import ParamsError

if TYPE_CHECKING:
    from migradetect.io import MovieEntry

__all__ = ["SHARDS", "Division", "divide", "parse_shard", "shard_folder", "size_bytes"]

#: Folder of the shards, below the output folder.
SHARDS = "shards"


@dataclass(frozen=True, slots=True)
class Division:
    """One shard of a batch.

    Parameters
    ----------
    index, count : int
        Shard `index` of `count`, from 1.
    entries : tuple of MovieEntry
        Its movies, in natural order; may be none.
    places : tuple of int
        Place of each among all movies of the batch.
    digest : str
        Of names and sizes of all movies of the batch: equal where two shards divide the same movies.
    n_movies : int
        Movies of the batch.
    """

    index: int
    count: int
    entries: tuple[MovieEntry, ...]
    places: tuple[int, ...]
    digest: str
    n_movies: int

    @property
    def name(self) -> str:
        """As in ``--shard``."""
        return f"{self.index}/{self.count}"

    def record(self) -> dict[str, Any]:
        """What ``merge`` needs to know."""
        places = {entry.movie_id: place for entry, place in zip(self.entries, self.places, strict=True)}
        return {
            "index": self.index,
            "count": self.count,
            "movies": self.n_movies,
            "movies_digest": self.digest,
            "places": places,
        }


def parse_shard(text: str) -> tuple[int, int]:
    """Index and count from ``"i/n"``, with i from 1 to n.

    Raises
    ------
    ParamsError
        If it is something else.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    index, count = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise ParamsError(f"--shard: expected i/n with i from 1 to n, got '{text}'; for example --shard 3/40")
    return index, count


def shard_folder(out: Path, index: int, count: int) -> Path:
    """Where a shard is written."""
    return out / SHARDS / f"{index}-of-{count}"


def size_bytes(entry: MovieEntry) -> int:
    """Size of the files of a movie; 0 where there are none."""
    total = 0
    for path in entry.files:
        try:
            total += path.stat().st_size
        except OSError:
            continue  # reading it will say what is wrong
    return total


def _sizes(entries: Sequence[MovieEntry]) -> list[int]:
    """Bytes of each movie; a file with several positions is shared among them."""
    sharing: dict[Path, int] = {}
    for entry in entries:
        sharing[entry.path] = sharing.get(entry.path, 0) + (entry.position is not None)
    return [size_bytes(entry) // max(1, sharing[entry.path]) for entry in entries]


def divide(entries: Sequence[MovieEntry], index: int, count: int) -> Division:
    """Shard `index` of `count`: the same on every computer that sees the same files.

    The largest movie goes to the shard that has least so far, then the next (longest processing time first: never more
    than 4/3 of the best division). Sizes are those of the files.

    Parameters
    ----------
    entries : sequence of MovieEntry
        All movies of the batch, in natural order.
    index, count : int
        Which shard, from 1, and of how many.

    Returns
    -------
    Division

    References
    ----------
    Graham 1969, Bounds on multiprocessing timing anomalies, doi:10.1137/0117039
    """
    sizes = _sizes(entries)
    loads = [0] * count
    mine = []
    for place in sorted(range(len(entries)), key=lambda k: (-sizes[k], entries[k].movie_id)):
        target = min(range(count), key=lambda k: (loads[k], k))
        loads[target] += max(1, sizes[place])
        if target == index - 1:
            mine.append(place)
    mine.sort()
    digest = blake2b(digest_size=16)
    for entry, size in zip(entries, sizes, strict=True):
        digest.update(f"{entry.movie_id}\0{size}\n".encode(errors="surrogateescape"))
    return Division(index, count, tuple(entries[k] for k in mine), tuple(mine), digest.hexdigest(), len(entries))
