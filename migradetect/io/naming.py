"""Natural order, safe movie names, and tokens in the file names of sequences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from migradetect.errors import ReadError

__all__ = [
    "PLATE_COLUMNS",
    "NameParts",
    "guess_role",
    "natural_key",
    "parse_name",
    "safe_name",
    "stem_of",
    "unique_names",
]

_SUFFIX = re.compile(
    r"(\.ome)?\.(tiff?|zarr)$|\.ome\.(tf2|tf8|btf)$|\.companion\.ome$|\.(stk|nd2|czi|lif)$", re.IGNORECASE
)
_DIGITS = re.compile(r"([0-9]+)")
#: Longer names break folder limits of some file systems once table names are appended.
_MAX_NAME = 100


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which t2 comes before t10; ties between t1 and t01 are broken by the text."""
    parts = _DIGITS.split(text.casefold())
    key = tuple((1, int(part), "") if part.isdecimal() and part.isascii() else (2, 0, part) for part in parts if part)
    return (*key, (0, 0, text))


def stem_of(path: Path) -> str:
    """File name without ``.tif``, ``.ome.tif`` or the like."""
    return _SUFFIX.sub("", path.name)


def safe_name(text: str) -> str:
    """Name that every file system takes: letters, digits, ``_ . -``, at most 100 characters, never hidden."""
    name = re.sub(r"[^\w.\-]+", "_", unicodedata.normalize("NFC", text)).strip("._- ")
    if re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", name.split(".")[0]):
        name = f"_{name}"
    if len(name) > _MAX_NAME:
        # a cut name alone could equal another one
        name = f"{name[: _MAX_NAME - 9]}_{blake2b(text.encode(), digest_size=4).hexdigest()}"
    return name or "movie"


def unique_names(names: Iterable[str]) -> list[str]:
    """The same names, later repetitions numbered; case is ignored, as on the file systems that ignore it."""
    seen: set[str] = set()
    unique = []
    for name in names:
        candidate, count = name, 1
        while candidate.casefold() in seen:
            count += 1
            candidate = f"{name}_{count}"
        seen.add(candidate.casefold())
        unique.append(candidate)
    return unique


def guess_role(name: str) -> str | None:
    """Role that a channel name tells: ``"tspan4"``, ``"wga"`` or None (nothing, or both, recognised)."""
    text = name.casefold()
    found = [
        role
        for role, pattern in (("tspan4", r"tspan[-_ ]?4|tetraspanin|tsp4"), ("wga", r"wga|wheat[-_ ]?germ"))
        if re.search(pattern, text)
    ]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class NameParts:
    """Tokens of one file name.

    Parameters
    ----------
    group : str
        What stays when the tokens for time, channel and z are taken out: files with the same group belong together.
    t, z : int or None
        Frame and slice number.
    c : str or None
        Channel, such as ``"1"`` or ``"wga"``.
    channel_name : str or None
        Name of the channel that goes with `c`.
    columns : tuple of (str, str or None)
        Further named groups of the pattern: columns of every result table.
    """

    group: str
    t: int | None = None
    c: str | None = None
    z: int | None = None
    channel_name: str | None = None
    columns: tuple[tuple[str, str | None], ...] = ()


#: Named groups that become columns also where a pattern counts nothing.
PLATE_COLUMNS = ("plate", "well", "condition", "replicate", "time_offset_min")
#: Names that some microscopes write as a whole. Named groups other than t, c, z stay in the name of the movie.
_WHOLE = tuple(
    re.compile(pattern)
    for pattern in (
        r"img_(?P<t>\d{9})_(?P<c>.+)_(?P<z>\d{3})",  # Micro-Manager 1.4
        r"(?P<well>r\d+c\d+)(?P<site>f\d+)p(?P<z>\d+)-ch(?P<c>\d+)sk(?P<t>\d+).*",  # Operetta
        r"(?P<well>[A-P]\d{1,2}(?:_\d+)?)_\d+_\d+_(?P<c>[A-Za-z][\w \-]*?)_(?P<t>\d{3})",  # Cytation
        # Yokogawa
        r"(?P<plate>.+)_(?P<well>[A-P]\d{2})_T(?P<t>\d{4})(?P<site>F\d{3})L\d\dA\d\dZ(?P<z>\d\d)C(?P<c>\d\d)",
    )
)
#: ``C03`` is a well of a plate, ``C1-`` a channel that ImageJ split off.
_WELL = re.compile(r"C(0[1-9]|1[0-9]|2[0-4])")
_AXES = ("t", "c", "z")
_KEYS = {
    **dict.fromkeys(("t", "tp", "time", "timepoint", "frame"), "t"),
    **dict.fromkeys(("c", "ch", "channel", "w", "wave", "wavelength"), "c"),
    **dict.fromkeys(("z", "slice", "plane"), "z"),
    **dict.fromkeys(("s", "p", "xy", "pos", "position", "site", "series", "scene", "field", "m", "f"), "other"),
}
_LONG = "timepoint|time|frame|tp|channel|wavelength|wave|ch|slice|plane|position|pos|site|series|scene|field|xy"
_SHORT = "t|c|w|z|s|p|m|f"
#: A token is a chunk of the name between separators; ``t-1`` and ``time_001`` keep their number apart.
_TOKEN = re.compile(
    rf"(?<![^_\-. ])(?:(?P<key>{_LONG}|[tcwzsp])(?:[-=]|(?<=[a-z]{{3}})[_ ])?(?P<number>[0-9]+)"
    rf"(?:(?<=[0-9])(?P<name>(?<=w[0-9])[a-z][\w]*?(?:-[a-z0-9]+)*|(?<=w[0-9][0-9])[a-z][\w]*?(?:-[a-z0-9]+)*))?"
    rf"|(?P<run>(?:(?:{_LONG}|{_SHORT})[0-9]+){{2,}}))(?=$|[_\-. ])",
    re.IGNORECASE,
)
_PAIR = re.compile(rf"({_LONG}|{_SHORT})([0-9]+)", re.IGNORECASE)
#: Stains and fluorophores that name a channel in a file name when no number does.
_STAINS = re.compile(
    r"(?<![^_\-. ])(?P<name>tspan-?4(?:-?(?:e?gfp|m?cherry|rfp))?|tetraspanin-?4?|wga(?:-?[a-z]*\d*)?|e?gfp|m?cherry"
    r"|rfp|yfp|cfp|dapi|hoechst|fitc|tritc|cy3|cy5|texas-?red|brightfield|bf|dic|phase)(?=$|[_\-. ])",
    re.IGNORECASE,
)


def parse_name(stem: str, pattern: str | None = None) -> NameParts:
    """Tokens for time, channel and z in a file name.

    Parameters
    ----------
    stem : str
        File name without suffix.
    pattern : str, optional
        Regular expression with named groups that replaces the built-in tokens; a name that it does not match in
        full has no tokens.

    Returns
    -------
    NameParts

    Raises
    ------
    ReadError
        If `pattern` is not a regular expression, or its t or z is not a number.
    """
    if pattern is not None:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ReadError(
                f"--pattern: expected a regular expression, got '{pattern}' ({error}); see --help"
            ) from error
        if not set(compiled.groupindex) & {"t", "c", "z", *PLATE_COLUMNS}:
            raise ReadError(
                f"--pattern: expected a named group t, c or z, or {', '.join(PLATE_COLUMNS)}, got '{pattern}'; "
                r"for example --pattern '(?P<pos>.+)_(?P<c>\d)_(?P<t>\d+)'"
            )
        found = compiled.fullmatch(stem)
        if found is None:
            return NameParts(stem, columns=tuple((name, None) for name in compiled.groupindex if name not in _AXES))
        return _from_match(stem, found)
    for whole in _WHOLE:
        found = whole.fullmatch(stem)
        if found:
            return _from_match(stem, found)
    return _from_tokens(stem)


def _from_match(stem: str, found: re.Match[str]) -> NameParts:
    values = found.groupdict()
    numbers: dict[str, int | None] = {}
    for axis in ("t", "z"):
        text = values.get(axis)
        if text is not None and not (text.isascii() and text.isdigit()):
            raise ReadError(f"--pattern: expected a number for '{axis}' in '{stem}', got '{text}'; correct the pattern")
        numbers[axis] = None if text is None else int(text)
    channel = values.get("c")
    others = [text for axis, text in values.items() if axis not in ("t", "c", "z") and text]
    spans = [found.span(axis) for axis in ("t", "c", "z") if values.get(axis) is not None]
    return NameParts(
        # named groups say what identifies the movie; without any it is what the tokens leave over
        group="_".join(others) or _without(stem, spans),
        t=numbers["t"],
        z=numbers["z"],
        c=channel,
        channel_name=channel if channel and not channel.isdigit() else None,
        columns=tuple((name, text) for name, text in values.items() if name not in _AXES),
    )


def _from_tokens(stem: str) -> NameParts:
    values: dict[str, str] = {}
    name: str | None = None
    spans: list[tuple[int, int]] = []

    def take(key: str, number: str, span: tuple[int, int]) -> bool:
        axis = _KEYS[key.casefold()]
        if axis == "other" or axis in values:  # a second t is part of the movie's name
            return False
        values[axis] = number
        spans.append(span)
        return True

    for token in _TOKEN.finditer(stem):
        if token["run"]:
            for pair in _PAIR.finditer(token["run"]):
                start = token.start("run")
                take(pair[1], pair[2], (start + pair.start(), start + pair.end()))
        elif _WELL.fullmatch(token[0]):
            continue
        elif take(token["key"], token["number"], token.span()) and token["name"]:
            name = token["name"]
    if "c" not in values:
        stain = _STAINS.search(stem)
        if stain:
            values["c"] = name = stain["name"]
            spans.append(stain.span())
    number_t, number_z = values.get("t"), values.get("z")
    return NameParts(
        group=_without(stem, spans),
        t=None if number_t is None else int(number_t),
        c=values.get("c"),
        z=None if number_z is None else int(number_z),
        channel_name=name,
    )


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        # the mark keeps a_t1_b apart from a_b_t1
        text = f"{text[:start]}*{text[end:]}"
    return text
