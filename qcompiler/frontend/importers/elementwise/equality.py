"""Importer of `Equal`: a function that jumps twice."""

from __future__ import annotations

from onnx import TensorProto

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Function, MaxPool
from qcompiler.ir.ann.formula import JUMPS
from qcompiler.ir.view import View

from .activations import constant_for, spread
from .arithmetic import affine, difference
from .conditions import boolean, difference_of, is_whole, real
from .formulas import formulas
from .signs import is_never_negative

_ENDS = (-0.5, 0.5)  # around one whole number
_NEAR = "{0} {1} > {2} {0} > *"
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
    root = spread(node, root, shape)
    if not number and not is_whole(node, values[0]) and is_never_negative(node.scope, values[0]):
        return boolean(node, root, f"0 {formula} >=")
    return boolean(node, root, _equal(node, values, formula, repr(number)))


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
    if _STAYS & {*one.split(), *other.split()}:
        return f"{one} {other} >= {other} {one} >= *"
    if any(_is_maximum(node, *pair) for pair in (values, values[::-1])):
        raise Refused(
            "Equal of a value and the maximum of its neighbours is not supported: levels tie",
            "let the host find the peaks: cut the model in front of the maximum; or use "
            "GreaterOrEqual, which takes all that tie",
        )
    raise Refused(
        "Equal of real numbers is not supported: only chance makes them equal",
        "round both sides, or ask whether they are near: Less(Abs(a - b), 0.1), or Less(sum, 0.5) "
        "where the sum of a mask may be 0",
    )


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
