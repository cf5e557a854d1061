"""Values as functions of one variable: what exporters spell out becomes one formula."""

from __future__ import annotations

from collections.abc import Mapping

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Constant, Node, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Clip, Function
from qcompiler.ir.formula import compose

_LONGEST = 100  # words of a formula that is taken apart further


def apply_formula(node: NodeContext, formula: str, index: int = 0) -> Value:
    """A function of an input, composed with the function that made it."""
    root, inner = formulas(node, node.activation(index))
    return node.add(Function(compose(formula, inner)), root)


def formulas(node: NodeContext, value: Value) -> tuple[Value, str]:
    """The value that this one is a function of, and the formula; at worst itself and ``x``."""
    found, nodes = node.scope.formulas, node.scope.builder.nodes
    for producer in nodes[len(found) :]:  # every node once, behind those that it reads
        found[producer.result.name] = _formula(producer, found)
    return found.get(value.name, (value, "x"))


def _formula(producer: Node, known: Mapping[str, tuple[Value, str]]) -> tuple[Value, str]:
    alone = producer.result, "x"
    sources = [operand for operand in producer.operands if isinstance(operand, Value)]
    constants = [operand for operand in producer.operands if isinstance(operand, Constant)]
    type_ = producer.result.type
    rounds = isinstance(type_, Tensor) and type_.range is not None  # a code of a quantised model
    if (
        rounds
        or not isinstance(producer.op, Function | Clip | Affine | Add)
        or any(constant.data.size != 1 for constant in constants)
    ):
        return alone
    found = [known.get(source.name, (source, "x")) for source in sources]
    root, inner = found[0]
    if any(other != root for other, _ in found):
        return alone
    numbers = [repr(float(constant.data.reshape(-1)[0])) for constant in constants]
    match producer.op:
        case Function(formula):
            inner = compose(formula, inner)
        case Clip(low, high):
            inner += "" if low is None else f" {low!r} max"
            inner += "" if high is None else f" {high!r} min"
        case Affine():
            inner = f"{inner} {numbers[0]} * {numbers[1]} +"
        case Add():
            inner = " ".join([inner, *(f"{formula} +" for _, formula in found[1:])])
    return (root, inner) if len(inner.split()) <= _LONGEST else alone
