"""Masks that depend on data: terms such as ``(1 - m) * -1e9``, of which m is 0 or 1.

They become values of two levels, 1 where an element is present, so that no code need hold the
mask's numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Scope
from qcompiler.ir import Constant, Value
from qcompiler.ir.ann import Affine, Function
from qcompiler.ir.ann.formula import COMPARISONS, WORDS, values
from qcompiler.ir.view import View

from .formulas import formulas
from .masks import ABSENT, LOWEST

_ASIDE = (-1.0, -0.25, 0.0, 0.25, 1.0)  # beside the numbers of a formula, where it may choose


class Padding(NamedTuple):
    """A mask: where elements are present, what it adds to these, and at most to the others.

    ``present`` is 1 or 0, and spreads over the elements.
    """

    present: Value
    shift: float
    number: float


def padding(node: NodeContext, value: Value, factor: float) -> Padding | None:
    """The mask that a value times a factor is; None if it is none."""
    root, inner = formulas(node, value)
    made = node.scope.builder.producer(value)
    if inner == "x" and made is not None and isinstance(made.op, View):
        source, *places = made.operands
        assert isinstance(source, Value) and all(isinstance(p, Constant) for p in places)
        below = padding(node, source, factor)
        return below and below._replace(present=node.part("view", made.op, below.present, *places))
    formula = f"{inner} {factor!r} *"
    found = _numbers(node.scope, root, formula)
    if found is None:
        return None
    shift, hidden = found
    present = flag(node, root, f"{formula} {hidden / 2!r} >")
    return Padding(present, shift, max(hidden, LOWEST))


def flag(node: NodeContext, root: Value, formula: str) -> Value:
    """A function that is 1 or 0, of two levels."""
    found = node.part("present", Function(formula), root)
    return node.scope.builder.with_levels(found, (0.0, 1.0), 2)


def _numbers(scope: Scope, root: Value, formula: str) -> tuple[float, float] | None:
    """What a mask adds where it hides nothing, and the largest number by which it hides."""
    found = _apart(values(formula, np.array([0.0, 1.0])))
    if found and is_flag(scope, root):  # which may be far behind its source
        return found
    if not COMPARISONS & {*formula.split()}:
        return None
    numbers = [float(word) for word in formula.split() if word not in WORDS and word != "x"]
    return _apart(values(formula, np.add.outer(numbers, _ASIDE).reshape(-1)))


def _apart(numbers: Array) -> tuple[float, float] | None:
    hidden = numbers <= ABSENT
    shifts = numbers[~hidden]
    if not hidden.any() or not shifts.size or (shifts != shifts[0]).any():
        return None
    return float(shifts[0]), float(numbers[hidden].max())


def is_flag(scope: Scope, value: Value) -> bool:
    """Whether a value may be 0 or 1 only: elements of an input, of integers or of booleans."""
    while value.name not in scope.kinds and value.name not in scope.flags:
        made = scope.builder.producer(value)
        if made is None:
            return True
        if not isinstance(made.op, View | Affine):
            return False
        source = made.operands[0]
        assert isinstance(source, Value)
        value = source
    return True
