"""Parameters from presets, TOML files, the environment and the command line.

Precedence, highest first: command line > ``MIGRADETECT_*`` environment > TOML file > preset > default. Every value
remembers where it was given, so that a bad one is reported with its place.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from migradetect.errors import ParamsError, nearest_name
from migradetect.params._describe import allows, default_of, expected, is_tuple, parameters
from migradetect.params._stages import Params

__all__ = ["ENV_PREFIX", "load_params", "parse_assignment", "preset_names"]

#: Environment variables that set a parameter: ``MIGRADETECT_SPOTS__MIN_SNR=5``.
ENV_PREFIX = "MIGRADETECT_"
#: Texts that mean "not given" for a parameter that may be left open.
_NONE_WORDS = frozenset({"", "none", "auto"})


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was given, and where."""

    value: Any
    place: str


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with the package, ``default`` first."""
    folder = resources.files("migradetect") / "presets"
    names = sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    return tuple(sorted(names, key=lambda name: name != "default"))


def load_params(
    preset: str | None = None,
    config: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Params:
    """Resolve the parameters of a run.

    Parameters
    ----------
    preset : str, optional
        One of :func:`preset_names`. Without it, the ``MIGRADETECT_PRESET`` variable, then the key ``preset`` of the
        TOML file, then ``"default"``.
    config : path, optional
        TOML file with one section per stage.
    environ : mapping, optional
        Environment variables; default: those of the process.
    overrides : mapping of str to any, optional
        ``"section.key"`` to value, as given on the command line. Texts are read as the type of the parameter; None
        means that it was not given.

    Returns
    -------
    Params

    Raises
    ------
    ParamsError
        One line that names the place, the key, what was expected and what was given. Unknown keys name the nearest
        known one.

    Examples
    --------
    >>> load_params("strict", overrides={"spots.min_snr": 6}).spots.min_snr
    6.0
    """
    environ = os.environ if environ is None else environ
    from_file: dict[str, _Given] = {}
    if config is not None:
        from_file = _read_toml(Path(config).read_bytes, str(config))
    named = from_file.pop("preset", None)
    from_environ = _read_environ(environ)
    given = _read_preset(preset or environ.get(f"{ENV_PREFIX}PRESET") or (named.value if named else "default"))
    given |= from_file | from_environ
    for key, value in (overrides or {}).items():
        if value is not None:
            _check_key(key, "command line")
            given[key] = _Given(value, "command line")
    return _build(given)


def parse_assignment(text: str) -> tuple[str, str]:
    """Split ``section.key=value`` as given to ``--set``.

    Returns
    -------
    key, value : str
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ParamsError(f"--set: expected section.key=value, got '{text}'; for example --set spots.min_snr=5")
    return key.strip(), value.strip()


def _read_preset(name: Any) -> dict[str, _Given]:
    if name not in preset_names():
        near = nearest_name(str(name), preset_names())
        raise ParamsError(f"preset: expected one of {', '.join(preset_names())}, got '{name}'{near}")
    item = resources.files("migradetect") / "presets" / f"{name}.toml"
    return _read_toml(item.read_bytes, f"preset {name}")


def _read_toml(read: Callable[[], bytes], place: str) -> dict[str, _Given]:
    """Values of a TOML document by dotted key, each checked to be known."""
    try:
        document = tomllib.loads(read().decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ParamsError(f"{place}: can't be read ({reason}); `migradetect init` writes one") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{place}: expected UTF-8 text, got other bytes; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ParamsError(f"{place}: expected TOML, but {_lower_first(str(error))}; correct that line") from error
    given: dict[str, _Given] = {}
    for key, value in _flatten(document, place):
        if key != "preset":
            _check_key(key, place)
        given[key] = _Given(value, place)
    return given


def _flatten(document: Mapping[str, Any], place: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            if not prefix and key not in Params.model_fields:
                near = nearest_name(key, Params.model_fields)
                raise ParamsError(f"{place}: unknown section [{key}]{near}; `migradetect init` lists them all")
            yield from _flatten(value, place, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read_environ(environ: Mapping[str, str]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX) or variable.upper() == f"{ENV_PREFIX}PRESET":
            continue
        key = variable[len(ENV_PREFIX) :].lower().replace("__", ".")
        if key not in parameters():
            near = nearest_name(variable.upper(), [ENV_PREFIX + k.replace(".", "__").upper() for k in parameters()])
            raise ParamsError(f"environment: unknown variable {variable}{near}; unset or correct it")
        given[key] = _Given(environ[variable], f"environment variable {variable}")
    return given


def _check_key(key: str, place: str) -> None:
    if key in Params.model_fields:
        raise ParamsError(f"{place}: expected a section [{key}], got a value; write its keys below [{key}]")
    if key not in parameters():
        raise ParamsError(f"{place}: unknown key '{key}'{_nearest_key(key)}; `migradetect init` lists them all")


def _nearest_key(key: str) -> str:
    section, _, name = key.rpartition(".")
    if not section or section in Params.model_fields:
        # the right name in the wrong section, or in none, is the likeliest slip
        twins = [other for other in parameters() if other.rpartition(".")[2] == name]
        if twins:
            return f" (did you mean {' or '.join(map(repr, twins))}?)"
        inside = nearest_name(key, [other for other in parameters() if section and other.startswith(f"{section}.")])
        if inside:
            return inside
    return nearest_name(key, parameters())


def _build(given: Mapping[str, _Given]) -> Params:
    sections: dict[str, dict[str, Any]] = {}
    for key, item in given.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = _coerce(key, item)
    try:
        return Params.model_validate(sections)
    except ValidationError as error:
        raise _one_line(error, given) from error


def _coerce(key: str, item: _Given) -> Any:
    """Value in the form that the model takes: texts of the command line and the environment are read here."""
    field = parameters()[key]
    value = item.value
    if isinstance(value, str):
        if value.strip().lower() in _NONE_WORDS and allows(field, type(None)):
            return None
        if is_tuple(field):
            return tuple(part.strip() for part in value.split(",") if part.strip())
    # True is an int in Python, yet `min_snr = true` is a slip
    if isinstance(value, bool) and not allows(field, bool):
        raise _bad_value(key, item)
    return value


def _one_line(error: ValidationError, given: Mapping[str, _Given]) -> ParamsError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"][:2])
    if key in given:
        item = given[key]
        return _bad_value(key, item)
    # a rule that ties several values together: the model's own words say what is wrong
    places = sorted({item.place for name, item in given.items() if name.startswith(key)})
    message = str(first["msg"]).removeprefix("Value error, ")
    return ParamsError(f"{', '.join(places) or 'parameters'}: {key}: {message}")


def _bad_value(key: str, item: _Given) -> ParamsError:
    field = parameters()[key]
    default = default_of(key)
    remedy = "correct it or leave it out" if default is None else f"the default is {_shown(default)}"
    return ParamsError(f"{item.place}: {key}: expected {expected(field)}, got {_shown(item.value)}; {remedy}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
