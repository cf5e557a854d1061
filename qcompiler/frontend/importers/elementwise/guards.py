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
from qcompiler.ir.ann import Add, Affine, Function, Multiply
from qcompiler.ir.ann.formula import compose
from qcompiler.ir.index_maps import Arrangement, places_of
from qcompiler.ir.view import View

from .activations import scaled_by, spread
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
    chain, zero = list[Node](), np.zeros((), np.float32)
    scale, shift = zero + 1, zero  # of the product, behind all views
    while (made := node.scope.builder.producer(x)) and isinstance(made.op, View | Affine):
        if isinstance(made.op, View) or not (terms := _alike(made, chain)):
            chain.append(made)
        else:
            scale, shift = scale * terms[0], scale * terms[1] + shift
        source = made.operands[0]
        assert isinstance(source, Value)
        x = source
    if any(map(_shifts, chain)) or (found := _chain_or_zero(node, root, choice, x, chain)) is None:
        return None
    found = scaled_by(node, found, scale, "scaled")
    if not shift.any():
        return found
    share = spread(node, node.part("share", Function(choice), root), shape)
    return node.part("shifted", Add(), found, scaled_by(node, share, shift, "shift"))


def _chain_or_zero(
    node: NodeContext, root: Value, choice: str, x: Value, chain: Sequence[Node]
) -> Value | None:
    """The same of a value behind views and factors, the last of them first."""
    if (kept := _or_zero(node, root, choice, x, chain)) is not None:
        return kept
    made = node.scope.builder.producer(x)
    if made is None or not isinstance(made.op, Multiply):
        return None
    views = [one for one in chain if isinstance(one.op, View)]
    sides = [one for one in made.operands if isinstance(one, Value)]
    for one, other in (sides, sides[::-1]):
        if (kept := _or_zero(node, root, choice, one, views)) is not None:
            return node.part("product", Multiply(), kept, _behind(node, other, chain))
    return None


def _alike(scaling: Node, behind: Sequence[Node]) -> tuple[Array, ...]:
    """A scale and a shift if these may follow what is behind them: one for all; else nothing."""
    if not behind:
        return scaling.arrays
    only_views = all(isinstance(one.op, View) for one in behind)
    same = only_views and all(array.size == 1 for array in scaling.arrays)
    return tuple(array.reshape(()) for array in scaling.arrays) if same else ()


def _shifts(made: Node) -> bool:
    return isinstance(made.op, Affine) and bool(made.arrays[1].any())


def _behind(node: NodeContext, value: Value, chain: Sequence[Node]) -> Value:
    """A value behind views and factors, the last of them first."""
    for one in reversed(chain):
        value = node.part("behind", one.op, value, *one.operands[1:])
    return value


def _or_zero(
    node: NodeContext, root: Value, choice: str, factor: Value, chain: Sequence[Node] = ()
) -> Value | None:
    """A factor where it is chosen, else 0, if it and the choice are functions of one value.

    Views and factors behind it follow.
    """
    one, other = _source(node, root), _source(node, factor)
    views = [made for made in chain if isinstance(made.op, View)]
    behind = other._replace(views=(*views, *other.views))
    if one.value != other.value:
        return None
    places = behind.places
    if not np.array_equal(np.broadcast_to(one.places, places.shape), places):
        return None
    formula = f"{compose(choice, one.formula)} {other.formula} 0 where"
    found = node.part("kept", Function(formula), one.value)
    return _behind(node, found, (*chain, *other.views))


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
