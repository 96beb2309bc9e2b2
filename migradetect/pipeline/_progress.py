"""How a run tells what it is at, and is asked to stop."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Cancel", "Progress", "Step"]

#: Takes the stage, the frames done and the frames in all.
Progress = Callable[[str, int, int], None]
#: Whether the user asked to stop.
Cancel = Callable[[], bool]
#: Takes the frames done; raises to stop.
Step = Callable[[int], None]
