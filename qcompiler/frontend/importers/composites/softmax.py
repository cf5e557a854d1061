"""Softmax and LogSoftmax inside the network: exponentials of what is below the logarithmic sum.

No value is divided: ``softmax(x) = exp(x - max - log(sum(exp(x - max))))``.
"""

from __future__ import annotations

import numpy as np

from qcompiler.frontend.importers.elementwise import activations
from qcompiler.frontend.importers.elementwise.activations import scaled_by, spread
from qcompiler.frontend.importers.elementwise.arithmetic import difference
from qcompiler.frontend.importers.elementwise.masks import without_mask
from qcompiler.frontend.importers.layers.norms import log_sum_below
from qcompiler.frontend.importers.views.movement import arrange
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.ir import Value
from qcompiler.ir.ann import Function, Softmax
from qcompiler.ir.view import Reshape


def softmax(node: NodeContext) -> Value:
    """Softmax and LogSoftmax on the host; in spikes, if a mask hides positions."""
    if not behind_mask(node):
        return activations.softmax(node)
    return spelt_out(node, activations.softmax(node.within("host")))


def behind_mask(node: NodeContext) -> bool:
    """Whether a mask hides elements of what a node reads."""
    return without_mask(node.scope, node.activation()) is not None


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


def in_spikes(node: NodeContext, x: Value, axis: int, log: bool) -> Value:
    """The softmax along an axis of a sample, or its logarithm."""
    hidden = None
    if (found := without_mask(node.scope, x)) is not None:
        x, hidden = found[0], _some_hidden(found[1], axis)
    if hidden is None:
        kept = np.ones((), np.float32)
    elif log:
        raise Refused("LogSoftmax behind a mask is not supported inside the network")
    else:
        x, kept = _present_ones(node, x, hidden, axis), _kept(hidden)
    _, below, total = log_sum_below(node, x, frozenset([axis]), kept)
    rest = difference(node, below, spread(node, total, x.type.shape))
    if log:
        return rest
    return scaled_by(node, node.part("exp", Function("x 0 min exp"), rest), kept)


def _some_hidden(hidden: Array, axis: int) -> Array | None:
    """What a mask hides; where it hides a whole row it changes nothing."""
    hidden = hidden & ~hidden.all(axis=axis, keepdims=True)
    return hidden if hidden.any() else None


def _present_ones(node: NodeContext, x: Value, hidden: Array, axis: int) -> Value:
    """The first present element of its row in place of every hidden one."""
    shape = x.type.shape
    along = np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - axis - 1))
    first = hidden.argmin(axis=axis, keepdims=True)
    places = np.arange(hidden.size).reshape(shape)
    taken = np.take_along_axis(places, np.where(hidden, first, along), axis)
    return arrange(node.within("present"), x, taken)


def _kept(hidden: Array) -> Array:
    """1 for what is present, 0 for what is hidden; of length 1 along axes where nothing changes."""
    for axis in range(hidden.ndim):
        first = hidden.take([0], axis)
        hidden = first if (hidden == first).all() else hidden
    return (~hidden).astype(np.float32)
