"""What all corrections share: frozen, checked, and one JSON object each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from migradetect.errors import EditError, printable

__all__ = ["Edit", "parse_edit"]

_KINDS: dict[str, type[Edit]] = {}


class Edit(BaseModel):
    """One correction.

    Attributes
    ----------
    op : str
        Name in the log.
    ids : dict of str to str
        Fields that hold the id of an object, or several, and what kind of object: migrasome, candidate, cell, fiber.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    op: ClassVar[str] = ""
    ids: ClassVar[dict[str, str]] = {}

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "its values"
            message = f"{self.op}: {first['msg'].lower()} in {field}, got {str(first.get('input'))[:60]!r}"
            raise EditError(printable(message)) from error

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "op" in cls.__dict__:
            _KINDS[cls.op] = cls

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        """Numbers out of arrays and tables count as numbers."""
        if not isinstance(values, dict):
            return values
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the name of the operation."""
        return {"op": self.op, **self.model_dump(mode="json")}

    def named(self) -> list[tuple[str, int]]:
        """Objects that it names, as (kind, id)."""
        out = []
        for field, kind in self.ids.items():
            value = getattr(self, field)
            many = value if isinstance(value, tuple) else () if value is None else (value,)
            out += [(kind, int(one)) for one in many]
        return list(dict.fromkeys(out))

    def with_ids(self, of: Callable[[str, int], int]) -> Edit:
        """The same correction with other ids, `of` kind and id; those below 1 are no ids."""
        values = self.model_dump()
        for field, kind in self.ids.items():
            value = values[field]
            if isinstance(value, (tuple, list)):
                values[field] = tuple(of(kind, one) for one in value)
            elif value is not None:
                values[field] = of(kind, value)
        return type(self)(**values)


def parse_edit(values: dict[str, Any]) -> Edit:
    """Correction of a line of the log.

    Raises
    ------
    EditError
        If there is no such operation, or its values are not valid.
    """
    rest = dict(values)
    op = str(rest.pop("op", None))
    if op not in _KINDS:
        raise EditError(f"expected one of the operations {', '.join(_KINDS)}, got '{printable(op)}'")
    return _KINDS[op](**rest)
