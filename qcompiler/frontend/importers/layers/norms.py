"""Importers of sums of functions: absolute values, squares and exponentials, summed over axes."""

from __future__ import annotations

from dataclasses import replace

from qcompiler.frontend.importers.elementwise.activations import spread
from qcompiler.frontend.importers.elementwise.arithmetic import difference
from qcompiler.frontend.importers.elementwise.formulas import apply_formula
from qcompiler.frontend.importers.elementwise.functions import absolute
from qcompiler.frontend.model.node_context import NodeContext, Refused
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Function
from qcompiler.ir.view import Reshape

from .pooling import reduced, reduced_axes

_FUNCTIONS = {  # what is summed, and what is done to the sum
    "ReduceL2": ("x x *", "x 0 max sqrt"),
    "ReduceLogSum": ("x", "x log"),
    "ReduceSumSquare": ("x x *", "x"),
}


def reduce_function(node: NodeContext) -> Value:
    """ReduceL1, ReduceL2, ReduceSumSquare and ReduceLogSum."""
    axes, keep = _axes(node), bool(node.integer("keepdims", 1))
    if node.op_type == "ReduceL1":
        return reduced(node, "sum", absolute(_part(node, "absolute")), axes, keep)
    inner, outer = _FUNCTIONS[node.op_type]
    x = node.activation()
    if inner != "x":
        x = apply_formula(_part(node, "inner"), inner)
    if outer == "x":
        return reduced(node, "sum", x, axes, keep)
    return node.add(Function(outer), reduced(_part(node, "sum"), "sum", x, axes, keep))


def reduce_log_sum_exp(node: NodeContext) -> Value:
    """ReduceLogSumExp: the maximum, and the logarithm of the sum of what is below it.

    So the exponentials lie between 0 and 1, however large the values are.
    """
    axes, x = _axes(node), node.activation()
    most = reduced(_part(node, "max"), "max", x, axes, keep=True)
    below = difference(node, x, spread(node, most, x.type.shape))
    exponential = node.part("exp", Function("x exp"), below)
    total = reduced(_part(node, "sum"), "sum", exponential, axes, keep=True)
    above = node.part("log", Function("x 1 max log"), total)  # at least that of the maximum itself
    if node.integer("keepdims", 1):
        return node.add(Add(), most, above)
    kept = tuple(n for axis, n in enumerate(x.type.shape) if axis not in axes)
    return node.add(Reshape(kept), node.part("whole", Add(), most, above))


def _axes(node: NodeContext) -> frozenset[int]:
    axes = reduced_axes(node)
    if not axes:
        raise Refused(f"{node.op_type} over no axes is not supported", "give the axes")
    return axes


def _part(node: NodeContext, role: str) -> NodeContext:
    """The node, as if it gave only a part of its result."""
    return replace(node, outputs=(f"{node.output}.{role}",))
