"""Softmax and LogSoftmax as some exporters write them: a quotient or a difference of their parts.

JAX has no operator for them: ``d = x - max(x)``, then ``exp(d) / sum(exp(d))``, or
``d - log(sum(exp(d)))``. As one node the host can compute them, and a mask in front is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.placement import FIRST
from qcompiler.ir import Node, Value
from qcompiler.ir.ann import Add, Affine, Function, MaxPool, SumPool
from qcompiler.ir.execution.evaluate import apply
from qcompiler.ir.view import View

_JOINED: Mapping[str, Callable[[Array, Array], Array]] = {
    "Div": np.divide,
    "Mul": np.multiply,
    "Sub": np.subtract,
}
_LINEAR = View | Affine | MaxPool | SumPool
_MOST = 16  # nodes on the way
_NEAR = 1e-5


def as_one_node(node: NodeContext) -> NodeContext:
    """The node as the softmax, or its logarithm, that it computes of its parts; else itself."""
    joined = _JOINED.get(node.op_type)
    a, b = node.item(0), node.item(1)
    if joined is None or not isinstance(a, Value) or not isinstance(b, Value):
        return node
    for x in _variables(node, a, b):
        axis = _axis(node, joined, x, (a, b)) if node.placement(x) == FIRST else None
        if axis is not None:
            op_type = "LogSoftmax" if node.op_type == "Sub" else "Softmax"
            x = _unshifted(node, x, axis)
            given = {"axis": axis + 1}
            return replace(node, op_type=op_type, opset=13, inputs=(x,), attributes=given)
    return node


def _variables(node: NodeContext, a: Value, b: Value) -> list[Value]:
    """What the exponentials may be of."""
    if node.op_type == "Sub":
        return [a]
    made = [node.scope.builder.producer(x) for x in (a, b)]
    found = [n.operands[0] for n in made if n is not None and n.op == Function("x exp")]
    return [x for x in found if isinstance(x, Value)]


def _axis(
    node: NodeContext,
    joined: Callable[[Array, Array], Array],
    x: Value,
    parts: tuple[Value, Value],
) -> int | None:
    """The axis of a sample over which the parts make a softmax of a value; None if none."""
    way = _between(node, x, parts)
    if way is None or not any(isinstance(n.op, SumPool) for n in way):
        return None
    if not any(n.op == Function("x exp") for n in way):
        return None
    given, (a, b) = _tried(x, way, parts)
    if a.ndim != given.ndim or b.ndim != given.ndim:
        return None
    found = joined(a, b)
    for axis in range(1, given.ndim):
        shares = np.exp(given - given.max(axis, keepdims=True))
        shares /= shares.sum(axis, keepdims=True)
        wanted = np.log(shares) if node.op_type == "Sub" else shares
        if found.shape == wanted.shape and np.abs(found - wanted).max() < _NEAR:
            return axis - 1
    return None


def _unshifted(node: NodeContext, x: Value, axis: int) -> Value:
    """What is left of a sum without a summand, as the maximum, that is the same along an axis."""
    made = node.scope.builder.producer(x)
    if made is None or not isinstance(made.op, Add) or len(made.operands) != 2:
        return x
    for bare, shift in (made.operands, made.operands[::-1]):
        if not isinstance(bare, Value) or not isinstance(shift, Value):
            continue
        way = _between(node, bare, (shift,))
        if bare.type.shape != x.type.shape or not way:
            continue
        _, (found,) = _tried(bare, way, (shift,))
        if np.array_equal(found, np.broadcast_to(found.take([0], axis + 1), found.shape)):
            return bare
    return x


def _between(node: NodeContext, x: Value, ends: tuple[Value, ...]) -> list[Node] | None:
    """The nodes that compute values of another alone, in order; None for many, or for others."""
    found: dict[str, Node] = {}
    open_ = [end for end in ends if end != x]
    while open_:
        value = open_.pop()
        made = node.scope.builder.producer(value)
        if made is None or not isinstance(made.op, _LINEAR | Function) or len(found) > _MOST:
            return None
        found[value.name] = made
        operands = [operand for operand in made.operands if isinstance(operand, Value)]
        open_ += [one for one in operands if one != x and one.name not in found]
    return [one for one in node.scope.builder.nodes if found.get(one.result.name) is one]


def _tried(x: Value, way: list[Node], ends: tuple[Value, ...]) -> tuple[Array, list[Array]]:
    """Some numbers for a value, and what nodes make of them."""
    given = np.random.default_rng(0).standard_normal((2, *x.type.shape)).astype(np.float32)
    known = {x.name: given}
    for one in way:
        operands = (known[o.name] if isinstance(o, Value) else o.data for o in one.operands)
        known[one.result.name] = apply(one.op, *operands)
    return given, [known[end.name] for end in ends]
