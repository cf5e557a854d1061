"""Importers of pools of powers: roots of the sums of magnitudes to a power."""

from __future__ import annotations

from qcompiler.frontend.importers.elementwise.formulas import apply_formula
from qcompiler.frontend.importers.elementwise.functions import absolute
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode
from qcompiler.ir import InvalidGraph, Value
from qcompiler.ir.ann import Function, SumPool

from .pooling import misfit, pool_window, reduced


def lp_pool(node: NodeContext) -> Value:
    """LpPool: ``sum(|x|^p)^(1/p)`` over windows, whose padding is zero."""
    found = pool_window(node, node.activation())
    powers = _powers(node)
    op = SumPool(found.strides, found.pads, found.dilations, found.kernel)
    try:
        return _root(node, node.part("sum", op, powers))
    except InvalidGraph as error:
        raise misfit(node, error) from error


def global_lp_pool(node: NodeContext) -> Value:
    """GlobalLpPool: of all pixels of a channel."""
    axes = frozenset(range(1, len(node.activation().type.shape)))
    return _root(node, reduced(node.within("sum"), "sum", _powers(node), axes, keep=True))


def _power(node: NodeContext) -> int:
    power = node.integer("p", 2)
    if power < 1:
        raise InvalidNode(f"has p {power}")
    return power


def _powers(node: NodeContext) -> Value:
    power, inner = _power(node), node.within("powers")
    if power == 1:
        return absolute(inner)
    return apply_formula(inner, "x x *" if power == 2 else f"x abs {float(power)!r} ^")


def _root(node: NodeContext, total: Value) -> Value:
    power = _power(node)
    root = {1: "x 0 max", 2: "x 0 max sqrt"}.get(power, f"x 0 max {1 / power!r} ^")
    return node.add(Function(root), total)
