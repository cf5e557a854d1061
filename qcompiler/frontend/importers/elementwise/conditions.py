"""Conditions: functions that give 1 or 0, of one value or of the difference of two."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.model.constant_folding import KnownArray, merge
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Function
from qcompiler.ir.ann.formula import JUMPS, values
from qcompiler.ir.view import View

from .activations import spread
from .arithmetic import difference
from .formulas import formulas

_WHOLE = np.arange(-8.0, 9.0)  # numbers that tell whether a function gives whole ones


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
