"""Softmax and LogSoftmax inside the network: exponentials of what is below the logarithmic sum.

No value is divided: ``softmax(x) = exp(x - max - log(sum(exp(x - max))))``.
"""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.elementwise import activations
from qcompiler.frontend.importers.elementwise.activations import scaled_by, spread
from qcompiler.frontend.importers.elementwise.arithmetic import difference
from qcompiler.frontend.importers.elementwise.masks import without_mask
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

    Data keep what is present; or to see some of every row, all of one of which nothing is.
    """
    x, present, seen = masked.bare, None, None
    if masked.present:
        present = _joined(node, masked.present)
    hidden = _compact(masked.hidden & ~masked.hidden.all(axis=axis, keepdims=True))
    if hidden.any():  # where a mask hides a whole row it changes nothing
        x = _present_ones(node, x, hidden, axis)
        if present is not None:
            present = _present_ones(node, present, hidden, axis)
    if present is not None:
        x, seen = _above_lowest(node, x, present, axis, masked.alike)
    return x, (~hidden).astype(np.float32), present, seen


def _joined(node: NodeContext, present: tuple[Value, ...]) -> Value:
    """1 where all of some values are 1."""
    if len(present) == 1:
        return present[0]
    shape = np.broadcast_shapes(*(one.type.shape for one in present))
    total = node.part("masks", Add(), *(spread(node, one, shape) for one in present))
    return flag(node, total, f"x {len(present) - 0.5} >")


def _above_lowest(
    node: NodeContext, x: Value, present: Value, axis: int, alike: bool
) -> tuple[Value, Value]:
    """How far values lie above the lowest of their row, 0 for hidden ones, and what is present.

    Of a row of hidden ones all are present, and all 0 if they are ``alike``. A softmax is the same
    from any origin; from this one, products with what is present take one gate each.
    """
    axes, minus = frozenset([axis]), np.asarray(-1, np.float32)
    lowest = reduced(
        node.within("lowest"), "max", scaled_by(node, x, minus, "minus"), axes, keep=True
    )
    above = node.part("above", Add(), x, spread(node, lowest, x.type.shape))
    some = reduced(node.within("some"), "max", present, axes, keep=True)
    rest = difference(node.within("seen"), present, spread(node, some, present.type.shape))
    seen = flag(node.within("seen"), rest, "x -0.5 >")
    return product(node.within("gated"), above, present if alike else seen), seen


def _present_ones(node: NodeContext, x: Value, hidden: Array, axis: int) -> Value:
    """The first present element of its row in place of every hidden one."""
    shape = np.broadcast_shapes(x.type.shape, hidden.shape)
    along = np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - axis - 1))
    hidden = np.broadcast_to(hidden, shape)
    first = hidden.argmin(axis=axis, keepdims=True)
    places = np.arange(hidden.size).reshape(shape)
    taken = np.take_along_axis(places, np.where(hidden, first, along), axis)
    return arrange(node.within("present"), spread(node, x, shape), taken)


def _compact(array: Array) -> Array:
    """An array of length 1 along axes where nothing changes."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        array = first if (array == first).all() else array
    return array
