"""Conditions: functions that give 1 or 0, of one value or of the difference of two."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.model.constant_folding import KnownArray, merge
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Function
from qcompiler.ir.ann.formula import JUMPS, values
from qcompiler.ir.view import View

from .activations import constant_for, spread
from .arithmetic import affine, difference
from .formulas import formulas

_WHOLE = np.arange(-8.0, 9.0)  # numbers that tell whether a function gives whole ones


# The first operand is the larger one, or the second; and whether they may be equal.
_COMPARISONS = {
    "Greater": (False, ">"),
    "GreaterOrEqual": (False, ">="),
    "Less": (True, ">"),
    "LessOrEqual": (True, ">="),
}


def boolean(node: NodeContext, root: Value, formula: str) -> Value:
    """A condition: a function that gives 1 or 0."""
    value = node.add(Function(formula), root)
    node.scope.kinds[value.name] = TensorProto.BOOL
    return value


def is_whole(node: NodeContext, value: Value) -> bool:
    """Whether a value is a whole number: of the model's integers, or rounded."""
    root, formula = formulas(node, value)
    if value.name in node.scope.kinds or formula.split()[-1] in JUMPS:
        return True
    found = values(formula, _WHOLE)
    return _of_integers(node, root) and np.array_equal(found, np.rint(found))


def _of_integers(node: NodeContext, value: Value) -> bool:
    """Whether views make a value of the model's integers."""
    while value.name not in node.scope.kinds:
        made = node.scope.builder.producer(value)
        if made is None or not isinstance(made.op, View):
            return False
        source = made.operands[0]
        assert isinstance(source, Value)
        value = source
    return True


def real(known: KnownArray) -> KnownArray:
    """Integers as real numbers: what they are compared with is one, too."""
    if known.arrays[0].dtype.kind not in "iub":
        return known
    return merge([array.astype(np.float32) for array in known.arrays], known.name)


def sum_of(node: NodeContext, a: Value, b: Value) -> Value:
    """The sum of two conditions, spread to one shape."""
    return node.part("sum", Add(), *_alike(node, a, b))


def _alike(node: NodeContext, a: Value, b: Value) -> tuple[Value, Value]:
    """Two values, spread to one shape."""
    shape = np.broadcast_shapes(a.type.shape, b.type.shape)
    if len(a.type.shape) != len(b.type.shape):
        raise Refused(f"{node.op_type} of values of different rank is not supported")
    return spread(node, a, shape), spread(node, b, shape)


def difference_of(node: NodeContext, a: Value, b: Value) -> Value:
    """The difference of two values that are compared."""
    found = difference(node, *_alike(node, a, b))
    node.scope.differences[found.name] = (a, b)
    return found


def comparison(node: NodeContext) -> Value:
    """Greater, Less and the like: 1 or 0, as a function of one variable."""
    swapped, word = _COMPARISONS[node.op_type]
    pair = (1, 0) if swapped else (0, 1)
    items = [node.item(index) for index in pair]
    values = [item for item in items if isinstance(item, Value)]
    if len(values) == 2 and formulas(node, values[0])[0] != formulas(node, values[1])[0]:
        return boolean(node, difference_of(node, *values), f"x 0 {word}")
    root, _ = formulas(node, values[0])
    sides = []
    for first, item in zip((True, False), items, strict=True):
        if isinstance(item, Value):
            sides.append(formulas(node, item)[1])
        elif isinstance(item, KnownArray):
            bound, shape = constant_for(node, real(item), values[0])
            if bound.size != 1:
                sign = -1.0 if first else 1.0
                wide = spread(node, values[0], shape)
                moved = affine(node, wide, sign, -sign * bound, "difference")
                return boolean(node, moved, f"x 0 {word}")
            root = spread(node, root, shape)
            sides.append(repr(float(bound.reshape(-1)[0])))
        else:
            raise InvalidNode("has one input only")
    return boolean(node, root, f"{sides[0]} {sides[1]} {word}")
