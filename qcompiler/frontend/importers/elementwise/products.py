"""Importers of products and quotients of two values."""

from __future__ import annotations

from itertools import zip_longest
from math import prod

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused, RefusedProduct
from qcompiler.ir import Constant, Value, size
from qcompiler.ir.ann import Affine, Function, Multiply
from qcompiler.ir.ann.formula import compose
from qcompiler.ir.view import Pick, Reshape, Take, Transpose
from qcompiler.passes.activations.gates import product_neurons

from .activations import constant_and_value, scaled_by, spread
from .formulas import apply_formula, expansion, formulas, summed
from .padding import is_flag

_VIEWS = Reshape | Transpose | Take | Pick


def mul(node: NodeContext) -> Value:
    """Mul by a constant, of two functions of one variable, or of two values if allowed."""
    a, b = node.item(0), node.item(1)
    if not (isinstance(a, Value) and isinstance(b, Value)):
        _, array, x = constant_and_value(node)
        return scaled_by(node, x, array)
    (root, first), (other, second) = formulas(node, a), formulas(node, b)
    if root == other:
        return node.add(Function(f"{first} {second} *"), root)
    for base in (root, other):
        terms, factors = expansion(node, a, base), expansion(node, b, base)
        if terms and factors:
            return summed(node, base, [one.times(two) for one in terms for two in factors])
    found = product(node, a, b)
    if is_flag(node.scope, a) and is_flag(node.scope, b):
        node.scope.flags.add(found.name)
    return found


def product(node: NodeContext, a: Value, b: Value) -> Value:
    """The product of two values, whose axes of length 1 are repeated; Refused if not allowed."""
    if not node.scope.allow_products:
        axes = zip_longest(reversed(a.type.shape), reversed(b.type.shape), fillvalue=1)
        raise _no_products(node, prod(map(max, axes)), min(size(a.type), size(b.type)))
    shape = np.broadcast_shapes(a.type.shape, b.type.shape)
    if len(a.type.shape) != len(shape) or len(b.type.shape) != len(shape):
        raise Refused(f"{node.op_type} of values of different rank is not supported")
    (a, one), (b, other) = _without_scale(node, a), _without_scale(node, b)
    operands = spread(node, a, shape), spread(node, b, shape)
    if one * other == 1:
        return node.add(Multiply(), *operands)
    factor = np.asarray(one * other, np.float32)
    return scaled_by(node, node.part("product", Multiply(), *operands), factor)


def _without_scale(node: NodeContext, x: Value) -> tuple[Value, float]:
    """A value without a scale in front of its views, and the scale, which may follow a product.

    Else the scale would make a population of every view that repeats elements.
    """
    made = node.scope.builder.producer(x)
    if made is None or not isinstance(made.op, _VIEWS | Affine):
        return x, 1.0
    source, *constants = made.operands
    assert isinstance(source, Value) and all(isinstance(c, Constant) for c in constants)
    if isinstance(made.op, Affine):
        scale, shift = made.arrays
        if scale.size != 1 or shift.any() or not scale.all():
            return x, 1.0
        bare, factor = _without_scale(node, source)
        return bare, factor * float(scale.reshape(-1)[0])
    bare, factor = _without_scale(node, source)
    return (x, 1.0) if bare == source else (node.part("view", made.op, bare, *constants), factor)


def div(node: NodeContext) -> Value:
    """Div by a constant, of a constant by a value, or of two values: by the reciprocal of one."""
    a, b = node.item(0), node.item(1)
    if isinstance(a, Value) and isinstance(b, Value):
        (root, first), (other, second) = formulas(node, a), formulas(node, b)
        if root == other:
            return node.add(Function(f"{first} {second} /"), root)
        return product(node, a, function_below_views(node, b, "1 x /"))
    first_is_constant, array, x = constant_and_value(node)
    if first_is_constant:
        if array.size == 1:
            return apply_formula(node, f"{float(array.reshape(-1)[0])!r} x /", 1)
        return scaled_by(node, function_below_views(node, x, "1 x /"), array)
    if not array.all():
        raise InvalidNode("divides by zero")
    return scaled_by(node, x, 1 / array.astype(np.float64))


def function_below_views(node: NodeContext, x: Value, formula: str, role: str = "inner") -> Value:
    """A function of a value, computed once for every element that views in front of it repeat."""
    root, inner = formulas(node, x)
    made = node.scope.builder.producer(root)
    if made is None or inner != "x" or not isinstance(made.op, _VIEWS):
        return node.part(role, Function(compose(formula, inner)), root)
    source, *places = made.operands
    assert isinstance(source, Value) and all(isinstance(p, Constant) for p in places)
    return node.part("view", made.op, function_below_views(node, source, formula, role), *places)


def _no_products(node: NodeContext, products: int, operands: int) -> RefusedProduct:
    few, many = (product_neurons(t_max, products, operands) for t_max in (16, 64))
    return RefusedProduct(
        f"{node.op_type} of two values that depend on the data is not supported",
        f"--allow-products builds the product from gates, which takes about {few:,} neurons for "
        f"this node at 16 levels and {many:,} at 64; or cut the model before this node",
    )
