"""Importers of sums of functions: absolute values, squares and exponentials, summed over axes."""

from __future__ import annotations

from collections.abc import Callable

from qcompiler.frontend.importers.elementwise.activations import spread
from qcompiler.frontend.importers.elementwise.arithmetic import difference
from qcompiler.frontend.importers.elementwise.formulas import apply_formula
from qcompiler.frontend.importers.elementwise.functions import absolute
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
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
        return reduced(node, "sum", absolute(node.within("absolute")), axes, keep)
    inner, outer = _FUNCTIONS[node.op_type]
    x = node.activation()
    if inner != "x":
        x = apply_formula(node.within("inner"), inner)
    if outer == "x":
        return reduced(node, "sum", x, axes, keep)
    return node.add(Function(outer), reduced(node.within("sum"), "sum", x, axes, keep))


def reduce_log_sum_exp(node: NodeContext) -> Value:
    """ReduceLogSumExp: the maximum, and the logarithm of the sum of what is below it."""
    axes, x = _axes(node), node.activation()
    most, _, above = log_sum_below(node, x, axes)
    if node.integer("keepdims", 1):
        return node.add(Add(), most, above)
    kept = tuple(n for axis, n in enumerate(x.type.shape) if axis not in axes)
    return node.add(Reshape(kept), node.part("whole", Add(), most, above))


def log_sum_below(
    node: NodeContext,
    x: Value,
    axes: frozenset[int],
    counted: Callable[[Value, str], Value] = lambda x, _: x,
) -> tuple[Value, Value, Value]:
    """The maximum, how far values lie below it, and the logarithm of the sum of their exponentials.

    So the exponentials lie between 0 and 1, however large the values are. ``counted`` makes those
    that do not count 0; it takes the role of the result, too.
    """
    most = reduced(node.within("max"), "max", x, axes, keep=True)
    below = difference(node, x, spread(node, most, x.type.shape))
    exponential = counted(node.part("exp", Function("x exp"), below), "kept")
    total = reduced(node.within("sum"), "sum", exponential, axes, keep=True)
    # at least that of the maximum itself
    return most, below, node.part("log", Function("x 1 max log"), total)


def _axes(node: NodeContext) -> frozenset[int]:
    axes = reduced_axes(node)
    if not axes:
        raise Refused(f"{node.op_type} over no axes is not supported", "give the axes")
    return axes
