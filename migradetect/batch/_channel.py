"""What a run and its workers on other computers tell each other, through the output folder that both must see.

A cluster's own ways of talking differ; files in a folder are what every executor has. While the folder is there the run
goes on: workers of a run that was stopped or killed find it gone, at the latest when the next run clears it up, and end
before they write.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from hashlib import blake2b
from pathlib import Path

from migradetect.batch._job import Event
from migradetect.errors import OutputError

__all__ = ["RunChannel"]

_PREFIX = ".migradetect.run-"
#: Seconds between two reports of a movie, and between two looks at all of them: network drives are not quick.
_REPORT_S, _LOOK_S = 1.0, 1.0


class RunChannel:
    """Progress of the movies towards the run, and the request to stop towards the workers.

    Parameters
    ----------
    folder : Path
        Folder of this run, below the output folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, str] = {}
        self._looked = self._reported = 0.0

    @classmethod
    def create(cls, out: Path) -> RunChannel:
        """Begin a run; call it under the lock of the output folder, for it ends the workers of earlier runs."""
        for left in out.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = out.absolute() / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir()
        except OSError as error:
            raise OutputError(
                f"{out}: expected a folder that can be written, got {error.strerror or error}; choose another --out"
            ) from error
        return cls(folder)

    def is_closed(self) -> bool:
        """Whether the run was stopped, or has gone; asked by workers."""
        return not self._folder.is_dir()

    def close(self) -> None:
        """End the run: its workers stop at their next frame."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def post(self, event: Event) -> None:
        """Tell how far a movie is; called by a worker, for one movie at a time."""
        now = time.monotonic()
        if event.kind == "step" and now - self._reported < _REPORT_S:
            return
        self._reported = now
        path = self._folder / f"{blake2b(event.movie_id.encode(), digest_size=8).hexdigest()}.json"
        text = json.dumps([event.movie_id, event.kind, event.stage, event.done, event.total])
        aside = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):  # the run has ended, or the disk is full: progress is not worth a failure
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, path)

    def poll(self) -> list[Event]:
        """What is new since the last look; called by the run."""
        if time.monotonic() - self._looked < _LOOK_S:
            return []
        self._looked = time.monotonic()
        events = []
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.glob("*.json")):
                text = path.read_text(encoding="utf-8")
                if self._seen.get(path.name) != text:
                    self._seen[path.name] = text
                    events.append(Event(*json.loads(text)))
        return events

    def __reduce__(self) -> tuple[type[RunChannel], tuple[Path]]:
        # what each side has seen stays on its side
        return RunChannel, (self._folder,)
