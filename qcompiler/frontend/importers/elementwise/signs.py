"""Values that are never negative: such a value may be exactly 0, as it stays there."""

from __future__ import annotations

from typing import NamedTuple

from qcompiler.frontend.model.scope import Scope
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Affine, Clip, Function, MaxPool, Multiply, SumPool
from qcompiler.ir.ann.formula import COMPARISONS, run
from qcompiler.ir.view import View

from .spans import is_span

_ALWAYS = COMPARISONS | {"abs", "exp", "sigmoid", "softplus", "sqrt"}
_KEEPS = frozenset(
    {"+", "*", "/", "min", "asin", "asinh", "ceil", "erf", "floor", "round", "tanh"}
)  # where all operands are at least 0


class _Part(NamedTuple):
    """A part of a formula, and whether it is never negative."""

    text: str
    positive: bool


def is_never_negative(scope: Scope, value: Value) -> bool:
    """Whether a value is at least 0 whatever the data are: as ReLUs, squares and their sums.

    So are distances from the minimum or to the maximum.
    """
    made = scope.builder.producer(value)
    if made is None:
        return False
    sources = [operand for operand in made.operands if isinstance(operand, Value)]
    match made.op:
        case Function(formula):
            (x,) = sources
            return _is_positive(formula, is_never_negative(scope, x))
        case Clip(low, _) if low is not None and low >= 0:
            return True
        case Clip(_, high) if high is not None and high < 0:
            return False
        case Affine():
            if any((array < 0).any() for array in made.arrays):
                return False
        case Multiply() if len({*made.operands}) == 1:
            return True
        case Add() if len(sources) == 2 and is_span(scope, *sources):
            return True
    kinds = Add | Affine | Clip | MaxPool | Multiply | SumPool | View
    return isinstance(made.op, kinds) and all(is_never_negative(scope, x) for x in sources)


def _is_positive(formula: str, positive: bool) -> bool:
    """Whether a function is never negative, of a variable that may be so."""
    found: _Part = run(
        formula, _Part("x", positive), lambda number: _Part(repr(number), number >= 0), _applied
    )
    return found.positive


def _applied(word: str, *parts: _Part) -> _Part:
    text, signs = " ".join([*(part.text for part in parts), word]), [p.positive for p in parts]
    if word == "where":
        return _Part(text, all(signs[1:]))
    if word == "max":
        return _Part(text, any(signs))
    if word == "*" and parts[0].text == parts[1].text:
        return _Part(text, True)
    if word == "^":
        return _Part(text, signs[0] or parts[1].text == "2.0")

    return _Part(text, word in _ALWAYS or (word in _KEEPS and all(signs)))
