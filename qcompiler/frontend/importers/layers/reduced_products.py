"""Importer of ReduceProd: products of a few elements, as of PolynomialFeatures of scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from qcompiler.frontend.importers.elementwise.products import mul
from qcompiler.frontend.importers.views.slicing import take_indices
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.ir import Value
from qcompiler.ir.view import Reshape, Take

from .pooling import reduced_axes

_MOST = 4  # elements: the error of each product grows with the factors that follow
_HELP = "compute it outside the network: on its inputs, or on the decoded outputs"


def reduce_product(node: NodeContext) -> Value:
    """ReduceProd over axes of a sample: powers of elements, times others."""
    x, axes = node.activation(), sorted(reduced_axes(node))
    count = prod(x.type.shape[axis] for axis in axes)
    if count > _MOST:
        raise Refused(f"ReduceProd of {count} values, more than {_MOST}, is not supported", _HELP)
    factors = [x]
    for axis in axes:
        factors = [part for factor in factors for part in _slices(node, factor, axis)]
    names = [factor.name for factor in factors]
    # Powers, which are functions, come first.
    found, *rest = sorted(factors, key=lambda factor: (-names.count(factor.name), factor.name))
    for index, factor in enumerate(rest):
        found = mul(replace(node.within(f"product{index}"), inputs=(found, factor)))
    keep = node.integer("keepdims", 1)
    kept = [1 if axis in axes else length for axis, length in enumerate(x.type.shape)]
    shape = tuple(n for axis, n in enumerate(kept) if keep or axis not in axes)
    return found if found.type.shape == shape else node.add(Reshape(shape), found)


def _slices(node: NodeContext, x: Value, axis: int) -> list[Value]:
    """The slices of one axis; those that a view in front repeats are one value."""
    made = node.scope.builder.producer(x)
    places = tuple(range(x.type.shape[axis]))
    if made is not None and isinstance(made.op, Take) and made.op.axis == axis:
        places, source = made.op.indices, made.operands[0]
        assert isinstance(source, Value)
        x = source
    within = node.within(x.name)
    found = {n: take_indices(within, x, axis, (n,), f"{within.output}.{n}") for n in {*places}}
    return [found[place] for place in places]
