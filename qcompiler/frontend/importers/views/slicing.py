"""Importers of what takes parts of a value: slices, splits and chosen indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto, helper

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.ir import Value
from qcompiler.ir.view import Reshape, Take

from .embedding import is_look_up, look_up
from .reshape import axis_of, mixes_batch


def take_indices(
    node: NodeContext, x: Value, axis: int, indices: Sequence[int], name: str = ""
) -> Value:
    """Chosen slices of one axis of a sample; the value itself if they are all, in order."""
    if list(indices) == list(range(x.type.shape[axis])):
        return x
    if not indices:
        raise Refused(f"the result of {node.op_type} is empty", "leave the node out of the model")
    op = Take(axis, tuple(indices))
    return node.named(name, op, x) if name else node.part("taken", op, x)


def _part(
    node: NodeContext, x: Value, parts: Mapping[int, Sequence[int]], name: str = ""
) -> Value | KnownArray:
    """Chosen slices along axes of a sample. One that holds no elements is a constant."""
    if all(parts.values()):
        for axis, indices in parts.items():
            x = take_indices(node, x, axis, indices, name)
        return x
    shape = tuple(len(parts.get(axis, range(n))) for axis, n in enumerate(x.type.shape))
    kind = node.scope.kinds.get(x.name, TensorProto.FLOAT)
    full = (node.placement(x).full(shape, probe) for probe in node.scope.probes)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return KnownArray(tuple(np.zeros(one, dtype) for one in full), name or node.output)


def slice_(node: NodeContext) -> Value | KnownArray:
    """Slice with constant bounds: steps may be negative."""
    x = node.activation()
    if node.opset < 10:
        starts, ends, axes = (node.integers(name) for name in ("starts", "ends", "axes"))
        strides = None
    else:
        roles = ("start", "end", "axes", "steps")
        starts, ends, axes, strides = (node.fixed_integers(i, r) for i, r in enumerate(roles, 1))
    if starts is None or ends is None:
        raise InvalidNode("has no bounds")
    axes = tuple(range(len(starts))) if axes is None else axes
    strides = (1,) * len(starts) if strides is None else strides
    if not len(starts) == len(ends) == len(axes) == len(strides) or 0 in strides:
        raise InvalidNode(f"has bounds {starts} to {ends} in steps {strides} for axes {axes}")
    parts: dict[int, range] = {}
    for start, end, axis, stride in zip(starts, ends, axes, strides, strict=True):
        at = axis_of(axis, len(x.type.shape) + 1) - 1
        bounds = slice(start, end, stride)
        if at < 0:
            if any(range(n)[bounds] != range(n) for n in node.scope.probes):
                raise mixes_batch(node)
            continue
        if at in parts:
            raise InvalidNode(f"slices an axis twice: {axes}")
        parts[at] = range(x.type.shape[at])[bounds]
    return _part(node, x, parts)


def split(node: NodeContext) -> tuple[Value | KnownArray, ...]:
    """Split along an axis of the sample, in equal or given parts."""
    x = node.activation()
    axis = axis_of(node.integer("axis", 0), len(x.type.shape) + 1) - 1
    if axis < 0:
        raise mixes_batch(node)
    length, count = x.type.shape[axis], len(node.outputs)
    given = node.integers("split") if node.opset < 13 else node.fixed_integers(1, "split")
    if (stated := node.integer("num_outputs", count)) != count:
        raise InvalidNode(f"has {count} outputs, but num_outputs {stated}")
    each = -(-length // count)
    lengths = given or (*(each,) * (count - 1), length - each * (count - 1))
    if not given and node.opset < 18 and length % count:
        raise InvalidNode(f"splits an axis of length {length} into {count} parts of unlike lengths")
    if len(lengths) != count or sum(lengths) != length or min(lengths) < 0:
        raise InvalidNode(f"splits an axis of length {length} into {lengths}")
    ends = [sum(lengths[: index + 1]) for index in range(count)]
    return tuple(
        _part(node, x, {axis: range(end - n, end)}, name or "rest")
        for name, n, end in zip(node.outputs, lengths, ends, strict=True)
    )


def gather(node: NodeContext) -> Value:
    """Gather of constant indices along one axis."""
    if is_look_up(node):
        return look_up(node)
    x = node.activation()
    indices = node.fixed(1, "indices")
    rank = len(x.type.shape) + 1
    at = axis_of(node.integer("axis", 0), rank) - 1
    if indices is None or indices.dtype.kind != "i":
        raise InvalidNode("has no indices")
    if at < 0:
        raise mixes_batch(node)
    length = x.type.shape[at]
    chosen = [int(index) for index in indices.reshape(-1)]
    if any(not -length <= index < length for index in chosen):
        raise InvalidNode(f"takes indices beyond the length {length} of the axis")
    found = take_indices(node, x, at, [index % length for index in chosen])
    shape = (*x.type.shape[:at], *indices.shape, *x.type.shape[at + 1 :])
    return found if shape == found.type.shape else node.add(Reshape(shape), found)
