"""What a parameter takes, in words; read from the models, so that it can't disagree with them."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from migradetect.params._stages import Params

__all__ = ["allows", "default_of", "expected", "is_tuple", "parameters"]


@cache
def parameters() -> Mapping[str, FieldInfo]:
    """Every parameter as ``"section.key"``, in the order of the models."""
    return types.MappingProxyType(
        {f"{section}.{name}": field for section, model in sections() for name, field in model.model_fields.items()}
    )


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Name and model of each stage."""
    for name, field in Params.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        yield name, model


def default_of(key: str) -> Any:
    """Default of a parameter."""
    return parameters()[key].get_default(call_default_factory=True)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def allows(field: FieldInfo, kind: type) -> bool:
    """Whether a parameter may be of a type, such as ``bool`` or ``type(None)``."""
    return kind in _alternatives(field.annotation)


def is_tuple(field: FieldInfo) -> bool:
    """Whether a parameter is a list of values."""
    return any(get_origin(part) in (tuple, list) for part in _alternatives(field.annotation))


def expected(field: FieldInfo) -> str:
    """What a parameter takes, in words, such as ``"a number greater than 0"``."""
    words = [_kind(part) for part in _alternatives(field.annotation) if part is not type(None)]
    return " or ".join(words) + _bounds(field)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        values = [str(value) for value in get_args(annotation)]
        return f"one of {', '.join(values)}" if len(values) > 1 else values[0]
    if get_origin(annotation) in (tuple, list):
        return "names separated by commas" if str in get_args(annotation) else "numbers separated by commas"
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        match rule:
            case annotated_types.Gt(gt):
                low = f"greater than {gt}"
            case annotated_types.Ge(ge):
                low = f"of at least {ge}"
            case annotated_types.Lt(lt):
                high = f"less than {lt}"
            case annotated_types.Le(le):
                high = f"at most {le}"
    both = " and ".join(part for part in (low, high) if part)
    return f" {both}" if both else ""
