"""Variances that are spelled out as the mean of squares less the square of the mean.

Both may be far larger than what is left, which is then less than a level of either. The same number
is the mean of the squares of values less their mean, which loses nothing.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.ir import Node, Value, size
from qcompiler.ir.ann import Function, SumPool
from qcompiler.ir.ann.formula import compose, values
from qcompiler.ir.view import Reshape, Transpose

from .activations import scaled_by, spread
from .arithmetic import difference, sub
from .formulas import formulas

_SIZES = np.geomspace(1e-12, 1e12, 97)
_PROBES = np.concatenate((-_SIZES, [1.0], _SIZES))
_ALIKE = 1e-5  # relative


class _Sum(NamedTuple):
    """The sum of a value over some axes: what moves the value, the pool, and what moves its sum."""

    source: Value
    before: tuple[Node, ...]
    pool: Node
    behind: tuple[Node, ...]

    def like(self, other: _Sum) -> _Sum | None:
        """The sum of what is summed just as another value is; None if it is summed otherwise.

        What is behind more views may be seen as what these make.
        """
        more = len(self.before) - len(other.before)
        if more < 0:
            return None
        found = self._replace(before=self.before[more:])
        if more:
            found = found._replace(source=self.before[more - 1].result)
        return found if found._ops == other._ops else None

    @property
    def _ops(self) -> list[object]:
        return [node.op for node in (*self.before, self.pool, *self.behind)]


def variance_or_difference(node: NodeContext) -> Value:
    """Sub: the variance of a value, if it is one that is spelled out, or any other difference."""
    found = _variance(node)
    return sub(node) if found is None else found


def _variance(node: NodeContext) -> Value | None:
    if len(node.inputs) != 2 or not all(isinstance(item, Value) for item in node.inputs):
        return None
    (total, mean_of_squares), (other, square_of_mean) = (
        formulas(node, node.activation(index)) for index in (0, 1)
    )
    squares, plain = _sum_of(node, total), _sum_of(node, other)
    plain = plain.like(squares) if squares and plain else None
    if squares is None or plain is None:
        return None
    factor, shared = _ratio(mean_of_squares, "x"), _ratio(square_of_mean, "x x *")
    count = size(plain.pool.operands[0].type) // size(plain.pool.result.type)
    if not factor or not shared or abs(shared * count - factor) > _ALIKE * factor:
        return None
    if not _is_square(node, squares.source, plain.source):
        return None
    image = plain.pool.operands[0]
    assert isinstance(image, Value)
    mean = scaled_by(node, plain.pool.result, np.asarray(1 / count), "mean")
    centred = difference(node, image, spread(node, mean, image.type.shape))
    found = node.part("sum", plain.pool.op, node.part("square", Function("x x *"), centred))
    for index, view in enumerate(plain.behind):
        found = node.part(f"view{index}", view.op, found)
    return scaled_by(node, found, np.asarray(factor))


def _sum_of(node: NodeContext, value: Value) -> _Sum | None:
    """What a value is the sum of, over whole axes; None if it is no sum."""
    behind, made = _views(node, value)
    if made is None or not isinstance(made.op, SumPool):
        return None
    image = made.operands[0]
    assert isinstance(image, Value)
    shape, pool = image.type.shape, made.op
    whole = all(k in (1, n) for k, n in zip(pool.kernel, shape[1:], strict=True))
    if not whole or any(pool.pads) or prod((*pool.strides, *pool.dilations)) != 1:
        return None
    before, _ = _views(node, image)
    source = before[0].operands[0] if before else image
    assert isinstance(source, Value)
    return _Sum(source, before, made, behind)


def _views(node: NodeContext, value: Value) -> tuple[tuple[Node, ...], Node | None]:
    """The views that make a value, the first one first, and what makes the value that they read."""
    found: list[Node] = []
    made = node.scope.builder.producer(value)
    while made is not None and isinstance(made.op, Reshape | Transpose):
        found.insert(0, made)
        source = made.operands[0]
        assert isinstance(source, Value)
        made = node.scope.builder.producer(source)
    return tuple(found), made


def _is_square(node: NodeContext, square: Value, value: Value) -> bool:
    (root, formula), (other, inner) = formulas(node, square), formulas(node, value)
    return root == other and formula == compose("x x *", inner)


def _ratio(formula: str, unit: str) -> float | None:
    """What a formula is a multiple of another one by; None if it is none."""
    with np.errstate(all="ignore"):
        found, of = (values(one, _PROBES) for one in (formula, unit))
    factor = float(found[len(_SIZES)])
    return factor if np.allclose(found, factor * of, rtol=_ALIKE, atol=0) else None
