"""The command line: ``migradetect``."""

from __future__ import annotations

from migradetect.cli._stop import leave_on_signals

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    with leave_on_signals():
        # imported inside, because Ctrl-C during the imports is no reason for a traceback either
        from migradetect.cli._main import main as run

        run()
