"""The command line: ``migradetect``."""

from migradetect.cli._main import main

__all__ = ["main"]
