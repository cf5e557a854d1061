"""Choices that guard a product, such as ``Where(d == 0, 0, n / d)``: a factor is 0 there itself.

A product with a factor that is not finite has no value, even if it is not chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Shape
from qcompiler.ir import Node, Value
from qcompiler.ir.ann import Affine, Function, Multiply
from qcompiler.ir.ann.formula import compose
from qcompiler.ir.index_maps import Arrangement, places_of
from qcompiler.ir.view import View

from .formulas import formulas


class _Source(NamedTuple):
    """What a value is a function of, element by element, and the views between, the last first."""

    value: Value
    formula: str
    views: tuple[Node, ...]

    @property
    def places(self) -> Array:
        """Where each element stands in the source."""
        chain = (
            Arrangement(made.op, *made.arrays)
            for made in reversed(self.views)
            if isinstance(made.op, View)
        )
        return places_of(self.value.type.shape, chain)


def product_or_zero(
    node: NodeContext, root: Value, choice: str, x: Value, shape: Shape
) -> Value | None:
    """A product where a function of a value chooses it, else 0; None if it is none.

    One of its factors must be a function of that value, too.
    """
    made = node.scope.builder.producer(x)
    if made is None or x.type.shape != shape:
        return None
    if isinstance(made.op, Affine):  # a factor of both, behind the product
        inner, (_, shift) = made.operands[0], made.arrays
        assert isinstance(inner, Value)
        if shift.any() or (found := product_or_zero(node, root, choice, inner, shape)) is None:
            return None
        return node.part("scaled", made.op, found, *made.operands[1:])
    if not isinstance(made.op, Multiply) or len(root.type.shape) != len(shape):
        return None
    factors = [factor for factor in made.operands if isinstance(factor, Value)]
    for factor, other in (factors, factors[::-1]):
        if (kept := _or_zero(node, root, choice, factor)) is not None:
            return node.part("product", Multiply(), kept, other)
    return None


def _or_zero(node: NodeContext, root: Value, choice: str, factor: Value) -> Value | None:
    """A factor where it is chosen, else 0, if it and the choice are functions of one value."""
    one, other = _source(node, root), _source(node, factor)
    shape = factor.type.shape
    if one.value != other.value or not np.array_equal(
        np.broadcast_to(one.places, shape), other.places
    ):
        return None
    formula = f"{compose(choice, one.formula)} {other.formula} 0 where"
    found = node.part("kept", Function(formula), one.value)
    for view in reversed(other.views):
        found = node.part("view", view.op, found, *view.operands[1:])
    return found


def _source(node: NodeContext, value: Value) -> _Source:
    formula, views = "x", list[Node]()
    while True:
        value, inner = formulas(node, value)
        formula, made = compose(formula, inner), node.scope.builder.producer(value)
        if made is None or not isinstance(made.op, View):
            return _Source(value, formula, tuple(views))
        views.append(made)
        source = made.operands[0]
        assert isinstance(source, Value)
        value = source
