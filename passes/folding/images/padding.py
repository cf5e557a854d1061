"""Zero pads and takes beside linear layers become rows, columns and strides of their kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir import Graph, Node, origins
from qcompiler.ir.ann import Add, Concat, Conv, Dense, Pad
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import Take
from qcompiler.passes.folding.linear import expand_rows, parameters, replace_weights


def margin_rules(node: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Fold a pad or a take into the layer that reads it, or into the one that it reads."""
    inner = graph.producer(node.operands[0]) if node.operands else None
    if inner is None:
        return None
    match node.op, inner.op:
        case Pad(), Pad():
            return _pads(node, inner)
        case Conv() | Dense(), Pad(value=0.0):
            return _columns(node, inner)
        case Pad(value=0.0), Conv() | Dense() if graph.only_user(inner.result) is node:
            return _padded_rows(node, inner)
        case Pad(value=0.0), Take() if _only_added(node, graph):
            return _embedded(node)
        case Take(), Conv() | Dense() if _only_taken(inner, graph):
            return _taken_rows(node, inner)
        case Conv(), Take(0):
            return _taken_columns(node, inner, graph)
        case Conv(), Take():
            return _strided(node, inner)
    return None


def _pads(node: Node, inner: Node) -> tuple[Node, ...] | None:
    assert isinstance(node.op, Pad) and isinstance(inner.op, Pad)
    if node.op.value != inner.op.value:
        return None
    pads = tuple(a + b for a, b in zip(node.op.pads, inner.op.pads, strict=True))
    op = replace(node.op, pads=pads)
    return (replace(node, op=op, operands=inner.operands, origin=origins(inner, node)),)


def _columns(node: Node, inner: Node) -> tuple[Node, ...] | None:
    """What reads zeros needs no weights."""
    found = parameters(node)
    assert isinstance(inner.op, Pad)
    source, rank = inner.operands[0].type.shape, len(inner.op.pads) // 2
    begins, ends = inner.op.pads[:rank], inner.op.pads[rank:]
    if found is None:
        return None
    weight, bias = found
    if isinstance(node.op, Dense):
        inside = (slice(b, b + n) for b, n in zip(begins, source, strict=True))
        chosen = (slice(None), *inside)
        kept = weight.reshape(-1, *inner.result.type.shape)[chosen]
        op: Conv | Dense = node.op
        cut = kept.reshape(len(weight), -1)
    else:
        assert isinstance(node.op, Conv)
        if not (begins[0] or ends[0]):
            return None  # padding in space moves into the kernel, see `fold_linear`
        cut = _without_groups(weight, node.op.groups)[:, begins[0] : begins[0] + source[0]]
        added = begins[1:] + ends[1:]
        pads = tuple(a + b for a, b in zip(node.op.pads, added, strict=True))
        op = replace(node.op, groups=1, pads=pads)
    folded = replace_weights(replace(node, op=op), inner.operands[0], cut, bias)
    return (replace(folded, origin=origins(inner, node)),)


def _without_groups(weight: Array, groups: int) -> Array:
    """The same weights in one group: zero between channels of different groups."""
    if groups == 1:
        return weight
    outputs, width = len(weight) // groups, weight.shape[1]
    full = np.zeros((len(weight), groups * width, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        full[rows, group * width : (group + 1) * width] = weight[rows]
    return full


def _padded_rows(node: Node, inner: Node) -> tuple[Node, ...] | None:
    """Channels of zeros behind a layer are outputs without weights."""
    found = parameters(inner)
    assert isinstance(node.op, Pad)
    rank = len(node.op.pads) // 2
    begin, end = node.op.pads[0], node.op.pads[rank]
    if found is None or any(node.op.pads[1:rank]) or any(node.op.pads[rank + 1 :]):
        return None
    weight, bias = found
    if isinstance(inner.op, Conv):
        weight = _without_groups(weight, inner.op.groups)
        inner = replace(inner, op=replace(inner.op, groups=1))
    bias = expand_rows(bias, inner.result.type.shape)
    weight, bias = (
        np.pad(array, [(begin, end), *[(0, 0)] * (array.ndim - 1)]) for array in (weight, bias)
    )
    return (replace_weights(inner, inner.operands[0], weight, bias, node),)


def _only_added(node: Node, graph: Graph) -> bool:
    user = graph.only_user(node.result)
    return user is not None and isinstance(user.op, Add)


def _embedded(node: Node) -> tuple[Node, ...] | None:
    """A pad of channels as a convolution of one pixel."""
    assert isinstance(node.op, Pad)
    channels, rank = node.operands[0].type.shape[0], len(node.op.pads) // 2
    begin, end = node.op.pads[0], node.op.pads[rank]
    if rank < 2 or not (begin or end):
        return None
    unit = (1,) * (rank - 1)
    eye = np.eye(begin + channels + end, channels, -begin, np.float32)
    op = Conv(unit, (*node.op.pads[1:rank], *node.op.pads[rank + 1 :]), unit)
    weight, bias = eye.reshape(*eye.shape, *unit), np.zeros((len(eye), *unit))
    return (replace_weights(replace(node, op=op), node.operands[0], weight, bias),)


def _only_taken(inner: Node, graph: Graph) -> bool:
    users = graph.users(inner.result)
    takes = (user.op for user in users if isinstance(user.op, Take))
    rows = [len(op.indices) for op in takes if op.axis == 0]
    return (
        not graph.is_output(inner.result)
        and len(rows) == len(users)
        and sum(rows) <= inner.result.type.shape[0]
    )


def _taken_rows(node: Node, inner: Node) -> tuple[Node, ...] | None:
    """Outputs that are chosen are the only ones that are computed."""
    found = parameters(inner)
    assert isinstance(node.op, Take)
    if found is None or (isinstance(inner.op, Conv) and inner.op.groups > 1):
        return None
    weight, bias = found
    if bias.ndim == len(inner.result.type.shape) and len(bias) > 1:
        bias = bias[list(node.op.indices)]
    return (replace_weights(inner, inner.operands[0], weight[list(node.op.indices)], bias, node),)


def _taken_columns(node: Node, inner: Node, graph: Graph) -> tuple[Node, ...] | None:
    """Channels that are chosen from a concatenation are columns of the weight."""
    found, below = parameters(node), graph.producer(inner.operands[0])
    assert isinstance(node.op, Conv) and isinstance(inner.op, Take)
    if found is None or below is None or not isinstance(below.op, Concat) or node.op.groups > 1:
        return None
    weight = np.zeros((len(found[0]), inner.operands[0].type.shape[0], *found[0].shape[2:]))
    for column, index in enumerate(inner.op.indices):
        weight[:, index] += found[0][:, column]
    folded = replace_weights(node, inner.operands[0], weight, found[1])
    return (replace(folded, origin=origins(inner, node)),)


def _strided(node: Node, inner: Node) -> tuple[Node, ...] | None:
    """Pixels taken at a constant distance are a stride of the kernel."""
    assert isinstance(node.op, Conv) and isinstance(inner.op, Take)
    op, axis, rank = node.op, inner.op.axis - 1, len(node.op.strides)
    steps = set(np.diff(inner.op.indices).tolist())
    step, begin = next(iter(steps), 1), inner.op.indices[0]
    if len(steps) > 1 or step < 1 or begin:
        return None
    length = inner.operands[0].type.shape[1 + axis]
    kernel, outs = node.operands[1].type.shape[2 + axis], node.result.type.shape[1 + axis]
    if op.pads[rank + axis] and len(inner.op.indices) * step < length:
        return None  # behind the last pixel taken there are others, not zeros
    before = op.pads[axis] * step
    reach = (outs - 1) * op.strides[axis] * step + (kernel - 1) * op.dilations[axis] * step + 1
    pads = list(op.pads)
    pads[axis], pads[rank + axis] = before, max(0, reach - length - before)
    strides, dilations = list(op.strides), list(op.dilations)
    strides[axis] *= step
    dilations[axis] = dilations[axis] * step if kernel > 1 else 1
    merged = replace(op, strides=tuple(strides), pads=tuple(pads), dilations=tuple(dilations))
    shape = merged.slide(inner.operands[0].type.shape[1:], node.operands[1].type.shape[2:])
    if shape != node.result.type.shape[1:]:
        return None
    operands = (inner.operands[0], *node.operands[1:])
    return (replace(node, op=merged, operands=operands, origin=origins(inner, node)),)
