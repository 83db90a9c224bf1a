"""Options that come in as JSON: does each value have the type that its dataclass declares?"""

from __future__ import annotations

import math
import types
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["first_misfit"]

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def first_misfit(options: Any) -> tuple[str, str] | None:
    """Return (name, what it must be) of the first field of a wrong type; None when all fit.

    Knows fields of ``int``, ``float``, ``str``, ``bool``, ``Literal`` of texts (any text fits),
    ``tuple[X, ...]`` and their unions. Numbers are finite; ``True`` is no number.
    """
    hints = get_type_hints(type(options))
    for field in fields(options):
        if not _fits(getattr(options, field.name), hints[field.name]):
            return field.name, _told(hints[field.name])
    return None


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(kind))
    if origin is Literal:
        return isinstance(value, str)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, get_args(kind)[0]) for v in value)
    if kind is types.NoneType:
        return value is None
    if kind in (int, float):
        number = isinstance(value, Integral if kind is int else Real)
        return number and type(value) is not bool and math.isfinite(value)
    return isinstance(value, kind)


def _told(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        parts = (_told(part) for part in get_args(kind) if part is not types.NoneType)
        return " or ".join(parts)
    if origin is Literal:
        return " or ".join(repr(word) for word in get_args(kind))
    if origin is tuple:
        return f"a list, each {_told(get_args(kind)[0])}"
    return _WORDS.get(kind, str(kind))
