"""Importer of `Equal`: a function that jumps twice."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Affine, Function, MaxPool
from qcompiler.ir.ann.formula import JUMPS
from qcompiler.ir.ann.formula import values as numbers
from qcompiler.ir.view import View

from .activations import constant_for, spread
from .arithmetic import affine, difference
from .conditions import boolean, difference_of, is_whole, real
from .formulas import formulas
from .signs import is_never_negative

_ENDS = (-0.5, 0.5)  # around one whole number
_NEAR = "{0} {1} > {2} {0} > *"
_ABOVE = np.pi * np.geomspace(1e-2, 1e5, 20_000)
_ANYWHERE = np.concatenate((-_ABOVE, _ABOVE))  # none of them round: a single point is not met
_STAYS = JUMPS | {"max", "min"}  # words of functions that may stay at one value


def equality(node: NodeContext) -> Value:
    """Equal of whole numbers, or where a function stays at one value: 1 or 0."""
    items = [node.item(index) for index in (0, 1)]
    values = [item for item in items if isinstance(item, Value)]
    if len(values) == 2:
        if formulas(node, values[0])[0] == formulas(node, values[1])[0]:
            root, one = formulas(node, values[0])
            return boolean(node, root, _equal(node, values, one, formulas(node, values[1])[1]))
        _equal(node, values, "x", "0")
        return _near_zero(node, [difference_of(node, *values) for _ in _ENDS])
    known = next((item for item in items if isinstance(item, KnownArray)), None)
    if known is None:
        raise InvalidNode("has one input only")
    bound, shape = constant_for(node, real(known), values[0])
    if bound.size != 1:
        _equal(node, values, "x", "0")
        wide = spread(node, values[0], shape)
        return _near_zero(node, [affine(node, wide, 1.0, -bound, "difference") for _ in _ENDS])
    (root, formula), number = formulas(node, values[0]), float(bound.reshape(-1)[0])
    wide = spread(node, root, shape)
    above = not number and is_never_negative(node.scope, values[0])
    if above and not is_whole(node, values[0]) and _levels_hold(node, root, formula, "0"):
        return boolean(node, wide, f"0 {formula} >=")
    return boolean(node, wide, _equal(node, values, formula, repr(number)))


def _near_zero(node: NodeContext, differences: list[Value]) -> Value:
    """Whether a difference of whole numbers is 0: one for each end, which fuse with the steps."""
    steps = [
        node.part("step", Function(f"x {end!r} >"), value)
        for end, value in zip(_ENDS, differences, strict=True)
    ]
    found = difference(node, *steps)
    node.scope.kinds[found.name] = TensorProto.BOOL
    return found


def _equal(node: NodeContext, values: list[Value], one: str, other: str) -> str:
    """The formula of an equality; Refused if only chance makes the sides equal."""
    if all(is_whole(node, value) for value in values):
        return _NEAR.format(f"{one} {other} -", *_ENDS)
    stays = _STAYS & {*one.split(), *other.split()}
    if stays and _levels_hold(node, formulas(node, values[0])[0], one, other):
        return f"{one} {other} >= {other} {one} >= *"
    if any(_is_maximum(node, *pair) for pair in (values, values[::-1])):
        raise Refused(
            "Equal of a value and the maximum of its neighbours is not supported: levels tie",
            "let the host find the peaks: cut the model in front of the maximum; or use "
            "GreaterOrEqual, which takes all that tie",
        )
    raise Refused(
        "Equal of real numbers is not supported: only chance makes them equal",
        "round both sides, or ask whether they are near: Less(Abs(x), 0.1), with a - b for x, or "
        "Less(sum, 0.5) where the sum of a mask may be 0",
    )


def _levels_hold(node: NodeContext, root: Value, one: str, other: str) -> bool:
    """Whether functions of a root are equal along a range, or at the end of one: a root of 0."""
    x = _ANYWHERE
    if is_never_negative(node.scope, root) and _is_end(node, root):
        x = np.append(x[x > 0], 0.0)
    return bool((numbers(one, x) == numbers(other, x)).any())


def _is_end(node: NodeContext, value: Value) -> bool:
    """Whether 0 ends the range of what views and factors make this of: passes join functions."""
    made = node.scope.builder.producer(value)
    if made is None or not isinstance(made.op, View | Affine):
        return True
    sources = (operand for operand in made.operands if isinstance(operand, Value))
    return all(_levels_hold(node, *formulas(node, source), "0") for source in sources)


def _is_maximum(node: NodeContext, value: Value, *others: Value) -> bool:
    """Whether a value is a maximum of elements of another, as of a max pool."""
    made = node.scope.builder.producer(_base(node, value))
    if made is None or not isinstance(made.op, MaxPool):
        return False
    source = made.operands[0]
    assert isinstance(source, Value)
    return _base(node, source) in [_base(node, other) for other in others]


def _base(node: NodeContext, value: Value) -> Value:
    """What views make a value of."""
    while (made := node.scope.builder.producer(value)) and isinstance(made.op, View):
        source = made.operands[0]
        assert isinstance(source, Value)
        value = source
    return value
