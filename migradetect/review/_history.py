"""From the lines of a log to the corrections that hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["History"]


@dataclass
class History:
    """Corrections that hold, and those that were taken back and can be made again; lines of the log.

    Parameters
    ----------
    active : list of dict
        In the order in which they were made.
    undone : list of dict
        The last one is the next to be made again.
    """

    active: list[dict[str, Any]] = field(default_factory=list)
    undone: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, lines: Iterable[dict[str, Any]]) -> tuple[History, list[str]]:
        """Read a log; the second value names lines that make no sense."""
        history, notes = cls(), []
        for line in lines:
            kind = line.get("kind", "do")
            target = line.get("target")
            if kind == "do":
                history.active.append(line)
                history.undone.clear()
            elif not history.move(kind, str(target)):
                notes.append(f"line {line['id']}: {kind} of {target}, which is not there to {kind}")
        return history, notes

    def move(self, kind: str, target: str) -> bool:
        """Take a correction back, or make it again; False where it is not there."""
        source, sink = (self.active, self.undone) if kind == "undo" else (self.undone, self.active)
        for k in reversed(range(len(source))):
            if source[k]["id"] == target:
                sink.append(source.pop(k))
                return True
        return False
