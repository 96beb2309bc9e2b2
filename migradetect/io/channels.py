"""Which channel is which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from migradetect.errors import AxesError, nearest_name
from migradetect.io.naming import guess_role
from migradetect.movie import DETECTION_ROLES, Channel

__all__ = ["assign_roles", "count_roles", "sanitize_role"]

_REMEDY = "give the roles in channel order, for example --channels tspan4,wga"


def sanitize_role(name: str) -> str:
    """Role made of a channel name: lower-case letters, digits and ``_``, because roles become column names."""
    role = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    return f"ch_{role}" if not role or role[0].isdigit() else role


def count_roles(given: Sequence[str] | None) -> int | None:
    """Number of channels that the user describes; None where that is left open."""
    if given is None or any("=" in item for item in given):
        return None
    return len(given)


def assign_roles(
    path: Path, n_channels: int, names: Sequence[str | None], given: Sequence[str] | None
) -> tuple[tuple[int, Channel], ...]:
    """Index in the file and description of every channel that is used.

    Parameters
    ----------
    path : Path
        Movie, for messages.
    n_channels : int
        Channels in the file.
    names : sequence of (str or None)
        Their names, empty where unknown.
    given : sequence of str or None
        What the user said, see :class:`~migradetect.io.options.InputOptions`.

    Returns
    -------
    tuple of (int, Channel)

    Raises
    ------
    AxesError
        If no channel can be told to be TSPAN4 or WGA, two have the same role, or what was given does not fit.
    """
    labels = [names[index] if index < len(names) else None for index in range(n_channels)]
    shown = ", ".join(f"{index} '{label}'" if label else str(index) for index, label in enumerate(labels))
    if given is not None and not any("=" in item for item in given):
        if len(given) != n_channels:
            raise AxesError(
                f"{path}: expected {n_channels} roles for the channels {shown}, got {', '.join(given) or 'none'}; "
                "give one role per channel ('-' leaves a channel out)"
            )
        roles: list[str | None] = [None if role.strip() == "-" else sanitize_role(role) for role in given]
    else:
        pairs = _by_name(path, labels, shown, given or ())
        roles = [pairs.get(index) or _own_role(label, index, pairs) for index, label in enumerate(labels)]
    used = [role for role in roles if role is not None]
    if not set(used) & set(DETECTION_ROLES):
        raise AxesError(f"{path}: expected a channel named TSPAN4 or WGA, got the channels {shown}; {_REMEDY}")
    if len(set(used)) != len(used):
        raise AxesError(
            f"{path}: expected one channel per role, got {', '.join(used)} for the channels {shown}; {_REMEDY}"
        )
    return tuple((index, Channel(labels[index] or role, role)) for index, role in enumerate(roles) if role is not None)


def _own_role(label: str | None, index: int, pairs: dict[int, str]) -> str:
    if label is None:
        return f"channel_{index}"
    guess = guess_role(label)
    # what the user names outranks what a name suggests
    return sanitize_role(label) if guess is None or guess in pairs.values() else guess


def _by_name(path: Path, labels: Sequence[str | None], shown: str, given: Sequence[str]) -> dict[int, str]:
    """Roles from items role=name and role=index."""
    pairs: dict[int, str] = {}
    for item in given:
        role, equal, target = (part.strip() for part in item.partition("="))
        if not equal or not role or not target:
            raise AxesError(
                f"{path}: expected --channels role=name or role=index in every item, got '{item}'; {_REMEDY}"
            )
        matches = [index for index, label in enumerate(labels) if label and label.casefold() == target.casefold()]
        if not matches and target.isdigit() and int(target) < len(labels):
            matches = [int(target)]
        if len(matches) != 1:
            hint = nearest_name(target, [label for label in labels if label])
            raise AxesError(
                f"{path}: expected one channel '{target}', got the channels {shown}{hint}; "
                "use a name as written there, or its index counted from 0"
            )
        if matches[0] in pairs:
            raise AxesError(f"{path}: expected one role per channel, got two for '{target}'; {_REMEDY}")
        pairs[matches[0]] = sanitize_role(role)
    return pairs
