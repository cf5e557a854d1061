"""Attributes of operations as text: Python literals, from files that are not trusted."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from qcompiler.ir.types import LARGEST_REAL

_LITERAL_LIMIT = 1 << 10  # characters for Python's parser; longer literals are whole numbers
_DIGITS = 13  # of a whole number
_LARGEST_WHOLE = 1 << 40


def attribute_types(kind: Any) -> Mapping[str, Any]:
    """What each attribute of a class of operations may hold."""
    return _attribute_types(kind)  # mypy takes no class of dataclasses for a key of a cache


@cache
def _attribute_types(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def read_literal(text: str) -> Any:
    """A Python literal; ValueError if it is none."""
    try:
        if len(text) > _LITERAL_LIMIT and not text.startswith("'"):
            return _whole_numbers(text)
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a literal: {text[:80]}") from error


def fits(value: Any, hint: Any) -> bool:
    """Whether a literal is what an attribute of this type may hold; numbers are bounded."""
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if items == (int, Ellipsis) and {*map(type, value)} <= {int}:  # a million indices, perhaps
            low, high = min(value, default=0), max(value, default=0)
            return max(-low, high) <= _LARGEST_WHOLE
        if items[-1] is Ellipsis:
            return all(fits(item, items[0]) for item in value)
        return len(value) == len(items) and all(map(fits, value, items))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is not None:
        return any(fits(value, option) for option in get_args(hint))
    if hint is float:
        return type(value) in (int, float) and abs(value) <= LARGEST_REAL
    if hint is int:
        return type(value) is int and abs(value) <= _LARGEST_WHOLE
    return type(value) is hint


def _whole_numbers(text: str) -> tuple[int, ...]:
    """A long tuple; Python's own parser would take a hundred times its memory."""
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError("no tuple")
    parts = text[1:-1].split(", ")
    if any(len(part) > _DIGITS for part in parts):
        raise ValueError("no whole numbers")
    return tuple(map(int, parts))
