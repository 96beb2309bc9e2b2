"""Parameters as a commented TOML file."""

from __future__ import annotations

import textwrap
from typing import Any

import tomlkit

from migradetect.params._describe import default_of, expected, sections
from migradetect.params._stages import Params

__all__ = ["to_toml"]

_WIDTH = 100


def to_toml(params: Params) -> str:
    """Parameters as a TOML file in which each value carries its help text.

    Parameters
    ----------
    params : Params
        Values to write.

    Returns
    -------
    str
        A document that :func:`load_params` reads back to the same parameters. A value that is left open (None) is
        written as a comment, because TOML has no null.
    """
    document = tomlkit.document()
    _comment(document, "migradetect parameters; `migradetect run ... --config FILE` uses them.")
    _comment(
        document,
        "Every line may be left out: the preset's value, or else the default, then holds. "
        "Lengths are in um, times in min unless the name says otherwise, thresholds in units of the noise (SNR).",
    )
    for name, model in sections():
        values = getattr(params, name)
        table = tomlkit.table()
        _comment(table, (model.__doc__ or "").strip().splitlines()[0])
        for key, field in model.model_fields.items():
            table.add(tomlkit.nl())
            default = default_of(f"{name}.{key}")
            note = f"Takes {expected(field)}" + ("." if default is None else f"; default {_plain(default)}.")
            _comment(table, field.description or "")
            _comment(table, note)
            value = getattr(values, key)
            if value is None:
                table.add(tomlkit.comment(f"{key} ="))
            else:
                table.add(key, list(value) if isinstance(value, tuple) else value)
        document.add(tomlkit.nl())
        document.add(name, table)
    return tomlkit.dumps(document).rstrip("\n") + "\n"


def _comment(container: Any, text: str) -> None:
    for line in textwrap.wrap(text, _WIDTH):
        container.add(tomlkit.comment(line))


def _plain(value: Any) -> str:
    return tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string()
