"""Choices that guard, such as ``Where(d == 0, 0, n / d)``: a factor is 0 there itself.

A product with a factor that is not finite has no value, even if it is not chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
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

from .activations import scaled_by
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


def chosen_or_zero(
    node: NodeContext, root: Value, choice: str, x: Value, shape: Shape
) -> Value | None:
    """What a function of a value chooses, else 0; None if that takes a product by the choice.

    It must be a function of that value, too, or a product of one.
    """
    if x.type.shape != shape or len(root.type.shape) != len(shape):
        return None
    if (kept := _or_zero(node, root, choice, x)) is not None:
        return kept
    views, scale = list[Node](), np.ones((), np.float32)
    while (made := node.scope.builder.producer(x)) and isinstance(made.op, View | Affine):
        if isinstance(made.op, View):
            views.append(made)
        else:  # a factor of both, behind the product
            own, shift = made.arrays
            if shift.any() or (views and own.size > 1):
                return None
            scale = scale * (own.reshape(()) if views else own)
        source = made.operands[0]
        assert isinstance(source, Value)
        x = source
    if made is None or not isinstance(made.op, Multiply):
        return None
    seen = [_behind(node, one, views[::-1]) for one in made.operands if isinstance(one, Value)]
    for factor, other in (seen, seen[::-1]):
        if (kept := _or_zero(node, root, choice, factor)) is not None:
            found = node.part("product", Multiply(), kept, other)
            return scaled_by(node, found, scale, "scaled")
    return None


def _behind(node: NodeContext, value: Value, views: Sequence[Node]) -> Value:
    """A value behind views, the first of them first."""
    for view in views:
        value = node.part("view", view.op, value, *view.operands[1:])
    return value


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
    return _behind(node, found, other.views[::-1])


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
