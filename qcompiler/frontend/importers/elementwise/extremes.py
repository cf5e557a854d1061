"""Importers of maxima and minima of several values."""

from __future__ import annotations

from functools import reduce

import numpy as np

from qcompiler.frontend.model.constant_folding import KnownArray
from qcompiler.frontend.model.node_context import NodeContext, float32
from qcompiler.frontend.model.node_errors import InvalidNode, Refused
from qcompiler.frontend.model.onnx_tensor import Array
from qcompiler.frontend.model.sample_constants import per_sample
from qcompiler.ir import Value
from qcompiler.ir.ann import Add, Clip

from .activations import constant_for, spread
from .arithmetic import affine, difference
from .joined_masks import above, lower
from .masks import ABSENT, LOWEST, bounded
from .padding import is_flag


def minimum_maximum(node: NodeContext) -> Value:
    """Max and Min of values and constants: ``max(a, b) = b + max(a - b, 0)``."""
    values = [item for item in node.inputs if isinstance(item, Value)]
    known = [item for item in node.inputs if isinstance(item, KnownArray)]
    given = len(values) + len(known)
    known = [item for item in known if not _is_neutral(node, item)]
    if given != len(node.inputs):
        raise InvalidNode("has an input that is not given")
    shape = np.broadcast_shapes(*(value.type.shape for value in values))
    if any(len(value.type.shape) != len(shape) for value in values):
        raise Refused(f"{node.op_type} of values of different rank is not supported")
    arrays = _arrays(node, known, len(shape))
    if node.op_type == "Min" and (mask := lower(node, values, arrays)):
        return mask
    grown = list(dict.fromkeys(spread(node, value, shape) for value in values))
    found = reduce(lambda a, b: _larger(node, a, b), grown)
    for item in known:
        bound, shape = constant_for(node, item, found)
        found = _bounded(node, spread(node, found, shape), bound)
    of_flags = all(is_flag(node.scope, value) for value in values)
    if of_flags and all(((array == 0) | (array == 1)).all() for array in arrays):
        node.scope.flags.add(found.name)
    return found


def _is_neutral(node: NodeContext, item: KnownArray) -> bool:
    """Whether every number is the infinite one with which a maximum or minimum may start."""
    start = -np.inf if node.op_type == "Max" else np.inf
    return all(array.dtype.kind == "f" and (array == start).all() for array in item.arrays)


def _arrays(node: NodeContext, known: list[KnownArray], rank: int) -> list[Array]:
    """Constants for one sample; what hides is finite."""
    return [float32(bounded(per_sample(node, item, rank)), item.name) for item in known]


def _half(node: NodeContext) -> Clip:
    return Clip(0.0) if node.op_type == "Max" else Clip(None, 0.0)


def _larger(node: NodeContext, a: Value, b: Value) -> Value:
    clipped = node.part("beyond", _half(node), difference(node, a, b))
    return node.part("chosen", Add(), b, clipped)


def _bounded(node: NodeContext, x: Value, bound: Array) -> Value:
    highest = bound.max(initial=-np.inf)
    if node.op_type == "Max" and highest <= ABSENT:
        if (masked := above(node, x, float(highest))) is not None:
            return masked
        if highest <= LOWEST:
            return x
    if bound.size == 1:
        number = float(bound.reshape(-1)[0])
        return node.part("bound", Clip(number) if node.op_type == "Max" else Clip(None, number), x)
    below = affine(node, x, 1.0, -bound, "below")
    return affine(node, node.part("clip", _half(node), below), 1.0, bound, "bounded")
