"""The command that does what the panel does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migradetect.io import InputOptions
from migradetect.params import Params, load_params, parameters

__all__ = ["changed_values", "command_line", "input_options"]


def changed_values(params: Params, preset: str = "default") -> dict[str, Any]:
    """Parameters that differ from those of a preset, as ``"section.key"`` to value."""
    usual = load_params(preset, environ={})
    out = {}
    for key in parameters():
        section, _, name = key.partition(".")
        value = getattr(getattr(params, section), name)
        if value != getattr(getattr(usual, section), name):
            out[key] = value
    return out


def command_line(paths: Sequence[str | Path], out: str | Path, params: Params, preset: str = "default") -> str:
    """Command that analyses the same movies with the same parameters, ready to paste.

    Parameters
    ----------
    paths : sequence of path
        Movies, or folders with movies.
    out : path
        Output folder.
    params : Params
        All parameters.
    preset : str
        Preset that they started from.

    Returns
    -------
    str
    """
    words = ["migradetect", "run", *map(str, paths), "--out", str(out)]
    if preset != "default":
        words += ["--preset", preset]
    for key, value in changed_values(params, preset).items():
        words += ["--set", f"{key}={_text(value)}"]
    return shlex.join(words)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value)


def input_options(params: Params) -> InputOptions:
    """How files are read, as the command line would with the same parameters."""
    given = {name: value for name, value in dict(params.input).items() if name in InputOptions.__dataclass_fields__}
    return InputOptions(**given, pixel_size_source="config", frame_interval_source="config")
