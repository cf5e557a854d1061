"""Values as functions of one variable: what exporters spell out becomes one formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Scope
from qcompiler.ir import Constant, Node, Tensor, Value
from qcompiler.ir.ann import Add, Affine, Clip, Function
from qcompiler.ir.ann.formula import JUMPS, compose
from qcompiler.ir.view import Reshape

_LONGEST = 100  # words of a formula that is taken apart further


class Term(NamedTuple):
    """A function of one variable, times a constant that spreads over its value (None: 1)."""

    formula: str
    factor: Array | None

    def times(self, other: Term) -> Term:
        """The product of two terms of the same variable."""
        product = Term(f"{self.formula} {other.formula} *", self.factor)
        return product if other.factor is None else product.scaled(other.factor)

    def scaled(self, factor: Array) -> Term:
        """The term times another constant."""
        return Term(self.formula, factor if self.factor is None else self.factor * factor)


def apply_formula(node: NodeContext, formula: str, index: int = 0) -> Value:
    """A function of an input, composed with the function that made it."""
    root, inner = formulas(node, node.activation(index))
    return node.add(Function(compose(formula, inner)), root)


def formulas(node: NodeContext, value: Value) -> tuple[Value, str]:
    """The value that this one is a function of, and the formula; at worst itself and ``x``."""
    return formula_in(node.scope, value)


def formula_in(scope: Scope, value: Value) -> tuple[Value, str]:
    """The same, of a value of the graph being built."""
    found, nodes = scope.formulas, scope.builder.nodes
    for producer in nodes[len(found) :]:  # every node once, behind those that it reads
        found[producer.result.name] = _formula(producer, found)
    return found.get(value.name, (value, "x"))


def expansion(node: NodeContext, value: Value, root: Value) -> list[Term] | None:
    """A value as functions of another one, its root, each times a constant; None if it is none."""
    found, formula = formulas(node, value)
    if found == root:
        return [Term(formula, None)]
    made = next((one for one in node.scope.builder.nodes if one.result == found), None)
    if formula != "x" or made is None or not isinstance(made.op, Affine):
        return None
    source, scale, shift = made.operands
    assert isinstance(source, Value)
    assert isinstance(scale, Constant) and isinstance(shift, Constant)
    inner = expansion(node, source, root)
    if inner is None:
        return None
    terms = [term.scaled(scale.data) for term in inner]
    return [*terms, Term("1", shift.data)] if shift.data.any() else terms


def sum_of_choices(
    node: NodeContext, terms: Sequence[tuple[Value, float]], shift: float
) -> tuple[Function, Value] | None:
    """A sum as one function, if its terms choose by one value: they may jump where it does not."""
    found = [(formulas(node, value), factor) for value, factor in terms]
    (root, _), _ = found[0]
    words = [f"{formula} {factor!r} * +" for (_, formula), factor in found]
    formula = " ".join([repr(shift), *words])
    chooses = JUMPS & {*formula.split()} and len(formula.split()) <= _LONGEST
    if not chooses or any(other != root for (other, _), _ in found):
        return None
    return Function(formula), root


def summed(node: NodeContext, root: Value, terms: list[Term]) -> Value:
    """The sum of functions of one value, each times a constant."""
    found = []
    for term in terms:
        x = node.part("term", Function(term.formula), root)
        if term.factor is not None:
            shift = node.constant("shift", np.zeros((1,) * len(root.type.shape), np.float32))
            x = node.part("scaled", Affine(), x, node.constant("factor", term.factor), shift)
        found.append(x)
    return found[0] if len(found) == 1 else node.add(Add(), *found)


def _formula(producer: Node, known: Mapping[str, tuple[Value, str]]) -> tuple[Value, str]:
    alone = producer.result, "x"
    if isinstance(producer.op, Reshape) and _changes_nothing(producer):
        source = producer.operands[0]
        assert isinstance(source, Value)
        return known.get(source.name, (source, "x"))
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


def _changes_nothing(view: Node) -> bool:
    """Whether a reshape keeps the shape, as a cast from integers does."""
    return view.operands[0].type.shape == view.result.type.shape
