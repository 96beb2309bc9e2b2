"""Libraries that are installed on demand."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from types import ModuleType

from migradetect.errors import ReadError

__all__ = ["import_quietly", "require"]


def import_quietly(module: str) -> ModuleType:
    """Import a foreign library; what it deprecates at import is not this user's affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


def require(path: Path, module: str, extra: str) -> ModuleType:
    """Import an optional library.

    Parameters
    ----------
    path : Path
        Movie that needs it, for the message.
    module : str
        Name of the library.
    extra : str
        Extra of this package that installs it.

    Raises
    ------
    ReadError
        With the command that installs it.
    """
    try:
        return import_quietly(module)
    except ImportError as error:
        raise ReadError(
            f'{path}: expected the reader {module}, got none; install it with: pip install "migradetect[{extra}]"'
        ) from error
