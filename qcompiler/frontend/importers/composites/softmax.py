"""Softmax and LogSoftmax inside the network: exponentials of what is below the logarithmic sum.

No value is divided: ``softmax(x) = exp(x - max - log(sum(exp(x - max))))``.
"""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.elementwise import activations
from qcompiler.frontend.importers.elementwise.activations import scaled_by, spread
from qcompiler.frontend.importers.elementwise.arithmetic import difference
from qcompiler.frontend.importers.elementwise.joined_masks import shown
from qcompiler.frontend.importers.elementwise.masks import compact, without_mask
from qcompiler.frontend.importers.elementwise.padding import flag
from qcompiler.frontend.importers.elementwise.products import product
from qcompiler.frontend.importers.layers.norms import log_sum_below
from qcompiler.frontend.importers.layers.pooling import reduced
from qcompiler.frontend.importers.views.movement import arrange
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.scope import Masked
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Function, Softmax
from qcompiler.ir.view import Reshape


def softmax(node: NodeContext) -> Value:
    """Softmax and LogSoftmax on the host; in spikes, if a mask hides positions."""
    if not behind_mask(node):
        return activations.softmax(node)
    return spelt_out(node, activations.softmax(node.within("host")))


def behind_mask(node: NodeContext) -> bool:
    """Whether a mask hides elements of what a node reads."""
    return without_mask(node, node.activation()) is not None


def spelt_out(node: NodeContext, on_host: Value) -> Value:
    """In spikes what the host would compute."""
    made = node.scope.builder.producer(on_host)
    assert made is not None
    x = made.operands[0]
    assert isinstance(x, Value)
    if isinstance(made.op, Reshape):
        return node.add(made.op, spelt_out(node.within("rows"), x))
    assert isinstance(made.op, Softmax)
    return in_spikes(node, x, made.op.axis % len(x.type.shape), made.op.log)


def in_spikes(node: NodeContext, x: Value, axis: int, log: bool, empty: bool = False) -> Value:
    """The softmax along an axis of a sample, or its logarithm.

    If ``empty``, the shares of a row that data hide are 0.
    """
    kept, present, seen = np.ones((), np.float32), None, None
    if (masked := without_mask(node, x)) is not None:
        x, kept, present, seen = _unmasked(node, masked, axis)
    if log and not (kept.all() and present is None):
        raise Refused("LogSoftmax behind a mask is not supported inside the network")

    def counted(x: Value, role: str, gate: Value | None = seen) -> Value:
        if gate is not None:
            x = product(node.within(f"{role}.present"), x, gate)
        return scaled_by(node, x, kept, role)

    _, below, total = log_sum_below(node, x, frozenset([axis]), counted)
    rest = difference(node, below, spread(node, total, x.type.shape))
    if log:
        return rest
    shares = node.part("exp", Function("x 0 min exp"), rest)
    return counted(shares, "shares", present if empty else seen)


def _unmasked(
    node: NodeContext, masked: Masked, axis: int
) -> tuple[Value, Array, Value | None, Value | None]:
    """What a softmax is taken of, what constants keep of that, and what data keep, if they do.

    Data keep what is present; or to see some of every row, of one of which nothing is what
    masks hide least.
    """
    x, hidden = masked.bare, masked.hidden
    if masked.present:
        x, present, seen = _above_lowest(node, masked, axis)
        return x, np.ones((), np.float32), present, seen
    hidden = compact(hidden & ~hidden.all(axis=axis, keepdims=True))
    if hidden.any():  # where a mask hides a whole row it changes nothing
        x = _present_ones(node, x, hidden, axis)
    return x, (~hidden).astype(np.float32), None, None


def _above_lowest(node: NodeContext, masked: Masked, axis: int) -> tuple[Value, Value, Value]:
    """How far values lie above the lowest of their row, 0 for hidden ones; what is present; seen.

    Of a row of hidden ones all that are seen are 0 if nothing is left of them. A softmax is the
    same from any origin; from this one, products with what is present take one gate each.
    """
    axes, minus, x = frozenset([axis]), np.asarray(-1, np.float32), masked.bare
    lowest = reduced(
        node.within("lowest"), "max", scaled_by(node, x, minus, "minus"), axes, keep=True
    )
    above = node.part("above", Add(), x, spread(node, lowest, x.type.shape))
    show = shown(node, masked)
    most = reduced(node.within("some"), "max", show.much, axes, keep=True)
    rest = difference(node.within("seen"), show.much, spread(node, most, show.much.type.shape))
    seen, present = flag(node.within("seen"), rest, "x -0.5 >"), show(node.within("all"), show.full)
    left = seen  # of the numbers of what is seen
    if show.swallowed == show.full:
        left = present
    elif show.swallowed:
        both = node.part("left", Add(), seen, show(node.within("swallowed"), show.swallowed))
        left = flag(node.within("left"), both, "x 1.5 >")
    return product(node.within("gated"), above, left), present, seen


def _present_ones(node: NodeContext, x: Value, hidden: Array, axis: int) -> Value:
    """The first present element of its row in place of every hidden one."""
    shape = np.broadcast_shapes(x.type.shape, hidden.shape)
    along = np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - axis - 1))
    hidden = np.broadcast_to(hidden, shape)
    first = hidden.argmin(axis=axis, keepdims=True)
    places = np.arange(hidden.size).reshape(shape)
    taken = np.take_along_axis(places, np.where(hidden, first, along), axis)
    return arrange(node.within("present"), spread(node, x, shape), taken)
