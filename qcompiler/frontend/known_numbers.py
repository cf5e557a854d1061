"""Numbers that say how often, and where, bodies run: they must be known."""

from __future__ import annotations

from typing import Any

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import fixed
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.scope import AbstractValue

FIXED = "export the model for a fixed sequence length, without data-dependent control flow"


def known_number(item: AbstractValue, what: str, op_type: str) -> Any:
    """The one element of a known value."""
    if item is None:
        raise InvalidNode(f"has no {what}")
    if not isinstance(item, KnownArray):
        raise Refused(f"the {what} of {op_type} depends on the data", FIXED)
    array = fixed(item, op_type, what)
    if array.size != 1:
        raise InvalidNode(f"has a {what} of shape {array.shape}")
    return array.reshape(-1)[0]


def known_flag(item: AbstractValue, op_type: str) -> bool:
    """Whether a known condition holds."""
    return bool(known_number(item, "condition", op_type))


def scanned_axes(attributes: dict[str, Any], what: str, count: int) -> list[tuple[int, bool]]:
    """The axis of every scanned value, and whether it is scanned backwards."""
    axes = attributes.get(f"{what}_axes") or [0] * count
    directions = attributes.get(f"{what}_directions") or [0] * count
    if not isinstance(axes, list) or not isinstance(directions, list):
        raise InvalidNode(f"has {what}_axes or {what}_directions of the wrong type")
    if not len(axes) == len(directions) == count:
        raise InvalidNode(f"has {len(axes)} {what}_axes for {count} values")
    return [(int(axis), bool(back)) for axis, back in zip(axes, directions, strict=True)]
